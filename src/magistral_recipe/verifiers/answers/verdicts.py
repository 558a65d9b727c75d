"""What comparing two answers comes to, the rules that users may set, and how the rules call each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from magistral_recipe.verifiers.answers.shapes import Shape


class Verdict(NamedTuple):
    """``right`` is None while undecided; the reason is one of right, wrong, hedge, restated, unreadable, timeout."""

    right: bool | None
    reason: str


RIGHT = Verdict(True, "right")
WRONG = Verdict(False, "wrong")
HEDGE = Verdict(False, "hedge")
RESTATED = Verdict(False, "restated")
UNREADABLE = Verdict(False, "unreadable")
UNDECIDED = Verdict(None, "undecided")


@dataclass(frozen=True)
class Rules:
    r"""Conventions on which users differ.

    Attributes:
        unsimplified: whether arithmetic that is left to compute (``17 \cdot 23`` for 391) is an answer.
        rounding: significant digits that a decimal needs to stand for an exact value that it rounds.
    """

    unsimplified: Literal["refuse", "accept"] = "refuse"
    rounding: int = 6


class Compare(Protocol):
    """Compares two shapes of any kind, as the rules for one kind need it for their parts."""

    @property
    def rules(self) -> Rules: ...

    def __call__(self, wanted: Shape, found: Shape) -> Verdict: ...
