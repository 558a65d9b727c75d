"""Data files of a stranger: pipes, devices, bombs and depths are one line, at once."""

from __future__ import annotations

import gzip
import json
import time

import pytest
from tests.helpers.odd_files import KINDS, odd_file

from magistral_recipe.data.readers import BadRow, RawRow, can_peek, read_json_lines, read_rows
from magistral_recipe.data.sources import ProblemsSource, load_problems
from magistral_recipe.errors import DataError
from magistral_recipe.files import read_json, read_text_within, why_no_file


def load(path, **options):
    return load_problems(
        ProblemsSource(path=path.name if path.is_symlink() else str(path), **options), path.parent, None
    )


def raised(action):
    """The error of the user's that an action raises, if it does."""
    try:
        action()
    except DataError as error:
        return error
    return None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.parquet", "a.jsonl.gz", "a.ndjson"])
def test_what_is_no_file_is_not_waited_for(tmp_path, name, kind):
    path = odd_file(tmp_path / name, kind)
    with pytest.raises(DataError, match=r"data: .*expected"):
        list(read_rows(path, "data"))
    with pytest.raises(DataError, match=r"data: .*expected a file"):
        list(read_json_lines(path, "data"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_that_is_no_file_is_one_line(tmp_path, kind):
    path = odd_file(tmp_path / "a.jsonl", kind)
    with pytest.raises(DataError) as raised:
        load(path)
    assert len(raised.value.problems) == 1
    assert str(path) in raised.value.problems[0] or "a.jsonl" in raised.value.problems[0]


def test_a_folder_with_a_pipe_is_read_without_it(tmp_path):
    odd_file(tmp_path / "b.jsonl", "pipe")
    (tmp_path / "a.jsonl").write_text('{"x": 1}\n')
    assert [row.value for row in read_rows(tmp_path, "data")] == [{"x": 1}]


@pytest.mark.parametrize("kind", KINDS)
def test_other_files_are_not_waited_for_either(tmp_path, kind):
    path = odd_file(tmp_path / "a", kind)
    assert why_no_file(path)
    assert read_json(path) is None
    with pytest.raises(OSError, match="expected a file"):
        read_text_within(path, 100)


def test_a_plain_file_is_one(tmp_path):
    (tmp_path / "a").write_text("x" * 100)
    assert why_no_file(tmp_path / "a") is None
    (tmp_path / "b").symlink_to("a")
    assert why_no_file(tmp_path / "b") is None
    assert read_text_within(tmp_path / "b", 100) == "x" * 100
    with pytest.raises(OSError, match="larger than the 99 bytes"):
        read_text_within(tmp_path / "a", 99)
    with pytest.raises(FileNotFoundError):
        read_text_within(tmp_path / "none", 9)
    with pytest.raises(OSError, match="is a folder"):
        read_text_within(tmp_path, 9)
    assert "expected a file" in str(why_no_file(tmp_path))


BOMBS = {
    "blank lines": b"\n" * (16 << 20),
    "one line": b" " * (64 << 20),
    "zeros": b"\0" * (64 << 20),
    "rows": (b'{"x":"' + b"x" * 990 + b'"}\n') * (16 << 10),
    "lines of blanks": (b" " * 1000 + b"\n") * (16 << 10),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_compressed_bomb_is_refused_early(tmp_path, name):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(BOMBS[name], 9))
    started = time.process_time()
    with pytest.raises(DataError, match=r"unpacks to more than 200 times its size|blank lines"):
        for _ in read_rows(path, "data"):
            pass
    assert time.process_time() - started < 10


def test_text_that_packs_well_is_read(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    row = json.dumps({"problem": "What is two and two? " * 20, "answer": "4"}) + "\n"
    path.write_bytes(gzip.compress(row.encode() * 2000))
    assert sum(isinstance(each, RawRow) for each in read_rows(path, "data")) == 2000


def nested(depth: int, mapping: bool) -> str:
    return '{"a":' * depth + "1" + "}" * depth if mapping else "[" * depth + "1" + "]" * depth


@pytest.mark.parametrize("mapping", [True, False])
@pytest.mark.parametrize("depth", [100, 500, 900, 980, 2000, 100_000])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_value_nested_deep_is_a_row_or_a_bad_one(tmp_path, name, depth, mapping):
    path = tmp_path / name
    text = f'{{"problem": "x", "answer": "1", "extra": {nested(depth, mapping)}}}'
    path.write_text(text + "\n" + '{"problem": "y", "answer": "2"}\n' if name == "a.jsonl" else f"[{text}]")
    rows: list[RawRow | BadRow] = []
    error = raised(lambda: rows.extend(read_rows(path, "data")))
    assert error is None or (name == "a.json" and len(error.problems) == 1)
    assert error is not None or len(rows) == (2 if name == "a.jsonl" else 1)
    assert can_peek(path)


@pytest.mark.parametrize("mapping", [True, False])
@pytest.mark.parametrize("depth", [100, 900, 980, 2000])
@pytest.mark.parametrize("columns", [{}, {"answer": "extra.a"}, {"problem": "nothing"}])
def test_a_source_with_such_a_row_says_one_line_at_most(tmp_path, depth, mapping, columns):
    path = tmp_path / "a.jsonl"
    path.write_text(
        f'{{"problem": "x", "answer": "1", "extra": {nested(depth, mapping)}}}\n' + '{"problem": "y", "answer": "2"}\n'
    )
    error = raised(lambda: load(path, columns=columns))
    assert error is None or all(len(problem) < 2000 for problem in error.problems)


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000, "1e" + "9" * 5000, "0." + "9" * 5000, "1" * 4000])
@pytest.mark.parametrize("key", ["answer", "problem", "extra", "difficulty"])
def test_a_number_of_any_length_is_a_row_or_a_bad_one(tmp_path, number, key):
    path = tmp_path / "a.jsonl"
    row = {"problem": '"x"', "answer": '"1"', key: number}
    text = ", ".join(f'"{name}": {value}' for name, value in row.items())
    path.write_text(f'{{{text}}}\n{{"problem": "y", "answer": "2"}}\n')
    assert len(load(path).rows) in (1, 2)
