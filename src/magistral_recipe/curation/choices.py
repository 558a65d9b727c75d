"""Multiple choice: finding the options in a problem's text, and which of them the answer names (Magistral §4).

A letter is guessed right one time in four or five, so that it teaches little: the options go, and the value that stands
at the right letter becomes the answer. Whether the question means anything without them, `choice_questions` says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from magistral_recipe.curation.choice_questions import bids_to_choose, is_question, without_bids
from magistral_recipe.curation.demands import asks
from magistral_recipe.data.instructions import is_instruction
from magistral_recipe.verifiers.answers import compare
from magistral_recipe.verifiers.answers.effort import OutOfTimeError, limited_effort

# (A), \textbf{(A)}, \mathrm{(A) \ }, **A)**, [A], A), A., A: or, in Chinese, A、 in front of an option.
_FOLLOWED = r"(?=[\s$\\\d(−√]|-\d|[\u4e00-\u9fff])"
_WRAPPED = r"\\(?:textbf|mathrm|text|bf|textrm|rm)\s*\{\s*\(?([A-H])\)?[.:]?\s*\\?,?\s*\}\s*\)?"
_BOLD = r"\*\*\(?([A-H])(?:[).:]{1,2}\s?\*\*|\*\*[).:])"
_MARKER = re.compile(rf"(?:{_WRAPPED}|{_BOLD}|[(（\[]([A-H])[)）\]]|(?<![\w\\$])([A-H])(?:[).:]{_FOLLOWED}|[．、：]))")
_SMALL = re.compile(r"(?<![\w\\$(])\(?([a-h])\)(?=\s|\$|\\)")
_RUSSIAN = re.compile(r"(?<![\w\\$(])\(?([АБВГДЕ])\)(?=\s|\$|\\)")
_RUSSIAN_LETTERS = dict(zip("АБВГДЕ", "ABCDEF", strict=True))
_LOOSE = re.compile(r"(?<![\w\\$])[(\[*]{0,3}([AB])[)\].:*]")

_DRESS = r"\\(?:boxed|text(?:bf|rm|it)?|math(?:rm|bf)|rm|bf)(?![A-Za-z])"
_NOT_A_LETTER = re.compile(rf"{_DRESS}|[\W_]")
_LETTER = re.compile(
    r"\s*(?:(?:(?:the )?(?:(?:correct|right|final) )?(?:answer|option|choice)(?: is)?|ответ|答案[为是]?|故?选)\s*)?"
    r"([A-H]|[АБВГДЕ])\s*",
    re.IGNORECASE,
)
_LETTER_AND_VALUE = re.compile(
    rf"[\s$*]*(?:{_DRESS}\s*\{{)?\s*(?:\(([A-Ha-hАБВГДЕ])\)[.:]?|([A-Ha-hАБВГДЕ])[.:)])(?:\s|\}}|\\[ ,;]|~)*(\S.*)",
    re.DOTALL,
)
_JOINED = re.compile(r"\b(?:and|or|et|und|и)\b|[\W_]", re.IGNORECASE)
_LONGEST_LETTER, _LONGEST_VALUE = 60, 500

_SPACE = r"\\(?:quad|qquad|hspace\{[^}\n]{0,20}\}|\\|\s|,|;|!)"
_LEADING = re.compile(rf"^(?:{_SPACE}|[\s,;$&~*])+")
_TRAILING = re.compile(rf"(?:{_SPACE}|[\s,;&~*])+$")
_END_OF_QUESTION = re.compile(
    rf"(?:{_SPACE}|[\s,;&~*]|[(（]\s*[)）]|\b(?:options|choices|answer choices)\s*:)+$", re.IGNORECASE
)
_BULLET = re.compile(r"\n[ \t]*[-+*•][ \t]*$")  # of a list whose items the options are
_TAIL = 400  # characters: a page of spaces must not be tried over from every place in it
_FULL_STOP = re.compile(r"(?<!\.)(?<!\.[A-Za-z])[.。．]$")
_PIECE = re.compile(r"(\n+|(?<=[.?!。？！])\s+)")
_MOST_STARTS = 8
_FEWEST = 2


@dataclass(frozen=True)
class Choices:
    """A multiple choice.

    Attributes:
        question: the text around the options, without words that bid to choose.
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
        Options with the letters from A on, each with a text, behind which nothing is asked: at least three, or two
        behind a question whose answer is a letter.
    """
    run = _longest_run([(mark.start(), mark.end(), _capital(_letter_in(mark))) for mark in _marks(text, answer)])
    if len(run) < (_FEWEST if _letter_said(answer) else _FEWEST + 1):
        return None
    ends = [start for start, _, _ in run[1:]]
    last, behind = _last_option(text[run[-1][1] :])
    texts = [text[after:end] for (_, after, _), end in zip(run, ends, strict=False)]
    options = {letter: _trimmed(option) for (_, _, letter), option in zip(run, [*texts, last], strict=True)}
    if not all(options.values()) or any("\n\n" in option.strip() for option in texts) or asks(behind):
        return None
    question = _question(text[: run[0][0]])
    if len(run) == _FEWEST and not is_question(question):
        return None
    return Choices(f"{question}\n\n{behind}" if question and behind else question, options)


def right_option(found: Choices, answer: str) -> str | None:
    """The text of the option that an answer names.

    Args:
        found: the options.
        answer: a letter, an option's text, both, or a value that is none of theirs.

    Returns:
        The option's text, without its letter; the value itself where it is none of theirs; ``None`` where a letter
        names none, or several are named.
    """
    if letter := letter_of(answer):
        return found.options.get(letter)
    if names_several(answer):
        return None
    if (said := _said_with_value(answer)) and said[0] in found.options:
        option = found.options[said[0]]
        return option if _same(option, said[1]) else None
    return answer


def is_choice(found: Choices, answer: str) -> bool:
    """Say whether what looks like options are options of this answer, and no cases or things with letters.

    Args:
        found: what looks like options.
        answer: the reference.
    """
    if _letter_said(answer) or names_several(answer) or any(_same(each, answer) for each in found.options.values()):
        return True
    return is_question(found.question)


def _longest_run(marks: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """The longest row of letters from an A on; of equal ones the last, since options stand at the end."""
    best: list[tuple[int, int, str]] = []
    starts = [place for place, mark in enumerate(marks) if mark[2] == "A"]
    for start in starts[: -_MOST_STARTS - 1 : -1]:
        run = [marks[start]]
        for mark in marks[start + 1 :]:
            if ord(mark[2]) == ord(run[-1][2]) + 1:
                run.append(mark)
        if len(run) > len(best):
            best = run
    return best


def _marks(text: str, answer: str) -> list[re.Match[str]]:
    said = _letter_said(answer)
    if said and said.islower():
        return list(_SMALL.finditer(text))
    if said and not said.isascii() and (marks := list(_RUSSIAN.finditer(text))):
        return marks
    return list(_MARKER.finditer(text))


def _letter_in(mark: re.Match[str]) -> str:
    return str(next(filter(None, mark.groups())))


def _capital(letter: str) -> str:
    return _RUSSIAN_LETTERS.get(letter.upper(), letter.upper())


def _letter_said(answer: str) -> str | None:
    """The letter that an answer is or begins with, as it is written."""
    if len(answer) <= _LONGEST_LETTER and (match := _LETTER.fullmatch(_NOT_A_LETTER.sub(" ", answer))):
        return match[1]
    said = _LETTER_AND_VALUE.fullmatch(answer) if len(answer) <= _LONGEST_VALUE else None
    return said[1] or said[2] if said else None


def _said_with_value(answer: str) -> tuple[str, str] | None:
    said = _LETTER_AND_VALUE.fullmatch(answer) if len(answer) <= _LONGEST_VALUE else None
    if not said:
        return None
    value = said[3].removesuffix("}") if said[3].count("}") > said[3].count("{") else said[3]
    return _capital(said[1] or said[2]), _trimmed(value)


def letter_of(answer: str) -> str | None:
    """The letter that an answer is, as in ``B``, ``\\text{(b)}`` or "The answer is B"; ``None`` for another answer."""
    if len(answer) > _LONGEST_LETTER:
        return None
    match = _LETTER.fullmatch(_NOT_A_LETTER.sub(" ", answer))
    return _capital(match[1]) if match else None


def names_several(answer: str) -> bool:
    """Say whether an answer names several options: ``AC``, ``A, B``."""
    if len(answer) > _LONGEST_LETTER:
        return False
    letters = _JOINED.sub("", re.sub(_DRESS, "", answer))
    return bool(re.fullmatch("[A-H]{2,8}", letters)) and list(letters) == sorted(set(letters))


def shows_letters(text: str) -> bool:
    """Say whether letters stand in a text as options do, in whatever layout, and nothing is asked behind them."""
    marks = list(_LOOSE.finditer(text))
    return {mark[1] for mark in marks} == {"A", "B"} and not asks(text[marks[-1].end() :])


def _same(option: str, value: str) -> bool:
    """Whether a value is an option's, in whatever notation."""
    if "".join(option.split()).strip("$.") == "".join(value.split()).strip("$."):
        return True
    if max(len(option), len(value)) > _LONGEST_VALUE:
        return False
    try:
        with limited_effort(0.1):
            return compare(option, value).right is True
    except OutOfTimeError:
        return False


