"""Whether two texts pose one problem in sentences that were built anew.

The strict comparison (`comparing`) follows words one by one. A fluent writer does more than it allows: clauses change
places, the passive stands for the active, "which" and "if" join what was apart. What survives is told here: all
numbers and formulas, most words, what stands beside each number, and what is asked. Another problem made of the first
one is mostly a small change of it, so texts that run alike for long are never judged here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import combinations

from magistral_recipe.curation.clauses import is_content
from magistral_recipe.curation.deciding import DECISIVE, word_set
from magistral_recipe.curation.formulas import Tree, leaves, rebuilt, shape
from magistral_recipe.curation.glossary import asks_in
from magistral_recipe.curation.likeness import Likeness
from magistral_recipe.curation.stems import other_forms

MOST_ALIKE = 0.66
"""Share of two texts' words that run alike in the same order, above which the change is a small one."""

_LEAST_EVIDENCE, _FORMULA_LEAVES = 3, 3
_LEAST_OF_SHORTER, _LEAST_OF_LONGER, _LEAST_OF_FORMAL, _LEAST_ALONE = 0.7, 0.55, 0.4, 0.85
_MOST_WORDS = 1000
_FEW_WORDS, _LEAST_FORMAL = 4, 0.6
_REACH = 6
_SIGN = re.compile(r"'([^']+)'")
_WAYS, _WAY = word_set("on off in out up down into onto away back"), 3
"""Which way something goes, which tells more of a number than any other word behind it: "9 get off"."""

_EXTRA = frozenset("123")
"""Numbers that a text may have more: "each of the three"."""

_QUANTITIES = word_set(
    "sum product difference quotient remainder maximum minimum greatest least median mode mean area perimeter volume "
    "radius diameter average somme produit reste suma producto resto somma prodotto summe produkt rest сумма "
    "произведение "
    "остаток 和 积 商 差"
)
_GENERAL = _QUANTITIES | word_set(
    "length distance measure size longueur largo longitud lunghezza lange laenge abstand distance distancia distanza "
    "длина "
    "longest"
)
"""What is asked of many things: of which one tells."""

_WRITTEN = word_set("sum product difference quotient")
"""What a formula says itself."""

_OPERATIONS = _QUANTITIES | word_set("times divided added subtracted plus minus even odd prime positive negative")
_KNOWN = word_set(
    "these those the all its their his her ces les diese diesen die der estos estas los las questi queste"
)
_NOT = word_set("not no without neither nor never non pas sans aucun sin ningun senza nessuno nicht ohne kein не без")
_NOT_HAN = frozenset("不没無无未非")


def reworded(here: Likeness, there: Likeness) -> bool:
    """Tell whether a text is another one told anew.

    Args:
        here: the text that may be the other one in disguise.
        there: the other one.

    Returns:
        Whether numbers, formulas, most words, what belongs to each number and the question agree, while the order of
        words does not.
    """
    if not comparable(here, there):
        return False
    if run_alike(here, there) > MOST_ALIKE:
        return False
    pair = _Pair(here, there)
    return pair.words_agree() and not pair.denies() and not pair.exchanged() and pair.asks_alike()


def comparable(here: Likeness, there: Likeness) -> bool:
    """Whether numbers and formulas of two texts are the same, as far as words may not stand for them."""
    sizes = map(len, (here.items, there.items, here.running, there.running))
    if not there.items or max(sizes) > _MOST_WORDS:
        return False
    mine, theirs = set(here.figures), set(there.figures)
    if not (mine - theirs <= _EXTRA and theirs - mine <= _EXTRA):
        return False
    if not all(_counts_again(there, number) for number in theirs - mine) or (mine ^ theirs) & _computed(here, there):
        return False
    return not (_built_anew(here, there) or _lettered_otherwise(here, there))


def _computed(*texts: Likeness) -> set[str]:
    """The numbers that stand beside letters in a formula: those are no words."""
    trees = (tree for text in texts for tree in text.formulas if any(leaves(tree, "v")))
    return {number for tree in trees for number in leaves(tree, "n")}


def _counts_again(text: Likeness, number: str) -> bool:
    """Whether a number counts only what is known: "these two countries"."""
    running = text.running
    return all(place > 0 and running[place - 1] in _KNOWN for place, token in enumerate(running) if token == number)


def large_figures(text: Likeness) -> tuple[str, ...]:
    """The numbers that texts to be compared have in common."""
    return tuple(number for number in text.figures if number not in _EXTRA)


def evidence(text: Likeness) -> int:
    """How much of a text can hardly be alike by chance: different numbers, and formulas of some length."""
    long = sum(sum(1 for kind in "nv" for _ in leaves(tree, kind)) >= _FORMULA_LEAVES for tree in text.formulas)
    longest = max((sum(1 for kind in "nv" for _ in leaves(tree, kind)) for tree in text.formulas), default=0)
    return len(text.figures) + long + (longest >= 2 * _FORMULA_LEAVES)


