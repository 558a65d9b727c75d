"""What every command does with errors, and with the chatter of libraries."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from magistral_recipe.errors import FULL, MagistralRecipeError
from magistral_recipe.terminal.shown import say

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def told_errors() -> Iterator[None]:
    """Turn this package's errors into lines on the error stream and an exit code.

    Raises:
        typer.Exit: with the error's exit code; 130 after Ctrl-C.
    """
    try:
        yield
    except MagistralRecipeError as error:
        for line in str(error).split("\n"):
            say(line if error.exit_code == 2 else f"error: {line}", error=True, colour="red")
        raise typer.Exit(error.exit_code) from None
    except OSError as error:
        if error.errno not in FULL:
            if error.filename is None or error.strerror is None:
                raise
            say(f"error: {error.filename}: {error.strerror}", error=True, colour="red")
            raise typer.Exit(1) from None
        message = "error: the disk is full; free some space and run again, nothing finished is lost"
        say(message, error=True, colour="red")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        say("interrupted; nothing finished is lost, the same command goes on", error=True)
        raise typer.Exit(130) from None


def say_damage(reasons: Sequence[str]) -> None:
    """Say on the error stream what of a model is not as its stage left it."""
    for reason in reasons:
        say(f"warning: {reason}; run the recipe again, and it is made again", error=True, colour="yellow")


def can_redraw(console: Console) -> bool:
    """Say whether lines that were written can be written over: on a terminal, unless the environment has `CI`.

    `FORCE_COLOR`, which notebooks and CI services set, asks for colours in a pipe, and Rich takes it for a terminal.
    """
    return console.file.isatty() and console.is_terminal and not os.environ.get("CI")


def quieten_libraries() -> None:
    """Keep libraries' warnings and bars off the terminal: what matters is said by this package."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")  # a GGUF file's conversion asks nobody else
    warnings.filterwarnings("ignore")
    for name in ("transformers", "accelerate", "datasets", "trl", "torch", "huggingface_hub", "peft", "bitsandbytes"):
        logging.getLogger(name).setLevel(logging.ERROR)
