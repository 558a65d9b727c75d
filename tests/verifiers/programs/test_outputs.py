"""Comparing what programs wrote and functions returned."""

from __future__ import annotations

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
    assert read_value(output) == (False, None)


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
