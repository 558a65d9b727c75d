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

from magistral_recipe.errors import DataError


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


MOST_BLOCKS = 100_000
"""Layers, times experts in each, of a model that is built; the largest published ones have some 25,000."""


def require_harmless(shape: Any, path: str, trust_remote_code: bool) -> None:
    """Refuse what a model's `config.json` may ask for before anything is built of it.

    Args:
        shape: the model's transformers config.
        path: of the model, for the message.
        trust_remote_code: a person's word that code may run; an attention kernel of the hub (`owner/name`) is code.

    Raises:
        DataError: in a line.
    """
    for part in _parts(shape):
        kernel = getattr(part, "_attn_implementation", None)
        for name in kernel.values() if isinstance(kernel, dict) else [kernel]:
            if "/" in str(name) and not trust_remote_code:
                raise DataError(
                    f"model {path!r}: its config.json names an attention kernel of the hub, {name}, which is code. "
                    "Where you have read it: --trust-remote-code, or, in a recipe that you run, "
                    "model.trust_remote_code: true"
                )
        told = part.to_dict()
        layers = max([1, *_counts(told, "layers", "n_layer")])
        experts = max([1, *_counts(told, "experts")])
        if layers * experts > MOST_BLOCKS:
            raise DataError(f"model {path!r}: its config.json asks for {layers:,} layers of {experts:,} experts each")


def _parts(shape: Any) -> Iterator[Any]:
    yield shape
    for name in getattr(shape, "sub_configs", {}):
        if (part := getattr(shape, name, None)) is not None:
            yield from _parts(part)


def _counts(told: dict[str, Any], *words: str) -> Iterator[int]:
    for key, value in told.items():
        if isinstance(value, int) and not isinstance(value, bool) and any(word in key for word in words):
            yield value


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
