"""How many problems of an evaluation a training set has, too: by id, word for word, or in most of their words.

"Held-out" is a claim; this is what it is held against, in every run. A problem of which a training problem repeats most
word 8-grams counts as well (`decontaminate`, with a share that worded exercises of one template stay below), where it
has all of its numbers and signs: with another number an exercise is another problem, wherever in it the number stands.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from magistral_recipe.data.decontaminate import NGRAM, OverlapIndex, problem_words
from magistral_recipe.data.partition import Named
from magistral_recipe.excerpt import excerpt

MIN_SHARE = 0.8
"""Share of a problem's word 8-grams that a training problem must repeat: those of one template stay below it."""

_NUMBERED = re.compile(r"^\s*(?:(?:problem|question|exercise|task|q)\s*)?#?\d+\s*[.):]\s+", re.IGNORECASE)
_SHOWN = 3


@dataclass(frozen=True)
class Shared:
    """What a training set and an evaluation set have in common.

    Attributes:
        training: the training set's name.
        problems: how many problems the evaluation set has.
        shared: how many of them the training set has, too; the sum of the next three, each counted once.
        ids: by their id alone.
        texts: word for word, instructions aside.
        alike: in most of their words.
        examples: some of them.
    """

    training: str
    problems: int
    shared: int
    ids: int
    texts: int
    alike: int
    examples: tuple[str, ...] = ()

    def line(self, evaluation: str) -> str:
        """Say it in a line.

        Args:
            evaluation: the evaluation set's name.
        """
        how = {"word for word": self.texts, "by id": self.ids, "in most words": self.alike}
        parts = ", ".join(f"{count:,} {words}" for words, count in how.items() if count)
        example = f", e.g. {self.examples[0]!r}" if self.examples else ""
        several = f"{self.shared:,} of {self.problems:,} problems of {evaluation}"
        return f"{several} are in {self.training}, too ({parts}){example}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "examples": list(self.examples)}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Shared:
        """Read what `as_dict` wrote.

        Raises:
            TypeError: for what is something else.
        """
        names = {each.name for each in fields(cls)}
        kept = {name: value for name, value in data.items() if name in names}
        return cls(**{**kept, "examples": tuple(data.get("examples", ()))})


def shared_problems(
    training: str, train: Iterable[Named], evaluation: Sequence[Named], *, same_source: bool = False
) -> Shared:
    """Compare a training set with an evaluation set.

    Args:
        training: the training set's name.
        train: its problems or traces; read once.
        evaluation: the problems of the evaluation.
        same_source: whether both come from one file or data set: only there the same plain number is the same id.

    Returns:
        How many problems of the evaluation the training set has.
    """
    by_text: dict[tuple[str, ...], list[int]] = {}
    by_id: dict[str, list[int]] = {}
    for number, item in enumerate(evaluation):
        by_text.setdefault(tuple(problem_words(item.problem)), []).append(number)
        if same_source or not item.id.isdigit():
            by_id.setdefault(item.id, []).append(number)
    by_text.pop((), None)  # a text of signs that all were dropped equals nothing
    same = {numbers[0]: numbers for numbers in by_text.values()}
    texts, ids, alike = set[int](), set[int](), set[int]()
    index = OverlapIndex(evaluation, NGRAM)
    for number, item in enumerate(train):
        ids.update(by_id.get(item.id, ()))
        found_one = index.look_up(number, item.problem, MIN_SHARE)
        if found_one is None:
            continue
        if found_one.kind == "exact":
            texts.update(same[found_one.heldout])
        elif not _figures(evaluation[found_one.heldout].problem) - _figures(item.problem):
            alike.add(found_one.heldout)
    alike -= texts
    ids -= texts | alike
    found = sorted(texts | ids | alike)
    examples = tuple(excerpt(evaluation[number].problem) for number in found[:_SHOWN])
    return Shared(training, len(evaluation), len(found), len(ids), len(texts), len(alike), examples)


def _figures(text: str) -> Counter[str]:
    """The numbers and signs of a problem, but for the number that it may have in a book."""
    return Counter(word for word in problem_words(_NUMBERED.sub("", text)) if not word[0].isalpha())


SCORES_KEY = "shared_with_training"
"""Where a result says what its problems share with the training sets of its run."""


def is_held_out(scores: Mapping[str, Any]) -> bool | None:
    """Say whether the problems of a result were held out of the run's training.

    Args:
        scores: what a `scores.json` holds.

    Returns:
        Whether no training set has any of them; ``None`` where nobody has compared them, or nothing was trained.
    """
    known = scores.get(SCORES_KEY)
    if not isinstance(known, list) or not known:
        return None
    return all(isinstance(each, Mapping) and each.get("shared") == 0 for each in known)


def told_shared(scores: Mapping[str, Any], evaluation: str) -> list[str]:
    """Say what the problems of a result share with training sets, a line each; nothing where they share nothing."""
    known = scores.get(SCORES_KEY)
    found = []
    for each in known if isinstance(known, list) else []:
        with contextlib.suppress(TypeError):  # of another version, or nobody's
            if (shared := Shared.of(each)).shared:
                found.append(shared.line(evaluation))
    return found
