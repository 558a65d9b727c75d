"""What a recipe is made of: its sections and its stages, typed.

A stage is a class: its fields are the keys that a recipe gives it, its class variables and methods what the chain
needs to know of it. A new kind of stage is one module with such a class and one line in the table of `stages`. A
stage's whole world is its own fields and the context it runs in; it writes into its own folder and nowhere else. The
chain owns order, resuming, the manifest and the processes. Importing a stage's module must not import torch: heavy
imports live inside `run`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from magistral_recipe import layout
from magistral_recipe.data.declared import with_held_out
from magistral_recipe.data.sources import ProblemsSource, TracesSource
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.paths import why_no_model
from magistral_recipe.recipe.document import Document, KeyPath, key_text
from magistral_recipe.rewards.registry import module_of
from magistral_recipe.schema import StrictModel
from magistral_recipe.writing.template import AUTO_TEMPLATE, PACKAGE_TEMPLATE

BASE = "base"
"""The name by which stages call the recipe's base model."""

Mistakes = Iterator[tuple[tuple[str | int, ...], str]]
"""Mistakes in a section: the path of the key below it, and what is wrong."""


class ThinkingConfig(StrictModel):
    """Tags, system prompt and chat template: one format for SFT, RL, evaluation and chat."""

    open: str = "<think>"
    """The opening tag."""
    close: str = "</think>"
    """The closing tag."""
    system_prompt: str = "magistral"
    """`magistral` (the package's, after Magistral §2.2.4), `none`, or the text itself."""
    template: str = "auto"
    """`auto` (the model's own chat template where it keeps thoughts and prompts as they are, else the package's; which
    one is said), `magistral` (the package's), `tokenizer` (the model's own), or a path to a Jinja file."""

    @model_serializer(mode="wrap")
    def _as_known(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what an earlier version knew as it wrote it: the fingerprints of its runs are made of this."""
        fields: dict[str, Any] = handler(self)  # the package's was the default, before the tokenizer was looked at
        known = {AUTO_TEMPLATE: PACKAGE_TEMPLATE, PACKAGE_TEMPLATE: f"{PACKAGE_TEMPLATE}, whatever the tokenizer has"}
        return {**fields, "template": known.get(self.template, self.template)}


class LaunchConfig(StrictModel):
    """How Accelerate starts a stage's processes."""

    num_processes: int = Field(1, ge=1)
    """Processes, one a GPU; on a machine without a GPU, CPU processes."""
    config_file: Path | None = None
    """An Accelerate config (`accelerate config`), for FSDP, several machines and the like."""


@dataclass(frozen=True)
class Inputs:
    """What flows into a stage: a change of any of it makes the stage run again.

    Attributes:
        models: names of the stages (or `base`) whose models it reads.
        problems: names of the sets of problems it reads.
        paths: further files or folders, relative to the recipe.
        named: what may be a file that a trainer opens, relative to the working folder.
        rewards: names of rewards, whose code it runs where it is not this package's.
        transforms: names of functions over rows that no set of problems names.
    """

    models: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    rewards: tuple[str, ...] = ()
    transforms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draws:
    """What a stage has models on this machine write, beside training: what a plan counts.

    Attributes:
        problems: the set that they solve.
        sampling: `samples`, `max_new_tokens` and the like, as far as the stage's own keys say it.
        backend: what generates.
        tokens_per_batch: prompt and completion tokens at once.
        section: the stage's section that has these keys; empty for the stage itself.
        models: how many models write, one after the other.
    """

    problems: str
    sampling: Mapping[str, Any]
    backend: str
    tokens_per_batch: int
    section: str = ""
    models: int = 1

    def key(self, name: str) -> tuple[str, ...]:
        """Where one of its keys stands in the stage."""
        return (self.section, name) if self.section else (name,)


Role = Literal["imitation", "reinforcement", "evaluation", "curation", "other"]
"""What a stage does, for a reader: it learns from traces, learns from rewards, evaluates, makes data, or none of
these."""


class Stage(StrictModel):
    """One stage of a chain: the keys that every kind takes, and what the chain asks of it.

    A kind sets `kind` and gives `inputs`, `describe` and `run`; the rest has defaults.
    """

    kind: ClassVar[str]
    """Its name in recipes."""
    makes_model: ClassVar[bool] = False
    """Whether it leaves a model that later stages can start from."""
    makes_problems: ClassVar[bool] = False
    """Whether it leaves a set of problems of its own name, `problems.jsonl`, that later stages can name."""
    makes_traces: ClassVar[bool] = False
    """Whether it leaves traces, `traces.jsonl`, that later SFT stages can name."""
    shares_work: ClassVar[bool] = False
    """Whether it runs in every process of a launch; others run in the first alone."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Modules that its process loads before anything else, heavy ones first of all."""
    role: ClassVar[Role] = "other"
    """How the report shows it; written into the run folder."""

    name: str = Field("", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    """The stage's name in the run folder and for later stages; by default its kind."""
    launch: LaunchConfig | None = None
    """Other launch settings than the recipe's."""

    costs: ClassVar[tuple[str, ...]] = ()
    """Keys, dotted, that decide what it takes of the machine and not what it does: changed, a stage goes on."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        return {**data, "name": cls.kind} if isinstance(data, dict) and data.get("name") is None else data

    @property
    def made_from(self) -> str:
        """The set that it makes its own from, where it makes one."""
        return ""

    @property
    def asks_for_model(self) -> str | None:
        """The name of the model that it wants to start from; ``None`` for the last one that a stage made."""
        return None

    @property
    def draws(self) -> Draws | None:
        """What it has a model on this machine write, beside training; ``None`` for nothing."""
        return None

    def mistakes(self, recipe: Recipe, models: Sequence[str], folder: Path) -> Mistakes:
        """Find mistakes that need the rest of the recipe or the disk.

        Args:
            recipe: the recipe; a section of it that does not hold itself is ``None``.
            models: names of the models that exist before this stage.
            folder: where relative paths start.
        """
        yield from ()

    def settled(self, recipe: Recipe) -> Stage:
        """Return it with those keys filled in whose defaults depend on the rest of the recipe; all of it holds."""
        return self

    def warnings(self, folder: Path) -> Mistakes:
        """Find what is allowed and still not likely to be meant; `check` and `run` say it and go on.

        Args:
            folder: where relative paths start.
        """
        yield from ()

    @abstractmethod
    def inputs(self, start: str) -> Inputs:
        """Say what flows into the stage, which starts from the model called `start`."""

    def as_begun(self, began: Mapping[str, Any], processes: int = 1) -> Self:
        """Return this stage with its `costs` as they were: it is the one that began, if nothing else has changed.

        Args:
            began: all keys of the stage that began, from `keys_of`.
            processes: how many it would go on in.
        """
        stage = self
        for key in self.costs:
            stage = _as_begun(stage, key.split("."), key, began)
        return stage

    def same_in(self, began: Mapping[str, Any], processes: int) -> bool:
        """Whether it does in so many processes, but for rounding, what it did in those that it began in.

        Args:
            began: all keys of the stage that began, and `num_processes`.
            processes: how many it would go on in.
        """
        return False

    def missing(self, folder: Path, start: str) -> Iterator[str]:
        """Name what it promised and has not left, or not so that it can be read: without it no stage is complete.

        Args:
            folder: the stage's own.
            start: the name of the model that it started from.
        """
        if self.makes_model and (reason := why_no_model(folder / layout.MODEL)):
            yield f"{layout.MODEL}: {reason}"

    def goes_on_from(self, before: Mapping[str, Any], folder: Path) -> str | None:
        """Say how it goes on with what it left when it asked for less, such as fewer steps.

        Args:
            before: the keys that it was made of and that differ now, dotted, with their values then.
            folder: its own.

        Returns:
            What a person is told; ``None`` where it has to start anew.
        """
        return None

    @abstractmethod
    def describe(self, recipe: Recipe) -> str:
        """Return the stage in a few words, for the plan."""

    @abstractmethod
    def run(self, context: StageContext) -> dict[str, Any]:
        """Do the work.

        Args:
            context: where it runs.

        Returns:
            Results for the manifest, JSON values; `summary` is one line for people.
        """


_Section = TypeVar("_Section", bound=StrictModel)


def _as_begun(section: _Section, path: Sequence[str], key: str, began: Mapping[str, Any]) -> _Section:
    """Return a section with one key as it was; one that leads through a section that isn't there changes nothing."""
    name, *rest = path
    inner = getattr(section, name, None)
    if not rest:
        field = type(section).model_fields[name]
        value = began.get(key, inner if field.is_required() else field.default)
    elif isinstance(inner, StrictModel):
        value = _as_begun(inner, rest, key, began)
    elif isinstance(inner, Mapping):  # free keys, of which those that were not given have no value
        value = {own: given for own, given in inner.items() if own != rest[0]}
        value |= {rest[0]: began[key]} if key in began else {}
    else:
        return section
    return section.model_copy(update={name: value})


def keys_of(stage: Stage) -> dict[str, Any]:
    """All keys of a stage but its name and launch, dotted, with their values as JSON has them."""
    return flat(stage.model_dump(mode="json", exclude={"name", "launch"}))


def flat(data: Any, name: str = "") -> dict[str, Any]:
    """Flatten nested mappings to dotted keys; lists and plain values are leaves."""
    if isinstance(data, Mapping) and data:
        found: dict[str, Any] = {}
        for key, value in data.items():
            found |= flat(value, f"{name}.{key}" if name else str(key))
        return found
    return {name: data}


class Recipe(StrictModel):
    """A whole chain: the model, the format, the data and the stages."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Names the run folder."""
    description: str | None = None
    """What the recipe is for; shown by `check` and in the report."""
    seed: int = Field(42, ge=0, lt=2**32)
    """Seeds data order, sampling and initialisation of every stage."""
    model: ModelConfig
    """The base model, its precision and its adapters."""
    thinking: ThinkingConfig = ThinkingConfig()
    """Tags, system prompt, chat template."""
    launch: LaunchConfig = LaunchConfig()
    """How Accelerate starts the stages."""
    problems: dict[str, ProblemsSource] = Field(default_factory=dict)
    """Named sets of problems; one with `split: {heldout: 0.2}` brings NAME_heldout along."""
    stages: list[Stage]
    """What to run, in order."""

    @model_validator(mode="after")
    def _with_held_out(self) -> Self:
        self.problems.update(with_held_out(self.problems))
        return self

    def source_of(self, name: str) -> ProblemsSource | None:
        """Return where a named set comes from; of one that a stage makes, the set that it is made from."""
        return self.problems.get(self.origin_of(name))

    def origin_of(self, name: str) -> str:
        """Return the name of the set that stands for a named one before any stage has run.

        That is the set itself; of one that a stage makes, the set that the stage makes it from: its rows are of the
        same kind, and there are more of them.
        """
        seen: set[str] = set()
        while name not in self.problems and name not in seen:
            seen.add(name)
            maker = next(
                (stage for stage in self.stages if stage and stage.makes_problems and stage.name == name), None
            )
            if maker is None:
                break
            name = maker.made_from
        return name

    def with_made(self, made: Mapping[str, Path]) -> Recipe:
        """Return it with the sets of problems that stages have made among the others, by the stages' names."""
        makers = {stage.name for stage in self.stages if stage.makes_problems}
        sets = {name: ProblemsSource(path=str(file)) for name, file in made.items() if name in makers}
        return self.model_copy(update={"problems": {**self.problems, **sets}})

    def made_by_stages(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of the named sets that stages of the recipe make."""
        made = {stage.name for stage in self.stages if stage and (stage.makes_problems or stage.makes_traces)}
        return tuple(name for name in names if name in made and name not in self.problems)

    def launch_of(self, stage: Stage) -> LaunchConfig:
        """Return the launch that a stage asks for: its own, else the recipe's. Its fingerprint knows this one."""
        return stage.launch or self.launch

    def code_of(self, stage: Stage) -> list[str]:
        """Return the names in a recipe whose code a stage runs: a person's own, or an installed package's."""
        used = stage.inputs(BASE)
        sources = [self.problems[name].transform for name in used.problems if name in self.problems]
        named = [*(name for name in used.rewards if module_of(name)), *(name for name in sources if name)]
        return list(dict.fromkeys([*named, *used.transforms]))

    def started_as(self, stage: Stage) -> LaunchConfig:
        """Return the launch that the stage's processes are really started with.

        What trains starts as the recipe says. Other stages start one process, unless they have a `launch:` of their
        own: an evaluation shares its work only where it is asked to.
        """
        return self.launch_of(stage) if stage.makes_model or stage.launch else LaunchConfig()

    def code_named(self) -> list[str]:
        """Name all code of the user's, or of an installed package, that a recipe runs."""
        return list(dict.fromkeys(name for stage in self.stages for name in self.code_of(stage)))


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe that passed the schema, with what is needed to speak of its keys.

    Attributes:
        recipe: the validated recipe.
        document: its data and where each key stands.
        folder: the folder that relative paths start from.
    """

    recipe: Recipe
    document: Document

    @property
    def folder(self) -> Path:
        """The folder of the recipe file: relative paths start there."""
        assert self.document.folder is not None
        return self.document.folder

    def mistake(self, path: KeyPath, message: str) -> str:
        """One line about one key."""
        return f"{self.document.place(path)}: {key_text(path)}: {message}"


class Events(Protocol):
    """Where a stage says how far it is; only the main process is heard."""

    def __call__(self, event: Mapping[str, Any], /) -> None:
        """Report one event: a small mapping with a `type`."""


@dataclass(frozen=True)
class StageContext:
    """Everything a stage may know beside its own keys.

    Attributes:
        recipe: the whole validated recipe, for the sections that stages share (model, thinking, problems, seed); the
            sets of problems that earlier stages made are among its own.
        base: the folder that the recipe's relative paths start from.
        folder: the stage's own folder, which exists.
        models: stage name to the folder of the model that it made; `base` is the recipe's base model.
        start_model: name of the model this stage starts from.
        emit: reports progress.
        results: what the earlier stages gave, by name.
        processes: how many processes the recipe asks for.
        made: stage name to the file of the set that it made.
        confirm: called once all that the stage reads is loaded: what its record tells of is what it works on.
    """

    recipe: Recipe
    base: Path
    folder: Path
    models: Mapping[str, Path | None]
    start_model: str
    emit: Events
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    processes: int = 1
    confirm: Callable[[], None] = lambda: None
    made: Mapping[str, Path] = field(default_factory=dict)

    def traces(self, asked: TracesSource) -> TracesSource:
        """Where traces are read: of a stage that made some, its file, in which hard ones may be repeated."""
        if asked.stage is None:
            return asked
        return TracesSource(path=str(self.made[asked.stage]), repeats="keep", malformed="keep")

    @property
    def run_folder(self) -> Path:
        """The run's folder."""
        return self.folder.parent

    def quarantine(self, source: str) -> Path:
        """Where a source's rows that do not fit are set aside; one file each, or one would replace another's."""
        return layout.set_aside(self.folder, source)
