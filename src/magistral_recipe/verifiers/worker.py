"""The verifying process: ``python -m magistral_recipe.verifiers.worker``, driven over its standard streams.

One JSON object a line in either direction. It says ``{"ready": true}`` once SymPy is imported; then for each
``{"id": 7, "reference": "…", "answer": "…", "seconds": 4.0}`` it answers ``{"id": 7, "equal": true}``, false, or null
for what it cannot read, with the CPU time ``spent`` where the question says ``"timed": true``. An item that uses more
CPU time than its seconds ends the process by signal, wherever it is, C code included; the pool sees the death and goes
on with another worker. It ends when its input does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO

MEMORY = 2 << 30
"""Address space of a worker, in bytes: a bomb meets a MemoryError and not the machine's limit."""


def main() -> int:
    """Serve until the input ends."""
    replies = _private_output()
    try:
        _limit_memory()
        import math_verify  # noqa: F401  # imported before the first clock starts
        import sympy  # noqa: F401

        from magistral_recipe.verifiers.answers.symbolic import equal
    except ImportError as error:
        _reply(replies, {"ready": False, "error": str(error)})
        return 1
    if unfit := _unfit(equal):
        _reply(replies, {"ready": False, "error": unfit})
        return 1
    _reply(replies, {"ready": True})
    for line in sys.stdin.buffer:
        item = json.loads(line)
        started = time.process_time()
        _start_clock(item["seconds"])
        result = _compared(equal, item["reference"], item["answer"])
        _start_clock(0)
        if item.get("timed"):
            result["spent"] = time.process_time() - started
        _reply(replies, {"id": item["id"], **result})
    return 0


_KNOWN = ((r"\frac{\sqrt{8}}{2}", r"\sqrt{2}", True), (r"\frac{\sqrt{8}}{2}", r"\sqrt{3}", False))


def _unfit(equal: Callable[[str, str], bool | None]) -> str:
    """Say what is wrong where pairs with a known result don't get it: another version, which reads nothing, say."""
    for reference, answer, known in _KNOWN:
        found = _compared(equal, reference, answer)
        if found["equal"] is not known:
            from importlib.metadata import version

            installed = ", ".join(
                f"{name} {version(name)}" for name in ("math-verify", "latex2sympy2-extended", "sympy")
            )
            why = found.get("error") or f"{reference} and {answer} are compared as {found['equal']}"
            return f"the installed {installed} cannot be used: {why}; math-verify 0.5.2 to 0.9 are known to work"
    return ""


def _compared(equal: Callable[[str, str], bool | None], reference: str, answer: str) -> dict[str, Any]:
    try:
        return {"equal": equal(reference, answer)}
    except MemoryError:
        os._exit(3)  # what is left of the process cannot be trusted
    except Exception as error:  # noqa: BLE001  # parsers raise anything on hostile text; that is "unreadable"
        return {"equal": None, "error": f"{type(error).__name__}: {error}"[:200]}


def _private_output() -> BinaryIO:
    """The replies' own stream; whatever a library prints goes nowhere."""
    private = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return os.fdopen(private, "wb", buffering=0)


def _reply(stream: BinaryIO, message: dict[str, Any]) -> None:
    stream.write(json.dumps(message).encode() + b"\n")


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    try:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    except (AttributeError, OSError, ValueError):  # macOS refuses it; the limit of time still holds
        return


def _start_clock(seconds: float) -> None:
    """Die of SIGPROF after so much CPU time; 0 stops the clock. Windows has the pool's wall clock alone."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    sys.exit(main())
