r"""Gold texts as data sets ship them: the answer in them, or none."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from magistral_recipe.rewards import MathCorrectness, math_correctness
from magistral_recipe.verifiers.answers import references_of
from magistral_recipe.verifiers.answers.golds import final_answer

GSM8K = (
    "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\n"
    "Natalia sold 48+24 = <<48+24=72>>72 clips altogether in April and May.\n#### 72"
)
MATH = r"We have $x^2=9$, so $x=\boxed{3}$ or $x=-3$. As $x>0$, the value is $\boxed{3}$."
METAMATH = "She pays 4*5=$20 for them.\nSo she has 50-20=$30 left.\nThe answer is: 30"


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (GSM8K, "72"),
        ("She earns 1000+450.\n#### 1,450", "1450"),
        ("… \n####    -3  ", "-3"),
        (METAMATH, "30"),
        (MATH, "3"),
        ("The answer is 5", "5"),
        ("So the final answer is $\\frac{1}{2}$.", "0.5"),
        ("Final Answer: The final answer is $3.5$. I hope it is correct.", "3.5"),
        ("Hence the correct answer is:\n\n\\[ \\frac{3}{4} \\]", "0.75"),
        ("Thus **the answer is 12**.", "12"),
        ("The answer is 6, no: that was half. The answer is 12.", "12"),
        ("The answer is 12 apples.", "12"),
        ("<think>6*7</think>\n<answer>42</answer>", "42"),
        ("<answer>\n\\boxed{42}\n</answer>", "42"),
        ("**Final Answer**\n12", "12"),
        ("### Solution\nWe add 2 and 3.\n#### Answer\n5", "5"),
        ("#### Step 1: add\nWe get 7.\nThe answer is 7.", "7"),
        ("5+5\n#### 10\n#### Explanation\nTwo fives.", "10"),
        ("5\n#### Result: 10", "10"),
        ("So the answer is 5 because 2+3=5.", "5"),
        ("Thus the answer is 5, since 2 and 3 is 5.", "5"),
        ("We add 2 and 3.\nAns. 5", "5"),
        ("【答案】C\n【解析】略", "C"),
        ("解：由题意得 x=3。故答案是5。", "5"),
        ("解：由题意得 x=3。\n故选：B", "B"),
        ('{"ground_truth": "72"}', "72"),
        ('{"ground_truth": ["71", 72], "style": "rule"}', "72"),
        ({"ground_truth": "72"}, "72"),
        ({"style": "rule", "ground_truth": GSM8K}, "72"),
        ({"ground_truth": np.array(["71", "72"])}, "72"),
        ([GSM8K, "73"], "73"),
        # what is an answer by itself stays one
        ("5 red balls and 3 blue balls", r"3 \text{ blue balls}, 5 \text{ red balls}"),
        ("x=1 or x=2", "x=2, x=1"),
        ("no solution", r"\text{no solution}"),
        (r"\text{the answer is 5}", "5"),
    ],
)  # fmt: skip
def test_a_right_answer_is_paid_and_a_wrong_one_is_not(gold, answer):
    completions = [rf"<think>x</think>\boxed{{{box}}}" for box in (answer, "987")]
    assert math_correctness(completions=completions, answer=[gold, gold]) == [1.0, 0.0]


@pytest.mark.parametrize(
    "prose",
    [
        "She has 18 dollars left.",
        "Natalia sold 72 clips altogether in April and May.",
        "It takes 3 hours and 20 minutes for them to meet",
        "Let $x=3$. Then $x^2=9$.",
        "Because 2+2=4 we have four",
        "The answer is not 5, it is 6.",
        "We factor the left side\nand find the two roots\nof which one is negative",
        "#### Part 1\nx = 3\n#### Part 2\nx is 5",
        "So we have x = \\boxed{}",
        "72 clips\n####",
        "proof",
        "notfound",
        r"\text{Not found}",
        "See solution.",
        {"ground_truth": None},
        '{"ground_truth": null}',
        {"target": 98, "numbers": [1, 2]},
    ],
)
def test_prose_is_no_reference(prose):
    logged = {}
    values = MathCorrectness()(
        completions=[r"<think>x</think>\boxed{18}"], answer=[prose],
        log_extra=lambda name, column: logged.update({name: column}),
    )  # fmt: skip
    assert values == [None]
    assert logged == {"math_correctness/reason": ["unreadable_reference"]}


@pytest.mark.parametrize(
    ("number", "texts"),
    [
        (0.1 + 0.2, ["0.3", "0.30000000000000004"]),  # the machine's last digits, and without them
        (1 / 3, ["0.3333333333333333"]),
        (1e-7, ["0.0000001"]),
        (1e22, ["1" + "0" * 22]),
        (Decimal("0.30"), ["0.30"]),
        (Decimal("1E+3"), ["1000"]),
        (Fraction(1, 3), ["1/3"]),
        (10**400, ["1" + "0" * 400]),
        (float("inf"), []),
        (Decimal("nan"), []),
        (True, []),
    ],
)
def test_numbers_as_references(number, texts):
    assert references_of(number) == texts


@pytest.mark.parametrize("answer", ["the function is increasing", "all real numbers except 0", "red, green and blue"])
def test_words_that_are_an_answer_stay_one(answer):
    assert references_of(answer) == [answer]


@pytest.mark.parametrize("gold", ["####", "#### ", "The answer is", "<answer></answer>", "<answer>" * 9, "####\n" * 9])
def test_marks_without_an_answer_find_none_in_them(gold):
    assert final_answer(gold) in (gold, None)


@pytest.mark.parametrize(
    "gold",
    [
        r"\int_0^1 340x\,dx", r"\int_0^1\!340x\,dx", r"\int_0^ 1 340x\,dx", r"\int^1_0 340x\,dx", "∫₀¹ 340x dx",
        r"\int\limits_{0}^{1} 340x\,\mathrm{d}x",
    ],
)  # fmt: skip
def test_digits_behind_a_limit_are_no_thousands(gold):
    right, wrong = r"<think>x</think>\boxed{170}", r"<think>x</think>\boxed{171}"
    assert math_correctness(completions=[right, wrong], answer=[gold] * 2) == [1.0, 0.0]
