"""Rollouts by transformers' `generate`: every model, no preparation, and the measure for the other backends.

It goes on computing rows that have ended until the longest has, and launches each kernel from Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from magistral_recipe.generation.padded import halving, write
from magistral_recipe.generation.rollouts.drawing import Draw, noise_table
from magistral_recipe.generation.rollouts.interface import Sample, Sampler
from magistral_recipe.sharded import generate_in_step, is_sharded, least


class GenerateSampler(Sampler):
    """Samples with `model.generate`, left-padded; from weights that processes share out (FSDP), all of them in step."""

    name = "generate"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_parts = is_sharded(self.model)
        if self._in_parts:
            generate_in_step(self.model)

    def sample(
        self, prompts: Sequence[Sequence[int]], limits: Sequence[int], seed: int, first: int = 0
    ) -> Iterator[list[Sample]]:
        """See `Sampler`."""
        together = len(prompts)
        if self.token_budget is not None:
            together = max(self.token_budget // (max(map(len, prompts)) + max(limits)), 1)
            together = least(together) if self._in_parts else together  # all processes cut alike
        rows = list(range(len(prompts)))
        batches = [rows[start : start + together] for start in range(0, len(rows), together)]
        whole = not self._in_parts  # else the other processes would go on with the whole batch
        yield from halving(batches, lambda batch: self._together(batch, prompts, limits, seed, first), divisible=whole)

    def _together(
        self, rows: list[int], prompts: Sequence[Sequence[int]], limits: Sequence[int], seed: int, first: int
    ) -> list[Sample]:
        drawing, draw = self.drawing, Draw(self.drawing.temperature)
        asked, own = [prompts[row] for row in rows], [limits[row] for row in rows]
        noise = noise_table(seed, own, [first + row for row in rows], self.model.device)
        recorded: list[Tensor] = []

        def choose(scores: Tensor, position: int) -> Tensor:
            tokens, logps = draw(scores, noise[:, position])
            recorded.append(logps)
            return tokens

        with self.reading():
            written = write(
                self.model,
                asked,
                max(map(len, asked)),
                own,
                choose,
                stop_ids=drawing.stop_ids,
                pad_id=drawing.pad_id,
                **{**drawing.others, "disable_compile": True},
            )
        logps, stops = torch.stack(recorded, dim=1).tolist(), set(drawing.stop_ids)
        samples = []
        for place, (row, limit) in enumerate(zip(rows, own, strict=True)):
            tokens = written[place][:limit]
            end = next((at + 1 for at, token in enumerate(tokens) if token in stops), len(tokens))
            samples.append(Sample(row, tokens[:end], logps[place][:end]))
        return samples
