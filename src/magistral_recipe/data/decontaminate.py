"""Which training problems are held-out problems in disguise: shared word n-grams, and equal texts.

Word 8-grams are the measure of open-r1's ``scripts/decontaminate.py``. Two things differ: words are told
apart from punctuation and characters of Chinese and Japanese count as words, so that neither a comma nor a
script without spaces hides a copy; and problems are found where they stand as whole sentences in longer ones, short
ones with nothing beside them to compute. Instructions ("put your answer in a box") are taken out
first: they hide no problem, and two problems that share them alone are not alike. Worded exercises made from one
template share n-grams by construction: ``min_share`` says how much of a held-out problem a training problem must
repeat.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from magistral_recipe.data.instructions import problem_parts
from magistral_recipe.data.quoted import quoted_sentences


class Posed(Protocol):
    """Anything that poses a problem: a `Problem`, a `Trace`."""

    @property
    def problem(self) -> str:
        """What is asked."""
        ...


_Item = TypeVar("_Item", bound=Posed)

NGRAM = 8
"""Words of the runs that are compared, as open-r1's are."""

# Kana and Han characters, which are written without spaces.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# In this order: a number with its decimals, a single unspaced character, a word, a factorial, a sign with a meaning.
_TOKEN = re.compile(
    rf"\d+(?:[.,]\d+)*|[{_UNSPACED}]|[^\W\d_{_UNSPACED}]+|(?<![^\W\d_][^\W\d_])(?<=[\w)}}])!|"
    r"(?<=[A-Za-z])['’′](?=[('’′])|[+\-−*/=<>^%×÷·±√∑∫≤≥≠|]"
)


def words(text: str) -> list[str]:
    """Split a text into what counts: words, numbers and signs of arithmetic, in one spelling.

    Case, spacing, punctuation, LaTeX's braces and compatibility forms (full-width digits) are dropped; the
    signs stay, since 5 + 3 is another problem than 5 - 3.
    """
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold().replace("−", "-"))


def problem_words(text: str) -> list[str]:
    """The words that pose a problem, instructions aside: two texts with the same are one problem."""
    return _joined(_sentences(text))


@dataclass(frozen=True)
class Overlap:
    """A training problem that repeats a held-out one.

    Attributes:
        train: index of the training problem.
        heldout: index of the held-out problem that it repeats most of.
        kind: ``exact`` when the words are equal, instructions aside, ``contained`` when it stands in the training
            problem as whole sentences, else ``ngram``.
        shared: how many different n-grams they have in common.
        share: that number over the held-out problem's n-grams; 1.0 when exact or contained.
        example: one run of words that both contain.
    """

    train: int
    heldout: int
    kind: Literal["exact", "contained", "ngram"]
    shared: int
    share: float
    example: str


@dataclass(frozen=True)
class Decontaminated(Generic[_Item]):
    """Training problems without those that repeat held-out ones.

    Attributes:
        kept: the problems that stay, in order.
        overlaps: one entry for each that goes, in order.
        heldout_repeated: how many held-out problems some training problem repeats most of.
    """

    kept: list[_Item]
    overlaps: list[Overlap]
    heldout_repeated: int

    def summary(self) -> str:
        """Say in one line what was removed."""
        exact = sum(overlap.kind == "exact" for overlap in self.overlaps)
        total = len(self.kept) + len(self.overlaps)
        return (
            f"{len(self.overlaps):,} of {total:,} training problems repeat {self.heldout_repeated:,} held-out ones "
            f"({exact:,} word for word) and are removed"
        )


def find_overlaps(
    train: Iterable[Posed], heldout: Sequence[Posed], *, ngram: int = NGRAM, min_share: float = 0.0
) -> list[Overlap]:
    """Find the training problems that repeat held-out ones.

    Args:
        train: the training problems; read once, so it may be a stream.
        heldout: the held-out problems; their n-grams are held in memory.
        ngram: length of the word runs that are compared.
        min_share: least share of a held-out problem's n-grams that counts, 0 to 1; at 0 a single one does.

    Returns:
        One overlap for each training problem that has one, in order.

    Raises:
        ValueError: if ``ngram`` is not positive or ``min_share`` not within 0 and 1.
    """
    if ngram < 1:
        raise ValueError(f"ngram must be at least 1, got {ngram}")
    if not 0.0 <= min_share <= 1.0:
        raise ValueError(f"min_share must be within 0 and 1, got {min_share}")
    index = OverlapIndex(heldout, ngram)
    found = (index.look_up(number, item.problem, min_share) for number, item in enumerate(train))
    return [overlap for overlap in found if overlap is not None]


