"""Published benchmarks as rows of YAML: what they are, where their data lie, how they are asked and sampled.

A row is one file of this folder, or a file of one's own with the same keys. Its data come from the hub,
from a generator, or from a file that was brought by hand; `loaders` turns each published schema into
problems. Reading rows is light: neither torch nor datasets is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from magistral_recipe.data.problems import AnswerIn
from magistral_recipe.errors import DataError
from magistral_recipe.files import read_text_within
from magistral_recipe.schema import StrictModel
from magistral_recipe.suggest import did_you_mean
from magistral_recipe.yamltext import MAX_BYTES, YamlTextError, parse_yaml

FOLDER = Path(__file__).parent
GYM, FILE = "gym", "file"
"""The rows whose data are named with them: ``gym:TASK``, and a file's path."""

PLACE = "{problem}"

Prompt = str | dict[str, str]
"""A template with `PLACE` in it, or one for each language."""

Loader = Literal["plain", "by_language", "choices", "livecodebench", "humaneval", "mbpp", "instructions"]


class DataSet(StrictModel):
    """Where a benchmark's rows are."""

    path: str | None = None
    """``owner/name`` on the hub, or a local file or folder."""
    subset: str | None = None
    """Configuration, where the set has several."""
    split: str | None = None
    """Split."""
    revision: str | None = None
    """Commit, tag or branch on the hub."""
    files: list[str] = Field(default_factory=list)
    """JSONL files of the hub's repository, for sets that would need a loading script."""
    tiny: Literal["train", "heldout"] | None = None
    """A split of the embedded problems."""
    gym: str | None = None
    """A task of reasoning-gym."""
    count: int | None = Field(None, ge=1)
    """How many are made, of generated problems."""


class Variant(StrictModel):
    """Where one language of a benchmark is found."""

    subset: str | None = None
    """Its configuration of the data set."""
    column: str | None = None
    """The column that holds its problems."""


class SamplingRow(StrictModel):
    """How completions are drawn, as the paper did (Magistral §5.1)."""

    temperature: float = Field(0.7, ge=0)
    """Sampling temperature."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus: 1.0 for mathematics and GPQA, 0.95 for code."""
    max_new_tokens: int = Field(32_768, ge=1)
    """Where a completion is cut, in tokens: 40k for AIME and LiveCodeBench, 32k otherwise."""


class Benchmark(StrictModel):
    """One row."""

    title: str
    """What people call it."""
    about: str
    """One line on its contents."""
    data: DataSet
    """Where its rows are."""
    loader: Loader
    """Which published schema they have."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Field to column: each of these columns must be there."""
    headerless: list[str] = Field(default_factory=list)
    """The columns, in order, of its published CSV or TSV files, where these have no header."""
    answer_in: AnswerIn = "whole"
    """Where in the answer's column the answer is."""
    languages: dict[str, Variant] = Field(default_factory=dict)
    """ISO 639-1 code to where that language's problems are; without them everything is English, or rows say."""
    documented_at: str
    """Where the schema is documented."""
    licence: str
    """Of the data."""
    answer: str
    """What kind of answer is graded, in words."""
    prompt: Prompt
    """How a problem is put to a chat model."""
    base_prompt: Prompt
    """How a problem is put to a base model, as raw text."""
    sampling: SamplingRow = Field(default_factory=SamplingRow)
    """How completions are drawn."""
    samples: int = Field(ge=1)
    """Completions per problem."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for key in ("prompt", "base_prompt"):
            given = getattr(self, key)
            texts = given if isinstance(given, dict) else {"": given}
            for language, text in texts.items():
                if PLACE not in text:
                    raise ValueError(f"{key}{'.' * bool(language)}{language} has no {PLACE} in it")
            if isinstance(given, dict) and (lacking := sorted(set(self.languages) - set(given))):
                raise ValueError(f"{key} has no text for {', '.join(lacking)}")
        return self


@dataclass(frozen=True)
class Chosen:
    """A benchmark as somebody named it.

    Attributes:
        name: as it was named: ``aime24``, ``mgsm_fr``, ``gym:gcd``, a path.
        row: the benchmark, its data filled in.
        languages: those chosen, of a benchmark that has several; else empty.
        own_file: whether it is a data file of one's own, which is read as a recipe reads one.
    """

    name: str
    row: Benchmark
    languages: tuple[str, ...] = ()
    own_file: bool = False

    @property
    def folder(self) -> str:
        """A name for a folder of results."""
        text = Path(self.name).stem if self.row.data.path == self.name else self.name
        return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in text)


def names() -> list[str]:
    """Name every row of the package, in alphabetical order."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def all_names() -> list[str]:
    """Name everything that can be asked for by name: rows, and single languages of those that have several."""
    found = []
    for name in names():
        found += [name, *(f"{name}_{language}" for language in read_row(FOLDER / f"{name}.yaml").languages)]
    return [name for name in found if name not in (GYM, FILE)]


