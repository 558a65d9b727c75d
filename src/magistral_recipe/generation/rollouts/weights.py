"""The weights that rollouts are sampled from: a copy beside the ones that train, in the precision of sampling.

The copy is a plain transformers model with its adapters folded in, in float32 and a weight at a time. It is brought up
to date in place after every update, so that the addresses of its weights stay, and with them a captured graph; the
weights that train are read and never written. What needs no copy has none: a weight that has the right type and no
adapter on it is the trained one itself, under another name.

TRL samples from the model that trains, its adapters unmerged, in the weights' own type. So does this project where a
copy can't be made (`copy_obstacle`): a quantized base, weights that FSDP has sharded, an adapter that is more than a
sum.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig

from magistral_recipe.lora import find, layers, obstacle, to_fold, with_update
from magistral_recipe.sharded import is_sharded

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def copy_obstacle(trained: Any) -> str | None:
    """Say why a model's weights can't be copied for sampling.

    Args:
        trained: a transformers model or a PEFT one, out of its distributed wrappers.

    Returns:
        The reason; ``None`` where they can.
    """
    base = _base(trained)
    if getattr(base.config, "quantization_config", None) is not None:
        return "its base is quantized"
    if is_sharded(base):
        return "its weights are sharded"
    found = sorted({text for layer in layers(base) if (text := obstacle(layer)) is not None})
    return f"its adapters have {' and '.join(found)}" if found else None


@dataclass
class _Pair:
    """A weight of the copy and the one it comes from.

    Attributes:
        own: the copy's.
        source: the module that holds the trained one.
        leaf: its name there.
        layer: the adapter around it, or ``None``.
    """

    own: nn.Parameter
    source: nn.Module
    leaf: str
    layer: Any

    @property
    def trained(self) -> Tensor:
        """The trained weight."""
        return getattr(self.source, self.leaf).detach()

    @property
    def folds(self) -> bool:
        """Whether an adapter is on it."""
        return self.layer is not None and bool(to_fold(self.layer))


class RolloutCopy:
    """A plain model with the trained weights, adapters folded in.

    Args:
        trained: a transformers model or a PEFT one, on its device, without a `copy_obstacle`.
        dtype: of sampling; ``None`` leaves every weight its own type.

    Attributes:
        model: the copy, in evaluation mode; its weights are those at the last `refresh`.
        nbytes: what it takes beside the trained weights.
    """

    def __init__(self, trained: Any, dtype: torch.dtype | None = None) -> None:
        base = _base(trained)
        self.model = _empty(base)
        self._pairs: list[_Pair] = []
        made: dict[tuple[int, int], nn.Parameter] = {}
        for name, empty in list(self.model.named_parameters(remove_duplicate=False)):
            source, leaf, layer = find(base, name)
            weight = getattr(source, leaf)
            key = id(weight), id(layer)
            if key not in made:
                kept = dtype is None or not empty.is_floating_point() or _kept_precise(self.model, name)
                made[key] = self._pair(source, leaf, layer, weight.dtype if kept else dtype)
            _put(self.model, name, made[key])
        for name, _ in list(self.model.named_buffers(remove_duplicate=False)):
            source, leaf, _ = find(base, name)
            owner, _, last = name.rpartition(".")
            self.model.get_submodule(owner)._buffers[last] = getattr(source, leaf)
        self.model.eval()
        self.nbytes = sum(pair.own.nbytes for pair in self._pairs if not _shares(pair))
        self.refresh()

    def _pair(self, source: nn.Module, leaf: str, layer: Any, dtype: torch.dtype | None) -> nn.Parameter:
        pair = _Pair(nn.Parameter(torch.empty(0), requires_grad=False), source, leaf, layer)
        trained = pair.trained
        own = trained if not pair.folds and trained.dtype == dtype else torch.empty_like(trained, dtype=dtype)
        pair.own = nn.Parameter(own, requires_grad=False)
        self._pairs.append(pair)
        return pair.own

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def refresh(self) -> bool:
        """Take the trained weights as they are now.

        Returns:
            Whether an address moved, so that a captured graph reads stale memory: where the trainer has put other
            tensors in the place of shared weights.
        """
        moved = False
        for pair in self._pairs:
            trained = pair.trained
            if pair.folds:
                pair.own.data.copy_(with_update(trained, pair.layer, pair.leaf))
            elif pair.own.dtype != trained.dtype:
                pair.own.data.copy_(trained)
            elif pair.own.data_ptr() != trained.data_ptr():
                pair.own.data = trained
                moved = True
        return moved


def _base(trained: Any) -> PreTrainedModel:
    return trained.get_base_model() if hasattr(trained, "get_base_model") else trained


def _shares(pair: _Pair) -> bool:
    return pair.own.data_ptr() == pair.trained.data_ptr()


def _empty(base: PreTrainedModel) -> PreTrainedModel:
    """The base's class and config on the meta device: no adapters, none of the trainer's patches, no weights."""
    config = copy.deepcopy(base.config)
    config.use_cache = True  # trainers that recompute activations turn it off
    with torch.device("meta"):
        plain = type(base)(config)
    # What a checkpoint's own generation config asks for is not what RL samples by.
    plain.generation_config = GenerationConfig()
    return plain


def _put(model: nn.Module, name: str, parameter: nn.Parameter) -> None:
    owner, _, leaf = name.rpartition(".")
    model.get_submodule(owner)._parameters[leaf] = parameter


def _kept_precise(model: Any, name: str) -> bool:
    """Whether a model asks for a weight to stay in float32, whatever the others' type."""
    kept = getattr(model, "_keep_in_fp32_modules_strict", None) or ()
    return any(part in kept for part in name.split("."))
