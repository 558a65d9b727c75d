r"""Multiple choice: what is one, what the answer names, and what the question means without its options."""

from __future__ import annotations

import pytest

from magistral_recipe.curation import clean as cleaning
from magistral_recipe.curation.clean import clean
from magistral_recipe.curation.rows import Dropped, Row
from magistral_recipe.data.problems import Problem

LEGS = "How many legs have two dogs and a hen? (A) 6 (B) 8 (C) 10 (D) 12"


def outcome(problem, answer):
    (found,) = clean([Row(Problem(problem=problem, answer=answer))])
    return found


@pytest.mark.parametrize(
    "answer",
    ["C", "(C) 10", "C. 10", "C) 10", r"\textbf{(C)}\ 10", r"\text{(C) } 10", r"\boxed{C}", "The answer is C", "10"],
)
def test_the_answer_names_its_option_in_any_dress(answer):
    kept = outcome(LEGS, answer)
    assert isinstance(kept, Row), kept.reason
    assert (kept.problem.problem, kept.problem.answer) == ("How many legs have two dogs and a hen?", "10")


def test_of_several_right_answers_the_letter_names_the_option():
    assert outcome(LEGS, ["C", "10"]).problem.answer == "10"


@pytest.mark.parametrize("answer", ["AC", "A, B", "F", "(C) 12"])
def test_an_answer_that_names_no_single_option_goes(answer):
    assert outcome(LEGS, answer).reason == cleaning.NO_STATEMENT


@pytest.mark.parametrize(
    "options",
    [
        "\nA. 3\nB. 4\nC. 5\n\nAnswer with the letter of the right option.",
        "\nA. 3\nB. 4\nC. 5\n\nPlease reason step by step, and put your final answer within \\boxed{}.",
        "\n(A) 3\n(B) 4\n(C) 5\nAnswer:",
        " A. 3. B. 4. C. 5. Choose one answer.",
        "\n\n**A)** 3 **B)** 4 **C)** 5",
        "\n- A. 3\n- B. 4\n- C. 5",
        " A.3 B.4 C.5",
        " Select the right answer: (A) 3 (B) 4 (C) 5",
    ],
)
def test_options_among_instructions_and_marks(options):
    kept = outcome("What is $2+3$?" + options, "C")
    assert isinstance(kept, Row), kept.reason
    assert (kept.problem.problem, kept.problem.answer) == ("What is $2+3$?", "5")


def test_two_options_are_a_choice_behind_a_question_alone():
    assert outcome("Is 91 prime?\nA. Yes\nB. No", "B").problem.answer == "No"
    told = "Smith A. has 3 pears, Smith B. has 5. Who has more?"
    assert outcome(told, "B").problem.problem == told


@pytest.mark.parametrize(
    ("problem", "answer"),
    [
        ("Jugs of (A) 3 litres, (B) 5 litres and (C) 8 litres are filled. Find how much they hold.", "16"),
        ("A gate has inputs:\nA: 0\nB: 1\nC: 1\nWhat is their conjunction?", "0"),
        ("Press buttons until 9 is shown. Buttons:\nA: add 1\nB: double\nC: subtract 2", "A, then B twice"),
        ("Given that (A) $x=2$, (B) $y=3$ and (C) $z=xy$, compute $z$.", "6"),
        ("Points $A(1,2)$ and $B(3,4)$ are given. Which of them is nearer to the origin?", "A"),
        ("What is 12 in hexadecimal?", "C"),
    ],
)
def test_things_with_letters_are_no_options(problem, answer):
    kept = outcome(problem, answer)
    assert isinstance(kept, Row), kept.reason
    assert (kept.problem.problem, kept.problem.answer) == (problem, answer)


@pytest.mark.parametrize(
    ("question", "options", "answer"),
    [
        ("Какое из следующих чисел простое?", "А) 4 Б) 7 В) 9", "Б"),
        ("Laquelle de ces fractions est la plus grande ?", "(A) 1/2 (B) 1/3 (C) 2/3", "C"),
        ("Welche der Zahlen ist prim?", "(A) 4 (B) 7 (C) 9", "B"),
        ("已知 $a>b$，则下列正确的是", "A. $a>b-1$ B. $a<b$ C. $a=b$", "A"),
        ("Which fraction is the largest?", "(A) 1/2 (B) 1/3 (C) 2/3", "C"),
        ("The correct statement is", "(A) 2 is odd (B) 3 is odd (C) 4 is odd", "B"),
        ("Then $x$ could be", "(A) 1 (B) 2 (C) 3", "B"),
        ("If $0<x<1$, then", "(A) $x>x^2$ (B) $x<x^2$ (C) $x=x^2$", "A"),
        ("The function $f(x)=x^5$ is", "(A) even (B) odd (C) periodic", "B"),
        ("What is $2+2$?", "(A) 3 (B) 5 (C) cannot be determined (D) none of these", "D"),
        ("What does the graph look like?", "(A) ![](a.png) (B) ![](b.png) (C) ![](c.png)", "B"),
    ],
)
def test_what_means_nothing_without_its_options_goes(question, options, answer):
    assert outcome(f"{question} {options}", answer).reason in (cleaning.NO_STATEMENT, cleaning.PICTURE)


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("Find the sum of the following numbers: 3, 5, 9.", None),
        ("Solve the following equation: $x-2=15$.", None),
        ("Which of the following is the value of $8+9$?", "What is the value of $8+9$?"),
        ("Which number comes next in 2, 5, 10?", None),
    ],
)
def test_what_follows_may_stand_in_the_question(question, asked):
    kept = outcome(f"{question} (A) 15 (B) 16 (C) 17", "C")
    assert isinstance(kept, Row), kept.reason
    assert (kept.problem.problem, kept.problem.answer) == (asked or question, "17")


@pytest.mark.parametrize("problem", ["What is the value of $3^4$?", "How many days are in a leap year?"])
def test_a_letter_whose_options_are_lost_goes(problem):
    found = outcome(problem, "B")
    assert isinstance(found, Dropped)
    assert found.reason == cleaning.NO_STATEMENT


def test_what_stands_behind_the_options_stays_unless_it_asks():
    kept = outcome("How long is $AC$?\n(A) 3 (B) 4 (C) 5\n\n[asy] draw((0,0)--(5,0)); [/asy]", "C")
    assert kept.problem.problem == "How long is $AC$?\n\n[asy] draw((0,0)--(5,0)); [/asy]"
