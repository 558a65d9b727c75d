"""What generation takes beside the model: keys and values, the prefill, the logits that a token is drawn from."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from magistral_recipe.check.memory.dry_run import (
    WEIGHTS,
    Trained,
    autocast,
    build,
    depths_of,
    materialize,
)
from magistral_recipe.check.memory.live import LiveStorages
from magistral_recipe.check.memory.stand_ins import quiet, readable, without_packing

CACHE = "KV cache"
_LOGIT_COPIES = 4
"""float32 tensors of `[rows, vocabulary]` while a token is drawn: logits, scaled, sorted or masked, probabilities."""


@dataclass(frozen=True)
class Batch:
    """Sequences that are generated together.

    Attributes:
        rows: how many.
        prompt: tokens of the longest prompt.
        new: most tokens that each may write.
    """

    rows: int
    prompt: int
    new: int

    @property
    def tokens(self) -> int:
        """Tokens whose keys and values are kept at the end."""
        return self.rows * (self.prompt + self.new)


@dataclass(frozen=True)
class GenerationBytes:
    """Bytes beside the model's own.

    Attributes:
        held: the weights and adapters.
        cache: keys and values of all tokens at the end.
        work: what a step makes and drops again, at most.
    """

    held: float
    cache: float
    work: float


def cache_bytes_a_token(trained: Trained) -> float:
    """Bytes of keys and values that one token adds, over all layers, in the types that the model makes them in."""
    return _whole(trained, lambda layers: _prefilled(trained, layers, 1, 16)[CACHE]) / 16


def generation_bytes(trained: Trained, batch: Batch) -> GenerationBytes:
    """Count what generating a batch with transformers takes.

    Args:
        trained: the model; for one that is only read, without checkpointing.
        batch: what is generated together.

    Returns:
        The bytes.
    """
    cache = cache_bytes_a_token(trained) * batch.tokens
    vocabulary = int(trained.shape.get_text_config().vocab_size)
    prefill = _whole(trained, lambda layers: _prefilled(trained, layers, batch.rows, batch.prompt)["work"])
    # The cache grows by copying: one layer's keys are there twice for a moment.
    drawing = _LOGIT_COPIES * 4 * batch.rows * vocabulary + cache / (2 * trained.layers)
    held = _whole(trained, lambda layers: _prefilled(trained, layers, 1, 16)[WEIGHTS])
    return GenerationBytes(held, cache, max(prefill, drawing))


def _whole(trained: Trained, value: Any) -> float:
    depths = depths_of(trained.shape)
    low, high = value(depths[0]), value(depths[-1])
    if len(depths) == 1:
        return float(high)
    return low + (trained.layers - depths[0]) * (high - low) / (depths[-1] - depths[0])


@functools.lru_cache(maxsize=256)
def _prefilled(trained: Trained, layers: int, rows: int, width: int) -> dict[str, int]:
    """Run a prompt through the model on tensors without data: the model's bytes, the cache's, and the most besides."""
    with quiet(), readable():
        model = build(trained, layers)
        model.eval()
        with FakeTensorMode(), without_packing(), LiveStorages() as live:
            materialize(model)
            for _, tensor in [*model.named_parameters(), *model.named_buffers()]:
                live.count(tensor, WEIGHTS)
            held = live.total
            ids = torch.zeros(rows, width, dtype=torch.long)
            live.phase = "prefill"
            with torch.no_grad(), autocast(trained):
                outputs = model(input_ids=ids, use_cache=True, logits_to_keep=1)
            cached = {}
            for layer in outputs.past_key_values.layers:
                for tensor in (layer.keys, layer.values):
                    storage = tensor.untyped_storage()
                    cached[id(storage)] = tensor.numel() * tensor.element_size(), storage
            cache = sum(size for size, _ in cached.values())
            peak = sum(live.peaks["prefill"].values())
    return {WEIGHTS: held, CACHE: cache, "work": max(peak - held - cache, 0)}
