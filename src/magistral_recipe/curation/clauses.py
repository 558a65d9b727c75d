"""A problem's text as clauses of words and formulas, in one spelling and without instructions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property

from magistral_recipe.curation.answer_forms import asked_plainly
from magistral_recipe.curation.deciding import (
    DECISIVE,
    NEUTRAL,
    NEUTRAL_IN,
    ONLY_ELSEWHERE,
    OTHERS,
    PRONOUNS,
    SAME_WORD,
    STARTERS,
    folded,
    word_set,
)
from magistral_recipe.curation.formulas import RELATIONS, Tree, leaves, parsed, rebuilt
from magistral_recipe.curation.glossary import TITLES
from magistral_recipe.curation.marks import VARIABLE, Token, told, without_options
from magistral_recipe.curation.number_words import NUMBER_WORDS_OF
from magistral_recipe.curation.spelling import one_spelling
from magistral_recipe.curation.stems import language_of, stem
from magistral_recipe.data.instructions import problem_parts, without_forms

Item = str | Tree
"""A word, a number in digits, a letter as `@x`, or a formula."""

PRONOUN, WHOSE = "<pronoun>", "<whose>"
"""What stands for who does something, and for whose it is."""

# Kana and Han characters, which are written without spaces.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_HAN = re.compile("[\u30a0-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_KANA = re.compile("[\u3040-\u309f]")
# A number, one unspaced character, a word, a sign or a mark.
_TOKEN = re.compile(
    rf"\d+(?:,\d{{3}})+(?:\.\d+)?(?!\d)|(?<!\d[.,])\d+[.,]\d+(?![.,]?\d)|\d+|[\u30a1-\u30ff]+|[{_UNSPACED}]|[^\W\d_{_UNSPACED}]+|[^\w\s]|_"
)
_GROUPED = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?")
_GREEK = re.compile("[α-ωΑ-Ω]")
_JOINING = word_set("and et y e und и 和 与 與 と or ou o u oder или")
_ENDING = word_set("then if that puis si luego poi se dann wenn если что when where which while whose dass que qui")
_ARTICLE = re.compile(r"\s+([^\W\d_]{2,})")
# A letter beside a sign, behind a digit (no unit), before its argument or a factorial's mark, or alone in brackets.
_COMPUTED = re.compile(
    r"(?<=[+*×/^=<>≤≥|])\s?([A-Za-z])(?![^\W\d_])|"
    r"(?<![A-Za-z'])([A-Za-z])(?=\s*[+*×/^=<>≤≥|]|_\S|\s*-\s*(?:\d|[A-Za-z](?![^\W\d_]))|[(!])|"
    r"(?<=\d)([a-zA-Z])(?<![mghls])(?![^\W\d_])|(?<=[(,])([A-Za-z])(?=[,)])|"
    r"(?<![^\W\d_'])([B-HJ-Zbfgkpqrvwxz])(?![^\W\d_'])|(?<=[a-z] )(A)(?![^\W\d_'])|"
    r"(?<=[\u3400-\u9fff])([A-Za-z])(?=[\u3040-\u9fff])"
)
_ENGLISH_LETTER = re.compile(r"(?<![\w'.-])(?<![\d)] )([b-hj-zB-HJ-Z])(?![\w'-])(?!\.\w)")
_PRODUCT = re.compile(r"(?<=\d)([a-z]{2,3})(?=\s*[-+×*/^=<>)])|(?<=[-+×*/^=<>(])\s?([a-z]{2})(?=\s*[-+×*/^=<>)])")
_UNITS = word_set("cm mm km kg ml mg ft in lb oz mi hr sin cos tan log ln is of or at as by to per ah he")
_POINTS = re.compile(
    r"(?:triangle|angle|segment|quadrilateral|square|rectangle|parallelogram|trapezoid|pentagon|hexagon|side|line|arc|"
    r"chord|altitude|median|sides|polygon|tetrahedron|dreieck|viereck|三角形|треугольник\w*)\s+([A-Z]{2,6})(?![^\W\d_])|"
    r"(?<![^\W\d_])([A-Z]{2,3})(?=\s*[=+<>⊥∥])"
)


@dataclass(frozen=True)
class Clauses:
    """A text taken apart.

    Attributes:
        clauses: the words, numbers and formulas of each clause that poses the problem, in order.
        joined: of each clause whether it is joined to the one before it by "and", "or" or a comma.
        sentence: of each clause the number of its sentence.
        capitals: words that are written like names somewhere, and never otherwise.
        tails: further words of names of several words.
        ratios: the clause of each ratio, and its numbers in their order.
        language: as `stems.language_of`.
        parts: the sentences that pose the problem, in one spelling.
    """

    clauses: tuple[tuple[Item, ...], ...]
    joined: tuple[bool, ...] = ()
    sentence: tuple[int, ...] = ()
    capitals: frozenset[str] = field(default=frozenset())
    tails: frozenset[str] = field(default=frozenset())
    ratios: tuple[tuple[int, tuple[str, ...]], ...] = ()
    language: str = "en"
    parts: tuple[str, ...] = ()

    @property
    def sentences(self) -> int:
        """How many sentences pose the problem."""
        return len(self.parts)

    @cached_property
    def spelled(self) -> str:
        """The text itself in one spelling."""
        return "\n".join(self.parts)


def clauses_of(text: str) -> Clauses:
    """Take a problem's text apart.

    Args:
        text: as a data set gives it, instructions to the reader and options to choose from included.

    Returns:
        What poses the problem.
    """
    return _taken_apart(without_options(text), language_of(text), plainly=False)


def plain_clauses_of(text: str, posed: Clauses) -> Clauses:
    """Leave the form of the answer out as well, and the sum of a fraction's parts.

    Args:
        text: as a data set gives it.
        posed: its clauses.

    Returns:
        What the problem asks for in the end; `posed` itself where that is all it says.
    """
    bare, parts = without_options(text), list(posed.parts)
    if asked_plainly(bare) == bare and without_forms(parts) == parts:
        return posed
    plain = _taken_apart(asked_plainly(bare), posed.language, plainly=True)
    return posed if plain.parts == posed.parts else plain


def _taken_apart(text: str, language: str, *, plainly: bool) -> Clauses:
    spelled, letters = one_spelling(text, language)
    parts = problem_parts(spelled)
    if plainly:
        parts = without_forms(parts)
    reader = _Reader(language, letters, "\n".join(parts))
    for part in parts:
        reader.read(part)
    return Clauses(
        _defined(reader.clauses),
        tuple(reader.joined),
        tuple(reader.sentence),
        frozenset(reader.capitals - reader.lower),
        frozenset(reader.tails),
        tuple(reader.ratios),
        language,
        tuple(parts),
    )


def _defined(clauses: list[list[Item]]) -> tuple[tuple[Item, ...], ...]:
    """Numbers in place of the letters that stand for them: "let a = 84; what is a + b" asks for 84 + b."""
    equal: dict[str, list[Tree]] = {}
    for clause in clauses:
        for item in clause:
            if isinstance(item, tuple) and item[0] == "=" and len(item) == 3:
                for letter, value in ((item[1], item[2]), (item[2], item[1])):
                    if letter[0] == "v":
                        equal.setdefault(letter[1], []).append(value)
    known = {letter: found[0] for letter, found in equal.items() if len(found) == 1 and not any(leaves(found[0], "v"))}
    if not known:
        return tuple(map(tuple, clauses))
    said = Counter(
        letter
        for clause in clauses
        for item in clause
        for letter in ([item] if isinstance(item, str) else leaves(item, "v"))
    )
    known = {letter: value for letter, value in known.items() if said[letter] > 1}
    return tuple(tuple(filter(None, (_put(item, known) for item in clause))) for clause in clauses)


def _put(item: Item, known: dict[str, Tree]) -> Item | None:
    if isinstance(item, str):
        value = known.get(item)
        return item if value is None else value[1] if value[0] == "n" else value
    if item[0] == "=" and len(item) == 3 and any(side[0] == "v" and side[1] in known for side in item[1:]):
        return None
    return rebuilt(item, lambda leaf: known.get(leaf[1], leaf) if leaf[0] == "v" else leaf)


def is_content(word: Item) -> bool:
    """Whether it is a word that a problem is about."""
    return isinstance(word, str) and word[0].isalpha() and word not in DECISIVE and word not in NEUTRAL


def is_telling(word: str) -> bool:
    """Whether it is such a word, one that decides, or a number."""
    return is_content(word) or word in DECISIVE or word[0].isdigit()


class _Reader:
    """Reads sentences into clauses."""

    def __init__(self, language: str, letters: frozenset[str], whole: str) -> None:
        self.language, self.numbers = language, NUMBER_WORDS_OF[language]
        self.neutral = NEUTRAL_IN[language] | NEUTRAL_IN["unspaced"]
        computed = {letter for found in _COMPUTED.finditer(whole) for letter in found.groups() if letter}
        products = {part for found in _PRODUCT.finditer(whole) for part in found.groups() if part} - _UNITS
        if language in ("en", "de"):
            computed |= {found[1] for found in _ENGLISH_LETTER.finditer(whole)}
        self.points = {part for found in _POINTS.finditer(whole) for part in found.groups() if part}
        self.variables = letters | computed | set("".join(products))
        self.corners = frozenset("".join(self.points)) | {letter for letter in letters if letter.isupper()}
        self.clauses: list[list[Item]] = []
        self.joined: list[bool] = []
        self.sentence: list[int] = []
        self.sentences = 0
        self.capitals: set[str] = set()
        self.lower: set[str] = set()
        self.tails: set[str] = set()
        self.ratios: list[tuple[int, tuple[str, ...]]] = []

    def read(self, part: str) -> None:
        """Add a sentence."""
        self.sentences += 1
        tokens = list(self._tokens(part))
        mathematical = told(tokens)
        clause: list[Item] = []
        run: list[str] = []
        joined = named = False

        def closed(joins: bool) -> None:
            nonlocal clause, joined, named
            if clause:
                self.clauses.append(clause)
                self.joined.append(joined)
                self.sentence.append(self.sentences)
            clause, joined, named = [], joins, False

        for place, (kind, token, _, _) in enumerate([*tokens, ("end", "", 0, 0)]):
            if kind != "end" and mathematical[place]:
                run.append(token)
                continue
            if run:
                if len(run) > 2 and run[1] == ":" and len(run) % 2:
                    self.ratios.append((len(self.clauses), tuple(run[::2])))
                clause += _items(run)
                run, named = [], False
            if kind == "word":
                if token in _JOINING or token in _ENDING:
                    closed(token in _JOINING)
                    continue
                word, is_name = self._word(token, tokens, place)
                if is_name and named:
                    self.tails.add(word)
                elif word:
                    clause.append(word)
                named = is_name
            elif token in ",.;:?!()[]。、，；：？！…\n" and token:
                closed(token == ",")
            elif token in ("%", "#"):
                clause.append(SAME_WORD.get(token, token))
        closed(False)

    def _tokens(self, part: str) -> Iterator[Token]:
        """Each token with its kind ("math", "word" or "mark") and its place."""
        for found in _TOKEN.finditer(part):
            token, start, end = found[0], found.start(), found.end()
            if token[0].isdigit() and "," in token and self.language == "en" and not _GROUPED.fullmatch(token):
                for piece in re.finditer(r"\d+|,", token):  # a pair, no decimals
                    yield "mark" if piece[0] == "," else "math", piece[0], start + piece.start(), start + piece.end()
            elif token[0].isdigit():
                yield "math", written_number(token), start, end
            elif not (token[0].isalpha() or token == "_"):
                yield "mark", "×" if token == "*" else "′" if token == "'" else token, start, end
            elif token in self.variables and not (token in "aA" and _is_article(part, end)):
                yield "math", VARIABLE + token, start, end
            elif len(token) == 1 and _GREEK.match(token):
                yield "math", token if token == "π" else VARIABLE + token, start, end
            elif len(token) > 1 and self._is_product(token):
                for letter in token:
                    yield "math", VARIABLE + letter, start, end
            elif number := self.numbers.get(token.casefold()):
                yield "math", number, start, end
            else:
                yield ("mark" if token == "_" else "word"), token, start, end

    def _is_product(self, token: str) -> bool:
        if token.isupper():
            return token in self.points or (len(token) <= 4 and self.corners.issuperset(token))
        return len(token) <= 3 and self.variables.issuperset(token) and folded(token) not in NEUTRAL | DECISIVE | _UNITS

    def _word(self, token: str, tokens: list[Token], place: int) -> tuple[str, bool]:
        """A word without its ending, "" for what says nothing; and whether it is written like a name here."""
        word = folded(token)
        if word in PRONOUNS or word in OTHERS:
            return PRONOUN if word in PRONOUNS else WHOSE, False
        if token in _MEASURED and place and tokens[place - 1][1][0] in "0123456789)":
            return _MEASURED[token], False
        word = SAME_WORD.get(word, word)
        if word == "小" and not _is_small(tokens, place):
            return "", False
        if word in self.neutral:
            return (word if token not in _SILENT else ""), False
        if _KANA.match(token):
            return "", False
        if word in DECISIVE and not (self.language == "en" and word in ONLY_ELSEWHERE):
            return word, False
        short = stem(word, self.language)
        short = SAME_WORD.get(short, short)
        if short in NEUTRAL or short in DECISIVE:  # in another language alone
            short += "_"
        if self.language != "en" and len(short) > 3 and (decides := _decisive_stems(self.language).get(short)):
            return decides, False
        if not token[0].isupper():
            self.lower.add(short)
            return ("", False) if word in TITLES and _precedes_name(tokens, place) else (short, False)
        if word in TITLES and _precedes_name(tokens, place):
            return "", False
        begins = not any(kind == "word" for kind, *_ in tokens[:place])
        if (begins and not _is_subject(tokens, place)) or word in STARTERS:
            return short, False
        if self.language == "de" and not _without_article(tokens, place):
            return short, False
        self.capitals.add(short)
        return short, True


@cache
def _decisive_stems(language: str) -> dict[str, str]:
    return {stem(word, language): word for word in sorted(DECISIVE, reverse=True)}


def _is_small(tokens: list[Token], place: int) -> bool:
    """Whether 小 says "small"; else it is part of a name, or of 小时."""
    before = tokens[place - 1][1] if place else ""
    after = tokens[place + 1][1] if place + 1 < len(tokens) else ""
    return before in tuple("最大较更比变缩") or after in tuple("于數数值")


_MEASURED = {"m": stem("meters"), "g": stem("grams"), "l": stem("liters"), "s": stem("seconds")}
_SILENT = frozenset(("s", "t"))
_DETERMINES = word_set(
    "der die das den dem des ein eine einen einem einer eines im am zum zur vom beim kein keine keinen viele wie "
    "jede jeder jeden jedes sein seine seinen seinem ihr ihre ihren ihrem alle zwei drei mehr und aus mit von für "
    "pro in auf"
)


def _without_article(tokens: list[Token], place: int) -> bool:
    """Whether a German noun has neither article nor adjective in front: people have none."""
    if not place:
        return True
    kind, before = tokens[place - 1][:2]
    if kind == "word" and before[0].isupper() and folded(before) not in TITLES:
        return place == 1
    return kind == "mark" or (
        kind == "word" and folded(before) not in _DETERMINES and not re.search("e[nrsm]?$", before)
    )


def _precedes_name(tokens: list[Token], place: int) -> bool:
    """Whether a title stands before a name, perhaps with a point behind it."""
    after = [token for token in tokens[place + 1 : place + 3] if token[1] != "."]
    return bool(after) and after[0][0] == "word" and (after[0][1][0].isupper() or bool(_HAN.match(after[0][1])))


def _is_subject(tokens: list[Token], place: int) -> bool:
    """Whether the first word of a sentence may be a name: "Tom has"; behind "find" stands what is to be found."""
    if place + 1 >= len(tokens):
        return True
    kind, token = tokens[place + 1][:2]
    return token in '("' or (kind == "word" and folded(token) not in _OBJECTS)


_OBJECTS = word_set(
    "the a an all each every both what how whether if your this that these in as of to from le la les el los il der "
    "die das den"
)


def _items(run: list[str]) -> Iterator[Item]:
    """The numbers, letters and formulas of a run."""
    if len(run) == 1:
        if run[0][0].isdigit() or run[0][0] == VARIABLE or run[0] == "π":
            yield run[0]
        return
    while run and (run[-1] in RELATIONS or run[-1] in "+,:…"):
        run = run[:-1]
    for tree in parsed(run):
        yield tree[1] if tree[0] in ("n", "v") else tree


def _is_article(clause: str, end: int) -> bool:
    after = _ARTICLE.match(clause, end)
    return after is not None and after[1].casefold() not in _JOINS and not "\u0400" <= after[1][0] <= "\u04ff"


_JOINS = NEUTRAL | {"nor", "or", "plus", "minus", "times"}


def written_number(token: str) -> str:
    """A number without marks between its digits, and without zeros that say nothing."""
    plain = token.replace(",", "") if _GROUPED.fullmatch(token) else token.replace(",", ".")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    plain = plain.lstrip("0")
    return f"0{plain}" if not plain or plain[0] == "." else plain
