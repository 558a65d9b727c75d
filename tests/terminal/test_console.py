"""What a command makes of errors: one line each on the error stream, and an exit code."""

from __future__ import annotations

import errno

import pytest
import typer

from magistral_recipe.errors import DataError, RecipeError, RunError
from magistral_recipe.terminal.console import told_errors


def told(capsys, error):
    with pytest.raises(typer.Exit) as raised, told_errors():
        raise error
    captured = capsys.readouterr()
    assert captured.out == ""
    return raised.value.exit_code, captured.err.splitlines()


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (RunError("it failed"), 1, ["error: it failed"]),
        (OSError(errno.EACCES, "Permission denied", "out/x"), 1, ["error: out/x: Permission denied"]),
        (KeyboardInterrupt(), 130, ["interrupted; nothing finished is lost, the same command goes on"]),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            1,
            ["error: the disk is full; free some space and run again, nothing finished is lost"],
        ),
    ],
)
def test_an_error_is_a_line_and_an_exit_code(capsys, error, code, lines):
    assert told(capsys, error) == (code, lines)


@pytest.mark.parametrize("kind", [DataError, RecipeError])
def test_a_users_mistakes_are_all_told_and_exit_with_2(capsys, kind):
    code, lines = told(capsys, kind("recipe.yaml:3: first\nrecipe.yaml:9: second"))
    assert (code, lines) == (2, ["recipe.yaml:3: first", "recipe.yaml:9: second"])


def test_what_nobody_foresaw_keeps_its_trace():
    with pytest.raises(ZeroDivisionError), told_errors():
        raise ZeroDivisionError
    with pytest.raises(OSError, match="no file is named"), told_errors():
        raise OSError("no file is named")


def test_without_an_error_nothing_is_said(capsys):
    with told_errors():
        pass
    assert capsys.readouterr() == ("", "")
