"""The paper's sum: format as a gate, then correctness, length and language (Magistral §2.2).

TRL's ``reward_weights`` add rewards up; they cannot say "where the format fails nothing else counts".
This class can, and still logs every part.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from magistral_recipe.rewards.base import Batch, Grade, Graded, Reason, Reward
from magistral_recipe.rewards.batch import Hooks
from magistral_recipe.rewards.container import ContainerSpec
from magistral_recipe.rewards.decoding import Tokenizer
from magistral_recipe.rewards.facts import AXES, part_column
from magistral_recipe.rewards.format import FormatReward
from magistral_recipe.rewards.length import LengthLimits
from magistral_recipe.rewards.logs import log_reasons, log_values
from magistral_recipe.rewards.math import MathCorrectness
from magistral_recipe.writing.thinking import Thinking

_DEFAULT_THINKING = Thinking()


@dataclass(frozen=True)
class Weights:
    """What each part adds to the sum at its best (Magistral §2.2).

    Raises:
        ValueError: for a weight below 0.
    """

    format: float = 0.1
    correctness: float = 0.9
    language: float = 0.1

    def __post_init__(self) -> None:
        for each in fields(self):
            if not 0 <= getattr(self, each.name) < math.inf:
                raise ValueError(f"weights.{each.name} must not be negative, it is {getattr(self, each.name)}")

    @classmethod
    def of(cls, weights: Weights | Mapping[str, float] | None) -> Weights:
        """Return weights from a mapping; raise ValueError for a key that is none."""
        if weights is None or isinstance(weights, Weights):
            return weights or cls()
        unknown = set(weights) - {each.name for each in fields(cls)}
        if unknown:
            known = ", ".join(each.name for each in fields(cls))
            raise ValueError(f"unknown weight {sorted(unknown)[0]!r}; the weights are {known}")
        return cls(**weights)


@dataclass
class Parts:
    """The parts of the sum, one value a completion; ``None`` where a part does not apply."""

    format: list[Grade]
    correctness: list[Grade]
    length: list[Grade] | None
    language: list[Grade] | None

    def named(self) -> dict[str, list[Grade]]:
        """Return the parts that apply, by name."""
        return {name: grades for name in AXES if (grades := getattr(self, name)) is not None}


class MagistralReward(Reward):
    r"""0 where the format fails, else format + correctness + length + language, in [-0.0, 1.1] by default.

    ``weights.format + weights.correctness * correct + length + weights.language * same language``
    (Magistral §2.2). A row with tests is code, else maths, unless a column ``kind`` says otherwise; rows of
    kind ``text`` have nothing to verify and earn the other parts alone. ``None`` where the reference is
    unreadable or the machine failed.

    Args:
        thinking: the tags between thoughts and answer.
        weights: `Weights`, or a mapping with some of their names.
        max_length: l_max of the length penalty, in tokens; without it there is none, until `set_limits`.
        cache: l_cache, in tokens.
        correctness: any reward with this signature, in place of `MathCorrectness` and `CodeCorrectness`; a function may
            log as one of its own could, through ``log_metric`` and ``log_extra``.
        language: any reward with this signature, in place of `LanguageConsistency`.
        name: how logs call this instance.
        answer_column: the column of references, by default ``answer``, else ``solution``, else ``ground_truth``.
        container: where a mathematical answer stands: ``"boxed"``, a pair of tags, or ``"text"``, for format and
            correctness alike.
        tokenizer: the model's, where the tags are special tokens that a trainer drops from the text: completions are
            then read from `completion_ids`.
        strict: make values of columns that mean something else errors, and take references from ``answer`` alone.

    Raises:
        ValueError: for weights below 0 or unknown, for limits out of order, for a `correctness` or `language` that is a
            class or has to be awaited.

    Example:
        >>> reward = MagistralReward(weights={"language": 0})
        >>> reward(completions=["<think>6*7=42</think>\\boxed{42}", "\\boxed{42}"], answer=["42", "42"])
        [1.0, 0.0]
    """

    default_name = "magistral_reward"
    parts = AXES
    decides = True
    pays_perfect = True

    def __init__(
        self,
        thinking: Thinking | None = _DEFAULT_THINKING,
        weights: Weights | Mapping[str, float] | None = None,
        max_length: int | None = None,
        cache: int | None = None,
        correctness: Callable[..., Sequence[float | None]] | None = None,
        language: Callable[..., Sequence[float | None]] | None = None,
        name: str | None = None,
        answer_column: str | None = None,
        container: ContainerSpec = "boxed",
        tokenizer: Tokenizer | None = None,
        strict: bool = False,
    ) -> None:
        super().__init__(name, thinking, tokenizer, strict)
        self.answer_column = answer_column
        self.weights = Weights.of(weights)
        self.maximum = self.weights.format + self.weights.correctness + self.weights.language
        self.format = FormatReward(thinking, container=container)
        self.math = MathCorrectness(thinking, answer_column, container=container)
        self.correctness = _plain("correctness", correctness)
        self._code: Reward | None = None
        self._language = _plain("language", language)
        self._limits = LengthLimits(max_length, cache)

    @property
    def limits(self) -> tuple[int, int] | None:
        """The length limits in force, (max_length, cache) in tokens; ``None`` while there are none."""
        return self._limits.current

    def set_limits(self, max_length: int, cache: int) -> None:
        """Change the limits of the length penalty, in tokens; raise ValueError where they were given before."""
        self._limits.set(max_length, cache)

    def must_pay_perfect(self, kind: str) -> bool:
        """Whether a perfect answer must earn the maximum: not where a foreign grader decides, or nothing does."""
        return kind != "text" and self.correctness is None and self.math.must_pay_perfect(kind)

    def grade(self, batch: Batch) -> list[Grade]:
        """Return the sum for each completion, with the reason of its most telling part."""
        return self.judge(batch).grades

    def judge(self, batch: Batch) -> Graded:
        """Return the sums and the parts of them."""
        parts = self.grade_parts(batch)
        return Graded(self.sum(parts), parts.named())

    def _log(self, graded: Graded, reasons: Sequence[Reason], hooks: Hooks) -> None:
        """Log every part as ``NAME/PART``."""
        for part, grades in graded.parts.items():
            values = [grade.value for grade in grades]
            self._means.log(hooks, part_column(self.name, part), values)
            log_values(hooks, part_column(self.name, part), values)
        log_reasons(hooks, self.name, reasons)

    def grade_parts(self, batch: Batch) -> Parts:
        """Grade each part of the sum apart, each with its reasons; evaluation reports them so."""
        batch = self._with_kinds(batch)
        formats = self.format.grade(batch)
        return Parts(
            format=formats,
            correctness=self._grade_correctness(batch, formats),
            length=self._limits.grade(batch, self.name) if self._limits.current else None,
            language=self._grade_language(batch) if self.weights.language else None,
        )

    def _with_kinds(self, batch: Batch) -> Batch:
        tests = batch.tests(known_only=True) or [None] * len(batch)
        inferred = ["math" if row is None else "code" for row in tests]
        kinds = [kind or guess for kind, guess in zip(batch.kinds(), inferred, strict=True)]
        return batch.with_columns(kind=kinds)

    def _grade_correctness(self, batch: Batch, formats: Sequence[Grade]) -> list[Grade]:
        if self.correctness is not None:
            return call_reward(self.correctness, batch)
        # A completion whose format failed earns nothing: an empty one in its place has its reference read
        # (unreadable is None, whatever the completion) and costs no verification.
        gated = batch.with_completions(
            [completion if form.value else "" for completion, form in zip(batch.completions, formats, strict=True)]
        )
        grades = [Grade(None, Reason.OTHER_KIND)] * len(batch)
        kinds = set(batch.column("kind"))
        for kind, verifier in (("math", lambda: self.math), ("code", self.code)):
            if kind in kinds:
                graded = verifier().grade(gated)
                grades = [
                    new if new.reason is not Reason.OTHER_KIND else old for old, new in zip(grades, graded, strict=True)
                ]
        return grades

    def code(self) -> Reward:
        """Return the reward that grades rows of kind ``code``; made at first use, since it probes the sandbox."""
        if self._code is None:
            from magistral_recipe.rewards.code import CodeCorrectness

            self._code = CodeCorrectness(thinking=self.thinking)
        return self._code

    def _grade_language(self, batch: Batch) -> list[Grade]:
        if self._language is None:
            from magistral_recipe.rewards.language import LanguageConsistency

            self._language = LanguageConsistency(thinking=self.thinking)
        return call_reward(self._language, batch)

    def sum(self, parts: Parts) -> list[Grade]:
        """Return the sum for each completion, from its parts."""
        return [self._sum_row(parts, row) for row in range(len(parts.format))]

    def _sum_row(self, parts: Parts, row: int) -> Grade:
        form, correct = parts.format[row], parts.correctness[row]
        if correct.value is None and correct.reason is not Reason.OTHER_KIND:
            return correct
        if not form.value:
            return Grade(0.0, form.reason)
        total = self.weights.format + self.weights.correctness * (correct.value or 0.0)
        if parts.length is not None:
            total += parts.length[row].value or 0.0
        if parts.language is not None:
            total += self.weights.language * (parts.language[row].value or 0.0)
        return Grade(total, form.reason if correct.reason is Reason.OTHER_KIND else correct.reason)


def call_reward(reward: Callable[..., Sequence[float | None]], batch: Batch) -> list[Grade]:
    """Grade a batch with any reward of TRL's signature.

    A value of ``None`` from a foreign reward counts as a reference that it could not use.

    Raises:
        ValueError: where it returns another number of values than there are completions.
    """
    if isinstance(reward, Reward):
        return reward.grade(reward.decoded(batch))
    values = reward(
        prompts=batch.prompts,
        completions=batch.completions,
        completion_ids=batch.completion_ids,
        trainer_state=batch.trainer_state,
        **_wanted_hooks(reward, batch.hooks),
        **batch.columns,
    )
    if len(values) != len(batch):
        raise ValueError(f"the reward {reward!r} returned {len(values)} values for {len(batch)} completions")
    return [_foreign_grade(value) for value in values]


def _wanted_hooks(reward: Callable[..., Any], hooks: Hooks) -> dict[str, Any]:
    """The functions to log with that a reward takes; they do nothing where nobody listens."""
    try:
        parameters = inspect.signature(reward).parameters.values()
    except (TypeError, ValueError):  # built into the interpreter
        return {}
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    given = {name: function or _nobody_listens for name, function in hooks._asdict().items()}
    names = {parameter.name for parameter in parameters}
    return {name: function for name, function in given.items() if takes_any or name in names}


def _nobody_listens(name: str, value: Any) -> None:
    """Stand for a trainer's function to log with."""


def _plain(argument: str, reward: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """Return a reward that can be called as it is; raise ValueError for one that is awaited, or a class of rewards."""
    function: Any = reward
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
        raise ValueError(
            f"{argument}: {name!r} is a coroutine function, and a sum awaits nothing; give a plain function, or "
            "hand it to the trainer beside this reward"
        )
    if isinstance(function, type):
        raise ValueError(f"{argument}: {name!r} is a class; give an instance, {name}(...)")
    if function is not None and not callable(function):
        raise ValueError(f"{argument}: {function!r} is no function")
    return reward


def _foreign_grade(value: float | None) -> Grade:
    if value is None or math.isnan(value):
        return Grade(None, Reason.UNREADABLE_REFERENCE)
    if value >= 1:
        return Grade(float(value), Reason.RIGHT)
    return Grade(float(value), Reason.PARTLY_RIGHT if value > 0 else Reason.WRONG)


magistral_reward = MagistralReward()
