"""The tests of published programming sets, brought into the shape of the column ``tests``.

Three shapes are published: APPS' and TACO's object of ``inputs`` and ``outputs`` (with ``fn_name`` where a function is
called; CodeContests has ``input`` and ``output``, in three columns), a list of tests with ``input`` and ``output``
(PrimeIntellect, Open R1, LiveCodeBench, DeepCoder), and our own, which stays as it is. Each comes as JSON or as nested
columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

STDIN = ("stdin", "stdin_stdout", "stdio")
FUNCTION = ("functional", "function_call")


def tests_of(value: object, starter: str | None, beside: Sequence[object]) -> object:
    """Bring published tests into the shape of the column ``tests``.

    Args:
        value: the published column: JSON, or what it holds.
        starter: the code that a program must start from; with a ``class Solution`` in it a function is its method.
        beside: further columns, where the set parts its tests; they go behind, each input once.

    Returns:
        Tests as `verifiers.programs.testcases.parse_tests` takes them, as JSON; None where there are none.

    Raises:
        ValueError: for tests of no known shape, saying what is wrong.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    found = _json(value) if isinstance(value, str) else value
    if beside:
        return _written(*_joined([found, *beside]), starter)
    if isinstance(found, Mapping) and "type" in found and "cases" in found:
        return value
    if isinstance(found, Mapping) and "inputs" in found and "outputs" in found:
        return _written(*_from_columns(found), starter)
    if isinstance(found, Sequence) and not isinstance(found, str | bytes):
        return _written(*_from_list(found), starter) if found else None
    raise ValueError("expected an object of inputs and outputs, or a list of tests with input and output")


def _joined(columns: Sequence[object]) -> tuple[list[tuple[Any, Any]], None]:
    """Tests on standard input from columns of ``input`` and ``output``, each input once."""
    pairs: dict[str, Any] = {}
    for column in columns:
        if isinstance(column, Mapping):
            inputs, outputs = column.get("input"), column.get("output")
            if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
                raise ValueError("input and output must be lists of equal length")
            rows = list(zip(inputs, outputs, strict=True))
        else:
            rows = _from_list(column)[0] if isinstance(column, list) else []
        for given, out in rows:
            pairs.setdefault(_text(given), out)
    return list(pairs.items()), None


def _from_columns(tests: Mapping[str, Any]) -> tuple[list[tuple[Any, Any]], str | None]:
    inputs, outputs = tests["inputs"], tests["outputs"]
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise ValueError("inputs and outputs must be lists of equal length")
    return list(zip(inputs, outputs, strict=True)), tests.get("fn_name") or None


def _from_list(tests: Sequence[Any]) -> tuple[list[tuple[Any, Any]], str | None]:
    for test in tests:
        if not isinstance(test, Mapping) or "input" not in test or "output" not in test:
            raise ValueError("expected a list of tests with input and output")
    kinds = {str(test.get("type") or test.get("testtype") or "stdin") for test in tests}
    if unknown := kinds - {*STDIN, *FUNCTION}:
        raise ValueError(f"tests of type {', '.join(sorted(unknown))}; known are {', '.join((*STDIN, *FUNCTION))}")
    pairs = [(test["input"], test["output"]) for test in tests]
    if kinds <= set(STDIN):
        return pairs, None
    if not kinds <= set(FUNCTION):
        raise ValueError("some tests use standard input and some call a function")
    function = tests[0].get("fn_name") or _function_in(tests[0].get("metadata"))
    if not isinstance(function, str):
        raise ValueError("tests that call a function and don't say which (fn_name)")
    if all(isinstance(given, str) and isinstance(out, str) for given, out in pairs):
        # LiveCodeBench's calls: the arguments stand one a line, each as JSON, and what is returned is JSON.
        pairs = [([_json(line) for line in given.split("\n") if line.strip()], [_json(out)]) for given, out in pairs]
    return pairs, function


def _function_in(metadata: object) -> object:
    found = _json(metadata) if isinstance(metadata, str) and metadata.strip() else metadata
    return found.get("func_name") if isinstance(found, Mapping) else None


def _written(pairs: list[tuple[Any, Any]], function: str | None, starter: str | None) -> str | None:
    if not pairs:
        return None
    if function is None:
        cases = [{"input": _text(given), "output": _text(out)} for given, out in pairs]
        return json.dumps({"type": "stdio", "cases": cases}, ensure_ascii=False)
    # What is returned stands in a list of its own in APPS and TACO, though not in every row.
    wrapped = all(isinstance(out, list) and len(out) == 1 for _, out in pairs)
    calls = []
    for given, out in pairs:
        if not isinstance(given, list):
            raise ValueError(f"a call of {function} without a list of arguments")
        calls.append({"args": given, "expected": out[0] if wrapped else out})
    owner = {"method_of": "Solution"} if starter and "class Solution" in starter else {}
    return json.dumps({"type": "call", "function": function, **owner, "cases": calls}, ensure_ascii=False)


def _text(value: object) -> str:
    """Standard input or output: a text, or its lines as APPS has them in some rows."""
    if isinstance(value, list) and all(isinstance(line, str | int | float) for line in value):
        return "\n".join(map(str, value))
    if not isinstance(value, str):
        raise ValueError(f"standard input and output must be texts, found {type(value).__name__}")
    return value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
