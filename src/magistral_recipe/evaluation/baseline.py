"""What a model does before RL: a few samples on training problems, and whether there is anything to learn from.

RL learns from the difference between right and wrong completions. A model that knows neither tags nor box, or is always
right, gives none, and a run finds that out batch after batch. A dozen samples find it out at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from magistral_recipe.evaluation.samples import Sample
from magistral_recipe.evaluation.settings import EvaluationSettings
from magistral_recipe.writing.boxes import find_boxes
from magistral_recipe.writing.thinking import Thinking

if TYPE_CHECKING:
    from magistral_recipe.data.problems import Problem
    from magistral_recipe.generation.interface import Generator
    from magistral_recipe.writing.chat_format import ChatFormat

SAMPLES = 16
"""Enough to tell "never" from "now and then"; with 16 wrong ones a pass rate above a fifth is unlikely (3%)."""

_FEW = 0.25
"""Share below which tags or boxes are too rare for RL to start from."""
_SHOWN, _WIDTH = 3, 300


@dataclass(frozen=True)
class Baseline:
    """Samples of a model that RL is about to start from.

    Attributes:
        samples: graded.
        limit: tokens at which they were cut.
        thinking: the tags.
    """

    samples: Sequence[Sample]
    limit: int
    thinking: Thinking

    def share(self, of: str) -> float:
        """How many of them have the tags, a box, a right answer, or were cut.

        Args:
            of: ``tags``, ``boxed``, ``right`` or ``cut``.
        """
        return sum(self._is(of, sample) for sample in self.samples) / len(self.samples)

    def _is(self, what: str, sample: Sample) -> bool:
        if what == "tags":
            return self.thinking.split(sample.completion).well_formed
        if what == "boxed":
            return bool(find_boxes(sample.completion))
        return sample.right is True if what == "right" else sample.truncated

    @property
    def boxes_count(self) -> bool:
        """Whether the problems ask for a box: those of mathematics."""
        return any(sample.kind == "math" for sample in self.samples)

    def line(self) -> str:
        """Say it in a line, e.g. ``tags 0%, boxed 6%, right 0%, cut 12% of 16 samples``."""
        parts = ["tags", *(["boxed"] if self.boxes_count else []), "right", "cut"]
        shares = ", ".join(f"{part} {self.share(part):.0%}" for part in parts)
        return f"{shares} of {len(self.samples)} samples before RL (up to {self.limit:,} tokens)"

    def advice(self, after_sft: bool = False) -> str | None:
        """Say what to do first, where there is little to learn from; ``None`` where there is enough.

        Args:
            after_sft: whether the model has been through SFT already.
        """
        sft = "train SFT longer, or on more traces" if after_sft else "put SFT first"
        if self.share("right") == 1:
            return "all of them are right: choose harder problems"
        ended = [sample for sample in self.samples if not sample.truncated]
        if len(ended) >= _FEW * len(self.samples) and sum(self._is("tags", each) for each in ended) < _FEW * len(ended):
            return f"the model doesn't write the thinking tags: {sft}"
        if self.share("cut") > 0.5:
            return "most are cut: raise max_completion_length, or choose problems with shorter solutions"
        if self.boxes_count and self.share("boxed") < _FEW:
            return f"the model puts no answer into a box: {sft}, or ask for it in the system prompt"
        if self.share("right") == 0:
            return f"none is right: {sft}, or choose easier problems"
        return None

    def completions(self) -> Iterator[str]:
        """Show a few of the completions, cut to a width."""
        for sample in self.samples[:_SHOWN]:
            text = " ".join(sample.completion.split())
            yield f"{_shown(sample.question, 80)} → {_shown(text, _WIDTH) or '(nothing)'}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, without the texts."""
        shares = {part: self.share(part) for part in ("tags", "boxed", "right", "cut")}
        return {**shares, "samples": len(self.samples), "max_new_tokens": self.limit}


def draw_baseline(
    model: Any,
    tokenizer: Any,
    problems: Sequence[Problem],
    chat: ChatFormat,
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    seed: int = 0,
    count: int = SAMPLES,
    generator: Generator | None = None,
) -> Baseline:
    """Sample a model on training problems; neither the global random state nor its training mode is changed.

    Args:
        model: unwrapped, on its device.
        tokenizer: chat template installed.
        problems: to train on; the first ones are taken, each once where there are enough.
        chat: how problems are put to the model.
        max_new_tokens: where a completion is cut, in tokens.
        temperature: of sampling, RL's.
        seed: of the sampling noise.
        count: samples in all.
        generator: what generates; by default transformers.

    Returns:
        The samples, graded as an evaluation grades them.
    """
    from magistral_recipe.evaluation.evaluate import sampled

    chosen = problems[:count]
    each = -(-count // len(chosen))
    settings = EvaluationSettings(each, temperature, 1.0, max_new_tokens, greedy=False, seed=seed)
    samples = sampled(model, tokenizer, chosen, chat, settings, generator)[:count]
    return Baseline(samples, max_new_tokens, chat.thinking)


def _shown(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
