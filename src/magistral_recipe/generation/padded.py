"""transformers' `generate`, for whoever decides its tokens: rows padded on the left, none of the model's own settings.

A model's own generation config may carry penalties and limits; here only what is given counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

Row = TypeVar("Row")
Written = TypeVar("Written")

Choose = Callable[[Tensor, int], Tensor]
"""From scores `[B, V]` and the position behind the prompt, from 0, to one token a row, `[B]`."""


def write(
    model: Any,
    prompts: Sequence[Sequence[int]],
    width: int,
    limits: Sequence[int],
    choose: Choose | None,
    *,
    stop_ids: Sequence[int],
    pad_id: int,
    **settings: Any,
) -> list[list[int]]:
    """Complete prompts.

    Args:
        model: a causal language model of transformers or PEFT, in the mode that it is to compute in.
        prompts: token ids, B rows.
        width: tokens that each prompt is padded to.
        limits: most new tokens of each row.
        choose: decides the tokens; ``None`` takes the likeliest.
        stop_ids: tokens on which a row ends.
        pad_id: what rows are filled up with.
        **settings: further ones of transformers' `GenerationConfig`.

    Returns:
        The new tokens of each row; behind its end it is filled up.

    B = batch, V = vocabulary.
    """
    device = model.device
    padding = [width - len(prompt) for prompt in prompts]
    padded = [[pad_id] * pad + list(prompt) for pad, prompt in zip(padding, prompts, strict=True)]
    own = {"do_sample": False, "max_new_tokens": max(limits)}
    config = GenerationConfig(**settings | own, eos_token_id=list(stop_ids) or None, pad_token_id=pad_id)
    with _nothing_of_its_own(model):
        output = model.generate(
            input_ids=torch.tensor(padded, device=device),
            attention_mask=torch.tensor([[0] * pad + [1] * (width - pad) for pad in padding], device=device),
            logits_processor=LogitsProcessorList([] if choose is None else [_Chosen(choose, width)]),
            stopping_criteria=StoppingCriteriaList([_Limits(limits, width, device)] if len(set(limits)) > 1 else []),
            generation_config=config,
        )
    written: list[list[int]] = output[:, width:].tolist()
    return written


def halving(
    batches: Iterable[list[Row]], complete: Callable[[list[Row]], Written], divisible: bool = True
) -> Iterator[Written]:
    """Complete batches, in halves where the memory of a GPU runs out.

    Args:
        batches: of at least one row.
        complete: completes one.
        divisible: whether a batch may be halved at all.

    Yields:
        What each batch or part came to, in order.

    Raises:
        torch.OutOfMemoryError: if one row alone does not fit.
    """
    waiting = deque(batches)
    while waiting:
        rows = waiting.popleft()
        try:
            written: list[Written] = [complete(rows)]
        except torch.OutOfMemoryError:
            if len(rows) == 1 or not divisible:
                raise
            written = []
        if written:
            yield from written
            continue
        torch.cuda.empty_cache()  # out of the handler, whose traceback keeps the tensors alive
        half = (len(rows) + 1) // 2
        waiting.extendleft([rows[half:], rows[:half]])


@contextmanager
def _nothing_of_its_own(model: Any) -> Iterator[None]:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = base.generation_config
    base.generation_config = GenerationConfig()
    try:
        yield
    finally:
        base.generation_config = config


class _Chosen(LogitsProcessor):
    """Leaves one token a row; greedy decoding then takes it."""

    def __init__(self, choose: Choose, width: int) -> None:
        self._choose, self._width = choose, width

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        tokens = self._choose(scores, input_ids.shape[1] - self._width)
        return torch.full_like(scores, -torch.inf).scatter_(1, tokens[:, None], 0.0)


class _Limits(StoppingCriteria):
    """Ends each row at a length of its own."""

    def __init__(self, limits: Sequence[int], width: int, device: torch.device) -> None:
        self._ends = torch.tensor(limits, device=device) + width

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: object) -> Tensor:
        return input_ids.shape[1] >= self._ends
