"""The dry run, held against passes that are really run, and against what closed forms say of its parts."""

from __future__ import annotations

import inspect

import pytest
import torch
from shapes import qwen3, trained
from torch import nn
from transformers import masking_utils
from trl.kernels import chunked_logprob
from trl.trainer import utils

from magistral_recipe.check.memory.dry_run import (
    ACTIVATIONS,
    ADAPTERS,
    GRADIENTS,
    WEIGHTS,
    Pass,
    build,
    depths_of,
    dry_run,
    materialize,
    measure_pass,
)
from magistral_recipe.check.memory.live import LiveStorages
from magistral_recipe.check.memory.stand_ins import LOGPROBS
from magistral_recipe.errors import DataError
from magistral_recipe.models.shape import empty_model

WAYS = {
    "full": {},
    "full, recomputed": {"checkpointing": True},
    "full, autocast": {"autocast": "bfloat16", "checkpointing": True},
    "adapters": {"r": 8, "dtype": "bfloat16"},
    "adapters, recomputed, autocast": {"r": 8, "dtype": "bfloat16", "autocast": "bfloat16", "checkpointing": True},
    "adapters on float32": {"r": 8, "autocast": "bfloat16", "checkpointing": True},
    "reentrant": {"r": 8, "checkpointing": True, "reentrant": True},
    "float32 head": {"r": 8, "dtype": "bfloat16", "head_float32": True, "autocast": "bfloat16"},
    "eager attention": {"eager": True},
}
PASSES = {
    "rows": Pass(3, 40),
    "one row, a mask": Pass(1, 120, dense_mask=True),
    "one pass": Pass(2, 50, accumulates=False),
}


@pytest.mark.parametrize("spec", PASSES.values(), ids=PASSES)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_dry_run_takes_what_the_same_pass_really_takes(way, spec):
    """Run on a CPU with real tensors; the head's tiles are torch's there, so the plan is for a CPU too."""
    model = trained(qwen3(), **{"checkpointing": False, "gpu": False, **way})
    dry = dry_run(model, spec, depths=(5,))
    real = build(model, 5)
    with LiveStorages() as live:
        materialize(real)
        measured = measure_pass(real, model, spec, live, 5)
    highest = max(sum(parts.values()) for parts in measured.peaks.values())
    assert sum(dry.peak().values()) == pytest.approx(highest, rel=0.01)


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("full", Pass(1, 50, accumulates=False)),
        ("full, autocast", Pass(3, 40)),
        ("adapters, recomputed, autocast", Pass(1, 120, dense_mask=True)),
        ("adapters on float32", Pass(2, 50, accumulates=False)),
    ],
)
def test_two_depths_say_what_the_whole_model_takes(name, spec):
    model = trained(qwen3(num_hidden_layers=7), **{"checkpointing": False, **WAYS[name]})
    whole, extended = dry_run(model, spec, depths=(7,)), dry_run(model, spec)
    assert [run.layers for run in extended.runs] == [2, 3]
    assert sum(extended.peak().values()) == pytest.approx(sum(whole.peak().values()), rel=0.005)
    assert extended.whole(lambda run: run.gradients) == whole.runs[0].gradients


def test_a_published_models_two_depths_say_what_its_28_layers_take():
    model = trained(PUBLISHED, r=64, dtype="bfloat16", autocast="bfloat16", checkpointing=True)
    spec = Pass(2, 2048)
    whole, extended = dry_run(model, spec, depths=(28,)), dry_run(model, spec)
    for part, size in whole.peak().items():
        assert extended.peak()[part] == pytest.approx(size, rel=0.001, abs=2**20)


PUBLISHED = qwen3(
    hidden_size=2048,
    intermediate_size=6144,
    num_hidden_layers=28,
    num_attention_heads=16,
    num_key_value_heads=8,
    head_dim=128,
    vocab_size=151936,
)


def test_weights_gradients_and_adapters_are_those_of_their_closed_forms():
    per_layer = 2048 * 128 * (16 + 8 + 8 + 16) + 3 * 2048 * 6144
    run = dry_run(trained(PUBLISHED, r=64, dtype="bfloat16", autocast="bfloat16"), Pass(1, 512))
    norms = 28 * (2 * 2048 + 2 * 128) + 2048
    weights = 2 * (28 * per_layer + 151936 * 2048 + norms)
    assert run.whole(lambda depth: depth.held[WEIGHTS]) == pytest.approx(weights, rel=1e-4)
    # r rows and r columns a layer (LoRA, arXiv 2106.09685 §4.1)
    sides = 2 * (2048 + 16 * 128) + 2 * (2048 + 8 * 128) + 3 * (2048 + 6144)
    assert run.whole(lambda depth: depth.gradients) == 28 * 64 * sides * 4
    assert run.peak()[GRADIENTS] == pytest.approx(28 * 64 * sides * 4, rel=1e-3)


