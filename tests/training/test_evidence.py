"""What a batch without signal is said to have shown, and what to do: each cause has words of its own."""

from __future__ import annotations

import pytest
from given_rollouts import NONE, rollout

from magistral_recipe.rewards.reasons import CUTTABLE, Reason
from magistral_recipe.training.evidence import _CUTTABLE, ADVICE, WORDS, what_it_showed
from magistral_recipe.training.rollouts import ALL_RIGHT


def made(reward, reason=None, truncated=False, dropped=""):
    parts = {} if reason is None else {"magistral_reward/format": 0.0, "magistral_reward/reason": reason}
    one = rollout({"id": "p"}, reward, truncated=truncated, parts=parts)
    one.dropped = dropped
    return one


@pytest.mark.parametrize(
    ("rollouts", "said"),
    [
        (
            [made(0.0, "malformed")] * 6 + [made(0.0, "no_box")] * 2,
            "every one of 8 completions earned 0.00 (6 without the thinking tags, 2 without a box): a model that does "
            "not know the tags yet needs SFT first",
        ),
        (
            [made(0.0, "malformed", truncated=True)] * 5 + [made(0.0, "malformed")] * 3,
            "every one of 8 completions earned 0.00 (5 cut at the limit, 3 without the thinking tags): raise "
            "max_completion_length, or choose problems with shorter solutions",
        ),
        (
            [made(0.0, "no_box")] * 8,
            "every one of 8 completions earned 0.00 (8 without a box): a model that boxes no answer needs SFT first, "
            "or a system prompt that asks for a box",
        ),
        (
            [made(0.1, "wrong")] * 7 + [made(0.1, "unreadable")],
            "every one of 8 completions earned 0.10 (7 wrong, 1 unreadable): choose easier problems or raise "
            "num_generations, and see that the references are what one would answer",
        ),
        (
            [made(1.1, "right")] * 8,
            "every one of 8 completions earned 1.10, all right: there is nothing left to learn here; choose harder "
            "problems",
        ),
        (
            [made(1.1, "right")] * 4 + [made(0.0, "wrong")] * 4,
            "8 completions earned 0.00 to 1.10, each group one of these (4 right, 4 wrong): choose easier problems or "
            "raise num_generations, and see that the references are what one would answer",
        ),
        (
            [made(NONE, "unreadable_reference")] * 8,
            "no reward applied to any of 8 completions (8 with a reference that can't be read). Do the rows have the "
            "columns that the rewards need?",
        ),
        (
            [made(0.0)] * 8,
            "every one of 8 completions earned 0.00, and the rewards don't say why: read them; choose easier problems "
            "or raise num_generations, and see that the references are what one would answer",
        ),
        (
            [made(1.0, dropped=ALL_RIGHT)] * 8,
            "every one of 8 completions earned 1.00, all right: there is nothing left to learn here; choose harder "
            "problems",
        ),
        (
            [made(0.0, "a reason of one's own")] * 8,
            "every one of 8 completions earned 0.00 (8 a reason of one's own): choose easier problems or raise "
            "num_generations, and see that the references are what one would answer",
        ),
    ],
)
def test_each_cause_is_told_in_its_own_words(rollouts, said):
    assert what_it_showed(rollouts) == said


def test_the_names_of_reasons_are_those_of_the_rewards():
    assert {*WORDS, *ADVICE} <= {*Reason}
    assert _CUTTABLE == CUTTABLE
