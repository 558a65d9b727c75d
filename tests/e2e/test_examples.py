"""The example of one's own data, run as a user runs it."""

from __future__ import annotations

import json

import pytest
from examples import run_example, statuses

from magistral_recipe.files import read_json

pytestmark = pytest.mark.slow


def test_my_data_sets_bad_rows_aside_and_goes_on(tmp_path):
    run = tmp_path / "run"
    fewer = ("sft.trainer.max_steps=40", "grpo.trainer.max_steps=2", "evaluate.samples=1")
    text = run_example("my_data.yaml", run, *(word for each in fewer for word in ("--set", each)), anew=True)
    assert statuses(run) == {"sft": "complete", "grpo": "complete", "evaluate": "complete"}
    aside = [json.loads(line) for line in (run / "01-sft" / "set-aside-traces.jsonl").read_text().splitlines()]
    assert [row["line"] for row in aside] == [12, 40, 75, 110]
    assert "4 of 164 set aside" in " ".join(text.split())
    assert all({"file", "line", "reason"} <= row.keys() for row in aside)
    samples = (run / "03-evaluate" / "grpo" / "samples.jsonl").read_text().splitlines()
    scores = read_json(run / "03-evaluate" / "grpo" / "scores.json")
    assert len(samples) == scores["samples"] + scores["greedy_samples"]
    assert "after RL" in text
    assert "held-out scores" in text
    assert [each["shared"] for each in scores["shared_with_training"]] == [0, 0]  # traces and problems
    assert "Held-out pass@1" in (run / "report.md").read_text()
    page = (run / "report.html").read_text()
    assert page.lower().startswith("<!doctype html>")