def decontaminate(
    train: Sequence[_Item], heldout: Sequence[Posed], *, ngram: int = NGRAM, min_share: float = 0.0
) -> Decontaminated[_Item]:
    """Remove the training problems that repeat held-out ones.

    Args:
        train: the training problems.
        heldout: the held-out problems.
        ngram: as in `find_overlaps`.
        min_share: as in `find_overlaps`.

    Returns:
        What stays, and what went with the reason.
    """
    overlaps = find_overlaps(train, heldout, ngram=ngram, min_share=min_share)
    gone = {overlap.train for overlap in overlaps}
    kept = [item for number, item in enumerate(train) if number not in gone]
    return Decontaminated(kept, overlaps, len({overlap.heldout for overlap in overlaps}))


class OverlapIndex:
    """The held-out problems by their words and by their n-grams."""

    def __init__(self, heldout: Sequence[Posed], ngram: int) -> None:
        self.ngram = ngram
        self.texts: dict[Hashable, int] = {}
        self.longest = 0
        self.sizes: list[int] = []
        self.holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, item in enumerate(heldout):
            tokens = _joined(_sentences(item.problem))
            self.texts.setdefault(tuple(tokens), number)
            self.longest = max(self.longest, len(tokens))
            grams = _ngrams(tokens, ngram)
            self.sizes.append(len(grams))
            for gram in grams:
                self.holders[gram].append(number)

    def look_up(self, number: int, text: str, min_share: float) -> Overlap | None:
        """Compare one training problem with all held-out ones."""
        sentences = _sentences(text)
        tokens = _joined(sentences)
        # A text of signs that all were dropped equals nothing.
        if tokens and (twin := self.texts.get(tuple(tokens))) is not None:
            return Overlap(number, twin, "exact", self.sizes[twin], 1.0, " ".join(tokens[: self.ngram]))
        for posed in (sentences, _split(quoted_sentences(text))):
            if (contained := self._contained(number, posed)) is not None:
                return contained
        common = sorted(gram for gram in _ngrams(tokens, self.ngram) if gram in self.holders)
        shared = Counter(holder for gram in common for holder in self.holders[gram])
        if not shared:
            return None
        nearest = max(shared, key=lambda holder: (shared[holder] / self.sizes[holder], -holder))
        share = shared[nearest] / self.sizes[nearest]
        if share < min_share:
            return None
        example = next(gram for gram in common if nearest in self.holders[gram])
        return Overlap(number, nearest, "ngram", shared[nearest], share, " ".join(example))

    def _contained(self, number: int, sentences: Sequence[Sequence[str]]) -> Overlap | None:
        """Look for a held-out problem that is some of the sentences; beside a short one there are mere words."""
        for start in range(len(sentences)):
            run: list[str] = []
            for end in range(start, len(sentences)):
                run += sentences[end]
                if len(run) > self.longest:
                    break
                twin = self.texts.get(tuple(run))
                if twin is None or len(run) < _LEAST_WORDS:
                    continue
                rest = _joined([*sentences[:start], *sentences[end + 1 :]])
                if len(run) >= _ENOUGH_WORDS or not any(_COUNTS.search(word) for word in rest):
                    return Overlap(number, twin, "contained", 0, 1.0, " ".join(run))
        return None


_LEAST_WORDS = 3
"""Words that a problem has at least: "Find x." stands in many."""

_ENOUGH_WORDS = 12
"""Words of which a problem is itself, whatever stands beside it."""

_COUNTS = re.compile(r"\d|[^\w\s]")
"""Numbers and signs: a sentence that has one may be part of the problem."""


def _sentences(text: str) -> list[list[str]]:
    """The words of each sentence that poses the problem."""
    return _split(problem_parts(text))


def _split(parts: Iterable[str]) -> list[list[str]]:
    return [found for part in parts if (found := words(part))]


def _joined(sentences: Iterable[Sequence[str]]) -> list[str]:
    return [word for sentence in sentences for word in sentence]


def _ngrams(tokens: Sequence[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(tokens[start : start + length]) for start in range(len(tokens) - length + 1)}
