"""Rollouts by transformers' continuous batching: one `ContinuousBatchingManager` for the run, since starting one costs
seconds.

TRL's switch for it casts the weights that train and drops log-probabilities; this is a call of our own, on the rollout
copy. Three things of the manager would go wrong in RL, and are set so that they don't:

- it shares blocks of equal prompts between requests, also those that other weights have filled: off;
- it reports a request that failed with the tokens that it had: here that is an error, or where memory ran out a
  request that is made again with half as many at once;
- it draws from torch's global random state, and by order of arrival. All requests are there before the loop starts and
  the state is seeded for the round, so that a round repeats on a CPU; afterwards it is what it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig

from magistral_recipe.errors import RunError
from magistral_recipe.generation.hf import default_token_budget
from magistral_recipe.generation.rollouts.interface import Sample, Sampler

_PAGE = {"cuda": 256, "cpu": 32}
_PASS_TOKENS = 4096
"""Tokens of a forward pass, at least: those of prompts that are read beside those that are written."""


class ContinuousSampler(Sampler):
    """Samples with transformers' continuous batching; see the module. Not keyed: a sample hangs on the whole round."""

    name = "continuous"
    keyed = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._manager: Any = None
        self._room = (0, 0, 0)
        self._least: int | None = None

    def sample(
        self, prompts: Sequence[Sequence[int]], limits: Sequence[int], seed: int, first: int = 0
    ) -> Iterator[list[Sample]]:
        """See `Sampler`."""
        device = self.base.device
        cuda = [device] if device.type == "cuda" else []
        left = dict.fromkeys(range(len(prompts)))
        with torch.random.fork_rng(cuda), self.reading():
            together = len(prompts)
            while left:
                try:
                    for sample in self._together(list(left)[:together], prompts, limits, seed + first):
                        del left[sample.row]
                        yield [sample]
                except torch.OutOfMemoryError:
                    if together == 1:
                        raise
                    together = max(min(together, len(left)) // 2, 1)
                    self.close()

    def close(self) -> None:
        """See `Sampler`."""
        if self._manager is not None:
            self.base.destroy_cached_continuous_batching_manager()
            self._manager.destroy()
            self._manager = None
            if self.base.device.type == "cuda":
                torch.cuda.empty_cache()

    def _together(
        self, rows: list[int], prompts: Sequence[Sequence[int]], limits: Sequence[int], seed: int
    ) -> Iterator[Sample]:
        manager = self._ready(rows, prompts, limits)
        torch.manual_seed(seed + rows[0])  # else one part of a group would repeat another's completions
        manager.background_thread_status.clear()  # a manager that has been stopped takes no requests before it starts
        stops = list(self.drawing.stop_ids) or -1
        names = {
            manager.add_request(list(prompts[row]), max_new_tokens=limits[row], eos_token_id=stops): row for row in rows
        }
        manager.start()
        try:
            while names:
                output = manager.get_result(timeout=1)
                if output is None and not manager.is_running():
                    raise manager.background_thread_status.fatal_error or RunError("continuous batching stopped")
                if output is None or not output.is_finished():
                    continue
                if output.error is not None:
                    self._raise(output.error)
                yield Sample(names.pop(output.request_id), list(output.generated_tokens), list(output.logprobs))
        finally:
            manager.stop(block=True, keep_for_next_session=True, hard_stop=bool(names))
            if names:  # what has failed is not gone on with
                self.close()

    def _raise(self, reason: str) -> None:
        fatal = self._manager.background_thread_status.fatal_error
        if isinstance(fatal, torch.OutOfMemoryError) or "out of memory" in reason.lower():
            raise torch.OutOfMemoryError(reason)
        raise RunError(f"continuous batching failed: {reason}")

    def _ready(self, rows: list[int], prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> Any:
        """The run's manager, made anew where a round needs more room than it was made for."""
        longest = max(len(prompts[row]) + limits[row] for row in rows)
        wanted = sum(len(prompts[row]) + limits[row] for row in rows)
        if self._manager is not None and all(a <= b for a, b in zip((len(rows), longest), self._room, strict=False)):
            return self.base.init_continuous_batching()
        self.close()
        kind = "cuda" if self.base.device.type == "cuda" else "cpu"
        page, budget = _PAGE[kind], self.token_budget or default_token_budget(self.base)
        tokens = max(min(wanted + len(rows) * page, budget), longest + page)
        config = ContinuousBatchingConfig(
            page_size=page,
            num_blocks=-(-tokens // page),
            max_batch_tokens=max(len(rows), _PASS_TOKENS if kind == "cuda" else 512),
            max_requests_per_batch=len(rows),
            allow_block_sharing=False,
            return_logprobs=True,
            use_cuda_graph=True if kind == "cuda" else None,
            auto_switch_to_flash=False,
            seed=0,
        )
        drawing = self.drawing
        generation = GenerationConfig(
            do_sample=drawing.temperature > 0,
            temperature=drawing.temperature or 1.0,
            top_k=0,
            max_new_tokens=max(limits),
            eos_token_id=list(drawing.stop_ids) or -1,
            pad_token_id=drawing.pad_id,
        )
        self._manager = self.base.init_continuous_batching(generation, config)
        self._manager.warmup()  # makes the cache, which seeds torch, and captures graphs
        self._room = (len(rows), longest, tokens)
        return self._manager
