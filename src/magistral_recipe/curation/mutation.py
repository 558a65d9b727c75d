"""New inputs for a problem's tests, derived from those that are there.

What the inputs must satisfy stands in the problem's words, which nobody reads here. So a new input keeps the shape of
one that is there: the same lines and as many values in each, and numbers that tell how much of something follows stay.
Only values change: drawn anew between the smallest and the largest that stand in their place, put in another order, or
taken from another input of the same shape. An input may break a rule all the same (a graph that is no tree any more, a
left end behind the right one); whoever uses it must see what the solutions say, and take none on which they differ.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

LONGEST = 4096
"""Bytes of inputs that are derived from: small ones say as much, and running them costs less."""
CHANGES = 3
"""Values that one mutation draws anew, at most."""
TRIES = 4
"""How often as many inputs are made as are asked for, at most: some are there already, or come twice."""

_HEAD = 3  # lines that have their own meaning; those behind them are like each other
_COLUMNS = 4  # in a line with more values than these, one is like the other
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_WORD = re.compile(r"[A-Za-z01.#*]+")

Role = tuple[Any, ...]


@dataclass(frozen=True)
class Leaf:
    """A value of an input that may change.

    Attributes:
        role: values of one role are like each other.
        group: values of one group stand in one line or list, where their order may change.
        value: a number or a word.
        free: whether a word's letters may change, as of one that stands alone.
    """

    role: Role
    group: Role
    value: int | str
    free: bool = True


@dataclass(frozen=True)
class Form:
    """An input taken apart.

    Attributes:
        leaves: the values that may change.
        write: puts an input together from other values.
    """

    leaves: tuple[Leaf, ...]
    write: Callable[[Sequence[int | str]], str]

    @property
    def shape(self) -> tuple[tuple[Role, type], ...]:
        """Inputs of one shape may exchange values."""
        return tuple((leaf.group, type(leaf.value)) for leaf in self.leaves)


def derived_inputs(inputs: Sequence[str], count: int, seed: str, *, calls: bool = False) -> list[str]:
    """Derive inputs.

    Args:
        inputs: those that are there.
        count: how many are wanted.
        seed: of the draw.
        calls: whether they are calls as JSON, of which only arguments change, rather than standard input.

    Returns:
        At most `count` new ones, none of them twice; none where nothing in them may change.
    """
    forms = [(calls_form if calls else text_form)(text) for text in inputs if len(text) <= LONGEST]
    forms = [form for form in forms if form.leaves]
    draw, there, made = random.Random(seed), set(inputs), list[str]()
    if not forms:
        return made
    pools = _Pools(forms)
    for _ in range(TRIES * count):
        if len(made) == count:
            break
        new = _mutated(draw.choice(forms), forms, pools, draw)
        if new not in there:
            there.add(new)
            made.append(new)
    return made


def _mutated(form: Form, forms: Sequence[Form], pools: _Pools, draw: random.Random) -> str:
    values: list[int | str] = [leaf.value for leaf in form.leaves]
    how = draw.choice((_redraw, _redraw, _reorder, _exchange))
    how(values, form, forms, pools, draw)
    return form.write(values)


def _redraw(values: list[int | str], form: Form, forms: Sequence[Form], pools: _Pools, draw: random.Random) -> None:
    for place in draw.sample(range(len(values)), min(len(values), draw.randint(1, CHANGES))):
        values[place] = pools.draw(form, form.leaves[place], draw)


def _reorder(values: list[int | str], form: Form, forms: Sequence[Form], pools: _Pools, draw: random.Random) -> None:
    groups: dict[tuple[Role, type], list[int]] = {}
    for place, leaf in enumerate(form.leaves):
        groups.setdefault((leaf.group, type(leaf.value)), []).append(place)
    several = [places for places in groups.values() if len(places) > 2]
    if not several:
        return _redraw(values, form, forms, pools, draw)
    places = draw.choice(several)
    for place, value in zip(places, draw.sample([values[place] for place in places], len(places)), strict=True):
        values[place] = value
    return None


def _exchange(values: list[int | str], form: Form, forms: Sequence[Form], pools: _Pools, draw: random.Random) -> None:
    alike = [other for other in forms if other is not form and other.shape == form.shape]
    if not alike:
        return _redraw(values, form, forms, pools, draw)
    other = draw.choice(alike)
    for place, leaf in enumerate(other.leaves):
        if draw.random() < 0.5:
            values[place] = leaf.value
    return None


class _Pools:
    """What stands in each role: in one input where that has several such values, else in all inputs."""

    def __init__(self, forms: Sequence[Form]) -> None:
        self.everywhere: dict[Role, list[int | str]] = {}
        for form in forms:
            for leaf in form.leaves:
                self.everywhere.setdefault(leaf.role, []).append(leaf.value)

    def draw(self, form: Form, leaf: Leaf, draw: random.Random) -> int | str:
        here = [other.value for other in form.leaves if other.role == leaf.role]
        pool = here if len(here) > 2 else self.everywhere[leaf.role]
        if isinstance(leaf.value, int):
            numbers = [value for value in pool if isinstance(value, int)]
            return draw.randint(min(numbers), max(numbers))
        words = [value for value in pool if isinstance(value, str) and (leaf.free or len(value) == len(leaf.value))]
        if not leaf.free:  # it may be a command's name: only another that stands there will do
            return draw.choice(sorted(set(words)))
        letters = sorted({letter for word in words for letter in word})
        return "".join(draw.choice(letters) for _ in leaf.value)


# ------------------------------------------------------------------------------------------------- standard input


def text_form(text: str) -> Form:
    """Take standard input apart: integers and words that don't tell how much follows."""
    lines = [re.split(r"([ \t]+)", line) for line in text.split("\n")]
    tokens = [[token for token in line if token.strip()] for line in lines]
    places, leaves = list[tuple[int, int]](), list[Leaf]()
    for number, line in enumerate(lines):
        column = 0
        for at, token in enumerate(line):
            if not token.strip():
                continue
            value = _value(token)
            if value is not None and not (isinstance(value, int) and _counts(value, number, tokens)):
                kind = "*" if len(tokens[number]) > _COLUMNS else column
                role = (min(number, _HEAD), kind)
                leaves.append(Leaf(role, (number, "*"), value, free=len(tokens[number]) == 1))
                places.append((number, at))
            column += 1
    leaves, places = _without_bounds(leaves, places)
    return Form(tuple(leaves), partial(_write_text, lines, places))


