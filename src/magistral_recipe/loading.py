"""Loading the large libraries in less time. Light to import."""

from __future__ import annotations

import contextlib
import functools
import gc
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def quickly_loaded() -> Iterator[None]:
    """Load libraries while nobody looks for garbage, of which modules leave little, and compile nothing yet.

    Together a third of the seconds.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        with compiled_when_called():
            yield
    finally:
        if was_on:
            gc.enable()


@contextlib.contextmanager
def compiled_when_called() -> Iterator[None]:
    """Let functions that modules compile as they are loaded be compiled at their first call.

    bitsandbytes, which PEFT loads wherever it is installed, so compiles four, and with them comes torch's whole
    compiler: a quarter of all seconds that a stage's libraries take, for what only quantized models call.
    """
    import torch

    compile_now = torch.compile

    def compile_later(function: Any = None, **options: Any) -> Any:
        if function is None:
            return functools.partial(compile_later, **options)
        made = functools.cache(lambda: compile_now(function, **options))
        return functools.wraps(function)(lambda *arguments, **keywords: made()(*arguments, **keywords))

    torch.compile = compile_later
    try:
        yield
    finally:
        torch.compile = compile_now
