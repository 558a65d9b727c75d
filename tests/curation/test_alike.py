"""Duplicates and leaks: what is one problem in another dress, and what only looks like it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.curation import duplicates
from magistral_recipe.curation.duplicates import deduplicate
from magistral_recipe.curation.leaks import Heldout, Leaks, drop_leaks
from magistral_recipe.curation.likeness import jaccard, likeness
from magistral_recipe.curation.near import BANDS, ROWS, Signatures, candidates
from magistral_recipe.curation.rows import Dropped, Row
from magistral_recipe.data.problems import Problem

PROBLEM = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)
TESTS = '{"type": "stdio", "cases": [{"input": "1 2", "output": "3"}]}'
ONE = {
    "case and punctuation": PROBLEM.upper().replace(",", " ;"),
    "another name": PROBLEM.replace("Natalia", "Mario").replace(" her ", " his ").replace(" she ", " he "),
    "instructions": f"{PROBLEM} Let's think step by step and output the final answer within \\boxed{{}}.",
    "a preamble": f"Return your final response within \\boxed{{}}. {PROBLEM}",
    "the question first": " ".join(reversed(PROBLEM.split(". "))) + ".",
}
ANOTHER = {
    "a number": PROBLEM.replace("48", "84"),
    "a word that counts": PROBLEM.replace("half", "twice"),
    "another relation": PROBLEM.replace("half as many", "ten more"),
    "another verb": PROBLEM.replace("then she sold", "then she bought"),
    "another question": PROBLEM.replace("How many clips did", "How many more clips did"),
}


def row(problem, answer="72", **fields):
    return Row(Problem(problem=problem, answer=answer, **fields))


@pytest.mark.parametrize("name", ONE)
def test_the_same_problem_in_another_dress_goes(name):
    kept, gone = deduplicate([row(PROBLEM, id="1"), row(ONE[name], id="2")])
    assert isinstance(kept, Row)
    assert isinstance(gone, Dropped)
    assert gone.detail["repeats"] == "1"
    (leak,) = drop_leaks([row(ONE[name])], Leaks([Heldout("1", PROBLEM, "gsm8k")]))
    assert isinstance(leak, Dropped)
    assert (leak.detail["matches"], leak.detail["of"]) == ("1", "gsm8k")


@pytest.mark.parametrize("name", ANOTHER)
def test_a_problem_that_differs_in_what_decides_stays(name):
    assert all(isinstance(found, Row) for found in deduplicate([row(PROBLEM, id="1"), row(ANOTHER[name], id="2")]))
    assert isinstance(next(drop_leaks([row(ANOTHER[name])], Leaks([Heldout("1", PROBLEM, "gsm8k")]))), Row)


def test_a_problem_inside_a_longer_one_is_a_leak():
    longer = f"{PROBLEM} Beside that, 7 of her 12 pens are blue."
    found = next(drop_leaks([row(longer)], Leaks([Heldout("1", PROBLEM, "gsm8k")])))
    assert isinstance(found, Dropped)


def test_other_answers_are_told_apart():
    again, renamed = row(PROBLEM, "71", id="2"), row(ONE["another name"], "71", id="3")
    first, contradicts, other = deduplicate([row(PROBLEM, id="1"), again, renamed])
    assert isinstance(first, Row)
    assert contradicts.reason == duplicates.CONTRADICTION
    assert isinstance(other, Row), "nearly the same words and another answer: somebody else's problem"


def test_programs_in_two_languages_are_two_problems():
    rows = [
        row(
            "Add two numbers.",
            None,
            kind="code",
            tests=TESTS,
            programming_language=name,
        )
        for name in ("python", "cpp")
    ]
    assert all(isinstance(found, Row) for found in deduplicate(rows))


def test_the_first_of_a_chain_stays():
    texts = [PROBLEM, ONE["another name"], PROBLEM.replace("Natalia", "Ravi"), ANOTHER["a number"]]
    found = list(deduplicate([row(text, id=str(place)) for place, text in enumerate(texts)]))
    assert [isinstance(each, Row) for each in found] == [True, False, False, True]


def test_rows_that_share_a_band_are_found_as_by_comparing_all(tmp_path):
    random_ = np.random.default_rng(0)
    words = [f"w{number}" for number in range(60)]
    texts = [likeness(" ".join(random_.choice(words, 12))) for _ in range(60)]
    texts += [likeness(" ".join(random_.choice(words, 12)) + " 7") for _ in range(5)] + texts[:5]
    found = candidates(texts, tmp_path)
    signatures = Signatures(tmp_path / "again")
    for text in texts:
        signatures.add(text)
    signatures.flush()
    bands = [np.fromfile(file, np.uint64) for file in signatures.files]
    for first, second in combinations(range(len(texts)), 2):
        shares = any(band[first] == band[second] for band in bands)
        assert shares == (first in found.get(second, [])), (first, second)
    assert all(place in found[65 + place] for place in range(5))
    assert (BANDS * ROWS, len(bands)) == (128, 32)


def word(letter, *numbers):
    """A word without digits."""
    return letter + "".join(chr(ord("a") + int(digit)) for number in numbers for digit in f"x{number:03d}"[1:])


def test_the_chance_to_meet_is_the_one_that_is_stated(tmp_path):
    met = {0.7: 0, 0.25: 0}
    for share in met:
        for trial in range(100):
            common = [word("c", trial, number) for number in range(round(200 * share / (1 + share)))]
            rest = 100 - len(common)
            one = [*common, *(word("a", trial, number) for number in range(rest))]
            two = [*common, *(word("b", trial, number) for number in range(rest))]
            texts = [likeness(". ".join(words)) for words in (one, two)]
            exact = jaccard(*texts)
            assert exact == pytest.approx(len(common) / (len(common) + 2 * rest)) == pytest.approx(share, abs=0.01)
            met[share] += bool(candidates(texts, tmp_path / f"{share}-{trial}"))
    # 0.9998 and 0.12; the bounds are four standard deviations away.
    assert met[0.7] >= 99
    assert met[0.25] <= 25


@given(st.lists(st.sampled_from([PROBLEM, *ONE.values(), *ANOTHER.values(), "", "½", "a b c 1"]), max_size=8))
@settings(max_examples=25, deadline=None)
def test_every_row_comes_out_once_and_in_order(texts):
    rows = [row(text or "x", id=str(place)) for place, text in enumerate(texts)]
    for found in (list(deduplicate(rows)), list(drop_leaks(rows, Leaks([Heldout("h", PROBLEM, "s")])))):
        assert [each.row if isinstance(each, Dropped) else each for each in found] == rows
