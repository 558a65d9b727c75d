"""`magistral-recipe chat`: ask a trained model something, watch its thoughts stream, then its answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from magistral_recipe.commands.recipe_arguments import TrustRemoteCode
from magistral_recipe.models.loaded import LoadedModel, load_ready
from magistral_recipe.models.target import find_target
from magistral_recipe.terminal.console import quieten_libraries, say_damage, told_errors

if TYPE_CHECKING:
    from rich.console import Console


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="chat")(chat)


def chat(
    model: Annotated[
        str,
        typer.Argument(
            help="A run folder (its last model), a model folder, a hub id, or `tiny`.",
            metavar="RUN_OR_MODEL",
            show_default=False,
        ),
    ],
    prompt: Annotated[str | None, typer.Option(help="Ask this and leave.", show_default=False)] = None,
    temperature: Annotated[float, typer.Option(min=0, help="0 is greedy decoding.")] = 0.7,
    top_p: Annotated[float, typer.Option(min=0.01, max=1, help="Nucleus sampling.")] = 0.95,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Where an answer is cut.")] = 4096,
    seed: Annotated[int | None, typer.Option(help="The same words every time.", show_default=False)] = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Ask a trained model something: its thoughts stream by dimmed, then its answer.

    Every question stands alone, as in training. Questions come from the terminal, or one a line from standard input.
    """
    from magistral_recipe.terminal.screen import Screen

    with told_errors():
        quieten_libraries()
        console = Screen(soft_wrap=True)
        target = find_target(model, trust_remote_code)
        say_damage(target.damage)
        loaded = load_ready(target.config, target.chat, target.weights)
        console.print(f"{target.path}; temperature {temperature:g}", style="dim")
        for question in _questions(prompt, console):
            _answer(console, loaded, question, temperature, top_p, max_new_tokens, seed)


def _questions(prompt: str | None, console: Console) -> Iterator[str]:
    if prompt is not None:
        yield prompt
        return
    from rich.text import Text

    asking = sys.stdin.isatty()
    if asking:
        console.print("Ask something; an empty line or Ctrl-D leaves.", style="dim")
    while True:
        try:
            line = console.input(Text("> ", style="bold")) if asking else sys.stdin.readline()
        except (EOFError, KeyboardInterrupt):
            return
        if not line or (asking and not line.strip()):
            return
        if line.strip():
            yield line.strip()


def _answer(
    console: Console,
    loaded: LoadedModel,
    question: str,
    temperature: float,
    top_p: float,
    max_new_tokens: int,
    seed: int | None,
) -> None:
    from rich.text import Text

    from magistral_recipe.generation.stream import Part, stream_answer

    def show(part: Part, piece: str) -> None:
        console.print(Text(piece, style="dim italic" if part is Part.THOUGHTS else ""), end="")

    try:
        stream_answer(
            loaded.model, loaded.tokenizer, loaded.chat, question, show, temperature, top_p, max_new_tokens, seed
        )
    except KeyboardInterrupt:  # stops this answer, not the conversation
        console.print(" (stopped)", style="dim", end="")
    console.print()
