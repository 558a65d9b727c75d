"""Memory that runs out: one line with the plan's largest part and the key to lower, whichever library says so."""

from __future__ import annotations

import pytest
import torch

from magistral_recipe.check.memory import exhausted
from magistral_recipe.check.memory.devices import find_device
from magistral_recipe.check.memory.exhausted import exhaustion, is_exhaustion
from magistral_recipe.check.recipe_file import load_recipe

RECIPE = """\
name: r
model: {path: Qwen/Qwen3-0.6B-Base, dtype: bfloat16, lora: {r: 16, alpha: 32}}
problems: {p: {tiny: train, count: 64}}
stages:
  - sft: {traces: {tiny: true, count: 8}, trainer: {max_steps: 2, max_length: 4096}}
  - grpo: {problems: p, trainer: {max_completion_length: 1024, max_tokens_per_microbatch: 16384}}
  - evaluate: {problems: p, max_new_tokens: 512}
"""
WORDS = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.64 GiB"


@pytest.fixture
def loaded(tmp_path):
    (tmp_path / "r.yaml").write_text(RECIPE)
    return load_recipe(tmp_path / "r.yaml")


def raised(error, *modules):
    """An error with a way through modules of these names."""
    source = "def go():\n    return next_one()\n"
    inner = lambda: (_ for _ in ()).throw(error)  # noqa: E731
    for module in reversed(modules):
        space = {"__name__": module, "next_one": inner}
        exec(source, space)
        inner = space["go"]
    try:
        inner()
    except BaseException as caught:  # noqa: BLE001
        return caught


TRAINER, GENERATION = "transformers.trainer", "transformers.generation.utils"


@pytest.mark.parametrize(
    ("index", "modules", "said", "then"),
    [
        (0, [TRAINER], "out of memory while training", "set sft.trainer.per_device_train_batch_size: "),
        (1, [TRAINER], "out of memory while training", "set grpo.trainer.max_tokens_per_microbatch: 8192 (now 16384)"),
        (1, [TRAINER, GENERATION], "out of memory while generating rollouts", "grpo.trainer.max_tokens_per_generation"),
        (
            2,
            ["magistral_recipe.evaluation.evaluate", GENERATION],
            "while evaluating",
            "set evaluate.tokens_per_batch: ",
        ),
    ],
)
def test_the_line_names_what_was_done_the_largest_part_and_a_key_with_which_it_goes_on(
    loaded, index, modules, said, then
):
    line = exhaustion(raised(torch.OutOfMemoryError(WORDS), *modules), loaded, index)
    assert "\n" not in line
    assert said in line
    assert "(CUDA out of memory)" in line
    assert "the plan's largest part there is " in line
    assert then in line
    assert line.endswith("and run again: it goes on from the last whole checkpoint")


def test_a_model_that_cannot_be_loaded_is_told_by_its_weights(loaded, monkeypatch):
    monkeypatch.setattr(exhausted, "device_here", lambda: find_device("rtx4090"))
    line = exhaustion(raised(torch.OutOfMemoryError(WORDS), "magistral_recipe.models.load"), loaded, 1)
    assert "while the model was loaded" in line
    assert "its weights alone are planned with 1.11 GiB" in line
    assert line.endswith("set model.quantization: nf4 (now none), and run again: with that the stage begins anew")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError(WORDS),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_memory_that_runs_out_is_known_in_every_librarys_words(error):
    assert is_exhaustion(error)
    outer = ValueError("a step failed")
    outer.__cause__ = error
    assert is_exhaustion(outer)


def test_other_errors_are_not():
    assert not is_exhaustion(RuntimeError("shapes don't fit"))
    assert not is_exhaustion(ValueError("out of memory"))
