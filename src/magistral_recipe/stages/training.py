"""The config that training stages share, and the trainer arguments that a run decides. Light to import."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from magistral_recipe import layout
from magistral_recipe.models.adapters import with_own_lora
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.paths import lasting_path
from magistral_recipe.models.precision import autocast_arguments
from magistral_recipe.recipe.sections import Mistakes, Recipe, Stage
from magistral_recipe.schema import StrictModel
from magistral_recipe.suggest import did_you_mean
from magistral_recipe.writing.chat_format import ChatFormat
from magistral_recipe.writing.template import NAMED_TEMPLATES
from magistral_recipe.writing.thinking import Thinking

if TYPE_CHECKING:
    from magistral_recipe.data.problems import Problem, Trace
    from magistral_recipe.data.sources import ProblemsSource, TracesSource


_LENGTHLESS_SCHEDULES = frozenset({"constant", "constant_with_warmup", "inverse_sqrt"})
"""Learning rates that do not depend on how many steps there are."""


class EvaluateEvery(StrictModel):
    """Evaluation during training, and which checkpoint the stage leaves."""

    every: int = Field(ge=1)
    """Optimizer steps between evaluations; the last step is always evaluated."""
    problems: str
    """Name of the set of problems."""
    keep: Literal["best", "last"] = "best"
    """The model that the stage leaves: the one that scored best, or the last."""
    count: int = Field(64, ge=1)
    """Problems evaluated each time: the first ones of the set."""
    samples: int = Field(1, ge=1)
    """Completions per problem."""
    temperature: float = Field(0.0, ge=0)
    """0 is greedy decoding: the least noise per completion."""
    max_new_tokens: int = Field(512, ge=1)
    """Where a completion is cut, in tokens."""


class TrainingStage(Stage):
    """A stage that trains a model: the keys it takes, and what `check` asks of it beside every stage's.

    A kind gives `trainer_class` and `arguments`, and what the wiring proof can be made with.
    """

    makes_model = True
    shares_work = True
    trainer_choices: ClassVar[Mapping[str, tuple[object, ...]]] = {}
    """Values of trainer fields that the class takes as any text, where they are others than RL's."""

    costs: ClassVar[tuple[str, ...]] = ("trainer.gradient_checkpointing", "trainer.activation_checkpointing")

    model: str | None = None
    """The stage whose model to start from, or `base`; by default the last stage that made a model, else the base."""
    trainer: dict[str, Any] = Field(default_factory=dict)
    """Fields of the trainer's own config class, held against it by `check`."""
    evaluate: EvaluateEvery | None = None
    """Evaluate while training, and keep the best."""

    @property
    def asks_for_model(self) -> str | None:
        """The model to start from, where the recipe names one."""
        return self.model

    def mistakes(self, recipe: Recipe, models: Sequence[str], folder: Path) -> Mistakes:
        """The references of the `evaluate` section."""
        if self.evaluate is not None:
            yield from check_problems(("evaluate", "problems"), self.evaluate.problems, recipe)

    def watched(self) -> tuple[str, ...]:
        """Names of the problems that the `evaluate` section reads."""
        return (self.evaluate.problems,) if self.evaluate else ()

    @abstractmethod
    def learns_from(self, recipe: Recipe) -> tuple[str, ProblemsSource | TracesSource | None]:
        """What it learns from: what messages call it, and where it comes from; ``None`` for what a stage makes."""

    def named(self) -> tuple[str, ...]:
        """Texts in the trainer's section, which may be files that it opens (`deepspeed`, `accelerator_config`, …)."""
        return tuple(_texts(self.trainer))

    def goes_on_from(self, before: Mapping[str, Any], folder: Path) -> str | None:
        """More steps or epochs of the same go on from the last checkpoint.

        Bit for bit as if all had been asked for at once, where nothing in it depends on how many there are.
        """
        section, name = self.trainer, next(iter(before), "").removeprefix("trainer.")
        if [*before] != [f"trainer.{name}"] or name not in {"max_steps", "num_train_epochs"}:
            return None
        then, now = before[f"trainer.{name}"], section.get(name)
        numbers = [value for value in (then, now) if isinstance(value, int | float) and value > 0]
        if len(numbers) < 2 or now <= then or (name == "num_train_epochs" and "max_steps" in section):
            return None
        steps = [int(place.parent.name.partition("-")[2]) for place in folder.glob(layout.CHECKPOINT_MARKS)]
        if not steps:
            return None
        told = f"{name}: {then} -> {now}, from step {max(steps)} on"
        other = [*self._bound_to_its_length(max(steps))]
        return (
            f"{told}; {' and '.join(other)}, so that it is not bit for bit the run of {now} at once" if other else told
        )

    def _bound_to_its_length(self, step: int) -> Iterator[str]:
        """What of a training that has ended at a step would have been otherwise in a longer one."""
        defaults = {each.name: each.default for each in dataclasses.fields(self.trainer_class())}
        scheduler = str(self.trainer.get("lr_scheduler_type", defaults["lr_scheduler_type"])).rpartition(".")[2].lower()
        warmup = self.trainer.get("warmup_steps", defaults["warmup_steps"]) or 0
        if scheduler not in _LENGTHLESS_SCHEDULES:
            yield f"its learning rate ({scheduler}) was drawn out over the shorter run"
        elif 0 < warmup < 1 and scheduler != "constant":
            yield f"its warm-up was {warmup:g} of the shorter run"
        if self.evaluate is not None and self.evaluate.keep == "best" and step % self.evaluate.every:
            yield f"step {step} was evaluated because it was the last"

    @abstractmethod
    def trainer_class(self) -> type:
        """Import the class of configuration that `trainer:` goes to."""

    @abstractmethod
    def arguments(self, given: dict[str, Any]) -> dict[str, Any]:
        """Put the trainer's arguments together: what the run decides, the kind's own, and the recipe's.

        Args:
            given: from `run_arguments`.
        """

    def proof_traces(self, base: Path, thinking: Thinking, count: int) -> Sequence[Trace]:
        """Load the first traces that it learns from, for the wiring proof; none by default."""
        return ()

    def proof_problems(self, recipe: Recipe, base: Path, count: int) -> Sequence[Problem] | None:
        """Load the first problems that it is rewarded on, for the wiring proof; ``None`` where there are no rewards."""
        return None

    def build_rewards(self, thinking: Thinking, base: Path) -> list[Callable[..., Any]]:
        """Make its rewards for the tags of the run, own ones from the recipe's folder; none by default."""
        return []


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def chat_format(recipe: Recipe, base: Path) -> ChatFormat:
    """The format that a recipe's `thinking` section describes.

    Args:
        recipe: the recipe.
        base: the folder that a template file's path starts from.

    Returns:
        The format.
    """
    section = recipe.thinking
    template = section.template
    if template not in NAMED_TEMPLATES:
        template = str(base / template)
    return ChatFormat.of_section(section.open, section.close, section.system_prompt, template)


