"""The `traces` stage: traces for SFT, from published sets, or from a model's own verified completions (Magistral §5).

`sft: {traces: NAME}` learns from what a stage of that name made. After an RL stage, `- traces: {model: grpo, problems:
train}` gives the next SFT its data, as the paper's Small learnt from Medium's; `model: {endpoint: …, name: …}` draws
them from a teacher elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from magistral_recipe import layout
from magistral_recipe.data.sources import TracesSource
from magistral_recipe.generation.endpoint.config import EndpointConfig, ModelName, name_of
from magistral_recipe.recipe.sections import Draws, Inputs, Mistakes, Recipe, Stage, StageContext
from magistral_recipe.schema import StrictModel
from magistral_recipe.stages.drawn import SamplingKeys, costs_of, key_warnings
from magistral_recipe.stages.training import check_problems


class HardProblems(StrictModel):
    """Which problems' traces are repeated."""

    pass_rate: float = Field(0.25, gt=0, lt=1)
    """Pass rates up to this are low."""
    times: int = Field(2, ge=2)
    """How often such a trace stands in the set."""


class GeneralData(StrictModel):
    """General instruction data, so that other abilities stay."""

    traces: TracesSource
    """Where they come from; the recipe's tags are not asked of them."""
    share: float = Field(0.1, gt=0, lt=1)
    """Their share of the whole (the paper: 10%, §5)."""


_OF_A_MODEL = frozenset({*SamplingKeys.model_fields, "model", "hard"})
"""Keys that say nothing of traces that exist."""


class TracesStage(Stage, SamplingKeys):
    """The `traces` stage."""

    kind = "traces"
    role = "curation"
    makes_traces = True
    shares_work = True
    costs = tuple(costs_of())

    sets: list[TracesSource] = Field(default_factory=list)
    """Traces that exist; each is held against our own rewards."""
    problems: str = ""
    """Name of the set whose problems the model is to solve."""
    model: ModelName | None = None
    """The stage whose model solves them, `base`, or an endpoint (a teacher); by default the last model before this
    stage."""
    max_new_tokens: int = Field(32_768, ge=1)
    """Where a completion is cut, in tokens; what is cut is no trace."""
    min_tokens: int = Field(0, ge=0)
    """Shorter completions are left out (the paper: early, short ones); those of `sets` as the model counts."""
    per_problem: int = Field(2, ge=1)
    """Traces kept of a problem, at most."""
    hard: HardProblems | None = HardProblems()
    """Traces of problems that are seldom solved are repeated; null leaves it out. Needs pass rates, so `problems`."""
    general: GeneralData | None = None
    """General instruction data to mix in."""

    @property
    def asks_for_model(self) -> str | None:
        """The model that solves the problems, where the recipe names one."""
        return name_of(self.model) if self.problems else None

    @property
    def draws(self) -> Draws | None:
        """The samples of which traces are made."""
        if not self.problems or isinstance(self.model, EndpointConfig):
            return None
        return self.drawing(self.problems)

    def warnings(self, folder: Path) -> Mistakes:
        """A key that an endpoint will want."""
        yield from key_warnings(self.model, "model")

    def mistakes(self, recipe: Recipe, models: Sequence[str], folder: Path) -> Mistakes:
        """Where the traces are to come from."""
        if bool(self.sets) == bool(self.problems):
            yield (), "expected either `sets`, traces that exist, or `problems`, for a model to solve"
        if self.problems:
            yield from check_problems(("problems",), self.problems, recipe)
        for name in sorted(_OF_A_MODEL & self.model_fields_set) if self.sets else ():
            if getattr(self, name) is not None:
                yield (name,), "goes with `problems`, which a model solves; traces that exist are not sampled"
        for index, source in enumerate(self.sets):
            for key, message in source.check(folder):
                yield ("sets", index, *(key.split(".") if key else [])), message
        for key, message in self.general.traces.check(folder) if self.general else ():
            yield ("general", "traces", *(key.split(".") if key else [])), message

    def inputs(self, start: str) -> Inputs:
        """What flows into the stage."""
        sources = [*self.sets, *([self.general.traces] if self.general else [])]
        paths = tuple(path for source in sources for path in (source.path, source.layout) if path)
        transforms = tuple(source.transform for source in sources if source.transform)
        solving = self.problems and not isinstance(self.model, EndpointConfig)
        problems = (self.problems,) if self.problems else ()
        return Inputs((start,) if solving else (), problems, paths, transforms=transforms)

    def missing(self, folder: Path, start: str) -> Iterator[str]:
        """The traces, and the funnel that tells how they came about."""
        for name in (layout.TRACES, layout.FUNNEL):
            if not (folder / name).is_file():
                yield name

    def describe(self, recipe: Recipe) -> str:
        """The stage in a few words, for the plan."""
        few = f"at most {self.per_problem} a problem"
        if self.problems:
            by = f" by {self.model}" if isinstance(self.model, EndpointConfig) else ""
            return f"{self.samples} samples a problem of '{self.problems}'{by}, those that are right; {few}"
        return f"{', '.join(source.describe() for source in self.sets)}: those that are right; {few}"

    def run(self, context: StageContext) -> dict[str, Any]:
        """Make the traces; several processes share the samples.

        Args:
            context: where it runs.

        Returns:
            How many traces there are, the funnel's lines, and the summary.
        """
        from magistral_recipe.stages.tracing import Tracing

        return Tracing(self, context).run()
