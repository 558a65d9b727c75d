"""What every reward shares: the call that TRL makes, columns, reasons, and the watch over failures.

A reward is a `Reward` with one method to write, `grade`: from a `Batch` to one `Grade` a completion.
The base turns that into TRL's signature, logs, and keeps the three kinds of answer apart: a completion
earns a number, an unreadable reference or a broken machine gives ``None``, a caller's mistake raises.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple, Self

from magistral_recipe.rewards.batch import Batch, ForeignColumns, Hooks
from magistral_recipe.rewards.decoding import Tokenizer, decoded, tokenizer_of
from magistral_recipe.rewards.facts import RewardFacts
from magistral_recipe.rewards.logs import Means, log_reasons, mark_cut
from magistral_recipe.rewards.reasons import MACHINE_REASONS, Grade, Reason, Score
from magistral_recipe.rewards.threads import in_thread
from magistral_recipe.rewards.watch import FailureWatch, MalformedWatch
from magistral_recipe.writing.thinking import Thinking

__all__ = ["MACHINE_REASONS", "Batch", "Grade", "Graded", "Reason", "Reward", "Score"]


class Graded(NamedTuple):
    """A batch as a reward graded it.

    Attributes:
        grades: one a completion.
        parts: of a sum, the grades of each part that is configured, by name.
    """

    grades: list[Grade]
    parts: Mapping[str, list[Grade]] = {}


class Reward(ABC):
    """Base of the rewards: write `grade`, say what the reward is, get TRL's reward function.

    A new reward is a class with `grade` and those of the attributes below that are not as they stand here:

        class Exact(Reward):
            default_name = "exact"    # how logs call it
            part = "correctness"      # which axis of the paper; None if it is none of them
            decides = True            # maximum says right, anything less says wrong
            pays_perfect = True       # `check` stops a run whose perfect answers don't earn maximum (here 1.0)

            def grade(self, batch: Batch) -> list[Grade]:
                pairs = zip(batch.texts(self.thinking), batch.column("answer"), strict=True)
                return [Grade(1.0, Reason.RIGHT) if a == b else Grade(0.0, Reason.WRONG) for a, b in pairs]

    The wiring proof, the trainer and the report go by these facts alone, never by the name of a class. A reward that
    is no `Reward`, any function with TRL's signature, has none of them: it trains, and its values are shown.

    Args:
        name: tells two instances of a class apart in logs; the class's ``default_name`` if ``None``.
        thinking: the tags between thoughts and answer; ``None`` grades the whole text.
        tokenizer: the model's, where the tags are special tokens that a trainer drops from the text: completions are
            then read from `completion_ids`, special tokens kept, stop and padding tokens dropped. Without ids, as
            when a file is graded, the text counts.
        strict: make values of a column that mean something else (a ``kind`` that is none) errors. Else they count as
            absent, and a warning says so once.

    Attributes:
        part: which of `facts.AXES` its value is; ``None`` for a sum, and for what is none of them.
        parts: the parts of a sum, each logged as ``NAME/PART``.
        maximum: what a perfect completion earns.
        decides: whether its value says that a completion is right (``maximum``) or wrong (less); of a sum, whether
            its part `correctness` does.
        pays_perfect: whether a perfect answer that can be made from a problem's reference must earn ``maximum``; where
            that depends on the problem, override `must_pay_perfect`.
        expects_thoughts: whether a completion without the tags can't earn what it could.
        by_completion: whether it looks at one completion at a time, so that a trainer may call it for each as it ends.

    Raises:
        ValueError: for a tokenizer that can't decode.
    """

    default_name: str = "reward"
    part: ClassVar[str | None] = None
    parts: ClassVar[tuple[str, ...]] = ()
    maximum: float = 1.0
    decides: ClassVar[bool] = False
    pays_perfect: ClassVar[bool] = False
    expects_thoughts: bool = True
    by_completion: ClassVar[bool] = True
    answer_column: str | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make an instance; a call with completions is a slip, the class in place of an instance."""
        named = "completions" in kwargs or "completion" in kwargs
        listed = bool(args) and isinstance(args[0], (list, tuple))  # ms-swift has completions first
        if named or (listed and not kwargs.keys() <= inspect.signature(cls.__init__).parameters.keys()):
            from magistral_recipe import rewards

            ready = cls.default_name
            example = f"`{ready}` or `{cls.__name__}()`" if hasattr(rewards, ready) else f"`{cls.__name__}(...)`"
            raise TypeError(f"{cls.__name__} is a class, not a reward: pass an instance, e.g. {example}")
        return super().__new__(cls)

    def __init__(
        self,
        name: str | None = None,
        thinking: Thinking | None = None,
        tokenizer: Tokenizer | None = None,
        strict: bool = False,
    ) -> None:
        self.name = name or self.default_name
        self.__name__ = self.name  # TRL names the reward by it
        self.thinking = thinking
        self.tokenizer = tokenizer_of(tokenizer)
        self.strict = strict
        self._start_watching()

    def _start_watching(self) -> None:
        self._watch = FailureWatch(self.name)
        self._means = Means()
        self._foreign = None if self.strict else ForeignColumns(self.name)
        watched = self.thinking if self.expects_thoughts else None
        self._malformed = (
            None if watched is None else MalformedWatch(self.name, watched, decodes=self.tokenizer is not None)
        )

    @abstractmethod
    def grade(self, batch: Batch) -> list[Grade]:
        """Grade each completion of a batch, in order."""

    def must_pay_perfect(self, kind: str) -> bool:
        """Whether a perfect answer to a problem of a kind (one of `KINDS`) must earn ``maximum``."""
        return self.pays_perfect

    @property
    def has_limits(self) -> bool:
        """Whether a schedule may set its limits of length: whether it has a method `set_limits`."""
        return callable(getattr(self, "set_limits", None))

    def facts(self) -> RewardFacts:
        """Return what is written into a run's folder about the reward."""
        return RewardFacts(self.name, self.part, self.parts, self.maximum, self.decides, self.has_limits)

    def __call__(
        self,
        *positional: Any,
        prompts: Sequence[Any] | None = None,
        completions: Sequence[Any] | None = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        trainer_state: Any = None,
        **columns: Any,
    ) -> list[float | None]:
        """Score completions as TRL's trainers ask for it.

        Args:
            *positional: completions; or prompts, completions and perhaps their ids, in this order.
            prompts: strings or lists of messages, one a completion.
            completions: strings or lists of messages.
            completion_ids: token ids of each completion.
            log_metric: takes the name and the mean of each part, on every call.
            log_extra: takes the name and the values of each column to log.
            trainer_state: the trainer's state, whose ``global_step`` seeds draws.
            **columns: the data set's columns, one value a completion.

        Returns:
            One value a completion, in order; ``None`` where the reward does not apply.

        Raises:
            ValueError: for a missing column or a shape that no completion has.
            RunError: once the machine lost more than 1% of the last 1,000 completions.
        """
        named = {"prompts": prompts, "completions": completions, "completion_ids": completion_ids}
        prompts, completions, completion_ids = self._in_order(positional, named)
        hooks = Hooks(log_metric, log_extra)
        batch = self.batch(prompts, completions, completion_ids, trainer_state, columns, hooks)
        graded = self.judge(batch)
        self.observe(batch, graded.grades)
        self._log(graded, mark_cut(batch, graded.grades), hooks)
        return [grade.value for grade in graded.grades]

    def _in_order(self, positional: Sequence[Any], named: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Give arguments without a name theirs."""
        lone = len(positional) == 1 and named["completions"] is None
        names = ["completions"] if lone else list(named)
        if len(positional) > len(names):
            raise TypeError(f"{self.name} takes prompts, completions and completion_ids by position, the rest by name")
        for name, value in zip(names, positional, strict=False):
            if named[name] is not None:
                raise TypeError(f"{self.name}: {name!r} was given twice")
            named[name] = value
        return named["prompts"], named["completions"], named["completion_ids"]

    def score(
        self,
        completion: Any,
        answer: Any = None,
        prompt: Any = None,
        *,
        completion_ids: Sequence[int] | None = None,
        **columns: Any,
    ) -> Score:
        """Score one completion.

        Args:
            completion: a string, a message, or a list of messages.
            answer: its reference, where the reward needs one.
            prompt: a string or a list of messages. Without it, and without a column ``language`` or ``problem``, the
                language of the problem is unknown, and that part does not apply.
            completion_ids: its token ids.
            **columns: the row's other columns, one value each.

        Returns:
            The score, whose value is a number always.

        Raises:
            ValueError: as the call on a batch.
            RunError: as the call on a batch.
        """
        if answer is not None:
            columns[self.answer_column or "answer"] = answer
        return self.scores(
            [[completion] if isinstance(completion, Mapping) else completion],
            None if prompt is None else [prompt],
            None if completion_ids is None else [completion_ids],
            {name: [value] for name, value in columns.items()},
        )[0]

    async def ascore(
        self,
        completion: Any,
        answer: Any = None,
        prompt: Any = None,
        *,
        completion_ids: Sequence[int] | None = None,
        **columns: Any,
    ) -> Score:
        """Score one completion in a thread, so that the event loop goes on; see `score`."""
        return await in_thread(
            partial(self.score, completion, answer, prompt, completion_ids=completion_ids, **columns)
        )

    def scores(
        self,
        completions: Sequence[Any],
        prompts: Sequence[Any] | None = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
        trainer_state: Any = None,
    ) -> list[Score]:
        """Score several completions at once, each as `score` does.

        Args:
            completions: strings or lists of messages.
            prompts: one a completion, where there are prompts.
            completion_ids: token ids of each.
            columns: the data set's columns, one value a completion.
            trainer_state: a trainer's, whose ``global_step`` seeds draws.

        Returns:
            One score a completion.

        Raises:
            ValueError: as the call.
            RunError: as the call.
        """
        batch = self.batch(prompts, completions, completion_ids, trainer_state, columns or {}, alone=True)
        graded = self.judge(batch)
        self.observe(batch, graded.grades)
        return [
            Score(
                grade.value or 0.0,
                grade.value is not None,
                reason,
                {part: grades[row].value for part, grades in graded.parts.items()},
            )
            for row, (grade, reason) in enumerate(zip(graded.grades, mark_cut(batch, graded.grades), strict=True))
        ]

    def judge(self, batch: Batch) -> Graded:
        """Grade a batch, and each part of it apart where the reward is a sum."""
        return Graded(self.grade(batch))

    def batch(
        self,
        prompts: Sequence[Any] | None,
        completions: Sequence[Any] | None,
        completion_ids: Sequence[Sequence[int]] | None,
        trainer_state: Any,
        columns: Mapping[str, Any],
        hooks: Hooks | None = None,
        alone: bool = False,
    ) -> Batch:
        """Gather the arguments of a call; raise ValueError where their lengths differ."""
        if completions is None:
            raise ValueError(f"{self.name}: missing argument 'completions'")
        if isinstance(completions, (str, Mapping)):
            raise ValueError("completions must be a list; for one there is `score`")
        for argument, values in (("prompts", prompts), ("completion_ids", completion_ids)):
            if values is not None and len(values) != len(completions):
                raise ValueError(f"{argument} has {len(values)} values for {len(completions)} completions")
        given = Batch(
            completions, prompts, completion_ids, columns, trainer_state, hooks or Hooks(), self._foreign, alone
        )
        batch = self.decoded(given)
        if self._malformed is not None:
            self._malformed.look(batch)
        return batch

    def decoded(self, batch: Batch) -> Batch:
        """Return the batch with completions read from their token ids, where there are ids and a tokenizer."""
        if self.tokenizer is None or batch.completion_ids is None:
            return batch
        return batch.with_completions(decoded(batch.completions, batch.completion_ids, self.tokenizer, self.thinking))

    @property
    def version(self) -> str:
        """The version of the rules that it grades by, see `grader_version`; a trainer writes it beside rollouts."""
        from magistral_recipe.verifiers.version import grader_version

        return grader_version()

    @property
    def counts(self) -> Counter[Reason]:
        """How often each reason was given in this process."""
        return self._watch.counts

    def observe(self, batch: Batch, grades: Sequence[Grade]) -> None:
        """Count the reasons; raise RunError where the machine loses too many completions."""
        self._watch.record(batch, grades)

    def _log(self, graded: Graded, reasons: Sequence[Reason], hooks: Hooks) -> None:
        self._means.log(hooks, f"{self.name}/mean", [grade.value for grade in graded.grades])
        log_reasons(hooks, self.name, reasons)

    def __getstate__(self) -> dict[str, Any]:
        watching = ("_watch", "_means", "_foreign", "_malformed")  # locks, and what belongs to this process
        return {key: value for key, value in self.__dict__.items() if key not in watching}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start_watching()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"
