"""The console that every command prints on: markup means nothing on it, and control characters are shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from magistral_recipe.terminal.shown import visible


def plain(text: str, style: str = "") -> Text:
    """Return what somebody wrote as a piece for any of Rich's consoles: it is shown as it is and does nothing.

    Args:
        text: anything.
        style: how to show it.
    """
    return Text(visible(text), style)


class Screen(Console):
    """A Rich console for text that others wrote.

    Square brackets, emoji names and numbers are what they are; styles are given as `Text` and by argument.

    Args:
        soft_wrap: leave the breaking of lines to the terminal.
        quiet: show nothing.
        file: where to write; standard output by default.
        options: further options of Rich's `Console`.
    """

    def __init__(
        self, *, soft_wrap: bool = False, quiet: bool = False, file: IO[str] | None = None, **options: Any
    ) -> None:
        super().__init__(
            markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap, quiet=quiet, file=file, **options
        )

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text to render, made visible: its width must be that of what is shown."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render anything; whatever text it holds is made visible, Rich's own control codes go through."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)
