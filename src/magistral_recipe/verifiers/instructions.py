"""Instructions that a program can check: IFEval's twenty-five (Zhou et al. 2023, arXiv 2311.07911, table 1).

What is checked is a whole response, strictly, as the published program does; a test holds the two side by side. Three
counts differ, for which it needs NLTK and langdetect: sentences end at ``.``, ``!``, ``?`` or their CJK forms before
white space or the end, but not behind ``Dr.`` and its like; words in capitals are runs of letters, digits, apostrophes
and hyphens; languages are told by this package's own detector. Keywords are text here, and regular expressions there.
A response is hostile text: every pattern here is linear in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Instruction:
    """One instruction of a request.

    Attributes:
        name: a key of `CHECKS`, as ``length_constraints:number_words``.
        options: its own, as ``{"num_words": 300, "relation": "at least"}``.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)


def unknown_instructions(names: Sequence[str]) -> list[str]:
    """Return those names that no check has."""
    return [name for name in names if name not in CHECKS]


def follows(response: str, instruction: Instruction) -> bool:
    """Check one instruction.

    Args:
        response: the whole response, without thoughts.
        instruction: what it must keep to.

    Returns:
        Whether it does; a blank response follows nothing.

    Raises:
        ValueError: where an option is missing or the instruction is unknown: the data set's fault.
    """
    check = CHECKS.get(instruction.name)
    if check is None:
        raise ValueError(f"unknown instruction {instruction.name!r}")
    if not response.strip():
        return False
    try:
        return check(response, instruction.options)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{instruction.name}: unusable options {dict(instruction.options)!r:.120}") from error


def _related(count: int, options: Options, number: str, relation: str = "relation") -> bool:
    """``at least`` n, or ``less than`` n: the only two relations there are."""
    how = options[relation]
    if how not in ("at least", "less than"):
        raise ValueError(f"unknown relation {how!r}")
    return count >= int(options[number]) if how == "at least" else count < int(options[number])


def _occurrences(text: str, phrase: str) -> int:
    return len(re.findall(re.escape(phrase), text, re.IGNORECASE))


def _existence(text: str, options: Options) -> bool:
    return all(_occurrences(text, keyword) for keyword in options["keywords"])


def _frequency(text: str, options: Options) -> bool:
    return _related(_occurrences(text, options["keyword"]), options, "frequency")


def _forbidden(text: str, options: Options) -> bool:
    words = options["forbidden_words"]
    return not any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in words)


def _letters(text: str, options: Options) -> bool:
    return _related(text.lower().count(str(options["letter"]).lower()), options, "let_frequency", "let_relation")


def _is_in(text: str, language: str) -> bool:
    from magistral_recipe.verifiers.language.detect import DEFAULT_LANGUAGES, detect

    candidates = DEFAULT_LANGUAGES if language in DEFAULT_LANGUAGES else (*DEFAULT_LANGUAGES, language)
    verdict = detect(text, candidates)
    return verdict.language == language or not verdict.enough  # too little text to tell is no fault of the response


def _language(text: str, options: Options) -> bool:
    return _is_in(text, str(options["language"]))


_ABBREVIATIONS = ("Dr", "Mr", "Mrs", "Ms", "Prof", "St", "vs", "e.g", "i.e", "cf")
_SENTENCE_END = re.compile(
    "".join(rf"(?<!\b{re.escape(each)})" for each in _ABBREVIATIONS) + r"[.!?]+[\"'”’)\]]?(?=\s|$)|[。！？]+"
)


def _sentences(text: str, options: Options) -> bool:
    parts = [part for part in _SENTENCE_END.split(text) if re.search(r"\w", part)]
    return _related(len(parts), options, "num_sentences")


def _paragraphs(text: str, options: Options) -> bool:
    parts = re.split(r"\s?\*\*\*\s?", text)
    inner = [part for at, part in enumerate(parts) if part.strip() or 0 < at < len(parts) - 1]
    return all(part.strip() for part in inner) and len(inner) == int(options["num_paragraphs"])


def _words(text: str, options: Options) -> bool:
    return _related(len(re.findall(r"\w+", text)), options, "num_words")


