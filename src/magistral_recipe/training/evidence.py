"""What a generation batch without signal showed: why its completions earned what they earned, and what to do about it.

"Nothing to train on" is true of a policy that knows no tags, of one that is cut, of one that is always right and of
rows that no reward applies to; each wants something else. Reasons are known by their names: this package's rewards log
them under NAME/reason, and others may.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from magistral_recipe.training.rollouts import ALL_RIGHT, Rollout

WORDS = {
    "malformed": "without the thinking tags",
    "blank_thoughts": "without thoughts",
    "blank_answer": "without an answer",
    "no_box": "without a box",
    "no_code": "without code",
    "cut": "cut at the limit",
    "several_boxes": "with several boxes",
    "unreadable_reference": "with a reference that can't be read",
    "other_kind": "of another kind of problem",
}
"""Reasons as one says them of a completion; the others say it themselves."""

ADVICE = {
    "malformed": "a model that does not know the tags yet needs SFT first",
    "blank_thoughts": "a model that does not think yet needs SFT first",
    "no_box": "a model that boxes no answer needs SFT first, or a system prompt that asks for a box",
    "no_code": "a model that writes no code block needs SFT first, or a system prompt that asks for one",
    "cut": "raise max_completion_length, or choose problems with shorter solutions",
}
"""What to do where most wrong completions have a reason."""

_CUTTABLE = frozenset({"malformed", "blank_thoughts", "blank_answer", "no_box", "no_code"})
"""What may only be missing because the completion was cut."""

_MUCH = 0.4
"""Share of the wrong completions from which on a reason is a cause."""
_EASIER = "choose easier problems or raise num_generations, and see that the references are what one would answer"
_HARDER = "there is nothing left to learn here; choose harder problems"


def reasons(rollouts: Sequence[Rollout]) -> Counter[str]:
    """Count why completions earned what they earned, as the rewards say it.

    Args:
        rollouts: scored.

    Returns:
        Reason to how many; those that were cut before they could have tags or a box count as cut. Empty where no reward
        gives reasons.
    """
    found: Counter[str] = Counter()
    for rollout in rollouts:
        told = [
            str(value) for column, value in rollout.parts.items() if column.rpartition("/")[2] == "reason" and value
        ]
        if not told:
            continue
        # Of several rewards the one that found fault tells more than one that is content.
        reason = next((each for each in told if each in ADVICE), told[0])
        found["cut" if rollout.truncated and reason in _CUTTABLE else reason] += 1
    return found


def what_it_showed(rollouts: Sequence[Rollout]) -> str:
    """Say what the completions of a batch without signal were like, and what to do.

    Args:
        rollouts: all of the batch.

    Returns:
        A sentence.
    """
    count = len(rollouts)
    rewards = [rollout.reward for rollout in rollouts if not math.isnan(rollout.reward)]
    found = reasons(rollouts)
    told = ((WORDS.get(reason) or reason.replace("_", " "), n) for reason, n in found.most_common(4))
    why = ", ".join(f"{n:,} {words}" for words, n in told)
    if not rewards:
        columns = "Do the rows have the columns that the rewards need?"
        return f"no reward applied to any of {count:,} completions{f' ({why})' if why else ''}. {columns}"
    low, high = min(rewards), max(rewards)
    earned = f"every one of {count:,} completions earned {low:.2f}"
    if high - low > 5e-3:
        earned = f"{count:,} completions earned {low:.2f} to {high:.2f}, each group one of these"
    if found["right"] == count or all(rollout.dropped == ALL_RIGHT for rollout in rollouts):
        return f"{earned}, all right: {_HARDER}"
    if not found:
        return f"{earned}, and the rewards don't say why: read them; {_EASIER}"
    wrong = [(reason, n) for reason, n in found.most_common() if reason != "right"]
    # Several causes may stand side by side; what a few completions have is no cause.
    causes = [reason for reason, n in wrong if n >= _MUCH * sum(n for _, n in wrong)] or [wrong[0][0]]
    advice = dict.fromkeys(ADVICE.get(each, _EASIER) for each in causes)
    return f"{earned} ({why}): {'; '.join(advice)}"
