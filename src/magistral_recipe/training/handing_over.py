"""What a sampler is handed of an adapter: the adapter by itself, or weights with the adapter's update added.

Neither touches the weights that the adapter is trained on. Merged weights are made one at a time, each a sum in
float32 that is rounded once to the weight's type, and are gone when the sampler has them. An adapter is handed over as
the folder that PEFT reads, where every number has the sampler's type.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from magistral_recipe import lora
from magistral_recipe.sharded import whole

_MEMORY = Path("/dev/shm")
_WHOLE_VOCABULARY = ("embed_tokens", "lm_head", "wte", "embed_in", "embed_out")
_SAVED_MODULE = re.compile(r"\.modules_to_save\.([^.]+)")


def adapter_mistake(model: Any) -> str | None:
    """Say why a model's adapter can't be handed over by itself.

    Args:
        model: a `PeftModel`, or one without adapters.

    Returns:
        What about it vLLM would not apply, or would apply otherwise; ``None`` where it takes it as it is.
    """
    if not hasattr(model, "peft_config"):
        return "the model has no adapter"
    names = list(model.active_adapters)
    if len(names) != 1:
        return f"{len(names)} adapters are active at once"
    return lora.engine_mistake(model.peft_config[names[0]].to_dict()) or _layer_mistake(model.get_base_model())


def _layer_mistake(base: nn.Module) -> str | None:
    for name, module in base.named_modules():
        if not lora.is_layer(module):
            continue
        if (text := lora.obstacle(module)) is not None:
            return f"{name} has {text}"
        if not isinstance(module.get_base_layer(), nn.Linear) or name.rpartition(".")[2] in _WHOLE_VOCABULARY:
            return f"{name} spans the vocabulary or is no linear layer"
    return None


def merge_mistake(model: Any) -> str | None:
    """Say why a model's adapter can't be added to weights that are handed over.

    Args:
        model: a `PeftModel`.

    Returns:
        What of its layers is more than W + s·B·A, or quantized; ``None`` where nothing is.
    """
    base = model.get_base_model()
    if getattr(base, "is_loaded_in_4bit", False) or getattr(base, "is_loaded_in_8bit", False):
        return "the weights are quantized, and their sum with an adapter would have to be quantized anew at every step"
    found = sorted({text for layer in lora.layers(base) if (text := lora.obstacle(layer)) is not None})
    return f"the adapter has {' and '.join(found)}" if found else None


def merged_weights(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Make a model's weights with its adapter added, one at a time; the model stays as it is.

    Args:
        model: a `PeftModel`, as it is or sharded by FSDP 2, where all ranks must take every step.

    Yields:
        Names as the base has them, and tensors of the base's types: W itself where no adapter is, else
        `round(float32(W) + s·B·A)`.
    """
    base = model.get_base_model()
    adapted: dict[int, tuple[Any, str]] = {}
    own: set[int] = set()
    for layer in lora.layers(base):
        inner = layer.get_base_layer()
        adapted.update({id(value): (layer, leaf) for leaf, value in inner.named_parameters(recurse=False)})
        held = {id(value) for value in inner.parameters()}
        own.update(id(value) for value in layer.parameters() if id(value) not in held)
    active = set(model.active_adapters)
    for name, parameter in base.named_parameters():
        saved = _SAVED_MODULE.search(name)
        if id(parameter) in own or ".original_module." in name or (saved and saved[1] not in active):
            continue
        with torch.no_grad():
            value = whole(parameter.data)
            if id(parameter) in adapted:
                layer, leaf = adapted[id(parameter)]
                value = lora.with_update(value, layer, leaf).to(parameter.dtype)
        yield _SAVED_MODULE.sub("", name).replace(".base_layer", ""), value


@contextlib.contextmanager
def adapter_folder(model: Any, dtype: torch.dtype) -> Iterator[Path]:
    """Write a model's adapter for as long as somebody reads it: in memory where there is room, else on the disk.

    Args:
        model: a `PeftModel` with one active adapter.
        dtype: of the numbers.

    Yields:
        A folder of a name of its own, with `adapter_config.json` and `adapter_model.safetensors`.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    (name,) = model.active_adapters
    state = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    tensors = {key: value.detach().to("cpu", dtype).contiguous() for key, value in state.items()}
    size = sum(value.nbytes for value in tensors.values())
    folder = Path(tempfile.mkdtemp(prefix=f"magistral-recipe-adapter-{os.getpid()}-", dir=_roomy(size)))
    try:
        save_file(tensors, folder / "adapter_model.safetensors")
        model.peft_config[name].save_pretrained(str(folder))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _roomy(size: int) -> Path | None:
    """Memory that is a folder, if the file fits there twice; containers often get 64 MB of it."""
    with contextlib.suppress(OSError):
        if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 2 * size + 2**20:
            return _MEMORY
    return None
