"""Evaluating models of the chain on one set of problems: samples on disk, scores with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from magistral_recipe.stages.base import Inputs, StageConfig, StageContext
from magistral_recipe.stages.training import Mistakes, check_problems
from magistral_recipe.stages.work import load_start, problem_rows
from magistral_recipe.suggest import did_you_mean

if TYPE_CHECKING:
    from magistral_recipe.data.problems import Problem


class Config(StageConfig):
    """The `evaluate` stage."""

    problems: str
    """Name of the set of problems."""
    models: list[str] | None = None
    """Which models: `base` and stages that made one, compared on the same problems; by default the last."""
    samples: int = Field(4, ge=1)
    """Completions per problem; pass@1 is their mean, maj@k their vote."""
    temperature: float = Field(0.7, ge=0)
    """Sampling temperature (the paper evaluates at 0.7, §5.1)."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus sampling (the paper: 1.0 for mathematics, 0.95 for code)."""
    max_new_tokens: int = Field(32_768, ge=1)
    """Where a completion is cut, in tokens."""
    greedy: bool = True
    """Evaluate greedy decoding too."""
    tokens_per_batch: int = Field(65_536, ge=1)
    """Prompt and completion tokens generated at once: what the memory holds."""


def check(config: Config, recipe: Any, models: Sequence[str], folder: Path) -> Mistakes:
    """References to problems and models."""
    yield from check_problems(("problems",), config.problems, recipe)
    for index, name in enumerate(config.models or []):
        if name not in models:
            yield ("models", index), f"no model '{name}' before this stage.{did_you_mean(name, models)}"


def inputs(config: Config, start: str) -> Inputs:
    """What flows into the stage."""
    return Inputs(tuple(config.models or [start]), (config.problems,))


def describe(config: Config, recipe: Any) -> str:
    """The stage in a few words, for the plan."""
    models = ", ".join(config.models) if config.models else "the last model"
    greedy = " and greedy" if config.greedy else ""
    return f"{models} on '{config.problems}', {config.samples} samples at temperature {config.temperature:g}{greedy}"


def run(config: Config, context: StageContext) -> dict[str, Any]:
    """Evaluate each model, one after the other.

    Args:
        config: the stage's.
        context: where it runs.

    Returns:
        Each model's scores by its name.
    """
    from magistral_recipe.evaluation.evaluate import EvaluationSettings, evaluate_model

    problems: list[Problem] = problem_rows(context, config.problems)
    settings = EvaluationSettings(
        samples=config.samples,
        temperature=config.temperature,
        top_p=config.top_p,
        max_new_tokens=config.max_new_tokens,
        greedy=config.greedy,
        seed=context.recipe.seed,
        tokens_per_batch=config.tokens_per_batch,
    )
    scores = {}
    for name in config.models or [context.start_model]:
        start = load_start(context, name, trainable=False)

        def progress(done: int, total: int, name: str = name) -> None:
            event = {"type": "progress", "activity": f"evaluating {name}", "step": done, "total": total}
            context.emit(event)

        scores[name] = evaluate_model(
            start.model,
            start.tokenizer,
            problems,
            start.chat,
            settings,
            output=context.folder / name,
            progress=progress,
        ).summary()
    parts = [f"{name} {values['pass@1']:.1%}" for name, values in scores.items()]
    return {"scores": scores, "problems": len(problems), "summary": "pass@1 " + ", ".join(parts)}
