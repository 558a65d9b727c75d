"""Answers that speak against a reference, and those that only say it otherwise."""

from __future__ import annotations

from collections import Counter

import pytest

from magistral_recipe.curation.contradiction import contradicts
from magistral_recipe.curation.ratings import Tally, drop_wrong_labels
from magistral_recipe.curation.rows import Dropped, Row
from magistral_recipe.data.problems import Problem

TESTS = '{"type": "stdio", "cases": [{"input": "1", "output": "1"}]}'
CHOICE = "How much is 2+3?\n(A) 4\n(B) 5\n(C) 6"


def problem(answer, question="What is it?"):
    return Problem(id="p", problem=question, answer=answer)


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("1/3", "0.333"),
        ("\\sqrt{2}", "1.41"),
        ("17.3", "10\\sqrt{3}"),
        ("33.3\\%", "\\frac{1}{3}"),
        ("1/3", "33.33\\%"),
        ("3,5", "3.5"),
        ("391", "17 \\cdot 23"),
        ("Tuesday", "On Tuesday"),
        ("isosceles", "an isosceles triangle"),
        ("yes", "True"),
        ("No", "\\text{false}"),
        ("no solution", "\\emptyset"),
        ("no real solutions", "none"),
        ("5:30", "5:30 \\text{ p.m.}"),
        ("7 \\pmod{12}", "7"),
        ("1010_2", "1010"),
        ("(x+1)^2", "x^2+2x+1"),
        ("2,3", "3 \\text{ and } 2"),
        (["4", "5"], "5"),
        ("5", "4 or 5"),  # several answers at once are no vote
    ],
)
def test_the_same_in_another_form_does_not_speak_against_a_reference(reference, answer):
    assert not contradicts(problem(reference), answer)


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("4", "5"),
        ("1/2", "1/3"),
        ("3", "3.14"),
        ("12", "25/2"),
        ("2.5", "12/5"),
        ("0.33", "1/4"),
        ("17", "10\\sqrt{3}"),
        ("yes", "no"),
        ("even", "odd"),
        ("increasing", "not increasing"),
        ("Monday", "Tuesday"),
        ("(1,2)", "(2,1)"),
        ("no solution", "3"),
        ("none", "no"),
        ("x^2", "x^3"),
        ("5:30", "6:30"),
        ("1010_2", "1011_2"),
        ("5 cm", "5 m"),
        ("-2", "2"),
        (["4", "5"], "6"),
    ],
)
def test_another_answer_speaks_against_a_reference(reference, answer):
    assert contradicts(problem(reference), answer)


def test_a_letter_and_what_stands_there_are_one_answer():
    assert not contradicts(problem("B", CHOICE), "5")
    assert not contradicts(problem("5", CHOICE), "\\text{(B)}")
    assert contradicts(problem("B", CHOICE), "6")
    assert contradicts(problem("B", CHOICE), "C")


def test_a_question_that_asks_to_round_is_not_contradicted_by_the_exact_value():
    assert not contradicts(problem("17", "How long is it, to the nearest metre?"), "10\\sqrt{3}")


def test_what_nobody_can_compare_is_no_evidence():
    assert not contradicts(Problem(id="p", problem="Sort a list.", kind="code", tests=TESTS), "4")
    odd = Problem(id="p", problem="What is it?", answer="\\mathcal{F}(\\ast)")
    assert not contradicts(odd, "\\mathcal{F}(\\ast)")


@pytest.mark.parametrize(("answer", "goes"), [("0.333", False), ("0.25", True), ("1/4", True)])
def test_votes_for_another_form_of_the_reference_set_nothing_aside(answer, goes):
    tally = Tally(samples=16, answers=Counter({answer: 14, "7": 2}))
    (found,) = drop_wrong_labels([Row(problem("1/3"))], {"p": tally})
    assert isinstance(found, Dropped) is goes


def test_samples_that_break_the_format_and_say_the_reference_set_nothing_aside():
    """Nothing is paid where the format is broken, so that the right answer is among the wrong ones of the tally."""
    tally = Tally(samples=16, right=0, answers=Counter({"\\frac{1}{3}": 16}))
    (found,) = drop_wrong_labels([Row(problem("1/3"))], {"p": tally})
    assert isinstance(found, Row)
