"""More steps after a finished run: it goes on from its last checkpoint, and ends where one long run would have."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from whole_runs import RECIPE, run, weights_hash, write_recipe

from magistral_recipe import layout
from magistral_recipe.check.recipe_file import load_recipe

CONSTANT = RECIPE.replace("max_steps: 9,", "max_steps: 4, lr_scheduler_type: constant,").replace(
    "max_steps: 8\n", "max_steps: 2\n        lr_scheduler_type: constant\n"
)
MORE_RL, MORE_SFT = ("--set", "grpo.trainer.max_steps=5"), ("--set", "sft.trainer.max_steps=8")


@pytest.mark.slow
def test_a_finished_run_goes_on_to_where_one_long_run_ends_bit_for_bit(tmp_path):
    recipe = write_recipe(tmp_path, CONSTANT)
    output, long = tmp_path / "run", tmp_path / "long"
    assert run(recipe, output)[0] == 0
    short = weights_hash(output / "02-grpo")
    code, text = run(recipe, output, *MORE_RL)
    assert code == 0, text
    assert "[1/2] sft: complete, skipped" in text
    assert "[2/2] grpo: resuming where it stopped (max_steps: 2 -> 5, from step 2 on)" in text
    kept = output / "replaced" / "02-grpo-model.1" / "model.safetensors"
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == short
    assert run(recipe, long, *MORE_RL)[0] == 0
    assert weights_hash(output / "02-grpo") == weights_hash(long / "02-grpo") != short
    # More of an earlier stage: it goes on too, and what was made of its model is made again.
    code, text = run(recipe, output, *MORE_RL, *MORE_SFT)
    assert code == 0, text
    assert "[1/2] sft: resuming where it stopped (max_steps: 4 -> 8, from step 4 on)" in text
    assert "[2/2] grpo: starting anew, the old output is kept in replaced/ (the model of 'sft' has changed)" in text
    assert run(recipe, long, "--fresh", *MORE_RL, *MORE_SFT)[0] == 0
    for stage in ("01-sft", "02-grpo"):
        assert weights_hash(output / stage) == weights_hash(long / stage), stage


def test_what_a_longer_run_would_have_done_otherwise_is_said(tmp_path):
    def told(before: dict[str, object], *overrides: str, folder: Path = tmp_path / "01-sft") -> str | None:
        recipe = write_recipe(tmp_path, CONSTANT.replace("length_of_text, ", ""))
        return (
            load_recipe(recipe, [*overrides, "sft.trainer.max_steps=8"]).recipe.stages[0].goes_on_from(before, folder)
        )

    few = {"trainer.max_steps": 6}
    assert told(few) is None  # nothing to go on from
    mark = tmp_path / "01-sft" / layout.CHECKPOINTS / "checkpoint-6" / "complete.json"
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert told(few) == (
        "max_steps: 6 -> 8, from step 6 on; step 6 was evaluated because it was the last, so that it is not bit for "
        "bit the run of 8 at once"
    )
    assert told(few, "sft.evaluate.every=3") == "max_steps: 6 -> 8, from step 6 on"
    every = "sft.evaluate.every=3"
    assert "its learning rate (linear) was drawn out over the shorter run" in str(
        told(few, every, "sft.trainer.lr_scheduler_type=linear")
    )
    warm = "sft.trainer.lr_scheduler_type=constant_with_warmup"
    assert "its warm-up was 0.1 of" in str(told(few, every, warm, "sft.trainer.warmup_steps=0.1"))
    assert told(few, every, warm, "sft.trainer.warmup_steps=3") == "max_steps: 6 -> 8, from step 6 on"
    for before in ({"trainer.max_steps": 9}, {"trainer.max_steps": None}, {"trainer.learning_rate": 1e-3}, {}):
        assert told(before) is None, before
    assert told({**few, "trainer.learning_rate": 1e-3}) is None
