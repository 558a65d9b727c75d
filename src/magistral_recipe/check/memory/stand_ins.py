"""What is replaced of TRL, transformers and torch while a model runs without data, and put back afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from magistral_recipe.check.memory.live import LiveStorages
from magistral_recipe.errors import DataError

LOGPROBS = "log-probs"
"""The label under which what the fused head makes is counted."""


@contextlib.contextmanager
def without_packing() -> Iterator[None]:
    """Let transformers take positions as those of whole rows.

    It reads their values to find packed rows, and where there are no values it makes a mask to be safe, which rows
    without padding never get. Packed rows bring their mask here.
    """
    from transformers import masking_utils

    real = masking_utils.find_packed_sequence_indices
    masking_utils.find_packed_sequence_indices = lambda position_ids: None
    try:
        yield
    finally:
        masking_utils.find_packed_sequence_indices = real


@contextlib.contextmanager
def counted_head(live: LiveStorages, gpu: bool) -> Iterator[None]:
    """Count what TRL's fused head makes as such; on a GPU, without what only its stand-in for Triton makes."""
    from trl.kernels import chunked_logprob as kernels
    from trl.trainer import utils

    real = kernels.ChunkedLogProbFunction

    class Counted(real):  # type: ignore[misc, valid-type]
        @staticmethod
        def forward(ctx: Any, *args: Any) -> Any:
            with live.counted_as(LOGPROBS, "head, forward"):
                return real.forward(ctx, *args)

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            with live.counted_as(LOGPROBS, "head, backward"):
                return real.backward(ctx, *gradients)

    class Picked:
        """On a GPU the trained positions are picked out of the hidden states, which copies them."""

        @staticmethod
        def apply(hidden: Tensor, *args: Any) -> Any:
            if gpu and hidden._base is not None:
                hidden = hidden.index_select(0, torch.arange(hidden.shape[0]))
            return Counted.apply(hidden, *args)

    replaced: dict[tuple[Any, str], Any] = {(utils, "_ChunkedLogProbFunction"): Picked}
    if gpu:
        replaced |= {(kernels, "_forward_tile"): _nothing, (kernels, "_backward_tile"): _nothing}
        replaced |= {(kernels, "_addmm_fp32"): _nothing}
    before = {place: getattr(*place) for place in replaced}
    try:
        for (owner, name), value in replaced.items():
            setattr(owner, name, value)
        yield
    finally:
        for (owner, name), value in before.items():
            setattr(owner, name, value)


def _nothing(*args: Any, **kwargs: Any) -> None:
    """A kernel that works in place."""


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Say in one line what a model raises that can't run without data: one whose shapes depend on values, say.

    Raises:
        DataError: in place of what torch, transformers and PEFT raise.
    """
    try:
        yield
    except (RuntimeError, ValueError, TypeError, AttributeError, ImportError, StopIteration) as error:
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise DataError(f"a dry run of this model can't be made ({type(error).__name__}: {first})") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    import logging
    import warnings

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
