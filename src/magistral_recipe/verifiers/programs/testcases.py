"""The tests of a programming problem: read from a data set's column, checked, drawn.

A problem's tests are a JSON string, or the same as objects: standard input and output, or calls of a
function. What they expect stays in this process.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal, get_args

Compare = Literal["exact", "livecodebench"]


@dataclass(frozen=True)
class Case:
    """One test.

    Attributes:
        given: what goes into the sandbox: standard input, or a call as JSON.
        expected: what must come out: text, or a value made of JSON's types.
    """

    given: bytes
    expected: Any


@dataclass(frozen=True)
class Tests:
    """All tests of one problem.

    Attributes:
        type: ``stdio`` or ``call``.
        cases: in their order.
        method_of: whether calls go to a method of a class.
        digest: names these tests, however they were written.
        compare: by which rules; see `outputs`.
    """

    type: str
    cases: tuple[Case, ...] = field(compare=False)  # `digest` stands for them: what they expect cannot be hashed
    method_of: bool
    digest: str
    compare: Compare = "exact"

    def draw(self, count: int, seed: int, step: int) -> Tests:
        """Return at most `count` of the tests, the same for everybody who asks with this seed and step.

        Args:
            count: how many at most.
            seed: the reward's.
            step: the trainer's; another step draws others.
        """
        if len(self.cases) <= count:
            return self
        chosen = random.Random(f"{self.digest}:{seed}:{step}").sample(range(len(self.cases)), count)
        chosen.sort()
        return replace(self, cases=tuple(self.cases[at] for at in chosen), digest=f"{self.digest}:{chosen}")

    def as_json(self, cases: Sequence[Case] | None = None) -> str:
        """Write them, or other cases of the same kind, as `parse_tests` reads them."""
        head: dict[str, Any] = {"type": self.type} | ({} if self.compare == "exact" else {"compare": self.compare})
        chosen = self.cases if cases is None else cases
        if self.type == "stdio":
            rows = [{"input": case.given.decode(), "output": case.expected} for case in chosen]
            return json.dumps({**head, "cases": rows}, ensure_ascii=False)
        calls = [(json.loads(case.given), case.expected) for case in chosen]
        head |= {key: calls[0][0][key] for key in ("function", "method_of") if calls[0][0][key] is not None}
        rows = [
            {key: call[key] for key in ("args", "kwargs") if call[key]} | {"expected": expected}
            for call, expected in calls
        ]
        return json.dumps({**head, "cases": rows}, ensure_ascii=False)


def parse_tests(value: Any, where: str) -> Tests:
    """Read the tests of one row.

    Args:
        value: a JSON string, or the mapping that it would hold; in a mapping, keys whose value is ``None``
            (Arrow fills them in) count as absent.
        where: the column and row, for messages.

    Returns:
        The tests.

    Raises:
        ValueError: for anything else, naming the key.
    """
    try:
        if isinstance(value, (str, bytes)):
            return _parse_text(value if isinstance(value, str) else value.decode("utf-8", "replace"))
        return _parse(_without_none(value), "")
    except ValueError as error:
        raise ValueError(f"{where}{error}") from None


@lru_cache(maxsize=512)
def _parse_text(text: str) -> Tests:
    # Cached by text alone, since a whole group shares its tests: the row is put before the message above.
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f": not JSON: {error}") from None
    return _parse(value, "")


def _parse(value: Any, where: str) -> Tests:
    tests = _mapping(value, where)
    kind = tests.get("type")
    if kind not in ("stdio", "call"):
        raise ValueError(f"{where}.type: {kind!r} is neither 'stdio' nor 'call'")
    compare = tests.get("compare", "exact")
    if compare not in get_args(Compare):
        raise ValueError(f"{where}.compare: {compare!r} is none of {', '.join(get_args(Compare))}")
    allowed = {"type", "cases", "compare"} | ({"function", "method_of"} if kind == "call" else set())
    _only(tests, allowed, where)
    rows = tests.get("cases")
    if isinstance(rows, Mapping):  # a struct of lists, as `datasets` gives lists of structs back
        rows = _rows_of_columns(rows, f"{where}.cases")
    if isinstance(rows, (str, bytes)) or not isinstance(rows, Sequence) or not rows:
        raise ValueError(f"{where}.cases: must be a list with at least one case")
    read = _stdio_case if kind == "stdio" else _call_reader(tests, where)
    cases = tuple(read(_mapping(row, f"{where}.cases[{at}]"), f"{where}.cases[{at}]") for at, row in enumerate(rows))
    summary = json.dumps([kind, [[case.given.decode("utf-8", "replace"), case.expected] for case in cases]])
    digest = hashlib.sha256(summary.encode()).hexdigest()
    return Tests(kind, cases, bool(tests.get("method_of")), digest, compare)


def _stdio_case(row: Mapping[str, Any], where: str) -> Case:
    _only(row, {"input", "output"}, where)
    for key in ("input", "output"):
        if not isinstance(row.get(key), str):
            raise ValueError(f"{where}.{key}: must be a string, it is {row.get(key)!r:.80}")
    return Case(row["input"].encode("utf-8", "replace"), row["output"])


def _call_reader(tests: Mapping[str, Any], where: str) -> Any:
    function, owner = tests.get("function"), tests.get("method_of")
    for key, name in (("function", function), ("method_of", owner)):
        if not (isinstance(name, str) and name.isidentifier()) and not (key == "method_of" and name is None):
            raise ValueError(f"{where}.{key}: must be a name, it is {name!r:.80}")

    def read(row: Mapping[str, Any], where: str) -> Case:
        _only(row, {"args", "kwargs", "expected"}, where)
        if "expected" not in row:
            raise ValueError(f"{where}.expected: missing (a call that must return None needs tests as a JSON string)")
        args, kwargs = row.get("args", []), row.get("kwargs", {})
        if isinstance(args, (str, bytes)) or not isinstance(args, Sequence):
            raise ValueError(f"{where}.args: must be a list, it is {args!r:.80}")
        if not isinstance(kwargs, Mapping):
            raise ValueError(f"{where}.kwargs: must be a mapping, it is {kwargs!r:.80}")
        call = {"function": function, "method_of": owner, "args": list(args), "kwargs": dict(kwargs)}
        try:
            return Case(json.dumps(call).encode(), json.loads(json.dumps(row["expected"])))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{where}: not made of JSON's types: {error}") from None

    return read


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: must be a mapping or a JSON string of one, it is {value!r:.80}")
    return value


def _only(value: Mapping[str, Any], allowed: set[str], where: str) -> None:
    for key in value:
        if key not in allowed:
            raise ValueError(f"{where}.{key}: unknown key; known are {', '.join(sorted(allowed))}")


def _rows_of_columns(columns: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    lists = {key: values for key, values in columns.items() if isinstance(values, Sequence)}
    lengths = {len(values) for values in lists.values()}
    if len(lists) != len(columns) or len(lengths) != 1:
        raise ValueError(f"{where}: must be a list of cases")
    return [_without_none({key: values[at] for key, values in lists.items()}) for at in range(lengths.pop())]


def _without_none(value: Any) -> Any:
    """Drop the keys that Arrow filled with None, where keys are ours; arguments and values stay as they are."""
    if not isinstance(value, Mapping):
        return value
    present = {key: item for key, item in value.items() if item is not None}
    for key in ("cases", "kwargs"):
        inner = present.get(key)
        if isinstance(inner, Mapping):
            present[key] = _without_none(inner)
        elif isinstance(inner, Sequence) and not isinstance(inner, (str, bytes)):
            present[key] = [_without_none(item) for item in inner]
    return present
