"""What a source of problems or traces is, as a recipe says it, and its mistakes that are visible without loading it.

Importing this module imports neither torch, trl nor datasets. How sources are loaded is `sources`' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Discriminator, Field, SerializerFunctionWrapHandler, Tag, model_serializer

from magistral_recipe.data import gym, peek, readers
from magistral_recipe.data.benchmarks import catalogue
from magistral_recipe.data.conversation import NAMES
from magistral_recipe.data.layouts import catalogue as layouts
from magistral_recipe.data.layouts.adapt import columns_of
from magistral_recipe.data.layouts.catalogue import Layout, Use
from magistral_recipe.data.preview import ROWS, Preview, mostly_set_aside, preview
from magistral_recipe.data.problems import MAX_CHARACTERS, PROBLEM_FIELDS, TRACE_FIELDS, AnswerIn, Kind
from magistral_recipe.data.readers import BadRow, RawRow
from magistral_recipe.data.reading import Mistake, Wish, reading_of
from magistral_recipe.data.transform import transform_mistake, transformed
from magistral_recipe.errors import DataError
from magistral_recipe.foreign import only_names
from magistral_recipe.schema import StrictModel, without_unset
from magistral_recipe.writing.thinking import Thinking

Wanted = str | int | float | bool | None
"""A value that a row must have in a column."""


class HeldOut(StrictModel):
    """One source in two sets that share no problem, by the words of each: whatever filters stand on either."""

    heldout: float = Field(gt=0, lt=1)
    """Share of the problems that is held out; the words of each decide, so it is met about."""
    seed: int = 0
    """Another one holds out others."""
    part: Literal["train", "heldout"] = "train"
    """Which of the two sets this source is. The one to train on brings the other along, as NAME_heldout."""
    of: str | None = None
    """Split of a hub dataset or a folder that is parted."""


def _says_parts(value: object) -> str:
    return "parts" if isinstance(value, Mapping | HeldOut) else "name"


Split = Annotated[Annotated[str, Tag("name")] | Annotated[HeldOut, Tag("parts")], Discriminator(_says_parts)]
"""A split by its name, or in how many parts; told apart so that a mistake in one is not told of the other, too."""


_CAME_LATER: dict[str, Any] = {
    "layout": None,
    "where": {},
    "transform": None,
    "sums": None,
    "terms": None,
    "forget": 0.0,
    "stage": None,
    "repeats": "set_aside",
}
"""Keys of sources that earlier versions did not know, as they are where nobody sets them."""


class FileSource(StrictModel):
    """What every source has that reads a file, a folder or the hub."""

    path: str | None = None
    """A .jsonl, .json, .csv, .tsv or .parquet file or a folder of them (relative to the recipe), a folder saved by
    `datasets`, or a hub id ``owner/name``."""
    subset: str | None = None
    """Configuration of a hub dataset that has several."""
    split: Split | None = None
    """Split of a hub dataset or a folder; of a .json file with several lists, the name of one. Or `{heldout: 0.2, seed:
    0}`: a fifth of the problems is held out, and is the set NAME_heldout."""
    revision: str | None = None
    """Commit, tag or branch of a hub dataset."""
    columns: dict[str, str | None] = Field(default_factory=dict)
    """Where fields are found that are not under their own names, as field: column; a column may be a dotted path;
    null leaves the field empty."""
    layout: str | None = None
    """The published layout of its rows, by name, or a YAML file with one of your own; unless told it is recognised by
    the columns. What `columns` maps goes before it."""
    where: dict[str, Wanted | list[Wanted]] = Field(default_factory=dict)
    """Which rows are wanted, as column: value or a list of values; a column may be a dotted path, and of one that holds
    a list any item counts. The others are passed over."""
    transform: str | None = None
    """A function of yours, `my_data.py:fix` (beside the recipe, or in the working folder) or `package.module:fix`, that
    is given each row as it stands, a mapping, and returns the row as it should be, or null to pass it over."""
    count: int | None = Field(None, ge=1)
    """How many to take; all of them unless told. Generated problems need it."""
    skip: int = Field(0, ge=0)
    """How many good rows to pass over before the first is taken, so that one file can serve two sources."""
    seed: int | None = None
    """Without it rows keep the file's order; with it they are drawn at random, the same ones for one seed."""
    kind: Kind | None = None
    """Kind of the rows that don't say."""
    language: str | None = Field(None, pattern="^[a-z]{2}$")
    """Language of the rows that don't say, ISO 639-1."""
    answer_in: AnswerIn | None = None
    """Where in the answer column the answer is: `whole`, `boxed` (its last `\\boxed{}`: MATH's solutions) or `hashes`
    (behind its last `####`: GSM8K). As the layout says; without one it is the whole."""
    max_characters: int = Field(MAX_CHARACTERS, ge=1)
    """Longest text of a field, in characters; rows that are longer are set aside."""

    @model_serializer(mode="wrap")
    def _as_known(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what an earlier version knew as it wrote it: the fingerprints of its runs are made of this."""
        fields = without_unset(handler(self), _CAME_LATER)
        if "answer_in" in fields:  # `whole` was the default, before a layout could say otherwise
            fields["answer_in"] = {None: "whole", "whole": "whole, whatever a layout says"}.get(
                self.answer_in, self.answer_in
            )
        return fields

    def inputs(self, base: Path) -> list[Path]:
        """List the local files that the rows come from, for a manifest's hashes."""
        own = [base / Path(self.layout).expanduser()] if self.layout and self.layout not in layouts.names() else []
        path = self.local(base)
        if path is None or not path.exists():
            return [file for file in own if file.is_file()]
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        return files + [file for file in own if file.is_file()]

    @property
    def parted(self) -> HeldOut | None:
        """How its problems are parted into those to train on and those held out; None where they aren't."""
        return self.split if isinstance(self.split, HeldOut) else None

    @property
    def published_split(self) -> str | None:
        """The split as the data set's authors made it."""
        return self.split.of if isinstance(self.split, HeldOut) else self.split

    def local(self, base: Path) -> Path | None:
        """Resolve the path; None if there is none, or it names a dataset of the hub."""
        if self.path is None:
            return None
        path = base / Path(self.path).expanduser()
        return None if not path.exists() and readers.is_hub_id(self.path) else path

    def wish(self, use: Use, base: Path) -> Wish:
        """Say how its rows are to be read.

        Args:
            use: what they are to be.
            base: the folder that relative paths start from.
        """
        defaults = {key: value for key in ("kind", "language") if (value := getattr(self, key)) is not None}
        return Wish(
            use=use,
            columns=self.columns,
            layout=self.layout,
            answer_in=self.answer_in,
            defaults=defaults,
            max_characters=self.max_characters,
            where={column: value if isinstance(value, list) else [value] for column, value in self.where.items()},
            path=self.path if self.path is not None and self.local(base) is None else None,
            base=base,
        )

    def rows(self, base: Path, first_rows_only: bool | None = None) -> Iterable[RawRow | BadRow]:
        """Read the raw rows of its file, its folder or its data set of the hub.

        Args:
            base: the folder that relative paths start from.
            first_rows_only: stream a data set of the hub instead of downloading all of it; by default where `count`
                asks for the first rows.

        Raises:
            DataError: if there are none that can be read.
        """
        if self.path is None:
            raise DataError("a source without a path")
        path = self.local(base)
        if path is None:
            few = self.count is not None and self.seed is None if first_rows_only is None else first_rows_only
            found: Iterable[RawRow | BadRow] = readers.read_hub(
                self.path, subset=self.subset, split=self.published_split, revision=self.revision, first_rows_only=few
            )
        elif not path.exists():
            raise DataError(f"{self.path}: {peek.missing_file(path)}")
        else:
            found = readers.read_rows(path, self.path, self.published_split)
        return found if self.transform is None else transformed(found, self.transform, base)

    def _named_path(self) -> str | None:
        if self.parted is None:
            return self.path
        return (
            f"{self.path} ({'' if self.parted.part == 'heldout' else 'without '}the held-out {self.parted.heldout:.0%})"
        )

    def _check_file(
        self, wish: Wish, fields: tuple[str, ...], sought: Sequence[tuple[str, ...]], thinking: Thinking | None
    ) -> list[Mistake]:
        """Find the mistakes in path, columns, layout and rows; of each group in ``sought`` one field must be there."""
        mistakes = [("columns." + key, peek.unknown_field(key, fields)) for key in self.columns if key not in fields]
        path = self.local(wish.base)
        if path is None:
            named = reading_of([], wish)[1] if self.layout else []
            return [*mistakes, *named]
        if not path.exists():
            return [*mistakes, ("path", peek.missing_file(path))]
        if self.transform is not None and (wrong := transform_mistake(self.transform, wish.base)):
            return [*mistakes, ("transform", wrong)]
        if not readers.can_peek(path) or (self.transform is not None and only_names()):
            return mistakes
        try:
            first = list(islice(self.rows(wish.base), ROWS))
        except DataError as error:
            return [*mistakes, ("path", str(error))]
        if self.transform is not None and first and all(isinstance(row, BadRow) for row in first):
            told = f"it takes none of the first {len(first)} rows: {first[0].place}: {getattr(first[0], 'reason', '')}"
            return [*mistakes, ("transform", told)]
        return mistakes + self._check_rows(first, wish, sought, thinking, sound=not mistakes)

    def _check_rows(
        self,
        first: Sequence[RawRow | BadRow],
        wish: Wish,
        sought: Sequence[tuple[str, ...]],
        thinking: Thinking | None,
        sound: bool = True,
    ) -> list[Mistake]:
        there = peek.first_columns(first)
        if not there:
            return []
        mistakes: list[Mistake] = []
        for key, column in self.columns.items():
            if column is not None and column not in there:
                mistakes.append((f"columns.{key}", peek.unknown_column(column, there)))
        reading, wrong = reading_of(first, wish, thinking)
        mistakes += wrong
        misfit = any(key == "layout" for key, _ in wrong)
        if reading.layout is None:
            for group in () if misfit else sought:
                known = {*self.columns, *reading.shape.columns}
                if not any(self.columns.get(key, key in there or key in known) for key in group):
                    wanted = " or ".join(f"'{key}'" for key in group if key not in NAMES[1:])
                    near = layouts.nearly(there, wish.use)
                    hint = f". The layout '{near[0]}' would fit if there were '{near[1]}'" if near else ""
                    hint = hint or ("; problems without answers are `kind: text`" if "answer" in group else "")
                    message = f"no column {wanted}, and none is mapped to it; {peek.listed(there)}{hint}"
                    mistakes.append(("columns", message))
        elif not misfit:
            mistakes += self._check_use(reading.layout, str(reading.layout_name), there, sought)
        if sound and not mistakes and (line := mostly_set_aside(first, reading)):
            mistakes.append(("path", line))
        return mistakes

    def _check_use(
        self, layout: Layout, name: str, there: Sequence[str], sought: Sequence[tuple[str, ...]]
    ) -> list[Mistake]:
        columns = columns_of(layout, self.columns)
        for group in sought:
            # A mapped column that isn't there is a mistake of its own.
            if not any((column := columns.get(key)) and (column in there or key in self.columns) for key in group):
                wanted = " or ".join(f"'{key}'" for key in group if key not in NAMES[1:])
                serves = [use for use in ("problems", "traces") if layout.serves(use)]
                message = f"the layout '{name}' of these rows has no {wanted}: it is for {' and '.join(serves)}"
                return [("layout" if self.layout else "path", message)]
        return []


class ProblemsSource(FileSource):
    """Problems to train on or to be tested by: from data, from a benchmark, the embedded set, or reasoning-gym."""

    benchmark: str | None = None
    """A published benchmark by its name (`magistral-recipe evaluate --list`); with `path`, read from that file, which
    has the benchmark's published columns."""
    tiny: Literal["train", "heldout", "flawed"] | None = None
    """A split of the embedded worded arithmetic; `flawed` is training problems with a tenth of each fault that `curate`
    is for."""
    sums: Literal["train", "heldout"] | None = None
    """A split of generated sums of many terms, whose workings are of ragged lengths."""
    terms: tuple[int, int] | None = None
    """Fewest and most terms of a sum; 2 and 16 unless told."""
    gym: str | None = None
    """A task of reasoning-gym."""
    gym_config: dict[str, object] = Field(default_factory=dict)
    """The task's own settings."""

    def inputs(self, base: Path) -> list[Path]:
        """List the local files that the rows come from, for a manifest's hashes."""
        if self.benchmark is None or self.path is not None:
            return super().inputs(base)
        file = base / Path(self.benchmark).expanduser()
        return [file] if file.is_file() else []

    def check(self, base: Path) -> list[Mistake]:
        """Find the mistakes that are visible without loading.

        Args:
            base: the folder that relative paths start from.

        Returns:
            (key, message) for every mistake.
        """
        if self.benchmark is not None:
            return self._check_benchmark(base)
        mistakes = _one_of(self, ("path", "tiny", "sums", "gym", "benchmark")) + _term_mistakes(self)
        if self.path is None:
            mistakes += _no_file_keys(self)
            if (self.tiny or self.sums or self.gym) and self.count is None:
                mistakes.append(("count", "missing: generated problems are endless, say how many"))
        else:
            mistakes += self._check_file(self.wish("problems", base), PROBLEM_FIELDS, self._sought(), None)
        if self.gym is not None:
            mistakes += gym.mistakes(self.gym, self.gym_config)
        elif self.gym_config:
            mistakes.append(("gym_config", "goes with 'gym' only"))
        return mistakes

    def check_rows(self, rows: Iterable[RawRow | BadRow], base: Path) -> list[Mistake]:
        """Find the mistakes that its first rows show, wherever they come from: for a data set of the hub.

        Args:
            rows: its first rows; no more than `preview.ROWS` are read.
            base: the folder that relative paths start from.

        Returns:
            (key, message) for every mistake.
        """
        return self._check_rows(list(islice(rows, ROWS)), self.wish("problems", base), self._sought(), None)

    def preview(self, rows: Iterable[RawRow | BadRow], base: Path) -> Preview:
        """Say what would become of its first rows, wherever they come from."""
        return preview(rows, self.wish("problems", base))

    def _sought(self) -> list[tuple[str, ...]]:
        return [("problem",)] if self.kind == "text" else [("problem",), ("answer", "tests")]

    def _check_benchmark(self, base: Path) -> list[Mistake]:
        mistakes = [(key, "doesn't go with 'benchmark'") for key in _NO_BENCHMARK if getattr(self, key)]
        mistakes += [
            (key, "doesn't go with 'benchmark', whose columns are known")
            for key in (
                "columns",
                "layout",
                "where",
                "transform",
                "answer_in",
                "subset",
                "split",
                "revision",
                "kind",
                "language",
            )
            if getattr(self, key)
        ]
        try:
            chosen = catalogue.find(str(self.benchmark), base)
        except DataError as error:
            return [*mistakes, *(("benchmark", line) for line in error.problems)]
        task = chosen.row.data.gym
        mistakes += [("benchmark", message) for _, message in (gym.mistakes(task, {}) if task else [])]
        if self.path is not None and not (base / Path(self.path).expanduser()).exists():
            mistakes.append(("path", peek.missing_file(base / Path(self.path).expanduser())))
        return mistakes

    def describe(self) -> str:
        """Name the source in a few words."""
        if self.benchmark is not None:
            return self.benchmark + (f" ({self.path})" if self.path else "")
        made = next((f"{key} ({split})" for key in ("tiny", "sums") if (split := getattr(self, key))), None)
        return self._named_path() or made or f"reasoning-gym {self.gym}"


class TracesSource(FileSource):
    """Worked problems to imitate: from data or from the embedded set."""

    tiny: bool = False
    """The embedded cold-start traces."""
    sums: Literal["train"] | None = None
    """Generated sums of many terms, worked line by line."""
    terms: tuple[int, int] | None = None
    """Fewest and most terms of a sum; 2 and 16 unless told."""
    forget: float = Field(default=0.0, ge=0.0, le=1.0)
    """The share of the carries that workings of `sums` forget: their imitator adds in two ways, one of them wrong."""
    stage: str | None = None
    """The `traces` stage before this one that makes them; its name alone, in place of a section, says the same."""
    repeats: Literal["set_aside", "keep"] = "set_aside"
    """What to do with a trace that stands in a file twice."""
    malformed: Literal["set_aside", "keep"] = "set_aside"
    """What to do with traces of a file that don't have exactly one pair of the recipe's thinking tags, in front."""

    def wish(self, use: Use, base: Path) -> Wish:
        """Say how its rows are to be read."""
        return replace(super().wish(use, base), keep_malformed=self.malformed == "keep")

    def check(self, base: Path, thinking: Thinking | None = None) -> list[Mistake]:
        """Find the mistakes that are visible without loading.

        Args:
            base: the folder that relative paths start from.
            thinking: the recipe's tags: with them, the first traces are held against the tags.

        Returns:
            (key, message) for every mistake.
        """
        mistakes = _one_of(self, ("path", "tiny", "sums", "stage")) + _term_mistakes(self)
        if self.forget and not self.sums:
            mistakes.append(("forget", "goes with 'sums' only"))
        if self.path is not None:
            return mistakes + self._check_file(self.wish("traces", base), TRACE_FIELDS, _TRACE_SOUGHT, thinking)
        mistakes += _no_file_keys(self)
        if (self.tiny or self.sums) and self.count is None:
            mistakes.append(("count", "missing: generated traces are endless, say how many"))
        return mistakes

    def check_rows(
        self, rows: Iterable[RawRow | BadRow], base: Path, thinking: Thinking | None = None
    ) -> list[Mistake]:
        """Find the mistakes that its first rows show, as `ProblemsSource.check_rows` does."""
        return self._check_rows(list(islice(rows, ROWS)), self.wish("traces", base), _TRACE_SOUGHT, thinking)

    def preview(self, rows: Iterable[RawRow | BadRow], base: Path, thinking: Thinking | None = None) -> Preview:
        """Say what would become of its first rows, wherever they come from."""
        return preview(rows, self.wish("traces", base), thinking)

    def describe(self) -> str:
        """Name the source in a few words."""
        if self.stage is not None:
            return f"the traces of '{self.stage}'"
        return self._named_path() or ("worked sums" if self.sums else "tiny traces")


_Named = TypeVar("_Named", ProblemsSource, ProblemsSource | None)

_NO_BENCHMARK = ("tiny", "sums", "terms", "gym", "gym_config")
_TRACE_SOUGHT: list[tuple[str, ...]] = [("problem", *NAMES), ("completion", "response", *NAMES)]


def _one_of(source: StrictModel, keys: tuple[str, ...]) -> list[Mistake]:
    given = [key for key in keys if getattr(source, key)]
    if len(given) == 1:
        return []
    allowed = ", ".join(keys[:-1]) + f" or {keys[-1]}"
    got = " and ".join(given) if given else "none of them"
    return [(given[1] if given else "", f"give exactly one of {allowed}; got {got}")]


def _term_mistakes(source: ProblemsSource | TracesSource) -> list[Mistake]:
    if source.terms is None:
        return []
    if not source.sums:
        return [("terms", "goes with 'sums' only")]
    fewest, most = source.terms
    return [] if 2 <= fewest <= most else [("terms", f"expected [fewest, most], at least two; got [{fewest}, {most}]")]


def _no_file_keys(source: ProblemsSource | TracesSource) -> list[Mistake]:
    return [
        (key, "goes with 'path' only")
        for key in ("columns", "layout", "where", "transform", "subset", "split", "revision")
        if getattr(source, key)
    ]


def with_held_out(sources: Mapping[str, _Named]) -> dict[str, _Named]:
    """Add to sets of problems those that they hold out: NAME_heldout, unless a set of that name is there.

    Args:
        sources: by name; one that does not hold itself is ``None``.

    Returns:
        All of them.
    """
    found = dict(sources)
    for name, source in sources.items():
        if source is not None and source.parted is not None and source.parted.part == "train":
            other = source.parted.model_copy(update={"part": "heldout"})
            found.setdefault(f"{name}_heldout", source.model_copy(update={"split": other}))
    return found
