"""LoRA's arithmetic, shared by all who need a weight with its adapters' update: in float32, the weight left as it is.

PEFT adds and subtracts an update in the weight itself and in the weight's own type. In bfloat16 that is no round trip:
`(W + s·B·A) − s·B·A` differs from W wherever the sum was rounded, and repeated at every step of RL with an adapter that
moves it wears the base away. Here a sum is always a new tensor.

    W' = float32(W) + s·B·A    s = alpha / r, or alpha / sqrt(r) with PEFT's rslora (arXiv 2106.09685 §4.1)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


def with_update(value: Tensor, layer: Any, name: str) -> Tensor:
    """A weight or bias with the update of a layer's adapters, in float32 where there is one.

    Args:
        value: the base layer's, any type.
        layer: PEFT's.
        name: `weight` or `bias`.

    Returns:
        float32 on the value's device; the value itself where nothing is added.
    """
    import torch

    result = value
    for adapter in to_fold(layer):
        scale = float(layer.scaling[adapter])
        embedding = adapter in layer.lora_embedding_A
        if name == "bias":
            if not layer.lora_bias.get(adapter):
                continue
            result = result.float().add(whole(layer.lora_B[adapter].bias).float().to(value.device), alpha=scale)
            continue
        if embedding:
            down, up = layer.lora_embedding_A[adapter], layer.lora_embedding_B[adapter]
        else:
            down, up = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
        factors = (whole(up.detach()).float().to(value.device), whole(down.detach()).float().to(value.device))
        if embedding or layer.fan_in_fan_out:
            factors = (factors[1].T, factors[0].T)
        # `addmm_` adds into the copy: the update itself never takes a weight's room.
        result = result.to(torch.float32, copy=result is value).addmm_(*factors, alpha=scale)
    return result


def whole(value: Tensor) -> Tensor:
    """A tensor as it is on one device: gathered where FSDP has sharded it, a step that all ranks must take."""
    gather = getattr(value, "full_tensor", None)
    return value if gather is None else gather()


def layers(base: nn.Module) -> Iterator[Any]:
    """PEFT's layers of a model."""
    return (module for module in base.modules() if is_layer(module))


def is_layer(module: Any) -> bool:
    """Whether a module is a layer of PEFT's around one of the model's."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return isinstance(module, BaseTunerLayer)


def to_fold(layer: Any) -> list[str]:
    """A layer's active adapters that are not in its weights yet."""
    held = {*getattr(layer, "lora_A", ()), *getattr(layer, "lora_embedding_A", ())}
    return [name for name in layer.active_adapters if name in held and name not in layer.merged_adapters]


def obstacle(layer: Any) -> str | None:
    """Say what about a layer's adapter is more than W + s·B·A."""
    import torch
    from peft.tuners.lora import LoraLayer
    from transformers.pytorch_utils import Conv1D

    if not isinstance(layer, LoraLayer):
        return f"PEFT's {type(layer).__name__}"
    variants = [type(layer.lora_variant[name]).__name__ for name in to_fold(layer) if name in layer.lora_variant]
    if variants:
        return f"PEFT's {variants[0]}"
    base = layer.get_base_layer()
    if not isinstance(base, torch.nn.Linear | torch.nn.Embedding | Conv1D):
        return f"a {type(base).__name__} layer"
    biased = [name for name in to_fold(layer) if layer.lora_bias.get(name)]
    return "a bias on a layer without one" if biased and getattr(base, "bias", None) is None else None
