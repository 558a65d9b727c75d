"""Which language each completion was found to be in, beside the one asked for."""

from __future__ import annotations

from collections.abc import Sequence

from magistral_recipe.evaluation.estimators import UNDECIDED
from magistral_recipe.rewards.base import Reason
from magistral_recipe.rewards.language import completion_language, language_code
from magistral_recipe.rewards.thinking import Thinking
from magistral_recipe.verifiers.langid import DEFAULT_LANGUAGES

_WORDS = {Reason.TOO_SHORT: UNDECIDED, Reason.MIXED_LANGUAGES: "mixed", Reason.MALFORMED: "malformed"}


def found_languages(
    completions: Sequence[str],
    asked: Sequence[str],
    thinking: Thinking,
    candidates: Sequence[str] | None = None,
) -> list[str]:
    """Tell the language of completions as the language reward does.

    Args:
        completions: texts, thinking tags included.
        asked: the language of each one's problem; always a candidate.
        thinking: the tags.
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
