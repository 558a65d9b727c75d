"""The funnel: files that a kill can't spoil, counts that add up, rows that are read one at a time."""

from __future__ import annotations

import json

import pytest
from killed import killed_everywhere

from magistral_recipe.curation.clean import clean
from magistral_recipe.curation.duplicates import deduplicate
from magistral_recipe.curation.funnel import Count, Funnel
from magistral_recipe.curation.rows import Dropped, Row, RowFile
from magistral_recipe.data.problems import Problem
from magistral_recipe.errors import DataError

ROWS = [Row(Problem(id=str(n), problem=f"What is {n % 4} + 1?", answer=str(n % 4 + 1)), {"note": n}) for n in range(9)]


def work(folder):
    funnel = Funnel(folder)
    funnel.start("loaded", ROWS, aside=lambda: {"bad JSON": 2})
    funnel.run("clean", lambda rows: clean(rows))
    funnel.run("duplicates", lambda rows: deduplicate(rows, folder=folder))
    return funnel


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix in (".json", ".jsonl")}


def test_steps_are_kept_and_counted(tmp_path):
    funnel = work(tmp_path)
    assert [count.line() for count in funnel.counts] == [
        "loaded: 11 → 9 (2 bad JSON)",
        "clean: 9 → 9",
        "duplicates: 9 → 4 (5 the same words)",
    ]
    assert [row.notes for row in funnel.rows] == [{"note": n} for n in range(4)]
    step, reason, rows = next(funnel.examples())
    assert (step, reason, len(rows)) == ("duplicates", "the same words", 3)
    assert rows[0]["dropped"]["repeats"] == "0"


def test_rows_that_get_lost_are_an_error(tmp_path):
    funnel = Funnel(tmp_path)
    funnel.start("loaded", ROWS)
    with pytest.raises(ValueError, match="9 rows in and 0 added, but 8 out and 0 dropped"):
        funnel.run("leaky", lambda rows: list(rows)[1:])
    with pytest.raises(ValueError, match="step 'x'"):
        Count("x", 3, 1, {"gone": 1})


def test_a_killed_funnel_goes_on_and_leaves_the_same_bytes(tmp_path):
    work(tmp_path / "whole")
    whole, places = contents(tmp_path / "whole"), iter(range(1000))
    count = 0
    for told, place in killed_everywhere(lambda: tmp_path / f"killed-{next(places)}", work):
        work(place)
        assert contents(place) == whole, told
        count += 1
    assert count > 20


@pytest.mark.parametrize("name", ["00-loaded.jsonl", "01-clean.jsonl", "02-duplicates.dropped.jsonl"])
@pytest.mark.parametrize("harm", ["a flipped bit", "gone", "half of it"])
def test_a_step_whose_files_are_not_what_was_written_is_told_and_run_again(tmp_path, caplog, name, harm):
    work(tmp_path)
    whole, file = contents(tmp_path), tmp_path / name
    data = file.read_bytes()
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(data[: len(data) // 2] if harm == "half of it" else bytes([data[0] ^ 1]) + data[1:])
    funnel = work(tmp_path)
    assert contents(tmp_path) == whole
    assert len(funnel.counts) == 3
    (record,) = caplog.records
    assert f"step '{name[3:].partition('.')[0]}' is run again: {name} " in record.getMessage()


@pytest.mark.parametrize("held", ["[]", "5", '"x"', '{"name": "clean"}', '{"files": 3}', "half", '{"hashes": []}'])
def test_a_steps_record_of_another_type_is_none(tmp_path, held):
    work(tmp_path)
    whole = contents(tmp_path)
    (tmp_path / "01-clean.json").write_text(held)
    assert not Funnel(tmp_path).holds("clean")
    work(tmp_path)
    assert contents(tmp_path) == whole
    assert Funnel(tmp_path).holds("clean")


@pytest.mark.parametrize("noted", [{"files": 3}, {"files": {"01-clean.jsonl": "x"}}, {"files": {}, "hashes": 3}])
def test_so_is_a_note_of_its_files_of_another_type(tmp_path, noted):
    work(tmp_path)
    whole, record = contents(tmp_path), tmp_path / "01-clean.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | noted))
    work(tmp_path)
    assert contents(tmp_path) == whole


def test_a_file_of_rows_is_read_where_it_is_asked(tmp_path):
    funnel = work(tmp_path)
    rows = RowFile(tmp_path / "00-loaded.jsonl")
    assert list(rows) == ROWS
    assert [rows[8], rows[0], *rows[2:4]] == [ROWS[8], ROWS[0], ROWS[2], ROWS[3]]
    assert json.loads(json.dumps(Dropped(ROWS[0], "why").as_json()))["dropped"] == {"reason": "why"}
    with (tmp_path / "00-loaded.jsonl").open("a") as stream:
        stream.write("{}\n")
    with pytest.raises(DataError, match=r"00-loaded\.jsonl:10: not a row of curation"):
        list(RowFile(tmp_path / "00-loaded.jsonl"))
    assert funnel.counts[0].rows_in == 11
