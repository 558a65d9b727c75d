"""Duplicates and leaks: what is one problem in another dress, and what only looks like it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.curation import duplicates, workers
from magistral_recipe.curation.clean import clean
from magistral_recipe.curation.duplicates import deduplicate
from magistral_recipe.curation.leaks import Heldout, Leaks, drop_leaks
from magistral_recipe.curation.likeness import likeness
from magistral_recipe.curation.near import BANDS, ROWS, Signatures, bands_of, candidates
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

SAME = [
    (
        "Find the least $n$ that leaves $2$ when divided by $5$, leaves $3$ when divided by $7$, leaves $4$ by $9$.",
        "Find the least n that leaves 3 when divided by 7, leaves 4 by 9, and leaves 2 when divided by 5.",
    ),
    (
        "There are 80 children at a camp. Of these, 45 swim, 38 climb, and 15 do both. How many do neither?",
        "There are eighty children at a camp -- of these:\n- 45 swim\n- 38 climb\n- 15 do both.\nHow many do neither?",
    ),
    (
        r"Real numbers satisfy $x + y = 12$ and $x^3 + y^3 = 468$. Find $xy$.",
        r"Real numbers satisfy \begin{align*} a+b&=12,\\ a^{3}+b^{3}&=468. \end{align*} Find $ab$.",
    ),
    (
        "In triangle $ABC$, $AB = 13$, $BC = 14$, and $CA = 15$. How long is the altitude from $A$?",
        "How long is the altitude from A in triangle ABC, where CA = 15, AB = 13, and BC = 14?",
    ),
    (r"If $2x + 3y = 12$ and $x + y = 5$, find $x - y$.", "Given that 2a+3b = 12 and a+b = 5, determine a-b."),
    (r"If $2x + 3y = 12$ and $x + y = 5$, find $x - y$.", "Find x - y if 2x + 3y = 12 and x + y = 5."),
    (r"Compute $\int_0^1 x^2 \, dx$.", r"Find the value of \[\displaystyle\int_{0}^{1} x^{2} dx\]"),
    (
        "What is the smallest positive integer $n$ such that $n!$ is divisible by $990$?",
        "<p>7) Find the smallest positive integer k such that k! is divisible by 990.</p>",
    ),
    (
        "Let $ABC$ be a triangle with $AB = 13$ and $BC = 14$. Find its area.",
        r"$\triangle PQR$ is a triangle with $PQ=13$, $QR=14$. **Find its area.**",
    ),
    (r"If $f(x) = \frac{3x-2}{x-2}$, what is $f(-2)+f(-1)$?", "If g(x) = (3x-2)/(x-2), compute g(-2) + g(-1)."),
    (
        "Tom has 40 pencils. He sells 15 of them. How many are left?",
        "Tom has forty pens, and he sells 15 of them; how many are left?",
    ),
    (
        "A car drives 60 miles per hour for 2.5 hours. How far has it travelled?",
        "A car drives 60 mph for 2.5 hours. How far has it traveled?",
    ),
    ("求方程 $x^2 - 5x + 6 = 0$ 的所有根之和。", "题目：求方程 x² - 5x + 6 = 0 的所有根之和。"),
    (
        "Un magasin vend 120 cahiers le lundi et 15 de moins le mardi. Combien de cahiers a-t-il vendus ?",
        "Exercice 3 : Un magasin vend 120 stylos le lundi et 15 de moins le mardi. Combien de stylos a-t-il vendus ?",
    ),
    ("Solve $3(x - 4) = 2x + 5$ for $x$.", "Solve the equation 3(y-4) = 2y+5 for y."),
]
TWO = [
    (
        "The ratio of girls to boys is 5:3. There are 64 pupils. How many girls are there more than boys?",
        "The ratio of boys to girls is 5:3. There are 64 pupils. How many girls are there more than boys?",
    ),
    (
        "A recipe needs 3/4 cup of milk for every 2 cups of flour. How much milk do 7 cups of flour need?",
        "A recipe needs 3/4 cup of flour for every 2 cups of milk. How much milk do 7 cups of flour need?",
    ),
    ("If $f(x) = 3x^2 - 5x + 2$, what is $f(-2)$?", "If $f(x) = 3x^2 - 5x + 2$, what is $f'(-2)$?"),
    (
        "In triangle $ABC$, $AB = 13$, $BC = 14$, and $CA = 15$. How long is the altitude from $A$?",
        "In triangle $ABC$, $AB = 13$, $BC = 14$, and $CA = 15$. How long is the altitude from $B$?",
    ),
    ("If $\\log_2 x + \\log_2 (x - 6) = 4$, find $x$.", "If $\\log_2 x + \\log_2 (x - 6) = 4$, find $x^2 + 1$."),
    ("If $2x + 3y = 12$ and $x + y = 5$, find $x - y$.", "If $2x + 3y = 12$ and $x + y = 5$, find $y - x$."),
    ("If $2x + 3y = 12$ and $x + y = 5$, find $x - y$.", "If $3x + 2y = 12$ and $x + y = 5$, find $x - y$."),
    ("Solve $3(x - 4) = 2x + 5$.", "Solve $3(4 - x) = 2x + 5$."),
    ("Evaluate $5! + 3$.", "Evaluate $5 + 3!$."),
    ("Evaluate $5! + 3$.", "Evaluate $5 + 3$."),
    (r"Compute $\int_0^1 x^2 \, dx$.", r"Compute $\int_1^0 x^2 \, dx$."),
    (
        "Tom has 40 pencils. He sells 15 of them. How many are left?",
        "Tom has 15 pencils. He sells 40 of them. How many are left?",
    ),
    (
        "Ann has 12 apples and Tom has 7 apples. How many more has Ann?",
        "Ann has 7 apples and Tom has 12 apples. How many more has Ann?",
    ),
    (
        "Maria has twice as many stamps as Juan. They have 90. How many stamps does Juan have?",
        "Maria has twice as many stamps as Juan. They have 90. How many stamps does Maria have?",
    ),
    (
        "A bag has 5 red balls and 3 blue balls. What is the chance that both of two are red?",
        "A bag has 5 red balls and 3 blue balls. What is the chance that both of two are blue?",
    ),
    (
        "The sum of two numbers is 20 and their difference is 4. What is their product?",
        "The sum of two numbers is 20 and their product is 4. What is their difference?",
    ),
    (
        "A bag has 5 red balls. Two are drawn without replacement. How likely are two red ones?",
        "A bag has 5 red balls. Two are drawn with replacement. How likely are two red ones?",
    ),
    (
        "Un magasin vend 120 cahiers le lundi et 15 de moins le mardi.",
        "Un magasin vend 120 cahiers le lundi et 15 fois moins le mardi.",
    ),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_another_way_of_writing_is_the_same_problem(one, other):
    assert isinstance(next(drop_leaks([row(other)], Leaks([Heldout("1", one, "held")]))), Dropped)
    assert [isinstance(each, Dropped) for each in deduplicate([row(one, id="1"), row(other, id="2")])] == [False, True]


@pytest.mark.parametrize(("one", "other"), TWO)
def test_what_is_turned_round_is_another_problem(one, other):
    assert isinstance(next(drop_leaks([row(other)], Leaks([Heldout("1", one, "held")]))), Row)
    assert all(isinstance(each, Row) for each in deduplicate([row(one, id="1"), row(other, id="2")]))


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
    found = candidates(map(bands_of, texts), tmp_path)
    signatures = Signatures(tmp_path / "again")
    for text in texts:
        signatures.add(bands_of(text))
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
            first, second = (text.shingles for text in texts)
            exact = len(first & second) / len(first | second)
            assert exact == pytest.approx(len(common) / (len(common) + 2 * rest)) == pytest.approx(share, abs=0.01)
            met[share] += bool(candidates(map(bands_of, texts), tmp_path / f"{share}-{trial}"))
    # 0.9998 and 0.12; the bounds are four standard deviations away.
    assert met[0.7] >= 99
    assert met[0.25] <= 25


@given(st.lists(st.sampled_from([PROBLEM, *ONE.values(), *ANOTHER.values(), "", "½", "a b c 1"]), max_size=8))
@settings(max_examples=25, deadline=None)
def test_every_row_comes_out_once_and_in_order(texts):
    rows = [row(text or "x", id=str(place)) for place, text in enumerate(texts)]
    for found in (list(deduplicate(rows)), list(drop_leaks(rows, Leaks([Heldout("h", PROBLEM, "s")])))):
        assert [each.row if isinstance(each, Dropped) else each for each in found] == rows


def test_several_processes_find_what_one_finds(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "ALONE", 3)
    monkeypatch.setattr(workers, "_CHUNK", 4)
    texts = [PROBLEM, *ONE.values(), *ANOTHER.values(), "Prove that 3 is odd.", PROBLEM]
    rows = [row(text, id=str(place)) for place, text in enumerate(texts)]
    leaks = Leaks([Heldout("h", PROBLEM, "s")])
    one, two = (
        [list(clean(rows, workers=count)), list(deduplicate(rows, workers=count)), list(drop_leaks(rows, leaks, count))]
        for count in (1, 2)
    )
    assert one == two
    assert [sum(isinstance(each, Dropped) for each in step) > 0 for step in two] == [True, True, True]


def test_what_fails_in_another_process_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        list(workers.each_in(2, (1).__truediv__, [1, 2, 0, 3], alone=1))
