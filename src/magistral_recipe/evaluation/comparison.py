"""Two evaluations of the same problems: paired differences with intervals, and the problems where they differ.

Pairing takes out what the problems' difficulty adds to the variance, so that a difference can be told which two
separate intervals hide (Miller 2024, arXiv 2411.00640, §4).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from magistral_recipe.errors import DataError
from magistral_recipe.evaluation.paired import Paired, compare_paired
from magistral_recipe.evaluation.samples import Sample, graders
from magistral_recipe.evaluation.scores import PER_SAMPLE, difficulty_labels
from magistral_recipe.evaluation.shards import written_samples
from magistral_recipe.files import read_json
from magistral_recipe.layout import SAMPLES, SCORES, SETTINGS
from magistral_recipe.suggest import did_you_mean

DIMENSIONS = ("language", "difficulty", "category")

_STAGE = re.compile(r"\d\d-(.+)")

Of = Callable[[Sample], float | None]


@dataclass(frozen=True)
class ProblemDifference:
    """One problem on which two models differ.

    Attributes:
        problem: its id.
        question: its text.
        a: share of the first model's samples.
        b: share of the second's.
        n_a: how many samples the first has.
        n_b: how many the second has.
    """

    problem: str
    question: str
    a: float
    b: float
    n_a: int
    n_b: int


@dataclass(frozen=True)
class Comparison:
    """Two evaluations side by side.

    Attributes:
        name: of the benchmark, or of both evaluations.
        metric: what is compared.
        differences: by group of problems: ``all`` first, then dimension and value, as ``language fr``.
        problems: where they differ, the largest difference first.
        only_a: problems that only the first has.
        only_b: problems that only the second has.
        greedy: greedy samples are compared, for want of others.
        settings: how the two were drawn differently, a line each.
        unfinished: which of them, A or B, was interrupted, so that samples are missing.
        graders: where the two were not graded by the same rules, the versions of A's and of B's.
    """

    name: str
    metric: str
    differences: dict[str, Paired]
    problems: list[ProblemDifference]
    only_a: int
    only_b: int
    greedy: bool
    settings: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    graders: tuple[str, str] | None = None


def compare_runs(a: Path, b: Path, metric: str = "pass@1") -> list[Comparison]:
    """Compare two runs, evaluation by evaluation.

    Args:
        a: a result file, an evaluation's folder, a folder of several, or a run folder.
        b: the other, of the same kind.
        metric: a key of `PER_SAMPLE`.

    Returns:
        One comparison for each evaluation that both have.

    Raises:
        DataError: where there is nothing to compare.
    """
    if metric not in PER_SAMPLE:
        raise DataError(f"metric '{metric}': no such metric.{did_you_mean(metric, PER_SAMPLE)}")
    first, second = find_evaluations(a), find_evaluations(b)
    pairs = _pairs(first, second, a, b)
    found = []
    for name, left, right in pairs:
        one = compare_samples(name, written_samples(left), written_samples(right), metric)
        found.append(replace(one, settings=_other_settings(left, right), unfinished=_unfinished(left, right)))
    return found


def _unfinished(a: Path, b: Path) -> tuple[str, ...]:
    """Say which evaluation was interrupted: after a kill it has settings and no scores."""
    return tuple(name for name, folder in (("A", a), ("B", b)) if (folder / SETTINGS).is_file() and _partial(folder))


def _partial(folder: Path) -> bool:
    scores = read_json(folder / SCORES)
    return not isinstance(scores, dict) or scores.get("partial") is True


_DRAWN = ("temperature", "top_p", "max_new_tokens", "prompt", "raw", "system_prompt", "thinking", "tags", "template")
"""Settings whose difference is no difference between models."""


def _other_settings(a: Path, b: Path) -> tuple[str, ...]:
    first, second = (read_json(folder / SETTINGS) for folder in (a, b))
    if not isinstance(first, dict) or not isinstance(second, dict):
        return ()
    differing = [key for key in _DRAWN if first.get(key) != second.get(key)]
    return tuple(f"{key}: {first.get(key)!s:.60} and {second.get(key)!s:.60}" for key in differing)


def _other_graders(a: Sequence[Sample], b: Sequence[Sample]) -> tuple[str, str] | None:
    """The versions of the rules, where they differ; two that kept none are believed to agree."""
    first, second = graders(a), graders(b)
    if first == second and len(first) < 2:
        return None
    shown = [", ".join(each or "unknown" for each in versions) for versions in (first, second)]
    return shown[0], shown[1]


def find_evaluations(path: Path) -> dict[str, Path]:
    """Find the evaluations that a path holds.

    Args:
        path: see `compare_runs`.

    Returns:
        Folder by name: ``aime24``, or ``evaluate/grpo`` in a run folder.

    Raises:
        DataError: if there is none.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    folder = path if path.is_dir() else path.parent
    if (folder / SAMPLES).is_file():
        return {folder.resolve().name: folder}
    found = {}
    for file in sorted(folder.glob(f"*/*/{SAMPLES}")):
        stage = _STAGE.fullmatch(file.parent.parent.name)
        if stage:
            found[f"{stage[1]}/{file.parent.name}"] = file.parent
    found |= {file.parent.name: file.parent for file in sorted(folder.glob(f"*/{SAMPLES}"))}
    if not found:
        raise DataError(f"{path}: no evaluation in it (no {SAMPLES}, in it or one or two folders below)")
    return found


