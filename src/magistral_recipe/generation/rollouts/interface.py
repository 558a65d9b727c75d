"""What every backend of RL's rollouts does: token ids in, completions out as they end, with log-probabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch


@dataclass(frozen=True)
class Drawing:
    """How tokens are drawn, for a whole run.

    Attributes:
        temperature: divides the logits; 0 is greedy.
        top_p: nucleus; 1 keeps all.
        top_k: most tokens kept; 0 keeps all.
        min_p: least probability kept, as a share of the likeliest token's; 0 keeps all.
        stop_ids: tokens on which a completion ends.
        pad_id: what fills rows up.
        others: further settings of transformers' `GenerationConfig` (a repetition penalty, …), which only the backend
            `generate` knows.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    stop_ids: tuple[int, ...] = ()
    pad_id: int = 0
    others: Mapping[str, Any] = field(default_factory=dict)

    @property
    def truncates(self) -> bool:
        """Whether some tokens can't be drawn, so that what is drawn from is not what the model says."""
        return self.top_p < 1 or self.top_k > 0 or self.min_p > 0 or bool(self.others)


@dataclass(frozen=True)
class Sample:
    """One finished completion.

    Attributes:
        row: whose: the prompt's place.
        ids: the tokens written, the stop token included.
        logps: the log-probability of each under the logits divided by the temperature, before anything is cut off, as
            the trainer computes it; NaN where the backend does not know it.
    """

    row: int
    ids: list[int]
    logps: list[float]


class Sampler(ABC):
    """Samples completions from one model, whose weights may change between two calls but never during one.

    Args:
        model: a causal language model of transformers, or a PEFT one: the rollout copy, or the model that trains.
        drawing: how tokens are drawn.
        context: makes what the model computes under, as the trainer's autocast where it is the one that trains.
        token_budget: most tokens of keys and values at once; what does not fit waits. ``None``: all rows together, or
            half of them where memory runs out.

    Attributes:
        name: the backend's.
        keyed: whether a sample is a function of seed, row and weights, as exact resumes need.
        figures: what the last call counted, by metric.
    """

    name: ClassVar[str]
    keyed: ClassVar[bool] = True

    def __init__(
        self,
        model: Any,
        drawing: Drawing,
        context: Callable[[], AbstractContextManager[Any]] = nullcontext,
        token_budget: int | None = None,
    ) -> None:
        self.model = model
        self.drawing = drawing
        self.figures: dict[str, float] = {}
        self.token_budget = token_budget
        self._context = context

    @abstractmethod
    def sample(self, prompts: Sequence[Sequence[int]], limits: Sequence[int], seed: int) -> Iterator[list[Sample]]:
        """Yield completions as they end.

        Args:
            prompts: token ids, at least one each.
            limits: most tokens of each completion, at least 1.
            seed: of the noise; row by row it belongs to the prompt's place.

        Yields:
            Some of the samples, in the order in which they end; every row once.
        """

    def forget(self) -> None:  # noqa: B027 - most keep nothing
        """Drop what depends on where the weights lie in memory."""

    def close(self) -> None:  # noqa: B027
        """Give back what is held between two calls."""

    @property
    def base(self) -> Any:
        """The model without its PEFT wrapper."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Evaluation mode and no gradients; what was is put back after."""
        training = self.model.training
        if training:  # to set a mode visits every module
            self.model.eval()
            for module in self.model.modules():
                if type(module).__module__.startswith("bitsandbytes."):
                    module.training = True  # on a CPU it would lay its weights out anew, in place
        try:
            with torch.no_grad(), self._context():
                yield
        finally:
            if training:
                self.model.train()
