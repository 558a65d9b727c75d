"""The plan beside what was measured: this trainer on one H100, PyTorch 2.11, random weights of these shapes.

The figures are the peaks of PyTorch's allocator, `torch.cuda.max_memory_allocated`, of whole runs; the passes are the
largest that ran. What is held is the allocated peak, within a tenth.
"""

from __future__ import annotations

import pytest
from shapes import qwen3, trained

from magistral_recipe.check.memory.dry_run import Pass, dry_run
from magistral_recipe.check.memory.optimizer import optimizer_bytes
from magistral_recipe.machine import GIB

QWEN3_1_7B = {
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151_936,
    "tie_word_embeddings": True,
}
QWEN3_8B = {
    "hidden_size": 4096,
    "intermediate_size": 12_288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151_936,
    "tie_word_embeddings": False,
}
SFT = ("log_probs", "entropy", "is_top1")

MEASURED = {
    # run: shape, quantization, largest pass, GiB allocated
    "GRPO, bfloat16, LoRA r=64, 13 x 1,033 tokens": (QWEN3_1_7B, "none", Pass(13, 1033), 7.62),
    "SFT, bfloat16, LoRA r=64, packed to 8,192": (QWEN3_1_7B, "none", Pass(1, 8192, True, SFT), 6.77),
    "GRPO, nf4, LoRA r=64, 8,070 tokens": (QWEN3_8B, "nf4", Pass(1, 8070), 11.17),
}


@pytest.mark.parametrize(("shape", "quantization", "spec", "allocated"), MEASURED.values(), ids=MEASURED)
def test_the_plan_is_within_a_tenth_of_what_was_measured(shape, quantization, spec, allocated):
    model = trained(
        qwen3(**shape), r=64, dtype="bfloat16", quantization=quantization, autocast="bfloat16", checkpointing=True
    )
    run = dry_run(model, spec)
    optimizer = run.whole(lambda depth: optimizer_bytes("adamw_torch_fused", depth.trained).gpu)
    assert (sum(run.peak().values()) + optimizer) / GIB == pytest.approx(allocated, rel=0.1)
