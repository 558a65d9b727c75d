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
from statistics import median

Curve = Sequence[tuple[float, float]]
"""(optimizer step, value), in order."""

FEW = 8
"""Values below which a curve is not judged."""

_SURE, _CERTAIN = 3.5, 5.5
"""Standard errors that a fall must measure from the start, and from the best: a run is looked at hundreds of times, so
two would often be chance, and the best is chosen from many."""
_LASTING = 0.9
"""Largest correlation of neighbours that is believed: what lasts longer is no noise."""

ENTROPY = ("entropy",)
SCHEDULE = "schedule/entries"
FLAT_GROUPS = ("groups/uninformative", "frac_reward_zero_std")
"""Where curves are found: the first of these metrics that was logged; ours, then stock TRL's. `SCHEDULE` holds how many
entries of the schedule are in force."""

_SOLVED = 0.9
"""Share of right answers from which on a policy that is sure of itself is as it should be."""


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
    right, wrong = (curves.get(f"groups/all_{kind}", ()) for kind in ("right", "wrong"))
    graded = next((curves.get(key, ()) for key, part in pays.items() if part == "correctness"), ())
    if found := entropy_gone(first_judged(curves, ENTROPY), graded):
        yield found
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
    entries = curves.get(SCHEDULE, ())
    # Harder problems or other limits pay less: what was earned before them is no measure.
    begun = next((step for step, entry in entries if entry == entries[-1][1]), 0)
    found = (
        fallen([point for point in curves.get(key, ()) if point[0] >= begun], name) for key, name in watched.items()
    )
    return next((trouble for trouble in found if trouble), None)


def fallen(curve: Curve, name: str) -> Trouble | None:
    """Judge whether a curve ends below its start, or far below its best, by more than its noise.

    The mean of the last tenth (at least three values), and of that half a tenth before, against the mean of the first,
    3.5 standard errors apart; and against the best of any tenth, which is high by chance: 5.5, and 0.05 at least.

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
    levels = [mean(values[at : at + width]) for at in range(len(values) - width + 1)]
    error, end = error_of_a_fall(values, width), levels[-1]
    lately = max(end, levels[max(len(levels) - 1 - width // 2, 0)])  # a dip of few values is none
    best = max(range(len(levels)), key=levels.__getitem__)
    below_start, below_best = levels[0] - max(_SURE * error, 0.01), levels[best] - max(_CERTAIN * error, 0.05)
    if lately < below_start:
        limit, seen = below_start, f"it began at {levels[0]:.2f} and is at {end:.2f}"
    elif end < below_best:
        limit, seen = below_best, f"it was at {levels[best]:.2f} around step {curve[best][0]:g} and is at {end:.2f}"
    else:
        return None
    since = _since(curve, width, lambda level: level < limit)
    assert since is not None  # the last window at least
    return Trouble(
        "falling",
        f"The {name} is falling",
        seen,
        since,
        "Lower the learning rate, make epsilon_high smaller, or let it warm up; what was best is kept with "
        "evaluate: {keep: best}",
    )


def evaluation_fallen(scores: Curve, problems: int, name: str = "score") -> Trouble | None:
    """Judge whether the last score of the evaluations on the way lies below the first, or the best, beyond chance.

    Three standard errors of the difference of two shares, of independent problems: those of paired problems are
    smaller, so that this errs to the quiet side. From the best of many, which is high by chance, 4.5 and 0.05 at least.

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
    best_at, best = max(scores, key=lambda point: point[1])

    def far(above: float, errors: float, least: float) -> bool:
        error = math.sqrt((above * (1 - above) + last * (1 - last)) / problems)
        return above - last > max(errors * error, least)

    if far(first, 3.0, 0.01):
        above, seen = first, f"it began at {first:.1%} and is at {last:.1%} of {problems} problems"
    elif far(best, 4.5, 0.05):
        above, seen = best, f"it was {best:.1%} at step {best_at:g} and is at {last:.1%} of {problems} problems"
    else:
        return None
    since = next(int(step) for step, score in reversed(scores) if score >= above)
    return Trouble(
        "held-out",
        f"The {name} is falling",
        seen,
        since,
        "Lower the learning rate, stop here, or leave the best weights with evaluate: {keep: best}",
    )


def entropy_gone(curve: Curve, graded: Curve = ()) -> Trouble | None:
    """Judge whether entropy ended below a quarter of what it was, or next to none (Clip-Higher's cause, §2.1).

    Args:
        curve: nats a token.
        graded: share of right answers, where it is known: of a policy that is nearly always right nothing else is due.

    Returns:
        The trouble, or ``None``.
    """
    values = [value for _, value in curve]
    if len(values) < FEW or (graded and _level(graded) > _SOLVED):
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


def error_of_a_fall(values: Sequence[float], width: int) -> float:
    """Standard error of the difference between the means of two windows, whose noise may last for some steps.

    As of a first-order autoregression: values three steps apart differ by 1 + ρ + ρ² times the variance that neighbours
    differ by, which is 2σ²(1 - ρ), and the mean of w values has the variance σ²/w · (1 + ρ)/(1 - ρ). ρ is taken from
    medians around medians, which neither a slope nor a single fall moves.

    Args:
        values: of a curve.
        width: values a window.
    """
    near = _spread([b - a for a, b in pairwise(values)])
    far = _spread([b - a for a, b in zip(values, values[3:], strict=False)])
    times = max(far / near, 1.0) ** 2 if near else 1.0
    lasting = min((math.sqrt(4 * times - 3) - 1) / 2, _LASTING)
    return noise(values) * math.sqrt(2 / width * (1 + lasting)) / (1 - lasting)


def _spread(steps: Sequence[float]) -> float:
    middle = median(steps)
    return median([abs(step - middle) for step in steps])


def _since(curve: Curve, width: int, bad: Callable[[float], bool]) -> int | None:
    """The step from which on every window's mean is bad; ``None`` where the last one is not."""
    values = [value for _, value in curve]
    since = None
    for end in range(len(values), width - 1, -1):
        if not bad(mean(values[end - width : end])):
            break
        since = int(curve[end - width][0])
    return since
