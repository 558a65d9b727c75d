r"""SymPy's word on what the rules leave undecided: integrals in a reference, sets built from conditions, Γ and ζ.

Runs in a worker alone: neither the parser nor SymPy is bounded in time. Only what Math-Verify reads as
mathematics counts, never its fallback to strings, and what it calls equal must also agree in value. The time that
parsing takes doubles with every level of nesting: what is nested or long beyond mathematics is not looked at.
"""

from __future__ import annotations

import random
import re
from inspect import signature
from typing import Any

from magistral_recipe.verifiers.answers.text import MAX_LENGTH, clean

DIGITS = 30
MAX_NESTING = 12
"""Levels of brackets, and commands one right behind the other, that are read."""
_STEPS = re.compile(r"(?P<open>[({\[|]|\\begin)|(?P<close>[)}\]]|\\end)|(?P<row>(?:\\[a-zA-Z]+\s*)+)")


def equal(reference: str, answer: str) -> bool | None:
    """Tell whether two answers are equal, by Math-Verify and SymPy.

    Args:
        reference: one answer in LaTeX.
        answer: the other.

    Returns:
        Whether they are; ``None`` where one of them is no mathematics that SymPy reads.
    """
    if _beyond_reading(reference) or _beyond_reading(answer):
        return None
    from math_verify import verify

    gold, found = _parsed(reference), _parsed(answer)
    if gold is None or found is None:
        return None
    # Math-Verify's own timeouts need the main thread's signals and do not stop C code; the worker's do.
    # math-verify 0.5 has no such option.
    options = {"allow_set_relation_comp": True} if "allow_set_relation_comp" in signature(verify).parameters else {}
    if not verify([gold], [found], timeout_seconds=0, **options):
        return False
    return _values_agree(gold, found)


def _beyond_reading(text: str) -> bool:
    """Whether a text is longer, or nested deeper, than what the parser is let loose on."""
    if len(text) > MAX_LENGTH:
        return True
    depth = bars = 0
    for match in _STEPS.finditer(text):
        if match["open"] == "|":
            bars += 1
        elif match["open"]:
            depth += 1
        elif match["close"]:
            depth -= 1
        elif match["row"].count("\\") > MAX_NESTING:
            return True
        if max(depth, bars // 2) > MAX_NESTING:
            return True
    return False


def _parsed(text: str) -> Any | None:
    from math_verify import LatexExtractionConfig, parse

    extraction = [LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False)]
    boxed = rf"\boxed{{{clean(text)}}}"
    results = parse(boxed, extraction_config=extraction, extraction_mode="first_match", parsing_timeout=0)
    return next((result for result in results if not isinstance(result, str)), None)


def _values_agree(gold: Any, found: Any) -> bool:
    """Math-Verify rounds to six decimals: two expressions must also agree to many more digits at a point."""
    import sympy

    if not isinstance(gold, sympy.Expr) or not isinstance(found, sympy.Expr):
        return True
    source = random.Random(0)
    names = sorted({symbol.name for symbol in gold.free_symbols | found.free_symbols})
    point = {name: sympy.Rational(source.randint(200, 900), 311) for name in names}

    def value(expression: Any) -> Any:
        return expression.subs({symbol: point[symbol.name] for symbol in expression.free_symbols}).evalf(DIGITS)

    left, right = value(gold.doit()), value(found.doit())
    if not (left.is_number and right.is_number):
        return True
    scale = max(abs(left), abs(right))
    return bool(abs(left - right) <= scale * sympy.Float(10) ** -12)
