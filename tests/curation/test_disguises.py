"""Evaluation problems in disguise, by the kind of it; beside each kind what only looks like it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leaking import is_leak

from magistral_recipe.curation.comparing import held
from magistral_recipe.curation.formulas import parsed, renamings
from magistral_recipe.curation.likeness import likeness
from magistral_recipe.curation.notation import one_notation
from magistral_recipe.curation.spelling import one_spelling
from magistral_recipe.data.instructions import problem_parts

SHOP = "A baker sells 36 rolls on Monday and 14 more on Tuesday. Each roll costs $2. How much does the baker take in?"
SHIPS = "Elke rows 4 times as far as Pia. Pia rows 3 km farther than Jo. If Jo rows 5 km, how far does Elke row?"
ROOTS = r"Let $u$ and $v$ be the roots of $x^2 - 9x + 7 = 0$. Find $\dfrac{u}{v+1} + \frac{v}{u+1}$."

LEAKS = {
    "title, lower case": (
        SHIPS,
        "mrs. dalloway rows 4 times as far as sir toby. sir toby rows 3 km farther than ned. "
        "if ned rows 5 km, how far does mrs. dalloway row?",
    ),
    "a thing and a colour": (
        "A jar holds 8 red beads and 6 blue beads. Two beads are drawn without replacement. How likely are both red?",
        "A tin holds 8 pink buttons and 6 grey buttons. Two buttons are drawn without "
        "replacement. How likely are both pink?",
    ),
    "a place more": (SHOP, SHOP.replace("A baker", "A baker in Ghent")),
    "German names": (
        "Anton kauft 7 Hefte und bezahlt 21 Euro. Wie viel kostet ein Heft?",
        "Frau Öztürk kauft 7 Hefte und bezahlt 21 Euro. Wie viel kostet ein Heft?",
    ),
    "Chinese names": (
        "小刚有15个苹果，吃了4个。小刚还剩多少个苹果？",
        "欧阳娜有15个苹果，吃了4个。欧阳娜还剩多少个苹果？",
    ),
    "letters": (ROOTS, r"Let $p$ and $q$ be the roots of $t^2 - 9t + 7 = 0$. Find $\frac{q}{p+1} + \frac{p}{q+1}$."),
    "numbers by letters": (
        "What is the lcm of 26, 39 and 65?",
        "Let $r=26$, $s=39$ and $t=65$. What is the lcm of r, s and t?",
    ),
    "terms in another order": (
        ROOTS,
        r"Find $\frac{v}{1+u}+\frac{u}{1+v}$, where $v$ and $u$ are the roots of $0 = 7-9x+x^2$.",
    ),
    "a list in another order": (
        "Mia packs nuts, figs and dates for 9 days. How many days are 5 packs enough?",
        "Mia packs dates, nuts and figs for 9 days. How many days are 5 packs enough?",
    ),
    "an unknown tag": (SHOP, f"<stem lang='en'>{SHOP}</stem>"),
    "nested braces": (
        r"Simplify $\frac{1}{1+\frac{1}{1+\frac{1}{n}}}$ for $n = 6$ and $n = 8$.",
        "Simplify 1/(1+1/(1+1/n)) for n = 6 and n = 8.",
    ),
    "indices": (
        r"Given $a_1 = 3$ and $a_{n+1} = 2a_n + 5$, find $a_{12}$.",
        "Given a_1 = 3 and a_(n+1) = 2a_n + 5, find a₁₂.",
    ),
    "thousands": ("Il costo è 12.500 euro. Quanto costano 3 auto?", "Il costo è 12 500 euro. Quanto costano 3 auto?"),
    "a compound number": (
        "Im Zug sitzen siebenundvierzig Kinder und 12 Lehrer. Wie viele Plätze sind mit Kindern besetzt?",
        "Im Zug sitzen 47 Kinder und 12 Lehrer. Wie viele Plätze sind mit Kindern besetzt?",
    ),
    "gcd": ("Find the greatest common divisor of 132 and 84.", "Find the highest common factor (HCF) of 132 and 84."),
    "a dot for times": (r"Compute $12 \cdot 34 - 5$ and $6 \times 7$.", "Compute 12 · 34 − 5 and 6 ⋅ 7."),
    "options": (
        "A cube has volume 343. What is its edge? (A) 6 (B) 7 (C) 8 (D) 9",
        "A cube has volume 343. What is its edge?\n\n| A | B | C | D |\n|---|---|---|---|\n| 9 | 8 | 7 | 6 |",
    ),
    "a label": ("Compute $2^9 - 3^4$.", "[HMMT Feb 2019 #2] Compute $2^9 - 3^4$."),
    "a heading": ("Compute $2^9 - 3^4$.", "Practice sheet 4, warm-up: Compute $2^9 - 3^4$."),
    "a chat's marks": ("Compute $2^9 - 3^4$.", "<|im_start|>user\nCompute $2^9 - 3^4$.<|im_end|>"),
    "a condition first": (
        SHIPS,
        "How far does Elke row if Jo rows 5 km, Pia rows 3 km farther than Jo, and Elke rows 4 times as far as Pia?",
    ),
}
STAYS = {
    "two factors": (SHIPS, SHIPS.replace("4 times", "3 times").replace("3 km", "4 km")),
    "another person": (SHIPS, SHIPS.replace("If Jo", "If Pia")),
    "partners": (
        "Divided by 4 it leaves 1 and divided by 9 it leaves 7. Divided by 11 it leaves 8. Which is least?",
        "Divided by 4 it leaves 1 and divided by 9 it leaves 8. Divided by 11 it leaves 7. Which is least?",
    ),
    "a ratio": (
        "Ute and Ben share 60 coins in the ratio 2:3. How many has Ben?",
        "Ben and Ute share 60 coins in the ratio 2:3. How many has Ben?",
    ),
    "a bracket": ("Compute $2(7 - 3) + 5$ for me.", "Compute $2 \\cdot 7 - (3 + 5)$ for me."),
    "an exponent": ("Find $n$ if $2^{n} - 1 = 63$.", "Find $n$ if $2^{n-1} = 63$."),
    "a cyclic sum": (
        r"Minimize $\frac{a}{b+2} + \frac{b}{c+2} + \frac{c}{a+2}$.",
        r"Minimize $\frac{a}{b+2} + \frac{b}{a+2} + \frac{c}{a+2}$.",
    ),
    "an interval": ("Find the minimum of $x^2 - 4x$ on $[3, 8)$.", "Find the minimum of $x^2 - 4x$ on $(3, 8)$."),
    "a mathematical word": (
        "How many horizontal lines touch the curve $y = x^3 - 3x$?",
        "How many vertical lines touch the curve $y = x^3 - 3x$?",
    ),
    "what is not so": (
        "The cups are labelled but the pens are not. How many ways are there for 5 pens and 3 cups?",
        "The pens are labelled but the cups are not. How many ways are there for 5 pens and 3 cups?",
    ),
    "to for by": (
        "The price rose by 30% from 50 dollars. What is the price?",
        "The price rose to 30% from 50 dollars. What is the price?",
    ),
    "more in what is asked": (SHOP, SHOP.replace("does the baker", "do 3 bakers")),
    "an ordinal": (
        "Lea schwimmt jeden Tag 40 Bahnen. Wie viele sind es in 4 Wochen?",
        "Lea schwimmt jeden zweiten Tag 40 Bahnen. Wie viele sind es in 4 Wochen?",
    ),
    "a Chinese question": (
        "盒子里有红球8个，白球比红球多3个。白球有多少个？",
        "盒子里有红球8个，白球比红球少3个。白球有多少个？",
    ),
    "a function's argument": (
        r"If $\log_c d = 5$ and $\log_d e = 2$, find $\log_c e$.",
        r"If $\log_c d = 5$ and $\log_d e = 2$, find $\log_e c$.",
    ),
}


@pytest.mark.parametrize("kind", LEAKS)
def test_a_disguise_is_found(kind):
    assert is_leak(*LEAKS[kind])


@pytest.mark.parametrize("kind", STAYS)
def test_what_only_looks_alike_stays(kind):
    assert not is_leak(*STAYS[kind])


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"$\dfrac{1}{\sqrt{x}}$", "((1)/( √(x )))"),
        (r"$\frac12$", "((1)/(2))"),
        ("2½ cups", "2.5 cups"),
        (r"x<sup>3</sup>", "x^(3)"),
        (r"costs \$5", "costs 5"),
    ],
)
def test_one_notation(text, plain):
    assert "".join(one_notation(text)[0].split()) == "".join(plain.split())


def test_large_numbers_are_written_out():
    assert one_spelling("$2.5 million, 80k people, 1 200 cows")[0].split() == [
        "2500000,",
        "80000",
        "people,",
        "1200",
        "cows",
    ]


def test_letters_are_renamed_one_for_one():
    mine, theirs = (parsed(text.split()) for text in ("2 @x + 3 @y = 7", "7 = 3 @b + 2 @a"))
    assert next(renamings(mine, theirs)) == {"@x": "@a", "@y": "@b"}
    assert not list(renamings(mine, parsed(["7", "=", "3", "@b", "+", "2", "@b"])))


def test_a_first_part_in_brackets_is_a_label_unless_it_computes():
    assert problem_parts("(Level 4) Find 3 + 4.") == ["Find 3 + 4."]
    assert problem_parts("(2 + 3) Find it.")[0].startswith("(2 + 3)")


@given(st.permutations(["Ana has 31 stamps", "Bo has 17 stickers", "Cy has 5 coins", "Di has 90 cards"]))
@settings(max_examples=20, deadline=None)
def test_the_order_of_facts_is_no_matter(facts):
    question = "How many things do they have?"
    one = "Ana has 31 stamps, Bo has 17 stickers, Cy has 5 coins and Di has 90 cards. " + question
    assert is_leak(one, ". ".join(facts) + ". " + question)


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=50, deadline=None)
def test_any_text_holds_itself_or_nothing(one, other):
    first, second = likeness(one), likeness(other)
    assert held(first, first) in (0.0, pytest.approx(1.0))
    assert 0 <= held(first, second) <= 1


@pytest.mark.parametrize(
    "piece", ["9", "9 ", "{", "(", "$x$ ", "Tom Anna ", "a+b", "\\frac", "\n", "1 000 ", "<a ", "A) 1 ", "分", "x_"]
)
def test_time_grows_with_the_length(piece):
    def seconds(size: int) -> float:
        text = (piece * size)[:size] + "x"
        started = time.process_time()
        likeness(text).shingles  # noqa: B018
        return time.process_time() - started

    seconds(1000)
    assert seconds(24_000) < 40 * seconds(3_000) + 0.5, "eight times the length: linear is 8, quadratic 64"
