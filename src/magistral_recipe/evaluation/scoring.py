"""Verdicts on completions: the rewards of RL, asked once more; evaluation has no grader of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from magistral_recipe.evaluation.samples import Sample
from magistral_recipe.generation.interface import Completion
from magistral_recipe.rewards.base import Batch, Grade, mark_cut
from magistral_recipe.rewards.magistral import MagistralReward
from magistral_recipe.rewards.thinking import Thinking
from magistral_recipe.verifiers.boxes import find_boxes

if TYPE_CHECKING:
    from magistral_recipe.data.problems import Problem

_COLUMNS = ("problem", "answer", "tests", "kind", "programming_language", "language")


class Scorer:
    """Grades completions as RL would and writes down why.

    Args:
        thinking: the tags between thoughts and answer.
        reward: the paper's sum, whose parts are reported; by default one with its own weights.
    """

    def __init__(self, thinking: Thinking, reward: MagistralReward | None = None) -> None:
        self.thinking = thinking
        self.reward = reward or MagistralReward(thinking=thinking)

    def score(
        self, completions: Sequence[Completion], problems: Sequence[Problem], greedy: bool = False
    ) -> list[Sample]:
        """Grade a batch.

        Args:
            completions: what was generated.
            problems: the problem of each completion, in the same order.
            greedy: they were decoded greedily.

        Returns:
            One sample a completion, in order.
        """
        texts = [completion.text for completion in completions]
        truncated = [completion.truncated for completion in completions]
        parts, totals = self._grade(texts, truncated, problems)
        return [
            Sample(
                problem=problem.id,
                sample=done.request.sample,
                greedy=greedy,
                prompt=done.prompt,
                completion=done.text,
                tokens=len(done.ids),
                truncated=done.truncated,
                answer=boxed_answer(done.text, self.thinking),
                verdicts={part: _verdict(grades[row]) for part, grades in parts.items()},
                reward=totals[row].value,
                question=problem.problem,
                reference=problem.answer,
                language=problem.language,
                category=problem.category,
                difficulty=problem.difficulty,
                source=problem.source,
                kind=problem.kind,
            )
            for row, (done, problem) in enumerate(zip(completions, problems, strict=True))
        ]

    def _grade(
        self, texts: list[str], truncated: list[bool], problems: Sequence[Problem]
    ) -> tuple[dict[str, list[Grade]], list[Grade]]:
        columns = {name: [getattr(problem, name) for problem in problems] for name in _COLUMNS}
        batch = Batch(texts, columns={**columns, "truncated": truncated})
        parts = self.reward.grade_parts(batch)
        totals = self.reward.sum(parts)
        self.reward.observe(batch, totals)
        marked = {
            name: [Grade(grade.value, reason) for grade, reason in zip(grades, mark_cut(batch, grades), strict=True)]
            for name, grades in parts.named().items()
        }
        return marked, totals


def boxed_answer(text: str, thinking: Thinking) -> str | None:
    """Return the box that a vote counts: the last one of the answer part, ``None`` without any."""
    answer = thinking.split(text).answer
    boxes = [box.strip() for box in find_boxes(answer) if box.strip()] if answer else []
    return boxes[-1] if boxes else None


def _verdict(grade: Grade) -> dict[str, float | str | None]:
    return {"value": grade.value, "reason": str(grade.reason)}
