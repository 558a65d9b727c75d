"""Correctness of mathematics as a reward: what is 1.0, 0.0, None or an error."""

import itertools
import logging
import math
import time

import pytest

from magistral_recipe.errors import RunError
from magistral_recipe.rewards import MathCorrectness, math_correctness
from magistral_recipe.rewards import math as math_module
from magistral_recipe.verifiers.answers import compare
from magistral_recipe.verifiers.pool import Outcome

RIGHT, WRONG = r"<think>a</think>\boxed{4}", r"<think>a</think>\boxed{5}"


def reasons(reward=math_correctness, **arguments):
    logged = {}
    values = reward(log_extra=lambda name, column: logged.update({name: column}), **arguments)
    return values, logged[f"{reward.name}/reason"]


@pytest.mark.parametrize("answer", ["4", 4, 4.0, ["5", "4"], ("4",), r"\boxed{4}", "$4$"])
def test_references_of_many_types(answer):
    assert math_correctness(completions=[RIGHT, WRONG], answer=[answer, answer]) == [
        1.0,
        5.0 in [answer] or "5" in str(answer),
    ]


@pytest.mark.parametrize("answer", [None, "", float("nan"), [], r"\frac{1}{"])
@pytest.mark.parametrize("completion", [RIGHT, "malformed"])
def test_an_unreadable_reference_is_no_ones_fault(answer, completion):
    assert reasons(completions=[completion], answer=[answer]) == ([None], ["unreadable_reference"])


def test_an_unreadable_reference_is_logged_once_and_counted(caplog):
    reward = MathCorrectness(name="mine")
    with caplog.at_level(logging.WARNING):
        reward(completions=[RIGHT] * 3, answer=["", "4", ""])
        reward(completions=[RIGHT], answer=[""])
    assert len(caplog.records) == 1
    assert "mine: unreadable reference" in caplog.text
    assert reward.counts["unreadable_reference"] == 3


def test_only_the_answer_part_counts():
    completion = r"<think>\boxed{4}</think>The answer is 4."
    assert reasons(completions=[completion], answer=["4"]) == ([0.0], ["no_box"])
    assert MathCorrectness(thinking=None)(completions=[completion], answer=["4"]) == [1.0]


def test_a_missing_column_is_named_beside_those_there_are():
    with pytest.raises(ValueError, match=r"one of 'answer', 'solution', 'ground_truth'.*given are: level, problem"):
        math_correctness(completions=[RIGHT], level=["4"], problem=["2+2"])
    with pytest.raises(ValueError, match=r"missing column 'answer'; the columns given are: problem, solution"):
        MathCorrectness(strict=True)(completions=[RIGHT], solution=["4"], problem=["2+2"])
    with pytest.raises(ValueError, match=r"missing column 'gold'; the columns given are: answer"):
        MathCorrectness(answer_column="gold")(completions=[RIGHT], answer=["4"])


def test_a_column_of_another_length():
    with pytest.raises(ValueError, match="'answer' has 1 values for 2 completions"):
        math_correctness(completions=[RIGHT, RIGHT], answer=["4"])


def test_rows_of_another_kind_are_left_alone():
    values, why = reasons(completions=[RIGHT] * 3, answer=["4", None, None], kind=["math", "code", "text"])
    assert values == [1.0, None, None]
    assert why == ["right", "other_kind", "other_kind"]
    assert math_correctness(completions=[RIGHT], kind=["code"]) == [None]


def test_another_column_and_numpy_values():
    numpy = pytest.importorskip("numpy")
    reward = MathCorrectness(answer_column="solution")
    assert reward(completions=[RIGHT, RIGHT], solution=numpy.array([4, 5])) == [1.0, 0.0]


def test_the_metric_is_logged_by_every_call_and_is_the_last_one_known_where_no_row_applies():
    reward, metrics = MathCorrectness(), []

    def call(*answers):
        reward(completions=[RIGHT] * len(answers), answer=answers, log_metric=lambda name, value: metrics.append(value))

    call(None)
    assert math.isnan(metrics.pop())
    call("4", "5", None)
    call(None, None)
    call("4")
    call()
    assert metrics == [0.5, 0.5, 1.0, 1.0]


class StubPool:
    def __init__(self, outcome):
        self.outcome = outcome
        self.asked = []

    def compare(self, pairs, together, used):
        self.asked += pairs
        self.used = used
        return [self.outcome] * len(pairs)


UNDECIDED = {"completions": [r"<think>a</think>\boxed{\frac13}"], "answer": [r"\int_0^1 x^2 dx"]}


