"""Evaluation problems told in other sentences or of other things, and small changes that make another problem."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leaking import is_leak

from magistral_recipe.curation.aligned import Alignment
from magistral_recipe.curation.comparing import held
from magistral_recipe.curation.likeness import likeness
from magistral_recipe.curation.rewording import comparable, reworded

MILL = (
    "A windmill grinds 18 sacks of wheat in 4 hours. A watermill grinds 30 sacks of wheat in 5 hours. Both "
    "machines run "
    "for 9 hours. How many sacks of wheat are ground altogether?"
)
TRAM = (
    "A tram leaves the depot with 64 passengers. At the first stop 17 passengers get off and 9 get on. At the second "
    "stop half of the passengers get off. How many passengers are on the tram now?"
)
RENT = (
    "Nadia rents a canoe for $15 plus $4 for each hour. Her brother Karim rents a kayak for $9 plus $6 for each hour. "
    "After how many hours have both paid the same amount?"
)
TREE = (
    "A ladder of length 13 feet leans against a wall. Its foot is 5 feet from the wall. How high does the ladder reach?"
)
ROOTS = r"Let $r$ and $s$ be the roots of $2x^2 - 7x + 4 = 0$. Compute $\frac{1}{r^2} + \frac{1}{s^2}$."
SEQUENCE = r"A sequence satisfies $a_1 = 3$, $a_2 = 8$ and $a_{n+2} = 5a_{n+1} - 6a_n$ for all $n \ge 1$. Find $a_7$."
CHEESE = "Un fromager vend 14 fromages de chèvre à 6 € et 22 fromages de brebis à 8 €. Quelle somme reçoit-il en tout ?"
GARTEN = "Ein Gärtner pflanzt 12 Reihen mit je 15 Tulpen. Davon erfrieren 34. Wie viele Tulpen blühen im Frühling?"
SCHOOL = "学校图书馆有科技书320本，故事书比科技书多45本，两种书一共借出180本。图书馆还剩多少本书？"

RETOLD = {
    "mill": (
        MILL,
        "If both machines, a windmill and a watermill, run for 9 hours, how many sacks of wheat are ground "
        "altogether, given that "
        "in 5 hours 30 sacks are ground by the watermill and in 4 hours 18 sacks by the windmill?",
    ),
    "tram": (
        TRAM,
        "How many passengers are now on a tram that left the depot with 64 of them, when 17 got off and 9 got on at "
        "the first stop, and half of the passengers got off at the second?",
    ),
    "rent": (
        RENT,
        "After how many hours will Nadia and her brother Karim have paid the same amount, if he rents a kayak, which "
        "costs $9 plus $6 for each hour, while she rents a canoe at $15 plus $4 for each hour?",
    ),
    "ladder": (
        TREE,
        "How high does a ladder reach that leans against a wall, its foot being 5 feet from the wall and its length "
        "13 feet?",
    ),
    "roots": (
        ROOTS,
        r"Compute $\frac{1}{s^2} + \frac{1}{r^2}$, where the equation $2x^2 - 7x + 4 = 0$ has roots $r$ and $s$.",
    ),
    "sequence": (
        SEQUENCE,
        r"Find $a_7$ in the sequence with $a_{n+2} = 5a_{n+1} - 6a_n$ for all $n \ge 1$, whose first terms "
        r"are $a_1 = 3$ "
        r"and $a_2 = 8$.",
    ),
    "cheese": (
        CHEESE,
        "Quelle somme reçoit en tout un fromager qui vend 22 fromages de brebis à 8 € et 14 fromages de chèvre à 6 € ?",
    ),
    "mill, renamed": (
        MILL,
        "A chainsaw cuts 18 stacks of planks in 4 hours. A jigsaw cuts 30 stacks of planks in 5 hours. Both machines "
        "run for 9 hours. How many stacks of planks are cut altogether?",
    ),
    "tram, renamed": (
        TRAM,
        "A ferry leaves the harbour with 64 tourists. At the first stop 17 tourists get off and 9 get on. At "
        "the second "
        "stop half of the tourists get off. How many tourists are on the ferry now?",
    ),
    "rent, renamed": (
        RENT,
        "Oskar rents a tandem for $15 plus $4 for each hour. His cousin Wilma rents a scooter for $9 plus $6 for each "
        "hour. After how many hours have both paid the same amount?",
    ),
    "garden, renamed": (
        GARTEN,
        "Eine Försterin pflanzt 12 Reihen mit je 15 Fichten. Davon erfrieren 34. Wie viele Fichten blühen im Frühling?",
    ),
    "school, renamed": (
        SCHOOL,
        "社区书店有漫画书320本，童话书比漫画书多45本，两种书一共借出180本。书店还剩多少本书？",
    ),
    "roots, renamed": (
        ROOTS,
        r"Let $\alpha$ and $\beta$ be the roots of $2y^2 - 7y + 4 = 0$. Compute $\frac{1}{\alpha^2} + "
        r"\frac{1}{\beta^2}$.",
    ),
}
OTHER = {
    "numbers exchanged": (MILL, MILL.replace("4 hours", "x").replace("5 hours", "4 hours").replace("x", "5 hours")),
    "together, each": (MILL, MILL.replace("ground altogether", "ground by the watermill")),
    "on, off": (TRAM, TRAM.replace("9 get on", "9 more get off")),
    "asked of one": (RENT, RENT.replace("have both paid the same amount", "has Karim paid $3 more")),
    "an index": (SEQUENCE, SEQUENCE.replace("a_1 = 3$, $a_2 = 8", "a_1 = 8$, $a_2 = 3")),
    "a sign": (ROOTS, ROOTS.replace("- 7x", "+ 7x")),
    "of them": (CHEESE, CHEESE.replace("et 22 fromages", "dont 22 fromages")),
}


@pytest.mark.parametrize("kind", RETOLD)
def test_a_problem_told_anew_is_found(kind):
    assert is_leak(*RETOLD[kind])


@pytest.mark.parametrize("kind", OTHER)
def test_a_small_change_makes_another_problem(kind):
    assert not is_leak(*OTHER[kind])


# One number in another's place, told in other sentences: no small change any more.
@pytest.mark.parametrize(
    ("evaluation", "training"),
    [
        (
            SEQUENCE,
            r"Find $a_7$ in the sequence with $a_1 = 8$, $a_2 = 3$ and, for $n \ge 1$, $a_{n+2} = 5a_{n+1} - 6a_n$.",
        ),
        (
            TREE,
            "How high does a ladder of length 5 feet reach, which leans against a wall, its foot 13 feet from "
            "the wall?",
        ),
    ],
)
def test_numbers_that_changed_places_are_told_in_other_sentences_too(evaluation, training):
    assert not reworded(likeness(training), likeness(evaluation))


def test_names_must_change_all_through():
    renamed = TRAM.replace("tram", "ferry").replace("passengers", "tourists").replace("depot", "harbour")
    assert Alignment(likeness(renamed), likeness(TRAM)).is_renamed()
    half = renamed.replace("half of the tourists", "half of the passengers")
    assert not Alignment(likeness(half), likeness(TRAM)).is_renamed()


def test_other_numbers_are_never_compared():
    assert not comparable(likeness(MILL), likeness(MILL.replace("30", "31")))


_PIECES = (
    r"\frac", "{", "}", "(", ")", "[", "]", "|", "^", "_", "x", "AB", "12", "1.5", "3,000", "+", "-", "=", "<", "≤",
    r"\sqrt", r"\binom", "$", "$$", "sin", "log_", "!", "′", ":", "/", ",", " of which ", " the ", "Ann ", "不", "多",
    r"\left(", r"\begin{cases}", r"\end{cases}", "&", "%", "#", "\\", "…", "∞", "√", " mod ", "⌈", "⌋", " three ", "\n",
)  # fmt: skip
_SOUP = st.lists(st.sampled_from(_PIECES), max_size=60).map("".join)


@given(_SOUP, _SOUP)
@settings(max_examples=150, deadline=None)
def test_no_text_is_too_broken_to_be_read(one, other):
    here, there = likeness(one), likeness(other)
    assert 0 <= held(here, there) <= 1
    assert reworded(here, there) in (True, False)
    assert not Alignment(here, here).changed()


@pytest.mark.parametrize(
    "piece", ["x+", "(x", "$x$ ", "12 ", "3,4,5,", r"\frac{", "|x", "Ann ", "of which ", "x^", "sin "]
)
def test_long_texts_are_not_compared_word_by_word(piece):
    text = likeness(piece * (100_000 // len(piece)))
    started = time.process_time()
    assert not reworded(text, text)
    assert not Alignment(text, text).is_renamed()
    assert time.process_time() - started < 5
