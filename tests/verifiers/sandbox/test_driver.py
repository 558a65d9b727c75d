"""What the driver makes of a result: the plain value in it, and never what the object says of itself."""

from __future__ import annotations

import json
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from enum import Enum, IntEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistral_recipe.verifiers.sandbox.driver import LEETCODE, Writer, ready_names
from magistral_recipe.verifiers.sandbox.interpreter import python_command
from magistral_recipe.verifiers.sandbox.session import _driver_source

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def seen(value):
    """What is compared in the end."""
    return json.loads(Writer().write(value))


@given(JSON)
def test_plain_values_stay_as_they_are(value):
    found = seen(value)
    assert found == value
    assert repr(found) == repr(value)  # 1 is not 1.0


Point = namedtuple("Point", "x y")
Side = IntEnum("Side", "LEFT RIGHT")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Counter("aab"), {"a": 2, "b": 1}),
        (defaultdict(list, {"a": [(1, 2)]}), {"a": [[1, 2]]}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (Point(1, True), [1, True]),
        ([Side.RIGHT], [2]),
        (deque([1, deque([2])]), [1, [2]]),
        ({1: "a", None: "b", False: "c", 2.5: "d"}, {"1": "a", "null": "b", "false": "c", "2.5": "d"}),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (np.array(3), 3),
        (np.array([True]), [True]),
        (np.array([[1.5], [math.inf]]), [[1.5], [math.inf]]),
        (np.array([Counter("a"), None], dtype=object), [{"a": 1}, None]),
        ([np.int8(-1), np.uint64(2**64 - 1), np.float64(0.1), np.float32(0.5), np.bool_(True), np.str_("s")],
         [-1, 2**64 - 1, 0.1, 0.5, True, "s"]),
        ({np.int64(1): np.float64(2)}, {"1": 2.0}),
        ("\ud800", "\ud800"),
    ],
)  # fmt: skip
def test_what_holds_a_plain_value_is_it(value, plain):
    found = seen(value)
    assert found == plain
    assert repr(found) == repr(plain)


class Dress(Enum):
    RED = 1


@pytest.mark.parametrize(
    "value",
    [
        *(
            {1},
            frozenset(),
            b"x",
            1j,
            object(),
            int,
            iter([]),
            {}.keys(),
            range(3),
            map(str, []),
            {(1, 2): 3},
            Dress.RED,
        ),
        *(Dress.RED, np.longdouble(1), np.complex128(1), np.datetime64("2024-01-01"), np.array([b"x"]), [{"a": {2}}]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_does_not_have_is_refused(value):
    with pytest.raises(TypeError):
        Writer().write(value)


def test_no_object_speaks_for_itself():
    called = []

    def lie(name):
        def method(*arguments, **more):
            called.append(name)
            return 5

        return method

    names = ("__eq__", "__hash__", "__iter__", "__len__", "__getitem__", "__repr__", "__str__", "__int__", "__index__")
    names += ("__float__", "__bool__", "__class__", "items", "keys", "values", "tolist", "item", "__getattribute__")
    names += ("__reduce__", "__array__", "encode", "__format__", "__contains__", "__instancecheck__", "__call__")
    truths = {int: 4, float: 0.5, str: "s", list: [1], tuple: (1,), dict: {"a": 1}, deque: deque([1])}
    lies = {name: property(lie(name)) if name == "__class__" else lie(name) for name in names}
    for base, truth in truths.items():
        made = type("Lie", (base,), dict(lies))(truth)
        called.clear()
        text = Writer().write(made)
        assert called == []
        assert json.loads(text) == (list(truth) if base in (tuple, deque) else truth)


def test_no_metaclass_speaks_for_its_class():
    class Meta(type):
        __mro__ = (int, object)

        def __eq__(cls, other):
            return True

        def __hash__(cls):
            return hash(int)

        def __instancecheck__(cls, other):
            return True

    class Any(metaclass=Meta):
        __class__ = int

    with pytest.raises(TypeError, match="a value that JSON does not have"):
        Writer().write(Any())


def test_names_that_are_ready_hide_no_builtin():
    names = ready_names()
    import builtins
    import math as mathematics

    assert set(vars(builtins)).isdisjoint(set(names) - {"__builtins__"})
    assert names["math"].pow is mathematics.pow
    for name in ("gcd", "deque", "List", "lru_cache", "heappush", "bisect_left", "ascii_lowercase", "mean", "StringIO"):
        assert name in names
    assert [name for name in LEETCODE if names[name].__name__ != name] == []


def test_the_driver_fits_into_an_argument():
    *_, program = python_command(_driver_source())
    assert program != _driver_source()  # compiled once
    assert len(program) < 100_000  # Linux takes 128 KiB
    assert python_command("f(")[-1] == "f("  # the error is its own to make
