"""What a translation must keep: right ones that stay, by hand in six languages, and what each fault is told as."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from magistral_recipe.curation import survival
from magistral_recipe.curation.survival import find_loss, says_enough

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "cases" / "translations.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['language']}-{case['translated'][:30]}")
def test_a_right_translation_survives_and_a_wrong_one_is_told_what_it_lost(case):
    loss = find_loss(case["original"], case["translated"], case["language"])
    assert (loss.reason if loss else None) == case["loss"]


def test_every_reason_has_a_case():
    told = {
        *(survival.NUMBERS, survival.FORMULAS, survival.SIGNS, survival.LANGUAGE, survival.LEFT, survival.QUESTION),
        *(survival.LENGTH, survival.SAME, survival.EMPTY, survival.TALK, survival.SHORTER),
        survival.OPPOSITE,
    }
    assert {case["loss"] for case in CASES} == told | {None}
    assert len(CASES) == 118


def test_what_exactly_is_said():
    loss = find_loss(CASES[0]["original"], CASES[0]["translated"].replace("3,50", "7,25"), "fr")
    assert loss.detail == "lost: 3.5; added: 7.25"


def test_a_problem_of_a_word_or_two_is_none_to_translate():
    assert not says_enough("Calculate $3 + 4$.")
    assert says_enough(CASES[0]["original"])
