"""Loading from files: what is set aside, what is counted, what is chosen, what stops a run."""

from __future__ import annotations

import csv
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from magistral_recipe.data import readers
from magistral_recipe.data.problems import Problem
from magistral_recipe.data.sources import LoadResult, ProblemsSource, TracesSource, load_problems, load_traces
from magistral_recipe.errors import DataError
from magistral_recipe.writing.thinking import Thinking

EXAMPLES = Path(__file__).parents[2] / "recipes" / "examples"


def line(number: int, **changes) -> dict:
    return {"problem": f"What is {number} plus 1?", "answer": str(number + 1), **changes}


def encoded(*rows) -> bytes:
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


def load(folder: Path, content: bytes, name: str = "rows.jsonl", **options) -> LoadResult[Problem]:
    (folder / name).write_bytes(content)
    return load_problems(ProblemsSource(path=name, **options), folder, folder / "aside.jsonl")


def aside(folder: Path) -> list[dict]:
    return [json.loads(row) for row in (folder / "aside.jsonl").read_text().splitlines()]


# ---------------------------------------------------------------------------------------- malformed rows


@pytest.mark.parametrize(
    ("bad", "code", "said"),
    [
        (b'{"problem": "x", "answer"', "bad JSON", "Expecting ':' delimiter"),
        (b'{"problem": "x", "answer": NaN}', "bad JSON", "NaN is not JSON"),
        (b"[" * 200_000, "bad JSON", "nested too deeply"),
        (b'{"problem": "x", "answer": ' + b"1" * 5000 + b"}", "bad JSON", "4300 digits"),
        (b'{"problem": "x", "answer": 1e999}', "bad value", "expected a finite number, got inf"),
        (b'{"problem": "\xff", "answer": 1}', "invalid UTF-8", "byte 14 of the line"),
        (b'{"problem": "\\ud800", "answer": 1}', "invalid UTF-8", "problem: contains"),
        (b'{"problem": "a\x00", "answer": 1}', "NUL character", "Invalid control character"),
        (b'{"problem": "a\\u0000", "answer": 1}', "NUL character", "problem: contains a NUL character"),
        (b'["x", 1]', "not an object", "got list"),
        (b"null", "not an object", "got NoneType"),
        (b"<html>", "bad JSON", "Expecting value"),
        (b'{"answer": 1}', "missing column", "problem: missing; the row has: answer"),
        (b'{"problem": "x", "answer": ""}', "empty value", "answer: is empty"),
        (b'{"problem": ["x"], "answer": "1"}', "wrong type", "problem: expected text, got list"),
        (encoded(line(9, problem="x" * 3001)).strip(), "too long", "problem: 3,001 characters, over 3,000"),
        (encoded(line(1)).strip(), "duplicate", "repeats rows.jsonl:1 (id '"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value)[:30],
)
def test_a_bad_row_is_set_aside_with_its_line_and_reason_and_the_others_load(tmp_path, bad, code, said):
    result = load(tmp_path, encoded(line(1), b"", bad, line(2)), max_characters=3000)
    assert [row.answer for row in result.rows] == ["2", "3"]
    assert (result.read, result.set_aside, dict(result.reasons)) == (3, 1, {code: 1})
    (record,) = aside(tmp_path)
    assert (record["file"], record["line"], record["code"]) == ("rows.jsonl", 3, code)
    assert said in record["reason"]
    assert 0 < len(record["row"]) <= 501


def test_the_quarantine_keeps_the_row_as_it_was(tmp_path):
    load(tmp_path, encoded(line(1), line(2, answer="")))
    assert json.loads(aside(tmp_path)[0]["row"]) == line(2, answer="")


def test_a_line_beyond_the_limit_is_skipped_without_losing_count(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "MAX_LINE_BYTES", 100)
    exact = b'{"problem": "x", "answer": "' + b"1" * 69 + b'"}'
    assert len(exact) == 99  # with its newline as long as a line may be
    result = load(tmp_path, encoded(line(1), b"x" * 1234, exact, exact + b" " * 100, line(2)))
    assert len(result.rows) == 3
    assert [(record["line"], record["code"]) for record in aside(tmp_path)] == [(2, "too long"), (4, "too long")]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + encoded(line(1), line(2)),
        encoded(line(1), b"\xef\xbb\xbf" + encoded(line(2)).strip()),
        encoded(line(1), line(2)).replace(b"\n", b"\r\n"),
        encoded(line(1), b"", b"  \t", line(2)).rstrip(),
    ],
    ids=["BOM", "BOM at a seam", "CRLF", "blank lines, no newline at the end"],
)
def test_harmless_oddities_are_read(tmp_path, content):
    result = load(tmp_path, content)
    assert (len(result.rows), result.set_aside, result.quarantine) == (2, 0, None)
    assert not (tmp_path / "aside.jsonl").exists()


