"""The sum, by hand: format as a gate, then 0.9, the length term, and 0.1 for the language (Magistral §2.2)."""

import json
import math
from functools import partial

import pytest

from magistral_recipe.rewards import MagistralReward, MathCorrectness, Weights, magistral_reward

GOOD = "<think>We add the two numbers and find that the sum is four.</think>The sum of the numbers is \\boxed{4}."
FALSE = GOOD.replace("boxed{4}", "boxed{5}")
GERMAN = "<think>Wir zählen die beiden Zahlen zusammen und erhalten vier.</think>Die Summe der Zahlen ist \\boxed{4}."
PROBLEM = "What is the sum of the two numbers two and two?"
UNREADABLE = r"\frac{1}{"


def score(completion, answer="4", reward=magistral_reward, **columns):
    columns = {name: [value] for name, value in columns.items()}
    return reward(completions=[completion], answer=[answer], problem=[PROBLEM], **columns)[0]


@pytest.mark.parametrize(
    ("completion", "expected"),
    [(GOOD, 1.1), (FALSE, 0.2), (GERMAN, 1.0), (r"\boxed{4}", 0.0), (GOOD.replace("\\boxed{4}", "4"), 0.0)],
)
def test_the_sum(completion, expected):
    assert score(completion) == pytest.approx(expected)


@pytest.mark.parametrize("completion", [GOOD, "malformed"])
def test_an_unreadable_reference_comes_before_anything_else(completion):
    assert score(completion, UNREADABLE) is None


@pytest.mark.parametrize(("tokens", "term"), [(80, 0.0), (90, -0.05), (100, -0.1), (500, -0.1)])
def test_the_length_term(tokens, term):
    reward = MagistralReward(max_length=100, cache=20)
    value = reward(completions=[GOOD], answer=["4"], problem=[PROBLEM], completion_ids=[[0] * tokens])
    assert value == [pytest.approx(1.1 + term)]


def test_limits_without_token_ids():
    with pytest.raises(ValueError, match="completion_ids"):
        score(GOOD, reward=MagistralReward(max_length=100, cache=20))


def test_a_schedule_sets_limits_but_not_twice():
    reward = MagistralReward()
    reward.set_limits(10, 5)
    assert reward(completions=[GOOD], answer=["4"], problem=[PROBLEM], completion_ids=[[0] * 10]) == [
        pytest.approx(1.0)
    ]
    with pytest.raises(ValueError, match="given twice"):
        MagistralReward(max_length=100, cache=20).set_limits(10, 5)


@pytest.mark.parametrize(("weights", "maximum"), [(None, 1.1), ({"language": 0}, 1.0), (Weights(0, 1, 0), 1.0)])
def test_weights_and_maximum(weights, maximum):
    reward = MagistralReward(weights=weights)
    assert reward.maximum == pytest.approx(maximum)
    assert score(GOOD, reward=reward) == pytest.approx(maximum)


@pytest.mark.parametrize("weights", [{"formt": 1}, {"format": -1}, {"format": math.inf}])
def test_bad_weights(weights):
    with pytest.raises(ValueError, match="weight"):
        MagistralReward(weights=weights)


def test_a_language_that_cannot_be_told_adds_nothing():
    assert score("<think>2+2</think>\\boxed{4}", language="en") == pytest.approx(1.0)


def test_text_has_nothing_to_verify():
    text = "<think>We think about what to say to the friend.</think>Dear friend, it was good to see you."
    assert score(text, None, kind="text") == pytest.approx(0.2)


def test_ones_own_correctness():
    def longer(completions, threshold, **_):
        return [
            None if limit is None else float(len(text) > limit)
            for text, limit in zip(completions, threshold, strict=True)
        ]

    reward = MagistralReward(correctness=longer)
    columns = {"threshold": [10, 10**6, None], "problem": [PROBLEM] * 3}
    assert reward(completions=[GOOD] * 3, **columns) == [pytest.approx(1.1), pytest.approx(0.2), None]


def test_a_correctness_that_returns_too_few_values():
    with pytest.raises(ValueError, match="returned 0 values for 1 completions"):
        score(GOOD, reward=MagistralReward(correctness=lambda **_: []))


