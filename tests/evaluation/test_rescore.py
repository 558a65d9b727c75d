"""Scoring again: fresh verdicts from kept completions, the old ones left alone, and what can't be scored."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from magistral_recipe.data.benchmarks.loaders import BenchmarkProblem
from magistral_recipe.data.problems import Problem
from magistral_recipe.errors import DataError
from magistral_recipe.evaluation.evaluate import finish, problems_hash, warnings_of
from magistral_recipe.evaluation.problem_file import read_problems, write_problems
from magistral_recipe.evaluation.rescore import read_result, request_of, rescore, result_folder
from magistral_recipe.evaluation.samples import SampleWriter, read_samples
from magistral_recipe.evaluation.scores import compute_scores
from magistral_recipe.evaluation.scoring import Scorer
from magistral_recipe.files import write_json
from magistral_recipe.generation import Completion, Request
from magistral_recipe.layout import PROBLEMS
from magistral_recipe.verifiers.instructions import Instruction
from magistral_recipe.writing.thinking import Thinking

PROBLEM_ROWS = [
    Problem(id=f"p{i}", problem=f"{i}+{i}?", answer=str(2 * i), language="en", category="sums") for i in range(4)
]


@pytest.fixture
def evaluation(tmp_path):
    """Two samples a problem, the second wrong; the verdict on p0's first one was a mistake of an older version."""
    folder = tmp_path / "aime"
    done = [
        Completion(Request(p.id, n, "?"), "?", f"<think>t</think>\\boxed{{{2 * i + n}}}", (1, 2), False)
        for i, p in enumerate(PROBLEM_ROWS)
        for n in (0, 1)
    ]
    samples = Scorer(Thinking()).score(done, [p for p in PROBLEM_ROWS for _ in (0, 1)], seed=7)
    mistaken = {**samples[0].verdicts, "correctness": {"value": 0.0, "reason": "wrong"}}
    samples[0] = replace(samples[0], verdicts=mistaken)
    write_problems_into(folder)
    SampleWriter(folder / "samples.jsonl").write(samples)
    settings = {"thinking": {"open": "<think>", "close": "</think>"}, "problems_hash": problems_hash(PROBLEM_ROWS)}
    finish(folder, samples, {"settings": settings, "samples_wanted": 8, "command": "the command"})
    return folder


def write_problems_into(folder):
    folder.mkdir(parents=True)
    assert write_problems(folder / PROBLEMS, PROBLEM_ROWS)


def test_verdicts_are_fresh_and_the_old_ones_stay(evaluation, tmp_path):
    before = (evaluation / "samples.jsonl").read_bytes()
    assert read_result(evaluation)["overall"]["pass@1"]["mean"] == pytest.approx(3 / 8)
    found = rescore(evaluation / "scores.json", tmp_path / "again")
    assert found.scores.summary()["pass@1"] == 0.5
    assert [(old.problem, old.sample, old.right, new.right) for old, new in found.changed] == [("p0", 0, False, True)]
    assert (evaluation / "samples.jsonl").read_bytes() == before
    assert read_samples(tmp_path / "again" / "samples.jsonl") == found.samples
    result = read_result(tmp_path / "again")
    assert result["command"] == "the command"
    assert result["rescored_from"] == str(evaluation.resolve())
    assert result["partial"] is False
    assert {sample.seed for sample in found.samples} == {7}
    assert rescore(tmp_path / "again", tmp_path / "third").changed == []


def test_a_part_of_the_samples_gives_partial_scores(evaluation, tmp_path):
    lines = (evaluation / "samples.jsonl").read_text().splitlines(keepends=True)
    (evaluation / "samples.jsonl").write_text("".join(lines[:5]))
    found = rescore(evaluation, tmp_path / "again")
    assert read_result(tmp_path / "again")["partial"] is True
    assert "partial: 3 samples are missing" in found.scores.about["warnings"]


def test_a_killed_evaluation_gives_partial_scores_of_all_its_files(evaluation, tmp_path):
    """Nothing but settings, problems and each process's samples is there after `kill -9`."""
    result = read_result(evaluation)
    lines = (evaluation / "samples.jsonl").read_text().splitlines(keepends=True)
    (evaluation / "scores.json").unlink()
    (evaluation / "samples.jsonl").write_text("".join(lines[:3]))
    (evaluation / "samples.001.jsonl").write_text("".join(lines[3:5]) + lines[5][:40])
    write_json(evaluation / "settings.json", {**result["settings"], "samples": 2, "greedy": True})
    found = rescore(evaluation, tmp_path / "again")
    assert len(found.samples) == 5
    again = read_result(tmp_path / "again")
    assert (again["partial"], again["samples_wanted"]) == (True, 12)
    assert again["warnings"] == ["partial: 7 samples are missing"]