@pytest.mark.parametrize(
    ("outcome", "value", "reason"),
    [
        (Outcome.EQUAL, 1.0, "right"), (Outcome.DIFFERENT, 0.0, "wrong"), (Outcome.UNREADABLE, 0.0, "unreadable"),
        (Outcome.TIMEOUT, 0.0, "timeout"), (Outcome.CRASHED, 0.0, "crashed"), (Outcome.FAILED, None, "worker_failed"),
    ],
)  # fmt: skip
def test_what_becomes_of_an_item_in_the_pool(monkeypatch, outcome, value, reason):
    monkeypatch.setattr(math_module, "shared_pool", lambda: StubPool(outcome))
    assert reasons(**UNDECIDED) == ([value], [reason])


def test_each_distinct_pair_is_asked_once(monkeypatch):
    stub = StubPool(Outcome.EQUAL)
    monkeypatch.setattr(math_module, "shared_pool", lambda: stub)
    many = {name: column * 50 for name, column in UNDECIDED.items()}
    assert math_correctness(**many) == [1.0] * 50
    assert len(stub.asked) == 1


def test_a_broken_machine_stops_the_run_before_it_is_trained_on(monkeypatch):
    monkeypatch.setattr(math_module, "shared_pool", lambda: StubPool(Outcome.FAILED))
    reward = MathCorrectness()
    ten = {name: column * 10 for name, column in UNDECIDED.items()}
    assert reward(**ten) == [None] * 10
    with pytest.raises(RunError, match="11 of the last 11 completions could not be graded"):
        reward(**UNDECIDED)


def raising(*_):
    raise KeyError("x")


@pytest.mark.parametrize("broken", ["judge", "Container.find", "compare"])
def test_an_exception_of_our_own_rules_earns_nothing_and_stops_nothing(monkeypatch, caplog, broken):
    monkeypatch.setattr(math_module, "_reported", False)
    monkeypatch.setattr(f"{math_module.__name__}.{broken}", raising)
    reward = MathCorrectness()
    with caplog.at_level(logging.ERROR):
        values, why = reasons(reward, completions=[RIGHT, r"<think>a</think>\boxed{y}"] * 500, answer=["4", "z"] * 500)
    assert values == [0.0] * 1000
    assert set(why) == {"grader_error"}
    assert reward.counts["grader_error"] == 1000
    assert len(caplog.records) == 1
    assert "4" in caplog.records[0].getMessage()
    assert reward(completions=[RIGHT], answer=["4"]) == [0.0]


def test_an_exception_while_settling_what_sympy_said(monkeypatch):
    monkeypatch.setattr(math_module, "shared_pool", lambda: StubPool(Outcome.EQUAL))
    monkeypatch.setattr(math_module, "_settled", raising)
    assert reasons(**UNDECIDED) == ([0.0], ["grader_error"])


def test_an_exception_on_the_reference_is_the_references_fault(monkeypatch):
    monkeypatch.setattr(math_module, "references_of", raising)
    math_module._references_of_text.cache_clear()
    assert reasons(completions=[RIGHT], answer=["4"]) == ([None], ["unreadable_reference"])


@pytest.mark.parametrize("answer", ["25", r"\frac12", "(1,2)", "x>5", r"\{1\}", r"\begin{pmatrix}1\\2\end{pmatrix}"])
@pytest.mark.parametrize(
    "box", [r"T \approx 25", "x≈9", r"f(x)\simeq 2", r"x\approx 1,y\approx 2", r"AB \doteq 3\text{ m}"]
)
def test_a_name_with_an_approximation_is_graded_like_any_other(answer, box):
    values, why = reasons(completions=[f"<think>a</think>\\boxed{{{box}}}"] * 12, answer=[answer] * 12)
    assert set(why) <= {"right", "wrong", "hedge"}
    assert None not in values


@pytest.mark.parametrize(
    ("options", "answer", "box", "value"),
    [
        ({}, "391", r"17 \cdot 23", 0.0),
        ({"unsimplified": "accept"}, "391", r"17 \cdot 23", 1.0),
        ({"unsimplified": "accept"}, "391", r"\frac{782}{2}", 1.0),
        ({"unsimplified": "accept"}, "391", r"17 \cdot 24", 0.0),
        ({"unsimplified": "accept"}, "391", r"x=17 \cdot 23", 1.0),
        ({}, "x=391", r"x=17 \cdot 23", 0.0),
        ({}, r"\frac{1}{3}", "0.333", 0.0),
        ({"rounding": 3}, r"\frac{1}{3}", "0.333", 1.0),
        ({"rounding": 3}, r"\frac{1}{3}", "0.334", 0.0),
        ({"rounding": 3}, r"\frac{1}{3}", "0.33", 0.0),
        ({"rounding": 8}, r"\sqrt{2}", "1.414214", 0.0),
    ],
)
def test_conventions_can_be_set(options, answer, box, value):
    assert MathCorrectness(**options)(completions=[f"<think>a</think>\\boxed{{{box}}}"], answer=[answer]) == [value]