def _first_word(text: str, options: Options) -> bool:
    parts = [part.strip() for part in text.split("\n\n")]
    nth = int(options["nth_paragraph"])
    if len([part for part in parts if part]) != int(options["num_paragraphs"]) or not 1 <= nth <= len(parts):
        return False
    words = parts[nth - 1].split()
    if not words:
        return False
    first = re.split(r"[.,?!'\"]", words[0].lstrip("'").lstrip('"'), maxsplit=1)[0]
    return first.lower() == str(options["first_word"]).lower()


def _placeholders(text: str, options: Options) -> bool:
    return len(re.findall(r"\[[^\[\]\n]*\]", text)) >= int(options["num_placeholders"])


def _postscript(text: str, options: Options) -> bool:
    marker = str(options["postscript_marker"]).lower()
    # These two may be written with spaces.
    spaced = {"p.s.": r"p\.\s?s\.", "p.p.s": r"p\.\s?p\.\s?s"}
    return re.search(spaced.get(marker, re.escape(marker)), text.lower()) is not None


def _bullets(text: str, options: Options) -> bool:
    stars = re.findall(r"^[^\S\n]*\*[^*][^\n]*$", text, re.MULTILINE)
    dashes = re.findall(r"^[^\S\n]*-[^\n]*$", text, re.MULTILINE)
    return len(stars) + len(dashes) == int(options["num_bullets"])


def _constrained(text: str, options: Options) -> bool:
    return any(answer in text for answer in ("My answer is yes.", "My answer is no.", "My answer is maybe."))


def _highlights(text: str, options: Options) -> bool:
    double = [part for part in re.findall(r"\*\*([^\n*]*)\*\*", text) if part.strip()]
    single = [part for part in re.findall(r"\*([^\n*]*)\*", text) if part.strip()]
    return len(single) + len(double) >= int(options["num_highlights"])


def _sections(text: str, options: Options) -> bool:
    marks = re.findall(rf"\s?{re.escape(str(options['section_spliter']))}\s?\d+\s?", text)
    return len(marks) >= int(options["num_sections"])


def _json_format(text: str, options: Options) -> bool:
    bare = re.sub(r"^```(?:json|JSON|Json)?|```$", "", text.strip()).strip()
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, options: Options) -> bool:
    for line in text.split("\n"):
        _, opened, rest = line.partition("<<")
        title, closed, _ = rest.rpartition(">>")
        if opened and closed and title.lstrip("<").rstrip(">").strip():
            return True
    return False


def _two_responses(text: str, options: Options) -> bool:
    parts = text.split("******")
    inner = [part.strip() for at, part in enumerate(parts) if part.strip() or 0 < at < len(parts) - 1]
    return len(inner) == 2 and all(inner) and inner[0] != inner[1]


def _repeat(text: str, options: Options) -> bool:
    return text.strip().lower().startswith(str(options["prompt_to_repeat"]).strip().lower())


def _ends(text: str, options: Options) -> bool:
    return text.strip().strip('"').lower().endswith(str(options["end_phrase"]).strip().lower())


def _capital_words(text: str, options: Options) -> bool:
    words = re.findall(r"\w+(?:['’-]\w+)*", text)
    return _related(sum(word.isupper() for word in words), options, "capital_frequency", "capital_relation")


def _upper(text: str, options: Options) -> bool:
    return text.isupper() and _is_in(text, "en")


def _lower(text: str, options: Options) -> bool:
    return text.islower() and _is_in(text, "en")


def _no_comma(text: str, options: Options) -> bool:
    return "," not in text


def _quoted(text: str, options: Options) -> bool:
    bare = text.strip()
    return len(bare) > 1 and bare[0] == bare[-1] == '"'


CHECKS: dict[str, Callable[[str, Options], bool]] = {
    "keywords:existence": _existence,
    "keywords:frequency": _frequency,
    "keywords:forbidden_words": _forbidden,
    "keywords:letter_frequency": _letters,
    "language:response_language": _language,
    "length_constraints:number_sentences": _sentences,
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:number_words": _words,
    "length_constraints:nth_paragraph_first_word": _first_word,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:constrained_response": _constrained,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _json_format,
    "detectable_format:title": _title,
    "combination:two_responses": _two_responses,
    "combination:repeat_prompt": _repeat,
    "startend:end_checker": _ends,
    "startend:quotation": _quoted,
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": _upper,
    "change_case:english_lowercase": _lower,
    "punctuation:no_comma": _no_comma,
}
"""The checks by the names that the data set gives them."""