def test_rows_can_be_counted_without_a_file(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(encoded(line(1), b"{"))
    result = load_problems(ProblemsSource(path="rows.jsonl"), tmp_path, None)
    assert result.summary() == "rows.jsonl: 1 rows; 1 of 2 set aside (1 bad JSON)"
    (tmp_path / "rows.jsonl").write_bytes(b"{")
    with pytest.raises(DataError, match=r"none of 1 rows can be used, for example:\n  rows\.jsonl:1: Expecting"):
        load_problems(ProblemsSource(path="rows.jsonl"), tmp_path, None)
    assert [file.name for file in tmp_path.iterdir()] == ["rows.jsonl"]


def test_an_old_quarantine_goes_when_nothing_is_wrong_any_more(tmp_path):
    load(tmp_path, encoded(line(1), b"{"))
    assert (tmp_path / "aside.jsonl").exists()
    load(tmp_path, encoded(line(1)))
    assert not (tmp_path / "aside.jsonl").exists()


def test_nothing_left_is_an_error_that_shows_the_first_reasons(tmp_path):
    with pytest.raises(DataError) as caught:
        load(tmp_path, encoded(b"{", line(1, answer=None), b"\xff", b"[]"))
    lines = caught.value.problems
    assert lines[0].startswith("rows.jsonl: none of 4 rows can be used; all are set aside in ")
    assert [text.split(": ")[0].strip() for text in lines[1:]] == ["rows.jsonl:1", "rows.jsonl:2", "rows.jsonl:3"]
    assert len(aside(tmp_path)) == 4


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.jsonl", b"", "no rows"),
        ("rows.jsonl", b"\n\n", "no rows"),
        ("rows.jsonl", '{"problem": 1}'.encode("utf-16"), "the file is UTF-16; save it as UTF-8"),
        ("rows.jsonl", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ("rows.json", b"[{", "not JSON"),
        ("rows.json", b"7", "expected a list of objects, got int"),
        ("rows.json", b'{"a": [], "b": []}', "several lists (a, b)"),
        ("rows.parquet", b"PAR1 not really", "not a Parquet file"),
        ("rows.jsonl.gz", gzip.compress(encoded(line(1)) * 1000)[:-20], "cannot be read"),
        ("rows.xlsx", b"PK", "not a kind of file that can be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(tmp_path, name, content, said):
    with pytest.raises(DataError, match=re.escape(said)):
        load(tmp_path, content, name)


BOM = b"\xef\xbb\xbf"
junk_line = st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b""))
good_line = st.sampled_from([encoded(line(number)).strip() for number in range(5)])
odd_line = st.dictionaries(
    st.sampled_from(["problem", "answer", "id", "tests"]), st.text() | st.floats() | st.none()
).map(lambda row: json.dumps(row).encode())


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(junk_line | odd_line | good_line, max_size=8))
@example([BOM, BOM + BOM + b"{}", b"\r", b"\x0b", b"\x85"])
def test_whatever_bytes_a_file_holds_every_line_is_accounted_for(tmp_path, lines):
    # One good line first: a file of another encoding, or with nothing good in it, is tested above.
    lines = [encoded(line(99)).strip(), *lines]
    seen = sum(1 for raw in lines if raw.removeprefix(BOM).strip(b" \t\r"))
    result = load(tmp_path, b"\n".join(lines))
    assert len(result.rows) + result.set_aside == result.read == seen
    assert result.set_aside == (len(aside(tmp_path)) if result.quarantine else 0)
    assert len({row.id for row in result.rows}) == len(result.rows)


