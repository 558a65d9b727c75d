"""Training problems as they come from the wild: among the good ones, kinds of faults that curation is for.

A row doesn't tell what it is; `planted` does, for whoever wants to count what was found.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Literal
from zlib import crc32

from magistral_recipe.data.tiny.arithmetic import Exercise
from magistral_recipe.data.tiny.language import LANGUAGES, choose_wording, word_problem
from magistral_recipe.data.tiny.rows import problems

Kind = Literal["clean", "wrong answer", "duplicate", "leak", "no answer", "too hard"]
"""What a row is.

`wrong answer` is another number than the right one; `duplicate` repeats a clean row, `leak` a held-out problem, with
other marks and spaces; `no answer` has a remark in the answer's place; `too hard` multiplies numbers of three digits.
"""

_FAULTS: tuple[Kind, ...] = ("wrong answer", "duplicate", "leak", "no answer", "too hard")
_HELD_OUT = 256
"""Leaks are among so many of the held-out problems, from the first on."""
_REMARKS = (
    "see the solution at the end of the chapter",
    "the teacher gives the answer in class",
    "it depends on how many are broken",
)


def planted(count: int, seed: int = 0) -> list[tuple[Kind, dict[str, Any]]]:
    """Generate problems of which each fault has a tenth, and say what each is.

    Args:
        count: how many rows, ten at least.
        seed: equal seeds give equal rows.

    Returns:
        (kind, `Problem` row), in a random order.

    Raises:
        ValueError: for fewer than ten.
    """
    if count < 10:
        raise ValueError(f"a tenth of each fault takes ten rows at least, not {count}")
    rng, tenth = Random(f"flawed:{seed}"), count // 10
    good = count - len(_FAULTS) * tenth
    drawn = problems("train", good + 2 * tenth, seed)
    clean, mislabelled, unanswered = drawn[:good], drawn[good : good + tenth], drawn[good + tenth :]
    heldout = rng.sample(problems("heldout", _HELD_OUT), min(tenth, _HELD_OUT))
    rows: list[tuple[Kind, dict[str, Any]]] = [("clean", row) for row in clean]
    rows += [("wrong answer", {**row, "answer": str(_wrong(int(row["answer"]), rng))}) for row in mislabelled]
    rows += [("duplicate", _marked(row, rng)) for row in rng.sample(clean, tenth)]
    rows += [("leak", _marked(row, rng)) for row in heldout]
    rows += [("no answer", {**row, "answer": rng.choice(_REMARKS)}) for row in unanswered]
    rows += [("too hard", _hard(rng)) for _ in range(count - len(rows))]
    rng.shuffle(rows)
    # A copy comes behind what it repeats, so that the one that stays is the clean one.
    rows.sort(key=lambda each: each[0] == "duplicate")
    return [(kind, {**row, "id": f"tiny/{seed}/{number:05d}"}) for number, (kind, row) in enumerate(rows)]


def flawed(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Generate the rows of `planted` without a word of what they are.

    Args:
        count: how many rows, ten at least.
        seed: equal seeds give equal rows.

    Returns:
        `Problem` rows.

    Raises:
        ValueError: for fewer than ten.
    """
    return [row for _, row in planted(count, seed)]


def _wrong(answer: int, rng: Random) -> int:
    return max(answer + rng.choice((-10, -2, -1, 1, 2, 10)), 0) or answer + 1


def _marked(row: dict[str, Any], rng: Random) -> dict[str, Any]:
    """The same words with other marks and spaces, as copies on the net have them."""
    changes: tuple[Callable[[str], str], ...] = (
        lambda text: text.replace(" ", "  "),
        lambda text: text.rstrip("?.! ") + " …",
        lambda text: f"* {text}",
        lambda text: text.replace(". ", " ; "),
    )
    return {**row, "problem": rng.choice(changes)(row["problem"]).strip(), "source": "tiny"}


def _hard(rng: Random) -> dict[str, Any]:
    """A product that the digit by digit working of the traces can't reach."""
    language = rng.choice(LANGUAGES)
    exercise = Exercise("multiplication", (rng.randint(112, 999), rng.randint(112, 999)))
    wording = choose_wording(language, "multiplication", rng, new=False)
    return {
        "id": f"{crc32(wording.encode()):08x}",
        "problem": word_problem(exercise, wording),
        "answer": str(exercise.answer),
        "kind": "math",
        "language": language,
        "source": "tiny",
        "difficulty": exercise.difficulty,
        "category": "multiplication",
    }
