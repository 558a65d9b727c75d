"""Equality of expressions by their values: exact where they are rational, else to 90 digits at several points.

Two elementary expressions that agree to 90 digits at five unrelated points are the same function; no
simplification is tried, so nothing can run away. Every step is bounded: a power, factorial or function
whose value would be too large raises `TooBigError` before it is computed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from magistral_recipe.verifiers.answers.effort import spend
from magistral_recipe.verifiers.answers.expressions import Node, contains, variables
from magistral_recipe.verifiers.answers.points import narrow_points, near_points, whole_letters, wide_points

MAX_BITS = 40_000
"""Size of exact integers, in bits: 100! has 525, 2004! has 19,000."""
MAX_LOG = 50_000.0
"""Largest natural logarithm of a value."""
DIGITS = (45, 110)
"""Two precisions, in decimal digits: a difference that shrinks from one to the other is rounding."""


class TooBigError(Exception):
    """A value beyond the limits: no answer to a problem, but perhaps an attack."""


class InexactError(Exception):
    """The expression is not rational, or not defined, at this point."""


def same_value(left: Node, right: Node) -> bool:
    """Whether two expressions are equal, as functions of their variables.

    Args:
        left: one expression.
        right: the other.

    Returns:
        Whether they agree; False for different variables, or where they are defined nowhere together.

    Raises:
        TooBigError: where a value leaves the limits.
    """
    return _compare(left, right)


def same_up_to_factor(left: Node, right: Node, positive: bool = False) -> bool:
    """Whether one expression is a constant multiple of the other: their equations ``... = 0`` are the same.

    Args:
        left: one expression.
        right: the other.
        positive: the factor must be above 0, as for inequalities.

    Returns:
        Whether there is such a factor, other than 0.

    Raises:
        TooBigError: where a value leaves the limits.
    """
    names = variables(left)
    if names != variables(right) or not names:
        return False
    ratios: list[Any] = []
    near = near_points(names)
    for index, values in enumerate([*near, *wide_points(names, left, right)]):
        try:
            a, b = (_number(node, values, DIGITS[1]) for node in (left, right))
        except (InexactError, TooBigError):
            if index < len(near):
                continue
            break
        if abs(a) == 0 or abs(b) == 0:
            if abs(a) != abs(b) and max(abs(a), abs(b)) > _tiny(40):
                return False
            continue
        ratios.append(a / b)
    if len(ratios) < 3 or (positive and not all(_real_part(ratio) > 0 for ratio in ratios)):
        return False
    return all(abs(ratio - ratios[0]) <= abs(ratios[0]) * _tiny(80) for ratio in ratios)


def exact(node: Node) -> Fraction | None:
    """Return the value of a rational expression without variables, ``None`` for any other."""
    if variables(node):
        return None
    try:
        return _exact(node, {})
    except InexactError:
        return None


def approximate(node: Node) -> complex | None:
    """Return the value of an expression to double precision; ``None`` where it has none, as with variables."""
    if variables(node):
        return None
    try:
        value = _number(node, {}, 25)
    except InexactError:
        return None
    try:
        return complex(value)
    except OverflowError:
        return None


def rounds_to(node: Node, decimal: Fraction, places: int, units: Fraction = Fraction(1, 2)) -> bool:
    """Whether an expression without variables is a decimal to within so many units of its last place."""
    value = exact(node)
    half = units / Fraction(10) ** places
    if value is not None:
        return abs(value - decimal) <= half
    try:
        number = _number(node, {}, DIGITS[0])
    except InexactError:
        return False
    context = _context(DIGITS[0])
    difference = abs(number - context.mpf(decimal.numerator) / decimal.denominator)
    return bool(difference <= context.mpf(half.numerator) / half.denominator * (1 + _tiny(30)))


def real(node: Node) -> Any | None:
    """Return the real value of an expression without variables, an mpf of many digits; ``None`` where it has none."""
    if variables(node):
        return None
    try:
        value = _number(node, {}, DIGITS[1])
    except InexactError:
        return None
    return None if _is_complex(value) else _real_part(value)


def near(one: Any, other: Any) -> bool:
    """Whether two values of `real` are one number."""
    return bool(abs(one - other) <= _tiny(80) * max(abs(one), abs(other), 1))


def _compare(left: Node, right: Node) -> bool:
    names = variables(left)
    if names != variables(right):
        return False
    if not names:
        return _agree(left, right, {}) is True
    agreed = 0
    for values in near_points(names):
        verdict = _agree(left, right, values)
        if verdict is False:
            return False
        agreed += verdict is True
    if agreed == 0 and (letters := whole_letters(left) & whole_letters(right)):
        return _agree_at_integers(left, right, names, letters)
    for points in (wide_points(names, left, right), narrow_points(names, left, right)):
        for values in points:
            try:
                verdict = _agree(left, right, values, wide=True)
            except TooBigError:
                continue
            if verdict is False:
                return False
            agreed += verdict is True
        if agreed >= 3:
            return True
    return False


def _agree(left: Node, right: Node, values: Mapping[str, Fraction], wide: bool = False) -> bool | None:
    """Whether two values agree at a point; ``None`` where one is not defined there, or not real for both.

    Far from 0 (`wide`) values so small that they are lost beside others are no difference.
    """
    try:
        return _exact(left, values) == _exact(right, values)
    except InexactError:
        pass
    except TooBigError:
        if not values:
            raise  # numbers of more digits than the numeric path tells apart
    differences, scale = [], None
    complex_wanted = contains(left, "i") or contains(right, "i") or not values
    for digits in DIGITS:
        try:
            a, b = _number(left, values, digits), _number(right, values, digits)
        except InexactError:
            return None
        if not complex_wanted and (_is_complex(a) or _is_complex(b)):
            return None
        differences.append(abs(a - b))
        scale = max(abs(a), abs(b))
    coarse, fine = differences
    if wide and 0 < fine < _tiny(60) and scale is not None and scale < _tiny(40):
        return None
    return bool(fine <= _tiny(DIGITS[1] - 20) * scale or fine <= _tiny(30) * coarse)


def _agree_at_integers(left: Node, right: Node, names: frozenset[str], letters: frozenset[str]) -> bool:
    """Whether two expressions agree where the letters in the exponents of negative numbers are integers.

    Asked only where neither is real at any fraction, as with ``(-1)^n``.
    """
    verdicts = []
    for index, values in enumerate([*near_points(names), *near_points(names)[:1]]):
        point = {name: Fraction(index + 1) if name in letters else abs(value) for name, value in values.items()}
        verdicts.append(_agree(left, right, point))
    return verdicts.count(True) >= 4 and False not in verdicts


def _exact(node: Node, values: Mapping[str, Fraction]) -> Fraction:
    op = node.op
    if op == "num":
        return node.value
    if op == "var":
        return values[node.value]
    if op == "deg":
        raise InexactError("degrees")
    if op in _EXACT:
        spend()
        return _sized(_EXACT[op](*[_exact(arg, values) for arg in node.args]))
    raise InexactError(op)


def _sized(value: Fraction) -> Fraction:
    if value.numerator.bit_length() > MAX_BITS or value.denominator.bit_length() > MAX_BITS:
        raise TooBigError("an integer of too many digits")
    return value


def _divide(top: Fraction, bottom: Fraction) -> Fraction:
    if bottom == 0:
        raise InexactError("division by zero")
    return top / bottom


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise InexactError("a root")
    if base == 0:
        if exponent <= 0:
            raise InexactError("0 to a power that is not positive")
        return Fraction(0)
    if abs(base) != 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(exponent) * (bits - 1) > MAX_BITS:
            raise TooBigError("a power")
    else:
        exponent = exponent % 2
    return base ** int(exponent)


def _square_root(value: Fraction) -> Fraction:
    if value < 0:
        raise InexactError("a root of a negative number")
    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if top * top != value.numerator or bottom * bottom != value.denominator:
        raise InexactError("an irrational root")
    return Fraction(top, bottom)


def _factorial(value: Fraction) -> Fraction:
    if value.denominator != 1 or value < 0:
        raise InexactError("factorial of what is no natural number")
    if value > 4000:
        raise TooBigError("a factorial")
    return Fraction(math.factorial(int(value)))


def _binomial(top: Fraction, bottom: Fraction) -> Fraction:
    if top.denominator != 1 or bottom.denominator != 1 or top < 0 or bottom < 0:
        raise InexactError("binomial of what are no natural numbers")
    if top > 4000:
        raise TooBigError("a binomial")
    return Fraction(math.comb(int(top), int(bottom)))


_EXACT: dict[str, Callable[..., Fraction]] = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "neg": lambda a: -a,
    "mixed": lambda a, b: a + b,
    "div": _divide,
    "pow": _power,
    "sqrt": _square_root,
    "fact": _factorial,
    "binom": _binomial,
    "abs": abs,
    "floor": lambda a: Fraction(math.floor(a)),
    "ceil": lambda a: Fraction(math.ceil(a)),
}

_local = threading.local()


def _context(digits: int) -> Any:
    """An mpmath context of this thread: the module's own has one precision for all threads."""
    contexts = _local.__dict__.setdefault("contexts", {})
    if digits not in contexts:
        from mpmath import MPContext

        contexts[digits] = MPContext()
        contexts[digits].dps = digits
    return contexts[digits]


