"""What a problem's text says once names, punctuation, instructions and the order of sentences are taken out.

Two texts pose one problem when three things agree. *What is computed with*: the same numbers and signs, as often. *How
they stand to each other*: numbers, signs, variables and words such as "more" in no other order, and no number at the
thing or the person that another number has there; "5 more than 3" and "3 more than 5" differ here, and so do problems
made from one template. *What it is about*: the words, of which a large share must be the same and none another. Names
of people and places are one word, whatever they are, and so are pronouns (German, whose nouns are all written like
names, keeps its own); variables may have other letters, and words that only hold a sentence together don't count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise

from magistral_recipe.curation.deciding import (
    COMPARES,
    DECISIVE,
    ENGLISH,
    GERMAN,
    LAYOUT,
    MANY,
    NEUTRAL,
    PRONOUNS,
    SIGNS,
    STARTERS,
    UNITS,
)
from magistral_recipe.curation.number_words import NUMBER_WORDS
from magistral_recipe.curation.spelling import one_spelling
from magistral_recipe.data.instructions import problem_parts

# Kana and Han characters, which are written without spaces.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# In this order: a LaTeX command, a number, one unspaced character, a word, a factorial, a sign that has a meaning.
_TOKEN = re.compile(
    rf"\\[A-Za-z]+|\d+(?:,\d{{3}})+(?:\.\d+)?(?![\d])|\d+(?:[.,]\d+)*|[{_UNSPACED}]|[^\W\d_{_UNSPACED}]+|"
    r"(?<![^\W\d_][^\W\d_])(?<=[\w)}])!|[+\-−*/=<>^%×÷·±√∑∫≤≥≠|]"
)
# Of a compound or an elision; between two single letters it is a minus.
_BETWEEN_LETTERS = re.compile(r"(?<=[^\W\d_]{2})[-−'’](?=[^\W\d_])|(?<=[^\W\d_])[-−'’](?=[^\W\d_]{2})")
# Where a clause ends: joined by "and" or a comma, or each a sentence, they say the same. Not between items of a list.
_CLAUSE = re.compile(
    r"[.;:?]\s|!\s(?![-+*/=<>])|,\s*(?=[^\W\d_]{2})|[，。；：？]|(?<![^\W_])"
    r"(?:and|then|if|that|when|while|et|puis|si|luego|poi|se|und|dann|wenn)(?![^\W_])",
    re.IGNORECASE,
)
# "a" before a word that neither asks nor joins is the article, however much is computed with an a elsewhere.
_ARTICLE = re.compile(r"\s+([^\W\d_]{2,})")
_JOINS = NEUTRAL | {"nor", "or", "plus", "minus", "times"}
_RANGE = re.compile(r"(?<=[\d)])\s*[–—]\s*(?=[\d(])")
_FORMULA = re.compile(r"\$([^$]+)\$|\\\(((?:(?!\\\)).)+)\\\)|\\\[((?:(?!\\\]).)+)\\\]", re.DOTALL)
_LETTER = re.compile(r"(?<![^\W\d_\\])([A-Za-z])(?![^\W\d_])")
# A letter beside a sign, behind a digit (no unit), before its argument or a factorial's mark, or alone in brackets.
_COMPUTED = re.compile(
    r"[+*/^=<>_|]\s*([A-Za-z])(?![^\W\d_])|(?<![^\W\d_])([A-Za-z])\s*(?:[+*/^=<>_|]|-\s*(?:\d|[A-Za-z](?![^\W\d_])))|"
    r"\d([a-zA-Z])(?<![mghls])(?![^\W\d_])|(?<![^\W\d_])([A-Za-z])[(!]|\(([A-Za-z])[,)]"
)

_NAME, _PRONOUN, _THING, _VARIABLE = "<name>", "<pronoun>", "<thing>", "@"
_UNITS = frozenset(word.removesuffix("s") for word in UNITS) | UNITS
_NO_THINGS = _UNITS | COMPARES
_MOST_THINGS = 2
_MOST_DECIDING = 64
"""Different tokens of a clause whose order is looked at; a problem has fewer."""


@dataclass(frozen=True)
class Likeness:
    """A text reduced to what two wordings of one problem share.

    Attributes:
        clauses: the words of each clause that poses the problem, in order; numbers and signs are among them, variables
            as `@x`, names as `<name>tom`.
        sentences: how many sentences pose the problem.
    """

    clauses: tuple[tuple[str, ...], ...]
    sentences: int = 1

    @cached_property
    def figures(self) -> tuple[str, ...]:
        """The numbers and signs, in a fixed order: texts that pose one problem have the same."""
        return tuple(sorted(word for word in self._all if _computes(word)))

    @cached_property
    def shingles(self) -> frozenset[str]:
        """Its words, and its pairs of neighbouring words within a clause; who, what and whose is named alike."""
        found: set[str] = set()
        for clause in self.clauses:
            masked = [self._masked(word) for word in clause if word not in NEUTRAL]
            found.update(masked, (f"{a} {b}" for a, b in pairwise(masked)))
        return frozenset(found)

    @cached_property
    def words(self) -> Counter[str]:
        """The words that a problem is about, and how often each stands there."""
        return Counter(word for word in self._all if _is_content(word))

    @cached_property
    def decisive(self) -> Counter[str]:
        """The words that turn a problem into another one, and how often each stands there."""
        return Counter(word for word in self._all if word in DECISIVE)

    @cached_property
    def names(self) -> Counter[str]:
        """Who is named, and how often."""
        return Counter(word for word in self._all if word.startswith(_NAME) and word != _NAME)

    @cached_property
    def things(self) -> frozenset[str]:
        """What is counted: the words behind a number or "many" that are no unit."""
        bare = ([word for word in clause if word not in NEUTRAL or word in MANY] for clause in self.clauses)
        pairs = (pair for clause in bare for pair in pairwise(clause))
        counted = {word for before, word in pairs if before[0].isdigit() or before in MANY}
        return frozenset(word for word in counted if _is_content(word) and word not in _NO_THINGS)

    def says_all_of(self, other: Likeness) -> bool:
        """Say whether whatever another text says stands here as well, perhaps of other things and people."""
        more = (self.decisive - other.decisive).total()
        # A sentence more, as "show all steps", is one thing; a word more in a sentence that both have is another.
        asks_alike = not other.decisive - self.decisive and more <= max(0, self.sentences - other.sentences)
        return asks_alike and not self._replaced(other) and not self._contradicts(other)

    def says_the_same_as(self, other: Likeness) -> bool:
        """Say whether two texts pose one problem, but for words that one of them has more."""
        return self.figures == other.figures and (self.says_all_of(other) or other.says_all_of(self))

    def holds_figures_of(self, other: Likeness) -> bool:
        """Say whether all numbers and signs of another text stand in this one as well, as often."""
        return not Counter(other.figures) - Counter(self.figures)

    def _replaced(self, other: Likeness) -> bool:
        """Whether words of another text are missing here, and those that stand there instead aren't mere things.

        "Takes out" for "puts in" makes another problem; "pears" for "apples", all through, does not.
        """
        missing, more = other.words - self.words, self.words - other.words
        if not missing:
            return False
        if len(missing) > _MOST_THINGS or missing.keys() & self.words.keys() or more.keys() & other.words.keys():
            return True
        return not (missing.keys() <= other.things and more.keys() <= self.things)

    def _contradicts(self, other: Likeness) -> bool:
        """Whether what decides stands otherwise here: turned round, or at another thing, person or variable."""
        alike = self._variables == other._variables
        mine, theirs = self._deciding(raw=alike), other._deciding(raw=alike)
        if _operands(theirs) - _operands(mine) or _turned(mine, theirs):
            return True
        if _at_another(self._counted, other._counted):
            return True
        if self.names.keys() == other.names.keys():
            return bool(other.names - self.names) or _at_another(self._owned, other._owned)
        return len(self.names) == len(other.names) and sorted(self.names.values()) != sorted(other.names.values())

    @cached_property
    def _all(self) -> tuple[str, ...]:
        return tuple(word for clause in self.clauses for word in clause)

    @cached_property
    def _variables(self) -> frozenset[str]:
        return frozenset(word for word in self._all if word[0] == _VARIABLE)

    @cached_property
    def _counted(self) -> frozenset[tuple[str, str]]:
        """Each number with the word that follows it, behind its unit."""
        return frozenset(_followed(self.clauses))

    @cached_property
    def _owned(self) -> frozenset[tuple[str, str]]:
        """Each number with the name before it in its clause."""
        return frozenset(_preceded(self.clauses))

    def _masked(self, word: str) -> str:
        if word.startswith(_NAME):
            return _NAME
        if word[0] == _VARIABLE:
            return _VARIABLE
        return _THING if word in self.things else word

    def _deciding(self, *, raw: bool) -> list[tuple[str, ...]]:
        """Of each clause what decides, in order; variables by their letters, or by their order of appearance."""
        numbers: dict[str, str] = {}
        found = []
        for clause in self.clauses:
            kept = []
            for place, word in enumerate(clause):
                if word[0] == _VARIABLE:
                    number = numbers.setdefault(word, f"{_VARIABLE}{len(numbers)}")
                    beside = (*clause[max(place - 1, 0) : place], *clause[place + 1 : place + 2])
                    if any(_computes(each) for each in beside):
                        kept.append(word if raw else number)
                elif _computes(word) or word in DECISIVE:
                    kept.append(word)
            found.append(tuple(kept))
        return [each for each in found if each]


def likeness(text: str) -> Likeness:
    """Reduce a problem's text.

    Args:
        text: as a data set gives it, instructions to the reader included.

    Returns:
        What it says.
    """
    parts = problem_parts(_RANGE.sub(" - ", one_spelling(text)))
    masks_nouns, variables = not _is_german(text), _variables_of("\n".join(parts))
    found = []
    for part in parts:
        first = True
        for clause in _CLAUSE.split(part):
            if words := tuple(_merged(_words(clause, masks_nouns, variables, first))):
                found.append(words)
                first = False
    return Likeness(tuple(found), len(parts))


def jaccard(first: Likeness, second: Likeness) -> float:
    """Share of the shingles of both that are common, 0 to 1; 0 where neither has any."""
    both = len(first.shingles | second.shingles)
    return len(first.shingles & second.shingles) / both if both else 0.0


def _operands(deciding: Sequence[tuple[str, ...]]) -> Counter[str]:
    return Counter(word for clause in deciding for word in clause if word[0] == _VARIABLE)


def _turned(mine: Sequence[tuple[str, ...]], theirs: Sequence[tuple[str, ...]]) -> bool:
    """Whether clauses have the same tokens in another order, or two tokens stand the other way round everywhere."""
    ours, others = Counter(mine), Counter(theirs)
    rest, other_rest = ours - others, others - ours
    if rest and sorted(map(len, rest.elements())) == sorted(map(len, other_rest.elements())):
        return True
    there = _one_way(theirs)
    return any((after, before) in there for before, after in _one_way(mine))


def _one_way(clauses: Sequence[tuple[str, ...]]) -> set[tuple[str, str]]:
    """Pairs of tokens of which one stands before the other wherever both are in a clause."""
    found: set[tuple[str, str]] = set()
    for clause in clauses:
        first = {word: place for place, word in reversed(list(enumerate(clause)))}
        last = {word: place for place, word in enumerate(clause)}
        for one, other in combinations(list(first)[:_MOST_DECIDING], 2):
            if last[one] > first[other]:
                found.add((other, one))
            if last[other] > first[one]:
                found.add((one, other))
    return {(before, after) for before, after in found if (after, before) not in found}


def _at_another(mine: frozenset[tuple[str, str]], theirs: frozenset[tuple[str, str]]) -> bool:
    """Whether a thing that has a number in both texts has another one here."""
    return bool({at for _, at in mine - theirs} & {at for _, at in theirs - mine})


def _followed(clauses: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    for clause in clauses:
        number = ""
        for word in clause:
            if word[0].isdigit():
                number = word
            elif number and _is_content(word) and word not in _UNITS:
                yield number, word
                number = ""


def _preceded(clauses: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    for clause in clauses:
        name = ""
        for word in clause:
            if word.startswith(_NAME):
                name = word
            elif name and word[0].isdigit():
                yield word, name


def _variables_of(text: str) -> frozenset[str]:
    """Letters that are computed with somewhere in a text; "a" is one where "a + b" stands, and no article then."""
    formulas = " ".join(part for found in _FORMULA.finditer(text) for part in found.groups() if part)
    computed = {letter for found in _COMPUTED.finditer(text) for letter in found.groups() if letter}
    return frozenset((*_LETTER.findall(formulas), *computed))


def _words(clause: str, masks_nouns: bool, variables: frozenset[str], begins: bool) -> Iterator[str]:
    clause = _BETWEEN_LETTERS.sub(" ", clause)
    for position, match in enumerate(_TOKEN.finditer(clause)):
        token = match[0]
        if token in LAYOUT:
            continue
        if token in variables and not (token == "a" and _is_article(clause, match.end())):
            yield _VARIABLE + token
        elif token[0].isdigit():
            yield _number(token)
        elif token in SIGNS or token[0] == "\\" or not token[0].isalpha():
            yield SIGNS.get(token, token)
        else:
            yield _worded(token, masks_nouns, begins and not position)


def _is_article(clause: str, end: int) -> bool:
    after = _ARTICLE.match(clause, end)
    return after is not None and after[1].casefold() not in _JOINS


def _worded(token: str, masks_nouns: bool, begins: bool) -> str:
    word = token.casefold()
    if number := NUMBER_WORDS.get(word):
        return number
    if word in PRONOUNS:
        return _PRONOUN
    if word in DECISIVE or word in NEUTRAL:
        return word
    if token[0].isupper() and masks_nouns and not (begins and word in STARTERS):
        return _NAME + word
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] != "s" else word


def _merged(words: Iterator[str]) -> Iterator[str]:
    """A name of several words is one name."""
    before = ""
    for word in words:
        if not (word.startswith(_NAME) and before.startswith(_NAME)):
            yield word
        before = word


def _number(token: str) -> str:
    plain = token.replace(",", "") if re.fullmatch(r"\d+(?:,\d{3})+(?:\.\d+)?", token) else token.replace(",", ".")
    if re.fullmatch(r"\d+\.\d+", plain):
        plain = plain.rstrip("0").rstrip(".")
    return plain.lstrip("0") or "0"


def _computes(word: str) -> bool:
    """Whether it is a number or a sign."""
    return not (word[0].isalpha() or word[0] == _VARIABLE or word.startswith((_NAME, _PRONOUN)))


def _is_content(word: str) -> bool:
    return word[0].isalpha() and word not in DECISIVE and word not in NEUTRAL


def _is_german(text: str) -> bool:
    words = set(re.findall(r"[^\W\d_]+", text.casefold()))
    return len(words & GERMAN) >= 2 and len(words & GERMAN) > len(words & ENGLISH)
