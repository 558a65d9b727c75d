"""Whether SFT teaches what RL pays: the traces themselves, given to the rewards as if the model had written them.

Traces whose response is the bare answer train well, and the model that comes of them never writes a box: RL then pays
nothing, for ever. Right or wrong is not asked, since traces need no reference: only whether their form is paid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from magistral_recipe.check.honest import ABOUT_ANSWERS
from magistral_recipe.check.trials import Path, name_of, proves, score
from magistral_recipe.data.problems import Problem, Trace
from magistral_recipe.rewards.base import Reward
from magistral_recipe.rewards.registry import RewardFunction

_TRACES = 64


def unpaid_traces(
    reward: RewardFunction, path: Path, traces: Sequence[Trace], problems: Sequence[Problem]
) -> list[str]:
    """Say that most of the traces have a form that a reward of mathematics pays nothing for.

    Args:
        reward: RL's; of one that isn't this package's nothing is asked.
        path: what completions pass through.
        traces: SFT's; those of programs and of texts are passed over.
        problems: RL's.

    Returns:
        A line, or nothing.
    """
    if not isinstance(reward, Reward) or not proves(reward) or not reward.must_pay_perfect("math"):
        return []
    tried = [trace for trace in traces if trace.kind == "math"][:_TRACES]
    if not tried or not any(problem.kind == "math" for problem in problems):
        return []
    trials = [
        path.trial(
            Problem(problem=trace.problem, answer=trace.answer or "1", system=trace.system),
            trace.text(path.chat.thinking),
        )
        for trace in tried
    ]
    given = score(reward, path.chat, trials)
    reasons = [given.reason(index, reward.facts().name) for index in range(len(trials))]
    unpaid = [
        reason
        for reason, value in zip(reasons, given.values, strict=True)
        if reason is not None and reason not in ABOUT_ANSWERS and not (value or 0.0) > 0
    ]
    if 2 * len(unpaid) <= len(trials):
        return []
    why = ", ".join(f"{count} {reason}" for reason, count in Counter(unpaid).most_common(2))
    return [
        f"{name_of(reward)} would pay {len(unpaid)} of the first {len(trials)} traces nothing, whatever they answer "
        f"({why}): SFT teaches a form that RL doesn't pay"
    ]
