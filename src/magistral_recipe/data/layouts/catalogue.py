"""Published layouts as rows of YAML: what they are known by, and where problem, thoughts, answer and tests stand.

A row is one file of this folder, or a file of one's own with the same keys. A source's layout is recognised by its
columns, or named in the recipe; `adapt` then brings its rows into our own fields. Reading rows is light: neither torch
nor datasets is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from magistral_recipe.data import peek
from magistral_recipe.data.layouts.readers import READERS
from magistral_recipe.data.problems import PROBLEM_FIELDS, TRACE_FIELDS, AnswerIn, lookup
from magistral_recipe.errors import DataError
from magistral_recipe.schema import StrictModel
from magistral_recipe.suggest import did_you_mean
from magistral_recipe.writing.thinking import Thinking

FOLDER = Path(__file__).parent

Use = Literal["problems", "traces"]

WRITTEN = ("completion", "thoughts", "response", "messages")
"""The fields that say what was written: a trace needs some of them, and whoever maps one of them maps them all."""

OTHER = "other"
"""In `Layout.values`: every raw value that isn't named."""


class Around(StrictModel):
    """What a set puts around each problem, word for word; white space doesn't count."""

    before: list[str] = Field(default_factory=list)
    """Texts that stand in front."""
    after: list[str] = Field(default_factory=list)
    """Texts that stand behind."""


class Pick(StrictModel):
    """Which of several generations is taken: the first that passes."""

    all_of: list[str] = Field(min_length=1)
    """Columns with one yes or no a generation; each must say yes."""
    first_of: list[str] = Field(min_length=1)
    """Columns with one yes or no a generation; one must say yes. Those of an earlier column go before."""


class Layout(StrictModel):
    """One row."""

    title: str
    """What people call the set."""
    about: str
    """One line on its contents."""
    hub: list[str] = Field(default_factory=list)
    """The data sets of the hub that have this layout, as ``owner/name``."""
    subsets: list[str] = Field(default_factory=list)
    """The configurations on the hub, where there are several: without ``default`` among them one must be named."""
    splits: list[str] = Field(default_factory=lambda: ["train"])
    """The splits on the hub."""
    known_by: list[str] = Field(min_length=1)
    """Columns, dotted where nested, that a source has if it is this one."""
    marks: dict[str, str] = Field(default_factory=dict)
    """Column to a text that stands in it, where the columns' names alone could be anybody's."""
    published: list[str] = Field(default_factory=list)
    """All the columns of the published schema, dotted where nested."""
    columns: dict[str, str] = Field(min_length=1)
    """Our field to its column, dotted where nested. Fields that aren't here are left empty."""
    answer_in: AnswerIn = "whole"
    """Where in the answer's column the answer is."""
    defaults: dict[str, str] = Field(default_factory=dict)
    """Values of fields that a row leaves empty, e.g. its kind."""
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Our field to how its column's values are called here; ``other`` stands for all that aren't named."""
    read: dict[str, str] = Field(default_factory=dict)
    """Our field to the name of the reader of its column's values (`readers.READERS`)."""
    tags: list[str] = Field(default_factory=list, max_length=2)
    """The opening and the closing tag that thoughts wear."""
    answer_tags: list[str] = Field(default_factory=list, max_length=2)
    """What stands around the response behind the thoughts."""
    thoughts_until: str | None = None
    """Of traces without tags: what begins the response, where it isn't simply the last paragraph, the one with the
    box."""
    around_problem: Around = Field(default_factory=Around)
    """Instructions that the set puts around each problem: they are dropped, since the recipe has its own."""
    starter_code: str | None = None
    """The column of the code that a program must start from: it goes behind the problem."""
    tests_beside: list[str] = Field(default_factory=list)
    """Columns with further tests, for sets that part theirs: shown, hidden, made."""
    pick: Pick | None = None
    """Which of several completions is taken."""
    passed_over: dict[str, list[str]] = Field(default_factory=dict)
    """Column to values of rows that are no problem of ours, such as proofs: passed over, not set aside."""
    documented_at: str
    """Where the schema is documented."""
    licence: str
    """Of the data."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        fields = {*PROBLEM_FIELDS, *TRACE_FIELDS}
        for key in ("columns", "defaults", "values", "read"):
            for field in getattr(self, key):
                if field not in fields:
                    raise ValueError(f"{key}.{field}: {peek.unknown_field(field, tuple(sorted(fields)))}")
        for field, name in self.read.items():
            if name not in READERS:
                raise ValueError(f"read.{field}: no reader '{name}'.{did_you_mean(name, READERS)}")
        for key in ("values", "read"):
            if lacking := [field for field in getattr(self, key) if field not in self.columns]:
                raise ValueError(f"{key}.{lacking[0]}: has no column in `columns`")
        for key in ("tags", "answer_tags"):
            if len(getattr(self, key)) == 1:
                raise ValueError(f"{key}: expected two, an opening and a closing one")
        return self

    @property
    def worn(self) -> Thinking | None:
        """The tags that thoughts wear."""
        return Thinking(self.tags[0], self.tags[1]) if self.tags else None

    def serves(self, use: Use) -> bool:
        """Say whether its rows can be problems with an answer, or traces."""
        if "problem" not in self.columns:
            return False
        return bool({"answer", "tests"} & set(self.columns) if use == "problems" else set(WRITTEN) & set(self.columns))

    def fits(self, columns: Iterable[str]) -> bool:
        """Say whether a source with these columns can be read by it."""
        return set(self.known_by) <= set(columns)


def names() -> list[str]:
    """Name every layout of the package, in alphabetical order."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def find(name: str, base: Path | None = None) -> Layout:
    """Find a layout.

    Args:
        name: a layout's name, or the path of a YAML file with one of your own.
        base: the folder that relative paths start from.

    Returns:
        The layout.

    Raises:
        DataError: if there is none, with the nearest names.
    """
    if name in names():
        return read(FOLDER / f"{name}.yaml")
    if name.endswith((".yaml", ".yml")):
        return read((base or Path()) / Path(name).expanduser())
    raise DataError(f"no such layout.{did_you_mean(name, names(), list_all_below=len(names()))}")