@pytest.mark.parametrize("options", [{"unsimplified": "maybe"}, {"rounding": 0}, {"rounding": True}, {"rounding": 2.5}])
def test_conventions_that_there_are_not(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        MathCorrectness(**options)


NESTED = [
    *(("\\" + name + "(") * 38 + f"x+{number}" + ")" * 38 for number, name in enumerate(["sinh", "arctan", "csc"])),
    r"\operatorname{f}" * 38 + "x",
    "\\Gamma\\left(" * 38 + "x" + "\\right)" * 38,
    "\\Gamma{" * 38 + "x" + "}" * 38,
    "\\Gamma" + "|" * 60 + "x" + "|" * 60,
    "\\Gamma" + "\\frac{1}{1+" * 30 + "x" + "}" * 30,
    "\\Gamma(" + "x^{" * 30 + "2" + "}" * 30 + ")",
    "\\Gamma(" + "\\sqrt[3]{" * 30 + "2" + "}" * 30 + ")",
    "\\zeta" + "+".join(f"\\Gamma(x+{n})" for n in range(400)),
]


@pytest.mark.parametrize("boxes", [NESTED, *([each] for each in NESTED)], ids=range(len(NESTED) + 1))
def test_what_is_nested_beyond_mathematics_costs_nothing(boxes):
    started = time.monotonic()
    many = ["".join(f"\\boxed{{{box}+{number}}}" for number in range(20 // len(boxes)) for box in boxes)]
    values = math_correctness(completions=[f"<think>x</think>{many[0]}"], answer=["x+1"])
    assert values == [0.0]
    assert time.monotonic() - started < 8  # a worker's start; it was three minutes


DEAR = {
    "gammas of an equal function": ("x", "x+0*(" + "+".join(f"(x+{3000 + k}-{{i}})!" for k in range(90)) + ")"),
    "fractions of factorials": ("5", "+".join(f"{3400 - k}!/{3399 - k}!" for k in range(80)) + "+{i}"),
    "an equation": ("y=x+1", "y=" + "+".join(f"(x+{3000 + k}-{{i}})!" for k in range(90))),
    "powers": ("5", "+".join(f"{3 + k}^{{{{2999}}}}/{{i}}7^{{{{2998}}}}" for k in range(50))),
    "binomials": ("x", "+".join(f"\\binom{{{{3999}}}}{{{{15{{i}}{k}}}}}" for k in range(10, 50))),
}


@pytest.mark.parametrize("name", DEAR)
def test_one_completion_takes_the_rules_no_longer_than_allowed(name):
    reference, box = DEAR[name]
    boxes = "".join(f"\\boxed{{{box.format(i=number)}}}" for number in range(20))
    started = time.thread_time()
    assert math_correctness(completions=[f"<think>x</think>{boxes}"], answer=[[reference] * 3]) == [0.0]
    assert time.thread_time() - started < 3


def test_what_the_rules_took_is_off_the_clock_of_what_sympy_is_asked(monkeypatch):
    stub, compared = StubPool(Outcome.DIFFERENT), []

    def slowly(reference, answer, rules):
        compared.append(answer)
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass
        return compare(reference, answer, rules)

    monkeypatch.setattr(math_module, "shared_pool", lambda: stub)
    monkeypatch.setattr(math_module, "compare", slowly)
    assert math_correctness(**UNDECIDED) == [0.0]
    assert 0.05 <= stub.used[0] < 1
    assert compared == [r"\frac13"]  # nor do the rules work twice on what they have judged


def test_what_one_completion_had_no_time_for_is_no_property_of_the_text(monkeypatch):
    box = r"\frac{\sqrt{48391}}{7}"
    with monkeypatch.context() as patched:
        patched.setattr("magistral_recipe.verifiers.answers.effort.time.thread_time", itertools.count().__next__)
        assert reasons(completions=[rf"<think>a</think>\boxed{{{box}}}"], answer=[r"\frac{1}{7}\sqrt{48391}"]) == (
            [0.0],
            ["timeout"],
        )
    assert math_correctness(completions=[rf"<think>a</think>\boxed{{{box}}}"], answer=[r"\frac{1}{7}\sqrt{48391}"]) == [
        1.0
    ]
