"""What a person reads of an evaluation."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from magistral_recipe.evaluation.samples import Sample
from magistral_recipe.evaluation.scores import compute_scores
from magistral_recipe.terminal.evaluation_display import EvaluationDisplay


def shown(width=100):
    """A display and what it has written."""
    file = io.StringIO()
    return EvaluationDisplay(console=Console(file=file, width=width)), file


def judged(correct, reason, form=1.0, form_reason="right", **changes):
    verdicts = {
        "format": {"value": form, "reason": form_reason},
        "correctness": {"value": correct, "reason": reason},
    }
    return Sample("p1", 0, False, "?", "!", 10, False, "7", verdicts, None, reference="7", **changes)


def test_a_changed_verdict_says_what_it_was_and_is():
    display, file = shown()
    old = judged(1.0, "right", 0.0, "no closing tag")
    changed = [(old, judged(1.0, "right")), (judged(None, "timeout"), judged(0.0, "wrong answer"))]
    display.changes(9, changed)
    lines = file.getvalue().splitlines()
    assert lines[0] == "2 of 9 verdicts changed"
    assert lines[1] == "  p1, sample 0: wrong (no closing tag) -> right (answer '7', reference '7')"
    assert lines[2] == "  p1, sample 0: undecided (timeout) -> wrong (wrong answer) (answer '7', reference '7')"


def test_greedy_lengths_stand_in_the_greedy_row():
    display, file = shown()
    sampled = judged(1.0, "right")
    display.scores(Path("x"), compute_scores([sampled, replace(sampled, greedy=True, tokens=4321)]))
    rows = {line.split()[0]: line.split()[-1] for line in file.getvalue().splitlines() if line.strip()}
    assert (rows["all"], rows["greedy"]) == ("10", "4,321")
