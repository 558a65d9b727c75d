"""The GPU command's own logic: what ends a section in which state, what ends a run; all sections with tiny shapes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from gpu_check import supervisor
from gpu_check.outcome import Outcome, Row, State, counts, exit_code, table
from gpu_check.sections import SECTIONS, Section, chosen

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def helpers(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "helpers"))


def checked(tmp_path, *names, budget=60.0, limit=60.0):
    sections = [Section(name, f"gpu_sections:{name}", limit) for name in names]
    return supervisor.check(supervisor.Settings(tmp_path, budget, self_test=True), sections)[0]


def test_every_way_to_end_has_its_state_and_its_line_and_ends_no_other_section(tmp_path):
    names = ["passes", "breaks_a_mark", "marks_nothing", "raises", "lacks", "imports", "moved", "dies", "passes"]
    rows = checked(tmp_path, *names)
    assert [row.name for row in rows] == names
    assert [(row.outcome.state, row.outcome.line) for row in rows] == [
        (State.PASSED, "7 of 7; a figure | by the way"),
        (State.FAILED, "not met: 9 GiB of 8"),
        (State.FAILED, "the section has marked nothing"),
        (State.FAILED, "ValueError: no such thing"),
        (State.SKIPPED, "not installed: vllm"),
        (State.SKIPPED, "not installed: a_package_that_is_not_there"),
        (State.FAILED, "ModuleNotFoundError: No module named 'json.moved'"),
        (State.FAILED, "its process died of SIGKILL: ==== dies"),
        (State.PASSED, "7 of 7; a figure | by the way"),
    ]
    assert rows[0].outcome.figures["process"] != rows[-1].outcome.figures["process"]


def test_a_section_that_hangs_is_ended_at_its_limit_and_the_next_one_runs(tmp_path):
    rows = checked(tmp_path, "hangs", "passes", limit=0.3)
    assert [row.outcome.state for row in rows] == [State.FAILED, State.PASSED]
    assert rows[0].outcome.line.startswith("ended after its limit")


def test_a_budget_that_is_used_up_is_told_apart_from_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "_LEAST", 0.0)
    rows = checked(tmp_path, "passes", "hangs", "passes", budget=3.0)
    assert [row.outcome.state for row in rows] == [State.PASSED, State.OUT_OF_TIME, State.OUT_OF_TIME]
    assert exit_code(rows, proves_gpu=True, self_test=False) == 3


def row(state):
    return Row("some", 1.0, Outcome(state, "why"))


@pytest.mark.parametrize(
    ("states", "gpu", "self_test", "code"),
    [
        ([State.PASSED, State.PASSED], True, False, 0),
        ([State.PASSED, State.PASSED], False, True, 0),
        ([State.PASSED, State.PASSED], False, False, 3),
        ([State.PASSED, State.SKIPPED], True, False, 3),
        ([State.PASSED, State.OUT_OF_TIME], True, False, 3),
        ([State.SKIPPED, State.FAILED], True, False, 1),
        ([], True, False, 3),
    ],
)
def test_only_passes_on_a_gpu_are_an_acceptance(states, gpu, self_test, code):
    assert exit_code([row(state) for state in states], gpu, self_test) == code


def test_the_table_counts_each_state_apart_and_says_where_no_gpu_was():
    rows = [row(State.PASSED), row(State.SKIPPED), row(State.OUT_OF_TIME)]
    text = table(rows, supervisor.heading({"why": "torch finds none", "versions": {"torch": "2.11"}}, None))
    assert text.endswith("3 sections: 1 passed, 0 FAILED, 1 SKIPPED, 1 OUT OF TIME")
    assert "NO GPU WAS USED (torch finds none)" in text
    assert counts(rows) == {"passed": 1, "FAILED": 0, "SKIPPED": 1, "OUT OF TIME": 1}


def test_sections_are_chosen_by_the_beginning_of_their_names():
    assert {section.name for section in chosen(["vllm"])} == {
        section.name for section in SECTIONS if section.name.startswith("vllm-")
    }
    assert len(chosen(["vllm"])) >= 4
    assert all(section.default for section in chosen(None))
    with pytest.raises(ValueError, match="no section begins with 'vlmm'"):
        chosen(["vlmm"])


@pytest.mark.slow
def test_every_section_works_with_tiny_shapes_on_a_cpu(tmp_path):
    words = [sys.executable, str(ROOT / "scripts" / "gpu_check.py"), "--out", str(tmp_path), "--self-test"]
    done = subprocess.run([*words, "--budget-s", "1800"], capture_output=True, text=True)
    result = json.loads((tmp_path / "gpu_check.json").read_text())
    assert result["proves"] == "this script alone"
    assert {each["name"] for each in result["sections"]} == {section.name for section in SECTIONS if section.default}
    bad = [each for each in result["sections"] if each["state"] != "passed"]
    assert not bad, bad
    assert done.returncode == result["exit_code"] == 0
    assert "nothing about a GPU" in done.stdout


@pytest.mark.slow
def test_what_runs_by_name_works_with_tiny_shapes_on_a_cpu_as_far_as_it_can(tmp_path):
    words = [sys.executable, str(ROOT / "scripts" / "gpu_check.py"), "--out", str(tmp_path), "--self-test"]
    done = subprocess.run([*words, "--only", "vllm", "learning"], capture_output=True, text=True)
    assert done.returncode == 3, done.stdout + (tmp_path / "log.txt").read_text()[-2000:]
    sections = {each["name"]: each for each in json.loads((tmp_path / "gpu_check.json").read_text())["sections"]}
    told = {(each["state"], each["line"]) for name, each in sections.items() if name.startswith("vllm-")}
    assert told == {
        ("SKIPPED", "vLLM in training needs a GPU"),
        ("passed", "model: 256 of 256; adapter: 256 of 256"),
    }
    (seed,) = sections["learning"]["figures"]["seeds"]
    ours, stock = seed["curves"]["rl"], seed["curves"]["stock"]
    assert len(ours["rewards"]) == 2  # four steps in batches of two minibatches
    assert [at for at, _ in ours["rewards"]] == sorted(at for at, _ in ours["rewards"])
    # Both were given the same seconds of training, to the step in which they ran out.
    assert seed["seconds"] == max(at for curve in ours.values() for at, _ in curve)
    assert stock["scores"][-1][0] >= seed["seconds"]
    assert all(0 <= score <= 1 for _, score in [*ours["scores"], *stock["scores"]])
    assert {"mean", "low", "high"} <= seed["stock"].keys()
