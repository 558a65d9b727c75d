"""Tries a chat template out in a process of its own, where endless loops and giant strings end with the process.

A template comes with a model, and Jinja is a language: its sandbox keeps a template from our files and objects, not
from our time and memory. A template that does one thing for these conversations and another for real ones is not
found out; its time is then the run's.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SECONDS = 5
"""CPU time of all renderings together; a real template takes milliseconds."""
WALL_SECONDS = 60.0
MEMORY = 1 << 30
"""Bytes that rendering may take beside what the process has."""
LENGTH = 1 << 18
"""Characters that a short conversation may become."""

_USER = {"role": "user", "content": "What is two and two?"}
_REPLY = {"role": "assistant", "content": "<think>\nTwo and two.\n</think>\n\nFour it is"}
_SYSTEM = {"role": "system", "content": "Answer like a pirate."}
_CONVERSATIONS: tuple[list[dict[str, str]], ...] = (
    [_USER],
    [_USER, _REPLY],
    [_SYSTEM, _USER],
    [_SYSTEM, _USER, _REPLY, {"role": "user", "content": "And three and three?"}],
)
_ENDED, _TOO_LONG, _TOO_BIG = b"e", b"l", b"m"
_known: dict[object, str | None] = {}


def why_unbounded(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Render made-up conversations with a tokenizer's chat template, within bounds.

    Args:
        tokenizer: with its chat template set.

    Returns:
        What is wrong with the template, to follow "the chat template"; ``None`` where nothing is, where it raises
        (the caller's rendering will), and on systems other than Linux.
    """
    template: Any = tokenizer.chat_template
    key = template if isinstance(template, str) else repr(template)
    if key not in _known:
        _known[key] = _tried(tokenizer) if sys.platform == "linux" else None
    return _known[key]


def _tried(tokenizer: PreTrainedTokenizerBase) -> str | None:
    import jinja2.ext
    import jinja2.sandbox  # noqa: F401 - before the fork: the child imports nothing

    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: the child renders, and then is gone
        pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, _rendered(tokenizer))
        finally:
            os._exit(0)
    os.close(writer)
    try:
        said = _answer(reader)
    finally:
        os.close(reader)
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if said == _TOO_LONG:
        return f"makes more than {LENGTH:,} characters of a short conversation"
    if said == _TOO_BIG:
        return "takes more memory, or nests deeper, than a conversation can need"
    return None if said == _ENDED else f"does not end: it took more than {SECONDS} seconds for a short conversation"


def _answer(reader: int) -> bytes:
    """What the child said before it ended; nothing where it was ended."""
    poller, deadline = select.poll(), time.monotonic() + WALL_SECONDS
    poller.register(reader, select.POLLIN)
    ready = poller.poll(1000 * max(0.0, deadline - time.monotonic()))
    return os.read(reader, 1) if ready else b""


def _rendered(tokenizer: PreTrainedTokenizerBase) -> bytes:
    import resource

    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))  # a child's time starts at nothing
    with open("/proc/self/statm", encoding="ascii") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    for messages in _CONVERSATIONS:
        for generate in (False, True):
            try:
                text: Any = tokenizer.apply_chat_template(messages, add_generation_prompt=generate, tokenize=False)
            except (MemoryError, OverflowError, RecursionError):
                return _TOO_BIG
            except Exception:  # noqa: BLE001 - whoever renders it in earnest says what it is
                continue
            if len(str(text)) > LENGTH:
                return _TOO_LONG
    return _ENDED