def _question(text: str) -> str:
    """The text in front of the options, without the dollar sign that the first of them stood behind."""
    text = _without_end(_END_OF_QUESTION, _without_end(_BULLET, text).strip())
    if text.count("$") % 2 and text.endswith("$"):
        text = _without_end(_END_OF_QUESTION, text[:-1])
    return without_bids(text)


def _last_option(text: str) -> tuple[str, str]:
    """Part the last option from what stands behind it; instructions and bids to choose are left out of that."""
    pieces = _PIECE.split(text.strip())
    for place in range(2, len(pieces), 2):
        gap, piece = pieces[place - 1], pieces[place]
        if "\n\n" in gap or asks(piece) or _is_aside(piece):
            behind = "".join(" " if _is_aside(each) else each for each in pieces[place:])
            return "".join(pieces[: place - 1]), behind.strip()
    return text, ""


def _is_aside(piece: str) -> bool:
    return is_instruction(piece) or bids_to_choose(piece)


def _trimmed(text: str) -> str:
    text = _without_end(_TRAILING, _LEADING.sub("", _without_end(_BULLET, text).strip()))
    # A dollar sign whose partner stood on the other side of a marker.
    if text.count("$") % 2:
        text = text[:-1] if text.endswith("$") else text.replace("$", "", 1) if text.startswith("$") else f"${text}"
    return _FULL_STOP.sub("", text.strip().strip(";；").strip()).strip()


def _without_end(end: re.Pattern[str], text: str) -> str:
    return text[:-_TAIL] + end.sub("", text[-_TAIL:])
