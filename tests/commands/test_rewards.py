"""`magistral-recipe rewards`: a file scored, bad rows set aside, mistakes named."""

import json

import pytest
from typer.testing import CliRunner

from magistral_recipe.cli import app
from magistral_recipe.commands.rewards import score_file, write_scores
from magistral_recipe.errors import DataError
from magistral_recipe.rewards import math_correctness
from magistral_recipe.rewards.registry import names

RIGHT, WRONG = r"<think>a</think>\boxed{4}", r"<think>a</think>\boxed{5}"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "completions.jsonl"
    rows = [
        json.dumps({"completion": RIGHT, "answer": "4"}),
        json.dumps({"completions": [RIGHT, WRONG], "answer": "4"}),
        "",
        "{broken",
        json.dumps({"answer": "4"}),
        json.dumps([1]),
        json.dumps({"completion": 3, "answer": "4"}),
        json.dumps({"completion": RIGHT, "answer": ""}),
    ]
    path.write_text("\n".join(rows))
    return path


def test_rows_are_scored_and_bad_ones_set_aside(file):
    scored = score_file(file, math_correctness, batch_size=2)
    assert [(row.line, row.value) for row in scored.rows] == [(1, 1.0), (2, 1.0), (2, 0.0), (8, None)]
    assert [line for line, _ in scored.set_aside] == [4, 5, 6, 7]
    assert scored.reasons == {"right": 2, "wrong": 1, "unreadable_reference": 1}


def test_scores_are_json_that_every_parser_takes(tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    def odd(completions, log_extra, **_):
        log_extra("odd/part", [float("inf")] * len(completions))
        return [float("nan")] * len(completions)

    path = tmp_path / "f.jsonl"
    path.write_text(json.dumps({"completion": "half a pair: \ud800"}))
    write_scores(score_file(path, odd), tmp_path / "scores.jsonl")
    (line,) = (tmp_path / "scores.jsonl").read_bytes().splitlines()
    assert json.loads(line, parse_constant=refuse) == {
        "line": 1,
        "score": None,
        "part": None,
        "completion": "half a pair: \ud800",
    }


def test_a_mark_at_the_start_and_other_encodings_are_told_apart(tmp_path):
    path = tmp_path / "f.txt"
    row = json.dumps({"completion": RIGHT, "answer": "4"}).encode()
    path.write_bytes(b"\xef\xbb\xbf" + row + b"\n")
    assert score_file(path, math_correctness).values == [1.0]
    path.write_bytes(row.decode().encode("utf-16"))
    with pytest.raises(DataError, match="the file is UTF-16; save it as UTF-8"):
        score_file(path, math_correctness)
    with pytest.raises(DataError, match=r"absent\.jsonl: cannot be read"):
        score_file(tmp_path / "absent.jsonl", math_correctness)


@pytest.mark.parametrize("text", ["", "{broken\n", '{"completion": "x"}\n'])
def test_a_file_without_a_row_to_score(tmp_path, text):
    path = tmp_path / "f.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match="no row could be scored"):
        score_file(path, math_correctness)


def test_the_command_prints_reasons_and_writes_scores(file):
    result = CliRunner().invoke(app, ["rewards", str(file), "--reward", "math"])
    assert result.exit_code == 0, result.output
    assert "math_correctness: 4 completions, mean 0.667 of at most 1" in result.output
    assert "line 5 set aside: no 'completion'" in result.output
    records = [json.loads(line) for line in file.with_name("completions.scores.jsonl").read_text().splitlines()]
    assert records[0] == {"line": 1, "score": 1.0, "reason": "right", "completion": RIGHT}
    assert [record["line"] for record in records if "set_aside" in record] == [4, 5, 6, 7]


def test_options_and_tags(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text(json.dumps({"completion": RIGHT, "solution": "4"}))
    arguments = [
        "--reward",
        "math",
        "--option",
        "answer_column=solution",
        "--thinking",
        "none",
        "--output",
        str(tmp_path / "o"),
    ]
    result = CliRunner().invoke(app, ["rewards", str(path), *arguments])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "o").read_text())["score"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reward", "maths"], "Did you mean 'math'"),
        (["--option", "nothing"], "expected KEY=JSON"),
        (["--thinking", "<a>"], "expected two tags"),
    ],
)
def test_mistakes_end_with_2(file, arguments, message):
    result = CliRunner().invoke(app, ["rewards", str(file), *arguments])
    assert result.exit_code == 2
    assert message in result.output


def test_the_list_names_every_reward():
    result = CliRunner().invoke(app, ["rewards", "--list"])
    assert result.exit_code == 0
    assert len(names()) == 8
    for name in names():
        assert f"{name} " in result.output


@pytest.mark.parametrize("kind", ["itself", "a link to itself", "notes", "notes by default"])
def test_scores_are_written_over_no_file_of_the_users(tmp_path, kind):
    path, notes = tmp_path / "f.jsonl", tmp_path / ("f.scores.jsonl" if kind == "notes by default" else "notes")
    row = json.dumps({"completion": RIGHT, "answer": "4"})
    path.write_text(row)
    notes.write_text("mine")
    (tmp_path / "link").symlink_to(path)
    target = {"itself": path, "a link to itself": tmp_path / "link", "notes": notes}.get(kind)
    result = CliRunner().invoke(app, ["rewards", str(path), *(["--output", str(target)] if target else [])])
    assert result.exit_code == 2
    assert "is the file of completions itself" in result.output or "has not written" in result.output
    assert (path.read_text(), notes.read_text()) == (row, "mine")


def test_scores_are_written_over_earlier_ones(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text(json.dumps({"completion": RIGHT, "answer": "4"}))
    for _ in range(2):
        result = CliRunner().invoke(app, ["rewards", str(path)])
        assert result.exit_code == 0, result.output
