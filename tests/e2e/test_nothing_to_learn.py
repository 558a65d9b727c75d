"""A run with nothing to learn: refused with the reason in the first batch, and everything it showed is kept."""

from __future__ import annotations

import json

import pytest
from check_document import document
from whole_runs import run

from magistral_recipe.files import read_json

RECIPE = """\
name: nothing
model: {path: tiny}
thinking: {open: "<think>", close: "</think>", system_prompt: none}
problems: {train: {tiny: train, count: 32}}
stages:
  - grpo:
      problems: train
      trainer: {max_steps: 4, prompts_per_batch: 4, num_generations: 4, max_completion_length: 96, overlong_cache: 16}
"""


@pytest.mark.slow
def test_rl_of_a_model_that_knows_no_tags_says_so_and_keeps_its_evidence(tmp_path):
    (tmp_path / "nothing.yaml").write_text(RECIPE)
    code, text = run(tmp_path / "nothing.yaml", tmp_path / "run", "--set", "grpo.trainer.max_refill_rounds=0")
    told = " ".join(text.split())
    assert code == 1
    assert "of 16 samples before RL (up to 96 tokens): the model doesn't write the thinking tags: put SFT first" in told
    assert told.count("it wrote: ") == 3
    assert (
        "4 steps went by and none had anything to train on: in the last batch every one of 16 completions earned"
        in told
    )
    assert "without the thinking tags" in told
    assert f"Its samples are in {tmp_path}/run/01-grpo/rollouts.jsonl" in told
    records = [json.loads(line) for line in (tmp_path / "run" / "01-grpo" / "rollouts.jsonl").read_text().splitlines()]
    assert {record["dropped"] for record in records} == {"all wrong"}
    assert {record["step"] for record in records} == {0, 2}  # each batch of two steps
    assert len((tmp_path / "run" / "01-grpo" / "baseline.jsonl").read_text().splitlines()) == 16
    page = (tmp_path / "run" / "report.html").read_text()
    failed = read_json(tmp_path / "run" / "metrics.json")
    assert "Stage grpo failed: " in (tmp_path / "run" / "report.md").read_text()
    assert str(tmp_path) not in page
    assert failed["stages"][0]["status"] == "stopped"
    assert records[0]["completion"].split()[0] in page  # what it wrote can be read there


def test_check_samples_the_model_where_it_is_asked_to_and_rl_starts_from_the_base(tmp_path):
    curated = RECIPE.replace(
        "stages:\n  - grpo:\n      problems: train",
        "stages:\n  - curate: {problems: train}\n  - grpo:\n      problems: curate",
    )
    warnings = document(tmp_path, curated, "--probe")["warnings"]
    (told,) = [each for each in warnings if "samples before RL" in each["message"]]
    assert told["key"] == "stages[1].grpo"
    assert told["message"].endswith("the model doesn't write the thinking tags: put SFT first")
