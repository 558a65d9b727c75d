"""Keys and values, held against the cache of a model that is really run."""

from __future__ import annotations

import pytest
import torch
from shapes import qwen3, trained

from magistral_recipe.check.memory.dry_run import build, materialize
from magistral_recipe.check.memory.generation import Batch, cache_bytes_a_token, generation_bytes
from magistral_recipe.check.memory.live import LiveStorages


@pytest.mark.parametrize(
    ("way", "bytes_of_key_and_value"),
    [
        ({}, 8),
        ({"dtype": "bfloat16"}, 4),
        # Under autocast keys pass through a float32 norm and values do not.
        ({"autocast": "bfloat16"}, 6),
        ({"dtype": "bfloat16", "r": 4, "autocast": "bfloat16"}, 4),
    ],
)
def test_a_token_costs_a_key_and_a_value_a_head_a_layer(way, bytes_of_key_and_value):
    model = trained(qwen3(num_hidden_layers=7), checkpointing=False, **way)
    assert cache_bytes_a_token(model) == 7 * 2 * 32 * bytes_of_key_and_value


def test_a_real_cache_is_as_large():
    model = trained(qwen3(), checkpointing=False)
    real = build(model, 5)
    materialize(real)
    real.to(torch.float32).eval()
    with torch.no_grad():
        torch.nn.init.zeros_(real.lm_head.weight)
        for parameter in real.parameters():
            parameter.zero_()
        out = real.generate(
            torch.ones(3, 10, dtype=torch.long),
            max_new_tokens=7,
            min_new_tokens=7,
            do_sample=False,
            return_dict_in_generate=True,
        )
    cache = sum(
        t.numel() * t.element_size() for layer in out.past_key_values.layers for t in (layer.keys, layer.values)
    )
    tokens = 3 * (10 + 7 - 1)  # the last token is drawn and not read
    assert cache_bytes_a_token(model) * tokens == cache
    assert generation_bytes(model, Batch(3, 10, 6)).cache == cache


def test_the_work_of_a_long_prompt_is_what_a_real_prefill_takes():
    model = trained(qwen3(), checkpointing=False, dtype="bfloat16")
    real = build(model, 5).eval()
    with LiveStorages() as live:
        materialize(real)
        held = live.total
        live.phase = "prefill"
        with torch.no_grad():
            out = real(input_ids=torch.zeros(8, 200, dtype=torch.long), use_cache=True, logits_to_keep=1)
    cached = sum(
        t.numel() * t.element_size() for layer in out.past_key_values.layers for t in (layer.keys, layer.values)
    )
    work = sum(live.peaks["prefill"].values()) - held - cached
    assert generation_bytes(model, Batch(8, 200, 1)).work == pytest.approx(work, rel=0.02)


def test_many_rows_cost_the_logits_that_tokens_are_drawn_from():
    model = trained(qwen3(vocab_size=50_000), checkpointing=False, dtype="bfloat16")
    few, many = (generation_bytes(model, Batch(rows, 1, 1)).work for rows in (100, 300))
    assert many - few == pytest.approx(200 * 50_000 * 4 * 4, rel=0.05)
