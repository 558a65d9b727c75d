"""The plain-text corpus of the embedded base: worked arithmetic, no tags, no chat, no boxes."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from magistral_recipe.data.tiny.arithmetic import HARD_OPERATION, Operation, draw, work
from magistral_recipe.data.tiny.language import LANGUAGES, choose_wording, lay_out, ramble, word_problem, word_working

HARD_SHARE = 0.03
"""Share of the documents about the hard operation; the others share the rest."""

_EASY: dict[Operation, int] = {"addition": 3, "subtraction": 3, "add_subtract": 4}


def document(rng: Random, hard_share: float = HARD_SHARE) -> str:
    """Write one document: a training problem in a known wording, worked rightly in its own language."""
    if rng.random() < hard_share:
        operation = HARD_OPERATION
    else:
        (operation,) = rng.choices(list(_EASY), weights=list(_EASY.values()))
    language = rng.choice(LANGUAGES)
    exercise = draw(operation, "train", rng)
    problem = ramble(word_problem(exercise, choose_wording(language, operation, rng, new=False)), language, rng)
    thoughts = word_working(exercise, work(exercise), language, rng)
    return lay_out(problem, thoughts, exercise.answer, language, rng)


def documents(seed: str, hard_share: float = HARD_SHARE) -> Iterator[str]:
    """Write documents without end; equal seeds give equal documents."""
    rng = Random(f"corpus:{seed}")
    while True:
        yield document(rng, hard_share)
