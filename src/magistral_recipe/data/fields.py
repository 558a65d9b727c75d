"""What a single value of a row must be: text, an answer, tests, a language.

Each check takes a raw value, as a file gave it, and returns the clean one or raises a
`PydanticCustomError` whose type is a `Code`: a closed set, so that set-aside rows can be counted by
reason. These are checks of *form*; whether an answer can be graded is the verifiers' business.
"""

from __future__ import annotations

import math
import re
import reprlib
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from pydantic_core import PydanticCustomError

from magistral_recipe.verifiers.programs.testcases import parse_tests


class Code(StrEnum):
    """Why a row was set aside."""

    BAD_JSON = "bad JSON"
    BAD_CSV = "bad CSV"
    INVALID_UTF8 = "invalid UTF-8"
    NUL = "NUL character"
    NOT_AN_OBJECT = "not an object"
    MISSING = "missing column"
    EMPTY = "empty value"
    WRONG_TYPE = "wrong type"
    BAD_VALUE = "bad value"
    BAD_TESTS = "bad tests"
    BAD_TAGS = "bad thinking tags"
    TOO_LONG = "too long"
    DUPLICATE = "duplicate"
    TRANSFORM = "the transform failed"


class Rejection(NamedTuple):
    """Why a row was set aside.

    Attributes:
        code: the kind of reason, one of a closed set.
        reason: the sentence for a person, which names the column.
    """

    code: Code
    reason: str


def failure(code: Code, message: str) -> PydanticCustomError:
    """Make the error of a failed check; braces in the message are taken literally."""
    return PydanticCustomError(code.value, "{message}", {"message": message})


def shown(value: object, width: int = 40) -> str:
    """Show a value in a message, cut to a width in characters."""
    text = reprlib.repr(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def text(value: object) -> str:
    """Check a required text: a string that is not blank and can be written as UTF-8."""
    if value is None:
        raise failure(Code.EMPTY, "is empty")
    if not isinstance(value, str):
        raise failure(Code.WRONG_TYPE, f"expected text, got {type(value).__name__} {shown(value)}")
    if "\0" in value:
        raise failure(Code.NUL, "contains a NUL character")
    # Python decodes a JSON escape such as \ud800 without a word; nothing downstream can encode it.
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise failure(Code.INVALID_UTF8, "contains bytes or an escape that are not valid UTF-8")
    if not value.strip():
        raise failure(Code.EMPTY, "is empty")
    return value


def optional_text(value: object) -> str | None:
    """Check an optional text; blank counts as absent (an empty CSV cell)."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    return text(value)


def name(value: object) -> str | None:
    """Check an identifier: a text or a whole number, as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return optional_text(value)


def answer(value: object) -> str | list[str] | None:
    """Check a reference answer: a text or a number, or a list of them of which any one is right.

    Numbers become the text that writes them, and true (BoolQ, StrategyQA) is yes as well; a blank text or an empty list
    is no answer.
    """
    if isinstance(value, bool):
        return ["yes", "true"] if value else ["no", "false"]
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, list | tuple):
        if not value:
            return None
        return [_one_answer(item) for item in value]
    return _one_answer(value)


def _one_answer(value: object) -> str:
    if isinstance(value, bool):
        raise failure(Code.WRONG_TYPE, f"expected text or a number, got {value}")
    if isinstance(value, int | float | Decimal):
        if not isinstance(value, int) and not math.isfinite(value):
            raise failure(Code.BAD_VALUE, f"expected a finite number, got {value}")
        return str(value)
    if value is not None and not isinstance(value, str):
        raise failure(Code.WRONG_TYPE, f"expected text or a number, got {type(value).__name__} {shown(value)}")
    return text(value).strip()


def number(value: object) -> float | None:
    """Check an optional finite number; digits in a text (a CSV cell) count."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise failure(Code.WRONG_TYPE, f"expected a number, got {type(value).__name__} {shown(value)}")
    try:
        result = float(value)
    except (ValueError, OverflowError):
        raise failure(Code.WRONG_TYPE, f"expected a number, got {shown(value)}") from None
    if not math.isfinite(result):
        raise failure(Code.BAD_VALUE, f"expected a finite number, got {result}")
    return result


def limit(value: object) -> float | None:
    """Check an optional number that must be above 0."""
    result = number(value)
    if result is not None and result <= 0:
        raise failure(Code.BAD_VALUE, f"expected a number above 0, got {result:g}")
    return result


def tolerance(value: object) -> float | None:
    """Check an optional number that must not be negative."""
    result = number(value)
    if result is not None and result < 0:
        raise failure(Code.BAD_VALUE, f"expected a number of at least 0, got {result:g}")
    return result


def language(value: object) -> str | None:
    """Check an optional language: an ISO 639-1 code; a region (``pt-BR``) is dropped."""
    code = optional_text(value)
    if code is None:
        return None
    match = re.fullmatch(r"([A-Za-z]{2})(?:[-_][A-Za-z0-9]+)*", code.strip())
    if match is None:
        raise failure(Code.BAD_VALUE, f"expected a two-letter ISO 639-1 code such as 'fr', got {shown(code)}")
    return match[1].lower()


def tests(value: object) -> str | None:
    """Check optional tests of a program, and give them as the JSON string that Arrow keeps unharmed.

    Accepts what the code reward accepts, a JSON string or the same objects; a string stays as it is. In
    objects, a key that holds None counts as absent (Arrow fills them in), in a string it is a value.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        parsed = parse_tests(text(value) if isinstance(value, str) else value, "")
    except ValueError as error:
        raise failure(Code.BAD_TESTS, str(error).lstrip(".: ")) from None
    return value if isinstance(value, str) else parsed.as_json()
