"""What an evaluation draws of each problem, and how a problem is put to the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from magistral_recipe.data.benchmarks.catalogue import PLACE, Prompt
from magistral_recipe.errors import DataError
from magistral_recipe.generation.interface import Prompt as Rendered
from magistral_recipe.generation.interface import Sampling
from magistral_recipe.writing.chat_format import ChatFormat

if TYPE_CHECKING:
    from magistral_recipe.data.problems import Problem


@dataclass(frozen=True)
class EvaluationSettings:
    """What is drawn, and how.

    Args:
        samples: completions a problem at ``temperature``; pass@1 is their mean.
        temperature: of the samples (the paper: 0.7).
        top_p: nucleus of the samples (the paper: 1.0 for mathematics, 0.95 for code).
        max_new_tokens: where a completion is cut, in tokens.
        greedy: decode every problem once greedily too.
        seed: of the sampling noise.
        tokens_per_batch: prompt and completion tokens generated at once; changes speed and memory, never a sample.
        prompt: how a problem is put, ``{problem}`` standing for it; one text, or one for each language.
        raw: the prompt is raw text for a base model, without a chat template.
        tags: completions are expected to have the format's thinking tags; otherwise the whole text is graded.
    """

    samples: int = 4
    temperature: float = 0.7
    top_p: float = 1.0
    max_new_tokens: int = 1024
    greedy: bool = True
    seed: int = 0
    tokens_per_batch: int | None = None
    prompt: Prompt = PLACE
    raw: bool = False
    tags: bool = True

    def __post_init__(self) -> None:
        if self.samples < 0 or not (self.samples or self.greedy):
            raise ValueError(f"nothing to draw: samples is {self.samples} and greedy is {self.greedy}")

    def passes(self) -> list[tuple[Sampling, int, bool]]:
        """What is drawn of every problem: how, how often, and whether that is the greedy pass."""
        drawn = Sampling(self.temperature, self.top_p, self.max_new_tokens, self.seed)
        greedy = Sampling(0.0, 1.0, self.max_new_tokens, self.seed)
        return [(greedy, 1, True)] * self.greedy + [(drawn, self.samples, False)] * bool(self.samples)

    def put(self, problem: Problem, chat: ChatFormat) -> Rendered:
        """Put a problem to the model.

        Args:
            problem: with a language, where the prompt has several.
            chat: system prompt and tags.

        Returns:
            Chat messages, or raw text.

        Raises:
            DataError: if there is no prompt in the problem's language.
        """
        template = self.prompt
        if isinstance(template, dict):
            if problem.language not in template:
                raise DataError(f"problem {problem.id!r}: no prompt in its language, {problem.language!r}")
            template = template[problem.language]
        text = template.replace(PLACE, problem.problem)
        return text if self.raw else chat.messages(text, problem.system)
