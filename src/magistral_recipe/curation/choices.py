"""Multiple choice: finding the options in a problem's text, and asking for the value instead (Magistral §4).

A letter is guessed right one time in four or five, so that it teaches little: the options go, and the value that stands
at the right letter becomes the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# (A), \textbf{(A)}, \mathrm{(A) \ }, [A], A), A., A: or, in Chinese, A、 in front of an option.
_WRAPPED = r"\\(?:textbf|mathrm|text|bf|textrm|rm)\s*\{\s*\(?([A-H])\)?[.:]?\s*\\?,?\s*\}\s*\)?"
_MARKER = re.compile(rf"(?:{_WRAPPED}|[(（\[]([A-H])[)）\]]|(?<![\w\\$])([A-H])(?:[).:](?=\s|\$|\\)|[．、：]))")
_SMALL = re.compile(r"(?<![\w\\$(])\(?([a-h])\)(?=\s|\$|\\)")
_RUSSIAN = re.compile(r"(?<![\w\\$(])\(?([АБВГДЕ])\)(?=\s|\$|\\)")
_RUSSIAN_LETTERS = dict(zip("АБВГДЕ", "ABCDEF", strict=True))
_LETTER = re.compile(r"\W*(?:\\text(?:bf|rm)?\{)?\W*([A-Ha-hАБВГДЕ])\W*\}?\W*", re.DOTALL)
_SPACE = r"\\(?:quad|qquad|hspace\{[^}]*\}|\\|\s|,|;|!)"
_FILLER = re.compile(rf"^(?:{_SPACE}|[\s,;$&~])+|(?:{_SPACE}|[\s,;&~])+$")
_END_OF_QUESTION = re.compile(
    rf"(?:{_SPACE}|[\s,;&~]|[(（]\s*[)）]|\b(?:options|choices|answer choices)\s*:)+$", re.IGNORECASE
)
_LISTED = re.compile(r"\b(?:options|choices|alternatives)\s*:", re.IGNORECASE)
_NO_VALUE = re.compile(
    r"\b(?:(?:none|all|both|neither|either|any) of|not enough|cannot be|can't be|impossible to|insufficient|"
    r"undetermined|more than one|only (?:i|ii|iii)\b|(?:i|ii|iii) (?:and|only)\b)",
    re.IGNORECASE,
)
_ABOUT_OPTIONS = re.compile(
    r"\bwhich (?:one |ones )?of (?:the|these|those)\b|"
    r"\bwhich (?:statement|option|choice|answer|equation|expression|graph|of)\b|"
    r"\b(?:following|these) (?:statements?|options?|choices?|expressions?|equations?|numbers?|is|are)\b|"
    r"\b(?:choose|select) the\b|\bparmi (?:les|ces)\b|\bcuál de\b|\bquale (?:delle|tra)\b|\bwelche der\b|下列|以下哪",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Choices:
    """A multiple choice.

    Attributes:
        question: the text in front of the options.
        options: letter → what stands there.
    """

    question: str
    options: dict[str, str]


def find_choices(text: str, answer: str = "A") -> Choices | None:
    """Find the options in a problem; ``None`` where there are none.

    Args:
        text: the problem.
        answer: its reference: small and Russian letters are options only where it is one of them.

    Returns:
        At least three options with the letters from A on, each with a text, at the end of the problem.
    """
    marks = [
        (match.start(), match.end(), _capital(next(filter(None, match.groups())))) for match in _marks(text, answer)
    ]
    for first in range(len(marks)):
        run = [marks[first]]
        for mark in marks[first + 1 :]:
            if mark[2] == chr(ord(run[-1][2]) + 1):
                run.append(mark)
        if run[0][2] != "A" or len(run) < 3:
            continue
        ends = [start for start, _, _ in run[1:]] + [len(text)]
        options = {letter: _trimmed(text[after:end]) for (_, after, letter), end in zip(run, ends, strict=True)}
        if all(options.values()) and not any("\n\n" in option for option in list(options.values())[:-1]):
            return Choices(_question(text[: run[0][0]]), options)
    return None


def _marks(text: str, answer: str) -> list[re.Match[str]]:
    found = _LETTER.fullmatch(answer)
    if found and found[1].islower():
        return list(_SMALL.finditer(text))
    if found and not found[1].isascii() and (marks := list(_RUSSIAN.finditer(text))):
        return marks
    return list(_MARKER.finditer(text))


def _capital(letter: str) -> str:
    return _RUSSIAN_LETTERS.get(letter, letter).upper()


def letter_of(answer: str) -> str | None:
    """The letter that an answer is, as in ``B``, ``(b)`` or ``\\text{(B)}``; ``None`` for another answer."""
    match = _LETTER.fullmatch(answer)
    return _capital(match[1]) if match else None


def lists_options(question: str) -> bool:
    """Say whether a text announces options, in whatever layout."""
    return bool(_LISTED.search(question))


def asks_about_options(question: str) -> bool:
    """Say whether a question makes no sense without its options: "which of the following …"."""
    return bool(_ABOUT_OPTIONS.search(question))


def is_value(option: str) -> bool:
    """Say whether an option is an answer by itself, as "none of these" isn't."""
    return not _NO_VALUE.search(option)


def _question(text: str) -> str:
    """The text in front of the options, without the dollar sign that the first of them stood behind."""
    text = _END_OF_QUESTION.sub("", text.strip())
    if text.count("$") % 2 and text.endswith("$"):
        text = _END_OF_QUESTION.sub("", text[:-1])
    return text


def _trimmed(text: str) -> str:
    text = _FILLER.sub("", text.strip())
    # A dollar sign whose partner stood on the other side of a marker.
    if text.count("$") % 2:
        text = text[:-1] if text.endswith("$") else text.replace("$", "", 1) if text.startswith("$") else f"${text}"
    return text.strip().strip(";").strip()
