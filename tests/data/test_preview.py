"""A set of which most rows would be set aside is a mistake, told before anything is loaded, with the way out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from published_rows import PUBLISHED

from magistral_recipe.data.preview import ROWS
from magistral_recipe.data.readers import read_rows
from magistral_recipe.data.sources import ProblemsSource, TracesSource
from magistral_recipe.writing.thinking import Thinking


def written(folder: Path, rows: list) -> str:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "rows.jsonl").write_text("".join(line + "\n" for line in lines))
    return "rows.jsonl"


def worked(number: int, answer: str) -> dict:
    return {"problem": f"{number}?", "answer": f"We see it at once: for all the reasons above, it is {answer}"}


def test_the_key_that_would_read_the_rows_is_named_with_how_many(tmp_path):
    rows = [worked(n, f"$\\boxed{{{n}}}$.") for n in range(9)] + [{"problem": "x", "answer": ""}]
    source = ProblemsSource(path=written(tmp_path, rows), answer_in="hashes")
    assert source.check(tmp_path) == [
        (
            "path",
            "10 of the first 10 rows would be set aside (10 bad value), the first at rows.jsonl:1: "
            "answer: no '####' in it. With `answer_in: boxed` 9 of 10 would be read",
        )
    ]
    assert source.model_copy(update={"answer_in": "boxed"}).check(tmp_path) == []


def test_a_layout_that_was_mistaken_for_the_user_s_wish_is_named(tmp_path):
    rows = [{"question": f"{n}?", "answer": f"So.\n#### {n}"} for n in range(4)]
    source = ProblemsSource(path=written(tmp_path, rows), answer_in="boxed")
    ((key, message),) = source.check(tmp_path)
    assert key == "path"
    assert message == (
        "4 of the first 4 rows would be set aside (4 bad value) by layout 'gsm8k', the first at rows.jsonl:1: answer: "
        "no closed \\boxed{} in it. With `answer_in: hashes` 4 of 4 would be read"
    )


def test_columns_that_happen_to_have_our_names_are_named_together(tmp_path):
    rows = [{"problem": f"{n}?", "answer": n, "difficulty": "easy", "language": "English"} for n in range(4)]
    ((_, message),) = ProblemsSource(path=written(tmp_path, rows)).check(tmp_path)
    assert message.endswith("With `columns: {language: null, difficulty: null}` 4 of 4 would be read")


def test_without_a_key_that_helps_the_keys_that_may_are_named(tmp_path):
    rows = [{"problem": f"{n}?", "answer": None} for n in range(4)]
    ((_, message),) = ProblemsSource(path=written(tmp_path, rows)).check(tmp_path)
    assert message.endswith(
        "the first at rows.jsonl:1: answer: is empty, and a problem of kind 'math' needs it. `columns:` says where "
        "each field stands, `layout:` names a published layout, and `answer_in:` where in it the answer is"
    )


def test_traces_without_the_recipes_tags_are_a_mistake_where_the_tags_are_known(tmp_path):
    rows = [{"problem": f"{n}?", "completion": f"<steps>s</steps>{n}"} for n in range(4)]
    source = TracesSource(path=written(tmp_path, rows))
    ((key, message),) = source.check(tmp_path, Thinking())
    assert key == "path"
    assert message == (
        "4 of the first 4 rows would be set aside (4 bad thinking tags), the first at rows.jsonl:1: expected exactly "
        "one '<think>' in front and one '</think>'. `columns:` says where thoughts and response stand, `layout:` names "
        "a published layout, and `malformed: keep` trains on them as they are"
    )
    assert source.check(tmp_path) == []
    assert source.model_copy(update={"malformed": "keep"}).check(tmp_path, Thinking()) == []


def test_rows_of_a_set_without_thoughts_are_told_though_they_have_messages(tmp_path):
    path = written(tmp_path, PUBLISHED["numinamath_cot"].rows)
    ((_, message),) = TracesSource(path=path).check(tmp_path, Thinking())
    assert message.startswith("3 of the first 3 rows would be set aside (3 bad thinking tags)")


@pytest.mark.parametrize(("bad", "mistaken"), [(49, False), (50, False), (51, True)])
def test_more_than_half_is_most(tmp_path, bad, mistaken):
    rows = [{"problem": f"{n}?", "answer": n} for n in range(100 - bad)] + [{"problem": "x", "answer": ""}] * bad
    assert bool(ProblemsSource(path=written(tmp_path, rows)).check(tmp_path)) is mistaken


def test_lines_that_cannot_be_read_count_and_duplicates_do_not(tmp_path):
    good = {"problem": "1?", "answer": 1}
    assert ProblemsSource(path=written(tmp_path, [good] * 10)).check(tmp_path) == []
    ((_, message),) = ProblemsSource(path=written(tmp_path, ["{", "{", good])).check(tmp_path)
    assert message.startswith("2 of the first 3 rows would be set aside (2 bad JSON), the first at rows.jsonl:1: ")


def test_only_the_wanted_rows_of_the_first_few_hundred_count(tmp_path):
    good = [{"problem": f"{n}?", "answer": n, "lang": "fr"} for n in range(10)]
    bad = [{"problem": "x", "answer": "", "lang": "de"}] * (ROWS - 10)
    path = written(tmp_path, good + bad)
    assert ProblemsSource(path=path, where={"lang": "fr"}).check(tmp_path) == []
    ((_, message),) = ProblemsSource(path=path).check(tmp_path)
    assert message.startswith("290 of the first 300 rows would be set aside")
    late = [{"problem": f"{n}?", "answer": n} for n in range(ROWS)] + [{"problem": "x", "answer": ""}] * 5000
    assert ProblemsSource(path=written(tmp_path, late)).check(tmp_path) == []


def test_other_mistakes_go_before(tmp_path):
    rows = [{"problem": f"{n}?", "answer": ""} for n in range(4)]
    source = ProblemsSource(path=written(tmp_path, rows), columns={"answer": "anwser"})
    assert source.check(tmp_path) == [("columns.answer", "no column 'anwser'. Did you mean 'answer'?")]


def test_rows_from_anywhere_can_be_previewed(tmp_path):
    written(tmp_path, PUBLISHED["openthoughts"].rows)
    source = TracesSource(path="open-thoughts/OpenThoughts-114k")
    assert source.check(tmp_path, Thinking()) == []  # nothing is fetched

    def rows():
        return read_rows(tmp_path / "rows.jsonl", "open-thoughts/OpenThoughts-114k")

    assert source.check_rows(rows(), tmp_path, Thinking()) == []
    found = source.preview(rows(), tmp_path, Thinking())
    assert (found.layout, found.read, found.set_aside, found.mostly_set_aside) == ("openthoughts", 3, 1, False)
    assert found.summary() == "1 of the first 3 rows would be set aside (1 bad thinking tags)"
    assert found.first is not None
    assert str(found.first[0]) == "open-thoughts/OpenThoughts-114k:3"
    problems = ProblemsSource(path="open-thoughts/OpenThoughts-114k")
    ((key, message),) = problems.check_rows(rows(), tmp_path)
    assert (key, "it is for traces" in message) == ("path", True)
    assert problems.preview(rows(), tmp_path).set_aside == 3
