"""The example on a user's own files, bad rows included: the whole chain, and what happens when no row is good."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chain import run

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).parents[2] / "recipes" / "examples" / "my_data.yaml"
SHORT = ("stages.sft.trainer.max_steps=4", "stages.grpo.trainer.max_steps=1", "stages.evaluate.samples=1")


def test_bad_rows_are_set_aside_and_counted_and_the_run_goes_on(tmp_path):
    words = [word for change in SHORT for word in ("--set", change)]
    code, text = run(RECIPE, tmp_path / "run", *words)
    assert code == 0, text
    shown = " ".join(text.split())
    assert "4 of 164 set aside" in shown
    assert "8 of 104 set aside" in shown
    traces, problems = (
        [json.loads(row) for row in (tmp_path / "run" / stage / f"set-aside-{name}.jsonl").read_text().splitlines()]
        for stage, name in (("01-sft", "traces"), ("02-grpo", "mine"))
    )
    assert [row["line"] for row in traces] == [12, 40, 75, 110]
    assert [row["line"] for row in problems] == [10, 21, 34, 47, 58, 66, 79, 88]
    assert all(row["reason"] for row in traces + problems)


def test_a_file_without_a_good_row_stops_the_run_before_a_model_is_trained(tmp_path):
    row = {"nr": 1, "question": "What is 1 plus 1?", "solution": "", "lang": "en", "topic": "addition", "level": 1}
    (tmp_path / "bad.jsonl").write_text(json.dumps(row) + "\n{\n")
    path = f"problems.mine.path={tmp_path / 'bad.jsonl'}"
    code, text = run(RECIPE, tmp_path / "run", "--set", path)
    assert code == 2, text
    shown = " ".join(text.split())
    assert "none of 2 rows can be used" in shown
    assert "bad.jsonl:1: answer (column 'solution'): is empty" in shown
    assert "Traceback" not in text
    assert not (tmp_path / "run" / "01-sft" / "model").exists()
