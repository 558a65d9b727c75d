"""bitsandbytes' layers for a dry run: the bytes that they hold, and what they make on the way, without their kernels.

The kernels need real memory, so each layer is stood in for by one that allocates what the real one allocates on a GPU
(bitsandbytes 0.49 to 0.50, `autograd/_functions.py` and `backends/cuda/ops.py`): a 4-bit layer dequantizes its weights
for every product of more than 1,536 rows, forward and backward. An 8-bit layer quantizes its input, multiplies into
int32, and **keeps its input on the autograd node itself**, out of reach of activation checkpointing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from magistral_recipe.check.memory.live import counted_as
from magistral_recipe.models.architecture import kept_whole
from magistral_recipe.models.quantization import NF4_BLOCK

DEQUANTIZED = "dequantized layer"
"""The label under which weights that are made for one product are counted."""
_NESTED_BLOCK = 256
"""First-level constants a block of double quantization (QLoRA, arXiv 2305.14314 §3)."""
_CODE = 4 * (256 + 16 + 1)
"""Bytes of a layer's two code books and its offset."""


def quantize_layers(model: nn.Module, kind: str, compute: torch.dtype) -> nn.Module:
    """Replace a meta model's linear layers by stand-ins for bitsandbytes', those that loading replaces.

    Args:
        model: on the meta device; changed in place.
        kind: `nf4` or `int8`.
        compute: the type that 4-bit layers compute in.

    Returns:
        The model, marked as loaded in 4 or 8 bits.
    """
    from transformers.quantizers.base import get_keys_to_not_convert

    replace_layers(model, kind, compute, kept_whole(model) or get_keys_to_not_convert(model))
    model.is_loaded_in_4bit = kind == "nf4"  # type: ignore[assignment]
    model.is_loaded_in_8bit = kind == "int8"  # type: ignore[assignment]
    return model


def replace_layers(model: nn.Module, kind: str, compute: torch.dtype, kept: Sequence[str]) -> nn.Module:
    """Replace the linear layers of a module but those whose names are kept; see `quantize_layers`."""
    from transformers.quantizers.quantizers_utils import should_convert_module

    make = _four_bit() if kind == "nf4" else _eight_bit()
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear and should_convert_module(name, list(kept)):
            with torch.device("meta"):
                model.set_submodule(name, make(module, compute))
    return model


class _FourBitProduct(torch.autograd.Function):
    """`bitsandbytes.MatMul4Bit`: the weights are made anew, forward and backward."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, packed: Tensor, shape: tuple[int, int], bias: Tensor | None) -> Tensor:
        """Multiply by weights that exist for the time of the product."""
        ctx.shape, ctx.packed = shape, packed
        weight = _dequantized(packed, shape, inputs.dtype)
        return nn.functional.linear(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        """The input's gradient alone: weights and bias are frozen."""
        return torch.matmul(gradient, _dequantized(ctx.packed, ctx.shape, gradient.dtype)), None, None, None


def _dequantized(packed: Tensor, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
    with counted_as(DEQUANTIZED):
        blocks = shape[0] * shape[1] // NF4_BLOCK
        constants = torch.empty(blocks, dtype=torch.float32, device=packed.device)
        constants = constants + 1.0  # the offset of the nested constants is added into a second tensor
        return torch.empty(shape, dtype=dtype, device=packed.device)


class _EightBitProduct(torch.autograd.Function):
    """`bitsandbytes.MatMul8bitLt` with its threshold for outliers (LLM.int8(), arXiv 2208.07339)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, scales: Tensor, bias: Tensor | None) -> Tensor:
        """Quantize the input, multiply into int32, scale."""
        rows = inputs.reshape(-1, inputs.shape[-1])
        half = rows.to(torch.float16)
        stats = torch.empty(rows.shape[0], dtype=torch.float32, device=rows.device)
        quantized = torch.empty(rows.shape, dtype=torch.int8, device=rows.device)
        outliers = half.abs() >= 6.0
        del half, outliers
        product = torch.empty(rows.shape[0], weight.shape[0], dtype=torch.int32, device=rows.device)
        out = torch.empty(product.shape, dtype=torch.float16, device=rows.device)
        del product
        out = out.to(inputs.dtype)
        if bias is not None:
            out = out + bias
        # As the original keeps them: attributes of the node, which no checkpoint's hooks can drop.
        ctx.kept, ctx.weight, ctx.scales, ctx.shape = rows, weight, scales, inputs.shape
        del quantized, stats
        return out.reshape(*inputs.shape[:-1], weight.shape[0])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        """The input's gradient alone."""
        rows = gradient.reshape(-1, gradient.shape[-1]).contiguous()
        half = rows.to(torch.float16)
        del half
        with counted_as(DEQUANTIZED):
            weight = ctx.weight.to(ctx.kept.dtype)
        return torch.matmul(rows.to(ctx.kept.dtype), weight).view(ctx.shape), None, None, None


def _four_bit() -> Any:
    import bitsandbytes as bnb

    class FourBit(bnb.nn.Linear4bit):
        """Holds a layer's packed weights, its constants and its code books as plain tensors."""

        def __init__(self, like: nn.Linear, compute: torch.dtype) -> None:
            super().__init__(like.in_features, like.out_features, like.bias is not None, compute_dtype=compute)
            size = like.in_features * like.out_features
            weight = nn.Parameter(torch.empty(-(-size // 2), 1, dtype=torch.uint8), requires_grad=False)
            weight.compress_statistics, weight.quant_type = True, "nf4"  # type: ignore[attr-defined]
            self._parameters["weight"] = weight
            if like.bias is not None:
                self.bias = nn.Parameter(torch.empty_like(like.bias), requires_grad=False)
            blocks = -(-size // NF4_BLOCK)
            self.register_buffer("constants", torch.empty(blocks, dtype=torch.uint8))
            self.register_buffer("nested", torch.empty(-(-blocks // _NESTED_BLOCK), dtype=torch.float32))
            self.register_buffer("codes", torch.empty(_CODE, dtype=torch.uint8))

        def forward(self, x: Tensor) -> Tensor:
            """Multiply as the real layer does."""
            given = x.dtype
            inputs = x.to(self.compute_dtype)
            bias = None if self.bias is None else self.bias.to(self.compute_dtype)
            shape = (self.out_features, self.in_features)
            return _FourBitProduct.apply(inputs, self.weight, shape, bias).to(given)

    return FourBit


def _eight_bit() -> Any:
    import bitsandbytes as bnb

    class EightBit(bnb.nn.Linear8bitLt):
        """Holds a layer's int8 weights and their scales as plain tensors."""

        def __init__(self, like: nn.Linear, compute: torch.dtype) -> None:
            super().__init__(like.in_features, like.out_features, like.bias is not None, has_fp16_weights=False)
            size = (like.out_features, like.in_features)
            self._parameters["weight"] = nn.Parameter(torch.empty(size, dtype=torch.int8), requires_grad=False)
            if like.bias is not None:
                self.bias = nn.Parameter(torch.empty_like(like.bias), requires_grad=False)
            self.register_buffer("scales", torch.empty(like.out_features, dtype=torch.float32))

        def forward(self, x: Tensor) -> Tensor:
            """Multiply as the real layer does."""
            return _EightBitProduct.apply(x, self.weight, self.scales, self.bias)

    return EightBit
