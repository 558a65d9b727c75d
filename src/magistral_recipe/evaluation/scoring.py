"""Verdicts on completions: the rewards of RL, asked once more, with all tests of a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from magistral_recipe.evaluation.correctness import BenchmarkCorrectness
from magistral_recipe.evaluation.languages import graded_languages
from magistral_recipe.evaluation.samples import Sample
from magistral_recipe.generation.interface import Completion
from magistral_recipe.rewards.base import Batch, Grade
from magistral_recipe.rewards.logs import mark_cut
from magistral_recipe.rewards.magistral import MagistralReward
from magistral_recipe.verifiers.version import grader_version
from magistral_recipe.writing.boxes import find_boxes
from magistral_recipe.writing.thinking import Thinking

if TYPE_CHECKING:
    from magistral_recipe.data.problems import Problem

_COLUMNS = (
    *("problem", "answer", "tests", "kind", "language"),
    *("programming_language", "time_limit", "memory_mb", "tolerance"),
)
_BENCHMARK_COLUMNS = ("before", "asserts", "instructions")


class Scorer:
    """Grades completions as RL would and writes down why.

    Args:
        thinking: the tags between thoughts and answer; ``None`` asks for none and grades the whole text.
        reward: the paper's sum, whose parts are reported; by default one with its own weights, that runs all tests of
            a program.
    """

    def __init__(self, thinking: Thinking | None, reward: MagistralReward | None = None) -> None:
        self.thinking = thinking
        self.reward = reward or MagistralReward(thinking=thinking, correctness=BenchmarkCorrectness(thinking))

    def score(
        self,
        completions: Sequence[Completion],
        problems: Sequence[Problem],
        greedy: bool = False,
        seed: int | None = None,
    ) -> list[Sample]:
        """Grade a batch.

        Args:
            completions: what was generated.
            problems: the problem of each completion, in the same order.
            greedy: they were decoded greedily.
            seed: of the sampling noise, to be noted.

        Returns:
            One sample a completion, in order.
        """
        texts = [completion.text for completion in completions]
        truncated = [completion.truncated for completion in completions]
        parts, totals, found = self._grade(texts, truncated, problems)
        return [
            Sample(
                problem=problem.id,
                sample=done.request.sample,
                greedy=greedy,
                prompt=done.prompt,
                completion=done.text,
                tokens=done.tokens,
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
                seed=None if greedy else seed,
                option_order=getattr(problem, "option_order", None),
                found_language=found[row],
                grader=grader_version(),
            )
            for row, (done, problem) in enumerate(zip(completions, problems, strict=True))
        ]

    def score_again(self, samples: Sequence[Sample], problems: Sequence[Problem]) -> list[Sample]:
        """Grade samples anew, from what was kept of them.

        Args:
            samples: as they were read.
            problems: the problem of each, in the same order.

        Returns:
            The same samples with fresh verdicts.
        """
        texts = [sample.completion for sample in samples]
        parts, totals, found = self._grade(texts, [sample.truncated for sample in samples], problems)
        return [
            replace(
                sample,
                answer=boxed_answer(sample.completion, self.thinking),
                verdicts={part: _verdict(grades[row]) for part, grades in parts.items()},
                reward=totals[row].value,
                reference=problems[row].answer,
                found_language=found[row],
                grader=grader_version(),
            )
            for row, sample in enumerate(samples)
        ]

    def _grade(
        self, texts: list[str], truncated: list[bool], problems: Sequence[Problem]
    ) -> tuple[dict[str, list[Grade]], list[Grade], list[str | None]]:
        columns: dict[str, list[Any]] = {name: [getattr(problem, name) for problem in problems] for name in _COLUMNS}
        for name in _BENCHMARK_COLUMNS:
            columns[name] = [getattr(problem, name, None) for problem in problems]
        batch = Batch(texts, columns={**columns, "truncated": truncated})
        parts = self.reward.grade_parts(batch)
        totals = self.reward.sum(parts)
        self.reward.observe(batch, totals)
        named = parts.named()
        asked = [problem.language for problem in problems]
        found: list[str | None] = [None] * len(texts)
        if "language" in named:
            found = graded_languages(named["language"], texts, asked, self.thinking)
        marked = {
            name: [Grade(grade.value, reason) for grade, reason in zip(grades, mark_cut(batch, grades), strict=True)]
            for name, grades in named.items()
        }
        return marked, totals, found


def boxed_answer(text: str, thinking: Thinking | None) -> str | None:
    """Return the box that a vote counts: the last one of the answer part, ``None`` without any."""
    answer = text if thinking is None else thinking.split(text).answer
    boxes = [box.strip() for box in find_boxes(answer) if box.strip()] if answer else []
    return boxes[-1] if boxes else None


def _verdict(grade: Grade) -> dict[str, float | str | None]:
    return {"value": grade.value, "reason": str(grade.reason)}
