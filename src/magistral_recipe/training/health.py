"""Is a run getting worse? Judged on its curves, the same way while it trains and in its report.

Four things go wrong in RL without an error: the reward falls, entropy is gone, groups turn flat, a reward pays nobody.
Each is a function of one curve, with its threshold beside it. They are rules of thumb and say what they saw. A curve
that is too short is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Curve = Sequence[tuple[float, float]]
"""(optimizer step, value), in order."""

FEW = 8
"""Values below which a curve is not judged."""

_SURE = 4.0
"""Standard errors that a fall must measure: a run is looked at hundreds of times, so two would often be chance."""

ENTROPY = ("entropy",)
FLAT_GROUPS = ("groups/uninformative", "frac_reward_zero_std")
"""Where curves are found: the first of these metrics that was logged; ours, then stock TRL's."""


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong.

    Attributes:
        id: short, for machines.
        title: what is the matter, in a few words.
        seen: the figures that say so.
        since: the optimizer step from which on it holds.
        advice: what to change.
    """

    id: str
    title: str
    seen: str
    since: int
    advice: str

    def line(self) -> str:
        """Everything in one line."""
        return f"{self.title} since step {self.since}: {self.seen}. {self.advice}"


def troubles(curves: Mapping[str, Curve], parts: Mapping[str, str]) -> Iterator[Trouble]:
    """Judge the curves of an RL training.

    Args:
        curves: by metric.
        parts: metrics that are parts of the reward, and what a person calls them (`correctness`, `format`, …).

    Returns:
        What is wrong, the gravest first.
    """
    pays = {key: part for key, part in parts.items() if part != "length"}  # a penalty that nobody gets is no trouble
    if found := fallen_reward(curves, parts):
        yield found
    for key, part in pays.items():
        if found := unpaid(curves.get(key, ()), part):
            yield found
    if found := entropy_gone(first_judged(curves, ENTROPY)):
        yield found
    right, wrong = (curves.get(f"groups/all_{kind}", ()) for kind in ("right", "wrong"))
    graded = next((curves.get(key, ()) for key, part in pays.items() if part == "correctness"), ())
    if found := flat_groups(first_judged(curves, FLAT_GROUPS), right, wrong, graded):
        yield found


def first_judged(curves: Mapping[str, Curve], keys: Sequence[str]) -> Curve:
    """Return the first of some curves that is long enough to be judged; empty if none is."""
    return next((curve for key in keys if len(curve := curves.get(key, ())) >= FEW), ())


def fallen_reward(curves: Mapping[str, Curve], parts: Mapping[str, str]) -> Trouble | None:
    """Judge the reward, and where it holds the share of right answers: told once, since the two fall together.

    Args:
        curves: by metric.
        parts: see `troubles`.

    Returns:
        The fall, or ``None``.
    """
    watched = {"reward": "reward"} | {
        key: "share of right answers" for key, part in parts.items() if part == "correctness"
    }
    found = (fallen(curves.get(key, ()), name) for key, name in watched.items())
    return next((trouble for trouble in found if trouble), None)


def fallen(curve: Curve, name: str) -> Trouble | None:
    """Judge whether a curve ends below its start by more than its noise.

    The mean of the last tenth (at least three values) against that of the first, four standard errors apart. The noise
    of a value is taken from the steps between neighbours, so that a slope hardly counts.

    Args:
        curve: of something that should rise.
        name: what a person calls it.

    Returns:
        The fall, or ``None``.
    """
    values = [value for _, value in curve]
    if len(values) < FEW:
        return None
    width = window(values)
    start = mean(values[:width])
    limit = start - max(_SURE * noise(values) * math.sqrt(2 / width), 0.01)
    since = _since(curve, width, lambda level: level < limit)
    if since is None:
        return None
    return Trouble(
        "falling",
        f"The {name} is falling",
        f"it began at {start:.2f} and is at {mean(values[-width:]):.2f}",
        since,
        "Lower the learning rate, make epsilon_high smaller, or let it warm up; what was best is kept with "
        "evaluate: {keep: best}",
    )


def evaluation_fallen(scores: Curve, problems: int, name: str = "score") -> Trouble | None:
    """Judge whether the last score of the evaluations on the way lies below the first by more than chance.

    Three standard errors of the difference of two shares, of independent problems: those of paired problems are
    smaller, so that this errs to the quiet side.

    Args:
        scores: shares, in order; two are enough.
        problems: how many problems each is of.
        name: what it is called.

    Returns:
        The fall, or ``None``.
    """
    if len(scores) < 2:
        return None
    (_, first), (_, last) = scores[0], scores[-1]
    error = math.sqrt((first * (1 - first) + last * (1 - last)) / problems)
    if first - last <= max(3 * error, 0.01):
        return None
    since = next(int(step) for step, score in reversed(scores) if score >= first) if len(scores) > 2 else scores[0][0]
    return Trouble(
        "held-out",
        f"The {name} is falling",
        f"it began at {first:.1%} and is at {last:.1%} of {problems} problems",
        int(since),
        "Lower the learning rate, stop here, or leave the best weights with evaluate: {keep: best}",
    )


def entropy_gone(curve: Curve) -> Trouble | None:
    """Judge whether entropy ended below a quarter of what it was, or next to none (Clip-Higher's cause, §2.1)."""
    values = [value for _, value in curve]
    if len(values) < FEW:
        return None
    width = window(values)
    start = mean(values[:width])
    limit = min(max(0.25 * start, 0.01), start)
    since = _since(curve, width, lambda level: level < limit)
    if since is None:
        return None
    return Trouble(
        "entropy",
        "Entropy is collapsing",
        f"{start:.3f} → {mean(values[-width:]):.3f} nats a token; groups soon hold copies",
        since,
        "Raise epsilon_high (the paper: 0.26 to 0.28), lower the learning rate, or stop earlier",
    )


def flat_groups(curve: Curve, right: Curve = (), wrong: Curve = (), graded: Curve = ()) -> Trouble | None:
    """Judge whether most groups have a single reward, so that nothing is learnt from them.

    Args:
        curve: share of such groups.
        right: share of groups that are all right; empty where it is not logged, as by stock TRL.
        wrong: share of groups that are all wrong.
        graded: share of right answers, which tells the kind where the two before are missing.

    Returns:
        The trouble, with advice for the kind that prevails, or ``None``.
    """
    values = [value for _, value in curve]
    if len(values) < FEW:
        return None
    since = _since(curve, window(values), lambda level: level > 0.5)
    if since is None:
        return None
    kinds, hard = "", None
    if right and wrong:
        kinds, hard = f" ({_level(right):.0%} all right, {_level(wrong):.0%} all wrong)", _level(wrong) > _level(right)
    elif graded:
        hard = _level(graded) < 0.5
    other = {True: "easier problems", False: "harder problems", None: "problems that are solved now and then"}[hard]
    return Trouble(
        "groups",
        "Most groups teach nothing",
        f"{_level(curve):.0%} of the groups have a single reward at the end{kinds}",
        since,
        f"Choose {other}, raise num_generations, or refill (max_refill_rounds)",
    )


def unpaid(curve: Curve, part: str) -> Trouble | None:
    """Judge whether a part of the reward was never paid."""
    values = [value for _, value in curve]
    if len(values) < FEW or max(values) >= 0.01:
        return None
    return Trouble(
        "never-paid",
        f"The {part} reward is never paid",
        f"at most {max(values):.1%} of a batch earn it, so nothing can be learnt from it",
        int(curve[0][0]),
        "Try it on a file with `magistral-recipe rewards`, read the samples' reasons, or train SFT longer",
    )


def _level(curve: Curve) -> float:
    values = [value for _, value in curve]
    return mean(values[-window(values) :])


def window(values: Sequence[float]) -> int:
    """How many values at either end make its level: a tenth, at least three."""
    return max(3, len(values) // 10)


def mean(values: Sequence[float]) -> float:
    """The mean, exactly summed."""
    return math.fsum(values) / len(values)


def noise(values: Sequence[float]) -> float:
    """Standard deviation of a single value around its curve, by the steps between neighbours: a slope hardly counts."""
    return math.sqrt(mean([(b - a) ** 2 for a, b in pairwise(values)]) / 2)


def _since(curve: Curve, width: int, bad: Callable[[float], bool]) -> int | None:
    """The step from which on every window's mean is bad; ``None`` where the last one is not."""
    values = [value for _, value in curve]
    since = None
    for end in range(len(values), width - 1, -1):
        if not bad(mean(values[end - width : end])):
            break
        since = int(curve[end - width][0])
    return since
