"""From samples to scores: every figure with its interval, overall and by group of problems."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from magistral_recipe.evaluation.estimators import fidelity, length_stats, maj_at_k, pass_at_k
from magistral_recipe.evaluation.samples import Sample
from magistral_recipe.evaluation.statistics import Interval, mean_interval
from magistral_recipe.evaluation.votes import group_answers
from magistral_recipe.rewards.base import Reason

FORMAT_VERSION = 1
DIMENSIONS = ("language", "category", "difficulty", "source")
"""What problems are grouped by, beside all of them together."""

_MAX_DIFFICULTIES = 6

Group = dict[str, Interval]


@dataclass(frozen=True)
class Scores:
    """The scores of one model on one set of problems.

    Attributes:
        overall: by name of the metric, over all problems.
        groups: by dimension and group, the same metrics.
        counts: problems and samples of each group, the undecided among them; the overall ones under ``("all", "all")``.
        lengths: mean, median, p95 and max of the samples' tokens (of the greedy ones where there are no others).
        confusion: for each language asked for, how often each was found in the same samples.
        about: settings, versions and whatever else says how the samples came about.
    """

    overall: Group
    groups: Mapping[str, Mapping[str, Group]]
    counts: Mapping[tuple[str, str], Mapping[str, int]]
    lengths: Mapping[str, float] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def summary(self) -> dict[str, float]:
        """Return the overall figures without their intervals."""
        return {name: interval.mean for name, interval in self.overall.items()}

    def to_json(self) -> dict[str, Any]:
        """Return what `scores.json` holds."""
        return {
            "format_version": FORMAT_VERSION,
            **self.about,
            **self.counts[("all", "all")],
            "lengths": dict(self.lengths),
            "confusion": {asked: dict(found) for asked, found in self.confusion.items()},
            "overall": _plain(self.overall),
            "groups": {
                dimension: {
                    name: {**self.counts[(dimension, name)], "scores": _plain(group)} for name, group in groups.items()
                }
                for dimension, groups in self.groups.items()
            },
        }


def compute_scores(samples: Sequence[Sample], about: Mapping[str, Any] | None = None) -> Scores:
    """Compute every figure from the samples alone.

    Args:
        samples: of one model; sampled and greedy ones may be mixed.
        about: what `scores.json` shall say beside the figures.

    Returns:
        The scores; a metric that no sample bears on is left out.

    Raises:
        ValueError: without samples.
    """
    if not samples:
        raise ValueError("no samples to score")
    counts = {("all", "all"): _counts(samples)}
    groups: dict[str, dict[str, Group]] = {}
    for dimension in DIMENSIONS:
        members = _grouped(samples, dimension)
        groups[dimension] = {name: _metrics(rows) for name, rows in members.items()}
        counts |= {(dimension, name): _counts(rows) for name, rows in members.items()}
    sampled = [sample for sample in samples if not sample.greedy] or samples
    lengths = length_stats([sample.tokens for sample in sampled])
    return Scores(_metrics(samples), groups, counts, lengths, dict(about or {}), _confusion(sampled))


def _confusion(samples: Sequence[Sample]) -> dict[str, dict[str, int]]:
    told = [(s.language, s.found_language) for s in samples if s.language is not None and s.found_language is not None]
    confusion = fidelity([asked for asked, _ in told], [found for _, found in told])["confusion"]
    return {asked: dict(sorted(confusion[asked].items())) for asked in sorted(confusion)}


def _metrics(samples: Sequence[Sample]) -> Group:
    sampled = [sample for sample in samples if not sample.greedy]
    greedy = [sample for sample in samples if sample.greedy]
    metrics: Group = {}
    for prefix, rows in (("", sampled), ("greedy_", greedy)):
        for name, of in PER_SAMPLE.items():
            interval = _mean(rows, of)
            if interval is not None:
                metrics[prefix + name] = interval
    for name, rows in (("mean_length", sampled or greedy), ("greedy_mean_length", greedy)):
        if rows:
            lengths = _by_problem(rows, lambda sample: float(sample.tokens))
            metrics[name] = mean_interval(lengths, bounds=None)
    return metrics | _of_all_samples(sampled)


def _decided(value: bool | None) -> float | None:
    return None if value is None else float(value)


PER_SAMPLE: dict[str, Callable[[Sample], float | None]] = {
    "pass@1": lambda sample: _decided(sample.right),
    "format_rate": lambda sample: sample.value("format"),
    "language_fidelity": lambda sample: float(sample.same_language) if "language" in sample.verdicts else None,
    "right_in_language": lambda sample: (
        None
        if sample.right is None or "language" not in sample.verdicts
        else float(sample.right and sample.same_language)
    ),
    "truncation_rate": lambda sample: float(sample.truncated),
}
"""The metrics that are means over samples, by name; None where one doesn't bear on a sample."""


