"""The `curate` stage: a named set of problems becomes a set worth training on (Magistral §4).

Cleaned, without duplicates and without problems of the evaluation sets, rated by a model, without those that are too
hard, too easy or wrongly labelled. What it makes is a set of its own name: `problems: curate` in a later stage. The
paper filters twice: a second `curate` stage with `again: curate` takes what the first had cleaned, all of it, and rates
it by a stronger model, as a rule the one that RL on the first's problems made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from magistral_recipe import layout
from magistral_recipe.curation.defaults import (
    MIN_CONTAINED,
    MIN_LIKENESS,
    MIN_NGRAM_SHARE,
    SAMPLES_A_PROBLEM,
    MultipleChoice,
)
from magistral_recipe.data.decontaminate import NGRAM
from magistral_recipe.generation.endpoint.config import EndpointConfig, ModelName, name_of
from magistral_recipe.recipe.sections import Draws, Inputs, Mistakes, Recipe, Stage, StageContext
from magistral_recipe.schema import StrictModel
from magistral_recipe.stages.drawn import SamplingKeys, costs_of, key_warnings
from magistral_recipe.stages.held_out import evaluated_sets
from magistral_recipe.stages.training import check_problems
from magistral_recipe.stages.translated import TranslateOptions
from magistral_recipe.suggest import did_you_mean
from magistral_recipe.verifiers.sandbox.terms import SandboxMode

if TYPE_CHECKING:
    from magistral_recipe.curation.programs import Rules


class CleanOptions(StrictModel):
    """One spelling, and only problems whose answer can be checked."""

    multiple_choice: MultipleChoice = "rewrite"
    """`rewrite` asks for the value at the right letter where the question allows it, and drops the others; `drop` drops
    all; `keep` leaves them."""


class DuplicateOptions(StrictModel):
    """Problems that stand in the set twice."""

    min_likeness: float = Field(MIN_LIKENESS, gt=0, le=1)
    """Share of the words and pairs of words of two problems that must be common, numbers and signs being equal."""


class LeakOptions(StrictModel):
    """Problems of the evaluation sets, in disguise."""

    problems: list[str] | None = None
    """Sets to keep out; by default all that `evaluate` stages and sections of the recipe name."""
    min_contained: float = Field(MIN_CONTAINED, gt=0, le=1)
    """Share of an evaluation problem's words and pairs that a disguised copy holds, numbers and signs being equal."""
    ngram: int = Field(NGRAM, ge=1)
    """Length of the runs of words that are compared."""
    min_ngram_share: float = Field(MIN_NGRAM_SHARE, gt=0, le=1)
    """Share of an evaluation problem's runs that a training problem must have, with all its numbers."""


class CodeOptions(StrictModel):
    """Programming problems, held against the solutions that come with them."""

    agreement: float = Field(0.75, gt=0.5, le=1)
    """Share of the solutions that are believed which must agree on a test; it goes otherwise."""
    solutions: int = Field(8, ge=1)
    """Solutions of a problem that are run, at most."""
    least_solutions: int = Field(3, ge=1)
    """Solutions that must agree to correct the output of a test, or to believe one with a new input."""
    tests: int = Field(100, ge=1)
    """Tests of a problem that are run, at most; the others go."""
    least_tests: int = Field(3, ge=1)
    """Problems that are left with fewer tests go."""
    enough_tests: int = Field(20, ge=0)
    """Problems with fewer tests get new ones, as far as that goes (the reward draws 20, §2.2.2); 0 makes none."""
    unverified: Literal["keep", "drop"] = "keep"
    """What becomes of problems without a solution that could be run (the paper drops them)."""
    languages: list[Literal["python", "cpp"]] = Field(["python", "cpp"])
    """What programs are asked in, a copy of the problem for each; empty leaves statements alone."""
    timeout: float = Field(4.0, gt=0)
    """CPU seconds for a test, where the problem doesn't say."""
    memory_mb: float = Field(300, gt=0)
    """Memory of a program in MiB, likewise."""
    sandbox: SandboxMode = "bwrap"
    """Where solutions run: as `sandbox` of the code reward."""

    def rules(self, seed: int) -> Rules:
        """What is asked for, as the step takes it."""
        from magistral_recipe.curation.programs import Rules

        return Rules(
            agreement=self.agreement,
            solutions=self.solutions,
            least_solutions=self.least_solutions,
            tests=self.tests,
            least_tests=self.least_tests,
            enough_tests=self.enough_tests,
            unverified=self.unverified,
            languages=tuple(dict.fromkeys(self.languages)),
            seconds=self.timeout,
            memory_mb=self.memory_mb,
            seed=seed,
        )