# ------------------------------------------------------------------------------------------ other formats


def test_csv_rows_are_read_and_bad_ones_set_aside_by_line(tmp_path):
    content = """\ufeffproblem,answer,difficulty
"one, two",1,0.5
empty,,
"over two\nlines",3,

too,many,1,cells
short,5
word,6,hard
BAD,7,
LONG,8,
last,9,
"closed" badly,10,
"""
    content = content.replace("LONG", "x" * 150_000).encode().replace(b"BAD", b"\xff")
    limit = csv.field_size_limit()
    result = load(tmp_path, content, "rows.csv")
    assert [row.problem[:8] for row in result.rows] == ["one, two", "over two", "short", "x" * 8, "last"]
    assert result.rows[0].difficulty == 0.5
    assert [(record["line"], record["code"]) for record in aside(tmp_path)] == [
        (3, "empty value"),
        (7, "bad CSV"),
        (9, "wrong type"),
        (10, "invalid UTF-8"),
        (13, "bad CSV"),
    ]
    assert csv.field_size_limit() == limit


def test_json_arrays_and_objects_that_hold_one_are_read_with_row_numbers(tmp_path):
    rows = [line(1), {"problem": "x"}, line(2)]
    for document in (rows, {"version": 1, "data": rows}):
        result = load(tmp_path, json.dumps(document).encode(), "rows.json")
        assert len(result.rows) == 2
        assert aside(tmp_path)[0]["row"] == '{"problem": "x"}'
        assert aside(tmp_path)[0]["code"] == "missing column"


def test_json_lines_under_a_json_ending_are_read(tmp_path):
    assert len(load(tmp_path, encoded(line(1), line(2)), "rows.json").rows) == 2


def test_compressed_json_lines_are_read(tmp_path):
    assert len(load(tmp_path, gzip.compress(encoded(line(1), line(2))), "rows.jsonl.gz").rows) == 2


def test_parquet_rows_with_bytes_that_are_no_text_are_set_aside(tmp_path):
    import pyarrow
    import pyarrow.parquet

    raw = pyarrow.array([b"good", b"bad\xff", b"fine"]).view(pyarrow.string())
    table = pyarrow.table({"problem": raw, "answer": [1, 2, None], "truth": [{"a": "x"}, {"a": "y"}, {"a": "z"}]})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    source = ProblemsSource(path="rows.parquet", columns={"answer": "truth.a"})
    result = load_problems(source, tmp_path, tmp_path / "aside.jsonl")
    assert [(row.problem, row.answer) for row in result.rows] == [("good", "x"), ("fine", "z")]
    assert [record["code"] for record in aside(tmp_path)] == ["invalid UTF-8"]


def test_a_folder_is_read_file_by_file_and_by_split(tmp_path):
    folder = tmp_path / "set" / "data"
    folder.mkdir(parents=True)
    (folder / "train-1.jsonl").write_bytes(encoded(line(2), b"{"))
    (folder / "train-0.jsonl").write_bytes(encoded(line(1)))
    (folder / "test-0.jsonl").write_bytes(encoded(line(3)))
    (folder / "README.md").write_text("not data")

    def answers(split: str | None) -> list:
        source = ProblemsSource(path="set", split=split)
        return [row.answer for row in load_problems(source, tmp_path, tmp_path / "aside.jsonl").rows]

    assert answers("train") == ["2", "3"]
    assert aside(tmp_path)[0]["file"] == "set/data/train-1.jsonl"
    with pytest.raises(DataError, match=r"a folder with several splits \(train, test\); name one with `split`"):
        answers(None)
    (folder / "test-0.jsonl").rename(folder / "more-0.jsonl")
    assert answers(None) == ["4", "2", "3"]
    assert tuple(part.split(";")[0] for part in ProblemsSource(path="set", split="dev").check(tmp_path)[0]) == (
        "path",
        "set: no data file whose name or folder starts with 'dev' in this folder",
    )