def run_alike(here: Likeness, there: Likeness) -> float:
    """Share of the words of both that run alike in the same order."""
    mine, theirs = here.running, there.running
    same = sum(block.size for block in SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks())
    return same / max(len(mine), len(theirs), 1)


def _built_anew(here: Likeness, there: Likeness) -> bool:
    """Whether a formula stands here that has other numbers there, or the same letters and numbers in other places."""
    mine, theirs = here.formulas - there.formulas, there.formulas - here.formulas
    return bool(_contents(mine) & _contents(theirs))


def _lettered_otherwise(here: Likeness, there: Likeness) -> bool:
    """Whether the formulas are built alike, of the same letters, which stand in other places."""
    mine, theirs = list(here.formulas - there.formulas), list(there.formulas - here.formulas)
    if not mine or Counter(map(shape, mine)) != Counter(map(shape, theirs)):
        return False
    letters = [{letter for tree in trees for letter in leaves(tree, "v")} for trees in (mine, theirs)]
    return letters[0] == letters[1]


def _formal_likeness(here: Likeness, there: Likeness) -> float:
    """Share of the signs, numbers and letters of both texts' formulas that they have in common; 1 without formulas."""
    mine, theirs = (Counter(_SIGN.findall(repr(sorted(map(shape, text.formulas))))) for text in (here, there))
    return (mine & theirs).total() / max(mine.total(), theirs.total(), 1) if mine or theirs else 1.0


def _contents(trees: frozenset[Tree]) -> set[Tree]:
    """What formulas are made of: their letters and numbers, and how they are built whatever the numbers."""
    found: set[Tree] = set()
    for tree in trees:
        letters, numbers = sorted(leaves(tree, "v")), sorted(leaves(tree, "n"))
        if len(letters) + len(numbers) > 1:
            found.add((*letters, *numbers))
        if letters and numbers:
            found.add(rebuilt(tree, lambda leaf: ("n", "0") if leaf[0] == "n" else leaf))
    return found


class _Pair:
    """Two texts as runs of words and numbers, forms of one word being one."""

    def __init__(self, here: Likeness, there: Likeness) -> None:
        self.here, self.there = here, there
        self.theirs = [_flat(clause) for clause in there.parts.clauses]
        forms = other_forms(here.words, there.words)
        self.mine = [[forms.get(item, item) for item in _flat(clause)] for clause in here.parts.clauses]

    def words_agree(self) -> bool:
        """Whether most words of each stand in the other."""
        mine, theirs = (
            {item for clause in clauses for item in clause if is_content(item) or item in _OPERATIONS}
            for clauses in (self.mine, self.theirs)
        )
        few, many = sorted((len(mine), len(theirs)))
        common = len(mine & theirs)
        if few < _FEW_WORDS and _formal_likeness(self.here, self.there) < _LEAST_FORMAL:
            return False
        if not few:
            return not many
        told = evidence(self.there)
        if told < _LEAST_EVIDENCE:
            return common >= _LEAST_ALONE * few and common >= _LEAST_OF_SHORTER * many
        formal = self.there.formulas and self.here.formulas == self.there.formulas
        common += bool(formal)  # a formula that is the same tells more than one word
        if told >= 2 * _LEAST_EVIDENCE:
            return common >= _LEAST_OF_LONGER * few and common >= _LEAST_OF_FORMAL * many
        return common >= _LEAST_OF_SHORTER * few and common >= _LEAST_OF_LONGER * many

    def denies(self) -> bool:
        """Whether one denies more than the other, which no sign of a formula says."""
        mine, theirs = (Counter(item for clause in clauses for item in clause) for clauses in (self.mine, self.theirs))
        return self._denials(mine) != self._denials(theirs) and self.here.formulas == self.there.formulas

    @staticmethod
    def _denials(words: Mapping[str, int]) -> int:
        return sum(many for word, many in words.items() if word in _NOT or word in _NOT_HAN)

    def exchanged(self) -> bool:
        """Whether two numbers would fit better each in the other's place."""
        return self.margin() > _CLEARLY

    def margin(self) -> float:
        """By how much two numbers or points fit better in each other's place."""
        mine, theirs = _beside(self.mine), _beside(self.theirs)
        figures = sorted(mine.keys() & theirs.keys())
        lists = listed(self.here.running) & listed(self.there.running)
        fit = {(one, other): _common(mine[one], theirs[other]) for one in figures for other in figures}
        return max(
            (
                fit[one, other] + fit[other, one] - fit[one, one] - fit[other, other]
                for one, other in combinations(figures, 2)
                if not {(one, other), (other, one)} & lists
            ),
            default=0.0,
        )

    def asks_alike(self) -> bool:
        """Whether the first words behind what asks are in the other's question as well."""
        asks = asks_in(self.here.parts.language)
        mine, theirs = _asked(self.mine, asks), _asked(self.theirs, asks)
        said = {item for clause in self.mine for item in clause}, {item for clause in self.theirs for item in clause}
        same = self.here.formulas and self.here.formulas == self.there.formulas
        new = _QUANTITIES - _WRITTEN if same else _QUANTITIES
        for asked, elsewhere in ((mine, said[1]), (theirs, said[0])):
            if any(word in new and word not in elsewhere for each in asked for word in each[:_NARROW]):
                return False
        if not mine or not theirs:
            return True
        found = _overlap(mine, theirs), _overlap(theirs, mine)
        if not any(found):
            return False
        # Of "their sum" nothing more is told; and words that the other text has not at all may ask for the same.
        return all(found) or not (
            (_first(mine) - _GENERAL and _first(theirs) - _GENERAL)
            and (_first(theirs) & said[0] if found[0] else _first(mine) & said[1])
        )


