"""What vLLM holds of a card: weights as it loads them, room for an adapter, keys and values; of RAM while it sleeps.

From the source of vLLM 0.22 to 0.31, unmeasured. Its bitsandbytes loader undoes double quantization, so that a block's
constant takes four bytes; for adapters it keeps room at every linear layer, embedding and output head, at the rank that
its kernels are made for, whatever the adapter covers. At sleep level 1 all of that waits in the machine's memory.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

from magistral_recipe.check.memory.case import Case, longest_completion
from magistral_recipe.check.memory.generation import cache_bytes_a_token
from magistral_recipe.lora import RANKS, engine_rank
from magistral_recipe.models.quantization import NF4_BLOCK
from magistral_recipe.models.shape import empty_model

_SIXTEEN_BITS = 2


def hands_over_adapters(case: Case) -> bool:
    """Whether an RL stage hands vLLM its adapter alone, as far as a recipe can tell."""
    values, lora = case.arguments, case.model.lora
    colocated = values.get("use_vllm") and values.get("vllm_mode") == "colocate"
    return bool(colocated and lora and lora.r <= RANKS[-1] and values.get("vllm_sync") != "merged")


def engine_weights(case: Case, adapters: bool, width: float = _SIXTEEN_BITS) -> float:
    """Bytes of a model's weights in vLLM, and of the room for an adapter.

    Args:
        case: the stage.
        adapters: whether adapters are handed over.
        width: bytes of a weight that is not quantized.

    Returns:
        Bytes.
    """
    whole, linear, edges = _numbers(_Shape(case.shape, case.shape.to_json_string()))
    four_bits = linear if case.model.quantization == "nf4" else 0
    taken = (whole - four_bits) * width + four_bits * (0.5 + 4 / NF4_BLOCK)
    if adapters and case.model.lora is not None:
        taken += edges * engine_rank(min(case.model.lora.r, RANKS[-1])) * _SIXTEEN_BITS
    return taken


def engine_needs(case: Case) -> float:
    """Bytes that vLLM needs at least for RL: its weights, and keys and values of one sequence of full length."""
    length = int(case.arguments.get("vllm_max_model_length") or case.prompt + longest_completion(case))
    return engine_weights(case, hands_over_adapters(case)) + length * cache_bytes_a_token(case.read())


def engine_asleep(case: Case) -> float:
    """Bytes of the machine's memory that vLLM takes while it sleeps: its weights at level 1, nothing at level 2."""
    asleep = case.arguments.get("use_vllm") and case.arguments.get("vllm_enable_sleep_mode")
    return engine_weights(case, True) if asleep and hands_over_adapters(case) else 0.0


@dataclass(frozen=True)
class _Shape:
    config: Any = field(compare=False)
    key: str


@functools.lru_cache(maxsize=32)
def _numbers(shape: _Shape) -> tuple[int, int, int]:
    """A model's weights, those of linear layers but the head's, and what a rank of an adapter on every layer adds."""
    from torch import nn

    model = empty_model(shape.config)
    head = model.get_output_embeddings()
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    whole = sum(parameter.numel() for parameter in model.parameters())
    inner = sum(module.weight.numel() for module in linear if module is not head)
    edges = sum(sum(module.weight.shape) for module in [*linear, *tables])
    return whole, inner, edges
