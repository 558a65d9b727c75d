"""What a training set shares with an evaluation: by id, word for word, in most words; and the claim made of it."""

from __future__ import annotations

import pytest

from magistral_recipe.data.overlap import SCORES_KEY, Shared, is_held_out, shared_problems, told_shared
from magistral_recipe.data.problems import Problem

TOLD = "There are 30 sheep in the yard and 12 more behind the old barn near the river, how many sheep are there in all"


def problem(text: str, id: str = "") -> Problem:
    return Problem(problem=text, answer="1", id=id)


def test_each_problem_is_counted_once_by_what_gives_it_away():
    train = [
        problem("What is 17 plus 25?", "a"),
        problem("Put your answer in \\boxed{}.\nWhat is 3 plus 4?", "b"),
        problem("Another wording of it", "c"),
        problem(f"{TOLD}?"),
    ]
    evaluation = [
        problem("What is 17 plus 25?", "a"),  # id and text: told as text
        problem("what is 3 plus 4", "x"),
        problem("Quite other words", "c"),
        problem(f"{TOLD} today?"),
        problem("What is 17 plus 26?", "new"),
    ]
    shared = shared_problems("'mine'", train, evaluation)
    assert (shared.shared, shared.texts, shared.ids, shared.alike) == (4, 2, 1, 1)
    assert shared.line("'heldout'") == (
        "4 of 5 problems of 'heldout' are in 'mine', too (2 word for word, 1 by id, 1 in most words), e.g. 'What is 17 "
        "plus 25?'"
    )
    assert Shared.of({**shared.as_dict(), "of a later version": 1}) == shared


def test_plain_numbers_name_rows_of_a_file_and_no_problems_of_another():
    train, evaluation = [problem("What is 1 plus 1?", "1")], [problem("How far is the moon?", "1")]
    assert shared_problems("t", train, evaluation).shared == 0
    assert shared_problems("t", train, evaluation, same_source=True).ids == 1


def test_exercises_of_one_template_with_other_numbers_are_no_overlap():
    text = "A farmer has {} boxes with {} eggs each. How many are there in all?"
    train = [problem(text.format(n, n + 3)) for n in range(2, 200)]
    assert shared_problems("t", train, [problem(text.format(300, 301))]).shared == 0


def test_a_number_at_the_edge_of_a_text_makes_another_problem_and_the_number_that_it_has_in_a_book_does_not():
    text = "{} sweets are shared among 32 children equally. How many does each of them get?"
    train = [problem(text.format(n)) for n in (1152, 864)]
    evaluation = [problem(text.format(96)), problem(f"12. {text.format(864)}")]
    shared = shared_problems("t", train, evaluation)
    assert (shared.shared, shared.alike) == (1, 1)
    assert shared.examples[0].startswith("12. 864 sweets")


@pytest.mark.parametrize(
    ("compared", "held_out"), [(None, None), ([], None), ([0, 0], True), ([0, 1], False), ("nonsense", None)]
)
def test_held_out_is_claimed_only_where_all_were_compared_and_nothing_is_shared(compared, held_out):
    if isinstance(compared, list):
        compared = [Shared("'t'", 9, count, 0, count, 0).as_dict() for count in compared]
    scores = {} if compared is None else {SCORES_KEY: compared}
    assert is_held_out(scores) is held_out
    assert len(told_shared(scores, "'e'")) == (held_out is False)