_CLEARLY, _WEIGHT = 1.0, 60
_NARROW, _WIDE = 2, 6


def _flat(clause: Sequence[str | Tree]) -> list[str]:
    """Words and numbers; of a formula its text."""
    return [item if isinstance(item, str) else repr(item) for item in clause]


def _beside(clauses: Sequence[Sequence[str]]) -> dict[str, Counter[str]]:
    """Of each number and formula what stands near it, the nearer the more; what stands near many tells less."""
    found: dict[str, Counter[str]] = {}
    flat = [
        (item, number)
        for number, clause in enumerate(clauses)
        for item in clause
        if is_content(item) or item in DECISIVE or item in _WAYS or _is_figure(item)
    ]
    for place, (item, clause) in enumerate(flat):
        if not _is_figure(item):
            continue
        near: Counter[str] = found.setdefault(item, Counter())
        for at in range(max(0, place - _REACH), min(len(flat), place + _REACH + 1)):
            word, other = flat[at]
            if at != place and (not _is_figure(word) or other == clause):
                near[word] = max(near[word], _WEIGHT // (abs(at - place) * (1 if other == clause else 2)))
        if place + 1 < len(flat) and flat[place + 1][1] == clause:
            near[f"of {flat[place + 1][0]}"] = _WEIGHT
        for word, other in flat[place + 1 : place + 1 + _REACH // 2]:
            if _is_figure(word) or other != clause:
                break
            if word in _WAYS:
                near[f"way {word}"] = _WAY * _WEIGHT
                break
    return found


def _is_figure(item: str) -> bool:
    return item[0].isdigit() or item.startswith("('t'")


def listed(running: Sequence[str]) -> set[tuple[str, str]]:
    """Pairs of numbers that stand in one list, whose order is no matter."""
    found: set[tuple[str, str]] = set()
    run: list[str] = []
    for token in (*running, ""):
        if token[:1].isdigit():
            run.append(token)
        elif token not in AND:
            found.update((one, other) for one in run[:_LONGEST_LIST] for other in run[:_LONGEST_LIST])
            run = []
    return found


_LETTER = re.compile(r"'(@.)'")
AND = word_set("and or et ou y o e und oder и или 和 与 或")
_LONGEST_LIST = 12


def _common(one: Counter[str], other: Counter[str]) -> float:
    return (one & other).total() / _WEIGHT


def _asked(clauses: Sequence[Sequence[str]], asks: frozenset[str]) -> list[list[str]]:
    """The words behind each one that asks."""
    flat = [item for clause in clauses for item in clause]
    found = (list(_telling(flat[place + 1 :])) for place, item in enumerate(flat) if item in asks)
    return [each for each in found if each]


def _overlap(narrow: list[list[str]], wide: list[list[str]]) -> bool:
    return bool(_first(narrow) & {word for each in wide for word in each[:_WIDE]})


def _first(asked: list[list[str]]) -> set[str]:
    """The first words, or letters, that are asked for and tell one question from another; else what many ask for."""
    found: set[str] = set()
    for each in asked:
        telling = [word for word in each[:_WIDE] if word not in _GENERAL]
        words = [word for word in telling if is_content(word) == is_content(telling[0])]
        found.update((words or each)[:_NARROW])
    return found


def _telling(items: Sequence[str]) -> Iterator[str]:
    for item in items:
        if item[0] == "(":
            yield from _LETTER.findall(item)
        if is_content(item) or item[0] in "@(" or item in _QUANTITIES:
            yield item