def _write_text(lines: Sequence[Sequence[str]], places: Sequence[tuple[int, int]], values: Sequence[int | str]) -> str:
    new = [list(line) for line in lines]
    for (number, at), value in zip(places, values, strict=True):
        new[number][at] = str(value)
    return "\n".join("".join(line) for line in new)


def _value(token: str) -> int | str | None:
    if _INTEGER.fullmatch(token):
        value = int(token)
        return value if str(value) == token else None  # 007 is a name, +5 another spelling
    return token if _WORD.fullmatch(token) else None


def _counts(value: int, number: int, tokens: Sequence[Sequence[str]]) -> bool:
    """Whether a number tells how many lines, values or letters follow, or is the number of something in its line."""
    behind = [line for line in tokens[number + 1 :] if line]
    sizes = {len(behind), *(len(line) for line in behind)}
    sizes |= {len(line[0]) for line in behind if len(line) == 1 and not _INTEGER.fullmatch(line[0])}
    multiple = value > 1 and number == 0 and bool(behind) and len(behind) % value == 0
    return value in sizes or multiple or value == len(tokens[number]) - 1 > 1


def _without_bounds(leaves: list[Leaf], places: list[tuple[int, int]]) -> tuple[list[Leaf], list[tuple[int, int]]]:
    """Leave out numbers in front that no number behind exceeds: they may be a bound, such as a number of nodes."""
    kept = []
    for at, leaf in enumerate(leaves):
        line = places[at][0]
        behind = [
            other.value
            for other, place in zip(leaves, places, strict=True)
            if place[0] > line and isinstance(other.value, int)
        ]
        bound = isinstance(leaf.value, int) and line < 2 and len(behind) > 2 and leaf.value >= max(behind)
        if not bound:
            kept.append(at)
    return [leaves[at] for at in kept], [places[at] for at in kept]


# ---------------------------------------------------------------------------------------------------------- calls


def calls_form(text: str) -> Form:
    """Take a call apart: whole numbers and texts in its arguments, but for those that are the length of another."""
    call = json.loads(text)
    arguments = {"args": call.get("args", []), "kwargs": call.get("kwargs", {})}
    lengths = {len(each) for each in _containers(arguments)}
    found = [(path, value) for path, value in _values(arguments, ()) if isinstance(value, str) or value not in lengths]
    leaves = tuple(Leaf(_role(path), _group(path), value) for path, value in found)
    return Form(leaves, partial(_write_call, text, [path for path, _ in found]))


def _values(tree: Any, path: Role) -> Iterator[tuple[Role, int | str]]:
    items: Sequence[tuple[Any, Any]] = ()
    if isinstance(tree, dict):
        items = list(tree.items())
    elif isinstance(tree, list):
        items = list(enumerate(tree))
    elif (isinstance(tree, int) and not isinstance(tree, bool)) or (isinstance(tree, str) and tree):
        yield path, tree
    for key, each in items:
        yield from _values(each, (*path, key))


def _containers(tree: Any) -> Iterator[Any]:
    if isinstance(tree, str | list):
        yield tree
    if isinstance(tree, list | dict):
        for each in tree.values() if isinstance(tree, dict) else tree:
            yield from _containers(each)


def _role(path: Role) -> Role:
    """An argument's own place; within it, all places of a list are like each other."""
    return (*path[:2], *("*" if isinstance(key, int) else key for key in path[2:]))


def _group(path: Role) -> Role:
    return (*path[:-1], "*") if len(path) > 2 else path


def _write_call(text: str, paths: Sequence[Role], values: Sequence[int | str]) -> str:
    call = json.loads(text)
    for path, value in zip(paths, values, strict=True):
        place = call
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
    return json.dumps(call)
