r"""Clauses behind an answer that take nothing back: ``\text{for all } x``, ``k \in \mathbb{Z}``, "c is a constant".

What restricts the answer (``for even n``, ``for x = 1``, ``only``) is no such clause and stays where it is.
"""

from __future__ import annotations

import re

_SET = r"\\mathbb ?\{?[ZNRQC]\}?(?:(?: ?[\^_] ?(?:\{[^{}]{0,12}\}|[+*\d-]))*)"
_LETTER = r"\\?[a-zA-Z](?:[a-z]+(?<=alpha|ambda|theta))?(?: ?_ ?\{?\w{1,2}\}?)?"
_MEMBER = rf"(?:{_LETTER} ?, ?)*{_LETTER} ?\\in ?{_SET}"
_BOUND = rf"{_LETTER} ?(?:(?:\\geq|>) ?-?\d{{1,4}}|\\neq ?0\b)"
_WORDS = (
    r"(?:all|any|every|each|real|reals|positive|nonnegative|non-negative|natural|integers?|whole|numbers?|constants?|values?|"
    r"arbitrary|is|are|be|an?|the|and|in|with|where|for|of|some (?:integer|constant|real|positive|natural|arbitrary)|"
    r"nonzero|non-zero|rational|complex|parameter|pour|tout|alle|für|para|todo|per|ogni|для|всех|entier|reelle)"
)
_CLAUSE = re.compile(rf"(?:\s*(?:{_MEMBER}|{_BOUND}|\b{_WORDS}\b|(?<![a-zA-Z\\]){_LETTER}(?![a-zA-Z])|[,()]))+\s*")
_OPENS = re.compile(
    r"(?:[,;]\s*)?(?:\(\s*)?\b(?:for|where|with|pour|für|para|per|для|if)\b"
    r"|[,;]\s*\(?\s*(?=\\?[a-zA-Z](?:[ ,_\w{}]{0,20}) ?\\in\b)| \(?\s*(?=\\?[a-zA-Z] ?\\in\b)"
)
_QUANTIFIED = re.compile(r"\b(?:all|any|every|each|arbitrary|constants?|parameter|some|real|integers?)\b")


def without_clauses(text: str) -> tuple[str, frozenset[str]]:
    r"""Take off what follows an answer and takes nothing back.

    Args:
        text: an answer in clean notation.

    Returns:
        The answer, and the letters that the clauses declare arbitrary.
    """
    flat = re.sub(r"\\text\{([^{}]*)\}", lambda match: f" {match[1]} ", text).replace("\\forall", " for all ")
    for match in _OPENS.finditer(flat):
        head, tail = flat[: match.start()].rstrip(" ,;("), flat[match.start() :].lstrip(" ,;")
        if (
            not head
            or not re.search(r"[\w)}\]!']$", head)
            or not _CLAUSE.fullmatch(tail)
            or tail.count("(") != tail.count(")")
        ):
            continue
        original = _cut(text, head)
        if original is None:
            return text, frozenset()
        names = re.findall(rf"(?<![a-zA-Z\\{{]){_LETTER}(?![a-zA-Z}}])", re.sub(_SET, "", tail))
        if re.search(r"\ba (?!\\in|is\b|and\b)", tail):
            names = [name for name in names if name != "a"]  # the article
        declared = _QUANTIFIED.search(tail) or "\\in" in tail
        return original, frozenset(name.strip() for name in names) if declared else frozenset()
    return text, frozenset()


def _cut(text: str, head: str) -> str | None:
    r"""The beginning of a text that reads as the head does once its ``\text{}`` are opened."""
    wanted = re.sub(r"\s+", "", head)
    for end in range(len(text), 0, -1):
        piece = re.sub(r"\\text\{([^{}]*)\}", r"\1", text[:end])
        if "\\text{" not in piece and re.sub(r"\s+", "", piece) == wanted:
            return text[:end].rstrip(" ,;(")
    return None
