"""The example on a user's own files: bad rows are set aside and the run goes on, or stops when none is good."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from whole_runs import run

EXAMPLES = Path(__file__).parents[2] / "recipes" / "examples"

pytestmark = pytest.mark.slow


@pytest.fixture
def recipe(tmp_path) -> Path:
    """The example's data and its SFT stage; RL would need the whole SFT before it finds anything to train on."""
    shutil.copytree(EXAMPLES / "data", tmp_path / "data")
    text = (EXAMPLES / "my_data.yaml").read_text(encoding="utf-8")
    file = tmp_path / "my_data.yaml"
    file.write_text(text[: text.index("  - grpo:")], encoding="utf-8")
    return file


def test_a_file_without_a_good_row_stops_the_run_before_a_model_is_trained(recipe, tmp_path):
    row = {"question": "What is 1 plus 1?", "reasoning": "1+1=2", "reply": "", "lang": "en"}
    (tmp_path / "data" / "traces.jsonl").write_text(json.dumps(row) + "\n{\n")
    code, text = run(recipe, tmp_path / "run")
    assert code == 2, text
    shown = " ".join(text.split())
    assert "my_data.yaml:26: stages[0].sft.traces.path: 2 of the first 2 rows would be set aside" in shown
    assert "data/traces.jsonl:1: response (column 'reply'): is empty" in shown
    assert "Traceback" not in text
    assert not (tmp_path / "run" / "01-sft" / "model").exists()