class DifficultyOptions(SamplingKeys):
    """Pass rates by a model's samples."""

    model: ModelName | None = None
    """The stage whose model samples, `base`, or an endpoint; by default the last model before this stage."""
    samples: int = Field(SAMPLES_A_PROBLEM, ge=2)
    """Completions a problem (the paper: 16, §4)."""
    temperature: float = Field(0.7, gt=0)
    """Sampling temperature."""
    above: float | None = Field(0.0, ge=0, lt=1)
    """Pass rates that are not above this are dropped: never solved; null drops none of them."""
    at_most: float = Field(0.9, gt=0, le=1)
    """Pass rates above this are dropped: nearly always solved. Of 16 samples 0.9 lets 14 pass."""


class LabelOptions(StrictModel):
    """References that the samples contradict."""

    agreement: float = Field(0.75, gt=0.5, le=1)
    """Share of a problem's samples that must agree on another answer than the reference."""


class CurateStage(Stage):
    """The `curate` stage."""

    kind = "curate"
    role = "curation"
    makes_problems = True
    shares_work = True
    costs = (*costs_of("difficulty"), *costs_of("translate"))

    problems: str = ""
    """Name of the set to curate."""
    again: str | None = None
    """An earlier `curate` stage, whose cleaned problems are all rated anew; in place of `problems`."""
    clean: CleanOptions | None = CleanOptions()
    """One spelling, and only answers that can be checked; null leaves it out, as in every section."""
    duplicates: DuplicateOptions | None = DuplicateOptions()
    """Problems that stand in the set twice."""
    leaks: LeakOptions | None = LeakOptions()
    """Problems of the evaluation sets, in disguise."""
    code: CodeOptions | None = CodeOptions()
    """Programming problems, held against the solutions that come with them."""
    difficulty: DifficultyOptions | None = DifficultyOptions()
    """Pass rates by a model's samples."""
    labels: LabelOptions | None = LabelOptions()
    """References that the samples contradict; needs `difficulty`, whose samples vote."""
    translate: TranslateOptions | None = None
    """A share of the English problems in other languages; left out unless it is asked for."""

    @property
    def made_from(self) -> str:
        """The set that it curates; of a second pass, the stage whose set it takes."""
        return self.problems or str(self.again)

    def settled(self, recipe: Recipe) -> CurateStage:
        """Name the evaluation sets that are kept out."""
        if self.leaks is None or self.again or self.leaks.problems is not None:
            return self
        names = [name for name in evaluated_sets(recipe) if name != self.problems]
        return self.model_copy(update={"leaks": self.leaks.model_copy(update={"problems": names})})

    @property
    def asks_for_model(self) -> str | None:
        """The model that samples, where the recipe names one."""
        return name_of(self.difficulty.model) if self.difficulty else None

    @property
    def draws(self) -> Draws | None:
        """The samples that rate problems."""
        if self.difficulty is None or isinstance(self.difficulty.model, EndpointConfig):
            return None
        return self.difficulty.drawing(self.made_from, "difficulty")

    def warnings(self, folder: Path) -> Mistakes:
        """A key that an endpoint will want."""
        yield from key_warnings(self.difficulty.model if self.difficulty else None, "difficulty", "model")
        yield from key_warnings(self.translate.model if self.translate else None, "translate", "model")

    def mistakes(self, recipe: Recipe, models: Sequence[str], folder: Path) -> Mistakes:
        """References to sets, stages and models."""
        if self.again is None:
            if self.problems:
                yield from check_problems(("problems",), self.problems, recipe)
            else:
                yield ("problems",), "missing: the set to curate, or `again:` with an earlier curate stage"
        else:
            earlier = [stage.name for stage in recipe.stages if isinstance(stage, CurateStage) and stage is not self]
            if self.problems:
                yield ("again",), "goes without `problems`: it takes what the earlier stage had cleaned"
            if self.again not in earlier:
                yield ("again",), f"no curate stage '{self.again}'.{did_you_mean(self.again, earlier)}"
        for index, name in enumerate(self.leaks.problems or [] if self.leaks else []):
            yield from check_problems(("leaks", "problems", index), name, recipe)
        if self.difficulty and (self.difficulty.above or 0.0) >= self.difficulty.at_most:
            yield ("difficulty", "above"), f"not below at_most ({self.difficulty.at_most:g}): nothing could be left"
        if self.difficulty:
            yield from self.difficulty.vllm_mistakes(recipe, "difficulty")
        if self.labels and "labels" in self.model_fields_set and not self.difficulty:
            yield ("labels",), "needs `difficulty`, whose samples vote"
        translator = name_of(self.translate.model) if self.translate else None
        if translator is not None and translator not in models:
            hint = did_you_mean(translator, models)
            yield ("translate", "model"), f"no model '{translator}' before this stage.{hint}"
        if self.translate and self.translate.solve_samples and not self.difficulty:
            yield ("translate", "solve_samples"), "needs `difficulty`, whose model solves"

    def inputs(self, start: str) -> Inputs:
        """What flows into the stage."""
        sets = (*([self.problems] if self.problems else []), *([self.again] if self.again else []))
        heldout = tuple(self.leaks.problems or ()) if self.leaks and not self.again else ()
        asked = [section.model for section in (self.difficulty, self.translate) if section]
        if self.difficulty and self.translate and self.translate.model is None:
            asked.pop()  # what rates them translates
        names = dict.fromkeys(name_of(model) or start for model in asked if not isinstance(model, EndpointConfig))
        return Inputs(tuple(names), (*sets, *(name for name in heldout if name not in sets)))

    def missing(self, folder: Path, start: str) -> Iterator[str]:
        """The set, and the funnel that tells how it came about."""
        for name in (layout.PROBLEMS, layout.FUNNEL):
            if not (folder / name).is_file():
                yield name

    def describe(self, recipe: Recipe) -> str:
        """The stage in a few words, for the plan."""
        steps = [name for name in ("clean", "duplicates", "leaks", "code") if getattr(self, name) and not self.again]
        what = f"what '{self.again}' had cleaned" if self.again else f"'{self.problems}'"
        text = f"{what}: {', '.join(steps)}" if steps else what
        if self.difficulty is not None:
            labels = " and wrong labels" if self.labels else ""
            by = f" of {self.difficulty.model}" if isinstance(self.difficulty.model, EndpointConfig) else ""
            text = f"{text}; difficulty{labels} by {self.difficulty.samples} samples a problem{by}"
        if self.translate is not None:
            by = f" by {self.translate.model}" if isinstance(self.translate.model, EndpointConfig) else ""
            languages = ", ".join(self.translate.languages)
            text = f"{text}; {self.translate.share:.0%} of the English ones in {languages}{by}"
        return text

    def run(self, context: StageContext) -> dict[str, Any]:
        """Curate; several processes share the samples.

        Args:
            context: where it runs.

        Returns:
            Rows in and out, and the summary.
        """
        from magistral_recipe.stages.curating import Curation

        return Curation(self, context).run()

    def kept_out(self) -> list[str]:
        """Names of the sets whose problems must not be trained on."""
        return list(self.leaks.problems or []) if self.leaks and not self.again else []
