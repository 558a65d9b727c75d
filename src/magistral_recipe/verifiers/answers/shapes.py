"""Shapes of answers, what `reading` makes of a text and `compare` compares.

An answer is a quantity (a number or expression, perhaps with a unit), a list (bare, tuple, set, interval),
a union of those, a matrix, a relation (equation, inequality), words, or opaque: a text that is compared as
it stands, and by SymPy where both sides are mathematics.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from magistral_recipe.verifiers.answers.expressions import Node


@dataclass(frozen=True)
class Shape:
    """Base of all shapes; ``text`` is the answer in clean notation without spaces."""

    text: str


@dataclass(frozen=True)
class Quantity(Shape):
    """A number or an expression, perhaps with a unit.

    ``value`` is its exact value where it is written as a number (an integer, a decimal, one fraction, a mixed
    number, in powers of ten), else ``None``; ``fraction`` says that it is written as a fraction; ``places`` counts
    the decimal places of a decimal.
    """

    node: Node
    unit: str | None = None
    value: Fraction | None = None
    fraction: bool = False
    places: int | None = None


@dataclass(frozen=True)
class Listing(Shape):
    """Several answers: ``brackets`` is ``""``, ``{}``, ``:`` for a ratio, or a pair of ``( [`` and ``) ]``."""

    brackets: str
    items: tuple[Shape, ...]


@dataclass(frozen=True)
class Union(Shape):
    """Intervals and sets joined by cups."""

    parts: tuple[Shape, ...]


@dataclass(frozen=True)
class Matrix(Shape):
    """Rows of entries."""

    rows: tuple[tuple[Shape, ...], ...]


@dataclass(frozen=True)
class Relation(Shape):
    """``sides[0] op sides[1] ...``; ``label`` names the left side of an equation that only gives a value its name."""

    ops: tuple[str, ...]
    sides: tuple[Shape, ...]
    label: str | None = None


@dataclass(frozen=True)
class Words(Shape):
    """Prose, or the letter of a choice with what follows it."""

    words: str
    rest: str = ""


@dataclass(frozen=True)
class Opaque(Shape):
    """What has no other shape.

    ``why`` is ``unread`` (perhaps SymPy knows), ``exact`` (compared as it stands), ``unevaluated`` (an integral, a
    sum ...), ``hedge``, or ``broken``.
    """

    why: str = "unread"
