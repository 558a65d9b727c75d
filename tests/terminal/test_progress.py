"""What a person sees: plain lines where the output is no terminal, a live display where it is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from magistral_recipe.terminal.evaluation_display import EvaluationDisplay
from magistral_recipe.terminal.progress import Display


def shown(live: bool, events: list[dict]) -> str:
    stream = io.StringIO()
    display = Display(2, Console(file=stream, force_terminal=live, width=120, highlight=False), live=live)
    display.stage_started(0, "sft", "starting")
    for event in events:
        display.event(event)
    display.stage_finished("3 steps")
    display.stage_skipped(1, "grpo")
    return stream.getvalue()


STEPS = [
    {"type": "progress", "activity": "training", "step": step, "total": 100, "metrics": {"reward": 0.5, "loss": 1.25}}
    for step in range(1, 101)
]


def test_plain_lines_are_few_and_without_control_codes():
    text = shown(False, [*STEPS, {"type": "warning", "text": "two rows set aside"}])
    assert "\x1b" not in text
    lines = text.splitlines()
    assert lines[0] == "[1/2] sft: starting"
    assert "100/100 · reward 0.5 · loss 1.25" in text
    assert "  warning: two rows set aside" in lines
    assert lines[-2].startswith("[1/2] sft: 3 steps, ")
    assert lines[-1] == "[2/2] grpo: complete, skipped"
    assert len(lines) < 20


def test_the_live_display_leaves_the_same_lines_behind():
    text = shown(True, [*STEPS, {"type": "note", "text": "goes on at step 3"}])
    assert "[1/2] sft: 3 steps" in text
    assert "goes on at step 3" in text


def test_model_text_in_brackets_is_not_markup():
    assert "[red]not markup[/red]" in shown(False, [{"type": "note", "text": "[red]not markup[/red]"}])


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("file", "environment", "live"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"CI": "true"}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, False),  # what a notebook or a CI service sets asks for colours alone
    ],
)
def test_only_a_terminal_is_redrawn(monkeypatch, file, environment, live):
    for name in ("CI", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    assert Display(1, Console(file=file)).live is live
    assert EvaluationDisplay(console=Console(file=file)).progress.disable is not live
