"""LiveCodeBench's tests: public ones as JSON, private ones as base64 of zlib of a pickle of JSON.

A pickle can run any code when it is read, and this one is downloaded. It is read with an unpickler that knows plain
values alone: no class, no function, no import, no persistent object.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import pickle
import pickletools
import zlib
from collections.abc import Mapping
from typing import Any, NoReturn

MAX_BYTES = 512 * 2**20
"""Longest unpacked tests of one problem that are believed, in bytes; zlib can blow a kilobyte up to a gigabyte."""

MAX_STEPS = 1_000_000
"""Most steps of a pickle that are taken: each may make a list of 56 bytes out of one. Published ones take five."""


class PlainUnpickler(pickle.Unpickler):
    """Reads numbers, strings, bytes, lists, tuples, sets and dictionaries; refuses everything else.

    Raises:
        pickle.UnpicklingError: for a pickle that names a class or a function, or refers to something outside.
    """

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse every import that a pickle asks for."""
        raise pickle.UnpicklingError(f"asks for {module}.{name}; only plain values are read")

    def persistent_load(self, pid: object) -> NoReturn:
        """Refuse every object outside the pickle."""
        raise pickle.UnpicklingError("refers to an object outside; only plain values are read")


def plain_pickle(data: bytes) -> Any:
    """Read a pickle of plain values.

    Args:
        data: the pickle.

    Returns:
        The value.

    Raises:
        ValueError: if it holds anything else, or is none.
    """
    try:
        _require_small(data)
        return PlainUnpickler(io.BytesIO(data)).load()
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"the pickle can't be read: {error}" if str(error) else "the pickle is cut") from error
    except (AttributeError, OverflowError, MemoryError, RecursionError, ImportError) as error:
        raise ValueError(f"not a pickle of plain values: {type(error).__name__}") from error


def _require_small(data: bytes) -> None:
    """Refuse a pickle that would take far more memory than it is long."""
    for step, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if step >= MAX_STEPS:
            raise pickle.UnpicklingError(f"it takes more than {MAX_STEPS:,} steps")
        # The unpickler makes room for every number below: eleven bytes would take 32 GiB. Numbers count up from 0.
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and isinstance(argument, int) and argument > step:
            raise pickle.UnpicklingError(f"it puts its value {argument:,} aside at step {step:,}")


def unpack(text: str) -> list[dict[str, Any]]:
    """Read the private tests of a problem.

    Args:
        text: the column as published: a JSON list, or base64 of a zlib stream of a pickle of such a list's JSON.

    Returns:
        Tests, each with ``input``, ``output`` and ``testtype``.

    Raises:
        ValueError: if it is none of these, saying at which step it fails.
    """
    if text.lstrip().startswith("["):
        return _tests(_json(text))
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"neither a JSON list nor base64: {error}") from error
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, MAX_BYTES)
    except zlib.error as error:
        raise ValueError(f"not a zlib stream: {error}") from error
    if stream.unconsumed_tail:
        raise ValueError(f"more than {MAX_BYTES:,} bytes when unpacked")
    value = plain_pickle(data)
    return _tests(_json(value) if isinstance(value, str | bytes) else value)


def tests_of(public: str, private: str, metadata: str | None, starter: str | None) -> dict[str, Any]:
    """Bring a problem's public and private tests into the shape of the column ``tests``.

    Args:
        public: ``public_test_cases`` as published.
        private: ``private_test_cases`` as published.
        metadata: JSON that names the function under test, where it is one.
        starter: the code that a solution starts from; with a ``class Solution`` the function is its method.

    Returns:
        Tests as `parse_tests` takes them.

    Raises:
        ValueError: for tests of no known kind.
    """
    cases = _tests(_json(public)) + unpack(private)
    if not cases:
        raise ValueError("no tests")
    kinds = {str(case.get("testtype", "stdin")) for case in cases}
    # Its published way of comparing, so that scores can stand beside others'.
    compare = {"compare": "livecodebench"}
    if kinds == {"stdin"}:
        pairs = [{"input": case["input"], "output": case["output"]} for case in cases]
        return {"type": "stdio", **compare, "cases": pairs}
    if kinds != {"functional"}:
        raise ValueError(f"tests of kind {', '.join(sorted(kinds))}; known are stdin and functional")
    about = _json(metadata) if metadata else {}
    function = about.get("func_name") if isinstance(about, dict) else None
    if not isinstance(function, str):
        raise ValueError("functional tests without a func_name in their metadata")
    owner = {"method_of": "Solution"} if "class Solution" in (starter or "") else {}
    return {"type": "call", **compare, "function": function, **owner, "cases": [_call(case) for case in cases]}


def _call(case: Mapping[str, Any]) -> dict[str, Any]:
    # The arguments stand one a line, each as JSON.
    lines = [line for line in str(case["input"]).split("\n") if line.strip()]
    return {"args": [_json(line) for line in lines], "expected": _json(str(case["output"]))}


def _tests(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list of tests, found {type(value).__name__}")
    for case in value:
        if not isinstance(case, dict) or not all(isinstance(case.get(key), str) for key in ("input", "output")):
            raise ValueError("a test without the texts 'input' and 'output'")
    return value


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
