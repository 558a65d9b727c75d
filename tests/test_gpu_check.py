"""The GPU command's own logic: what ends a section in which state, what ends a run; all sections with tiny shapes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from gpu_check import bench as benches
from gpu_check import stage, supervisor, worker
from gpu_check.bench import GIB, Bench, Peak, unsuited
from gpu_check.outcome import Findings, Outcome, Row, State, counts, exit_code, table
from gpu_check.rounding import beyond_rounding
from gpu_check.sections import SECTIONS, Section, chosen

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def helpers(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "helpers"))


def checked(tmp_path, *names, budget=60.0, limit=60.0, self_test=True):
    sections = [Section(name, f"gpu_sections:{name}", limit) for name in names]
    return supervisor.check(supervisor.Settings(tmp_path, budget, self_test=self_test), sections)[0]


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


@pytest.mark.parametrize("self_test", [True, False])
def test_a_section_that_hangs_is_ended_at_its_limit_and_the_next_one_runs(tmp_path, self_test):
    rows = checked(tmp_path, "hangs", "passes", limit=0.4, self_test=self_test)
    assert [row.outcome.state for row in rows] == [State.FAILED, State.PASSED]
    patient = self_test or not torch.cuda.is_available()  # a CPU may be in use by others, asked for or not
    assert rows[0].outcome.line == f"ended after its limit of {2 if patient else 0} s"


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


class Card:
    """80 GiB, of which others hold 10 and this process's context half a GiB: what torch would say of it."""

    def __init__(self, monkeypatch) -> None:
        self.used, self.allocated, self.share = 10.5 * GIB, 0.0, 0.0
        said = {
            "is_available": lambda: True,
            "mem_get_info": lambda: (80 * GIB - self.used, 80 * GIB),
            "set_per_process_memory_fraction": lambda share: setattr(self, "share", share),
            "max_memory_allocated": lambda: self.allocated,
            "reset_peak_memory_stats": lambda: None,
            "empty_cache": lambda: None,
        }
        for name, function in said.items():
            monkeypatch.setattr(torch.cuda, name, function)


def test_the_cap_holds_what_pytorch_may_take_and_a_peak_leaves_out_what_others_held(tmp_path, monkeypatch):
    card = Card(monkeypatch)
    assert not Bench(tmp_path, 24.0, self_test=True).gpu
    assert card.share == 0.0
    bench = Bench(tmp_path, 24.0)
    assert bench.gpu
    assert card.share == pytest.approx((24 - 0.6) / 80)  # the context counts, too
    assert bench.cap_share == pytest.approx(24 / 80)
    with bench.peak() as peak:
        card.used, card.allocated = 22.5 * GIB, 8 * GIB
    assert peak.device / GIB == pytest.approx(22.5 - 9.9)
    assert peak.allocated == 8 * GIB
    assert peak.left == 0  # the context alone was there


def test_what_earlier_sections_left_is_told_apart(tmp_path, monkeypatch):
    card = Card(monkeypatch)
    bench = Bench(tmp_path, 24.0)
    assert bench.gpu
    card.used = 12 * GIB
    with bench.peak() as peak:
        card.used = 15 * GIB
    assert peak.left / GIB == pytest.approx(12 - 9.9 - 0.6)
    assert peak.device / GIB == pytest.approx(15 - 9.9)


def test_the_thread_that_samples_says_that_its_calls_have_nothing_to_do_with_a_capture(tmp_path, monkeypatch):
    told = []

    def exchange(mode):
        told.append((threading.current_thread() is threading.main_thread(), mode._obj.value))

    driver = SimpleNamespace(cuThreadExchangeStreamCaptureMode=exchange)
    monkeypatch.setattr(benches.ctypes, "CDLL", lambda name: driver)
    Card(monkeypatch)
    with Bench(tmp_path, 24.0).peak():
        pass
    assert told == [(False, 2)]


def test_a_command_that_fails_is_told_with_its_last_line(tmp_path):
    (tmp_path / "log.txt").write_text("before\n  no room for the cache\n\n")  # where the worker's output goes
    with pytest.raises(RuntimeError, match="ended with exit code 3: no room for the cache"):
        Bench(tmp_path, 24.0).python(["-c", "raise SystemExit(3)"])


def test_what_fails_beside_another_version_of_a_package_is_skipped_by_its_name(tmp_path, monkeypatch):
    assert unsuited() is None
    bench = Bench(tmp_path, 24.0, self_test=True)
    monkeypatch.setattr(benches, "version_of", {"transformers": "5.17.0", "trl": "1.16.0", "torch": "2.11.0+cu130"}.get)
    for name, state in (("breaks_a_mark", State.SKIPPED), ("raises", State.SKIPPED), ("passes", State.PASSED)):
        outcome = worker.attempt(bench, f"gpu_sections:{name}")
        assert outcome.state is state
    assert worker.attempt(bench, "gpu_sections:raises").line == (
        "transformers 5.17.0 is installed, and <6,>=5.19 is asked for; with it: ValueError: no such thing"
    )


@pytest.mark.parametrize(
    ("device", "allocated", "needed", "broken"),
    [
        (21.8, 15.0, 19.0, ""),  # 1 GiB of it was left by others
        (24.1, 15.0, 23.0, "the device held 24.10 GiB"),
        (22.5, 15.0, 19.0, "19.00 GiB foretold for the device"),
        (20.0, 16.6, 19.0, "allocated 16.60 GiB of 15.00 estimated"),
        (20.0, 15.0, None, "check has no plan for it"),
    ],
)
def test_a_stages_memory_is_held_to_the_cap_and_to_the_plan(tmp_path, monkeypatch, device, allocated, needed, broken):
    Card(monkeypatch)
    estimated = None if needed is None else 15 * GIB
    ran = stage.StageRun(
        tmp_path, [], [], Peak(int(device * GIB), int(allocated * GIB), GIB), estimated, needed and needed * GIB
    )
    found = Findings()
    stage.judge_memory(Bench(tmp_path, 24.0), found, ran)
    assert found.broken == ([broken] if broken else [])
    assert found.held


def test_one_rounding_is_allowed_and_two_are_not():
    exact = torch.rand(4096, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.5
    once = exact.bfloat16()
    assert beyond_rounding(once, exact) == 0
    assert beyond_rounding((3 * exact).bfloat16() / 3, exact) > 0
    assert beyond_rounding(once + once * 2**-6, exact) == 4096


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
