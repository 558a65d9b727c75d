"""What others wrote is shown on a terminal and does nothing to it; and nothing writes there but through `visible`."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from rich.text import Text

import magistral_recipe
from magistral_recipe.errors import DataError, RunError
from magistral_recipe.evaluation.samples import Sample
from magistral_recipe.evaluation.scores import compute_scores
from magistral_recipe.terminal.console import told_errors
from magistral_recipe.terminal.evaluation_display import EvaluationDisplay
from magistral_recipe.terminal.progress import Display
from magistral_recipe.terminal.screen import Screen, plain
from magistral_recipe.terminal.shown import VisibleFormatter, say, visible, write_traceback

ATTACKS = {
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "clear screen": "\x1b[2J\x1b[H",
    "title": "\x1b]0;owned\x1b\\",
    "a text in tags": "harmless" + "".join(chr(0xE0000 + ord(letter)) for letter in "and not"),
    "marks of direction": "a\u061cb\u200ec\u200f",
    "answer back": "\x1b[c\x1b[6n",
    "one byte CSI": "\x9b31m",
    "device control": "\x90q\x9c",
    "link": "\x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\",
    "back to the line's start": "harmless\rrm -rf ",
    "rub out": "ab\x08\x08\x7f",
    "bell": "\x07",
    "charset": "\x0e\x0f",
    "null": "\x00",
    "turned round": "a\u202egnp.exe\u202c\u2066x\u2069",
    "another line": "a\u2028b\x85c\x0bd\x0ce",
    "half a pair": "\ud800",
}
HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
OURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[AK]|\r")  # colours; a bar that is drawn over itself


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_control_character_is_written_out(attack):
    text = visible(f"before {attack} after")
    assert not HARMFUL.search(text)
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert "\\" in text
    assert visible(text) == text


@given(st.text())
def test_nothing_else_changes(text):
    shown = visible(text)
    assert not HARMFUL.search(shown)
    if not HARMFUL.search(text.replace("\r\n", "\n")):
        assert shown == text.replace("\r\n", "\n")


def test_what_people_write_stays():
    for text in ("a\tb\nc", "héllo 你好 مرحبا 👩‍👩‍👧", r"\frac{1}{2} \x1b", "[bold]x[/bold] :smile: [/hard]"):
        assert visible(text) == text
    assert visible("a\r\nb") == "a\nb"


def written(action, console=Screen, **options):
    """What a console has written, colours and all."""
    file = io.StringIO()
    action(console(file=file, width=100, **options))
    return file.getvalue()


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("terminal", [True, False])
def test_no_way_of_printing_lets_one_through(attack, terminal):
    def everything(screen):
        table = Table(title=attack, caption=attack)
        table.add_column(attack)
        table.add_row(attack)
        table.add_row(Text(attack, "bold"))
        for each in (attack, Text(attack), Text.assemble((attack, "red")), table, {"a": attack}):
            screen.print(each)
        screen.print(attack, style="bold", end="", soft_wrap=True)
        screen.rule(attack)

    text = written(everything, force_terminal=terminal)
    assert not HARMFUL.search(OURS.sub("", text).replace("\n", ""))


MARKUP = ("a[/hard]", "[red]x", "[/]", "[link=http://evil]x[/link]", "[@click=quit]x", ":smile:", "\\[bold]")


@pytest.mark.parametrize("text", MARKUP)
@pytest.mark.parametrize("console", [Screen, Console])
def test_markup_means_nothing(text, console):
    table = Table(title=plain(text))
    table.add_column(plain(text))
    table.add_row(plain(text))
    assert written(lambda screen: screen.print(table), console).count(text) == 3
    assert written(lambda screen: screen.print(plain(text)), console) == f"{text}\n"


def judged(category, **changes):
    verdicts = {"format": {"value": 1.0, "reason": "right"}, "correctness": {"value": 1.0, "reason": "right"}}
    return Sample("p1", 0, False, "?", "!", 10, False, "7", verdicts, None, reference="7", category=category, **changes)


@pytest.mark.parametrize("console", [Screen, Console])
@pytest.mark.parametrize("name", [*MARKUP, ATTACKS["clear screen"]])
def test_an_evaluation_of_any_category_has_its_table(name, console):
    samples = [judged(name), replace(judged("easy"), problem="p2")]

    def everything(screen):
        display = EvaluationDisplay(console=screen)
        display.scores(Path(f"out{name}"), compute_scores(samples))
        display.event({"type": "warning", "text": name})
        display.event({"type": "progress", "activity": name, "step": 1, "total": 2})
        display.changes(1, [(samples[0], replace(samples[0], answer=name, reference=name, problem=name))])

    text = written(everything, console)
    assert visible(name) in text
    assert not HARMFUL.search(OURS.sub("", text).replace("\n", ""))


@pytest.mark.parametrize("console", [Screen, Console])
@pytest.mark.parametrize("name", [*MARKUP, ATTACKS["clipboard"]])
@pytest.mark.parametrize("live", [True, False])
def test_a_running_recipe_shows_any_name(name, console, live):
    def everything(screen):
        display = Display(1, console=screen, live=live)
        display.stage_started(0, name, name)
        for kind in ("note", "warning"):
            display.event({"type": kind, "text": name})
        display.event({"type": "progress", "activity": name, "step": 1, "total": 2, "metrics": {}})
        display.stage_finished(name)

    text = written(everything, console, force_terminal=live)
    if console is Screen or not live:
        assert not HARMFUL.search(OURS.sub("", text).replace("\n", ""))
    assert text.count(visible(name)) >= 4


@pytest.mark.parametrize("error", [DataError, RunError])
def test_an_error_shows_what_it_quotes(error, capsys):
    attack = "".join(ATTACKS.values())
    with pytest.raises(typer.Exit), told_errors():
        raise error(f"row.jsonl:1: {attack}")
    told = capsys.readouterr().err
    assert not HARMFUL.search(told.replace("\n", ""))
    assert "\\x1b]52;c;" in told
    assert told.count("\n") == 1  # nor does it look like two errors


def test_lines_logs_and_tracebacks_are_shown(capsys):
    attack = "".join(ATTACKS.values())
    say(attack)
    write_traceback(RuntimeError(attack))
    record = logging.LogRecord("x", logging.WARNING, "x.py", 1, "%s", (attack,), None)
    captured = capsys.readouterr()
    for text in (captured.out, captured.err, VisibleFormatter().format(record)):
        assert not HARMFUL.search(text.replace("\n", ""))
        assert "\\x1b]52" in text


def test_an_unexpected_error_of_a_command_is_shown_too():
    code = (
        "import sys, magistral_recipe.cli as cli\n"
        "def broken(): raise RuntimeError('\\x1b]52;c;x\\x07')\n"
        "cli.app.command(name='break')(broken)\n"
        "sys.argv = ['magistral-recipe', 'break']\ncli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "RuntimeError: \\x1b]52;c;x\\x07" in done.stderr
    assert not HARMFUL.search(done.stderr.replace("\n", ""))


def test_a_file_of_completions_does_nothing_to_the_terminal(tmp_path):
    file = tmp_path / "a[b].jsonl"
    rows = [{"completion": attack, "answer": attack, "kind": "math"} for attack in list(ATTACKS.values())[:-1]]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{\x1b]52;c;x\x07\n")
    command = [sys.executable, "-m", "magistral_recipe", "rewards", str(file), "--reward", "math_correctness"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 2), done.stderr
    assert not HARMFUL.search((done.stdout + done.stderr).replace("\n", ""))


# ------------------------------------------------------------------------------------------------------- the rule

PACKAGE = Path(magistral_recipe.__file__).parent
ELSEWHERE = {
    "verifiers/sandbox/driver.py",  # runs in the sandbox: what it writes is read by us
    "verifiers/sandbox/landlock.py",
    "verifiers/sandbox/probe.py",
    "verifiers/worker.py",  # writes JSON on a pipe
    "data/tiny/rebuild.py",  # a script of the package's makers
}
WRITERS = {"print", "echo", "secho", "from_markup", "from_ansi", "basicConfig", "print_exc", "write_through"}


def writes_to_a_terminal(tree: ast.AST, place: str) -> list[str]:
    """What a module does that may bring a text to a terminal as it is."""
    found = []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module in ("rich.console", "rich")
            and not place.startswith("terminal/screen")
        ):
            found += [f"{node.lineno}: imports {name.name}" for name in node.names if name.name in ("Console", "print")]
        if isinstance(node, ast.ImportFrom) and node.module == "rich.markup":
            found.append(f"{node.lineno}: writes markup")
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            of = getattr(getattr(node.func, "value", None), "id", "")
            attribute = ast.unparse(node.func)
            if name in WRITERS and of != "console" and not attribute.endswith(("console.print", "Screen().print")):
                found.append(f"{node.lineno}: {attribute}")
            if attribute in ("sys.stdout.write", "sys.stderr.write"):
                found.append(f"{node.lineno}: {attribute}")
            if name == "TextColumn" and "markup=False" not in ast.unparse(node):
                found.append(f"{node.lineno}: a TextColumn that reads markup")
            if "markup=True" in ast.unparse(node):
                found.append(f"{node.lineno}: reads markup")
    return found


def without_annotations(tree: ast.Module) -> ast.Module:
    """The module as it runs: what it imports for types alone is left out."""
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    return tree


def test_nothing_writes_to_a_terminal_but_through_visible():
    modules = sorted(PACKAGE.rglob("*.py"))
    assert len(modules) > 200
    found = {}
    for module in modules:
        place = module.relative_to(PACKAGE).as_posix()
        if place in ELSEWHERE or place in ("terminal/shown.py", "terminal/screen.py"):
            continue
        told = writes_to_a_terminal(without_annotations(ast.parse(module.read_text("utf-8"))), place)
        # `rich.console.Console` as a name of a type, in modules that a screen is handed to.
        told = [each for each in told if not (each.endswith("imports Console") and place in TYPES_ONLY)]
        if told:
            found[place] = told
    assert found == {"chain/stage_process.py": found.get("chain/stage_process.py")}, found  # into the stage's own log


TYPES_ONLY = {f"check/{name}.py" for name in ("baseline", "plan", "proof")} | {
    f"terminal/{name}.py" for name in ("evaluation_display", "progress", "score_table")
}


def test_the_modules_that_name_a_console_make_none():
    for place in TYPES_ONLY:
        assert not re.search(r"(?<!\w)Console\(", (PACKAGE / place).read_text("utf-8"))


@pytest.mark.parametrize(
    "line",
    ["print(text)", "typer.echo(text)", "from rich.console import Console", "sys.stderr.write(text)",
     "from rich.markup import escape", "TextColumn('{task.description}')", "Text.from_ansi(text)"],
)  # fmt: skip
def test_the_rule_finds_what_it_is_for(line):
    assert writes_to_a_terminal(ast.parse(line), "commands/x.py")
