"""Which language each completion was found to be in, beside the one asked for."""

from __future__ import annotations

from collections.abc import Sequence

from magistral_recipe.evaluation.estimators import UNDECIDED
from magistral_recipe.rewards.base import Grade, Reason
from magistral_recipe.rewards.language import completion_language, language_code
from magistral_recipe.verifiers.language.detect import DEFAULT_LANGUAGES
from magistral_recipe.writing.thinking import Thinking

_WORDS = {Reason.TOO_SHORT: UNDECIDED, Reason.MIXED_LANGUAGES: "mixed", Reason.MALFORMED: "malformed"}


def found_languages(
    completions: Sequence[str],
    asked: Sequence[str],
    thinking: Thinking | None,
    candidates: Sequence[str] | None = None,
) -> list[str]:
    """Tell the language of completions as the language reward does.

    Args:
        completions: texts, thinking tags included.
        asked: the language of each one's problem; always a candidate.
        thinking: the tags; ``None`` judges the whole text.
        candidates: the languages to choose from, by default the reward's.

    Returns:
        A code each, or ``mixed``, ``undecided`` (too little text) or ``malformed``.

    Raises:
        ValueError: for a language that is none, naming the row.
    """
    known = tuple(candidates or DEFAULT_LANGUAGES)
    found = []
    for row, (text, wanted) in enumerate(zip(completions, asked, strict=True)):
        code = language_code(wanted, f"references[{row}]")
        told = completion_language(text, thinking, known if code in known else (*known, code))
        found.append(told.language or _WORDS.get(told.reason, UNDECIDED))
    return found


def graded_languages(
    grades: Sequence[Grade], completions: Sequence[str], asked: Sequence[str | None], thinking: Thinking | None
) -> list[str | None]:
    """Name the languages of completions that the language reward has graded: only wrong ones are looked at again.

    Args:
        grades: the reward's.
        completions: texts, thinking tags included.
        asked: the language of each one's problem; ``None`` where it has none.
        thinking: the tags; ``None`` judges the whole text.

    Returns:
        For each as `found_languages` has it; ``None`` where no language was asked for.
    """
    found = [
        None if wanted is None else wanted if grade.value == 1 else _WORDS.get(grade.reason, UNDECIDED)
        for grade, wanted in zip(grades, asked, strict=True)
    ]
    wrong = [row for row, grade in enumerate(grades) if grade.reason is Reason.WRONG_LANGUAGE and asked[row]]
    told = found_languages([completions[row] for row in wrong], [str(asked[row]) for row in wrong], thinking)
    for row, language in zip(wrong, told, strict=True):
        found[row] = language
    return found
