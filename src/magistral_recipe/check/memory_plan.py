"""Will it fit? The memory that a model, its gradients and its optimizer take, before anything is loaded.

Counted from the model's own shape on torch's meta device, which holds no weights. What depends on lengths
(activations, the KV cache) is not in the figure and is said not to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from magistral_recipe.errors import DataError
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.precision import BYTES, adapter_dtype

QUANTIZED_BYTES = {"int8": 1.0, "nf4": 0.53}
"""Bytes a quantized weight takes; 4 bits and, for nf4 with double quantization, 0.127 bit of constants a weight."""


@dataclass(frozen=True)
class MemoryPlan:
    """Memory of one process in training, in bytes.

    Attributes:
        parameters: weights of the model, their number.
        trained: how many of them are trained.
        weights: bytes of the weights.
        gradients: bytes of the gradients.
        optimizer: bytes of AdamW's two moments, which have the type of what is trained.
    """

    parameters: int
    trained: int
    weights: float
    gradients: float
    optimizer: float

    @property
    def total(self) -> float:
        """Bytes in all, without activations and KV cache."""
        return self.weights + self.gradients + self.optimizer


def plan_memory(config: ModelConfig) -> MemoryPlan | None:
    """Count what training a model takes.

    Args:
        config: the model, its precision, its adapters.

    Returns:
        The plan, or ``None`` where the model's shape can't be known without loading it (a GGUF file, no hub).
    """
    model = shape_of(config)
    return None if model is None else count_memory(model, config)


def shape_of(config: ModelConfig) -> Any:
    """Build a model without its weights, on torch's meta device.

    Args:
        config: names the model.

    Returns:
        The model, or ``None`` where its shape can't be known without loading it (a GGUF file, no hub).
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from magistral_recipe.models.paths import find_model

    try:
        source = find_model(config.path)
        if source.gguf_file is not None:
            return None
        shape = AutoConfig.from_pretrained(source.location, trust_remote_code=config.trust_remote_code)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(shape, trust_remote_code=config.trust_remote_code)
    except (OSError, ValueError, DataError):
        return None


def count_memory(model: Any, config: ModelConfig) -> MemoryPlan:
    """Count from a model's modules; see `plan_memory`."""
    import torch

    parameters = sum(parameter.numel() for parameter in model.parameters())
    head = model.get_output_embeddings()
    linear = [module for module in model.modules() if isinstance(module, torch.nn.Linear) and module is not head]
    in_linear = sum(module.weight.numel() for module in linear)
    full = BYTES[config.dtype]
    packed = QUANTIZED_BYTES.get(config.quantization, full)
    weights = in_linear * packed + (parameters - in_linear) * full
    trained, trained_bytes = parameters, full
    if config.lora is not None:
        # r rows and r columns a layer (LoRA, arXiv 2106.09685 §4.1), as if every linear layer had an adapter.
        trained = sum(config.lora.r * (module.in_features + module.out_features) for module in linear)
        trained_bytes = BYTES[adapter_dtype(config.quantization != "none")]
        weights += trained * trained_bytes
    return MemoryPlan(parameters, trained, weights, trained * trained_bytes, 2 * trained * trained_bytes)
