"""The arguments of one call to a reward, and the columns among them: those asked for, those of other meaning.

Data sets of others have columns that share a name with ours and mean something else: a ``kind`` that is ``algebra``,
a ``language`` that is ``English``. Where a reward is not strict, such values count as absent, and it says so once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from magistral_recipe.writing.completions import completion_texts
from magistral_recipe.writing.thinking import Thinking

logger = logging.getLogger(__name__)

KINDS = ("math", "code", "text")
ANSWER_COLUMNS = ("answer", "solution", "ground_truth")
"""Where data sets keep their references, in the order of our trust."""


def column(columns: Mapping[str, Any], name: str, count: int, given: Iterable[str] | None = None) -> list[Any]:
    """Return a column that the caller must have given.

    Args:
        columns: the keyword arguments that hold the data set's columns.
        name: the one wanted.
        count: how many values it must have, one a completion.
        given: the names that the caller gave, for the message; those of `columns` if ``None``.

    Returns:
        Its values.

    Raises:
        ValueError: where it is missing or of another length.
    """
    values = optional_column(columns, name, count)
    if values is None:
        raise ValueError(f"missing column {name!r}; {_listing(columns if given is None else given)}")
    return values


def optional_column(columns: Mapping[str, Any], name: str, count: int) -> list[Any] | None:
    """Return a column, or ``None`` where the caller gave none; raise ValueError where its length is wrong."""
    values = columns.get(name)
    if values is None:
        return None
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ValueError(f"column {name!r} must be a list with one value a completion, not {type(values).__name__}")
    values = list(values)
    if len(values) != count:
        raise ValueError(f"column {name!r} has {len(values)} values for {count} completions")
    return values


def _listing(given: Iterable[str]) -> str:
    return f"the columns given are: {', '.join(sorted(given)) or 'none'}"


class Hooks(NamedTuple):
    """Where a reward may log: TRL's two functions, or ``None``."""

    log_metric: Callable[[str, float], None] | None = None
    log_extra: Callable[[str, list[Any]], None] | None = None


