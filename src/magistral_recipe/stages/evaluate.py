"""Evaluating models of the chain on one set of problems: samples on disk, scores with intervals.

On a benchmark, its own prompt and sampling hold, except for keys that the stage gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from magistral_recipe import layout
from magistral_recipe.data.benchmarks.catalogue import find, prompt_of
from magistral_recipe.data.overlap import SCORES_KEY
from magistral_recipe.data.sources import ProblemsSource
from magistral_recipe.errors import DataError
from magistral_recipe.files import read_json
from magistral_recipe.recipe.sections import Draws, Inputs, Mistakes, Recipe, Stage, StageContext
from magistral_recipe.stages.held_out import shared_with_training
from magistral_recipe.stages.training import check_problems
from magistral_recipe.stages.work import problem_rows, request_for
from magistral_recipe.suggest import did_you_mean

if TYPE_CHECKING:
    from magistral_recipe.data.problems import Problem
    from magistral_recipe.evaluation.request import EvaluationRequest


class EvaluateStage(Stage):
    """The `evaluate` stage."""

    kind = "evaluate"
    costs = ("tokens_per_batch",)
    role = "evaluation"
    shares_work = True

    problems: str
    """Name of the set of problems."""
    models: list[str] | None = None
    """Which models: `base` and stages that made one, compared on the same problems; by default the last."""
    samples: int = Field(4, ge=1)
    """Completions per problem; pass@1 is their mean, maj@k their vote. A benchmark has its own number."""
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
    backend: Literal["hf", "vllm"] = "hf"
    """What generates: transformers, or vLLM where it is installed."""

    def mistakes(self, recipe: Recipe, models: Sequence[str], folder: Path) -> Mistakes:
        """References to problems and models."""
        yield from check_problems(("problems",), self.problems, recipe)
        if self.backend == "vllm" and recipe.model:
            from magistral_recipe.generation.vllm import quantization_mistake

            if mistake := quantization_mistake(recipe.model.quantization):
                yield ("backend",), mistake
        for index, name in enumerate(self.models or []):
            if name not in models:
                yield ("models", index), f"no model '{name}' before this stage.{did_you_mean(name, models)}"

    @property
    def draws(self) -> Draws:
        """What it has the models write, where no benchmark says otherwise."""
        sampling = self.drawn(None, Path())
        return Draws(self.problems, sampling, self.backend, self.tokens_per_batch, models=len(self.models or [""]))

    def inputs(self, start: str) -> Inputs:
        """What flows into the stage."""
        return Inputs(tuple(self.models or [start]), (self.problems,))

    def missing(self, folder: Path, start: str) -> Iterator[str]:
        """The models whose scores aren't there or can't be read."""
        for name in self.models or [start]:
            scores = read_json(folder / name / layout.SCORES)
            if not isinstance(scores, dict) or "overall" not in scores:
                yield f"{name}/{layout.SCORES}"

    def describe(self, recipe: Recipe) -> str:
        """The stage in a few words, for the plan."""
        models = ", ".join(self.models) if self.models else "the last model"
        try:
            drawn = self.drawn(recipe.source_of(self.problems), Path())
        except DataError:  # a benchmark in a file beside the recipe, which a plan needn't open
            drawn = self.model_dump()
        greedy = " and greedy" if drawn["greedy"] else ""
        how = f"{drawn['samples']} samples at temperature {drawn['temperature']:g}"
        return f"{models} on '{self.problems}', {how}{greedy}"

    def run(self, context: StageContext) -> dict[str, Any]:
        """Evaluate each model, one after the other; several processes share the samples.

        Args:
            context: where it runs.

        Returns:
            Each model's scores by its name.
        """
        from magistral_recipe.evaluation.request import load_for, run_request

        problems: list[Problem] = problem_rows(context, self.problems)
        context.confirm()
        shared = shared_with_training(context, self, self.problems, problems)
        for each in shared:
            if each.shared:
                context.emit({"type": "warning", "text": f"not held out: {each.line(repr(self.problems))}"})
        compared = {SCORES_KEY: [each.as_dict() for each in shared]}
        scores = {}
        for name in self.models or [context.start_model]:
            request = self.request(context, name)
            scores[name] = run_request(
                request,
                context.folder / name,
                loaded=load_for(request),
                command=f"magistral-recipe run {context.run_folder / layout.RECIPE}",
                tell=context.emit,
                problems=problems,
                name=f"evaluating {name}",
                earlier=[folder / name for folder in _replaced(context.folder)],
                more=compared,
            )
        for name, found in scores.items():
            for warning in found.about.get("warnings", []):
                context.emit({"type": "warning", "text": f"{name}: {warning}"})
        parts = [_in_words(name, found.summary()) for name, found in scores.items()]
        summaries = {name: found.summary() for name, found in scores.items()}
        return {"scores": summaries, "problems": len(problems), **compared, "summary": "pass@1 " + ", ".join(parts)}

    def request(self, context: StageContext, name: str) -> EvaluationRequest:
        """Put down all that is asked of one of the models."""
        from magistral_recipe.evaluation.evaluate import EvaluationSettings

        source = context.recipe.problems[self.problems]
        settings = EvaluationSettings(
            **self.drawn(source, context.base),
            prompt=prompt_of(source.benchmark, context.base),
            seed=context.recipe.seed,
            tokens_per_batch=self.tokens_per_batch,
        )
        return request_for(context, name, source, settings, self.backend)

    def drawn(self, source: ProblemsSource | None, base: Path) -> dict[str, Any]:
        """What is drawn: the stage's keys; on a benchmark its own sampling, but for the keys that the stage gives."""
        names = ("samples", "temperature", "top_p", "max_new_tokens", "greedy")
        if source is None or source.benchmark is None:
            return {name: getattr(self, name) for name in names}
        from magistral_recipe.evaluation.request import sampling_of

        given = {name: getattr(self, name) for name in names if name in self.model_fields_set}
        return sampling_of(find(source.benchmark, base).row, given)


def _replaced(folder: Path) -> list[Path]:
    """Where the chain put this stage's folder when it ran again, in their order: what has not changed is there."""
    return sorted(
        (folder.parent / layout.REPLACED).glob(f"{folder.name}.*"), key=lambda each: (len(each.name), each.name)
    )


def _in_words(name: str, values: Mapping[str, float]) -> str:
    rate = values.get("pass@1", values.get("greedy_pass@1"))
    return f"{name} {rate:.1%}" if rate is not None else f"{name} undecided"
