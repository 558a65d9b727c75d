"""What a problem's text says once names, punctuation, instructions and the order of sentences are taken out.

Two texts pose one problem when two things agree. *What decides*: the numbers, signs and words of arithmetic of each
sentence, in order; "5 more than 3" and "3 more than 5" differ here, and so do problems made from one template. *What it
is about*: the words, of which a large share must be the same. Names of people and places are one word, whatever they
are, and so are pronouns; German, whose nouns are all written like names, keeps its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from magistral_recipe.curation.number_words import NUMBER_WORDS
from magistral_recipe.data.instructions import problem_parts

# Kana and Han characters, which are written without spaces.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# In this order: a LaTeX command, a number, one unspaced character, a word, a sign that has a meaning.
_TOKEN = re.compile(
    rf"\\[A-Za-z]+|\d+(?:,\d{{3}})+(?:\.\d+)?(?![\d])|\d+(?:[.,]\d+)*|[{_UNSPACED}]|"
    rf"[^\W\d_{_UNSPACED}]+(?:['’][^\W\d_{_UNSPACED}]+)?|[+\-−*/=<>^%×÷·±√∑∫≤≥≠|!]"
)
_BETWEEN_LETTERS = re.compile(r"(?<=[^\W\d_])[-−'’](?=[^\W\d_])")
_RANGE = re.compile(r"(?<=[\d)])\s*[–—]\s*(?=[\d(])")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SIGNS = {
    r"\times": "*",
    r"\cdot": "*",
    "×": "*",
    "·": "*",
    r"\div": "/",
    "÷": "/",
    "−": "-",
    r"\le": "<=",
    r"\leq": "<=",
    "≤": "<=",
    r"\ge": ">=",
    r"\geq": ">=",
    "≥": ">=",
    r"\ne": "!=",
    r"\neq": "!=",
    "≠": "!=",
    r"\pm": "+-",
    "±": "+-",
    "√": r"\sqrt",
    "∑": r"\sum",
    "∫": r"\int",
    r"\dfrac": r"\frac",
    r"\tfrac": r"\frac",
    r"\lt": "<",
    r"\gt": ">",
}
_LAYOUT = _set(
    r"\left \right \big \Big \bigg \Bigg \displaystyle \textstyle \text \textbf \textit \mathrm \mathbf "
    r"\operatorname \quad \qquad \hspace \begin \end \boxed \label \item \limits \nolimits \hfill \newline"
)

# Words that turn a problem into another one, in the languages of the paper's data (Magistral §2.2.4).
_DECISIVE = _set(
    r"more less fewer most least than plus minus times divided sum difference product quotient remainder add added "
    r"subtract subtracted multiply multiplied divide increase increased decrease decreased increases decreases gains "
    r"loses gives gets buys sells maximum minimum max min maximize minimize maximal minimal largest smallest "
    r"greatest longest shortest highest lowest even odd positive negative inside outside above below before after "
    r"first last not no none never without except neither nor only exactly each every all square cube half twice "
    r"double triple thrice mean median mode percent inner outer prime composite sine cosine tangent sin cos tan log "
    r"ln integral derivative ascending descending clockwise counterclockwise left right north south east west with "
    r"replacement area perimeter volume radius diameter "
    r"plus moins fois divisé somme différence produit quotient reste ajoute retire pair impair sans aucun jamais "
    r"chaque moitié avant après premier dernier "
    r"más menos por dividido suma diferencia producto cociente resto añade quita máximo mínimo par impar sin ningún "
    r"nunca cada mitad doble antes después primero último "
    r"più meno per diviso somma differenza prodotto quoziente resto aggiungi togli massimo minimo pari dispari senza "
    r"nessuno mai ogni metà doppio prima dopo primo ultimo "
    r"mehr weniger mal geteilt summe differenz produkt rest addiere subtrahiere größte kleinste gerade ungerade ohne "
    r"kein keine nie jeder hälfte doppelt vor nach erste letzte "
    r"больше меньше плюс минус сумма разность произведение частное остаток прибавь вычти чётное нечётное без не "
    r"каждый половина вдвое до после первый последний "
    r"加 减 乘 除 和 差 积 商 余 多 少 大 小 奇 偶 不 没 每 半 倍 前 后 "
)
_PRONOUNS = _set(
    r"he she they him them his her hers their theirs il elle ils elles lui leur leurs él ella ellos ellas lei loro "
    r"suo sua er sie ihm ihr ihre ihren ihrem sein seine seinen он она они его её ему ей их 他 她 们"
)
# Words that begin a sentence with a capital and are no names.
_STARTERS = _set(
    r"a an the if what how when where which who why let given suppose find there then in on at of for each every one "
    r"two it is are do does did this that these those to with and but or so as after before by from"
)
_GERMAN = _set(r"der die das und ein eine einen einem einer wie viele viel ist sind mit von hat haben im auf")
_ENGLISH = _set(r"the and is are of how many has have what if find")

_NAME, _PRONOUN = "<name>", "<pronoun>"


@dataclass(frozen=True)
class Likeness:
    """A text reduced to what two wordings of one problem share.

    Attributes:
        sentences: the words of each sentence that poses the problem, in order; numbers and signs are among them.
    """

    sentences: tuple[tuple[str, ...], ...]

    @cached_property
    def numbers(self) -> tuple[tuple[str, ...], ...]:
        """What decides in each sentence with a number or a sign, in order; the sentences in a fixed order."""
        return tuple(sorted(found for found in self._deciding if any(map(_computes, found))))

    @cached_property
    def shingles(self) -> frozenset[str]:
        """Its words, and its pairs of neighbouring words within a sentence."""
        pairs = (f"{a} {b}" for sentence in self.sentences for a, b in pairwise(sentence))
        return frozenset((*(word for sentence in self.sentences for word in sentence), *pairs))

    @cached_property
    def words(self) -> Counter[str]:
        """The words that decide nothing by themselves, names and pronouns aside, and how often each stands there."""
        found = (word for sentence in self.sentences for word in sentence)
        return Counter(word for word in found if not _decides(word) and word not in (_NAME, _PRONOUN))

    @cached_property
    def asides(self) -> Counter[tuple[str, ...]]:
        """The deciding words of sentences without a number: "if none of them is even"."""
        return Counter(found for found in self._deciding if not any(map(_computes, found)))

    @cached_property
    def things(self) -> frozenset[str]:
        """What is counted: the words behind a number or "many" that are no unit."""
        pairs = (pair for sentence in self.sentences for pair in pairwise(sentence))
        counted = {word for before, word in pairs if before[0].isdigit() or before in _MANY}
        return frozenset(word for word in counted if word not in _UNITS and not word.endswith(_COMPARES))

    @cached_property
    def _deciding(self) -> tuple[tuple[str, ...], ...]:
        found = (tuple(word for word in sentence if _decides(word)) for sentence in self.sentences)
        return tuple(words for words in found if words)

    def says_all_of(self, other: Likeness) -> bool:
        """Say whether whatever another text says stands here as well, perhaps of other things and people."""
        more = (self.asides - other.asides).total()
        # A sentence more, as "show all steps", is one thing; a word more in a sentence that both have is another.
        asks_alike = not other.asides - self.asides and more <= len(self.sentences) - len(other.sentences)
        return asks_alike and not self._replaced(other)

    def says_the_same_as(self, other: Likeness) -> bool:
        """Say whether two texts pose one problem, but for words that one of them has more."""
        return self.numbers == other.numbers and (self.says_all_of(other) or other.says_all_of(self))

    def holds_numbers_of(self, other: Likeness) -> bool:
        """Say whether all numbers and signs of another text stand in this one as well, as often."""
        mine = Counter(word for words in self.numbers for word in words)
        return not Counter(word for words in other.numbers for word in words) - mine

    def _replaced(self, other: Likeness) -> bool:
        """Whether words of another text are missing here, and those that stand there instead aren't mere things.

        "Takes out" for "puts in" makes another problem; "pears" for "apples" does not.
        """
        missing, more = other.words - self.words, self.words - other.words
        if not missing:
            return False
        return not (missing.keys() <= other.things and more.keys() <= self.things and len(missing) <= _MOST_THINGS)


def likeness(text: str) -> Likeness:
    """Reduce a problem's text.

    Args:
        text: as a data set gives it, instructions to the reader included.

    Returns:
        What it says.
    """
    text = _RANGE.sub(" - ", unicodedata.normalize("NFKC", text))
    masks_nouns = not _is_german(text)
    found = (tuple(_merged(_words(part, masks_nouns))) for part in problem_parts(text))
    return Likeness(tuple(words for words in found if words))


def jaccard(first: Likeness, second: Likeness) -> float:
    """Share of the shingles of both that are common, 0 to 1; 0 where neither has any."""
    both = len(first.shingles | second.shingles)
    return len(first.shingles & second.shingles) / both if both else 0.0


_MOST_THINGS = 2
_MANY = _set("many viele combien cuántas cuántos quante quanti сколько 几")
_COMPARES = ("er", "est")
_UNITS = _set(
    "km m cm mm mi miles mile metres meters kilometres kilometers centimetres centimeters feet foot inches inch yards "
    "hours hour minutes minute seconds second days day weeks week months month years year kg g mg grams kilograms "
    "pounds ounces tons litres liters ml dollars dollar cents cent euros euro percent degrees square cubic dozen "
    "kilometre metre heures minutes jours horas días ore giorni stunden minuten tage часов минут дней"
)


def _words(part: str, masks_nouns: bool) -> Iterator[str]:
    part = _BETWEEN_LETTERS.sub(" ", part)
    for position, match in enumerate(_TOKEN.finditer(part)):
        token = match[0]
        if token in _LAYOUT:
            continue
        if token[0].isdigit():
            yield _number(token)
            continue
        word = _SIGNS.get(token, token if token.startswith("\\") else token.casefold())
        if number := NUMBER_WORDS.get(word):
            yield number
        elif word in _PRONOUNS:
            yield _PRONOUN
        elif word in _DECISIVE or not token[0].isupper():
            yield word
        elif masks_nouns if position else word not in _STARTERS:
            yield _NAME
        else:
            yield word


def _merged(words: Iterator[str]) -> Iterator[str]:
    """A name of several words is one name."""
    before = ""
    for word in words:
        if word != _NAME or before != _NAME:
            yield word
        before = word


def _number(token: str) -> str:
    plain = token.replace(",", "") if re.fullmatch(r"\d+(?:,\d{3})+(?:\.\d+)?", token) else token.replace(",", ".")
    if re.fullmatch(r"\d+\.\d+", plain):
        plain = plain.rstrip("0").rstrip(".")
    return plain.lstrip("0") or "0"


def _decides(word: str) -> bool:
    return word[0].isdigit() or word in _DECISIVE or not (word[0].isalpha() or (word[0] == "<" and len(word) > 2))


def _computes(word: str) -> bool:
    return not word[0].isalpha()


def _is_german(text: str) -> bool:
    words = set(re.findall(r"[^\W\d_]+", text.casefold()))
    return len(words & _GERMAN) >= 2 and len(words & _GERMAN) > len(words & _ENGLISH)