def test_ones_own_correctness_gets_the_functions_to_log_with_that_it_takes():
    def logging(completions, log_metric, log_extra, **_):
        log_metric("own/mean", 0.5)
        log_extra("own", [1] * len(completions))
        return [1.0] * len(completions)

    def plain(completions, answer, problem, prompts, completion_ids, trainer_state, kind):
        return [1.0] * len(completions)

    extras, metrics = {}, {}
    reward = MagistralReward(correctness=logging)
    assert score(GOOD, reward=reward) == pytest.approx(1.1)  # nobody listens
    reward(
        completions=[GOOD], answer=["4"], problem=[PROBLEM],
        log_extra=extras.__setitem__, log_metric=metrics.__setitem__,
    )  # fmt: skip
    assert extras["own"] == [1]
    assert metrics["own/mean"] == 0.5
    assert score(GOOD, reward=MagistralReward(correctness=plain)) == pytest.approx(1.1)


async def awaited(completions, **_):
    return [1.0] * len(completions)


class Awaited:
    async def __call__(self, completions, **_):
        return [1.0] * len(completions)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (awaited, "'awaited' is a coroutine function"),
        (partial(awaited, x=1), "'awaited' is a coroutine function"),
        (Awaited(), "'Awaited' is a coroutine function"),
        (MathCorrectness, "'MathCorrectness' is a class; give an instance"),
        ("math", "'math' is no function"),
    ],
)
@pytest.mark.parametrize("part", ["correctness", "language"])
def test_what_cannot_be_called_as_it_is_is_refused_by_name(part, given, message):
    with pytest.raises(ValueError, match=f"^{part}: {message}"):
        MagistralReward(**{part: given})


def note(logged, name, value):
    logged.append((name, value))


def test_every_part_is_logged_by_every_call_whatever_its_rows():
    """TRL 1.0 to 1.13 gather metrics one after another: a name that one process leaves out hangs the others."""
    reward = MagistralReward(max_length=99, cache=9)
    batches = [
        ([GOOD, "malformed"], ["4", "4"]),
        (["<think>2+2</think>\\boxed{4}"], ["4"]),  # too short to tell the language
        (["malformed"], [UNREADABLE]),
        ([""], [None]),
        ([], []),
    ]
    for completions, answers in batches:
        logged: list[tuple[str, object]] = []
        count = len(completions)
        reward(
            completions=completions, answer=answers, language=["en"] * count, completion_ids=[[1]] * count,
            log_metric=partial(note, logged), log_extra=partial(note, logged),
        )  # fmt: skip
        parts = ("format", "correctness", "length", "language")
        names = [f"magistral_reward/{part}" for part in parts for _ in range(2)] + ["magistral_reward/reason"]
        assert [name for name, _ in logged] == names
    assert dict(logged[::2])["magistral_reward/correctness"] == 1.0  # the last that applied


def test_every_part_is_logged_with_one_value_a_completion():
    extras, metrics = {}, {}
    magistral_reward(
        completions=[GOOD, "malformed", FALSE], answer=["4", "4", UNREADABLE], problem=[PROBLEM] * 3,
        log_extra=extras.__setitem__, log_metric=metrics.__setitem__,
    )  # fmt: skip
    assert set(extras) == {f"magistral_reward/{part}" for part in ("format", "correctness", "language", "reason")}
    assert all(len(column) == 3 and len({type(value) for value in column}) == 1 for column in extras.values())
    assert extras["magistral_reward/reason"] == ["right", "malformed", "unreadable_reference"]
    assert extras["magistral_reward/correctness"][:2] == [1.0, 0.0]
    assert math.isnan(extras["magistral_reward/correctness"][2])
    assert metrics["magistral_reward/correctness"] == 0.5


@pytest.mark.sandbox
def test_rows_with_tests_are_code():
    tests = json.dumps({"type": "stdio", "cases": [{"input": "2 2", "output": "4"}]})
    program = "<think>Read the two numbers and print their sum.</think>The program prints the sum of the numbers:\n"
    program += "```python\nprint(sum(map(int, input().split())))\n```"
    values = magistral_reward(
        completions=[program, GOOD, GOOD], tests=[tests, None, tests], answer=[None, "4", "4"], problem=[PROBLEM] * 3
    )
    assert values == [pytest.approx(1.1), pytest.approx(1.1), 0.0]
