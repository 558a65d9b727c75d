"""Whether what a program wrote, or a function returned, is what was expected. Compared outside the sandbox.

Two sets of rules. *Exact*, the default: tokens line by line, values with their types, numbers within a
tolerance where a row gives one. *Published*: LiveCodeBench's own (``lcb_runner/evaluation/testing_util.py``),
whose scores others report: lines without the white space around them, lines of numbers as decimals,
values by ``==``, so that 1 is ``True`` and 1.0.

A program may write megabytes of anything, and this runs in the trainer's process: an output is read once, no further
than it agrees with what was expected, and never split into more parts than that has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any


def same_output(actual: str, expected: str, tolerance: float | None = None) -> bool:
    """Compare what two programs wrote, line by line and token by token.

    Trailing blank lines do not count, nor does white space around tokens; the number of lines does.

    Args:
        actual: the program's output.
        expected: the reference.
        tolerance: how far numbers may differ, absolutely or relative to the reference; exact if ``None``.
    """
    if actual == expected:
        return True
    return _same_lines(actual, expected.rstrip(), partial(_same_tokens, tolerance=tolerance))


def same_value(actual: Any, expected: Any, tolerance: float | None = None) -> bool:
    """Compare two values made of JSON's types, types included: ``True`` is not 1, 1 is not 1.0.

    Args:
        actual: what the function returned.
        expected: the reference.
        tolerance: how far numbers may differ (and then 1 may be 1.0); exact if ``None``.
    """
    pending = [(actual, expected)]  # a list, not recursion: values may be nested as deeply as memory allows
    while pending:
        found, wanted = pending.pop()
        numbers = type(found) in (int, float) and type(wanted) in (int, float)
        if numbers and tolerance is not None:
            if not _close(found, wanted, tolerance):
                return False
        elif type(found) is not type(wanted):
            return False
        elif isinstance(wanted, list):
            if len(found) != len(wanted):
                return False
            pending.extend(zip(found, wanted, strict=True))
        elif isinstance(wanted, dict):
            if found.keys() != wanted.keys():
                return False
            pending.extend((found[key], wanted[key]) for key in wanted)
        elif found != wanted and not (isinstance(wanted, float) and math.isnan(wanted) and math.isnan(found)):
            return False
    return True


def same_published_output(actual: str, expected: str) -> bool:
    """Compare what two programs wrote as LiveCodeBench does.

    Args:
        actual: the program's output.
        expected: the reference.
    """
    if actual == expected:
        return True
    return _same_lines(actual.lstrip(), expected.strip(), _same_published_line)


def same_published_value(actual: Any, expected: Any) -> bool:
    """Compare two values made of JSON's types as LiveCodeBench does, by ``==``: ``True`` is 1, and 1 is 1.0.

    Args:
        actual: what the function returned.
        expected: the reference.
    """
    try:
        return bool(actual == expected)
    except RecursionError:
        return False


def read_value(output: bytes, expected: Any) -> tuple[bool, Any]:
    """Read what a call's harness wrote.

    Args:
        output: JSON.
        expected: what it will be compared with; nothing is read that is too long to be equal.

    Returns:
        Whether it could be read, and the value.
    """
    # Equal values take as much room, but for numbers: 1 may be written 1.0000000000000002.
    if len(output) > _BYTES_ANYWAY and len(output) > _MOST_PER_BYTE * len(json.dumps(expected)):
        return False, None
    try:
        return True, json.loads(output.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return False, None


_MOST_PER_BYTE, _BYTES_ANYWAY = 32, 4096


def _same_lines(actual: str, expected: str, same: Callable[[str, str], bool]) -> bool:
    """Whether two texts have the same lines, one after the other; only blank ones may follow in the first."""
    start = 0
    for wanted in _lines(expected):
        if start > len(actual):
            return False
        end = actual.find("\n", start)
        end = len(actual) if end < 0 else end
        if not same(actual[start:end], wanted):
            return False
        start = end + 1
    rest = actual[start:]
    return not rest or rest.isspace()


def _lines(text: str) -> Iterator[str]:
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def _same_tokens(actual: str, expected: str, tolerance: float | None) -> bool:
    wanted = expected.split()
    found = actual.split(None, len(wanted))  # one part more at most, which then is all the rest
    if len(found) != len(wanted):
        return False
    return found == wanted or (tolerance is not None and all(map(_closer_than(tolerance), found, wanted)))


def _closer_than(tolerance: float) -> Callable[[str, str], bool]:
    return partial(_same_token, tolerance=tolerance)


def _same_published_line(actual: str, expected: str) -> bool:
    return actual.strip() == expected.strip() or _same_decimals(actual, expected)


def _same_decimals(actual: str, expected: str) -> bool:
    wanted = expected.split()
    found = actual.split(None, len(wanted))
    try:
        return len(found) == len(wanted) and all(
            Decimal(left) == Decimal(right) for left, right in zip(found, wanted, strict=True)
        )
    except InvalidOperation:  # no numbers, or a signalling NaN
        return False


def _same_token(actual: str, expected: str, tolerance: float) -> bool:
    if actual == expected:
        return True
    try:
        return _close(float(actual), float(expected), tolerance)
    except (ValueError, OverflowError):
        return False


def _close(actual: float, expected: float, tolerance: float) -> bool:
    try:
        difference, scale = abs(actual - expected), max(1.0, abs(expected))
    except OverflowError:
        return actual == expected
    return actual == expected or (math.isfinite(difference) and difference <= tolerance * scale)
