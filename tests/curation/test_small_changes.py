"""Spellings and answer forms that hide a problem, beside small changes that make another one."""

from __future__ import annotations

import pytest
from leaking import is_leak

from magistral_recipe.curation.answer_forms import asked_plainly
from magistral_recipe.curation.clauses import written_number
from magistral_recipe.curation.spelling import one_spelling
from magistral_recipe.data.instructions import without_forms

JUICE = (
    "A juice stand pays $26 a day plus $0.35 for every cup. A rival pays $19 a day plus $0.85 for every cup. "
    "After how many cups a day do both pay the same?"
)
WAGE = (
    "Nora is paid $18 an hour for the first 35 hours of a week and 1.5 times that for every hour beyond 35. "
    "Last week she worked 44 hours. How much was she paid?"
)
URN = (
    "An urn holds $7$ white and $5$ black balls, and Kim draws $3$ of them at random. The probability that all are "
    r"white is $\frac{p}{q}$, where $p$ and $q$ are relatively prime positive integers. Find $p + q$."
)
BUS = (
    "Un autobus parte da Lecce alle 7:45 e viaggia a 80 km/h. Un'auto parte da Lecce alle 8:15 e viaggia a 110 km/h. "
    "A che ora l'auto raggiunge l'autobus?"
)
BIRDS = (
    "Nia counted 23 birds. Then 8 birds flew off, and now 6 more sit there. How many birds were there to begin with?"
)
PAIRS = (
    "Seven runners, among them Ines and Olaf, meet. Two runners, drawn by lot, carry the flag of the 30 teams, and the "
    "others walk behind them. How likely is it that Ines and Olaf walk side by side?"
)
SAME = {
    "cents": (JUICE, JUICE.replace("plus $0.35", "+ 35¢").replace("plus $0.85", "+ 85¢")),
    "a rate": (WAGE, WAGE.replace("$18 an hour", r"\$18/hour").replace("1.5 times that", r"$1.5\times$ that")),
    "a number twice": (
        "Three girls share 84 nuts and 12 figs. How many nuts does each get?",
        "Three ($3$) girls share 84 nuts and 12 figs. How many nuts does each get?",
    ),
    "gallons": (
        "A pool of 900 gallons is one fifth full. A hose fills 30 gallons per minute. In how many minutes is it full?",
        "A pool of 900 gal. is 1/5 full. A hose fills 30 gal./min. In how many min. is it full?",
    ),
    "a condition": (
        "Let $u$, $v$ be positive real numbers with $u + v = 6$. Find the least value of $2/u + 7/v$.",
        "Let u, v > 0 be real numbers with u+v=6. Find the least value of 2/u + 7/v.",
    ),
    "a matrix": (
        r"Let $M = \begin{pmatrix} 4 & k \\ 6 & 9 \end{pmatrix}$. Find $k$ if $M$ has no inverse.",
        r"Let $M = \left[\begin{array}{cc} 4 & k \\ 6 & 9 \end{array}\right]$. Find $k$ if $M$ has no inverse.",
    ),
    "a comparison": (
        r"How many integers satisfy $8 \le 3n + 5$ and $n \leqslant 77$?",
        "How many integers satisfy 8 <= 3n + 5 and n ⩽ 77?",
    ),
    "a part in Spanish": (
        "Una caja tiene 140 nueces. Ana come las tres séptimas partes y luego compra 25. ¿Cuántas nueces hay?",
        "Una caja tiene 140 nueces. Ana come las 3/7 partes y luego compra 25. ¿Cuántas nueces hay?",
    ),
    "a clock": (BUS, BUS.replace("alle 7:45", "alle ore 7.45").replace("8:15", "8.15").replace("km/h", "km all'ora")),
    "Cyrillic letters": (
        "Найдите все значения $a$, при которых уравнение $|x - 7| + |x + 9| = a$ имеет два корня.",
        "Найдите все значения а, при которых уравнение |х - 7| + |х + 9| = а имеет два корня.",
    ),
    "a fraction itself": (
        URN,
        URN.split("The prob")[0]
        + "What is the probability that all are white? Write it as a fraction in lowest terms.",
    ),
    "a list of answers": (
        "For what $t$ has $x^2 - tx + 25 = 0$ one real root? Enter all values, separated by commas.",
        "For what $t$ has $x^2 - tx + 25 = 0$ one real root? Give the set in set notation. Do not explain.",
    ),
}
OTHER = {
    "a price": (JUICE, JUICE.replace("$0.85", "$0.45")),
    "a part of it": (WAGE, WAGE.replace("was she paid?", "was she paid for the hours beyond 35?")),
    "a point": (
        r"Write the point $(0, -6)$ in polar coordinates $(r, t)$ with $r > 0$ and $0 \le t < 2\pi$.",
        r"Write the point $(-6, 0)$ in polar coordinates $(r, t)$ with $r > 0$ and $0 \le t < 2\pi$.",
    ),
    "another quantity": (BUS, BUS.replace("A che ora", "A quanti chilometri da Lecce")),
    "another place": (
        "Gegeben ist $f(x) = x^3 - 6x^2 - 15x + 4$. Bestimme die Stelle, an der $f$ ein lokales Minimum hat.",
        "Gegeben ist $f(x) = x^3 - 6x^2 - 15x + 4$. Bestimme die Stelle, an der $f$ eine Wendestelle hat.",
    ),
    "the end": (
        BIRDS,
        "Nia counted 23 birds to begin with. Then 8 birds flew off, and 6 more came. How many birds sit there now?",
    ),
    "who it is": (PAIRS, PAIRS.replace("Two runners, drawn by lot,", "Ines and Olaf")),
    "a difference": (URN, URN.replace("p + q", "q - p")),
}


@pytest.mark.parametrize("kind", SAME)
def test_another_spelling_or_form_of_answer_is_found(kind):
    assert is_leak(*SAME[kind])


@pytest.mark.parametrize("kind", OTHER)
def test_another_thing_asked_is_another_problem(kind):
    assert not is_leak(*OTHER[kind])


@pytest.mark.parametrize(
    ("token", "number"), [("0.25", "0.25"), (".50", "0.5"), ("0.0", "0"), ("007", "7"), ("0", "0")]
)
def test_decimals_below_one_are_numbers(token, number):
    assert written_number(token) == number


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("9¢ each", "0.09 dollars each"),
        ("five (5) pens", "5 pens"),
        ("five (6) pens", "5 (6) pens"),
        ("at 8.20 p.m.", "at 20:20."),
        ("costs 8.20 euros", "costs 8.20 euros"),
    ],
)
def test_measures_are_written_out(text, written):
    assert one_spelling(text)[0] == written


def test_only_the_sum_of_a_fractions_parts_asks_for_the_fraction():
    assert asked_plainly(URN).endswith("What is the probability that all are white?")
    for other in ("2p + q", "p - q", "pq"):
        text = URN.replace("p + q", other)
        assert asked_plainly(text) == text


@pytest.mark.parametrize(
    "form", ["Give the length as a fraction of 7.", "Write $x$ as a decimal.", "Is it less than a decimal?"]
)
def test_what_holds_data_or_asks_is_no_form_of_answer(form):
    assert without_forms(["How long is it?", form]) == ["How long is it?", form]


def test_the_only_sentence_that_asks_stays():
    parts = ["A list holds 3, 1 and 2.", "Write the numbers in ascending order."]
    assert without_forms(parts) == parts
