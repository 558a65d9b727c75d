"""Formulas as trees in which the order of terms, factors and sides is no matter, and letters may have other names.

Not algebra: `2(x + 1)` and `2x + 2` are two formulas; but 3/4 is 0.75. A tree is a nested tuple; the first entry tells
its kind: `("n", "2")`, `("v", "x")`, `("+", term, ...)`, `("*", factor, ...)`, `("/", divisor)` within a product,
`("^", base, exponent)`. What is commutative is sorted, so that equal trees are one formula.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import gcd
from typing import Any

from magistral_recipe.curation.deciding import word_set

Tree = tuple[Any, ...]

RELATIONS = {
    "=": "=",
    "<": "<",
    ">": "<",
    "≤": "≤",
    "≥": "≤",
    "≠": "≠",
    "≡": "≡",
    "≈": "≈",
    "∈": "∈",
    "→": "→",
    "⊂": "⊂",
}
_TURNED = frozenset((">", "≥"))
_ALIKE = frozenset(("=", "≠", "≡", "≈", "ratio"))
FUNCTIONS = word_set(
    "sin cos tan cot sec csc log ln lg exp max min lim det arcsin arccos arctan sinh cosh tanh binom root"
)
CONSTANTS = frozenset("∞…π∑∫∏°")
OPENING, CLOSING = "([⌈⌊", ")]⌉⌋"
SIGNS = frozenset("+-±∓×/^_!′|:∪∩~√").union(RELATIONS, CONSTANTS, OPENING, CLOSING, ",")
"""What formulas consist of beside numbers and letters; a bracket and a comma alone make none."""

_MOST_TOKENS, _DEEPEST = 300, 30
_MOST_DIGITS = 6
_MOST_TRIES = 200


def parsed(tokens: Sequence[str]) -> list[Tree]:
    """Read a run of numbers, letters and signs.

    Args:
        tokens: letters as `@x`, numbers, signs of `SIGNS` and names of `FUNCTIONS`.

    Returns:
        A tree for each formula that a comma parts; what can't be read is a tree of kind "?".
    """
    if len(tokens) > _MOST_TOKENS:
        return [("?", *sorted(Counter(tokens).items()))]
    if len(tokens) > 2 and set(tokens[1::2]) == {":"} and len(tokens) % 2:
        return [("ratio", *sorted(("v" if token[0] == "@" else "n", token) for token in tokens[::2]))]
    reader = _Reader(tokens)
    found: list[Tree] = []
    while reader.place < len(tokens):
        before = reader.place
        try:
            tree = reader.relation(0)
        except _TooDeepError:
            return [("?", *sorted(Counter(tokens).items()))]
        if tree is not None:
            found.extend(tree[3:] if tree[0] == "t" and tree[1:3] == ("(", ")") else [tree])
        if reader.place == before or reader.ahead == ",":
            reader.place += 1
    return found


class _TooDeepError(Exception):
    """Brackets within brackets beyond all sense."""


class _Reader:
    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens, self.place, self.bars = tokens, 0, 0

    @property
    def ahead(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def relation(self, depth: int) -> Tree | None:
        if depth > _DEEPEST:
            raise _TooDeepError
        sides, signs = [self.sum(depth)], []
        while self.ahead in RELATIONS or self.ahead == "mod" or (self.ahead == "|" and not self.bars):
            signs.append(self.ahead)
            self.place += 1
            sides.append(self.sum(depth))
        if not signs:
            return sides[0]
        return _related([side or ("?",) for side in sides], signs)

    def sum(self, depth: int) -> Tree | None:
        terms = []
        while True:
            sign = ""
            while self.ahead in ("+", "-", "±", "∓"):
                sign = "-" if (self.ahead, sign) == ("-", "") else "" if self.ahead == sign == "-" else self.ahead
                self.place += 1
            term = self.product(depth)
            if term is not None:
                terms.append((sign, term) if sign in ("-", "±", "∓") else term)
            elif sign:
                terms.append((sign or "+", ("?",)))
            if self.ahead not in ("+", "-", "±", "∓"):
                return made("+", terms) if terms else None

    def product(self, depth: int) -> Tree | None:
        factors: list[Tree] = []
        after = ""
        while True:
            if self.ahead in ("×", "/", ":", "∪", "∩", "~"):
                after = self.ahead
                self.place += 1
            if after and self.ahead == "-":
                self.place += 1
                factors.append(("n", "-1"))
            before = self.tokens[self.place - 1] if self.place else ""
            if not after and factors and before[:1].isdigit() and self.ahead[:1].isdigit():
                break
            factor = self.power(depth)
            if factor is None:
                break
            factors.append(
                ("/", factor) if after == "/" else (after, factor) if after in (":", "∪", "∩", "~") else factor
            )
            after = ""
        return made("*", factors) if factors else None

    def power(self, depth: int) -> Tree | None:
        if depth > _DEEPEST:
            raise _TooDeepError
        found = self.primary(depth)
        while found is not None:
            sign = self.ahead
            if sign in ("^", "_"):
                self.place += 1
                if minus := self.ahead == "-":
                    self.place += 1
                other = self.primary(depth + 1) or ("?",)
                found = (sign, found, ("-", other) if minus else other)
            elif sign in ("!", "′"):
                self.place += 1
                found = (sign, found)
            else:
                break
        return found

    def primary(self, depth: int) -> Tree | None:
        token = self.ahead
        if not token or (token == "|" and self.bars):
            return None
        if token[0].isdigit():
            self.place += 1
            return ("n", token)
        if token[0] == "@":
            self.place += 1
            return ("v", token)
        if token in CONSTANTS:
            self.place += 1
            return ("c", token)
        if token == "√" or token in FUNCTIONS:
            return self._function(token, depth)
        if token in OPENING:
            return self._brackets(token, depth)
        if token == "|" and "|" in self.tokens[self.place + 1 :]:
            self.place += 1
            self.bars += 1
            inner = self.relation(depth + 1)
            self.bars -= 1
            self.place += self.ahead == "|"
            return ("abs", inner)
        return None

    def _function(self, name: str, depth: int) -> Tree:
        self.place += 1
        marks: list[Any] = []
        while self.ahead in ("^", "_"):  # sin^2 x, log_2 x
            self.place += 1
            marks.append((self.tokens[self.place - 1], self.primary(depth + 1)))
        argument = self.power(depth + 1)
        if name == "root":
            return ("f", name, argument, self.power(depth + 1))
        while argument is not None and (self.ahead[:1] == "@") and argument[0] in "nv":
            argument = made("*", [argument, self.power(depth + 1) or ("?",)])  # sin 2x
        if len(marks) == 1 and marks[0][0] == "^" and marks[0][1] is not None and marks[0][1][0] == "n":
            return ("^", ("f", name, argument), marks[0][1])  # sin^2 x is (sin x)^2
        return ("f", name, *marks, argument)

    def _brackets(self, opening: str, depth: int) -> Tree:
        self.place += 1
        items, bars, self.bars = [], self.bars, 0
        while self.ahead and self.ahead not in CLOSING:
            before = self.place
            item = self.relation(depth + 1)
            if item is not None:
                items.append(item)
            if self.place == before or self.ahead == ",":
                self.place += 1
        closing, self.bars = self.ahead, bars
        self.place += bool(closing)  # one that is never closed ends with the text
        if opening in "⌈⌊":
            return ("f", opening, *items)
        if len(items) == 1:
            return items[0]  # type: ignore[no-any-return]
        return ("t", opening, closing, *items)


def made(kind: str, parts: Iterable[Tree]) -> Tree:
    """A sum, a product: flat, sorted, and what it holds where that is one thing."""
    flat: list[Tree] = []
    for part in parts:
        flat.extend(part[1:] if part[0] == kind else [part])
    if kind == "*":
        flat = _as_decimal(flat)
    if len(flat) == 1 and flat[0][0] != "/":
        return flat[0]
    return (kind, *sorted(flat, key=repr))


def _as_decimal(factors: list[Tree]) -> list[Tree]:
    """A factor 3/4 as 0.75: a quotient of two numbers in lowest terms that ends after a few digits."""
    numbers = [each for each in factors if each[0] == "n"]
    divisors = [each[1] for each in factors if each[0] == "/" and each[1][0] == "n"]
    if len(numbers) != 1 or len(divisors) != 1:
        return factors
    above, below = numbers[0][1], divisors[0][1]
    if not (above.isdigit() and below.isdigit()) or len(above) > _MOST_DIGITS or not 1 < int(below or 0) <= 1000:
        return factors
    if 1000 % int(below) or gcd(int(above), int(below)) != 1:
        return factors
    rest = [each for each in factors if each not in (numbers[0], ("/", divisors[0]))]
    return [*rest, ("n", f"{int(above) / int(below):.10g}")]


def _related(sides: list[Tree], signs: list[str]) -> Tree:
    if len(signs) == 1:
        sign, (left, right) = RELATIONS.get(signs[0], signs[0]), sides
        if sign in _ALIKE:
            return (sign, *sorted(sides, key=repr))
        return (sign, right, left) if signs[0] in _TURNED else (sign, left, right)
    if set(signs) == {"="}:
        return ("=", *sorted(sides, key=repr))
    if signs[0] in _TURNED:
        sides, signs = sides[::-1], signs[::-1]
    return ("chain", *(RELATIONS.get(sign, sign) for sign in signs), *sides)


def rebuilt(tree: Tree, leaf: Callable[[Tree], Tree]) -> Tree:
    """A tree with other leaves, sorted anew."""
    kind = tree[0]
    if kind in ("n", "v", "c", "?"):
        return leaf(tree)
    parts = [rebuilt(part, leaf) if isinstance(part, tuple) else part for part in tree[1:]]
    if kind in ("+", "*"):
        return made(kind, parts)
    if kind in _ALIKE:
        return (kind, *sorted(parts, key=repr))
    return (kind, *parts)


def leaves(tree: Tree, kind: str) -> Iterator[str]:
    """The letters ("v") or numbers ("n") of a tree."""
    if tree[0] == kind:
        yield tree[1]
    elif tree[0] not in ("n", "v", "c", "?"):
        for part in tree[1:]:
            if isinstance(part, tuple):
                yield from leaves(part, kind)


def shape(tree: Tree) -> Tree:
    """A tree whose letters are all one."""
    return rebuilt(tree, lambda leaf: ("v", "@") if leaf[0] == "v" else leaf)


def renamed(tree: Tree, names: Mapping[str, str]) -> Tree:
    return rebuilt(tree, lambda leaf: ("v", names.get(leaf[1], leaf[1])) if leaf[0] == "v" else leaf)


def renamings(mine: Sequence[Tree], theirs: Sequence[Tree]) -> Iterator[dict[str, str]]:
    """Ways to rename the letters of some formulas so that they are some others; keeping all comes first.

    Args:
        mine: different formulas.
        theirs: as many others.

    Yields:
        Letter of `mine` → letter of `theirs`, one to one; a bounded number of ways is tried.
    """
    if sorted(map(repr, map(shape, mine))) != sorted(map(repr, map(shape, theirs))):
        return
    wanted = set(theirs)
    if set(mine) == wanted:
        yield {letter: letter for tree in mine for letter in leaves(tree, "v")}
    marks, others = _marks(mine), _marks(theirs)
    if sorted(marks.values()) != sorted(others.values()):
        return
    fitting = {letter: [other for other in others if others[other] == mark] for letter, mark in marks.items()}
    order = sorted(fitting, key=lambda letter: (len(fitting[letter]), letter))
    tries = 0

    def assigned(place: int, names: dict[str, str]) -> Iterator[dict[str, str]]:
        nonlocal tries
        if tries >= _MOST_TRIES:
            return
        if place == len(order):
            tries += 1
            if {renamed(tree, names) for tree in mine} == wanted:
                yield dict(names)
            return
        letter = order[place]
        taken = set(names.values())
        for other in sorted(fitting[letter], key=lambda each: each != letter):
            if other not in taken:
                yield from assigned(place + 1, {**names, letter: other})

    yield from assigned(0, {})


def _marks(trees: Sequence[Tree]) -> dict[str, str]:
    """What tells each letter from others: the shapes in which it stands, it being marked."""
    found: dict[str, list[str]] = {}
    for tree in trees:
        for letter in set(leaves(tree, "v")):

            def leaf(each: Tree, marked: str = letter) -> Tree:
                return ("v", "!" if each[1] == marked else "@") if each[0] == "v" else each

            found.setdefault(letter, []).append(repr(rebuilt(tree, leaf)))
    return {letter: repr(sorted(shapes)) for letter, shapes in found.items()}
