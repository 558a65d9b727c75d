"""What a stage's settings allow at most: the passes that train, the sequences that are generated together."""

from __future__ import annotations

import pytest
from tiny_policy import policy

from magistral_recipe.check.memory.case import (
    Case,
    evaluated_batch,
    evaluation_batch,
    largest_pass,
    rollout_batch,
)
from magistral_recipe.check.memory.devices import device_here, find_device
from magistral_recipe.check.memory.dry_run import Pass
from magistral_recipe.check.memory.generation import Batch
from magistral_recipe.check.memory.lengths import Lengths
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.generation.rollouts.generate import GenerateSampler
from magistral_recipe.generation.rollouts.interface import Drawing
from magistral_recipe.models.shape import find_shape
from magistral_recipe.training.batching import pack

CARD = find_device("24GiB")
SFT_OUTPUTS = ("log_probs", "entropy", "is_top1")


@pytest.fixture
def case(tmp_path):
    def make(stage, model="{path: Qwen/Qwen3-0.6B}", device=CARD, prompt=100, row=None, processes=1):
        file = tmp_path / "r.yaml"
        file.write_text(f"name: r\nmodel: {model}\nproblems: {{p: {{tiny: train, count: 64}}}}\nstages:\n  - {stage}\n")
        recipe = load_recipe(file).recipe
        shape = find_shape(recipe.model).config
        return Case(recipe.stages[0], recipe.model, recipe, shape, device, Lengths(prompt, row), processes)

    return make


def rl(**trainer):
    written = ", ".join(f"{key}: {value}" for key, value in trainer.items())
    return f"grpo: {{problems: p, trainer: {{{written}}}}}"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # 32 x 8 / 2 = 128 rows a minibatch
        ({"max_completion_length": 900, "max_tokens_per_microbatch": 10_000}, Pass(10, 1000)),
        ({"max_completion_length": 900, "max_tokens_per_microbatch": 10_500}, Pass(11, 954)),
        ({"max_completion_length": 9_950, "max_tokens_per_microbatch": 10_000}, Pass(1, 10_050)),
        ({"max_completion_length": 50, "max_tokens_per_microbatch": 1_000_000}, Pass(128, 150, accumulates=False)),
        (
            {"max_completion_length": 900, "prompts_per_batch": 2, "num_generations": 4},
            Pass(4, 1000, accumulates=False),
        ),
    ],
)
def test_rls_largest_pass_fills_the_budget_or_holds_the_minibatch(case, settings, expected):
    assert largest_pass(case(rl(**settings))) == expected


def test_no_batch_of_completions_makes_a_larger_pass_than_the_plan(case):
    spec = largest_pass(case(rl(max_completion_length=900, max_tokens_per_microbatch=10_500)))
    for lengths in ([1000] * 128, [954] * 128, [500] * 128, list(range(200, 1000, 8))):
        for chosen in pack(lengths, 10_500):
            assert len(chosen) * max(lengths[i] for i in chosen) <= 1.001 * spec.tokens


def test_a_schedules_longest_completion_and_largest_batch_count(case):
    stage = (
        "grpo: {problems: p, trainer: {max_completion_length: 100}, schedule: ["
        "{from_step: 5, max_completion_length: 900}, {from_step: 9, prompts_per_batch: 64}]}"
    )
    assert rollout_batch(case(stage)) == Batch(64 * 8, 100, 900)


