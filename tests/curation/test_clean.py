r"""Cleaning: what goes, what stays, and in which spelling. The cases are worded as published sets word theirs."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistral_recipe.curation import clean as cleaning
from magistral_recipe.curation.choices import find_choices, letter_of
from magistral_recipe.curation.clean import clean, spelled
from magistral_recipe.curation.rows import Dropped, Row
from magistral_recipe.data.problems import Problem


def outcome(problem, answer="4", **fields):
    (found,) = clean([Row(Problem(problem=problem, answer=answer, **fields))])
    return found


GOES = [
    ("Prove that there are infinitely many primes.", "4", cleaning.PROOF),
    ("Let $n$ be odd. Show that $n^2-1$ is divisible by 8.", "8", cleaning.PROOF),
    ("Using induction, demonstrate the identity for every $n$.", "4", cleaning.PROOF),
    ("Démontrer que $n^2 + n$ est pair.", "4", cleaning.PROOF),
    ("Beweise, dass $\\sqrt 2$ irrational ist.", "4", cleaning.PROOF),
    ("求证：$a^2+b^2 \\ge 2ab$。", "4", cleaning.PROOF),
    ("(a) Find $x$. (b) Find $y$.", "3", cleaning.PARTS),
    ("A square has side 3.\na) Find its area.\nb) What is its perimeter?", "9", cleaning.PARTS),
    (
        "A train covers 60 km in an hour. How far does it go in 2 h? How long does it need for 240 km?",
        "4",
        cleaning.PARTS,
    ),
    ("Part 1: Compute 3+4. Part 2: Compute 3-4.", "7", cleaning.PARTS),
    ("Which of the following is prime? A. 4 B. 7 C. 9 D. 10", "B", cleaning.NO_STATEMENT),
    ("Compute 3*4.\nA) 7\nB) 12\nC) 1\nD) none of these", "D", cleaning.NO_STATEMENT),
    ("Find it.", "The function is increasing because its derivative is positive there", cleaning.PROSE),
    ("Find it.", "see figure 3", cleaning.UNREADABLE),
    ("Find it.", "N/A", cleaning.UNREADABLE),
    ("Find it.", "Proof omitted.", cleaning.UNREADABLE),
    ("?!", "4", cleaning.EMPTY),
    ("Zeige: Für alle $n$ gilt $n<2^n$.", "wahr", cleaning.PROOF),
    ("求：(1) $f(1)$的值；(2) $f(2)$的值。", "3, 5", cleaning.PARTS),
    ("设 $f(x)=x^2$. (Ⅰ) 求 $f(1)$; (Ⅱ) 求 $f(2)$.", "1;4", cleaning.PARTS),
    ("①求A；②求B。", "1, 2", cleaning.PARTS),
    ("Calculate the following: a) 2+3 b) 4*5 c) 10/2", "5, 20, 5", cleaning.PARTS),
    ("Draw a diagram of the situation.", "diagram", cleaning.DRAWING),
    ("Sketch the curve $y = x^3$ for $x > 0$.", "rising", cleaning.DRAWING),
    ("Graph the line $2x + y = 4$.", "2x+y=4", cleaning.DRAWING),
    ("Постройте треугольник по двум сторонам и углу.", "7", cleaning.DRAWING),
    ("Construct an angle of $15^\\circ$ with ruler and compass.", "15", cleaning.DRAWING),
    ("What is the shaded area?\n![](https://example.org/crop.jpg)", "12", cleaning.PICTURE),
    ("Find the marked angle. <img src='a.png'>", "40", cleaning.PICTURE),
    ("How many squares are in the figure?", "14", cleaning.PICTURE),
    ("By induction, establish that $2^n > n$.", "n", cleaning.PROOF),
    ("Show, by counting in two ways, that the sum is $2^n$.", "2^n", cleaning.PROOF),
    ("已知 $a,b>0$，求证：$a+b\\ge2\\sqrt{ab}$。", "2", cleaning.PROOF),
    ("a) Find the root of $x^3=8$; b) prove that there is no other.", "2", cleaning.PARTS),
    ("Deduce that the sequence is bounded.", "1", cleaning.PROOF),
    ("Доказать тождество $(a+b)^2=a^2+2ab+b^2$.", "a", cleaning.PROOF),
    ("Mostre que $n^2+n$ é par.", "2", cleaning.PROOF),
    ("Udowodnij, że $\\sqrt3$ jest niewymierna.", "3", cleaning.PROOF),
    ("Найдите корни уравнений: а) $x+1=3$; б) $x-1=3$.", "2; 4", cleaning.PARTS),
    ("1. Calculate $2^5$.\n2. Calculate $3^3$.", "32, 27", cleaning.PARTS),
    ("a. How long is a side?\nb. How long is a diagonal?", "2", cleaning.PARTS),
    ("1、求 $a$；2、求 $b$。", "1；2", cleaning.PARTS),
    (
        "\\begin{enumerate}\\item Find $a_3$. \\item Find the sum of the first five.\\end{enumerate}",
        "5, 25",
        cleaning.PARTS,
    ),
    ("Find the length of the fence, and also find how much the paint costs.", "30, 45", cleaning.PARTS),
    ("Compute $f(2)$ for $f(x)=x^3$. Compute $f'(2)$.", "8, 12", cleaning.PARTS),
    ("Find it.", "Answer not found", cleaning.UNREADABLE),
    ("Find it.", "To be determined", cleaning.UNREADABLE),
    ("Найдите это.", "см. рисунок", cleaning.UNREADABLE),
    ("Trouver la valeur.", "voir la figure", cleaning.UNREADABLE),
    ("Is it continuous?", "It is continuous everywhere since it is a polynomial function of x", cleaning.PROSE),
    ("How much is 2+3?\nOptions: A 4, B 5, C 6", "B", cleaning.NO_STATEMENT),
]
STAYS = [
    ("It is easy to show that $x>0$. Find $x$ if $x^2=4$.", "2"),
    ("Find $f(1)$, where (i) $f(x+y)=f(x)+f(y)$ and (ii) $f(2)=4$.", "2"),
    ("Points A, B and C lie on a line. AB = 3. Find BC.", "4"),
    ("Who is the oldest?", "Alice"),
    ("Prove that the value does not depend on $x$, and determine the value for $x=1$.", "2"),
    ('Tom asks: "What is 5+5?" Ann says 10. What is the product of the two numbers Tom named?', "25"),
    ("The answer to part (a) of a quiz was 12 and to part (b) was 30. What is their mean?", "21"),
    ("Let $a$ and $b$ be as follows: (a) $a=3$; (b) $b=4$. What is $a+b$?", "7"),
    ("Find $n$, given the following: (1) $n$ is even; (2) $3<n<5$.", "4"),
    ("How many solutions are there?", "infinitely many"),
    ("Find all $x$ with $x^2 = 4$.", "x = 2 \\text{ or } x = -2"),
    ("Find the set of divisors of 6.", "\\{1, 2, 3, 6\\}"),
    ("Find the least $c$ with $x \\le c$ for all such $x$, and prove that it is least.", "2"),
    ("Determine whether the sequence converges, and justify.", "Yes"),
    ("Montrer que la suite converge et calculer sa limite.", "2"),
    ("Zeigen Sie, dass es einen Punkt gibt, und berechnen Sie seinen Abstand.", "2"),
    ("证明数列有极限，并求其极限。", "2"),
    ("Demuestra que hay dos raíces y calcula su suma.", "2"),
    ("Dimostra che ci sono due radici e calcola la somma.", "2"),
    ("Demonstre que há duas raízes e calcule a soma.", "2"),
    ("证明该数列单调后，求其极限。", "2"),
    ("Докажите, что корней два, и найдите их сумму.", "5"),
    ("Sketch the region between $y=x$ and $y=x^2$ and find its area.", "1/6"),
    ("Draw lots: one of 5 slips is marked. What is the chance to draw it third?", "1/5"),
    ("Graph $G$ has 6 vertices of degree 3. How many edges has it?", "9"),
    ("How many squares are in the figure with 3 rows of 4 squares?", "20"),
    ("Take a number.\n1. Calculate its double.\n2. Find the sum of its digits.\nWhat comes out for 47?", "13"),
    ("Find the zeros of $x^2-1$. Express them as a list.", "-1, 1"),
    ("Solve the system $x+y=3$, $x-y=1$. Find $x$ and $y$.", "x=2, y=1"),
    ("Compute $2^5$. Then compute the sum of its digits.", "5"),
    ("How many faces has an octahedron? (Hint: what does 'octa' mean?)", "8"),
    ("Can a proof of 12 lines be cut in 3 parts? How long is each?", "4"),
]


@pytest.mark.parametrize(("problem", "answer", "reason"), GOES)
def test_goes(problem, answer, reason):
    found = outcome(problem, answer)
    assert isinstance(found, Dropped)
    assert found.reason == reason


@pytest.mark.parametrize(("problem", "answer"), STAYS)
def test_stays(problem, answer):
    found = outcome(problem, answer)
    assert isinstance(found, Row), found.reason
    assert (found.problem.problem, found.problem.answer) == (problem, answer)


def test_problems_without_anything_that_decides_go():
    assert outcome("Write a poem.", None, kind="text").reason == cleaning.NOTHING_DECIDES
    kept = outcome(
        "Add them.", None, kind="code", tests='{"type": "stdio", "cases": [{"input": "1 2", "output": "3"}]}'
    )
    assert isinstance(kept, Row)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("What is $2+3$? a) 4 b) 5 c) 6", "b"),
        ("What is $2+3$? [A] 4 [B] 5 [C] 6", "B"),
        ("What is $2+3$?（ ） A．4 B．5 C．6 D．7", "B"),
        ("What is $2+3$? A、4 B、5 C、6", "(B)"),
        ("What is $2+3$? А) 4 Б) 5 В) 6", "Б"),
        ("What is $2+3$?\n$\\textbf{(A)}\\ 4\\qquad\\textbf{(B)}\\ 5\\qquad\\textbf{(C)}\\ 6$", "B"),
    ],
)
def test_options_in_other_layouts(text, letter):
    kept = outcome(text, letter)
    assert isinstance(kept, Row), kept.reason
    assert (kept.problem.problem, kept.problem.answer) == ("What is $2+3$?", "5")


def test_a_formula_in_front_of_the_options_keeps_its_dollars():
    kept = outcome("$\\frac12+\\frac12=$\n$\\textbf{(A)}\\ 1\\quad\\textbf{(B)}\\ 2\\quad\\textbf{(C)}\\ 3$", "A")
    assert kept.problem.problem == "$\\frac12+\\frac12=$"


CHOICES = [
    "What is 2+2? (A) 3 (B) 4 (C) 5 (D) 6",
    "What is 2+2?\nA. 3\nB. 4\nC. 5\nD. 6",
    "What is 2+2?\nA) 3\nB) 4\nC) 5",
    "What is 2+2?\n$\\textbf{(A)}\\ 3\\qquad\\textbf{(B)}\\ 4\\qquad\\textbf{(C)}\\ 5\\qquad\\textbf{(D)}\\ 6$",
    "What is 2+2? $\\mathrm{(A)\\ } 3 \\qquad \\mathrm{(B)\\ } 4 \\qquad \\mathrm{(C)\\ } 5$",
]


@pytest.mark.parametrize("problem", CHOICES)
@pytest.mark.parametrize("answer", ["B", "(B)", "\\text{(B)}", "$\\textbf{(B)}$"])
def test_multiple_choice_is_asked_for_its_value(problem, answer):
    found = outcome(problem, answer)
    assert isinstance(found, Row)
    assert (found.problem.problem, found.problem.answer) == ("What is 2+2?", "4")
    assert found.notes["options"]["A"] == "3"


def test_multiple_choice_by_option():
    row = Row(Problem(problem=CHOICES[0], answer="B"))
    assert next(clean([row], multiple_choice="drop")).reason == cleaning.CHOICE
    assert next(clean([row], multiple_choice="keep")) == row


def test_a_value_in_place_of_the_letter_stays_the_answer():
    assert outcome(CHOICES[0], "4").problem.answer == "4"


def test_options_need_their_letters_in_order():
    assert find_choices("Let (A) be open and (C) closed, B. Smith says.") is None
    assert letter_of("A square") is None


@pytest.mark.parametrize("noise", ["(A) ", "![](", " ", "\\", "a\u202e", "\\frac{", ", ", "? ", "A. 1 B. 2 C. 3 "])
def test_a_page_of_noise_takes_no_time(noise):
    page = (noise * 100_000)[:100_000]
    rows = [
        Row(Problem(problem=f"What is it? {page}", answer="4")),
        Row(Problem(problem=f"{page}\nFind x. (A) 1 (B) 2 (C) 3", answer="B")),
        Row(Problem(problem="Which is it? (A) 1 (B) 2 (C) 3", answer=f"x{page[:10_000]}x")),
    ]
    start = time.process_time()
    assert len(list(clean(rows))) == 3
    assert time.process_time() - start < 6, "measured: below 0.5 s a row"


def test_spelling():
    assert (
        spelled("Half:\u200b \\\\frac{1}{2}\u00a0\r\n\r\n\r\n\r\n ３＋4 &lt; 9  ") == "Half: \\frac{1}{2}\n\n 3+4 < 9"
    )
    assert spelled("\\dfrac12 + \\tfrac{1}{3}") == "\\frac12 + \\frac{1}{3}"
    matrix = "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}"
    assert spelled(matrix) == matrix


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1)


@given(st.lists(TEXT, max_size=5))
def test_spelling_is_idempotent_and_every_row_comes_out(texts):
    for text in texts:
        assert spelled(spelled(text)) == spelled(text)
    rows = [Row(Problem(problem=text, answer="1")) for text in texts if text.strip()]
    assert len(list(clean(rows))) == len(rows)
