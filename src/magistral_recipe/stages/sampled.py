"""What stages that curate share: drawing samples of problems, leaving a set with its funnel."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from magistral_recipe import layout
from magistral_recipe.curation.funnel import Count, Funnel
from magistral_recipe.curation.ratings import Tally, rate_problems
from magistral_recipe.data.problems import Problem
from magistral_recipe.errors import DataError
from magistral_recipe.evaluation.settings import EvaluationSettings
from magistral_recipe.files import replaced_atomically, write_json
from magistral_recipe.generation.endpoint.config import EndpointConfig
from magistral_recipe.machine import versions
from magistral_recipe.recipe.sections import StageContext
from magistral_recipe.stages.asked import asked, model_named, progress_of
from magistral_recipe.stages.drawn import SamplingKeys
from magistral_recipe.verifiers.version import grader_version


def sampled(
    context: StageContext,
    drawn: SamplingKeys,
    model: str | EndpointConfig | None,
    problems: Sequence[Problem],
    doing: str,
) -> dict[str, Tally]:
    """Let a model solve problems; every process takes its share.

    Args:
        context: the stage's.
        drawn: how.
        model: which; by default the one that the stage starts from.
        problems: what to solve.
        doing: what progress calls it.

    Returns:
        Problem's id → its tally; the samples are in the stage's folder.
    """
    settings = EvaluationSettings(
        samples=drawn.samples,
        temperature=drawn.temperature,
        top_p=drawn.top_p,
        max_new_tokens=drawn.max_new_tokens,
        greedy=False,
        seed=context.recipe.seed,
        tokens_per_batch=drawn.tokens_per_batch,
    )
    folder = context.folder / layout.RATINGS
    with asked(context, model, settings, drawn.backend, folder) as (generator, chat):
        progress = progress_of(context, f"{doing} {len(problems):,} problems by {model_named(context, model)}")
        return rate_problems(problems, generator, chat, settings, folder, progress)


def leave(funnel: Funnel, folder: Path, name: str) -> None:
    """Leave what came out of a funnel as a stage's set, and the funnel for the report.

    Args:
        funnel: its steps done.
        folder: the stage's.
        name: the set's file.

    Raises:
        DataError: if nothing came out, with the funnel's lines.
    """
    require_rows(funnel)
    with funnel.rows.path.open("rb") as source, replaced_atomically(folder / name) as target:
        shutil.copyfileobj(source, target)
    examples = [
        {"step": step, "reason": reason, "rows": [_example(row) for row in rows]}
        for step, reason, rows in funnel.examples()
    ]
    about = {"steps": [vars(count) for count in funnel.counts], "examples": examples}
    write_json(folder / layout.FUNNEL, {**about, "grader": grader_version(), "versions": versions()})


def require_rows(funnel: Funnel) -> None:
    """See that something is left.

    Raises:
        DataError: with the funnel's lines, if nothing is.
    """
    if not funnel.counts[-1].rows_out:
        raise DataError(["nothing is left:", *(f"  {count.line()}" for count in funnel.counts)])


def results_of(counts: Sequence[Count], what: str) -> dict[str, Any]:
    """What a curating stage gives the manifest; nothing in processes that only helped."""
    if not counts:
        return {}
    summary = f"{counts[0].rows_in:,} rows → {counts[-1].rows_out:,} {what}"
    return {what: counts[-1].rows_out, "funnel": [count.line() for count in counts], "summary": summary}


def tell(context: StageContext, count: Count, before: bool) -> None:
    """Say what a step did."""
    context.emit({"type": "note", "text": count.line() + (" (done before)" if before else "")})


def _example(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "problem", "answer", "dropped") if name in row}
