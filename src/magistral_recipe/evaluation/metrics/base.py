"""What the metrics share: `evaluate` checks a batch's first row alone, so every row is read and checked here."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import datasets
import evaluate

CITATION = "Mistral AI: Magistral, arXiv 2506.10910 (2025)"

Reader = Callable[[Any, str], Any]

_CODE = re.compile(
    r"```|^\s*(?:def \w+\s*\(|class \w+.*:|import \w+|from [\w.]+ import|#include\b|print\s*\(|(?:for|while) .+:$"
    r"|lambda\b[^\\]*:|int main\s*\(|public (?:static|class)\b|function \w+\s*\()|\binput\(\)",
    re.M,
)
"""A fence, or a line that can only be a program's. No final answer of mathematics looks like these."""


class RowMetric(evaluate.Metric):
    """A metric whose inputs are brought into one shape, row by row, before `evaluate` stores them.

    Attributes:
        readers: for each input how a value is read; a value that can't be raises ValueError naming its row.
        columns: for each input its type in Arrow.
        description: one sentence.
    """

    readers: ClassVar[Mapping[str, Reader]]
    columns: ClassVar[Mapping[str, Any]]
    description: ClassVar[str]
    filelock: Any
    filelocks: Any

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.description,
            citation=CITATION,
            inputs_description=type(self)._compute.__doc__ or "",
            features=datasets.Features(dict(self.columns)),
        )

    def compute(self, *, predictions: Any = None, references: Any = None, **more: Any) -> dict[str, Any] | None:
        """Compute the metric; one that fails is as good as new afterwards."""
        try:
            return super().compute(predictions=predictions, references=references, **more)
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        """Drop what was stored, and the lock on its file, which `evaluate` keeps when a computation fails."""
        for lock in {id(lock): lock for lock in [self.filelock, *(self.filelocks or [])] if lock}.values():
            lock.release()
        self.writer = self.data = self.buf_writer = None
        self.cache_file_name = self.filelock = self.filelocks = self.selected_feature_format = None

    def add_batch(self, *, predictions: Any = None, references: Any = None, **more: Any) -> None:
        """Read every row of a batch, then store it."""
        batch = {"predictions": predictions, "references": references, **more}
        read = {name: self._read(name, values) for name, values in batch.items() if name in self.readers}
        unread = {name: values for name, values in more.items() if name not in self.readers}
        lengths = {name: len(values) for name, values in read.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"inputs differ in length: {lengths}")
        super().add_batch(**read, **unread)

    def add(self, *, prediction: Any = None, reference: Any = None, **more: Any) -> None:
        """Store one row; combined metrics name its inputs as a batch does."""
        given = {"predictions": prediction, "references": reference, **more}
        self.add_batch(**{name: [value] for name, value in given.items() if name in self.readers or name in more})

    def _enforce_nested_string_type(self, schema: Any, obj: Any) -> None:
        """Nothing: `evaluate` would refuse a first row that begins with None; all rows have been checked by now."""

    def _read(self, name: str, values: Any) -> list[Any]:
        if values is None:
            raise ValueError(f"{name} are missing")
        if isinstance(values, str | Mapping):
            raise ValueError(f"{name} must be a list with one item a row, not {type(values).__name__}")
        return [self.readers[name](value, f"{name}[{row}]") for row, value in enumerate(values)]


def verdicts(value: Any, where: str) -> list[int | None]:
    """Read one problem's verdicts: right (1, True), wrong (0, False), undecided (None)."""
    listed = _samples(value, where, "verdicts")
    return [None if each is None else _binary(each, f"{where}[{number}]") for number, each in enumerate(listed)]


def flag(value: Any, where: str) -> int:
    """Read a yes or no."""
    return _binary(value, where)


def _samples(value: Any, where: str, what: str) -> Sequence[Any]:
    listed = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(listed, str | bytes | Mapping) or not isinstance(listed, Sequence):
        raise ValueError(f"{where}: expected the {what} of a problem's samples, not {value!r}")
    return listed


def _scalar(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _binary(value: Any, where: str) -> int:
    number = _scalar(value)
    if not isinstance(number, int | float) or number not in (0, 1):
        raise ValueError(f"{where}: expected 0 or 1, not {value!r}")
    return int(number)


def length(value: Any, where: str) -> int:
    """Read a length in tokens."""
    number = _scalar(value)
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if not is_number or not 0 <= number < 2**63 or number != int(number):
        raise ValueError(f"{where}: expected a number of tokens, not {value!r}")
    return int(number)


def language(value: Any, where: str) -> str:
    """Read a language code, ISO 639-1; a region is dropped."""
    from magistral_recipe.rewards.language import language_code

    return language_code(value, where)


def completion(value: Any, where: str) -> str:
    """Read a completion: a string, or messages of which the last of the assistant counts."""
    from magistral_recipe.writing.completions import completion_texts
    from magistral_recipe.writing.thinking import Thinking

    try:
        return completion_texts([value], Thinking())[0]
    except ValueError as error:
        raise ValueError(str(error).replace("completions[0]", where)) from None


def answers(value: Any, where: str) -> list[str | None]:
    """Read the final answers of a problem's samples; None where a sample has none."""
    listed = _samples(value, where, "answers")
    return [None if each is None else _answer(each, f"{where}[{number}]") for number, each in enumerate(listed)]


def references(value: Any, where: str) -> list[str]:
    """Read a reference answer, or a list of them any one of which is right."""
    listed = value.tolist() if hasattr(value, "tolist") else value
    listed = listed if isinstance(listed, list | tuple) else [listed]
    if not listed:
        raise ValueError(f"{where}: no reference answer")
    return [_answer(each, where) for each in listed]


def _answer(value: Any, where: str) -> str:
    number = _scalar(value)
    if isinstance(number, bool) or not isinstance(number, str | int | float):
        raise ValueError(f"{where}: expected an answer as text or number, not {value!r}")
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError(f"{where}: expected a finite number, not {value!r}")
    written = str(number).strip()
    if _CODE.search(written):
        raise ValueError(f"{where}: code has no majority; votes need a final answer")
    return written


def wanted(k: Any) -> list[int]:
    """Read the argument k: one number or several, each at least 1."""
    listed = [_scalar(each) for each in k] if isinstance(k, Iterable) and not isinstance(k, str) else [_scalar(k)]
    for each in listed:
        if isinstance(each, bool) or not isinstance(each, int) or each < 1:
            raise ValueError(f"k must be a whole number of at least 1, or a list of them, not {each!r}")
    if not listed:
        raise ValueError("k must be a whole number of at least 1, or a list of them; the list is empty")
    return listed