def _pairs(first: Mapping[str, Path], second: Mapping[str, Path], a: Path, b: Path) -> list[tuple[str, Path, Path]]:
    shared = [name for name in first if name in second]
    if shared:
        return [(name, first[name], second[name]) for name in shared]
    if len(first) == len(second) == 1:
        (left,), (right,) = first.items(), second.items()
        return [(f"{left[0]} and {right[0]}", left[1], right[1])]
    raise DataError(f"{a} and {b} share no evaluation: {', '.join(first)}; and {', '.join(second)}")


def compare_samples(name: str, a: Sequence[Sample], b: Sequence[Sample], metric: str = "pass@1") -> Comparison:
    """Compare two models' samples of the same problems.

    Args:
        name: what to call the comparison.
        a: the first model's.
        b: the second's.
        metric: a key of `PER_SAMPLE`.

    Returns:
        The comparison.

    Raises:
        DataError: if they share no problem with samples on which the metric bears, or differ in what one id means.
    """
    greedy = any(all(sample.greedy for sample in samples) for samples in (a, b))
    kept_a, kept_b = ([sample for sample in samples if sample.greedy is greedy] for samples in (a, b))
    of = PER_SAMPLE[metric]
    scores_a, scores_b = _by_problem(kept_a, of), _by_problem(kept_b, of)
    overall = compare_paired(scores_a, scores_b)
    for which, samples in (("A", a), ("B", b)):
        if not samples:
            raise DataError(f"{name}: {which} has no samples yet")
    if not (kept_a and kept_b):
        raise DataError(f"{name}: {'B' if kept_a else 'A'} has no greedy samples, and the other has no others")
    if overall is None:
        raise DataError(f"{name}: the two share no problem whose {metric} is decided")
    shared = [problem for problem in scores_a if problem in scores_b]
    about = {sample.problem: sample for sample in kept_a}
    other = {sample.problem: sample for sample in kept_b}
    for problem in shared:
        if (about[problem].question, about[problem].reference) != (other[problem].question, other[problem].reference):
            raise DataError(f"{name}: the problem with the id {problem!r} is not the same in both")
    differences = {"all": overall}
    for dimension in DIMENSIONS:
        members = _members([about[problem] for problem in shared], dimension)
        if len(members) > 1:
            for value, problems in members.items():
                group = compare_paired({problem: scores_a[problem] for problem in problems}, scores_b)
                if group is not None:
                    differences[f"{dimension} {value}"] = group
    return Comparison(
        name=name,
        metric=metric,
        differences=differences,
        problems=_differing(shared, about, scores_a, scores_b),
        only_a=len(scores_a) - len(shared),
        only_b=len(scores_b) - len(shared),
        greedy=greedy,
        graders=_other_graders(a, b),
    )


def _by_problem(samples: Sequence[Sample], of: Of) -> dict[str, list[float]]:
    scores: dict[str, list[float]] = {}
    for sample in samples:
        value = of(sample)
        if value is not None:
            scores.setdefault(sample.problem, []).append(value)
    return scores


def _members(samples: Sequence[Sample], dimension: str) -> dict[str, list[str]]:
    label = difficulty_labels(samples) if dimension == "difficulty" else str
    members: dict[str, list[str]] = {}
    for value in sorted({getattr(sample, dimension) for sample in samples} - {None}):
        members.setdefault(label(value), [])
    for sample in samples:
        value = getattr(sample, dimension)
        if value is not None:
            members[label(value)].append(sample.problem)
    return members


def _differing(
    problems: Sequence[str], about: Mapping[str, Sample], a: Mapping[str, list[float]], b: Mapping[str, list[float]]
) -> list[ProblemDifference]:
    found = []
    for problem in problems:
        mean_a, mean_b = (sum(scores[problem]) / len(scores[problem]) for scores in (a, b))
        if mean_a != mean_b:
            question = about[problem].question
            found.append(ProblemDifference(problem, question, mean_a, mean_b, len(a[problem]), len(b[problem])))
    return sorted(found, key=lambda each: (-abs(each.b - each.a), each.problem))
