"""Texts that quote a problem: rows of JSON, dialogues of several turns, forum posts, sheets of exercises.

`wrappers` takes off what surrounds a problem, where it can tell; here nothing is taken for the problem, and whatever
somebody says, in any field and any turn, is a sentence by itself. Whoever looks for a known problem finds it there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from magistral_recipe.data.instructions import is_instruction, parts, without_marks

_QUOTES = re.compile(
    r"^\s*[\[{]|</?[a-z]|\[/?(?:[bius]|[a-z]{3,})\b|^\s*\(?[a-z\d]{1,2}[).]\s|(?<!\w)(?:user|human|assistant|student|teacher|[qa])\s?:",
    re.IGNORECASE | re.MULTILINE,
)
_TAG = re.compile(
    r"</?[a-z][\w-]{0,20}(?:\s[^<>\n]{0,80})?/?>|\[/?(?:[bius]|[a-z]{3,15})(?:=[^\]\n]{0,60})?\]", re.IGNORECASE
)
_SPEAKER = re.compile(r"(?<![\w.])(?:user|human|assistant|student|teacher|[qa])\s?:", re.IGNORECASE)
_ITEM = re.compile(r"^\s*\(?(?:[a-z]|\d{1,2}|[ivx]{1,4})[).]\s+", re.IGNORECASE)
_LONGEST = 100_000
"""Characters of the longest text that is read."""


def quoted_sentences(text: str) -> list[str]:
    """Split all that a text quotes into sentences, without instructions and marks of lists.

    Args:
        text: a problem as a data set gives it.

    Returns:
        The sentences; none where nothing looks like a quotation.
    """
    if len(text) > _LONGEST or not _QUOTES.search(text):
        return []
    said = "\n\n".join(_strings(text)) or text
    said = _SPEAKER.sub("\n\n", _TAG.sub("\n\n", said))
    lines = (_ITEM.sub("", line) for line in said.splitlines())
    return [part for part in parts(without_marks("\n".join(lines))) if not is_instruction(part)]


def _strings(text: str) -> Iterator[str]:
    """All strings of a text that is JSON; nothing of another."""
    if text.lstrip()[:1] not in ("{", "["):
        return
    try:
        waiting = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting.extend(reversed(value.values()))
        elif isinstance(value, list):
            waiting.extend(reversed(value))
