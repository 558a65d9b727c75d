"""Calling rewards: in order, joined over chunks, replayed to TRL once, and by name when they fail."""

from __future__ import annotations

import asyncio
import functools
import math
import sys
import threading
import time

import pytest
import torch

from magistral_recipe.errors import RunError
from magistral_recipe.training.scoring import Scorer, check_columns


def arguments(*texts):
    return {"completions": list(texts), "prompts": ["p"] * len(texts)}


def lengths(completions, log_extra, log_metric, **_):
    log_extra("length", [len(text) for text in completions])
    log_metric("mean_length", sum(map(len, completions)) / len(completions))
    return [float(len(text)) for text in completions]


def sometimes(completions, **_):
    return [None if text == "?" else 1 for text in completions]


async def awaited(completions, **_):
    return [0.5] * len(completions)


def test_every_plain_reward_is_called_and_what_it_logs_is_kept():
    scores = Scorer([lengths, awaited, sometimes], ["lengths", "awaited", "sometimes"]).score(2, arguments("ab", "?"))
    assert scores.values == {0: [2.0, 1.0], 2: [1.0, None]}
    assert (scores.columns, scores.metrics) == ({"length": [2, 1]}, {"mean_length": [1.5]})
    assert scores.seconds >= 0


def test_chunks_are_scored_in_order_in_one_thread_and_joined():
    threads = []

    def noted(completions, **_):
        threads.append((threading.current_thread().name, list(completions)))
        return [0.0] * len(completions)

    scorer = Scorer([lengths, noted], ["lengths", "noted"])
    scorer.submit(3, arguments("a", "bb", "ccc"))
    scorer.submit(1, arguments("dddddd"))
    scores = scorer.collect(4)
    assert scores.values == {0: [1, 2, 3, 6], 1: [0.0] * 4}
    assert scores.columns == {"length": [1, 2, 3, 6]}
    assert scores.metrics == {"mean_length": [3.0]}  # (3 · 2 + 1 · 6) / 4, not the mean of 2 and 6
    assert [texts for _, texts in threads] == [["a", "bb", "ccc"], ["dddddd"]]
    assert {name.rpartition("_")[0] for name, _ in threads} == {"verification"}
    assert scorer.collect(4) is None  # they are taken once


def test_a_column_that_only_some_chunks_log_has_gaps():
    def moody(completions, log_extra, log_metric, **_):
        if "x" in completions:
            log_extra("mood", ["bad"] * len(completions))
            log_metric("crosses", 1.0)
        return [0.0] * len(completions)

    scorer = Scorer([moody], ["moody"])
    for chunk in (("a", "b"), ("x",), ("c",)):
        scorer.submit(len(chunk), arguments(*chunk))
    scores = scorer.collect(4)
    assert scores.columns == {"mood": [None, None, "bad", None]}
    assert scores.metrics == {"crosses": [1.0]}


def test_another_number_of_completions_than_was_scored_is_refused():
    scorer = Scorer([sometimes], ["sometimes"])
    scorer.submit(2, arguments("a", "b"))
    with pytest.raises(RunError, match="2 completions were scored early, but 3 are wanted"):
        scorer.collect(3)


def test_a_reward_that_fails_in_a_chunk_is_named_when_the_chunks_are_collected():
    def broken(completions, **_):
        raise KeyError(completions[0])

    scorer = Scorer([broken], ["mine"])
    scorer.submit(1, arguments("a"))
    with pytest.raises(RunError, match="reward 'mine' raised KeyError: 'a'") as raised:
        scorer.collect(1)
    assert isinstance(raised.value.__cause__, KeyError)
    assert scorer.collect(1) is None  # the next batch starts anew


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([1.0], "returned 1 values for 2 completions"),
        (3, "returned 3 instead of a list of numbers"),
        ([1.0, "one"], "returned 'one' for completion 1, not a number or None"),
        ([[1.0], 2.0], r"returned \[1.0\] for completion 0, not a number or None"),
        ([1.0, -math.inf], "returned -inf for completion 1"),
        ([10**400, 1.0], "for completion 0, not a number or None"),
    ],
)
def test_answers_are_numbers_one_a_completion(answer, message):
    scorer = Scorer([lambda **_: answer], ["mine"])
    with pytest.raises(RunError, match=f"reward 'mine' .*{message}"):
        scorer.score(2, arguments("a", "b"))


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        ([1, None], [1.0, None]),
        (torch.tensor([0.25, 0.5]), [0.25, 0.5]),
        ((value for value in (0, True)), [0.0, 1.0]),
    ],
)
def test_numbers_of_any_library_become_floats(answer, values):
    found = Scorer([lambda **_: answer], ["mine"]).score(2, arguments("a", "b")).values[0]
    assert found == values
    assert all(value is None or type(value) is float for value in found)


