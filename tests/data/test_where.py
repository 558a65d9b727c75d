"""Choosing rows by their columns: `where`."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from magistral_recipe.data.sources import LoadResult, ProblemsSource, TracesSource, load_problems, load_traces
from magistral_recipe.errors import DataError

ROWS = [
    {"problem": "a", "answer": 1, "lang": "fr", "meta": {"level": 5, "ok": True}, "topics": ["algebra", "sums"]},
    {"problem": "b", "answer": 2, "lang": "es", "meta": {"level": 4, "ok": False}, "topics": ["sums"]},
    {"problem": "c", "answer": 3, "lang": "en", "meta": {"level": 5, "ok": True}, "topics": []},
    {"problem": "d", "answer": None, "lang": "fr", "meta": {"level": None, "ok": None}, "topics": None},
]


def load(folder: Path, ending: str = "jsonl", **where) -> LoadResult:
    path = folder / f"rows.{ending}"
    if ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    source = ProblemsSource(path=path.name, where=where)
    assert source.check(folder) == []
    return load_problems(source, folder, None)


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("where", "kept", "passed_over", "set_aside"),
    [
        ({"lang": ["fr", "es"]}, "ab", 1, 1),
        ({"lang": "en"}, "c", 3, 0),
        ({"lang": ["fr", "en"], "meta.level": 5}, "ac", 2, 0),
        ({"meta.level": "5"}, "ac", 2, 0),
        ({"meta.ok": True}, "ac", 2, 0),
        ({"meta.ok": "false"}, "b", 3, 0),
        ({"topics": "sums"}, "ab", 2, 0),
        ({"lang": "es", "topics": ["algebra", "sums"]}, "b", 3, 0),
        ({}, "abc", 0, 1),
    ],
)
def test_rows_are_chosen_by_their_columns_and_the_others_counted(tmp_path, ending, where, kept, passed_over, set_aside):
    result = load(tmp_path, ending, **where)
    assert "".join(row.problem for row in result.rows) == kept
    assert (result.passed_over, result.set_aside) == (passed_over, set_aside)
    assert result.read == len(kept) + set_aside


def test_the_summary_counts_them_apart(tmp_path):
    assert load(tmp_path, lang=["fr", "es"]).summary() == (
        "rows.jsonl: 2 rows; 1 passed over; 1 of 3 set aside (1 empty value)"
    )


def test_count_and_skip_count_the_wanted_rows(tmp_path):
    load(tmp_path)
    source = ProblemsSource(path="rows.jsonl", where={"meta.level": 5}, skip=1, count=1)
    assert [row.problem for row in load_problems(source, tmp_path, None).rows] == ["c"]


def test_nothing_left_says_that_all_are_passed_over(tmp_path):
    with pytest.raises(DataError, match=r"rows\.jsonl: no rows; all 4 are passed over \(see `where`\)"):
        load(tmp_path, lang="de")


def test_an_unknown_column_is_a_mistake_with_the_nearest(tmp_path, monkeypatch):
    load(tmp_path)
    source = ProblemsSource(path="rows.jsonl", where={"language": "fr"})
    assert source.check(tmp_path) == [("where.language", "no column 'language'. Did you mean 'lang'?")]
    source = ProblemsSource(path="rows.jsonl", where={"xyz": "fr"})
    columns = "problem, answer, lang, meta, meta.level, meta.ok, topics"
    assert source.check(tmp_path) == [("where.xyz", f"no column 'xyz'; its columns: {columns}")]
    with pytest.raises(DataError, match=r"rows\.jsonl: where\.xyz: no column 'xyz'"):
        load_problems(source, tmp_path, None)
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: iter(ROWS))
    source = ProblemsSource(path="owner/name", where={"language": "fr"})
    assert source.check(tmp_path) == []  # its columns are not here yet
    assert source.check_rows(source.rows(tmp_path), tmp_path) == [
        ("where.language", "no column 'language'. Did you mean 'lang'?")
    ]
    with pytest.raises(DataError, match=r"owner/name: where\.language: no column 'language'\. Did you mean 'lang'\?"):
        load_problems(source, tmp_path, None)


def test_it_goes_with_rows_of_a_file_alone(tmp_path):
    assert ProblemsSource(tiny="train", count=1, where={"a": 1}).check(tmp_path) == [("where", "goes with 'path' only")]
    assert TracesSource(tiny=True, count=1, where={"a": 1}).check(tmp_path) == [("where", "goes with 'path' only")]
    assert ProblemsSource(benchmark="gsm8k", where={"a": 1}).check(tmp_path) == [
        ("where", "doesn't go with 'benchmark', whose columns are known")
    ]


def test_traces_are_chosen_in_the_same_way(tmp_path):
    rows = [{"problem": "p", "completion": f"<think>t</think>{n}", "grade": grade} for n, grade in enumerate("YNY")]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = load_traces(TracesSource(path="rows.jsonl", where={"grade": "Y"}), tmp_path, None)
    assert ([row.completion[-1] for row in result.rows], result.passed_over) == (["0", "2"], 1)
