"""bitsandbytes' 8-bit and 4-bit weights: how they are asked for, what they demand, how their record is taken off."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from magistral_recipe.errors import DataError
from magistral_recipe.machine import World

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from magistral_recipe.models.config import ModelConfig

_RECORDS = ("quantization_config", "hf_quantizer", "quantization_method", "is_quantized", "_pre_quantization_dtype")
"""Where transformers notes that a model is quantized: attributes of the model and of its config."""

NF4_BLOCK = 64
"""Weights a block of bitsandbytes' 4-bit layers; on a CPU every width must be a multiple of it."""


def quantization_options(config: ModelConfig, shape: Any, whole: Sequence[str] = ()) -> dict[str, Any]:
    """Return what `from_pretrained` needs to quantize a model while loading it.

    Args:
        config: the recipe's model section, quantization other than ``none``.
        shape: the model's transformers config.
        whole: modules that are not quantized, the output head among them; by default the head alone.

    Returns:
        Its `quantization_config` and `device_map`.

    Raises:
        DataError: if bitsandbytes is missing, or its CPU layers can't hold a width of the model.
    """
    import torch
    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise DataError(f"quantization: {config.quantization} needs bitsandbytes: pip install bitsandbytes")
    device: Any = {"": "cpu"}
    if torch.cuda.is_available():
        # One process, one card: a quantized model can't be moved by the trainer afterwards.
        device = {"": World.from_environment().local_rank}
    elif config.quantization == "nf4":
        _check_widths(config, shape)
    skipped = list(whole) or None  # without names of its own, transformers leaves out the head
    if config.quantization == "int8":
        int8 = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skipped)
        return {"quantization_config": int8, "device_map": device}
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, config.dtype),
        llm_int8_skip_modules=skipped,
    )
    return {"quantization_config": nf4, "device_map": device}


def _check_widths(config: ModelConfig, shape: Any) -> None:
    text = shape.get_text_config()
    widths = {name: getattr(text, name, None) for name in ("hidden_size", "intermediate_size")}
    odd = [f"{name} {width}" for name, width in widths.items() if isinstance(width, int) and width % NF4_BLOCK]
    if odd:
        raise DataError(
            f"model {config.path!r} can't be loaded in nf4 on a CPU: {' and '.join(odd)} must be a multiple of "
            f"{NF4_BLOCK}; set quantization: none or int8, or use a GPU"
        )


def forget_quantization(model: PreTrainedModel) -> None:
    """Take the record of a quantization off a model whose weights are plain numbers again.

    transformers dequantises a GGUF file but keeps its quantization config, with which a saved copy claims to be
    quantized and can't be loaded.

    Args:
        model: changed in place.
    """
    without_quantization(model.config)
    for name in _RECORDS:
        if name in vars(model):
            delattr(model, name)
    model.is_loaded_in_4bit = model.is_loaded_in_8bit = False


def without_quantization(shape: Any) -> Any:
    """Take the record of a quantization off a transformers config.

    Args:
        shape: changed in place.

    Returns:
        The same config.
    """
    for name in _RECORDS:
        if name in vars(shape):
            delattr(shape, name)
    return shape


def claim_mistake(model: Any) -> str | None:
    """Say that weights are not in the bits that their config claims: such a model loads, and fails as it is used.

    Args:
        model: loaded from a folder whose config has a `quantization_config`.

    Returns:
        The mistake and the way out; ``None`` where there is none.
    """
    if not is_quantized(model):
        return None
    for name, module in model.named_modules():
        kind, weight = type(module).__name__, getattr(module, "weight", None)
        plain = {
            "Linear4bit": lambda held: getattr(held, "quant_state", None) is None,
            "Linear8bitLt": lambda held: held.is_floating_point(),
        }.get(kind)
        if plain is not None and plain(weight):
            bits, ours = ("4", "nf4") if kind == "Linear4bit" else ("8", "int8")
            return (
                f"its config.json says (quantization_config) that its weights are in {bits} bits, and those of {name} "
                f"are plain numbers: take that out of it, and set model.quantization: {ours} where {bits} bits are "
                "meant"
            )
    return None


def is_adapter(model: Any) -> bool:
    """Whether a model is wrapped in PEFT adapters."""
    return hasattr(model, "peft_config") and hasattr(model, "merge_and_unload")


def is_quantized(model: Any) -> bool:
    """Whether a model's weights are in bitsandbytes' 4 or 8 bits."""
    base = model.get_base_model() if is_adapter(model) else model
    return bool(getattr(base, "is_loaded_in_4bit", False) or getattr(base, "is_loaded_in_8bit", False))
