"""Comparing what programs wrote and functions returned."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistral_recipe.verifiers.programs.outputs import (
    read_value,
    same_output,
    same_published_output,
    same_published_value,
    same_value,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("actual", "expected", "same"),
    [
        ("5", "5\n", True),
        ("5\n\n  \n", "5", True),
        ("  1   2 ", "1 2", True),
        ("1\r\n2\r\n", "1\n2\n", True),
        ("1\n\n2", "1\n2", False),  # a blank line in between is a line
        ("\n5", "5", False),
        ("1 2", "1\n2", False),
        ("5\n6", "5", False),
        ("5", "5\n6", False),  # the first expected line alone is not the answer
        ("", "", True),
        ("", "5", False),
        ("5.0", "5", False),
        ("yes", "YES", False),
    ],
)
def test_output_is_compared_line_by_line_and_token_by_token(actual, expected, same):
    assert same_output(actual, expected) is same


@pytest.mark.parametrize(
    ("actual", "expected", "tolerance", "same"),
    [
        ("0.3333333", "0.33333333", 1e-6, True),
        ("0.34", "0.33333333", 1e-6, False),
        ("1000001", "1000000", 1e-6, True),  # relative to the reference
        ("1000002.5", "1000000", 1e-6, False),
        ("5.0 x", "5 x", 1e-6, True),
        ("5.0 y", "5 x", 1e-6, False),
        ("nan", "5", 1e-6, False),
        ("inf", "5", 1e-6, False),
        ("inf", "inf", 1e-6, True),
        ("1e999", "5", 1e-6, False),
    ],
)
def test_tolerance_is_absolute_or_relative_to_the_reference(actual, expected, tolerance, same):
    assert same_output(actual, expected, tolerance) is same


@pytest.mark.parametrize(
    ("actual", "expected", "same"),
    [
        (1, 1, True),
        (True, 1, False),
        (1, True, False),
        (1.0, 1, False),
        ("1", 1, False),
        (None, 0, False),
        ([], {}, False),
        ([1, [2]], [1, [2]], True),
        ([1, 2], [2, 1], False),
        ({"a": 1}, {"a": 1, "b": None}, False),
        (float("nan"), float("nan"), True),
        (10**400, 10**400, True),
    ],
)
def test_values_are_compared_with_their_types(actual, expected, same):
    assert same_value(actual, expected) is same


def test_tolerance_does_not_overflow():
    assert same_value(10**400, 1.0, 1e-6) is False
    assert same_value(True, 1, 1e-6) is False
    assert same_value(1, 1.0, 0.0) is True


@given(JSON)
def test_every_value_equals_itself(value):
    assert same_value(value, value)


def test_deep_values_need_no_deep_stack():
    left: list = []
    for _ in range(100_000):
        left = [left]
    assert same_value(left, left)


@pytest.mark.parametrize("output", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 5_000])
def test_what_is_no_json_is_no_value(output):
    assert read_value(output, expected=[1] * 50_000) == (False, None)


MEGABYTES = 16 << 20
FLOODS = {
    "newlines": "\n" * MEGABYTES,
    "blank lines": " \n" * (MEGABYTES // 2),
    "an answer, then newlines": "5\n" + "\n" * MEGABYTES,
    "tokens": "5 " * (MEGABYTES // 2),
    "one token": "5" * MEGABYTES,
    "a number with an exponent": "5e" + "9" * MEGABYTES,
    "lines": "5\n" * (MEGABYTES // 2),
    "white space of all kinds": "\u3000\x85\x1c" * (MEGABYTES // 8),
    "no text": "\ufffd" * MEGABYTES,
    "spaces": " " * MEGABYTES,
}
COMPARISONS = {
    "exact": same_output,
    "tolerant": lambda actual, expected: same_output(actual, expected, 1e-6),
    "published": same_published_output,
}


def costs(action):
    """Seconds of CPU time, and the most memory held at once in bytes."""
    tracemalloc.start()
    started = time.process_time()
    try:
        action()
        return time.process_time() - started, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("how", COMPARISONS)
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_costs_no_more_than_its_size(name, how):
    flood = FLOODS[name]
    for expected in ("5", "\n" + "5 6\n" * 1000):
        seconds, held = costs(lambda expected=expected: COMPARISONS[how](flood, expected))
        assert seconds < 2
        assert held < 100 << 20


@pytest.mark.parametrize(
    "output",
    [
        b"[" + b"[]," * (MEGABYTES // 3) + b"1]",
        b"[" + b'{"":0},' * (MEGABYTES // 7) + b"1]",
        b"[" + b"1," * (MEGABYTES // 2) + b"1]",
        b'"' + b"a" * MEGABYTES + b'"',
        b"-" * MEGABYTES,
    ],
    ids=["lists", "mappings", "numbers", "text", "nothing"],
)
def test_a_value_too_long_to_be_equal_is_not_read(output):
    seconds, held = costs(lambda: read_value(output, [1, 2]))
    assert seconds < 0.5
    assert held < 1 << 20
    assert read_value(output, [1, 2]) == (False, None)


@given(JSON)
def test_a_value_that_is_equal_is_always_read(value):
    spread = json.dumps(value).encode()
    assert read_value(spread, value)[0]
    assert read_value(json.dumps([1.0000000000000002] * 3000).encode(), [1] * 3000)[0]  # numbers within a tolerance


@given(st.text(" \n\r\t5a\x85", max_size=12), st.text(" \n\r\t5a\x85", max_size=12))
def test_comparing_as_a_stream_is_comparing_all_lines(actual, expected):
    def lines(text):
        found = [line.split() for line in text.split("\n")]
        while found and not found[-1]:
            found.pop()
        return found

    def published(text):
        return [line.strip() for line in text.strip().split("\n")]

    assert same_output(actual, expected) is (lines(actual) == lines(expected))
    same = len(published(actual)) == len(published(expected)) and all(
        a == b or (a.split() and b.split() and set("5 \t\r\x85") >= set(a + b) and a.split() == b.split())
        for a, b in zip(published(actual), published(expected), strict=True)
    )
    assert same_published_output(actual, expected) is bool(same)


@pytest.mark.parametrize(
    ("actual", "expected", "same"),
    [
        ("5", "5\n", True),
        ("\n\n5  \n\n", "5", True),
        ("1\r\n2\r\n", "1\n2\n", True),
        ("2.50 1e3", "2.5 1000", True),
        ("007 1_0", "7 10", True),  # as `Decimal` reads them
        ("50000000000000000", "50000000000000001", False),
        ("0.30000000000000004", "0.3", False),
        ("a  b", "a b", False),
        ("x 2.50", "x 2.5", False),
        ("1\n\n2", "1\n2", False),
        ("1 2", "1\n2", False),
        ("5\n6", "5", False),
        ("5", "5\n6", False),
        ("5 6", "5", False),
        ("NaN", "nan", False),
        ("sNaN", "1", False),
        ("Infinity", "inf", True),
        ("", "", True),
        ("", "0", False),
        ("1e999999999999999999999", "1", False),
    ],
)
def test_published_output_is_compared_by_lines_and_decimals(actual, expected, same):
    assert same_published_output(actual, expected) is same


@pytest.mark.parametrize(
    ("actual", "expected", "same"),
    [
        (1, True, True),
        (0, False, True),
        (2, True, False),
        (1.0, 1, True),
        (10**17 + 1.0, 10**17 + 1, False),
        ([[1, 0.0]], [[True, 0]], True),
        ("1", 1, False),
        (None, 0, False),
        (None, False, False),
        ({"a": 1}, {"a": 1.0}, True),
        ([1, 2], [2, 1], False),
    ],
)
def test_published_values_are_compared_by_equality(actual, expected, same):
    assert same_published_value(actual, expected) is same


def test_published_values_of_any_depth_are_no_error():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    other: list = []
    for _ in range(100_000):
        other = [other]
    assert same_published_value(deep, other) is False
