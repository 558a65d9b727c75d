"""Generation with transformers: the backend that runs everywhere, and bit for bit the same on a CPU.

On a CPU in float32 a sample doesn't depend on what else is in its batch. That takes three things, each measured:
prompts padded to a length of their own (a multiple of 16), batches of a multiple of 8 rows (fewer rows take other
matrix kernels), and PyTorch's plain attention (its fused CPU kernel splits its sums over threads by row number).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from magistral_recipe.generation.backend import Backend, Encoded
from magistral_recipe.generation.interface import Completion, Request, Sampling
from magistral_recipe.generation.noise import pick, uniforms
from magistral_recipe.generation.padded import Choose, halving, write
from magistral_recipe.sharded import generate_in_step, is_sharded, least
from magistral_recipe.writing.chat_format import stop_token_ids

_LENGTH_STEP = 16
_ROW_STEP = 8
CPU_TOKENS = 32_768
"""Tokens that a batch holds at most where there is no CUDA device."""
LEAST_TOKENS = 4_096
"""Tokens that a batch may hold on a CUDA device, however little of it is free."""
MAX_ROWS = 256
"""Sequences that a batch holds at most."""


class HFGenerator(Backend):
    """Generates with a transformers model (or a PEFT one), in batches of similar length under a token budget.

    Args:
        model: a causal language model on its device.
        tokenizer: its tokenizer, chat template installed.
        token_budget: most tokens a batch may hold, padding and room for new ones included. By default what half of
            the free memory holds as keys and values on a GPU, and 32,768 elsewhere.
        max_rows: most sequences a batch may hold.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, token_budget: int | None = None, max_rows: int = MAX_ROWS
    ) -> None:
        super().__init__(tokenizer, stop_token_ids(tokenizer, model))
        if is_sharded(model):
            generate_in_step(model)
        self.model = model
        self.token_budget = token_budget or default_token_budget(model)
        self.max_rows = max_rows
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else (self.stop_ids or [0])[0]

    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Completion]]:
        """Yield completions batch by batch, the longest prompts first (so that memory runs out early or never).

        Args:
            requests: what to complete, ids and sample numbers unique together.
            sampling: how.

        Yields:
            The completions of one batch.
        """
        alone = not is_sharded(self.model)  # else the other processes would go on with the whole batch
        batches = self._batches(requests, sampling)
        yield from halving(batches, lambda batch: self._complete(batch, sampling), divisible=alone)

    def _batches(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Encoded]]:
        """Sort requests by prompt length, the longest first, and cut them at the token budget.

        On a CPU a batch has one padded length, which keeps its samples apart from each other. Elsewhere nothing is
        promised of bits, and each batch more is a decode more, whose steps take as long for few rows as for many.
        """
        apart = self.model.device.type == "cpu"
        batches: list[list[Encoded]] = []
        for row in sorted(self.encode(requests), key=lambda row: -self._padded(row)):
            longest = self._padded(batches[-1][0]) if batches else 0
            fit = min(self.max_rows, max(1, self.token_budget // max(longest + sampling.max_new_tokens, 1)))
            if not batches or len(batches[-1]) == fit or (apart and self._padded(row) != longest):
                batches.append([])
            batches[-1].append(row)
        return batches

    @staticmethod
    def _padded(row: Encoded) -> int:
        return _round_up(len(row.ids), _LENGTH_STEP)

    def _complete(self, batch: list[Encoded], sampling: Sampling) -> list[Completion]:
        device = self.model.device
        # Rows that only fill the batch repeat its last request: they stop when it stops.
        rows = batch + [batch[-1]] * (_round_up(len(batch), _ROW_STEP) - len(batch) if device.type == "cpu" else 0)
        length = _round_up(max(len(row.ids) for row in rows), _LENGTH_STEP)
        choose = _keyed([row.request for row in rows], sampling, device) if sampling.temperature > 0 else None
        limits = [sampling.max_new_tokens] * len(rows)
        with _reading(self.model):
            prompts = [row.ids for row in rows]
            written = write(self.model, prompts, length, limits, choose, stop_ids=self.stop_ids, pad_id=self.pad_id)
        return [self.finish(encoded, ids) for encoded, ids in zip(batch, written, strict=False)]


def _keyed(requests: Sequence[Request], sampling: Sampling, device: torch.device) -> Choose:
    """Takes the token that a request's own noise draws."""
    rows = [uniforms(sampling.seed, r.id, r.sample, sampling.max_new_tokens) for r in requests]
    precise = torch.float64 if device.type != "mps" else torch.float32
    noise = torch.stack([torch.from_numpy(row) for row in rows]).to(device=device, dtype=precise)

    def choose(scores: Tensor, position: int) -> Tensor:
        return pick(scores, noise[:, position], sampling.temperature, sampling.top_p).squeeze(1)

    return choose


@contextmanager
def _reading(model: Any) -> Iterator[None]:
    """Evaluation mode, no gradients, and on a CPU the attention that keeps rows apart; put back after."""
    training = model.training
    model.eval()
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            if model.device.type == "cpu":
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            yield
    finally:
        model.train(training)


def default_token_budget(model: Any) -> int:
    """Return how many tokens' keys and values half of the free memory of the model's GPU holds.

    Args:
        model: a causal language model.

    Returns:
        Tokens a batch, at least 4,096; 32,768 for a model that is not on a CUDA device.
    """
    if model.device.type != "cuda":
        return CPU_TOKENS
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    bytes_a_token = 2 * config.num_hidden_layers * heads * width * torch.finfo(model.dtype).bits // 8
    free, _ = torch.cuda.mem_get_info(model.device)
    tokens = max(LEAST_TOKENS, free // 2 // bytes_a_token)
    return least(tokens) if is_sharded(model) else tokens  # all processes cut batches alike


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
