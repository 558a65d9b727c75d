"""LoRA, as every room needs it: a weight with its update, summed beside it in float32, and what of it vLLM applies.

PEFT adds and subtracts an update in the weight itself and in the weight's own type. In bfloat16 that is no round trip:
`(W + s·B·A) − s·B·A` differs from W wherever the sum was rounded, and repeated at every step of RL with an adapter that
moves it wears the base away. Here a sum is always a new tensor.

    W' = float32(W) + s·B·A    s = alpha / r, or alpha / sqrt(r) with PEFT's rslora (arXiv 2106.09685 §4.1)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from magistral_recipe.sharded import whole

if TYPE_CHECKING:
    from torch import Tensor, nn


RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM's kernels are made for (`vllm.config.lora.MaxLoRARanks`, 0.22 to 0.31)."""

_HARMLESS_STARTS = (True, False, "gaussian", "eva")  # PEFT's others change the base's own weights
_MORE = (
    *("modules_to_save", "lora_bias", "use_dora", "rank_pattern", "alpha_pattern", "layer_replication"),
    *("target_parameters", "trainable_token_indices"),
)
"""What PEFT adds to LoRA and vLLM leaves out or refuses (`vllm/lora/peft_helper.py` reads neither of the patterns)."""


def engine_mistake(config: Mapping[str, Any]) -> str | None:
    """Say why vLLM can't apply an adapter as PEFT does.

    Args:
        config: of the adapter, as in its `adapter_config.json`.

    Returns:
        What about it vLLM would leave out; ``None`` where it takes the adapter as it is.
    """
    kind = config.get("peft_type")
    if str(getattr(kind, "value", kind)) != "LORA":
        return f"it is PEFT's {kind}, not LoRA"
    asked = [name for name in _MORE if config.get(name)]
    asked += ["bias"] * (config.get("bias", "none") != "none")
    if asked:
        return f"vLLM does not know LoRA with {' and '.join(asked)}"
    if config.get("init_lora_weights", True) not in _HARMLESS_STARTS:
        return f"init_lora_weights: {config['init_lora_weights']} changes the weights it is trained on"
    if config["r"] > RANKS[-1]:
        return f"rank {config['r']} is above vLLM's highest, {RANKS[-1]}"
    return None


def engine_rank(rank: int) -> int:
    """Round an adapter's rank up to one that vLLM has kernels for.

    Args:
        rank: the adapter's, 1 to 512.

    Returns:
        What `max_lora_rank` must be.
    """
    return next(each for each in RANKS if each >= rank)


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


def find(base: nn.Module, name: str) -> tuple[Any, str, Any]:
    """The module that holds a plain model's tensor, the tensor's name in it, and the adapter around it, if any."""
    from peft.utils.other import ModulesToSaveWrapper

    *path, leaf = name.split(".")
    module: Any = base
    layer = None
    for part in path:
        module, layer = getattr(module, part), None
        if isinstance(module, ModulesToSaveWrapper):  # a whole module that was trained beside the adapters
            module = module.modules_to_save[module.active_adapters[0]]
        elif is_layer(module):
            layer = module
            module = module.get_base_layer()
    return module, leaf, layer
