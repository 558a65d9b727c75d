"""Fenced code blocks of Markdown: the first closed one in a language, found line by line in one pass."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)([^\n`]*)$")

_ALIASES = {
    "python": "python", "py": "python", "python3": "python", "py3": "python", "pypy": "python", "pypy3": "python",
    "cpp": "cpp", "c++": "cpp", "cc": "cpp", "cxx": "cpp", "c++11": "cpp", "c++14": "cpp", "c++17": "cpp",
    "c++20": "cpp", "cpp11": "cpp", "cpp14": "cpp", "cpp17": "cpp", "cpp20": "cpp", "g++": "cpp",
}  # fmt: skip


def canonical_language(name: str) -> str:
    """Return one name for all spellings of a programming language (``c++``, ``C++20`` and ``cpp`` are ``cpp``)."""
    name = name.strip().lower().strip("{}.")
    return _ALIASES.get(name, name)


def first_block(text: str, language: str | None = None) -> str | None:
    """Return the first closed, non-empty fenced block in a language.

    Args:
        text: an answer part in Markdown.
        language: as a row names it; any named one will do where it is ``None``.

    Returns:
        The code without its fences, or ``None``.
    """
    wanted = canonical_language(language) if language else None
    marker, name, lines = "", "", list[str]()
    for line in text.split("\n"):
        match = _FENCE.match(line.rstrip("\r"))
        if not marker:
            if match:
                marker, name, lines = match[1], canonical_language(match[2]), []
            continue
        if match and not match[2] and match[1][0] == marker[0] and len(match[1]) >= len(marker):
            if name and wanted in (None, name) and any(part.strip() for part in lines):
                return "\n".join(lines)
            marker = ""
            continue
        lines.append(line)
    return None
