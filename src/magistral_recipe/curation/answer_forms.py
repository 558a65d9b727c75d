"""What a contest asks for in place of a fraction: "is m/n in lowest terms, find m + n" asks what the fraction is."""

from __future__ import annotations

import re

_LETTER = r"\s*[{(]?\s*[a-zA-Z]\s*[})]?\s*"
_OPENS, _CLOSES = r"(?:\$|\\\()?\s?", r"\s?[,.]?\s?(?:\$|\\\))?"
_FRACTION = rf"{_OPENS}\s?(?:\\[dt]?frac{_LETTER}{_LETTER}|[a-zA-Z]\s?/\s?[a-zA-Z]){_CLOSES}"
_ONE, _PRIME = rf"{_OPENS}[a-zA-Z]{_CLOSES}", r"(?:relatively prime|co-?prime|mutually prime)"
_LOWEST = r"(?:,?\s?in (?:its )?(?:lowest|simplest|reduced) (?:terms|form))"
_WHERE = (
    rf"(?:,?\s(?:where|with|for|such that)\s{_ONE}\s?(?:and|,)\s?{_ONE}\s?(?:are\s|being\s)?(?:positive\s)?"
    rf"{_PRIME}(?:\s(?:positive|integers|natural|numbers))*)"
)
_SUM = (
    rf"[.,;]?\s+(?:then\s|,\s)?(?:[Ff]ind|[Cc]ompute|[Dd]etermine|[Cc]alculate|[Ww]hat is)\s(?:the value of\s)?"
    rf"{_OPENS}[a-zA-Z]\s?\+\s?[a-zA-Z]{_CLOSES}\s?[.?]?"
)
_STATED = re.compile(
    r"(?<![^\s])(?:(?:If|Given that|Suppose(?: that)?)\s)?[Tt]he\s([^.?!]{5,300}?)\s(?:(?:can|may) be "
    r"(?:written|expressed)|is|equals)\s(?:as\s|equal to\s|in the form\s)?(?:(?:a|an|the)\s)?"
    r"(?:(?:irreducible|reduced|common)\s)?(?:fraction\s)?"
    rf"{_FRACTION}(?:{_LOWEST}|{_WHERE}){{1,2}}{_SUM}"
)
_LET = re.compile(
    rf"(?<![^\s])Let\s{_FRACTION}\s(?:be|denote)\sthe\s([^.?!]{{5,300}}?)(?:{_LOWEST}|{_WHERE}){{1,2}}{_SUM}"
)


def asked_plainly(text: str) -> str:
    """Ask for a fraction itself where its numerator and denominator are to be added.

    Args:
        text: a problem as a data set gives it.

    Returns:
        "What is the area of ABC?" in place of "The area of ABC is m/n in lowest terms. Find m + n."; any other
        combination of the two is another question, and stays.
    """
    if "+" not in text or ("prime" not in text and "est" not in text and "reduced" not in text):
        return text
    return _LET.sub(r"What is the \1?", _STATED.sub(r"What is the \1?", text))
