"""How published values are read: tests of programs in their three shapes, levels, limits, short solutions."""

from __future__ import annotations

import json
import re

import pytest

from magistral_recipe.data.layouts.programs import tests_of as read_tests
from magistral_recipe.data.layouts.readers import READERS
from magistral_recipe.verifiers.programs.testcases import parse_tests

NUMBERED = {"language": ["python", "cpp", "other"], "solution": ["a", "b", "c"]}
STDIN = {"type": "stdio", "cases": [{"input": "1\n", "output": "2\n"}, {"input": "3\n", "output": "4\n"}]}


def call(*cases: tuple[list, object], owner: bool = False) -> dict:
    head = {"type": "call", "function": "f", **({"method_of": "Solution"} if owner else {})}
    return {**head, "cases": [{"args": args, "expected": expected} for args, expected in cases]}


@pytest.mark.parametrize(
    ("published", "starter", "expected"),
    [
        ({"inputs": ["1\n", "3\n"], "outputs": ["2\n", "4\n"]}, None, STDIN),
        ({"fn_name": None, "inputs": ["1\n", "3\n"], "outputs": ["2\n", "4\n"]}, None, STDIN),
        ({"inputs": [["1", ""], ["3", ""]], "outputs": [["2", ""], ["4", ""]]}, None, STDIN),
        ([{"input": "1\n", "output": "2\n"}, {"input": "3\n", "output": "4\n"}], None, STDIN),
        (
            [{"type": "stdin_stdout", "fn_name": None, "input": f"{n}\n", "output": f"{n + 1}\n"} for n in (1, 3)],
            None,
            STDIN,
        ),
        (
            [{"testtype": "stdin", "metadata": None, "input": f"{n}\n", "output": f"{n + 1}\n"} for n in (1, 3)],
            None,
            STDIN,
        ),
        ({"fn_name": "f", "inputs": [[1, 2], [3, 4]], "outputs": [[3], [7]]}, None, call(([1, 2], 3), ([3, 4], 7))),
        ({"fn_name": "f", "inputs": [[1], [2]], "outputs": [3, [4]]}, None, call(([1], 3), ([2], [4]))),
        ({"fn_name": "f", "inputs": [[1]], "outputs": [[]]}, "class Solution:", call(([1], []), owner=True)),
        (
            [{"type": "function_call", "fn_name": "f", "input": [1, 2], "output": [3]}],
            None,
            call(([1, 2], 3)),
        ),
        (
            [{"testtype": "functional", "metadata": {"func_name": "f"}, "input": '[1, 2]\n"a"', "output": "[3]"}],
            "class Solution:",
            call(([[1, 2], "a"], [3]), owner=True),
        ),
    ],
)
def test_tests_of_programs_are_read_in_every_published_shape(published, starter, expected):
    for given in (published, json.dumps(published)):
        found = read_tests(given, starter, ())
        assert json.loads(str(found)) == expected
        assert len(parse_tests(found, "").cases) == len(expected["cases"])


def test_tests_in_our_own_shape_stay_as_they_are():
    for own in (STDIN, json.dumps(STDIN)):
        assert read_tests(own, None, ()) is own


@pytest.mark.parametrize("empty", [None, "", "  ", [], "[]", '{"inputs": [], "outputs": []}'])
def test_no_tests_are_none(empty):
    assert read_tests(empty, None, ()) is None


@pytest.mark.parametrize(
    ("published", "said"),
    [
        ("{", "not JSON: "),
        ("7", "expected an object of inputs and outputs, or a list of tests with input and output"),
        ({"inputs": ["1"], "outputs": []}, "inputs and outputs must be lists of equal length"),
        ({"inputs": [7], "outputs": ["1"]}, "standard input and output must be texts, found int"),
        ({"fn_name": "f", "inputs": [7], "outputs": [1]}, "a call of f without a list of arguments"),
        ([{"input": "1"}], "expected a list of tests with input and output"),
        ([{"input": "1", "output": "2", "type": "file"}], "tests of type file; known are stdin, "),
        (
            [{"input": "1", "output": "2", "type": kind} for kind in ("stdin", "functional")],
            "some tests use standard input and some call a function",
        ),
        ([{"input": "1", "output": "2", "type": "functional"}], "don't say which (fn_name)"),
        ([{"input": "[1", "output": "2", "type": "functional", "fn_name": "f"}], "not JSON: "),
    ],
)
def test_other_tests_are_refused_with_what_is_wrong(published, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        read_tests(published, None, ())


@pytest.mark.parametrize(
    ("reader", "value", "expected"),
    [
        ("one_minus", 0.25, 0.75),
        ("one_minus", 1, 0),
        ("one_minus", None, None),
        ("one_minus", "much", "much"),
        ("level", "Level 5", 5),
        ("level", "Level ?", None),
        ("level", 3, 3),
        ("first", ["a", "b"], "a"),
        ("first", [], None),
        ("first", "a", "a"),
        ("names", ["a", "b"], "a, b"),
        ("names", "a", "a"),
        ("mebibytes", 268435456, 256.0),
        ("mebibytes", 0, None),
        ("mebibytes", None, None),
        ("seconds", "2 seconds", 2.0),
        ("seconds", "1.5 second", 1.5),
        ("seconds", "1500 ms", 1.5),
        ("seconds", 3, 3.0),
        ("seconds", "0 seconds", None),
        ("seconds", "forever", None),
        ("seconds", {"seconds": 2, "nanos": 500_000_000}, 2.5),
        ("seconds", {"seconds": 0, "nanos": 0}, None),
        ("numbered_languages", {"language": [3, 2, 1], "solution": ["a", "b", "c"]}, NUMBERED),
        ("numbered_languages", "?", "?"),
        ("seconds", None, None),
        ("box_or_short", "Long.\n\n$\\boxed{1}$ and $\\boxed{2}$", "2"),
        ("box_or_short", "128", "128"),
        ("box_or_short", "x" * 81, None),
        ("box_or_short", "a\nb", None),
        ("box_or_short", None, None),
    ],
)
def test_values_that_are_not_plain_are_read(reader, value, expected):
    assert READERS[reader](value) == expected
    assert set(READERS) == {
        "one_minus",
        "level",
        "first",
        "names",
        "mebibytes",
        "seconds",
        "box_or_short",
        "numbered_languages",
    }