def test_a_saved_dataset_is_read_by_split(tmp_path):
    import datasets

    split = {name: datasets.Dataset.from_list([line(number)]) for number, name in enumerate(("train", "test"))}
    datasets.DatasetDict(split).save_to_disk(tmp_path / "saved")

    def load_split(name: str | None) -> list:
        source = ProblemsSource(path="saved", split=name)
        assert source.check(tmp_path) == []
        return [row.answer for row in load_problems(source, tmp_path, tmp_path / "aside.jsonl").rows]

    assert load_split("test") == ["2"]
    assert load_split(None) == ["1"]
    with pytest.raises(DataError, match="no split 'val'; there are: train, test"):
        load_split("val")


def test_a_dataset_of_the_hub_that_is_out_of_reach_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    source = ProblemsSource(path="nobody/no-such-dataset")
    assert source.check(tmp_path) == []
    with pytest.raises(DataError, match="nobody/no-such-dataset: cannot be loaded from the Hugging Face hub"):
        load_problems(source, tmp_path, tmp_path / "aside.jsonl")


@pytest.mark.parametrize(
    ("options", "offline", "streamed"),
    [
        ({"count": 2}, False, True),
        ({"count": 2}, True, False),
        ({"count": 2, "seed": 1}, False, False),
        ({}, False, False),
    ],
)
def test_the_hub_is_streamed_only_for_its_first_rows(tmp_path, monkeypatch, options, offline, streamed):
    asked = {}

    def load_dataset(*args, **kwargs):
        asked.update(kwargs, args=args)
        return iter([line(1), line(2), line(3)])

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", offline)
    source = ProblemsSource(path="owner/name", subset="main", split="test", revision="v1", **options)
    result = load_problems(source, tmp_path, tmp_path / "aside.jsonl")
    assert len(result.rows) == options.get("count", 3)
    assert asked == {"args": ("owner/name", "main"), "split": "test", "revision": "v1", "streaming": streamed}


# -------------------------------------------------------------------------------------- what is chosen


def ids(folder: Path, **options) -> list[str]:
    rows = [line(number, id=number) for number in range(50)]
    return [row.id for row in load(folder, encoded(*rows), **options).rows]


def test_without_a_seed_the_files_order_stays(tmp_path):
    assert ids(tmp_path) == [str(number) for number in range(50)]
    assert ids(tmp_path, skip=2, count=3) == ["2", "3", "4"]


def test_a_seed_draws_the_same_rows_again_and_skip_takes_the_rest(tmp_path):
    first, rest = ids(tmp_path, seed=1, count=10), ids(tmp_path, seed=1, skip=10)
    assert first == ids(tmp_path, seed=1, count=10)
    assert first != ids(tmp_path, seed=2, count=10)
    assert first + rest == ids(tmp_path, seed=1)
    assert sorted(map(int, first + rest)) == list(range(50))


def test_reading_stops_once_there_are_enough(tmp_path):
    result = load(tmp_path, encoded(line(1), line(2), b"{"), count=2)
    assert (result.read, result.set_aside) == (2, 0)


def test_passing_over_all_rows_is_an_error(tmp_path):
    with pytest.raises(DataError, match="only 50 good rows, and skip passes over 60"):
        ids(tmp_path, skip=60)


def test_the_summary_counts_by_reason(tmp_path):
    result = load(tmp_path, encoded(line(1), b"{", b"{", line(1)))
    assert result.summary() == (
        f"rows.jsonl: 1 rows; 3 of 4 set aside (2 bad JSON, 1 duplicate): {tmp_path / 'aside.jsonl'}"
    )


# --------------------------------------------------------------------------------------------- checking


@pytest.fixture
def questions(tmp_path) -> Path:
    (tmp_path / "math.jsonl").write_bytes(encoded(b"{", {"question": "1+1?", "solution": "2", "meta": {"level": 1}}))
    return tmp_path


MAPPED = {"problem": "question", "answer": "solution"}


