"""Exercises and their working by digits: numbers only, no words, no languages.

An exercise is an operation on two or three small whole numbers. Whether it is held out depends on the
operation and the numbers alone, so a held-out exercise is unseen in every language and wording.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

Operation = Literal["addition", "subtraction", "add_subtract", "multiplication"]
Split = Literal["train", "heldout"]

OPERATIONS: tuple[Operation, ...] = get_args(Operation)
HARD_OPERATION: Operation = "multiplication"
"""The kind at which the shipped base is weak, because its corpus rarely shows it."""

_HELDOUT_PERCENT = 12


@dataclass(frozen=True)
class Exercise:
    """An operation on whole numbers of at most two digits.

    Attributes:
        operation: what is done: a+b, a-b, a+b-c or a×b (a one digit, b two).
        operands: the numbers, in the order in which they are worded.
    """

    operation: Operation
    operands: tuple[int, ...]

    @property
    def answer(self) -> int:
        """The exact result."""
        a, b, *rest = self.operands
        if self.operation == "addition":
            return a + b
        if self.operation == "subtraction":
            return a - b
        if self.operation == "multiplication":
            return a * b
        return a + b - rest[0]

    @property
    def split(self) -> Split:
        """The side on which the numbers fall; 47+38 and 38+47 fall on the same one."""
        a, b, *rest = self.operands
        swaps = self.operation != "subtraction"
        key = [self.operation, *(sorted((a, b)) if swaps else (a, b)), *rest]
        digest = hashlib.sha256(" ".join(map(str, key)).encode()).digest()
        return "heldout" if int.from_bytes(digest[:4], "big") % 100 < _HELDOUT_PERCENT else "train"

    @property
    def moves_ten(self) -> bool:
        """Whether the units carry into the tens, or borrow from them."""
        return work(self).moved != 0

    @property
    def difficulty(self) -> float:
        """From 1 (two digits by two, nothing carried) to 4 (a product with a carry)."""
        base = {"addition": 1.0, "subtraction": 1.0, "add_subtract": 2.0, "multiplication": 3.0}[self.operation]
        return base + float(self.moves_ten)


@dataclass(frozen=True)
class Working:
    """An exercise worked by digits, rightly or not.

    Attributes:
        units: the sum written for the units, e.g. ``7+8=15``.
        digit: the units digit that it gives.
        moved: tens carried (positive) or borrowed (-1); 0 for neither.
        remembered: whether ``moved`` was taken into account in the tens.
        tens: the sum written for the tens, e.g. ``4+3+1=8``.
        result: the number that the working arrives at.
    """

    units: str
    digit: int
    moved: int
    remembered: bool
    tens: str
    result: int


def work(exercise: Exercise, *, forget: bool = False, units_slip: int = 0, tens_slip: int = 0) -> Working:
    """Work an exercise by digits, with the mistakes asked for; later steps follow from earlier mistakes.

    Args:
        exercise: what to work.
        forget: do not add the carry, or take off the borrow, in the tens.
        units_slip: added to the result for the units.
        tens_slip: added to the result for the tens.

    Returns:
        The working; its ``result`` is the exercise's answer when there is no mistake.
    """
    a, b, *rest = exercise.operands
    c = rest[0] if rest else 0
    (at, au), (bt, bu), (ct, cu) = divmod(a, 10), divmod(b, 10), divmod(c, 10)
    moved = 0
    if exercise.operation == "subtraction":
        moved = -1 if au < bu else 0
        units, value = f"{au - 10 * moved}-{bu}", au - 10 * moved - bu
        tens, total = f"{at}-{bt}", at - bt
    elif exercise.operation == "multiplication":
        units, value = f"{a}×{bu}", a * bu
        tens, total = f"{a}×{bt}", a * bt
    else:
        minus_units, minus_tens = (f"-{cu}", f"-{ct}") if rest else ("", "")
        units, value = f"{au}+{bu}{minus_units}", au + bu - cu
        tens, total = f"{at}+{bt}{minus_tens}", at + bt - ct
    value = max(value + units_slip, 0)
    if exercise.operation != "subtraction":
        moved = value // 10
    remembered = moved != 0 and not forget
    if remembered and exercise.operation == "multiplication":
        tens = f"{tens}={total}, {total}+{moved}"
    elif remembered:
        tens = f"{tens}{moved:+d}"
    total = max(total + (moved if remembered else 0) + tens_slip, 0)
    return Working(
        units=f"{units}={value}",
        digit=value % 10,
        moved=moved,
        remembered=remembered,
        tens=f"{tens}={total}",
        result=10 * total + value % 10,
    )


def _addition(rng: Random) -> tuple[int, ...]:
    return rng.randint(11, 99), rng.randint(11, 99)


def _subtraction(rng: Random) -> tuple[int, ...]:
    return rng.randint(21, 99), rng.randint(11, 89)


def _add_subtract(rng: Random) -> tuple[int, ...]:
    return rng.randint(11, 99), rng.randint(11, 99), rng.randint(11, 99)


def _multiplication(rng: Random) -> tuple[int, ...]:
    return rng.randint(2, 9), rng.randint(11, 99)


_DRAWS: dict[Operation, Callable[[Random], tuple[int, ...]]] = {
    "addition": _addition,
    "subtraction": _subtraction,
    "add_subtract": _add_subtract,
    "multiplication": _multiplication,
}
_MOVED_SHARE: dict[Operation, float] = {
    "addition": 0.65,
    "subtraction": 0.65,
    "add_subtract": 0.5,
    "multiplication": 0.75,
}


def _solvable(exercise: Exercise) -> bool:
    """Whether the working by digits stays positive and the result has at least two digits."""
    if exercise.operation != "add_subtract":
        return exercise.answer >= 10
    a, b, c = exercise.operands
    return exercise.answer >= 10 and a % 10 + b % 10 >= c % 10


def draw(operation: Operation, split: Split, rng: Random) -> Exercise:
    """Draw an exercise of one side of the split; a fixed share of each operation carries or borrows.

    Args:
        operation: what kind.
        split: which side.
        rng: the only source of chance.

    Returns:
        The exercise.
    """
    moved = rng.random() < _MOVED_SHARE[operation]
    while True:
        exercise = Exercise(operation, _DRAWS[operation](rng))
        if _solvable(exercise) and exercise.split == split and exercise.moves_ten == moved:
            return exercise
