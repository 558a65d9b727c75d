"""Where a trainer's rollouts come from without vLLM: a copy of its weights, and the backend that samples from it.

TRL casts, generates with and drops the log-probabilities of the model that trains. Here that model is read, no more;
see `generation.rollouts`. Sampled under FSDP are its shards themselves, by `generate`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from magistral_recipe.generation.rollouts.choose import choose_sampler
from magistral_recipe.generation.rollouts.interface import Drawing, Sample, Sampler
from magistral_recipe.generation.rollouts.names import Backend, Weights
from magistral_recipe.generation.rollouts.weights import RolloutCopy, copy_obstacle

logger = logging.getLogger(__name__)

_KNOWN = {"do_sample", "max_new_tokens", "temperature", "top_p", "top_k", "min_p", "eos_token_id", "pad_token_id"}
_KNOWN |= {"bos_token_id"}  # begins a completion of nothing, and there always is a prompt
_IDLE: dict[str, Any] = {"repetition_penalty": 1.0, "cache_implementation": None}
"""Settings of TRL's that change nothing at these values."""


class RolloutSource:
    """Samples rollouts from the weights as they are at each call.

    Args:
        model: the model that trains, out of its distributed wrappers, on its device.
        backend: asked for.
        weights: `copy`, or `trained` for those that train themselves.
        drawing: how tokens are drawn.
        precision: what the trainer's autocast computes in: `bf16`, `fp16`, or nothing of it.
        token_budget: most tokens of keys and values at once.

    Attributes:
        copy: of the weights; ``None`` where the model that trains is sampled from itself.
        exact: whether it computes in the trainer's own precision.
        sampler: the backend.
    """

    def __init__(
        self,
        model: Any,
        backend: Backend,
        weights: Weights,
        drawing: Drawing,
        precision: str,
        token_budget: int | None,
    ) -> None:
        device = next(model.parameters()).device
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
        obstacle = copy_obstacle(model) if weights == "copy" else "no copy is asked for"
        self.copy = None
        self.exact = half is None
        if obstacle is None:
            # On a CPU 16 bits only cost time: it samples in the weights' own precision.
            self.copy = RolloutCopy(model, half if device.type != "cpu" else None)
            self.sampler: Sampler = choose_sampler(backend, self.copy.model, drawing, token_budget=token_budget)
            logger.info("rollouts come from a copy of the weights that takes %.2f GiB", self.copy.nbytes / 2**30)
            return
        logger.info("rollouts come from the model that trains: %s", obstacle)
        context: Callable[[], AbstractContextManager[Any]] = nullcontext
        if half is not None:
            # Casts are not kept: a captured graph would read memory that autocast gives back.
            context = functools.partial(torch.autocast, device.type, dtype=half, cache_enabled=False)
        self.sampler = choose_sampler(backend, model, drawing, context, token_budget)

    def sample(
        self, prompts: Sequence[Sequence[int]], new_tokens: int, seed: int, first: int = 0
    ) -> Iterator[list[Sample]]:
        """Sample a round from the weights as they are now.

        Args:
            prompts: token ids.
            new_tokens: most tokens of a completion.
            seed: of the round's noise, the same in all processes.
            first: the first prompt's place in the whole round.

        Yields:
            Completions, in the order in which they end.
        """
        if self.copy is not None and self.copy.refresh():
            self.sampler.forget()
        return self.sampler.sample(prompts, [new_tokens] * len(prompts), seed, first)


def drawing_of(generation: dict[str, Any], stop_ids: Sequence[int], pad_id: int) -> Drawing:
    """Read TRL's settings of generation.

    Args:
        generation: the trainer's `generation_kwargs`.
        stop_ids: tokens on which a completion ends.
        pad_id: the padding token.

    Returns:
        How tokens are drawn.
    """
    others = {
        name: value
        for name, value in generation.items()
        if name not in _KNOWN and value is not None and value != _IDLE.get(name, ...)
    }
    return Drawing(
        temperature=generation["temperature"],
        stop_ids=tuple(stop_ids),
        pad_id=pad_id,
        others=others,
    )