@pytest.mark.parametrize(
    ("source", "mistakes"),
    [
        (ProblemsSource(path="math.jsonl", columns={**MAPPED, "difficulty": "meta.level"}), []),
        (ProblemsSource(path="math.jsonl", columns={"problem": "question"}, kind="text"), []),
        (ProblemsSource(), [("", "give exactly one of path, tiny, sums, gym or benchmark; got none of them")]),
        (
            ProblemsSource(path="math.jsonl", columns=MAPPED, tiny="train"),
            [("tiny", "give exactly one of path, tiny, sums, gym or benchmark; got path and tiny")],
        ),
        (ProblemsSource(path="maths.jsonl"), [("path", "no such file or folder. Did you mean 'math.jsonl'?")]),
        (
            ProblemsSource(path="gsm8k"),
            [("path", "no such file or folder. A dataset of the hub is named 'owner/name'.")],
        ),
        (
            ProblemsSource(path="math.jsonl", columns={**MAPPED, "dificulty": "level", "source": "nowhere"}),
            [
                ("columns.dificulty", "no such field. Did you mean 'difficulty'?"),
                ("columns.dificulty", "no column 'level'. Did you mean 'meta.level'?"),
                ("columns.source", "no column 'nowhere'; its columns: question, solution, meta, meta.level"),
            ],
        ),
        (
            ProblemsSource(path="math.jsonl", columns={"problem": "questions", "answer": "solution"}),
            [("columns.problem", "no column 'questions'. Did you mean 'question'?")],
        ),
        (
            ProblemsSource(path="math.jsonl", columns={"problem": "question", "solution": "solution"}),
            [
                (
                    "columns",
                    "no column 'answer' or 'tests', and none is mapped to it; "
                    "its columns: question, solution, meta, meta.level; problems without answers are `kind: text`",
                )
            ],
        ),
        (
            ProblemsSource(tiny="train", columns=MAPPED),
            [("columns", "goes with 'path' only"), ("count", "missing: generated problems are endless, say how many")],
        ),
        (ProblemsSource(tiny="train", count=1, gym_config={"a": 1}), [("gym_config", "goes with 'gym' only")]),
        (
            ProblemsSource(gym="basic_arithmetik", count=1),
            [("gym", "no reasoning-gym task 'basic_arithmetik'. Did you mean 'basic_arithmetic'?")],
        ),
        (TracesSource(), [("", "give exactly one of path, tiny, sums or stage; got none of them")]),
        (TracesSource(tiny=True), [("count", "missing: generated traces are endless, say how many")]),
        (
            TracesSource(path="math.jsonl", columns={"problem": "question"}),
            [
                (
                    "columns",
                    "no column 'completion' or 'response' or 'messages', and none is mapped to it; "
                    "its columns: question, solution, meta, meta.level",
                )
            ],
        ),
    ],
)
def test_mistakes_are_found_without_loading(questions, source, mistakes):
    assert source.check(questions) == mistakes


def test_the_local_files_of_a_source_are_known(questions):
    assert ProblemsSource(path="math.jsonl").inputs(questions) == [questions / "math.jsonl"]
    assert ProblemsSource(path=".").inputs(questions) == [questions / "math.jsonl"]
    assert ProblemsSource(path="owner/name").inputs(questions) == []
    assert ProblemsSource(tiny="train", count=1).inputs(questions) == []


def test_sources_import_nothing_heavy():
    heavy = "{'torch', 'trl', 'datasets', 'transformers'}"
    code = f"import sys, magistral_recipe.data.sources; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# ------------------------------------------------------------------------------- generated, and the example


def test_the_embedded_problems_and_traces_load(tmp_path):
    for split in ("train", "heldout"):
        source = ProblemsSource(tiny=split, count=20, skip=5, seed=3)
        result = load_problems(source, tmp_path, tmp_path / "aside.jsonl")
        assert (len(result.rows), result.set_aside) == (20, 0)
        whole = load_problems(ProblemsSource(tiny=split, count=25, seed=3), tmp_path, tmp_path / "aside.jsonl")
        assert result.rows == whole.rows[5:]
    traces = load_traces(
        TracesSource(tiny=True, count=300), tmp_path, tmp_path / "aside.jsonl", Thinking("[T]", "[/T]")
    )
    assert (len(traces.rows), traces.set_aside) == (300, 0)
    assert sum(row.completion.startswith("[T]") for row in traces.rows) > 250


