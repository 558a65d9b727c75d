r"""SymPy's word on what the rules leave undecided: integrals in a reference, sets built from conditions, Γ and ζ.

Runs in a worker alone: neither the parser nor SymPy is bounded in time. Only what Math-Verify reads as
mathematics counts, never its fallback to strings, and what it calls equal must also agree in value.
"""

from __future__ import annotations

import random
from typing import Any

from magistral_recipe.verifiers.answers.text import clean

DIGITS = 30


def equal(reference: str, answer: str) -> bool | None:
    """Tell whether two answers are equal, by Math-Verify and SymPy.

    Args:
        reference: one answer in LaTeX.
        answer: the other.

    Returns:
        Whether they are; ``None`` where one of them is no mathematics that SymPy reads.
    """
    from math_verify import verify

    gold, found = _parsed(reference), _parsed(answer)
    if gold is None or found is None:
        return None
    # Math-Verify's own timeouts need the main thread's signals and do not stop C code; the worker's do.
    if not verify([gold], [found], timeout_seconds=None, allow_set_relation_comp=True):
        return False
    return _values_agree(gold, found)


def _parsed(text: str) -> Any | None:
    from math_verify import LatexExtractionConfig, parse

    extraction = [LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False)]
    boxed = rf"\boxed{{{clean(text)}}}"
    results = parse(boxed, extraction_config=extraction, extraction_mode="first_match", parsing_timeout=None)
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
