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
    """How tokens are drawn, for a whole run: from the whole distribution, since its log-probabilities train.

    Attributes:
        temperature: divides the logits; 0 is greedy.
        stop_ids: tokens on which a completion ends.
        pad_id: what fills rows up.
        others: further settings of transformers' `GenerationConfig`, which only the backend `generate` knows.
    """

    temperature: float = 1.0
    stop_ids: tuple[int, ...] = ()
    pad_id: int = 0
    others: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """One finished completion.

    Attributes:
        row: whose: the prompt's place.
        ids: the tokens written, the stop token included.
        logps: the log-probability of each under the logits divided by the temperature, as the trainer computes it.
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
    def sample(
        self, prompts: Sequence[Sequence[int]], limits: Sequence[int], seed: int, first: int = 0
    ) -> Iterator[list[Sample]]:
        """Yield completions as they end.

        Args:
            prompts: token ids, at least one each.
            limits: most tokens of each completion, at least 1.
            seed: of the round's noise, the same in all processes; row by row it belongs to the prompt's place.
            first: the first prompt's place in the whole round, of which these may be one process's part.

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
