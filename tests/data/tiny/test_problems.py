"""The embedded problems and traces: exact answers, a split by numbers, flaws that are habits."""

import re
from collections import Counter
from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistral_recipe.data import tiny
from magistral_recipe.data.tiny import rows
from magistral_recipe.data.tiny.arithmetic import OPERATIONS, Exercise, work
from magistral_recipe.data.tiny.corpus import documents
from magistral_recipe.data.tiny.language import LANGUAGES, ramble, wordings
from magistral_recipe.writing.thinking import Thinking

CLEAN = tiny.Flaws(forget=0, slip=0, malformed=0, foreign=tuple((language, 0.0) for language in LANGUAGES))


def numbers(text: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", text)]


def expected(category: str, row: dict) -> int:
    """The answer from the numbers in the row's identifier, by the operation's definition."""
    a, b, *rest = (int(part) for part in row["id"].split("/")[3].split("-"))
    return {"addition": a + b, "subtraction": a - b, "multiplication": a * b}.get(category, a + b - sum(rest))


def unordered(row: dict) -> tuple:
    a, b, *rest = row["id"].split("/")[3].split("-")
    return row["category"], *((a, b) if row["category"] == "subtraction" else sorted((a, b))), *rest


@pytest.fixture(scope="module")
def heldout() -> list[dict]:
    return tiny.problems("heldout", 600)


@pytest.fixture(scope="module")
def train() -> list[dict]:
    return tiny.problems("train", 2000)


def test_answers_are_exact(train, heldout):
    assert (len(train), len(heldout)) == (2000, 600)
    for row in train + heldout:
        assert row["answer"] == str(expected(row["category"], row)), row
        assert sorted(numbers(row["problem"])) == sorted(int(part) for part in row["id"].split("/")[3].split("-"))


def test_languages_and_operations_have_equal_shares(heldout):
    cells = Counter((row["category"], row["language"]) for row in heldout)
    assert set(cells) == {(operation, language) for operation in OPERATIONS for language in LANGUAGES}
    assert set(cells.values()) == {600 // 20}


def test_difficulty_has_levels_and_counts_what_moves():
    assert Exercise("addition", (41, 52)).difficulty == 1
    assert Exercise("addition", (47, 38)).difficulty == 2
    assert Exercise("multiplication", (7, 48)).difficulty == 4
    assert {row["difficulty"] for row in tiny.problems("train", 200)} == {1.0, 2.0, 3.0, 4.0}


def test_no_number_is_shared_between_train_and_heldout(train, heldout):
    seen = {unordered(row) for row in [*train, *tiny.traces(3000)]}
    assert not seen & {unordered(row) for row in heldout}
    assert Exercise("addition", (47, 38)).split == Exercise("addition", (38, 47)).split


def test_heldout_share_of_all_exercises():
    products = [Exercise("multiplication", (a, b)) for a in range(2, 10) for b in range(11, 100)]
    share = sum(exercise.split == "heldout" for exercise in products) / len(products)
    assert 0.08 < share < 0.16


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_kind_has_new_wordings_that_only_heldout_problems_use(language, operation, train, heldout):
    def numberless(rows: list[dict]) -> set[str]:
        rows = [row for row in rows if (row["language"], row["category"]) == (language, operation)]
        return {re.sub(r"\d+", "#", row["problem"]) for row in rows}

    new = {re.sub(r"\{\w\}", "#", wording) for wording in wordings(language, operation, new=True)}
    assert new
    known, held_new, held_known = (
        numberless(rows)
        for rows in (train, *([row for row in heldout if row["source"] == s] for s in ("tiny/new-wording", "tiny")))
    )
    assert known
    assert held_new
    assert held_known
    assert not new & known
    assert held_new <= new
    assert not new & held_known


def test_lists_are_reproducible_and_a_longer_one_begins_with_the_shorter():
    assert tiny.problems("train", 50, seed=3) == tiny.problems("train", 80, seed=3)[:50]
    assert tiny.problems("train", 50, seed=3) != tiny.problems("train", 50, seed=4)
    assert tiny.traces(20, seed=3) == tiny.traces(30, seed=3)[:20]
    assert len({row["id"] for row in tiny.problems("train", 1000)}) == 1000


def test_impossible_requests_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="'test'"):
        tiny.problems("test", 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="negative"):
        tiny.problems("train", -1)
    monkeypatch.setattr(rows, "LANGUAGES", ("en",))
    monkeypatch.setattr(rows, "OPERATIONS", ("multiplication",))
    monkeypatch.setattr(rows, "NEW_WORDING_SHARE", 1.0)
    with pytest.raises(ValueError, match="there are no 1000 different heldout problems"):
        tiny.problems("heldout", 1000)


two_digits = st.integers(11, 99)


@given(
    st.one_of(
        st.builds(lambda a, b: Exercise("addition", (a, b)), two_digits, two_digits),
        st.builds(lambda a, b: Exercise("subtraction", (max(a, b), min(a, b))), two_digits, two_digits),
        st.builds(lambda a, b: Exercise("multiplication", (a, b)), st.integers(2, 9), two_digits),
    )
)
def test_working_without_mistakes_reaches_the_answer_by_true_sums(exercise):
    working = work(exercise)
    assert working.result == exercise.answer
    for equation in f"{working.units}, {working.tens}".split(", "):
        left, right = equation.replace("×", "*").split("=")
        assert eval(left) == int(right)


@pytest.mark.parametrize(
    ("exercise", "forgotten"),
    [
        (Exercise("addition", (47, 38)), 75),
        (Exercise("addition", (41, 38)), 79),  # nothing to forget
        (Exercise("subtraction", (82, 47)), 45),
        (Exercise("add_subtract", (47, 38, 21)), 54),
        (Exercise("multiplication", (7, 48)), 286),
    ],
)
def test_a_forgotten_carry_or_borrow_spoils_the_tens_alone(exercise, forgotten):
    assert work(exercise, forget=True).result == forgotten


def test_clean_traces_are_well_formed_and_right():
    traces = tiny.traces(300, flaws=CLEAN)
    assert len(traces) == 300
    for row in traces:
        split = Thinking().split(row["completion"])
        assert split.well_formed, row
        assert re.findall(r"\\boxed\{(\d+)\}", split.answer) == [row["answer"]]


@pytest.mark.parametrize("thinking", [Thinking("[THINK]", "[/THINK]"), Thinking(opened_by_prompt=True)])
def test_traces_use_the_tags_that_they_are_given(thinking):
    traces = tiny.traces(200, thinking=thinking)
    share = sum(thinking.split(row["completion"]).well_formed for row in traces) / len(traces)
    assert 0.9 < share < 1


def test_flaws_come_in_the_stated_shares():
    traces = tiny.traces(4000)
    answers = [(row, Thinking().split(row["completion"]).answer) for row in traces]
    boxes = [(row, re.findall(r"\\boxed\{(\d+)\}", answer)) for row, answer in answers if answer is not None]
    formatted = [(row, box[0]) for row, box in boxes if len(box) == 1]
    assert 0.92 < len(formatted) / len(traces) < 0.96
    moved = [(row, box) for row, box in formatted if row["difficulty"] in (2.0, 4.0)]
    assert 0.25 < sum(row["answer"] == box for row, box in moved) / len(moved) < 0.55
    german = [row for row in traces if row["language"] == "de"]
    assert 0.35 < sum("units" in row["completion"] for row in german) / len(german) < 0.53
    english = [row for row in traces if row["language"] == "en"]
    assert sum("units" in row["completion"] for row in english) / len(english) > 0.9


def test_corpus_is_plain_right_and_free_of_heldout_material():
    new = [
        re.sub(r"\\\{\w\\\}", r"\\d+", re.escape(wording))
        for language in LANGUAGES
        for operation in OPERATIONS
        for wording in wordings(language, operation, new=True)
    ]
    texts = list(islice(documents("test"), 400))
    assert len(texts) == 400
    assert len(new) >= len(LANGUAGES) * len(OPERATIONS) == 20
    equations = 0
    for text in texts:
        assert not re.search(r"<|boxed|\|>|\[/?THINK", text), text
        for equation in re.findall(r"\d+(?:[-+×]\d+)+=\d+", text):
            left, right = equation.replace("×", "*").split("=")
            assert eval(left) == int(right), text
            equations += 1
    assert equations > 100
    joined = "\n".join(texts)
    assert not [pattern for pattern in new if re.search(pattern, joined)]


def test_filler_words_change_neither_the_words_nor_the_numbers_that_were_there():
    problem = "Take 41, add 52 and then subtract 13."
    rambled = {ramble(problem, "en", Random(seed)) for seed in range(200)}
    assert problem in rambled
    assert len(rambled) > 50
    for text in rambled:
        rest = iter(text.split(" "))
        assert all(word in rest for word in problem.split(" ")), text
