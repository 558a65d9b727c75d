"""Rollouts by transformers' `generate`: every model, no preparation, and the measure for the other backends.

It goes on computing rows that have ended until the longest has, and launches each kernel from Python.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from magistral_recipe.generation.rollouts.drawing import Draw, noise_table
from magistral_recipe.generation.rollouts.interface import Sample, Sampler


class GenerateSampler(Sampler):
    """Samples with `model.generate`, left-padded."""

    name = "generate"

    def sample(self, prompts: Sequence[Sequence[int]], limits: Sequence[int], seed: int) -> Iterator[list[Sample]]:
        """See `Sampler`."""
        together = len(prompts)
        if self.token_budget is not None:
            together = max(self.token_budget // (max(map(len, prompts)) + max(limits)), 1)
        waiting = deque(
            list(range(len(prompts)))[start : start + together] for start in range(0, len(prompts), together)
        )
        while waiting:
            rows = waiting.popleft()
            try:
                finished: list[Sample] | None = self._together(rows, prompts, limits, seed)
            except torch.OutOfMemoryError:
                if len(rows) == 1:
                    raise
                finished = None
            if finished is not None:
                yield finished
                continue
            torch.cuda.empty_cache()  # out of the handler, whose traceback keeps the tensors alive
            half = (len(rows) + 1) // 2
            waiting.extendleft([rows[half:], rows[:half]])

    def _together(
        self, rows: list[int], prompts: Sequence[Sequence[int]], limits: Sequence[int], seed: int
    ) -> list[Sample]:
        device, drawing = self.model.device, self.drawing
        width = max(len(prompts[row]) for row in rows)
        padding = [width - len(prompts[row]) for row in rows]
        ids = torch.tensor(
            [[drawing.pad_id] * pad + list(prompts[row]) for pad, row in zip(padding, rows, strict=True)], device=device
        )
        mask = torch.tensor([[0] * pad + [1] * (width - pad) for pad in padding], device=device)
        own = [limits[row] for row in rows]
        keyed = _Keyed(Draw(drawing), noise_table(seed, own, rows, device), width)
        criteria = StoppingCriteriaList([_Limits(own, width, device)] if len(set(own)) > 1 else [])
        with self.reading(), _nothing_of_its_own(self.base):
            output = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                logits_processor=LogitsProcessorList([keyed]),
                stopping_criteria=criteria,
                generation_config=GenerationConfig(
                    **{
                        **drawing.others,
                        "do_sample": False,
                        "max_new_tokens": max(own),
                        "eos_token_id": list(drawing.stop_ids) or None,
                        "pad_token_id": drawing.pad_id,
                        "disable_compile": True,
                    }
                ),
            )
        written, logps = output[:, width:].tolist(), torch.stack(keyed.logps, dim=1).tolist()
        stops = set(drawing.stop_ids)
        samples = []
        for place, (row, limit) in enumerate(zip(rows, own, strict=True)):
            tokens = written[place][:limit]
            end = next((at + 1 for at, token in enumerate(tokens) if token in stops), len(tokens))
            samples.append(Sample(row, tokens[:end], logps[place][:end]))
        return samples


@contextmanager
def _nothing_of_its_own(model: Any) -> Iterator[None]:
    """Without the penalties and limits that a model's own generation config may carry."""
    config = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = config


class _Keyed(LogitsProcessor):
    """Leaves one token a step, the one that the row's own noise draws; greedy decoding then takes it."""

    def __init__(self, draw: Draw, noise: Tensor, prompt_length: int) -> None:
        self._draw, self._noise, self._prompt_length = draw, noise, prompt_length
        self.logps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        tokens, logps = self._draw(scores, self._noise[:, input_ids.shape[1] - self._prompt_length])
        self.logps.append(logps)
        return torch.full_like(scores, -torch.inf).scatter_(1, tokens[:, None], 0.0)


class _Limits(StoppingCriteria):
    """Ends each row at a length of its own."""

    def __init__(self, limits: Sequence[int], prompt_length: int, device: torch.device) -> None:
        self._ends = torch.tensor(limits, device=device) + prompt_length

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: object) -> Tensor:
        return input_ids.shape[1] >= self._ends