class ForeignColumns:
    """Tells once of each column whose values mean something else to the data set than to us.

    Args:
        name: the reward's, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._told: set[str] = set()

    def tell(self, column: str, value: Any, expected: str) -> None:
        """Say that a column's value is taken for absent.

        Args:
            column: its name.
            value: the first such value.
            expected: what the reward would have understood.
        """
        self._once(
            column,
            f"{self.name}: column {column!r} holds {value!r:.80}, where this reward expects {expected}; such "
            "values count as absent. Rename the column if it means something else; strict=True makes them errors",
        )

    def tell_choice(self, chosen: str, others: Sequence[str]) -> None:
        """Say which of several columns is taken for the references."""
        self._once(
            f"references in {chosen}",
            f"{self.name}: takes column {chosen!r} for the references, not {', '.join(map(repr, others))}; "
            "answer_column= names another",
        )

    def _once(self, key: str, message: str) -> None:
        if key not in self._told:
            self._told.add(key)
            logger.warning("%s", message)


@dataclass(frozen=True)
class Batch:
    """The arguments of one call to a reward.

    Attributes:
        completions: in any shape that `completion_texts` reads.
        prompts: strings or lists of messages, where given.
        completion_ids: the token ids of each completion, where given.
        columns: the data set's columns, one value a completion.
        trainer_state: TRL's, where a trainer calls.
        hooks: where parts that have logs of their own write them.
        foreign: tells of columns that mean something else; ``None`` makes such values errors.
        alone: the completions come without their problems where `prompts` is ``None``, as single ones do, so that what
            needs the problem does not apply.
        added: names of `columns` that the caller did not give.
    """

    completions: Sequence[Any]
    prompts: Sequence[Any] | None = None
    completion_ids: Sequence[Sequence[int]] | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    trainer_state: Any = None
    hooks: Hooks = field(default_factory=Hooks)
    foreign: ForeignColumns | None = None
    alone: bool = False
    added: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.completions)

    def texts(self, thinking: Thinking | None) -> list[str]:
        """Return the text of each completion, tags included."""
        return completion_texts(self.completions, thinking)

    def column(self, name: str) -> list[Any]:
        """Return a column that must be there; see `column`."""
        return column(self.columns, name, len(self), self._given())

    def optional_column(self, name: str) -> list[Any] | None:
        """Return a column or ``None``."""
        return optional_column(self.columns, name, len(self))

    def answers(self, answer_column: str | None = None) -> list[Any]:
        """Return the references.

        Args:
            answer_column: the column that holds them; ``None`` takes the first of `ANSWER_COLUMNS` with a value, or,
                where columns of other meaning are errors, ``answer`` alone.

        Returns:
            One reference a completion.

        Raises:
            ValueError: where there is no such column, naming those that were given.
        """
        if answer_column is not None or self.foreign is None:
            return self.column(answer_column or ANSWER_COLUMNS[0])
        found = {name: values for name in ANSWER_COLUMNS if (values := self.optional_column(name)) is not None}
        if not found:
            names = ", ".join(map(repr, ANSWER_COLUMNS))
            raise ValueError(
                f"missing a column of references, one of {names}, or the one that answer_column= names; "
                f"{_listing(self._given())}"
            )
        filled = [name for name, values in found.items() if not all(map(_blank, values))] or list(found)
        if len(filled) > 1:
            self.foreign.tell_choice(filled[0], filled[1:])
        return found[filled[0]]

    def tests(self, known_only: bool = False) -> list[Any] | None:
        """Return the column ``tests``; where other meanings are no errors, ``None`` for values that hold none.

        Args:
            known_only: take values that are no object with a ``type``, in JSON or as a mapping, for those of another
                meaning too; else they are returned as they are.
        """
        values = self.optional_column("tests")
        if values is None or self.foreign is None:
            return values
        return [
            self._absent("tests", value, "an object with 'type' and 'cases', or a JSON string of one")
            if value is not None and (not _holds_something(value) or (known_only and not _looks_like_tests(value)))
            else value
            for value in values
        ]

    def numbers(self, name: str) -> list[Any]:
        """Return a column of limits; ``None`` where it is missing, and, if that is no error, for what is no number."""
        values = self.optional_column(name) or [None] * len(self)
        if self.foreign is None:
            return values
        numeric = (int, float, type(None))
        return [each if isinstance(each, numeric) else self._absent(name, each, "a number") for each in values]

    def _absent(self, name: str, value: Any, expected: str) -> Any:
        """Say that a value is of another meaning, and return what stands in its place."""
        if self.foreign is not None:
            self.foreign.tell(name, value, expected)
        return None

    def kinds(self, default: str | None = None) -> list[str | None]:
        """Return each row's ``kind``, `default` where the column or its value is missing.

        Raises:
            ValueError: where columns of other meaning are errors, for a kind that is none of `KINDS`.
        """
        values = self.optional_column("kind")
        if values is None:
            return [default] * len(self)
        kinds: list[str | None] = []
        for row, value in enumerate(values):
            if value is not None and not (isinstance(value, str) and value in KINDS):
                if self.foreign is None:
                    raise ValueError(f"kind[{row}]: {value!r} is none of {', '.join(KINDS)}")
                value = self._absent("kind", value, f"one of {', '.join(KINDS)}")
            kinds.append(default if value is None else value)
        return kinds

    def with_completions(self, completions: Sequence[Any]) -> Batch:
        """Return the same batch with other completions."""
        return replace(self, completions=completions)

    def with_columns(self, **columns: Any) -> Batch:
        """Return the same batch with some columns replaced or added."""
        added = self.added | (set(columns) - set(self.columns))
        return replace(self, columns={**self.columns, **columns}, added=added)

    def _given(self) -> list[str]:
        return [name for name in self.columns if name not in self.added]


def _blank(reference: Any) -> bool:
    return reference is None or (isinstance(reference, str) and not reference.strip())


def _holds_something(value: Any) -> bool:
    if isinstance(value, (str, bytes)):
        return value.strip() not in ("", "[]", "{}", "null", b"", b"[]", b"{}", b"null")
    return not hasattr(value, "__len__") or len(value) > 0


def _looks_like_tests(value: Any) -> bool:
    if isinstance(value, (str, bytes)):
        return value.lstrip()[:1] in ("{", b"{")
    return isinstance(value, Mapping) and value.get("type") is not None
