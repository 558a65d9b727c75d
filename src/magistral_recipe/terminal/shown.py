r"""Text that somebody else wrote, made fit for a terminal; and the plain lines that commands write.

A model's answer, a row of data, a file's name, a library's error: any of them may hold codes that move the cursor,
clear the screen, rename the window, fill the clipboard or type keys. `visible` shows such a code instead of sending it.
Everything goes through here: a `Screen`, what `say` writes, logging and tracebacks; a test looks that nothing else
writes to a terminal.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback

import typer

# All but tab and line feed of the control characters of ASCII and Latin-1 (where 0x9b is what ESC [ is), what turns
# the direction of writing around, the separators of lines that are none here, halves of surrogate pairs, and what
# nobody sees: annotations and the tags in which a text can carry another one.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    r"""Return a text with its control characters written out, as ``\x1b``; tabs and line feeds stay.

    Args:
        text: anything.

    Returns:
        A text that a terminal shows and that does nothing to it. Applied twice it is the same.
    """
    if text.isascii() and text.isprintable():
        return text
    return _HIDDEN.sub(_written_out, text.replace("\r\n", "\n"))


def _written_out(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number > 0xFFFF:
        return f"\\U{number:08x}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def say(text: object, error: bool = False, colour: str | None = None, bold: bool = False, newline: bool = True) -> None:
    """Write a line.

    Args:
        text: the line, or several.
        error: write it to the error stream.
        colour: a name that `click` knows.
        bold: write it in bold.
        newline: end it.
    """
    typer.secho(visible(str(text)), err=error, fg=colour, bold=bold or None, nl=newline)


class VisibleFormatter(logging.Formatter):
    """Formats a log record for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text, made visible."""
        return visible(super().format(record))


def log_visibly() -> None:
    """Send what libraries warn of to the error stream, as Python does by itself, but made visible."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(VisibleFormatter("%(message)s"))
    logging.getLogger().addHandler(handler)


def write_traceback(error: BaseException) -> None:
    """Write the traceback of an error that nobody expected, as Python does by itself, but made visible."""
    sys.stderr.write(visible("".join(traceback.format_exception(error))))
