"""Fenced code blocks of Markdown: closed ones with their language, found line by line in one pass.

Read as CommonMark has it: backticks or tildes, three or more, indented by up to three spaces or by what their
list item asks for. Beyond it stand two things that models write: a closing fence right behind the last
line of code, where nothing else closes the block, and an opening fence behind a few words, if it names a
language that can be run. A block without a language is none (Magistral §2.2.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_FENCE = re.compile(r"(?:(`{3,})([^`]*)|(~{3,})(.*))$", re.DOTALL)
_LIST_ITEM = re.compile(r"(?:[-*+]|\d{1,9}[.)])[ \t]+(?=\S)")
_DEEPEST = 3  # columns that a fence may stand further in than what it belongs to
_TAB = 4

_TAG_LENGTH = 80  # no language needs more characters
_BEFORE_TAG = re.compile(r"\{?code(?:-cell|-block)?\}\s*|lang(?:uage)?[-:=]|[{.\s]+")
_LANGUAGES = {
    "python": re.compile(
        r"(?:[ic]?python|i?py|pypy)(?![ _-]*2(?:[.)\s]|$))[ _-]*(?:3(?:\.\d+)*)?(?:-(?:32|64))?(?=[\s:,;={}(\[|#]|$)"
    ),
    "cpp": re.compile(
        r"(?:(?:gnu|ms|clang)[ _-]*)?(?:c\+\+|cpp|cplusplus|cxx|cc|g\+\+|gnu\+\+|clang\+\+|hpp|hxx|hh|h\+\+)"
        r"[ _-]*(?:\d[\da-z])?(?:-(?:32|64))?(?=[\s:,;={}(\[|#]|$)"
    ),
}
_FIRST_WORD = re.compile(r"[^\s:,;={}(\[|]*")


class Block(NamedTuple):
    """A closed, non-empty fenced block.

    Attributes:
        language: its canonical name.
        code: its lines, without fences and their indentation.
    """

    language: str
    code: str


def canonical_language(name: str) -> str:
    """Return one name for all spellings of a programming language (``c++``, ``GNU C++20`` and ``cpp`` are ``cpp``).

    Args:
        name: as a row or the tag of a fence has it: attributes behind it (``python title="x"``) count for nothing.

    Returns:
        ``python``, ``cpp``, or another language's name in lower case.
    """
    name = name[:_TAG_LENGTH].strip().lower()
    before = _BEFORE_TAG.match(name)
    name = name[before.end() :] if before else name
    for language, spelled in _LANGUAGES.items():
        if spelled.match(name):
            return language
    word = _FIRST_WORD.match(name)
    return word[0] if word and word[0] not in _LANGUAGES else name  # Python 2 is another language


def first_block(text: str, language: str | None = None) -> str | None:
    """Return the first closed, non-empty fenced block in a language.

    Args:
        text: an answer part in Markdown.
        language: as a row names it; any named one will do where it is ``None``.

    Returns:
        The code without its fences, or ``None``.
    """
    wanted = canonical_language(language) if language else None
    return next((block.code for block in read_blocks(text) if wanted in (None, block.language)), None)


def read_blocks(text: str) -> Iterator[Block]:
    """Yield the closed, non-empty blocks of a text that name a language, in their order."""
    fence: _Fence | None = None
    content = 0  # the column where the contents of the list item begin that we are in
    for line in text.split("\n"):
        indent, bare = _split_indent(line)
        if fence is None:
            item = _LIST_ITEM.match(bare)
            if item is not None:
                content = indent + item.end()
            elif bare:
                content = min(content, indent)
            fence = _open(indent, bare, content)
            continue
        if fence.closes(indent, bare):
            yield from fence.whole()
            fence = None
            continue
        following = _open(indent, bare, content) if fence.glued is not None else None
        if following is not None and following.language:  # as nothing else closes a block, the next one does
            yield from fence.cut()
            fence = following
            continue
        fence.add(line)
    if fence is not None:
        yield from fence.cut()


class _Fence:
    """An opening fence and the lines behind it."""

    def __init__(self, marker: str, language: str, indent: int) -> None:
        self.marker, self.language, self.indent = marker, language, indent
        self.lines: list[str] = []
        self.glued: int | None = None  # how many lines there are to the first that has a closing fence behind it

    def closes(self, indent: int, bare: str) -> bool:
        """Whether a line is the closing fence."""
        return bare.startswith(self.marker) and not bare.strip(self.marker[0]) and indent <= self.indent + _DEEPEST

    def add(self, line: str) -> None:
        """Take a line of the block."""
        self.lines.append(_dedent(line, self.indent))
        bare = line.strip()
        if self.glued is None and bare.endswith(self.marker) and bare.strip(self.marker[0]):
            self.glued = len(self.lines)

    def whole(self) -> list[Block]:
        """Return the block, its closing fence being found; nothing where it is blank or has no language."""
        return self._block(self.lines)

    def cut(self) -> list[Block]:
        """Return the block that ends with a fence behind its last line; nothing where there is none."""
        if self.glued is None:
            return []
        last = self.lines[self.glued - 1].rstrip().rstrip(self.marker[0])
        return self._block([*self.lines[: self.glued - 1], last])

    def _block(self, lines: list[str]) -> list[Block]:
        filled = self.language and any(line.strip() for line in lines)
        return [Block(self.language, "\n".join(lines))] if filled else []


def _open(indent: int, bare: str, content: int) -> _Fence | None:
    """Read an opening fence; on a line that begins otherwise, one that names a language we run."""
    match = _FENCE.match(bare)
    if match is not None:
        if indent > content + _DEEPEST:
            return None
        return _Fence(match[1] or match[3], canonical_language(match[2] or match[4] or ""), indent)
    before, marker, tag = bare.rpartition("```")
    words = before.rstrip("`")
    if not marker or not words or "```" in words or canonical_language(tag) not in _LANGUAGES:
        return None
    return _Fence("`" * (len(before) - len(words) + len(marker)), canonical_language(tag), max(indent, content))


def _split_indent(line: str) -> tuple[int, str]:
    """Return the column where a line begins, and the line from there on without white space at its end."""
    bare = line.lstrip(" \t")
    return len(line[: len(line) - len(bare)].expandtabs(_TAB)), bare.rstrip()


def _dedent(line: str, columns: int) -> str:
    """Take up to so many columns of white space from the beginning of a line."""
    if not columns:
        return line
    bare = line.lstrip(" \t")
    space = line[: len(line) - len(bare)].expandtabs(_TAB)
    return space[min(columns, len(space)) :] + bare
