"""Problems that a text quotes are found in it, whatever stands around them; longer problems are none."""

from __future__ import annotations

import json

import pytest

from magistral_recipe.data.decontaminate import find_overlaps
from magistral_recipe.data.problems import Problem
from magistral_recipe.data.quoted import quoted_sentences

ASKED = "A cellar holds 14 crates with 12 bottles each. Half of the bottles are sold. How many bottles are left?"
OTHER = "A cellar holds 14 crates with 12 bottles each. Half of the bottles are sold. How many bottles are in 3 crates?"


def quotes(text: str) -> list[str]:
    """Texts with another one inside."""
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": text}]
    return [
        json.dumps({"messages": [*turns, {"role": "assistant", "content": "It is 84."}]}),
        json.dumps([{"id": 7, "level": "Level 2", "problem": text, "answer": "84"}]),
        f"Say what is asked, then how to find it.\n<question>{text}</question>\n<hint>Halve 168.</hint>",
        f"Round two is out!\n[quote=marta][b]{text}[/b][/quote]\nI got 84, and you?",
        f"User: Could you help me with 2 things?\n{text}\nAssistant: 14 * 12 = 168, so 84.\nUser: and 84 / 2?",
        f"Sheet 4: products.\n(c) {text}\n(d) Write a problem of your own with 3 numbers.",
    ]


def kinds(text: str) -> list[str]:
    """How a training problem repeats the one that is looked for."""
    train, heldout = [Problem(problem=text, answer="84")], [Problem(problem=ASKED, answer="84")]
    return [overlap.kind for overlap in find_overlaps(train, heldout)]


@pytest.mark.parametrize("place", range(6))
def test_what_is_quoted_is_found(place):
    assert kinds(quotes(ASKED)[place]) == ["contained"]


@pytest.mark.parametrize("place", range(6))
def test_another_problem_in_its_place_is_not(place):
    assert "contained" not in kinds(quotes(OTHER)[place])


def test_what_quotes_nothing_is_not_split():
    assert quoted_sentences(ASKED) == []
    assert quoted_sentences("[" * 50_000) == ["[" * 50_000]
    assert quoted_sentences("{" * 200_000) == []
