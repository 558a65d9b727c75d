"""What every generation backend offers: requests in, completions out, as they finish.

Evaluation and curation speak to this interface alone. RL does not use it: its rollouts are TRL's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Prompt = str | Sequence[Mapping[str, str]]
"""Raw text, or chat messages that the backend renders with its chat template."""


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn.

    Args:
        temperature: divides the logits; 0 is greedy decoding. The paper evaluates at 0.7 (Magistral §5.1).
        top_p: nucleus: the smallest set of tokens that holds this share of the probability; 1 keeps all.
        max_new_tokens: where a completion is cut, in tokens.
        seed: with a request's id and sample number it fixes the sampling noise.

    Raises:
        ValueError: if a value is outside its range.
    """

    temperature: float = 0.7
    top_p: float = 1.0
    max_new_tokens: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be 0 (greedy) or above and finite, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], not {self.top_p}")
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, not {self.max_new_tokens}")


@dataclass(frozen=True)
class Request:
    """One completion that somebody wants.

    Args:
        id: the problem's id; with ``sample`` and the seed it keys the noise, so keep it stable.
        sample: which of the problem's samples this is, from 0.
        prompt: raw text, or chat messages.
    """

    id: str
    sample: int
    prompt: Prompt


def request_seed(seed: int, request: Request) -> int:
    """The seed of one sample, for backends that draw by themselves: 63 bits, as vLLM takes them.

    Args:
        seed: the run's.
        request: whose id and sample number key the noise.

    Returns:
        A number from 0 to 2**63 - 1.
    """
    key = f"{seed}\0{request.sample}\0{request.id}".encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "little") >> 1


@dataclass(frozen=True)
class Completion:
    """One finished completion.

    Args:
        request: what was asked.
        prompt: the rendered prompt, as the model saw it.
        text: what the model wrote, thinking tags kept, end-of-sequence dropped.
        ids: the tokens it wrote, the stop token included; none where a backend tells only how many there are.
        truncated: it was cut at ``max_new_tokens`` before it stopped by itself.
        written: how many tokens it wrote, of a backend that doesn't tell which.
    """

    request: Request
    prompt: str
    text: str
    ids: tuple[int, ...]
    truncated: bool
    written: int | None = None

    @property
    def tokens(self) -> int:
        """How many tokens it wrote, the stop token included."""
        return len(self.ids) if self.written is None else self.written


class Generator(Protocol):
    """A backend: the same requests give the same completions, in whatever order and batches they finish.

    Bit for bit that is true of transformers on a CPU alone; what holds for all of them is that every completion bears
    its request, has no stop token in its text, and is asked for once.
    """

    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Completion]]:
        """Yield completions batch by batch, as they finish, in no particular order."""
        ...


def generate(
    generator: Generator, prompts: Iterable[tuple[str, Prompt]], n: int, sampling: Sampling
) -> list[list[Completion]]:
    """Draw ``n`` completions of every prompt and wait for all of them.

    Args:
        generator: a backend.
        prompts: pairs of an id, unique among them, and a prompt.
        n: completions a prompt.
        sampling: how they are drawn.

    Returns:
        For every prompt, in order, its ``n`` completions in order of their sample number.

    Raises:
        ValueError: if an id occurs twice: both would get the same noise.
    """
    prompts = list(prompts)
    rows = {id_: row for row, (id_, _) in enumerate(prompts)}
    if len(rows) != len(prompts):
        raise ValueError("the ids of the prompts must be unique: they key the sampling noise")
    requests = [Request(id_, sample, prompt) for id_, prompt in prompts for sample in range(n)]
    finished = [done for batch in generator.stream(requests, sampling) for done in batch]
    completions: list[list[Completion]] = [[] for _ in prompts]
    for done in sorted(finished, key=lambda completion: completion.request.sample):
        completions[rows[done.request.id]].append(done)
    return completions