def _tiny(digits: int) -> Any:
    return _context(DIGITS[1]).mpf(10) ** -digits


def _is_complex(value: Any) -> bool:
    return hasattr(value, "_mpc_") and abs(value.imag) > abs(value) * _tiny(30)


def _real_part(value: Any) -> Any:
    return value.real


def _number(node: Node, values: Mapping[str, Fraction], digits: int) -> Any:
    """The value to so many digits, an mpf or mpc; InexactError where there is none."""
    context = _context(digits)
    try:
        value = _evaluate(context, node, values)
    except (ZeroDivisionError, ValueError, OverflowError) as error:  # mpmath's for poles and domains
        raise InexactError(str(error)) from error
    if not context.isfinite(value):
        raise InexactError("not finite")
    return value


def _evaluate(context: Any, node: Node, values: Mapping[str, Fraction]) -> Any:
    op = node.op
    if op == "num":
        return context.mpf(node.value.numerator) / node.value.denominator
    if op == "var":
        value = values[node.value]
        return context.mpf(value.numerator) / value.denominator
    if op == "const":
        if node.value == "inf":
            raise InexactError("infinity")
        return {"pi": +context.pi, "e": +context.e, "i": context.mpc(0, 1)}[node.value]
    args = [_evaluate(context, arg, values) for arg in node.args]
    spend()
    if op == "call":
        return _call(context, node.value, args)
    return _bounded(context, _NUMERIC[op](context, *args))