@pytest.mark.parametrize(
    ("completion", "said"),
    [
        ("no tags", "expected exactly one '<think>' in front and one '</think>'"),
        ("<think>t</think><think>t</think>a", "expected exactly one"),
        ("<think> </think>a", "no thoughts between the tags"),
        ("<think>t</think> ", "no answer after '</think>'"),
    ],
)
def test_traces_of_a_file_are_held_against_the_recipes_tags(tmp_path, completion, said):
    good = {"problem": "p", "completion": "<think>t</think>a"}
    (tmp_path / "t.jsonl").write_bytes(encoded(good, {"problem": "p", "completion": completion}))

    def load_with(thinking: Thinking | None, **options) -> LoadResult:
        source = TracesSource(path="t.jsonl", **options)
        return load_traces(source, tmp_path, tmp_path / "aside.jsonl", thinking)

    assert load_with(Thinking()).set_aside == 1
    assert said in aside(tmp_path)[0]["reason"]
    assert load_with(None).set_aside == 0
    assert load_with(Thinking(), malformed="keep").set_aside == 0


OPEN_THOUGHTS = "<|begin_of_thought|>\n\nt1\n\nt2\n\n<|end_of_thought|>\n\n"
OPEN_THOUGHTS += "<|begin_of_solution|>\n\nIt is \\boxed{4}.\n\n<|end_of_solution|>"


@pytest.mark.parametrize(
    ("completion", "thoughts", "response"),
    [
        (OPEN_THOUGHTS, "t1\n\nt2", "It is \\boxed{4}."),
        ("<think>\nt\n</think>\na", "t", "a"),
        ("<reasoning>t</reasoning><answer>a</answer>", "t", "a"),
        ("◁think▷t◁/think▷a <answer>b</answer>", "t", "a <answer>b</answer>"),
        (OPEN_THOUGHTS.removesuffix("\n\n<|end_of_solution|>"), "t1\n\nt2", "It is \\boxed{4}."),
        ("\ufeff<think>\nt\n</think>\na<|im_end|>\n", "t", "a"),
        ("<thinking>t</thinking><output>a</output>", "t", "a"),
        (
            "<|channel|>analysis<|message|>t<|end|><|start|>assistant<|channel|>final<|message|>a<|return|>",
            "t",
            "a",
        ),
    ],
)
def test_the_tags_of_well_known_sets_become_the_recipes(tmp_path, completion, thoughts, response):
    turns = [{"from": "user", "value": "p"}, {"from": "assistant", "value": completion}]
    (tmp_path / "t.jsonl").write_bytes(encoded({"system": "s", "conversations": turns}))
    tags = Thinking("[THINK]", "[/THINK]")
    assert TracesSource(path="t.jsonl").check(tmp_path) == []
    result = load_traces(TracesSource(path="t.jsonl"), tmp_path, tmp_path / "aside.jsonl", tags)
    (row,) = result.rows
    assert row.text(tags) == tags.join(thoughts, response)
    assert result.set_aside == 0


def test_what_ends_a_turn_goes_from_the_recipes_own_traces_too(tmp_path):
    rows = [
        {"problem": "p", "completion": "<think>t</think>a<｜end▁of▁sentence｜>"},
        {"problem": "q", "thoughts": "t", "response": "a<|eot_id|>"},
        {"problem": "r", "thoughts": "t", "response": "</s>"},  # nothing else would be left
    ]
    (tmp_path / "t.jsonl").write_bytes(encoded(*rows))
    result = load_traces(TracesSource(path="t.jsonl"), tmp_path, tmp_path / "aside.jsonl", Thinking())
    assert [row.completion or row.response for row in result.rows] == ["<think>t</think>a", "a", "</s>"]


