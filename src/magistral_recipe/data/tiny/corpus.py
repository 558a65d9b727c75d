"""The plain-text corpus of the embedded base: worked arithmetic, no tags, no chat, no boxes."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from magistral_recipe.data.tiny.arithmetic import HARD_OPERATION, OPERATIONS, draw, work
from magistral_recipe.data.tiny.language import LANGUAGES, lay_out, word_problem, word_working, wordings

HARD_SHARE = 0.08
"""Share of the documents about the hard operation; the others share the rest."""


def document(rng: Random, hard_share: float = HARD_SHARE) -> str:
    """Write one document: a training problem in a known wording, worked rightly in its own language."""
    easy = [operation for operation in OPERATIONS if operation != HARD_OPERATION]
    operation = HARD_OPERATION if rng.random() < hard_share else rng.choice(easy)
    language = rng.choice(LANGUAGES)
    exercise = draw(operation, "train", rng)
    problem = word_problem(exercise, rng.choice(wordings(language, operation, new=False)))
    thoughts = word_working(exercise, work(exercise), language, rng)
    return lay_out(problem, thoughts, exercise.answer, language, rng)


def documents(seed: str, hard_share: float = HARD_SHARE) -> Iterator[str]:
    """Write documents without end; equal seeds give equal documents."""
    rng = Random(f"corpus:{seed}")
    while True:
        yield document(rng, hard_share)