def _mean(samples: Iterable[Sample], of: Callable[[Sample], float | None]) -> Interval | None:
    scores = _by_problem(samples, of)
    return mean_interval(scores) if scores else None


def _by_problem(samples: Iterable[Sample], of: Callable[[Sample], float | None]) -> list[list[float]]:
    """The values of each problem; a sample without one lowers its problem's n, a problem without any is left out."""
    scores: dict[str, list[float]] = {}
    for sample in samples:
        value = of(sample)
        if value is not None:
            scores.setdefault(sample.problem, []).append(value)
    return list(scores.values())


def _of_all_samples(samples: Sequence[Sample]) -> Group:
    """pass@k and maj@k for k = all samples of a problem; votes need a final answer, which code doesn't have."""
    problems: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.right is not None:
            problems.setdefault(sample.problem, []).append(sample)
    k = min((len(rows) for rows in problems.values()), default=0)
    if k < 2:
        return {}
    passed = [[pass_at_k(len(rows), sum(bool(s.right) for s in rows), k)] for rows in problems.values()]
    votes = _votes([rows for rows in problems.values() if rows[0].kind == "math"], k)
    return {f"pass@{k}": mean_interval(passed)} | ({f"maj@{k}": mean_interval(votes)} if votes else {})


def _votes(problems: Sequence[Sequence[Sample]], k: int) -> list[list[float]]:
    """maj@k of each problem."""
    # An answer that the gate refused has no vote: it would not have been accepted either.
    answers = [[sample.answer if sample.value("format") == 1 else None for sample in rows] for rows in problems]
    return [
        [maj_at_k(groups, [bool(sample.right) for sample in rows], k)]
        for groups, rows in zip(group_answers(answers), problems, strict=True)
    ]


def _counts(samples: Sequence[Sample]) -> dict[str, int]:
    return {
        "problems": len({sample.problem for sample in samples}),
        "samples": sum(not sample.greedy for sample in samples),
        "greedy_samples": sum(sample.greedy for sample in samples),
        "undecided": sum(map(_undecided, samples)),
        "language_undecided": sum(
            "language" in sample.verdicts and sample.value("language") is None for sample in samples
        ),
    }


def _undecided(sample: Sample) -> bool:
    """Whether a verdict was wanted and couldn't be given; of a text without instructions none is wanted."""
    reason = sample.verdicts.get("correctness", {}).get("reason")
    wanted = sample.kind != "text" or reason == Reason.UNREADABLE_REFERENCE
    return wanted and sample.right is None


def _grouped(samples: Sequence[Sample], dimension: str) -> dict[str, list[Sample]]:
    label = difficulty_labels(samples) if dimension == "difficulty" else str
    groups: dict[str, list[Sample]] = {}
    values = sorted({getattr(sample, dimension) for sample in samples} - {None})
    names = {value: label(value) for value in values}
    for value in values:
        groups.setdefault(names[value], [])
    for sample in samples:
        value = getattr(sample, dimension)
        if value is not None:
            groups[names[value]].append(sample)
    return groups


def difficulty_labels(samples: Sequence[Sample]) -> Callable[[float], str]:
    """Name difficulties: as they are where there are few, else by quarters of the problems.

    Args:
        samples: of all problems that shall be grouped alike.

    Returns:
        From a difficulty to its group's name.
    """
    by_problem = {sample.problem: sample.difficulty for sample in samples if sample.difficulty is not None}
    values = sorted(by_problem.values())
    if len(set(values)) <= _MAX_DIFFICULTIES:
        return lambda value: f"{value:g}"
    edges = sorted({values[0], *(values[len(values) * part // 4] for part in (1, 2, 3)), values[-1]})

    def quarter(value: float) -> str:
        last = len(edges) - 2
        part = next(i for i in range(len(edges) - 1) if value < edges[i + 1] or i == last)
        return f"{edges[part]:g} to {edges[part + 1]:g}"

    return quarter


def _plain(group: Group) -> dict[str, dict[str, float | None]]:
    """Intervals as JSON has them: an open end is null."""
    return {
        name: {end: value if math.isfinite(value) else None for end, value in interval._asdict().items()}
        for name, interval in group.items()
    }