@pytest.mark.parametrize(
    "completion",
    [
        "<think>t</think>a <|begin_of_thought|>",
        "[THINK]t <think>t</think>a",
        "<think>t</think><think>t</think>a",
        "<think> </think>a",
        "some words <think>t</think>a",
        "<steps>t</steps>a",
    ],
)
def test_other_texts_are_held_against_the_recipes_tags_as_they_are(tmp_path, completion):
    good = {"problem": "p", "completion": "[THINK]t[/THINK]a"}
    (tmp_path / "t.jsonl").write_bytes(encoded(good, {"problem": "p", "completion": completion}))
    tags = Thinking("[THINK]", "[/THINK]")
    result = load_traces(TracesSource(path="t.jsonl"), tmp_path, tmp_path / "aside.jsonl", tags)
    wrapped = completion.startswith("<think>t</think>a")
    assert result.set_aside == (0 if wrapped else 1)
    assert result.rows[0].completion == "[THINK]t[/THINK]a"
    kept = load_traces(TracesSource(path="t.jsonl", malformed="keep"), tmp_path, tmp_path / "aside.jsonl", tags)
    assert [row.completion for row in kept.rows] == ["[THINK]t[/THINK]a", completion]


def test_a_split_names_one_of_several_lists_of_a_json_file(tmp_path):
    rows = {"train": [json.loads(encoded(line(n))) for n in (1, 2)], "test": [json.loads(encoded(line(3)))], "n": 3}
    (tmp_path / "t.json").write_text(json.dumps(rows))

    def count(split: str | None) -> int:
        source = ProblemsSource(path="t.json", split=split)
        return len(load_problems(source, tmp_path, tmp_path / "aside.jsonl").rows)

    assert (count("train"), count("test")) == (2, 1)
    with pytest.raises(DataError, match=r"several lists \(train, test\); none of them is 'dev'"):
        count("dev")
    with pytest.raises(DataError, match="name one with `split`"):
        count(None)


def test_several_traces_of_one_problem_are_kept_and_the_same_one_twice_is_not(tmp_path):
    rows = [{"problem": "p", "id": 1, "completion": f"<think>t</think>{n}"} for n in (1, 2, 1)]
    (tmp_path / "t.jsonl").write_bytes(encoded(*rows))
    result = load_traces(TracesSource(path="t.jsonl"), tmp_path, tmp_path / "aside.jsonl", Thinking())
    assert (len(result.rows), dict(result.reasons)) == (2, {"duplicate": 1})


def test_the_example_data_load_with_their_columns_mapped(tmp_path):
    columns = {"id": "nr", "problem": "question", "answer": "solution"}
    more = {"language": "lang", "category": "topic", "difficulty": "level"}
    source = ProblemsSource(path="data/problems.jsonl", columns={**columns, **more}, max_characters=2000)
    assert source.check(EXAMPLES) == []
    problems = load_problems(source, EXAMPLES, tmp_path / "aside.jsonl")
    assert (len(problems.rows), problems.set_aside) == (96, 8)
    assert set(problems.reasons) == {
        *("bad JSON", "missing column", "empty value", "wrong type"),
        *("invalid UTF-8", "too long", "duplicate"),
    }
    worked = {"problem": "question", "thoughts": "reasoning", "response": "reply", "language": "lang"}
    source = TracesSource(path="data/traces.jsonl", columns=worked)
    assert source.check(EXAMPLES) == []
    traces = load_traces(source, EXAMPLES, tmp_path / "aside.jsonl", Thinking())
    assert (len(traces.rows), traces.set_aside) == (160, 4)
    assert {row.language for row in traces.rows} == {row.language for row in problems.rows} == {"en", "fr"}
    assert {row.problem for row in traces.rows}.isdisjoint(row.problem for row in problems.rows)


def test_the_sources_in_the_documentation_are_valid():
    from ruamel.yaml import YAML

    page = (EXAMPLES.parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    document = YAML(typ="safe").load(re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1])
    sources = {name: ProblemsSource(**keys) for name, keys in document["problems"].items()}
    assert set(sources) == {"train", "gsm", "sums", "tiny"}
    for name, source in sources.items():
        mistaken = ["path"] if name in ("train", "heldout") else []  # files that a reader would have
        assert [key for key, _ in source.check(EXAMPLES)] == mistaken
