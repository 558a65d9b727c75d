"""The example recipes as a user runs them, to a model that plain transformers loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from magistral_recipe.files import read_json

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent.parent / "recipes" / "examples"


def run_example(name: str, output: Path, *words: str) -> str:
    command = [sys.executable, "-m", "magistral_recipe", "run", str(EXAMPLES / name), "--output", str(output), *words]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=1200, env={**os.environ, "HF_HUB_OFFLINE": "1", "CI": "1"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


def statuses(run: Path) -> dict[str, str]:
    return {stage["name"]: stage["status"] for stage in read_json(run / "manifest.json")["stages"]}


def test_my_data_sets_bad_rows_aside_and_goes_on(tmp_path):
    run = tmp_path / "run"
    text = run_example("my_data.yaml", run)
    assert statuses(run) == {"sft": "complete", "grpo": "complete", "evaluate": "complete"}
    aside = [json.loads(line) for line in (run / "01-sft" / "set-aside-traces.jsonl").read_text().splitlines()]
    assert aside
    assert all({"file", "line", "reason"} <= row.keys() for row in aside)
    assert f"{len(aside)} of" in text
    assert "set aside" in text
    samples = (run / "03-evaluate" / "grpo" / "samples.jsonl").read_text().splitlines()
    scores = read_json(run / "03-evaluate" / "grpo" / "scores.json")
    assert len(samples) == scores["samples"] + scores["greedy_samples"]
    assert "after RL" in text
    page = (run / "report.html").read_text()
    assert page.lower().startswith("<!doctype html>")


def test_a_real_pretrained_model_goes_through_the_whole_chain_and_loads_in_plain_transformers(tmp_path):
    run = tmp_path / "run"
    run_example("smollm2_135m_cpu.yaml", run)
    assert set(statuses(run).values()) == {"complete"}
    exported = run / "04-export" / "model"
    code = (
        "import sys; from transformers import AutoModelForCausalLM, AutoTokenizer; "
        f"tokenizer = AutoTokenizer.from_pretrained({str(exported)!r}); "
        f"model = AutoModelForCausalLM.from_pretrained({str(exported)!r}); "
        "prompt = tokenizer.apply_chat_template([{'role': 'user', 'content': 'What is 3 + 4?'}], "
        "add_generation_prompt=True, return_tensors='pt', return_dict=True); "
        "out = model.generate(**prompt, max_new_tokens=8, do_sample=False); "
        "assert out.shape[1] > prompt['input_ids'].shape[1]; "
        "assert 'magistral_recipe' not in sys.modules and 'peft' not in sys.modules; print(type(model).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "LlamaForCausalLM", done.stderr
    card = (exported / "README.md").read_text()
    assert "smollm2-135m-cpu" in card