def test_recomputing_keeps_one_input_a_layer():
    def growth(**way):
        runs = dry_run(trained(PUBLISHED, r=8, dtype="bfloat16", autocast="bfloat16", **way), Pass(1, 1024)).runs
        return runs[1].peaks["backward, top"][ACTIVATIONS] - runs[0].peaks["backward, top"][ACTIVATIONS]

    assert growth(checkpointing=True) == pytest.approx(1024 * 2048 * 2, rel=0.05)
    assert growth(checkpointing=False) > 10 * growth(checkpointing=True)


def test_on_a_gpu_the_heads_chunk_is_one_tile_of_half_precision():
    chunk = dry_run(trained(PUBLISHED, r=8, dtype="bfloat16", autocast="bfloat16"), Pass(1, 8192)).chunk()
    tile = 4096 * 32768 * 2  # TOKEN_CHUNK_SIZE x chunk_size, in bfloat16
    gradient = 8192 * 2048 * (4 + 2)  # of the hidden states, summed in float32 and then rounded
    assert chunk == pytest.approx(tile + gradient, rel=0.01)


def test_a_frozen_copy_of_the_adapters_is_held_and_not_trained():
    plain, kept = (trained(qwen3(), r=8, reference_adapter=copy) for copy in (False, True))
    runs = [dry_run(model, Pass(1, 32)) for model in (plain, kept)]
    held = [run.whole(lambda depth: depth.held[ADAPTERS]) for run in runs]
    assert held[1] == 2 * held[0]
    assert runs[0].whole(lambda depth: depth.gradients) == runs[1].whole(lambda depth: depth.gradients)


def test_a_dense_mask_costs_its_square():
    model = trained(PUBLISHED, r=8, dtype="bfloat16", autocast="bfloat16")
    without, dense = (sum(dry_run(model, Pass(1, 4096, dense_mask=mask)).peak().values()) for mask in (False, True))
    assert dense - without >= 4096 * 4096 * (1 + 2)  # the mask, and attention's copy of it in bfloat16


def test_layers_that_differ_are_run_at_the_models_own_depth():
    mixed = qwen3(num_hidden_layers=6, layer_types=["full_attention", "sliding_attention"] * 3)
    mixed.sliding_window = 16
    assert depths_of(mixed) == (6,)
    assert depths_of(qwen3(num_hidden_layers=6)) == (2, 3)
    assert depths_of(qwen3(num_hidden_layers=2)) == (2,)
    model = trained(mixed)
    assert sum(dry_run(model, Pass(1, 32)).peak().values()) > 0


def test_what_is_replaced_of_trl_and_transformers_is_still_there_and_put_back():
    names = {
        masking_utils: ("find_packed_sequence_indices",),
        chunked_logprob: ("_forward_tile", "_backward_tile", "_addmm_fp32", "ChunkedLogProbFunction"),
        utils: ("_ChunkedLogProbFunction", "_use_triton"),
    }
    before = {(owner, name): getattr(owner, name) for owner, held in names.items() for name in held}
    dry_run(trained(qwen3(), r=4), Pass(1, 16))
    assert {place: getattr(*place) for place in before} == before
    source = inspect.getsource(utils.add_fused_lm_head)
    assert "_ChunkedLogProbFunction.apply(" in source
    assert "hidden_states[mask] if compact else" in source  # what `Picked` stands for
    assert chunked_logprob.TOKEN_CHUNK_SIZE == 4096


def test_tied_embeddings_are_one_tensor_in_a_dry_run_and_untied_ones_two():
    for tied in (True, False):
        model = empty_model(qwen3(tie_word_embeddings=tied))
        materialize(model)
        same = model.get_input_embeddings().weight is model.get_output_embeddings().weight
        assert same is tied
        assert isinstance(model.get_output_embeddings().weight, nn.Parameter)
        assert model.get_output_embeddings().weight.device == torch.device("cpu")


def test_log_probabilities_are_a_part_of_their_own():
    run = dry_run(trained(qwen3(vocab_size=40_000), gpu=False), Pass(4, 64))
    assert run.peak()[LOGPROBS] > run.peak()[ACTIVATIONS] / 10


def test_a_model_that_cannot_run_without_data_is_one_line():
    model = trained(qwen3(), lora='{"target_modules": ["nothing_of_this_name"]}', checkpointing=False)
    with pytest.raises(DataError) as caught:
        dry_run(model, Pass(1, 16))
    assert len(str(caught.value).splitlines()) == 1
    broken = qwen3(num_attention_heads=3, num_key_value_heads=2)  # heads that don't divide
    with pytest.raises(DataError, match="a dry run of this model can't be made"):
        dry_run(trained(broken, checkpointing=False), Pass(1, 16))
