"""Two runs side by side: differences by hand, what is grouped, what is left out, what can't be compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from magistral_recipe.cli import app
from magistral_recipe.errors import DataError
from magistral_recipe.evaluation.comparison import compare_runs, compare_samples, find_evaluations
from magistral_recipe.evaluation.samples import Sample, SampleWriter
from magistral_recipe.evaluation.statistics import paired_difference


def sample(problem, number, right, *, greedy=False, question=None, **columns):
    verdicts = {"format": {"value": 1.0, "reason": ""}, "correctness": {"value": right, "reason": ""}}
    text = question or f"question {problem}"
    return Sample(
        problem, number, greedy, "?", "!", 5, False, verdicts=verdicts, question=text, reference="1", **columns
    )


def model(rights, **more):
    """rights: problem to its samples' verdicts; problems with an even name are French, others English."""
    return [
        sample(name, n, right, language="fr" if int(name) % 2 == 0 else "en", difficulty=float(int(name) // 2), **more)
        for name, verdicts in rights.items()
        for n, right in enumerate(verdicts)
    ]


A = model({"0": [1.0, 0.0], "1": [0.0, 0.0], "2": [1.0, 1.0], "3": [0.0, None], "4": [1.0]})
B = model({"0": [1.0, 1.0], "1": [1.0, 0.0], "2": [1.0, 1.0], "3": [0.0, 0.0], "5": [1.0]})


def test_differences_by_hand():
    found = compare_samples("x", A, B)
    overall = found.differences["all"]
    assert (next(iter(found.differences)), overall.problems) == ("all", 4)
    assert (overall.a, overall.b) == pytest.approx((1.5 / 4, 2.5 / 4))
    pairs = ([[1, 0], [0, 0], [1, 1], [0]], [[1, 1], [1, 0], [1, 1], [0, 0]])
    assert overall.difference == paired_difference(*pairs)
    assert overall.difference.mean == pytest.approx(0.25)
    assert set(found.differences) == {"all", "language en", "language fr", "difficulty 0", "difficulty 1"}
    assert found.differences["language fr"].difference == paired_difference([[1, 0], [1, 1]], [[1, 1], [1, 1]])
    assert [(each.problem, each.a, each.b, each.n_a) for each in found.problems] == [("0", 0.5, 1, 2), ("1", 0, 0.5, 2)]
    assert (found.only_a, found.only_b, found.greedy) == (1, 1, False)


def test_swapping_turns_the_sign():
    there, back = (compare_samples("x", *pair).differences for pair in ((A, B), (B, A)))
    assert there.keys() == back.keys()
    assert len(there) > 1
    for group, one in there.items():
        other = back[group]
        assert one.difference.mean == pytest.approx(-other.difference.mean)
        assert one.difference.low == pytest.approx(-other.difference.high)


def test_greedy_samples_count_where_there_are_no_others():
    greedy = model({"0": [1.0], "1": [1.0]}, greedy=True)
    assert compare_samples("x", greedy, greedy + A).greedy
    assert not compare_samples("x", A, greedy + A).greedy


def test_one_id_for_two_problems_is_refused():
    other = [sample("0", 0, 1.0, question="another question")]
    with pytest.raises(DataError, match="'0' is not the same in both"):
        compare_samples("x", A, other)


def test_nothing_shared_is_refused():
    with pytest.raises(DataError, match=r"share no problem whose pass@1 is decided"):
        compare_samples("x", model({"0": [1.0]}), model({"1": [1.0]}))
    with pytest.raises(DataError, match=r"no such metric\. Did you mean 'format_rate'"):
        compare_runs(Path(), Path(), "format_rat")


def write(folder, samples):
    SampleWriter(folder / "samples.jsonl").write(samples)
    (folder / "scores.json").write_text("{}")
    return folder


def test_folders_of_every_kind(tmp_path):
    one = write(tmp_path / "one" / "aime24", A)
    write(tmp_path / "one" / "math500", A)
    write(tmp_path / "two" / "aime24", B)
    for stage in ("03-evaluate/base", "03-evaluate/grpo", "05-again/grpo"):
        write(tmp_path / "run" / stage, A)
    assert list(find_evaluations(one)) == ["aime24"]
    assert find_evaluations(one / "scores.json") == {"aime24": one}
    assert list(find_evaluations(tmp_path / "one")) == ["aime24", "math500"]
    assert set(find_evaluations(tmp_path / "run")) == {"evaluate/base", "evaluate/grpo", "again/grpo"}
    assert [each.name for each in compare_runs(tmp_path / "one", tmp_path / "two")] == ["aime24"]
    base, grpo = (tmp_path / "run" / "03-evaluate" / name for name in ("base", "grpo"))
    assert [each.name for each in compare_runs(base, grpo)] == ["base and grpo"]
    with pytest.raises(DataError, match="share no evaluation: aime24, math500; and evaluate/base"):
        compare_runs(tmp_path / "one", tmp_path / "run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no evaluation in it"):
        find_evaluations(tmp_path / "empty")


def test_the_command(tmp_path):
    write(tmp_path / "a" / "aime24", A)
    write(tmp_path / "b" / "aime24", B)
    arguments = ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--output", str(tmp_path / "all.json")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "+25.0 [" in done.output
    assert "the two can't be told apart" in done.output
    assert "they differ on 2 problems, most on:" in done.output
    assert "50.0 -> 100.0  0: question 0" in done.output
    assert "left out: 1 problems that only A has" in done.output
    data = json.loads((tmp_path / "all.json").read_text())
    overall = data[0]["differences"][0]
    assert list(overall) == ["group", "problems", "a", "b", "difference"]
    assert (overall["group"], overall["problems"]) == ("all", 4)
    assert set(overall["difference"]) == {"mean", "low", "high"}
    assert overall["difference"]["mean"] == 0.25
    assert max(map(len, done.output.splitlines()[2:])) <= 110
    assert CliRunner().invoke(app, arguments).exit_code == 0  # its own file is written anew


@pytest.mark.parametrize("mine", ["[1, 2]", '{"name": 1}', '[{"name": "x", "score": 1}]', "notes", ""])
def test_the_command_writes_over_no_file_of_the_users(tmp_path, mine):
    write(tmp_path / "a" / "aime24", A)
    write(tmp_path / "b" / "aime24", B)
    (tmp_path / "mine.json").write_text(mine)
    arguments = ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--output", str(tmp_path / "mine.json")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "mine.json: is a file that this command has not written" in done.output
    assert (tmp_path / "mine.json").read_text() == mine


def test_what_was_drawn_differently_is_said(tmp_path):
    for name, limit in (("a", 100), ("b", 200)):
        folder = write(tmp_path / name, A)
        (folder / "settings.json").write_text(json.dumps({"max_new_tokens": limit, "weights": name, "samples": limit}))
    done = CliRunner().invoke(app, ["compare", str(tmp_path / "a"), str(tmp_path / "b")])
    assert "warning: drawn differently, max_new_tokens: 100 and 200" in done.output
    assert done.output.count("warning") == 1


def test_an_interrupted_run_is_compared_whole_and_named(tmp_path):
    folder = write(tmp_path / "a", A[:4])
    SampleWriter(folder / "samples.001.jsonl").write(A[4:])
    (folder / "scores.json").unlink()  # killed before there were any
    (folder / "settings.json").write_text("{}")
    (write(tmp_path / "b", B) / "scores.json").write_text(json.dumps({"partial": True}))
    (tmp_path / "b" / "settings.json").write_text("{}")
    done = CliRunner().invoke(app, ["compare", str(tmp_path / "a"), str(tmp_path / "b")])
    assert "+25.0 [" in done.output  # as of all samples
    assert "warning: A is partial" in done.output
    assert "warning: B is partial" in done.output


def test_greedy_samples_alone_have_no_counterpart():
    greedy = [replace(each, greedy=True) for each in A]
    with pytest.raises(DataError, match="x: B has no greedy samples"):
        compare_samples("x", greedy, B)
    with pytest.raises(DataError, match="x: A has no greedy samples"):
        compare_samples("x", A, greedy)
    with pytest.raises(DataError, match="x: B has no samples yet"):
        compare_samples("x", A, [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "."], "nowhere: no such file or folder"),
        ([".", ".", "--metric", "bleu"], "no such metric"),
        ([".", ".", "--output", "no/such/folder.json"], "no such folder"),
        ([".", ".", "--output", "."], "is a folder"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["compare", *arguments])
    assert done.exit_code == 2
    assert message in done.output


def written(folder, grader):
    folder.mkdir()
    SampleWriter(folder / "samples.jsonl").write([replace(each, grader=grader) for each in A])
    return folder


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        ("aaa", "aaa", None),
        (None, None, None),
        ("aaa", "bbb", ("aaa", "bbb")),
        (None, "bbb", ("unknown", "bbb")),
    ],
)
def test_other_rules_of_grading_are_warned_of(tmp_path, a, b, told):
    first, second = written(tmp_path / "a", a), written(tmp_path / "b", b)
    assert compare_runs(first, second)[0].graders == told
    done = CliRunner().invoke(app, ["compare", str(first), str(second)])
    assert done.exit_code == 0, done.output
    assert ("graded by different rules" in done.output) == (told is not None)
    if told:
        assert f"version {told[0]} and {told[1]}" in done.output
        assert "evaluate --rescore" in done.output


def test_samples_of_two_rules_in_one_evaluation_are_told_whatever_the_other_has(tmp_path):
    mixed = [replace(each, grader="aaa" if number else "bbb") for number, each in enumerate(A)]
    assert compare_samples("x", mixed, mixed).graders == ("aaa, bbb", "aaa, bbb")
