"""Shapes of answers, what `reading` makes of a text and `compare` compares.

An answer is a quantity (a number or expression, perhaps with a unit), a list (bare, tuple, set, interval),
a union of those, a matrix, a relation (equation, inequality), words, or opaque: a text that is compared as
it stands, and by SymPy where both sides are mathematics.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from magistral_recipe.verifiers.answers.expressions import Node


@dataclass(frozen=True)
class Shape:
    """Base of all shapes.

    ``text`` is the answer in clean notation without spaces; ``bound`` holds the letters that the answer itself calls
    arbitrary (``k \\in \\mathbb{Z}``, "for any real c") and may be called otherwise.
    """

    text: str
    bound: frozenset[str] = field(default=frozenset(), kw_only=True)


@dataclass(frozen=True)
class Quantity(Shape):
    """A number or an expression, perhaps with a unit.

    ``value`` is its exact value where it is written as a number (an integer, a decimal, one fraction, a mixed
    number, in powers of ten), else ``None``; ``fraction`` says that it is written as a fraction; ``places`` counts
    the decimal places of a decimal, less the exponent of its power of ten; ``digits`` its digits.
    """

    node: Node
    unit: str | None = None
    value: Fraction | None = None
    fraction: bool = False
    places: int | None = None
    digits: int = 0


@dataclass(frozen=True)
class Listing(Shape):
    """Several answers: ``brackets`` is ``""``, ``{}``, ``:`` for a ratio, or a pair of ``( [`` and ``) ]``.

    ``joint`` is the word between them where there is one: ``or``, ``and``.
    """

    brackets: str
    items: tuple[Shape, ...]
    joint: str = ","


@dataclass(frozen=True)
class Union(Shape):
    """Intervals and sets joined by cups."""

    parts: tuple[Shape, ...]


@dataclass(frozen=True)
class Difference(Shape):
    """A set without the members of another."""

    whole: Shape
    removed: Shape


@dataclass(frozen=True)
class Congruence(Shape):
    """``subject = residues (mod modulus)``; the subject may be missing."""

    subject: str
    residues: tuple[int, ...]
    modulus: int


@dataclass(frozen=True)
class Clock(Shape):
    """A time of day: minutes since midnight; ``half`` says whether ``am`` or ``pm`` was written."""

    minutes: int
    half: str = ""


@dataclass(frozen=True)
class Matrix(Shape):
    """Rows of entries."""

    rows: tuple[tuple[Shape, ...], ...]


@dataclass(frozen=True)
class Relation(Shape):
    """``sides[0] op sides[1] ...``.

    ``label`` names the left side of an equation that only gives a value its name; ``names`` holds all names of
    ``x=y=4``, whose sides are those of ``x=4``.
    """

    ops: tuple[str, ...]
    sides: tuple[Shape, ...]
    label: str | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Words(Shape):
    """Prose, or the letter of a choice with what follows it.

    ``product`` is what a run of letters means as a product of variables.
    """

    words: str
    rest: str = ""
    product: Node | None = None


@dataclass(frozen=True)
class Opaque(Shape):
    """What has no other shape.

    ``why`` is ``unread`` (perhaps SymPy knows), ``exact`` (compared as it stands), ``unevaluated`` (an integral, a
    sum ...), ``hedge``, or ``broken``.
    """

    why: str = "unread"
