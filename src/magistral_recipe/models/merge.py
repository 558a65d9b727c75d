"""Folding adapters into the weights they were trained on: in float32, rounded once, and on disk one tensor at a time.

An adapter on weights that are not quantized is folded in place. One on quantized weights was trained on what those
weights stand for, W' = dequantize(quantize(W)), which differs from the base's own W by a few percent of its spread. So
`save_merged` takes each W' from the model in hand, by the very function its forward pass uses, adds the update and
writes it out before it looks at the next: the base is not loaded a second time, and where its files are, in what
format and from what hub makes no difference.

    W_saved = round(float32(W') + s·B·A)    s = alpha / r, or alpha / sqrt(r) with PEFT's rslora (arXiv 2106.09685 §4.1)

What it holds beside the model it is given, at its peak:

- **RAM**: `merge_ram`: one file's tensors (`SHARD_BYTES`), and the largest weight once in float32 and once as it is
  saved. No whole model is ever in RAM.
- **GPU**: the largest weight once, dequantized.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from magistral_recipe.errors import DataError
from magistral_recipe.lora import find, layers, obstacle, to_fold, with_update
from magistral_recipe.models.precision import BYTES, Dtype
from magistral_recipe.models.quantization import forget_quantization, without_quantization

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

SHARD_BYTES = 2_000_000_000
"""Largest file of weights that is written, in bytes; a single weight that is larger gets a file of its own."""


def merge_ram(largest: int, total: int, dtype: Dtype) -> int:
    """The most RAM that saving a merged model takes beside the model itself.

    Args:
        largest: numbers in the model's largest weight.
        total: numbers in all of its weights.
        dtype: of the weights that are saved.

    Returns:
        Bytes.
    """
    saved = BYTES[dtype]
    return int(max(min(SHARD_BYTES, total * saved), largest * saved) + largest * (BYTES["float32"] + saved))


def fold(model: PreTrainedModel) -> PreTrainedModel:
    """Fold a model's adapters into its weights, in place.

    Each sum is taken in float32 and rounded once to the weight's type. PEFT rounds the update first where adapters are
    bfloat16.

    Args:
        model: a `PeftModel` whose base is not quantized; used up.

    Returns:
        The plain transformers model.
    """
    import torch

    with torch.no_grad():
        for layer in layers(model.get_base_model()):
            if obstacle(layer) is not None:
                continue  # PEFT's own merge knows it
            base = layer.get_base_layer()
            for name in ("weight", "bias"):
                value = getattr(base, name, None)
                if value is not None:
                    value.data.copy_(with_update(value.data, layer, name))
            layer.merged_adapters.extend(to_fold(layer))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*already merged")
        return model.merge_and_unload()


def save_merged(
    model: PreTrainedModel, folder: Path, dtype: Any = None, shard_bytes: int = SHARD_BYTES
) -> PreTrainedModel:
    """Save a model with its adapters folded in, as plain transformers loads it, a tensor at a time.

    Args:
        model: a `PeftModel`, its base quantized or not; left as it is.
        folder: of the weights, their index and the config.
        dtype: torch type of the weights that were quantized; by default the one that they are computed with.
        shard_bytes: largest file, in bytes.

    Returns:
        The saved model's shape, on torch's meta device, which holds no weights.

    Raises:
        DataError: if an adapter is of a kind that can't be folded so; nothing is written then.
    """
    base = model.get_base_model()
    if obstacles := sorted({text for layer in layers(base) if (text := obstacle(layer)) is not None}):
        raise DataError(
            f"an adapter with {' and '.join(obstacles)} can't be merged into quantized weights: set lora.handover: "
            "carry, or train without"
        )
    plain = _empty_copy(base, dtype or base.dtype)
    names = plain.state_dict()
    # This is how transformers saves a model whose weights lie elsewhere: file by file, each tensor asked for by name.
    plain.hf_device_map = {"": "disk"}
    plain._hf_hook = SimpleNamespace(weights_map=_Folded(base, plain.dtype, tuple(names)))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Attempting to save a model with offloaded modules")
        plain.save_pretrained(folder, state_dict=dict(names), max_shard_size=shard_bytes)
    return plain


def release_weights(model: Any) -> None:
    """Free the memory of a model that others may still refer to; it can't be used any more.

    Args:
        model: any torch module; its parameters and buffers become empty.
    """
    import gc

    import torch

    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.grad = None
        for name in ("quant_state", "SCB", "CB"):  # bitsandbytes' constants of 4-bit blocks and 8-bit rows
            if getattr(tensor, name, None) is not None:
                setattr(tensor, name, None)
        tensor.data = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    for module in model.modules():
        for name in ("quant_state", "state"):  # and its layers' own references to them and to 8-bit weights
            if type(module).__module__.startswith("bitsandbytes.") and hasattr(module, name):
                setattr(module, name, None)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# --------------------------------------------------------------------------------------------- one tensor


class _Folded(Mapping[str, Any]):
    """The merged model's tensors by name, each made when it is asked for."""

    def __init__(self, base: nn.Module, dtype: Any, names: tuple[str, ...]) -> None:
        self._base, self._dtype, self._names = base, dtype, names

    def __getitem__(self, name: str) -> Tensor:
        import torch

        module, leaf, layer = find(self._base, name)
        with torch.no_grad():
            value, changed = _plain_values(module, leaf)
            if layer is not None and to_fold(layer):
                value, changed = with_update(value, layer, leaf), True
            return (value.to(self._dtype) if changed else value).contiguous()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _plain_values(module: Any, leaf: str) -> tuple[Tensor, bool]:
    """A module's tensor as numbers, on the CPU, and whether it was quantized."""
    value = getattr(module, leaf)
    kind = type(value).__name__
    if kind not in {"Params4bit", "Int8Params"}:
        return value.detach().cpu(), False
    from bitsandbytes import functional

    if kind == "Params4bit":
        module.state_dict()  # puts back the layout that a CPU's forward pass may have packed otherwise
        return functional.dequantize_4bit(module.weight.data, module.weight.quant_state).cpu(), True
    scale = module.state.SCB if module.state.SCB is not None else value.SCB
    return functional.int8_vectorwise_dequant(value.data, scale.to(value.device)).cpu(), True


def _empty_copy(base: PreTrainedModel, dtype: Any) -> PreTrainedModel:
    """The base's class and config on the meta device, without adapters and quantization."""
    import torch

    config = without_quantization(copy.deepcopy(base.config))
    with torch.device("meta"):
        plain = type(base)(config).to(dtype)
    plain.generation_config = copy.deepcopy(base.generation_config)
    forget_quantization(plain)
    conversions = getattr(base, "_weight_conversions", None)
    if conversions is not None:  # the names that the base's files use, but not how bitsandbytes packs what they hold
        plain._weight_conversions = [step for step in conversions if not _unpacks(step)]
    return plain


def _unpacks(conversion: Any) -> bool:
    steps = getattr(conversion, "operations", ())
    return any(type(step).__module__ == "transformers.integrations.bitsandbytes" for step in steps)
