"""The work of a `curate` stage's `translate` section: draw, hold against the originals, and let a model solve both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from magistral_recipe import layout
from magistral_recipe.curation.funnel import Funnel
from magistral_recipe.curation.rows import Row, RowFile
from magistral_recipe.curation.translate import (
    ORIGINAL,
    chosen,
    draw_translations,
    drop_unsolved,
    texts_in,
    translate,
)
from magistral_recipe.data.problems import Problem
from magistral_recipe.evaluation.settings import EvaluationSettings
from magistral_recipe.evaluation.shards import Shard
from magistral_recipe.generation.endpoint.config import EndpointConfig
from magistral_recipe.generation.interface import Sampling
from magistral_recipe.recipe.sections import StageContext
from magistral_recipe.stages.asked import asked, model_named, progress_of
from magistral_recipe.stages.sampled import sampled
from magistral_recipe.stages.training import chat_format

if TYPE_CHECKING:
    from magistral_recipe.stages.curate import CurateStage
    from magistral_recipe.stages.translated import TranslateOptions

TRANSLATE, SOLVED = "translate", "solved in translation"


def run_translations(stage: CurateStage, context: StageContext, shard: Shard, funnel: Funnel) -> None:
    """Put a share of the rows into other languages; every process calls it, and the first alone has the funnel.

    Args:
        stage: its keys.
        context: where it runs.
        shard: this process.
        funnel: its steps before this one done; in other processes than the first it only tells what was done.
    """
    options, steps = stage.translate, context.folder / layout.STEPS
    assert options is not None
    shard.wait()
    if not funnel.holds(TRANSLATE):
        rows = RowFile(_before(steps))
        wanted = chosen(rows, options.share, context.recipe.seed)
        if not wanted and shard.first:
            text = "translate: no problem in English with words enough and an answer that is none in words"
            context.emit({"type": "warning", "text": text})
        _draw(stage, options, context, wanted)
    if shard.first:
        thinking = chat_format(context.recipe, context.base).thinking
        funnel.run(
            TRANSLATE,
            lambda rows: translate(
                rows,
                [problem.id for problem in chosen(rows, options.share, context.recipe.seed)],
                texts_in(context.folder / layout.TRANSLATIONS),
                options.languages,
                thinking,
            ),
            f"{options.share:.0%} into {', '.join(options.languages)} by {model_named(context, _model(stage))}",
            shown=ORIGINAL,
        )
    shard.wait()
    if options.solve_samples is not None and stage.difficulty is not None:
        _solve(stage, options.solve_samples, context, shard, funnel)


def _model(stage: CurateStage) -> str | EndpointConfig | None:
    """What translates: the section's own, else what rates the problems; ``None`` for the last model before."""
    assert stage.translate is not None
    return stage.translate.model or (stage.difficulty.model if stage.difficulty else None)


def _draw(stage: CurateStage, options: TranslateOptions, context: StageContext, wanted: Sequence[Problem]) -> None:
    sampling = Sampling(options.temperature, options.top_p, options.max_new_tokens, context.recipe.seed)
    settings = EvaluationSettings(tokens_per_batch=options.tokens_per_batch)
    if not wanted:
        return
    model, folder = _model(stage), context.folder / layout.TRANSLATIONS
    with asked(context, model, settings, options.backend, folder) as (generator, chat):
        draw_translations(
            wanted,
            options.languages,
            generator,
            chat,
            sampling,
            folder,
            samples=options.samples,
            progress=progress_of(context, f"translating {len(wanted):,} problems by {model_named(context, model)}"),
        )


def _solve(stage: CurateStage, samples: int, context: StageContext, shard: Shard, funnel: Funnel) -> None:
    """Let the model that rated the problems solve the translations as often as their originals."""
    steps, drawn = context.folder / layout.STEPS, stage.difficulty
    assert drawn is not None
    tallies = {}
    if not funnel.holds(SOLVED):
        rows = RowFile(_step(steps, TRANSLATE))
        both = _with_originals(rows)
        if both:
            few = drawn.model_copy(update={"samples": samples})
            tallies = sampled(context, few, drawn.model, both, "solving in two languages")
    if shard.first:
        note = f"{samples} samples of each by {model_named(context, drawn.model)}"
        funnel.run(SOLVED, lambda rows: drop_unsolved(rows, tallies), note)


def _with_originals(rows: Sequence[Row]) -> list[Problem]:
    """The translations, and the problems that they are made of."""
    originals = {row.notes[ORIGINAL] for row in rows if ORIGINAL in row.notes}
    return [row.problem for row in rows if ORIGINAL in row.notes or row.problem.id in originals]


def _step(steps: Path, name: str) -> Path:
    return next(steps.glob(f"??-{name}.jsonl"))


def _before(steps: Path) -> Path:
    """The rows in front of this step: the last that are there, none of which is this step's or a later one's."""
    later = (TRANSLATE, SOLVED)
    names = {path: path.name[3:].removesuffix(".jsonl") for path in steps.glob("??-*.jsonl")}
    return max(path for path, name in names.items() if not name.endswith(".dropped") and name not in later)
