"""Training problems that are evaluation problems in disguise: word n-grams, and near likeness.

Three things are a leak. The same words (`decontaminate` finds them, and short problems that stand inside others). The
same problem with other names, punctuation, order of sentences or form of answer: what decides is equal and most of the
words are (see `likeness`). A long run of words in common, word 8-grams as open-r1 counts them, where the training
problem says all that the other says, its numbers and signs included: what problems of one template share is no leak.
What was told anew, or of other things, is found where numbers and formulas agree (`rewording`, `aligned`); duplicates
are held to the strict likeness alone. Another language is not found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from magistral_recipe.curation.aligned import Alignment
from magistral_recipe.curation.comparing import built_otherwise, held
from magistral_recipe.curation.defaults import MIN_CONTAINED, MIN_NGRAM_SHARE
from magistral_recipe.curation.likeness import Likeness, likeness, plain_likeness
from magistral_recipe.curation.questions import differs
from magistral_recipe.curation.rewording import comparable, large_figures, reworded
from magistral_recipe.curation.rows import Dropped, Outcome, Row
from magistral_recipe.curation.workers import each_in
from magistral_recipe.data.decontaminate import NGRAM, Overlap, OverlapIndex, Posed

LEAK = {
    "exact": "the words of an evaluation problem",
    "contained": "holds an evaluation problem",
    "near": "an evaluation problem in disguise",
    "ngram": "shares a long run of words with an evaluation problem",
}


@dataclass(frozen=True)
class Heldout:
    """An evaluation problem, and the set that it is of."""

    id: str
    problem: str
    source: str


class _Posed:
    """Texts by the numbers in them; some of them alone, where only those are looked for."""

    def __init__(self, texts: Sequence[Likeness], some: Collection[int] | None = None) -> None:
        self.texts = texts
        self.by_figures: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self.by_large: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number in range(len(texts)) if some is None else some:
            text = texts[number]
            self.by_figures[text.figures].append(number)
            self.by_large[large_figures(text)].append(number)


class Leaks:
    """The evaluation problems, ready to be looked for; they are held in memory.

    Args:
        heldout: the problems of all sets.
        min_contained: share of an evaluation problem's shingles that a disguised copy holds, above 0 to 1.
        ngram: length of the word runs that are compared.
        min_ngram_share: share of an evaluation problem's runs that a training problem must have, above 0 to 1.
    """

    def __init__(
        self,
        heldout: Sequence[Heldout],
        *,
        min_contained: float = MIN_CONTAINED,
        ngram: int = NGRAM,
        min_ngram_share: float = MIN_NGRAM_SHARE,
    ) -> None:
        self.heldout = list(heldout)
        self.min_contained = min_contained
        self.min_ngram_share = min_ngram_share
        self._overlaps = OverlapIndex(self.heldout, ngram)
        self._texts = [likeness(each.problem) for each in self.heldout]
        self._as_posed = _Posed(self._texts)
        plain = [plain_likeness(each.problem, text) for each, text in zip(self.heldout, self._texts, strict=True)]
        changed = [number for number, text in enumerate(plain) if text is not self._texts[number]]
        self._plainly, self._made_plain = _Posed(plain), _Posed(plain, changed)

    def find(self, posed: Posed) -> tuple[Heldout, str, str] | None:
        """Look for the evaluation problem that a training problem gives away.

        Args:
            posed: the training problem.

        Returns:
            That problem, the kind of leak (a key of `LEAK`), and some words that both share; ``None`` for none.
        """
        overlap = self._overlaps.look_up(0, posed.problem, self.min_ngram_share)
        if overlap is not None and overlap.kind == "contained":
            return self.heldout[overlap.heldout], overlap.kind, overlap.example
        text = likeness(posed.problem)
        if overlap is not None and overlap.kind == "exact" and not built_otherwise(text, self._texts[overlap.heldout]):
            return self.heldout[overlap.heldout], overlap.kind, overlap.example
        near = self._near(text, self._as_posed)
        if near is None:  # of answers in another form each problem is compared as what it asks for in the end
            plain = plain_likeness(posed.problem, text)
            near = self._near(plain, self._made_plain if plain is text else self._plainly)
        if near is not None:
            return self.heldout[near], "near", " ".join(sorted(self._texts[near].shingles & text.shingles)[-3:])
        if overlap is not None and overlap.kind == "ngram" and self._says_all(text, overlap):
            return self.heldout[overlap.heldout], "ngram", overlap.example
        return None

    def _near(self, text: Likeness, posed: _Posed) -> int | None:
        """The evaluation problem that decides alike and of which most words are here."""
        best, found = 0.0, None
        for number in posed.by_figures.get(text.figures, ()):
            there = posed.texts[number]
            share = held(text, there)
            if share > 0 and _is_another(text, there):
                continue
            # Without a number in it, any two texts count alike: then more must agree.
            least = self.min_contained if there.figures else max(self.min_contained, _WORDS_ALONE)
            if share >= least and share > best:
                best, found = share, number
        if found is not None:
            return found
        for number in posed.by_large.get(large_figures(text), ()):
            there = posed.texts[number]
            if not comparable(text, there) or differs(text, there):
                continue
            if reworded(text, there) or Alignment(text, there).is_renamed():
                return number
        return None

    def _says_all(self, text: Likeness, overlap: Overlap) -> bool:
        there = self._texts[overlap.heldout]
        return text.holds_figures_of(there) and held(text, there) > 0 and not _is_another(text, there)


def _is_another(text: Likeness, there: Likeness) -> bool:
    """Whether a text that agrees with another one is a small change of it, and so another problem."""
    return Alignment(text, there).is_small_change() or differs(text, there)


_WORDS_ALONE = 0.85


def drop_leaks(rows: Iterable[Row], leaks: Leaks, workers: int = 1) -> Iterator[Outcome]:
    """Drop the problems that give evaluation problems away.

    Args:
        rows: read one after the other.
        leaks: of the evaluation sets.
        workers: processes that share the rows.

    Yields:
        Every row, in order, kept or dropped with what it matched.
    """
    yield from each_in(workers, partial(_looked_up, leaks), rows)


def _looked_up(leaks: Leaks, row: Row) -> Outcome:
    found = leaks.find(row.problem)
    if found is None:
        return row
    heldout, kind, shared = found
    about = {"matches": heldout.id, "of": heldout.source, "there": heldout.problem, "shared": shared}
    return Dropped(row, LEAK[kind], about)
