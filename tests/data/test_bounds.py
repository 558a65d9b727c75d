"""Rows that say two things under one name are told, and what is set aside is bounded."""

from __future__ import annotations

import json

import pytest

from magistral_recipe.data import quarantine, readers
from magistral_recipe.data.fields import Code
from magistral_recipe.data.quarantine import Quarantine
from magistral_recipe.data.readers import BadRow, Place, RawRow, read_rows
from magistral_recipe.errors import DataError

GOOD = '{"problem": "1+1", "answer": "2"}'
TWICE = [
    ('{"problem": "1+1", "answer": "2", "answer": "3"}', "answer"),
    ('{"problem": "1+1", "answer": "2", "answer": "2"}', "answer"),
    ('{"problem": "1+1", "tests": {"type": "stdio", "type": "call"}}', "type"),
    ('{"messages": [{"role": "user", "content": "a", "content": "b"}]}', "content"),
    ('{"a": 1, "\\u0061": 2}', "a"),
]


@pytest.mark.parametrize(("row", "key"), TWICE)
@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_a_key_that_stands_twice_is_told_and_its_row_set_aside(tmp_path, row, key, ending):
    file = tmp_path / f"rows.{ending}"
    file.write_text(f"{GOOD}\n{row}\n{GOOD}\n" if ending == "jsonl" else f"[{GOOD}, {row}, {GOOD}]")
    first, second, third = read_rows(file, file.name)
    assert isinstance(first, RawRow)
    assert isinstance(third, RawRow)
    assert first.value == third.value == json.loads(GOOD)
    assert isinstance(second, BadRow)
    assert (second.code, second.reason) == (Code.BAD_JSON, f"the key '{key}' stands twice in one object")


def test_a_document_with_two_lists_of_one_name_is_refused(tmp_path):
    file = tmp_path / "rows.json"
    file.write_text(f'{{"rows": [{GOOD}], "rows": []}}')
    with pytest.raises(DataError, match="the key 'rows' stands twice"):
        list(read_rows(file, file.name))


def test_an_object_that_says_one_thing_is_as_it_was():
    assert type(readers._object([("a", 1), ("b", 2)])) is dict


def test_what_is_set_aside_is_counted_whole_and_kept_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(quarantine, "KEPT", 3)
    file = tmp_path / "set-aside.jsonl"
    with Quarantine(file) as aside:
        for number in range(10):
            aside.add(
                Place("rows", "line", number), Code.EMPTY if number < 9 else Code.MISSING, "no words", "x" * 10**6
            )
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line.get("line") for line in lines] == [0, 1, 2, None]
    assert lines[-1] == {"not_kept": 7, "reasons": {"empty value": 9, "missing column": 1}}
    assert (aside.count, file.stat().st_size < 4000) == (10, True)
    with Quarantine(file) as aside:
        aside.add(Place("rows", "line", 1), Code.EMPTY, "no words", "")
    assert len(file.read_text().splitlines()) == 1


def test_the_bound_is_some_megabytes():
    assert quarantine.KEPT * (quarantine._EXCERPT + 200) < 10**7