@pytest.mark.parametrize("what", ["nothing", "no samples", "same folder", "other problems", "lost problems"])
def test_what_cannot_be_scored_is_said_in_one_line(evaluation, tmp_path, what):
    path, output, message = evaluation, tmp_path / "again", "no problem with the id"
    if what == "nothing":
        path, message = tmp_path / "empty.json", "no such file"
    elif what == "no samples":
        (evaluation / "samples.jsonl").unlink()
        message = "no samples to score"
    elif what == "same folder":
        output, message = evaluation, "the old verdicts stand there"
    elif what == "other problems":
        write_problems(evaluation / PROBLEMS, [PROBLEM_ROWS[0].model_copy(update={"answer": "1"}), *PROBLEM_ROWS[1:]])
        message = "have changed since"
    else:
        (evaluation / PROBLEMS).unlink()
        message = "doesn't say what was asked"
    with pytest.raises(DataError, match=message) as caught:
        rescore(path, output)
    assert len(caught.value.problems) == 1


def test_a_folder_of_evaluations_names_them(evaluation, tmp_path):
    with pytest.raises(DataError, match="name one of those in it: aime"):
        result_folder(tmp_path)
    file = evaluation / "other.json"
    file.write_text("{}")
    with pytest.raises(DataError, match="not a result file"):
        read_result(file)


def test_a_request_of_another_version_is_told(tmp_path):
    with pytest.raises(DataError, match=r"request\.problem: Extra inputs"):
        request_of({"request": {"model": {"path": "tiny"}, "problems": {"benchmark": "tiny"}, "problem": 1}}, tmp_path)


def test_problems_are_kept_whole(tmp_path):
    tests = json.dumps({"type": "stdio", "cases": [{"input": "", "output": "passed"}]})
    special = [
        BenchmarkProblem(id="h", problem="f", kind="code", tests=tests, asserts="check()"),
        BenchmarkProblem(id="g", problem="Which?", answer="A", option_order=[0, 2, 1, 3]),
        BenchmarkProblem(id="i", problem="é", kind="text", instructions=[Instruction("a", {"b": 1})]),
        Problem(id="m", problem="2\u2028+2", answer=["4", "four"]),
    ]
    assert write_problems(tmp_path / PROBLEMS, special)
    assert read_problems(tmp_path / PROBLEMS) == special
    assert problems_hash(read_problems(tmp_path / PROBLEMS)) == problems_hash(special)


@pytest.mark.parametrize("broken", [b"{", b"3\n", b"\xff\n", b'{"id": "x"}\n'])
def test_a_file_of_problems_with_a_broken_line_is_not_used_in_part(tmp_path, broken):
    path = tmp_path / PROBLEMS
    assert write_problems(path, [Problem(id="m", problem="1+1", answer="2")])
    assert len(read_problems(path)) == 1
    path.write_bytes(path.read_bytes() + broken)
    assert read_problems(path) is None


def test_sets_that_are_too_long_are_not_copied(tmp_path, monkeypatch):
    monkeypatch.setattr("magistral_recipe.evaluation.problem_file.MOST_CHARACTERS", 200)
    assert not write_problems(tmp_path / PROBLEMS, PROBLEM_ROWS)
    assert read_problems(tmp_path / PROBLEMS) is None


def test_many_cut_samples_are_warned_of(evaluation):
    samples = read_samples(evaluation / "samples.jsonl")
    cut = [replace(sample, truncated=number == 0) for number, sample in enumerate(samples)]
    about = {"settings": {"max_new_tokens": 1234}}
    assert warnings_of(compute_scores(samples, about)) == []
    (warning,) = warnings_of(compute_scores(cut, about))
    assert "12% of the samples were cut at 1,234 tokens" in warning


def graded_by(monkeypatch, version):
    monkeypatch.setattr("magistral_recipe.evaluation.scoring.grader_version", lambda: version)


def test_scores_say_by_which_rules_and_scoring_again_says_by_todays(evaluation, tmp_path, monkeypatch):
    graded_by(monkeypatch, "old")
    old = rescore(evaluation, tmp_path / "old")
    graded_by(monkeypatch, "new")
    new = rescore(tmp_path / "old", tmp_path / "new")
    assert [read_result(tmp_path / name)["grader"] for name in ("old", "new")] == ["old", "new"]
    assert {sample.grader for sample in old.samples} == {"old"}
    assert {sample.grader for sample in read_samples(tmp_path / "new" / "samples.jsonl")} == {"new"}
    assert old.scores.summary() == new.scores.summary()


def test_samples_of_several_rules_are_warned_of(evaluation, tmp_path):
    samples = read_samples(evaluation / "samples.jsonl")
    mixed = [replace(sample, grader="aaa" if number else None) for number, sample in enumerate(samples)]
    scores = finish(tmp_path, mixed, {})
    assert scores.about["grader"] is None
    (warning,) = scores.about["warnings"]
    assert warning.startswith("graded by different rules (versions aaa, unknown)")
    assert finish(tmp_path, [replace(sample, grader="aaa") for sample in samples], {}).about["warnings"] == []
    assert finish(tmp_path, [replace(sample, grader=None) for sample in samples], {}).about["warnings"] == []