def base_model_config(recipe: Recipe, base: Path) -> ModelConfig:
    """The recipe's model section with a path that holds from any working folder.

    Where that is the folder of an adapter that is gone on with, `lora` is the adapter's own.

    Raises:
        DataError: if the adapter can't be read.
    """
    return with_own_lora(recipe.model.model_copy(update={"path": lasting_path(recipe.model.path, base)}))


def run_arguments(output: Path, recipe: Recipe, trainer: Mapping[str, Any]) -> dict[str, Any]:
    """The trainer arguments that the run itself decides; a recipe's `trainer:` adds to them.

    Args:
        output: the folder for checkpoints.
        recipe: the recipe.
        trainer: the stage's `trainer:` section.

    Returns:
        Keyword arguments for any of TRL's config classes.
    """
    import torch

    gpu = torch.cuda.is_available()
    return {
        "output_dir": str(output),
        "seed": recipe.seed,
        "use_cpu": not gpu,
        **autocast_arguments(trainer),
        "gradient_checkpointing": gpu,
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": 100,
        "save_total_limit": 2,
        "ddp_timeout": 7200,
    }


def check_problems(path: tuple[str | int, ...], name: str, recipe: Recipe) -> Mistakes:
    """A reference to a set of problems that must exist."""
    if name not in recipe.problems and not recipe.made_by_stages([name]):
        made = [stage.name for stage in recipe.stages if stage and stage.makes_problems]
        if there := [*recipe.problems, *made]:
            yield path, f"no set of problems '{name}'.{did_you_mean(name, there)}"
        else:
            yield path, f"no set of problems '{name}': the recipe has no `problems:` section"