@pytest.mark.parametrize("budget", [None, 500, 5_000, 100_000])
def test_rollouts_are_cut_as_the_trainer_cuts_them(case, budget):
    settings = {"max_completion_length": 900} | ({} if budget is None else {"max_tokens_per_generation": budget})
    drawn = GenerateSampler(policy(), Drawing(), token_budget=budget).sample([[5] * 100] * 256, [900] * 256, 0)
    at_once: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GenerateSampler, "_together", lambda self, rows, *_: at_once.append(len(rows)))
        list(drawn)
    assert rollout_batch(case(rl(**settings))).rows == max(at_once)


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ("max_length: 2048, packing: true", Pass(1, 8 * 2048, True, SFT_OUTPUTS, False)),
        ("max_length: 2048, packing: true, packing_strategy: wrapped", Pass(8, 2048, False, SFT_OUTPUTS, False)),
        ("max_length: 2048", Pass(8, 2048, True, SFT_OUTPUTS, False)),
        ("max_length: 2048, per_device_train_batch_size: 1", Pass(1, 2048, False, SFT_OUTPUTS, False)),
        ("max_length: 2048, gradient_accumulation_steps: 4", Pass(8, 2048, True, SFT_OUTPUTS, True)),
    ],
)
def test_sfts_largest_pass_is_its_batch_of_longest_rows(case, trainer, expected):
    assert largest_pass(case(f"sft: {{traces: {{tiny: true, count: 8}}, trainer: {{{trainer}}}}}")) == expected


def test_flash_attention_needs_no_mask(case):
    model = "{path: Qwen/Qwen3-0.6B, attn_implementation: flash_attention_2}"
    stage = "sft: {traces: {tiny: true, count: 8}, trainer: {max_length: 512, packing: true}}"
    assert not largest_pass(case(stage, model)).dense_mask


def test_without_max_length_the_longest_row_seen_counts_else_the_context(case):
    stage = "sft: {traces: {tiny: true, count: 8}}"
    assert largest_pass(case(stage, row=320)).width == 320
    assert largest_pass(case(stage)).width == 40_960


def test_on_a_card_it_computes_in_bfloat16_and_recomputes_and_on_a_cpu_neither(case, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    stage = "sft: {traces: {tiny: true, count: 8}}"
    on_card, on_cpu = case(stage).trained(), case(stage, device=device_here()).trained()
    assert (on_card.autocast, on_card.checkpointing, on_card.gpu) == ("bfloat16", True, True)
    assert (on_cpu.autocast, on_cpu.checkpointing, on_cpu.gpu) == (None, False, False)
    assert case(stage, device=find_device("t4")).trained().autocast is None


def test_a_recipes_own_precision_and_checkpointing_win(case):
    stage = "sft: {traces: {tiny: true, count: 8}, trainer: {gradient_checkpointing: false, fp16: true}}"
    model = case(stage).trained()
    assert (model.autocast, model.checkpointing) == ("float16", False)


def test_a_kl_term_keeps_a_copy_of_the_adapters(case):
    model = "{path: Qwen/Qwen3-0.6B, lora: {r: 4}}"
    assert case(rl(beta=0.01), model).trained().reference_adapter
    assert not case(rl(), model).trained().reference_adapter


def test_an_evaluation_within_training_takes_half_of_what_is_free(case):
    stage = "sft: {traces: {tiny: true, count: 8}, evaluate: {every: 5, problems: p, count: 64, max_new_tokens: 900}}"
    assert evaluated_batch(case(stage), room=2e9, token=1e5) == Batch(10, 100, 900)  # 10,000 tokens
    assert evaluated_batch(case(stage), room=0, token=1e5) == Batch(4, 100, 900)  # never below 4,096
    assert evaluated_batch(case(stage), room=1e12, token=1e5) == Batch(64, 100, 900)  # all there are
    assert evaluated_batch(case("sft: {traces: {tiny: true, count: 8}}"), 1e9, 1e5) is None


def test_an_evaluations_batch_is_what_its_budget_holds(case):
    stage = case("evaluate: {problems: p, tokens_per_batch: 10000}")
    assert evaluation_batch(stage, {"max_new_tokens": 900, "samples": 4}) == Batch(10, 100, 900)
    assert evaluation_batch(stage, {"max_new_tokens": 50_000, "samples": 4}).rows == 1


def test_processes_share_the_rows(case):
    assert rollout_batch(case(rl(max_completion_length=10), processes=4)).rows == 32 * 8 // 4
