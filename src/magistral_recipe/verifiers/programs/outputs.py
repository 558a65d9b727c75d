"""Whether what a program wrote, or a function returned, is what was expected. Compared outside the sandbox.

Two sets of rules. *Exact*, the default: tokens line by line, values with their types, numbers within a
tolerance where a row gives one. *Published*: LiveCodeBench's own (``lcb_runner/evaluation/testing_util.py``),
whose scores others report: lines without the white space around them, lines of numbers as decimals,
values by ``==``, so that 1 is ``True`` and 1.0.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal, InvalidOperation
from typing import Any


def same_output(actual: str, expected: str, tolerance: float | None = None) -> bool:
    """Compare what two programs wrote, line by line and token by token.

    Trailing blank lines do not count, nor does white space around tokens; the number of lines does.

    Args:
        actual: the program's output.
        expected: the reference.
        tolerance: how far numbers may differ, absolutely or relative to the reference; exact if ``None``.
    """
    found, wanted = _lines(actual), _lines(expected)
    if len(found) != len(wanted):
        return False
    if tolerance is None:
        return found == wanted
    return all(
        len(left) == len(right) and all(_same_token(a, b, tolerance) for a, b in zip(left, right, strict=True))
        for left, right in zip(found, wanted, strict=True)
    )


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
    found, wanted = ([line.strip() for line in text.strip().split("\n")] for text in (actual, expected))
    return len(found) == len(wanted) and all(
        left == right or _same_decimals(left, right) for left, right in zip(found, wanted, strict=True)
    )


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


def read_value(output: bytes) -> tuple[bool, Any]:
    """Read what a call's harness wrote; ``(False, None)`` where it is no JSON."""
    try:
        return True, json.loads(output.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return False, None


def _lines(text: str) -> list[list[str]]:
    lines = [line.split() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _same_decimals(actual: str, expected: str) -> bool:
    try:
        return [Decimal(each) for each in actual.split()] == [Decimal(each) for each in expected.split()]
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
