"""What an endpoint's answer says. Nothing in it is trusted: an answer is a whole completion, or none at all.

An answer that is no completion is one of three things. `TryAgain`: too many requests, an overloaded or broken server,
half an answer, nonsense; another try may do. `Refused`: this request can't be answered, others can (a prompt that is
too long, a filter). A `DataError`: no request can (no such model, a key that isn't taken).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from magistral_recipe.errors import DataError
from magistral_recipe.writing.completions import completion_texts
from magistral_recipe.writing.thinking import Thinking

LONGEST_WAIT = 3600.0
"""Seconds that an endpoint may ask to wait; beyond, a person should hear of it."""

BYTES_A_TOKEN = 4
"""By which tokens are estimated where an endpoint doesn't count them."""

_BUSY = frozenset({429, 503})
_AGAIN = frozenset({408, 409, 425, 429})
_THIS_REQUEST = frozenset({400, 413, 422})


class TryAgain(Exception):  # noqa: N818  (no error: what to do next)
    """No usable answer this time.

    Args:
        reason: in a few words.
        after: seconds that the endpoint asks to wait before any request; ``None`` where it says nothing.
        busy: it has too much to do, and that alone is wrong.
        empty: it has answered, and said nothing.
    """

    def __init__(self, reason: str, after: float | None = None, busy: bool = False, empty: bool = False) -> None:
        super().__init__(reason)
        self.after = after
        self.busy = busy
        self.empty = empty


class Refused(Exception):  # noqa: N818
    """This request has no answer, whenever it is asked."""


class Answer(NamedTuple):
    """A completion as an endpoint gives it.

    Attributes:
        text: with the thinking tags.
        tokens: of the completion.
        all_tokens: of the prompt, too.
        truncated: it was cut at the limit.
        counted: the endpoint counted the tokens; else they are estimated, of the completion alone.
    """

    text: str
    tokens: int
    all_tokens: int
    truncated: bool
    counted: bool = True


def require_success(status: int, headers: Mapping[str, str], data: bytes, wall_clock: float) -> None:
    """See that an answer has a status of success.

    Args:
        status: HTTP's.
        headers: names in lower case.
        data: the body.
        wall_clock: seconds since 1970, for a `Retry-After` that is a date.

    Raises:
        TryAgain: see the module.
        Refused: see the module.
        DataError: see the module.
    """
    if status == 200:
        return
    said = error_text(data)
    line = f"{status}: {said}" if said else f"status {status}"
    if status in _AGAIN or status >= 500:
        raise TryAgain(line, retry_after(headers, wall_clock), busy=status in _BUSY)
    if status in _THIS_REQUEST:
        raise Refused(line)
    if 300 <= status < 400:
        raise DataError(f"{line}: it sends elsewhere ({headers.get('location', 'it does not say where')}); name that")
    raise DataError(line)


def retry_after(headers: Mapping[str, str], wall_clock: float) -> float | None:
    """Read how long an endpoint asks to wait, in seconds: a number or a date.

    Args:
        headers: names in lower case.
        wall_clock: seconds since 1970.

    Returns:
        At least 0; ``None`` where it says nothing that can be read.
    """
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - wall_clock
    return min(max(0.0, seconds), LONGEST_WAIT) if seconds == seconds else None


def error_text(data: bytes) -> str:
    """Find what an endpoint says of an error, in one line; empty where it says nothing that can be read."""
    text = data[:4096].decode("utf-8", errors="replace").strip()
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    for name in ("error", "message", "detail", "msg"):
        if isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, dict) and name in found:
            found = found[name]
    line = " ".join(found.split()) if isinstance(found, str) else ""
    return "" if line.startswith("<") else line[:200]  # a page for a browser


def read_answer(data: bytes, thinking: Thinking | None) -> Answer:
    """Read the body of an answer of success.

    Args:
        data: the body.
        thinking: the tags to join thoughts with that came in a field of their own.

    Returns:
        The completion.

    Raises:
        TryAgain: if it is none, or only half of one.
        Refused: if the endpoint's filter kept it back.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        half = data.lstrip()[:1] == b"{"
        raise TryAgain("half an answer" if half else "an answer that is no JSON") from None
    try:
        choice, usage = found["choices"][0], found.get("usage")
        reason, tokens = choice["finish_reason"], usage["completion_tokens"] if usage else None
        message = choice["message"] if "message" in choice else choice["text"]
        everything = usage.get("total_tokens", tokens) if usage else None
    except (AttributeError, TypeError, KeyError, IndexError):
        said = error_text(data)
        raise TryAgain(f"an answer without choices and finish_reason{f': {said}' * bool(said)}") from None
    if reason == "content_filter":
        raise Refused("kept back by the endpoint's filter")
    if reason not in ("stop", "length"):
        raise TryAgain(f"an answer that ended for another reason: {str(reason)[:40]}")
    if tokens is None:  # the protocol does not ask for it
        text = _text(message, thinking, ended=False)
        guess = max(1, len(text.encode("utf-8", "replace")) // BYTES_A_TOKEN)
        return Answer(text, guess, guess, reason == "length", counted=False)
    if not all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in (tokens, everything)):
        raise TryAgain("an answer whose token counts are no numbers")
    cut = reason == "length"
    text = _text(message, thinking, ended=tokens == 1 or (cut and tokens > 0))
    return Answer(text, tokens, max(tokens, everything), truncated=cut)


def _text(message: Any, thinking: Thinking | None, ended: bool) -> str:
    """The text of a message; empty only of a model that `ended` at once, or was cut before it said anything."""
    if not isinstance(message, str | dict):
        raise TryAgain("an answer without a message")
    try:
        (text,) = completion_texts([message if isinstance(message, str) else [message]], thinking)
    except ValueError as error:
        raise TryAgain(f"a message that can't be read: {error}") from None
    if not text.strip() and not ended:
        raise TryAgain("an empty answer", empty=True)
    return text