def of_hub(path: str) -> dict[str, Layout]:
    """Find the layouts that a data set of the hub has: several where its subsets differ."""
    return {name: layout for name in names() if path.lower() in map(str.lower, (layout := find(name)).hub)}


def recognised(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    use: Use,
    path: str | None = None,
    mapped: Iterable[str] = (),
) -> str | None:
    """Find the layout that a source has, most specific first.

    A source that has our own columns is read by them: a layout that is known by names of our own alone, or has no
    answers or no traces, is found only where those don't suffice, or by the name of the data set.

    Args:
        columns: the source's columns, dotted where nested.
        rows: its first rows.
        use: what its rows are to be.
        path: the data set's name on the hub, if it comes from there.
        mapped: the fields that the recipe maps.

    Returns:
        The layout's name; None where there is none.
    """
    known = {name: layout for name in names() if (layout := find(name)).fits(columns) and _marked(layout, rows)}
    listed = of_hub(path) if path else {}
    # DeepCoder is known by its solutions, whose name is ours too.
    ours = set(PROBLEM_FIELDS if use == "problems" else TRACE_FIELDS) - {"solutions"}
    suffice = _own_suffice({*columns, *mapped}, use)
    found = [
        name
        for name, layout in known.items()
        if not (suffice and ((set(layout.known_by) <= ours and name not in listed) or not layout.serves(use)))
    ]
    return max(found, key=lambda name: (len(known[name].known_by), name in listed), default=None)


def nearly(columns: Sequence[str], use: Use) -> tuple[str, str] | None:
    """Find the layout that a source would have but for one column.

    Args:
        columns: the source's columns.
        use: what its rows are to be.

    Returns:
        The layout's name and the column that isn't there; None where nothing is as near.
    """
    there = set(columns)
    for name in sorted(names(), key=lambda name: -len(find(name).known_by)):
        layout = find(name)
        lacking = [column for column in layout.known_by if column not in there]
        if layout.serves(use) and len(lacking) == 1 and len(layout.known_by) >= 4:
            return name, lacking[0]
    return None


def _own_suffice(there: set[str], use: Use) -> bool:
    if use == "problems":
        return "problem" in there and bool({"answer", "tests"} & there)
    return "messages" in there or ("problem" in there and bool({"completion", "response"} & there))


def _marked(layout: Layout, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether a layout's marks stand in most of the first rows that have the column."""
    for column, mark in layout.marks.items():
        texts = [value for row in rows if isinstance(value := lookup(row, column)[1], str)]
        if 2 * sum(mark in text for text in texts) <= len(texts):
            return False
    return True


@lru_cache(maxsize=64)
def read(file: Path) -> Layout:
    """Read a layout.

    Args:
        file: a YAML file.

    Returns:
        The layout.

    Raises:
        DataError: where it can't be read or a key of it is wrong, one line a mistake.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise DataError(f"{file}: not a layout that can be read: {str(error).splitlines()[0]}") from error
    if not isinstance(data, dict):
        raise DataError(f"{file}: expected a layout (a mapping with title, known_by, columns, …)")
    try:
        return Layout.model_validate(data)
    except ValidationError as error:
        raise DataError([f"{file}: {_told(item)}" for item in error.errors(include_url=False)]) from error


def _told(error: Mapping[str, Any]) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key.{did_you_mean(str(error['loc'][-1]), Layout.model_fields)}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{key}: {message}" if key else message
