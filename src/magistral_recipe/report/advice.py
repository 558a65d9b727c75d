"""Warnings that a person needs, computed from what a run wrote down, each with what to try.

RL fails silently. Each check below is one function from a run to a warning or nothing; its threshold stands beside
it. They are rules of thumb, and say what they saw, so that a reader can judge. What was not logged is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from magistral_recipe.data.overlap import told_shared
from magistral_recipe.evaluation.statistics import problems_needed
from magistral_recipe.report.collect import Evaluation, Run, Stage
from magistral_recipe.report.curves import reward_parts
from magistral_recipe.report.tables import COMPARED, leading_metric, paired, score_name, signed_points
from magistral_recipe.training.health import (
    ENTROPY,
    FEW,
    FLAT_GROUPS,
    Curve,
    Trouble,
    entropy_gone,
    evaluation_fallen,
    fallen_reward,
    first_judged,
    flat_groups,
    mean,
    noise,
    unpaid,
    window,
)
from magistral_recipe.writing.figures import percent, span

Level = Literal["serious", "warning", "note"]


@dataclass(frozen=True)
class RunWarning:
    """Something a person should know.

    Attributes:
        id: short, for machines.
        level: how bad.
        title: what is the matter, in a few words.
        seen: the figures that say so.
        advice: what to try.
    """

    id: str
    level: Level
    title: str
    seen: str
    advice: str


Check = Callable[[Run], Iterator[RunWarning]]

_METRICS = {
    "entropy": ENTROPY,
    "lengths": ("completions/clipped_ratio",),
    "groups": FLAT_GROUPS,
    "clipping": ("clip_ratio/high_mean", "clip_ratio/low_mean", "clip_ratio/region_mean"),
    "the sampler": ("sampling/gap", "sampling/sampling_logp_difference/mean"),
}
"""What is looked at, by the metrics that tell it: the first that was logged."""


def findings(run: Run) -> list[RunWarning]:
    """Judge a run.

    Args:
        run: what was read of it.

    Returns:
        Its warnings, the worst first.
    """
    found = [finding for check in CHECKS for finding in check(run)]
    order = ("serious", "warning", "note")
    return sorted(found, key=lambda finding: order.index(finding.level))


def judged(run: Run) -> list[str]:
    """Return what the checks had figures for, in a word each: without any, no warning says nothing.

    Args:
        run: what was read of it.

    Returns:
        Words for a sentence.
    """
    stages, evaluation = list(_rl(run)), _last_evaluation(run)
    found = [word for word, keys in _METRICS.items() if any(_values(stage, *keys) for stage in stages)]
    parts = {part for stage in stages for key, part in reward_parts(stage).items() if _values(stage, key)}
    found += ["reward parts"] if parts else []
    if evaluation is not None:
        known = {"lengths": "truncation_rate", "languages": "language_fidelity"}
        found += [word for word, metric in known.items() if evaluation.interval(metric)]
        found += ["intervals"]
    return list(dict.fromkeys(found))


# --------------------------------------------------------------------------------------------- the RL stage


def _rl(run: Run) -> Iterator[Stage]:
    yield from (stage for stage in run.stages if stage.role == "reinforcement" and stage.metrics)


def _values(stage: Stage, *keys: str) -> list[float]:
    """The first of some metrics that was logged often enough to be judged."""
    for key in keys:
        values = [value for _, value in stage.curve(key)]
        if len(values) >= FEW:
            return values
    return []


def _curves(stage: Stage) -> dict[str, Curve]:
    logged = stage.keys()
    return {key: stage.curve(key) for key in logged}


def _part(stage: Stage, part: str) -> list[float]:
    """The values of a part of the reward, however it was logged."""
    keys = {each: key for key, each in reward_parts(stage).items()}
    return _values(stage, keys.get(part, ""))


def _graded(stage: Stage, curves: Mapping[str, Curve]) -> Curve:
    """The share of right answers, where a reward tells it."""
    return next((curves.get(key, ()) for key, part in reward_parts(stage).items() if part == "correctness"), ())


def _start(values: Sequence[float]) -> float:
    return mean(values[: window(values)])


def _end(values: Sequence[float]) -> float:
    return mean(values[-window(values) :])


def _of_health(stage: Stage, trouble: Trouble, level: Level) -> RunWarning:
    seen = f"{stage.title}: {trouble.seen}, since step {trouble.since}."
    return RunWarning(trouble.id, level, trouble.title, seen, f"{trouble.advice}.")


def falling_reward(run: Run) -> Iterator[RunWarning]:
    """The reward, or the share of right answers, ends below its start by more than its noise."""
    for stage in _rl(run):
        if trouble := fallen_reward(_curves(stage), reward_parts(stage)):
            yield _of_health(stage, trouble, "serious")


def falling_heldout(run: Run) -> Iterator[RunWarning]:
    """The last score of the evaluations while training lies below the first by more than chance."""
    for stage in run.stages:
        if stage.heldout_problems and (
            trouble := evaluation_fallen(stage.heldout, stage.heldout_problems, "score while training")
        ):
            yield _of_health(stage, trouble, "serious")


def entropy_collapse(run: Run) -> Iterator[RunWarning]:
    """Entropy at the end below a quarter of what it was, or next to none (what Clip-Higher is for, Magistral §2.1)."""
    for stage in _rl(run):
        curves = _curves(stage)
        if trouble := entropy_gone(first_judged(curves, ENTROPY), _graded(stage, curves)):
            yield _of_health(stage, trouble, "warning")


def length_limit(run: Run) -> Iterator[RunWarning]:
    """More than a tenth of the completions cut at the end of RL, or in the last evaluation."""
    for stage in _rl(run):
        values = _values(stage, *_METRICS["lengths"])
        if values and _end(values) > 0.1:
            yield RunWarning(
                "length",
                "warning",
                "Completions run into the length limit",
                f"{stage.title}: {_end(values):.0%} are cut at the end; what is cut earns nothing, however right.",
                "Raise max_completion_length, by the schedule where memory is short, or give a length reward.",
            )
    evaluation = _last_evaluation(run)
    cut = evaluation.interval("truncation_rate") if evaluation else None
    if evaluation and cut is not None and cut.mean > 0.1:
        yield RunWarning(
            "length-evaluated",
            "warning",
            "Scores are of cut completions",
            f"{cut.mean:.0%} of the samples of {evaluation.name} ended at the limit and count as wrong.",
            "Raise max_new_tokens of the evaluate stage.",
        )


def saturated_part(run: Run) -> Iterator[RunWarning]:
    """A part of the reward at its top from the first half on, or never paid at all."""
    for stage in _rl(run):
        for key, part in reward_parts(stage).items():
            values = _values(stage, key)
            if not values or part == "length":
                continue
            late = values[len(values) // 3 :]
            if mean(late) > 0.99 and min(late) > 0.97:
                yield RunWarning(
                    "saturated",
                    "note",
                    f"The {part} reward is saturated",
                    f"{stage.title}: {mean(late):.1%} earn it since the first third: it tells nothing apart.",
                    "Nothing to do where that was the goal; otherwise lower its weight or choose harder problems.",
                )
            elif trouble := unpaid(stage.curve(key), part):
                yield _of_health(stage, trouble, "serious")


def format_hacking(run: Run) -> Iterator[RunWarning]:
    """The reward rises by 0.1 and more while correctness stays where it was, or only the format is paid."""
    for stage in _rl(run):
        reward = _values(stage, "reward")
        right = _part(stage, "correctness")
        form = _part(stage, "format")
        if not reward or not right:
            continue
        rose, learnt = _end(reward) - _start(reward), _end(right) - _start(right)
        if form and _end(form) > 0.9 and _end(right) < 0.1:
            seen = f"{stage.title}: {_end(form):.0%} keep the format at the end, {_end(right):.0%} are right."
        elif rose > 0.1 and learnt < 0.02 and _end(right) < 0.9:
            seen = (
                f"{stage.title}: the reward rose by {rose:.2f}, correctness changed by {signed_points(learnt)} points."
            )
        else:
            continue
        yield RunWarning(
            "hacking",
            "serious",
            "Reward without correctness",
            seen + " The policy may be learning to please the grader.",
            "Read the samples under “reward hacks suspected”; give correctness more weight, or choose easier problems.",
        )


def language_drift(run: Run) -> Iterator[RunWarning]:
    """The language reward ends five points below its best and its noise, or its fidelity falls between models."""
    for stage in _rl(run):
        values = _part(stage, "language")
        window = max(3, len(values) // 10)
        means = [mean(values[at : at + window]) for at in range(max(0, len(values) - window + 1))] if values else []
        # The best of many noisy means lies above the last one by chance alone.
        if means and max(means) - means[-1] > max(0.05, 4 * noise(values) / math.sqrt(window)):
            yield _drift(f"{stage.title}: from {max(means):.0%} at best to {means[-1]:.0%} in the problem's language.")
            return
    for before, after in _neighbours(run):
        a, b = before.interval("language_fidelity"), after.interval("language_fidelity")
        if a and b and a.low > b.high:
            yield _drift(f"Evaluated: {a.mean:.0%} {before.name}, {b.mean:.0%} {after.name}.")
            return


def _drift(seen: str) -> RunWarning:
    advice = "Raise the weight of the language reward (the paper: 0.1), and look at the confusion matrix."
    return RunWarning("language", "warning", "The language drifts", seen, advice)


def uninformative_groups(run: Run) -> Iterator[RunWarning]:
    """Over half of the groups without two different rewards at the end."""
    for stage in _rl(run):
        curves = _curves(stage)
        graded = _graded(stage, curves)
        right, wrong = (curves.get(f"groups/all_{kind}", ()) for kind in ("right", "wrong"))
        if trouble := flat_groups(first_judged(curves, FLAT_GROUPS), right, wrong, graded):
            yield _of_health(stage, trouble, "warning")


def idle_clipping(run: Run) -> Iterator[RunWarning]:
    """No ratio was ever clipped."""
    for stage in _rl(run):
        values = [*_values(stage, "clip_ratio/high_mean"), *_values(stage, "clip_ratio/low_mean")]
        values = values or _values(stage, "clip_ratio/region_mean")
        if values and max(values) == 0:
            yield RunWarning(
                "clipping",
                "note",
                "Clipping never acts",
                f"{stage.title}: no ratio left its bounds in any logged step, so epsilon_high had no effect.",
                "With one minibatch a batch the ratio is 1: set minibatches_per_batch to 2 or more, or live with it.",
            )


def sampler_gap(run: Run) -> Iterator[RunWarning]:
    """Sampler and trainer differ by more than 0.05 nats a token on average, or ever by 0.5."""
    for stage in _rl(run):
        values = _values(stage, *_METRICS["the sampler"])
        if values and (mean(values) > 0.05 or max(values) > 0.5):
            yield RunWarning(
                "sampler",
                "serious",
                "The sampler disagrees with the trainer",
                f"{stage.title}: {mean(values):.3f} nats a token apart on average, at most {max(values):.3f}.",
                "Check that weights reach the sampler and that both use one precision; sample with top-p 1.",
            )


# ------------------------------------------------------------------------------------------- the evaluation


def _last_evaluation(run: Run) -> Evaluation | None:
    return run.evaluated.evaluations[-1] if run.evaluated else None


def _neighbours(run: Run) -> Iterator[tuple[Evaluation, Evaluation]]:
    evaluations = run.evaluated.evaluations if run.evaluated else []
    yield from pairwise(evaluations)


def not_held_out(run: Run) -> Iterator[RunWarning]:
    """Some problems of an evaluation were trained on."""
    told: dict[str, None] = {}
    for stage in run.stages:
        for evaluation in stage.evaluations:
            told |= dict.fromkeys(told_shared(evaluation.scores, f"'{stage.name}'"))
    if told:
        yield RunWarning(
            "overlap",
            "serious",
            "The evaluation is not held out",
            f"{'; '.join(told)}. What it scores is partly what was learnt by heart.",
            "Part the source with `split: {heldout: 0.2, seed: 0}`, or evaluate on another set.",
        )


def wide_intervals(run: Run) -> Iterator[RunWarning]:
    """The last step's difference can't be told from zero, or there is one score, known to ten points at best."""
    pairs = list(_neighbours(run))
    compared = paired(*pairs[-1]) if pairs else None
    if compared is None:
        evaluation = _last_evaluation(run)
        interval = evaluation.interval(leading_metric([evaluation])) if evaluation else None
        if evaluation and interval is not None and interval.high - interval.low > 0.2:
            score = f"{score_name([evaluation])} of {evaluation.name}"
            seen = f"{score} lies between {interval.low:.0%} and {interval.high:.0%}."
            yield _wide(seen, "Evaluate on more problems: samples of the same problem help less.")
        return
    difference = compared.difference
    if not difference.low <= 0 <= difference.high or difference.low == difference.high:
        return
    before, after = pairs[-1]
    mean, low, high = map(signed_points, difference)
    seen = (
        f"{before.name} → {after.name}: {mean} points on {compared.problems} problems, but anything from {low} to "
        f"{high} fits."
    )
    size = max(abs(difference.mean), 0.02)
    drawn = after.values(COMPARED["pass@1"], greedy=before.greedy or after.greedy)
    samples = max(1, round(sum(map(len, drawn.values())) / max(1, len(drawn))))
    needed = problems_needed(min(1.0, size), samples=samples)
    yield _wide(seen, f"To tell a difference of {100 * size:.0f} points takes about {needed} problems.")


def _wide(seen: str, advice: str) -> RunWarning:
    return RunWarning("intervals", "warning", "The evaluation is too small to tell", seen, advice)


def lost_scores(run: Run) -> Iterator[RunWarning]:
    """A model that is certainly worse than the one before it."""
    for before, after in _neighbours(run):
        compared = paired(before, after)
        if compared is not None and compared.difference.high < 0:
            difference = compared.difference
            yield RunWarning(
                "worse",
                "serious",
                f"{after.name} is worse than {before.name}",
                f"{score_name([before, after])} fell by {percent(-difference.mean)} points "
                f"({span(-difference.high, -difference.low, between=' to ')}).",
                "Lower the learning rate, keep the best checkpoint (evaluate: {keep: best}), read what was lost.",
            )


def undecided_verdicts(run: Run) -> Iterator[RunWarning]:
    """Over a hundredth of the samples could not be graded."""
    evaluation = _last_evaluation(run)
    if evaluation is None:
        return
    undecided = evaluation.count("undecided")
    total = evaluation.count("samples") + evaluation.count("greedy_samples")
    if total and undecided > 0.01 * total:
        yield RunWarning(
            "undecided",
            "warning",
            "Samples could not be graded",
            f"{undecided} of {total} samples of {evaluation.name} have no verdict and are left out of the scores.",
            "Look at their reasons: take unreadable references out of the data; doctor tells of the sandbox.",
        )


CHECKS: tuple[Check, ...] = (
    falling_reward,
    falling_heldout,
    entropy_collapse,
    length_limit,
    saturated_part,
    format_hacking,
    language_drift,
    uninformative_groups,
    idle_clipping,
    sampler_gap,
    not_held_out,
    wide_intervals,
    lost_scores,
    undecided_verdicts,
)
"""Every check, in the order in which their warnings are told."""
