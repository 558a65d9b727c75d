"""Scoring samples again without generating: verifiers improve, completions stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from magistral_recipe.data.sources import load_problems
from magistral_recipe.errors import DataError
from magistral_recipe.evaluation.evaluate import finish, problems_hash
from magistral_recipe.evaluation.problem_file import read_problems, write_problems
from magistral_recipe.evaluation.request import EvaluationRequest
from magistral_recipe.evaluation.samples import Sample, SampleWriter
from magistral_recipe.evaluation.scores import Scores
from magistral_recipe.evaluation.scoring import Scorer
from magistral_recipe.evaluation.shards import written_samples
from magistral_recipe.files import read_json, write_json
from magistral_recipe.layout import PARTIAL_SCORES, PROBLEMS, SAMPLES, SCORES, SETTINGS
from magistral_recipe.writing.thinking import Thinking

if TYPE_CHECKING:
    from magistral_recipe.data.problems import Problem

_BATCH = 256


@dataclass(frozen=True)
class Rescored:
    """What a second look at an evaluation found.

    Attributes:
        scores: the new ones.
        samples: all samples, with fresh verdicts.
        changed: (before, after) of each sample that is now judged otherwise.
    """

    scores: Scores
    samples: list[Sample]
    changed: list[tuple[Sample, Sample]]


def result_folder(path: Path) -> Path:
    """Find the folder of an evaluation.

    Args:
        path: the folder, or a file in it (`scores.json`, `samples.jsonl`).

    Returns:
        The folder.

    Raises:
        DataError: if there is no evaluation.
    """
    folder = path if path.is_dir() else path.parent
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if not any((folder / name).is_file() for name in (SAMPLES, SCORES, PARTIAL_SCORES)):
        inside = sorted(child.parent.name for child in folder.glob(f"*/{SAMPLES}"))
        hint = f"; name one of those in it: {', '.join(inside)}" if inside else ""
        raise DataError(f"{path}: no evaluation, it has neither {SCORES} nor {SAMPLES}{hint}")
    return folder


def read_result(path: Path) -> dict[str, Any]:
    """Read a result file.

    Args:
        path: `scores.json`, or the folder that holds it; of an interrupted evaluation its partial scores.

    Returns:
        What it holds.

    Raises:
        DataError: if there is none, or it isn't one.
    """
    if path.is_file() and path.suffix == ".json":  # it may have been copied away from its samples
        return _result(path)
    folder = result_folder(path)
    for name in (SCORES, PARTIAL_SCORES):
        if (folder / name).is_file():
            return _result(folder / name)
    settings = read_json(folder / SETTINGS)
    return {"settings": settings} if isinstance(settings, dict) else {}


def _result(file: Path) -> dict[str, Any]:
    data = read_json(file)
    if not isinstance(data, dict) or "overall" not in data:
        raise DataError(f"{file}: not a result file of 'magistral-recipe evaluate'")
    return data


def request_of(result: Mapping[str, Any], place: Path) -> EvaluationRequest:
    """Read what was asked for out of a result file.

    Raises:
        DataError: if it doesn't say, or not in words that this version knows.
    """
    if "request" not in result:
        raise DataError(f"{place}: doesn't say what was asked for (no 'request'); it can't be repeated")
    try:
        return EvaluationRequest.model_validate(result["request"])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise DataError(f"{place}: request.{key}: {first['msg']}; another version wrote it") from error


def known_problems(path: Path, result: Mapping[str, Any]) -> list[Problem]:
    """Get the problems of an evaluation: kept beside its samples, else loaded again by their name.

    Raises:
        DataError: if neither works, or they have changed since.
    """
    problems = read_problems(result_folder(path) / PROBLEMS)
    if problems is None:
        request = request_of(result, path)
        problems = load_problems(request.problems, Path(request.base), None).rows
    settings = result.get("settings")
    wanted = settings.get("problems_hash") if isinstance(settings, dict) else None
    if wanted is not None and problems_hash(problems) != wanted:
        raise DataError(f"{path}: its problems have changed since (hash {problems_hash(problems)}, then {wanted})")
    return problems


def rescore(path: Path, output: Path, progress: Callable[[int, int], None] | None = None) -> Rescored:
    """Grade an evaluation's samples again.

    Args:
        path: its folder, or a file in it.
        output: the folder to write, another than its own.
        progress: called with samples done and in all.

    Returns:
        New scores, and what is judged otherwise now.

    Raises:
        DataError: without samples, or where their problems are gone.
    """
    folder = result_folder(path)
    if output.resolve() == folder.resolve():
        raise DataError(f"{output}: the old verdicts stand there; name another folder with --output")
    result = read_result(path)
    samples = written_samples(folder)  # a killed evaluation of several processes hasn't joined its files
    if not samples:
        raise DataError(f"{folder / SAMPLES}: no samples to score")
    problems = known_problems(path, result)
    by_id = {problem.id: problem for problem in problems}
    if lost := {sample.problem for sample in samples} - set(by_id):
        raise DataError(f"{folder}: no problem with the id {sorted(lost)[0]!r} (and {len(lost) - 1} others)")
    scorer = Scorer(_tags(result))
    fresh: list[Sample] = []
    for start in range(0, len(samples), _BATCH):
        part = samples[start : start + _BATCH]
        fresh += scorer.score_again(part, [by_id[sample.problem] for sample in part])
        if progress is not None:
            progress(len(fresh), len(samples))
    _start_output(output, problems, result)
    SampleWriter(output / SAMPLES).write(fresh)
    kept: dict[str, Any] = {
        key: result[key] for key in ("request", "command", "settings", "samples_wanted") if key in result
    }
    if "samples_wanted" not in kept:  # killed before it could say
        kept["samples_wanted"] = len(problems) * _samples_a_problem(result)
    scores = finish(output, fresh, {**kept, "rescored_from": str(folder.resolve())})
    changed = [(old, new) for old, new in zip(samples, fresh, strict=True) if old.right is not new.right]
    return Rescored(scores, fresh, changed)


def _samples_a_problem(result: Mapping[str, Any]) -> int:
    settings = result.get("settings") or {}
    samples = settings.get("samples")
    return (samples if isinstance(samples, int) else 0) + (settings.get("greedy") is True)


def _tags(result: Mapping[str, Any]) -> Thinking | None:
    settings = result.get("settings") or {}
    if not settings.get("tags", True):
        return None
    tags = settings.get("thinking")
    return Thinking(**tags) if isinstance(tags, dict) else Thinking()


def _start_output(output: Path, problems: Sequence[Problem], result: Mapping[str, Any]) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / SAMPLES).unlink(missing_ok=True)
    write_problems(output / PROBLEMS, problems)
    if result.get("settings"):
        write_json(output / SETTINGS, result["settings"])