def find(name: str, base: Path | None = None) -> Chosen:
    """Find a benchmark.

    Args:
        name: a row's name; with ``_LANGUAGE`` behind it one language of it; ``gym:TASK``; the path of a data file, or
            of a YAML file with a row of one's own.
        base: the folder that relative paths start from.

    Returns:
        The benchmark.

    Raises:
        DataError: if there is none, with the nearest name.
    """
    task = name.removeprefix(f"{GYM}:")
    if task != name:
        row = read_row(FOLDER / f"{GYM}.yaml")
        return Chosen(name, row.model_copy(update={"data": row.data.model_copy(update={"gym": task})}))
    if name in names() and name not in (GYM, FILE):
        row = read_row(FOLDER / f"{name}.yaml")
        return Chosen(name, row, tuple(row.languages))
    stem, _, language = name.rpartition("_")
    if stem in names() and language in (row := read_row(FOLDER / f"{stem}.yaml")).languages:
        return Chosen(name, row, (language,))
    place = (base or Path()) / Path(name).expanduser()
    if place.exists():
        if place.suffix in (".yaml", ".yml"):
            row = read_row(place)
            return Chosen(place.stem, row, tuple(row.languages))
        row = read_row(FOLDER / f"{FILE}.yaml")
        return Chosen(name, row.model_copy(update={"data": DataSet(path=name)}), own_file=True)
    if name == GYM:
        raise DataError("benchmark 'gym': say which task of reasoning-gym, as gym:gcd")
    hint = did_you_mean(name, all_names(), list_all_below=0)
    raise DataError(
        f"benchmark '{name}': no such benchmark, and no such file.{hint} All of them: magistral-recipe evaluate --list"
    )


def prompt_of(name: str | None, base: Path | None = None) -> Prompt:
    """The prompt of a benchmark; for problems of none, the problem alone."""
    return PLACE if name is None else find(name, base).row.prompt


@lru_cache(maxsize=64)
def read_row(file: Path) -> Benchmark:
    """Read a row.

    Args:
        file: a YAML file.

    Returns:
        The row.

    Raises:
        DataError: where it can't be read or a key of it is wrong, one line a mistake.
    """
    try:
        data = parse_yaml(read_text_within(file, MAX_BYTES))
    except (OSError, UnicodeDecodeError, YamlTextError) as error:
        raise DataError(f"{file}: not a benchmark that can be read: {str(error).splitlines()[0]}") from error
    if not isinstance(data, dict):
        raise DataError(f"{file}: expected a benchmark (a mapping with title, data, loader, …)")
    try:
        return Benchmark.model_validate(data)
    except ValidationError as error:
        raise DataError([f"{file}: {_told(item)}" for item in error.errors(include_url=False)]) from error


def _told(error: Mapping[str, Any]) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key.{did_you_mean(str(error['loc'][-1]), Benchmark.model_fields)}"
    return f"{key}: {error['msg']}" if key else str(error["msg"]).removeprefix("Value error, ")


def list_rows() -> Iterator[tuple[str, Benchmark]]:
    """Yield every row with its name."""
    for name in names():
        yield name, read_row(FOLDER / f"{name}.yaml")
