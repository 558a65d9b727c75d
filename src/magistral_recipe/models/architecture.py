"""Which transformers class a model is, and which of its parts are text: the only ones that are trained.

Mistral's small models (Mistral Small 3.1 and later, Magistral Small 1.2, Ministral 3) are image-text models,
`Mistral3ForConditionalGeneration`: a language model, a vision tower and a projector between the two. Traces and
problems are text, so tower and projector see no input and get no gradient. They stay as they were published, bit for
bit: frozen, without adapters, not quantized, and saved with the model, which goes on reading images.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any


def auto_class(shape: Any) -> Any:
    """Choose the auto class that loads a model for generating text.

    Args:
        shape: the model's transformers config.

    Returns:
        The class whose mapping holds what the config names in `architectures`; where neither does,
        `AutoModelForImageTextToText` for a config that only that one knows, else `AutoModelForCausalLM`.
    """
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    known = [auto for auto in (AutoModelForCausalLM, AutoModelForImageTextToText) if type(shape) in auto._model_mapping]
    named = set(getattr(shape, "architectures", None) or ())
    for auto in known:
        if named & {kind.__name__ for kind in _kinds(auto._model_mapping[type(shape)])}:
            return auto
    return known[0] if known else AutoModelForCausalLM


def _kinds(entry: Any) -> tuple[type, ...]:
    return tuple(entry) if isinstance(entry, tuple | list) else (entry,)


def checkpoint_mistake(shape: Any, quantization: str) -> str | None:
    """Say why a checkpoint's weights can't be trained as a recipe says, judging by its config.

    Args:
        shape: the model's transformers config.
        quantization: the recipe's `model.quantization`.

    Returns:
        The mistake and the way out: for FP8 weights, as the Instruct checkpoints of Ministral 3 have, and for weights
        that bitsandbytes has quantized otherwise than the recipe says; else ``None``.
    """
    record = getattr(shape, "quantization_config", None)
    if record is None:
        return None
    told = record if isinstance(record, dict) else record.to_dict()
    method = str(getattr(told.get("quant_method"), "value", told.get("quant_method")))
    if "fp8" in method or "float-quantized" in str(told.get("format")):
        return f"its weights are FP8 ({method}), which can't be trained: use the bf16 Base or Reasoning checkpoint"
    if method != "bitsandbytes":
        return None
    kind = "int8" if told.get("load_in_8bit") else str(told.get("bnb_4bit_quant_type"))
    if kind == quantization:
        return None
    known = f"set model.quantization: {kind}" if kind in {"int8", "nf4"} else "use a checkpoint that isn't quantized"
    return f"its weights are in bitsandbytes' {kind} and the recipe says quantization: {quantization}; {known}"


def other_parts(model: Any) -> list[str]:
    """Name the parts of a model that no text passes through.

    Args:
        model: a transformers model without adapters; one on the meta device will do.

    Returns:
        The outermost modules outside the language model and its head, in order; empty for a text model.
    """
    if model.config.get_text_config() is model.config:
        return []
    return list(_outside(model, _text_modules(model), ""))


def kept_whole(model: Any) -> list[str]:
    """Name the modules of an image-text model that are not quantized: its head, and the parts that stay as published.

    Args:
        model: see `other_parts`.

    Returns:
        Their names; empty for a text model, of which transformers knows by itself what to leave out.
    """
    if model.config.get_text_config() is model.config:
        return []
    head = model.get_output_embeddings()
    return [*other_parts(model), *(name for name, module in model.named_modules() if module is head)]


def freeze_other_parts(model: Any) -> None:
    """Leave a model's language model and head as they are, and freeze every other parameter.

    Args:
        model: a transformers model; nothing changes in a text model.
    """
    if model.config.get_text_config() is model.config:
        return
    text = {id(parameter) for module in _text_ends(model) for parameter in module.parameters()}
    for parameter in model.parameters():
        if id(parameter) not in text:
            parameter.requires_grad_(False)


def without_other_parts(model: Any) -> str | None:
    """Write PEFT's `exclude_modules` for a model: no adapter outside the language model.

    Args:
        model: see `other_parts`.

    Returns:
        A regular expression of full module names; ``None`` for a text model.
    """
    names = other_parts(model)
    return rf"({'|'.join(map(re.escape, names))})(\..+)?" if names else None


def _text_ends(model: Any) -> list[Any]:
    ends = (model.get_decoder(), model.get_input_embeddings(), model.get_output_embeddings())
    return [module for module in ends if module is not None]


def _text_modules(model: Any) -> set[int]:
    return {id(module) for end in _text_ends(model) for module in end.modules()}


def _outside(module: Any, text: set[int], prefix: str) -> Iterator[str]:
    for name, child in module.named_children():
        if id(child) in text:
            continue
        if any(id(inner) in text for inner in child.modules()):
            yield from _outside(child, text, f"{prefix}{name}.")
        else:
            yield prefix + name