def test_trls_own_pass_finds_the_values_ready_and_logs_once():
    model = torch.nn.Linear(1, 1)
    functions = [lengths, model, sometimes, awaited]
    scorer = Scorer(functions, ["lengths", "model", "sometimes", "awaited"])
    assert not scorer.all_plain
    scores = scorer.score(2, arguments("ab", "?"))
    columns, metrics = [], []
    logs = {
        "log_extra": lambda name, values: columns.append((name, values)),
        "log_metric": lambda name, value: metrics.append((name, value)),
    }
    first, second, third, fourth = scorer.replay(functions, scores)
    assert (first(completions=["other", "texts"], **logs), third(**logs)) == ([2.0, 1.0], [1.0, None])
    assert (columns, metrics) == ([("length", [2, 1])], [("mean_length", 1.5)])
    assert second is model
    assert fourth is not awaited


class Called:
    async def __call__(self, completions, **_):
        return [1.0] * len(completions)


@pytest.mark.parametrize(
    ("function", "plain"),
    [
        (sometimes, True),
        (functools.partial(sometimes), True),
        (awaited, False),
        (functools.partial(functools.partial(awaited)), False),
        (Called(), False),
        (torch.nn.Linear(1, 1), False),
    ],
)
def test_coroutines_and_models_are_told_from_plain_rewards(function, plain):
    scorer = Scorer([function], ["one"])
    assert scorer.all_plain is plain
    assert scorer.score(0, arguments()).values == ({0: []} if plain else {})


def test_columns_hold_one_value_a_completion():
    check_columns({"a": [1, 2], "b": [None, None]}, 2, "rewards have logged")
    with pytest.raises(RunError, match="rewards have logged 3 values of 'b' for 2 completions"):
        check_columns({"a": [1, 2], "b": [1, 2, 3]}, 2, "rewards have logged")


# ---- what a reward may do to the process that calls it


@pytest.mark.parametrize("code", [0, 2, None])
def test_a_reward_that_exits_is_an_error_by_name(code):
    def leaves(completions, **_):
        sys.exit(code)

    with pytest.raises(RunError, match=r"^reward 'leaves' called sys\.exit\("):
        Scorer([leaves], ["leaves"]).score(1, {"completions": ["a"]})
    scorer = Scorer([leaves], ["leaves"], seconds=60)
    scorer.submit(1, {"completions": ["a"]})
    with pytest.raises(RunError, match=r"^reward 'leaves' called sys\.exit\("):
        scorer.collect(1)


def test_a_reward_that_hangs_is_named_after_its_deadline():
    def hangs(completions, **_):
        time.sleep(5)
        return [0.0]

    def answers(completions, **_):
        return [0.0]

    begun = time.monotonic()
    with pytest.raises(RunError, match=r"^reward 'hangs' has not answered within 0\.2 s"):
        Scorer([answers, hangs], ["answers", "hangs"], seconds=0.2).score(1, {"completions": ["a"]})
    early = Scorer([answers, hangs], ["answers", "hangs"], seconds=0.2)
    early.submit(1, {"completions": ["a"]})
    with pytest.raises(RunError, match=r"^reward 'hangs' has not answered within 0\.2 s"):
        early.collect(1)
    assert time.monotonic() - begun < 4

    async def waits(completions, **_):
        await asyncio.sleep(60)
        return [0.0]

    waiting = Scorer([waits], ["waits"], seconds=0.2)._awaiting(0)
    with pytest.raises(RunError, match=r"^reward 'waits' has not answered within 0\.2 s"):
        asyncio.run(waiting(completions=["a"]))


def test_nan_is_warned_of_and_counts_as_none(caplog):
    def lost(completions, **_):
        return [1.0, float("nan"), None, float("nan")]

    with caplog.at_level("INFO"):
        values = Scorer([lost], ["lost"]).score(4, {"completions": ["a"] * 4}).values[0]
    assert [value is not None and math.isnan(value) for value in values] == [False, True, False, True]
    assert "reward 'lost' returned NaN for 2 of 4 completions" in caplog.messages
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning == "reward 'lost' returns NaN, which counts as None: nothing is learnt from those completions"