def _bounded(context: Any, value: Any) -> Any:
    if value and context.isfinite(value) and abs(context.mag(value)) * math.log(2) > MAX_LOG:
        raise TooBigError("a value")
    return value


def _numeric_power(context: Any, base: Any, exponent: Any) -> Any:
    if base == 0:
        if _real_part(exponent) <= 0:
            raise InexactError("0 to a power that is not positive")
        return base
    if context.mag(exponent) > 60 or abs(exponent * context.log(abs(base))) > MAX_LOG:
        raise TooBigError("a power")
    return context.power(base, exponent)


def _numeric_factorial(context: Any, value: Any) -> Any:
    if abs(value) > 4000:
        raise TooBigError("a factorial")
    return context.gamma(value + 1)


def _numeric_binomial(context: Any, top: Any, bottom: Any) -> Any:
    if abs(top) > 4000 or abs(bottom) > 4000:
        raise TooBigError("a binomial")
    return context.binomial(top, bottom)


def _real(function: str) -> Callable[[Any, Any], Any]:
    def apply(context: Any, value: Any) -> Any:
        if _is_complex(value):
            raise InexactError(f"{function} of a complex number")
        return getattr(context, function)(_real_part(value))

    return apply


_NUMERIC: dict[str, Callable[..., Any]] = {
    "add": lambda context, a, b: a + b,
    "mul": lambda context, a, b: a * b,
    "neg": lambda context, a: -a,
    "mixed": lambda context, a, b: a + b,
    "div": lambda context, a, b: a / b,
    "pow": _numeric_power,
    "sqrt": lambda context, a: context.sqrt(a),
    "root": lambda context, a, k: _numeric_power(context, a, 1 / k),
    "fact": _numeric_factorial,
    "binom": _numeric_binomial,
    "abs": lambda context, a: abs(a),
    "floor": _real("floor"),
    "ceil": _real("ceil"),
    "deg": lambda context, a: a * context.pi / 180,
}

_CALLS = {
    "ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot", "arcsec": "asec",
    "arccsc": "acsc", "arsinh": "asinh", "arcosh": "acosh", "artanh": "atanh",
}  # fmt: skip


def _call(context: Any, name: str, args: list[Any]) -> Any:
    argument = args[0]
    if name == "arccot" and not _is_complex(argument):
        return context.pi / 2 - context.atan(argument)  # between 0 and pi, as textbooks have it
    if name == "cis":
        name, argument = "exp", argument * context.mpc(0, 1)
    if context.mag(argument) > 300:
        raise TooBigError("an argument")
    if name == "log" and len(args) == 2:
        return context.log(argument) / context.log(args[1])
    if name in ("exp", "sinh", "cosh", "tanh", "coth", "sin", "cos", "tan", "cot", "sec", "csc"):
        growing = argument if name in ("exp", "sinh", "cosh", "tanh", "coth") else getattr(argument, "imag", 0)
        if abs(growing) > MAX_LOG:
            raise TooBigError("an exponential")
    return _bounded(context, getattr(context, _CALLS.get(name, name))(argument))
