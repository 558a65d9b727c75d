"""What every reward shares: the call that TRL makes, columns, reasons, and the watch over failures.

A reward is a `Reward` with one method to write, `grade`: from a `Batch` to one `Grade` a completion.
The base turns that into TRL's signature, logs, and keeps the three kinds of answer apart: a completion
earns a number, an unreadable reference or a broken machine gives ``None``, a caller's mistake raises.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

from magistral_recipe.errors import RunError
from magistral_recipe.rewards.decoding import Tokenizer, decoded, tokenizer_of
from magistral_recipe.rewards.facts import RewardFacts, reason_column
from magistral_recipe.writing.completions import completion_texts
from magistral_recipe.writing.thinking import Thinking

logger = logging.getLogger(__name__)

KINDS = ("math", "code", "text")


class Reason(StrEnum):
    """Why a completion earned what it earned: a small closed set, so that a report can count them."""

    RIGHT = "right"
    WRONG = "wrong"
    PARTLY_RIGHT = "partly_right"
    WELL_FORMED = "well_formed"
    MALFORMED = "malformed"
    BLANK_THOUGHTS = "blank_thoughts"
    BLANK_ANSWER = "blank_answer"
    CUT = "cut"
    NO_BOX = "no_box"
    SEVERAL_BOXES = "several_boxes"
    HEDGE = "hedge"
    RESTATED = "restated"
    UNREADABLE = "unreadable"
    GRADER_ERROR = "grader_error"
    NO_CODE = "no_code"
    COMPILE_ERROR = "compile_error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASHED = "crashed"
    OUTPUT_LIMIT = "output_limit"
    WITHIN_LIMITS = "within_limits"
    OVERLONG = "overlong"
    REPETITIVE = "repetitive"
    SAME_LANGUAGE = "same_language"
    WRONG_LANGUAGE = "wrong_language"
    MIXED_LANGUAGES = "mixed_languages"
    TOO_SHORT = "too_short"
    OTHER_KIND = "other_kind"
    UNREADABLE_REFERENCE = "unreadable_reference"
    WORKER_FAILED = "worker_failed"
    SANDBOX_FAILED = "sandbox_failed"


MACHINE_REASONS = frozenset({Reason.WORKER_FAILED, Reason.SANDBOX_FAILED})
_CUTTABLE = frozenset({Reason.MALFORMED, Reason.BLANK_THOUGHTS, Reason.BLANK_ANSWER, Reason.NO_BOX, Reason.NO_CODE})


class Grade(NamedTuple):
    """What one completion earned, ``None`` where the reward does not apply, and why."""

    value: float | None
    reason: Reason


def column(columns: Mapping[str, Any], name: str, count: int) -> list[Any]:
    """Return a column that the caller must have given.

    Args:
        columns: the keyword arguments that hold the data set's columns.
        name: the one wanted.
        count: how many values it must have, one a completion.

    Returns:
        Its values.

    Raises:
        ValueError: where it is missing or of another length.
    """
    values = optional_column(columns, name, count)
    if values is None:
        given = ", ".join(sorted(columns)) or "none"
        raise ValueError(f"missing column {name!r}; the columns given are: {given}")
    return values


def optional_column(columns: Mapping[str, Any], name: str, count: int) -> list[Any] | None:
    """Return a column, or ``None`` where the caller gave none; raise ValueError where its length is wrong."""
    values = columns.get(name)
    if values is None:
        return None
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ValueError(f"column {name!r} must be a list with one value a completion, not {type(values).__name__}")
    values = list(values)
    if len(values) != count:
        raise ValueError(f"column {name!r} has {len(values)} values for {count} completions")
    return values


@dataclass(frozen=True)
class Batch:
    """The arguments of one call to a reward.

    Attributes:
        completions: in any shape that `completion_texts` reads.
        prompts: strings or lists of messages, where given.
        completion_ids: the token ids of each completion, where given.
        columns: the data set's columns, one value a completion.
        trainer_state: TRL's, where a trainer calls.
    """

    completions: Sequence[Any]
    prompts: Sequence[Any] | None = None
    completion_ids: Sequence[Sequence[int]] | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    trainer_state: Any = None

    def __len__(self) -> int:
        return len(self.completions)

    def texts(self, thinking: Thinking | None) -> list[str]:
        """Return the text of each completion, tags included."""
        return completion_texts(self.completions, thinking)

    def column(self, name: str) -> list[Any]:
        """Return a column that must be there; see `column`."""
        return column(self.columns, name, len(self))

    def optional_column(self, name: str) -> list[Any] | None:
        """Return a column or ``None``."""
        return optional_column(self.columns, name, len(self))

    def kinds(self, default: str | None = None) -> list[str | None]:
        """Return each row's ``kind``, `default` where the column or its value is missing.

        Raises:
            ValueError: for a kind that is not one of `KINDS`, naming the row.
        """
        values = self.optional_column("kind")
        if values is None:
            return [default] * len(self)
        for row, value in enumerate(values):
            if value is not None and value not in KINDS:
                raise ValueError(f"kind[{row}]: {value!r} is none of {', '.join(KINDS)}")
        return [default if value is None else value for value in values]

    def with_completions(self, completions: Sequence[Any]) -> Batch:
        """Return the same batch with other completions."""
        return replace(self, completions=completions)

    def with_columns(self, **columns: Any) -> Batch:
        """Return the same batch with some columns replaced."""
        return replace(self, columns={**self.columns, **columns})


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

    Attributes:
        part: which of `facts.AXES` its value is; ``None`` for a sum, and for what is none of them.
        parts: the parts of a sum, each logged as ``NAME/PART``.
        maximum: what a perfect completion earns.
        decides: whether its value says that a completion is right (``maximum``) or wrong (less); of a sum, whether
            its part `correctness` does.
        pays_perfect: whether a perfect answer that can be made from a problem's reference must earn ``maximum``; where
            that depends on the problem, override `must_pay_perfect`.
        expects_thoughts: whether a completion without the tags can't earn what it could.

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

    def __init__(
        self, name: str | None = None, thinking: Thinking | None = None, tokenizer: Tokenizer | None = None
    ) -> None:
        self.name = name or self.default_name
        self.__name__ = self.name  # TRL names the reward by it
        self.thinking = thinking
        self.tokenizer = tokenizer_of(tokenizer)
        self._watch = FailureWatch(self.name)
        self._tags_watched = thinking is not None and self.expects_thoughts

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
            prompts: strings or lists of messages, one a completion.
            completions: strings or lists of messages.
            completion_ids: token ids of each completion.
            log_metric: takes the name and the mean of each part, where a row applies.
            log_extra: takes the name and the values of each column to log.
            trainer_state: the trainer's state, whose ``global_step`` seeds draws.
            **columns: the data set's columns, one value a completion.

        Returns:
            One value a completion, in order; ``None`` where the reward does not apply.

        Raises:
            ValueError: for a missing column or a shape that no completion has.
            RunError: once the machine lost more than 1% of the last 1,000 completions.
        """
        batch = self.batch(prompts, completions, completion_ids, trainer_state, columns)
        grades = self.grade(batch)
        self.observe(batch, grades)
        self._log(grades, mark_cut(batch, grades), log_metric, log_extra)
        return [grade.value for grade in grades]

    def batch(
        self,
        prompts: Sequence[Any] | None,
        completions: Sequence[Any] | None,
        completion_ids: Sequence[Sequence[int]] | None,
        trainer_state: Any,
        columns: Mapping[str, Any],
    ) -> Batch:
        """Gather the arguments of a call; raise ValueError where their lengths differ."""
        if completions is None:
            raise ValueError(f"{self.name}: missing argument 'completions'")
        for argument, values in (("prompts", prompts), ("completion_ids", completion_ids)):
            if values is not None and len(values) != len(completions):
                raise ValueError(f"{argument} has {len(values)} values for {len(completions)} completions")
        batch = self.decoded(Batch(completions, prompts, completion_ids, columns, trainer_state))
        self._watch_tags(batch)
        return batch

    def decoded(self, batch: Batch) -> Batch:
        """Return the batch with completions read from their token ids, where there are ids and a tokenizer."""
        if self.tokenizer is None or batch.completion_ids is None:
            return batch
        return batch.with_completions(decoded(batch.completions, batch.completion_ids, self.tokenizer, self.thinking))

    def _watch_tags(self, batch: Batch) -> None:
        """Say once that a whole batch has no tag; a tag that was seen once settles that they arrive."""
        if not self._tags_watched or self.thinking is None:
            return
        texts = batch.texts(self.thinking)
        if not any(text.strip() for text in texts):  # a trainer's trial call
            return
        self._tags_watched = False
        opening, closing = self.thinking.open, self.thinking.close
        if any(opening in text or closing in text for text in texts):
            return
        lost = (
            "If they are special tokens of its tokenizer, TRL's trainers have dropped them from the text: give the "
            "reward `tokenizer=`. "
        )
        logger.warning(
            "%s: none of %d completions has a thinking tag, %s or %s, so none has an answer to grade. %sIf the model "
            "writes other tags, give `thinking=`; if it has not learnt them yet, this may pass.",
            self.name, len(texts), opening, closing, "" if self.tokenizer else lost,
        )  # fmt: skip

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

    def _log(
        self,
        grades: Sequence[Grade],
        reasons: Sequence[Reason],
        log_metric: Callable[[str, float], None] | None,
        log_extra: Callable[[str, list[Any]], None] | None,
    ) -> None:
        log_mean(log_metric, f"{self.name}/mean", [grade.value for grade in grades])
        log_reasons(log_extra, self.name, reasons)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        del state["_watch"]  # holds a lock, and its counts belong to this process
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._watch = FailureWatch(self.name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"


def mark_cut(batch: Batch, grades: Sequence[Grade]) -> list[Reason]:
    """Return the reasons, `Reason.CUT` where the column ``truncated`` explains what is missing."""
    truncated = batch.optional_column("truncated") or [False] * len(batch)
    return [
        Reason.CUT if cut and grade.reason in _CUTTABLE else grade.reason
        for cut, grade in zip(truncated, grades, strict=True)
    ]


def log_reasons(log_extra: Callable[[str, list[Any]], None] | None, name: str, reasons: Sequence[Reason | str]) -> None:
    """Log one reason a completion as the column ``NAME/reason``."""
    if log_extra is not None:
        log_extra(reason_column(name), [str(reason) for reason in reasons])


def log_mean(log_metric: Callable[[str, float], None] | None, name: str, values: Sequence[float | None]) -> None:
    """Log the mean of the values that apply; nothing where none does."""
    applicable = [value for value in values if value is not None]
    if log_metric is not None and applicable:
        log_metric(name, sum(applicable) / len(applicable))


class FailureWatch:
    """Counts reasons, and refuses to go on once the machine loses more than 1% of recent completions.

    Args:
        name: the reward's, for messages.
    """

    window = 1000
    share = 0.01

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: Counter[Reason] = Counter()
        self._recent: deque[bool] = deque(maxlen=self.window)
        self._lock = threading.Lock()

    def record(self, batch: Batch, grades: Sequence[Grade]) -> None:
        """Count a batch's reasons and hold the machine's failures against the limit.

        Raises:
            RunError: once more than 1% of the last 1,000 completions were lost to the machine.
        """
        with self._lock:
            for row, grade in enumerate(grades):
                self._mention_first(batch, row, grade.reason)
                self.counts[grade.reason] += 1
                if grade.reason is not Reason.OTHER_KIND:
                    self._recent.append(grade.reason in MACHINE_REASONS)
            lost = sum(self._recent)
            if lost > self.window * self.share:
                raise RunError(
                    f"{self.name}: {lost} of the last {len(self._recent)} completions could not be graded because "
                    "workers or the sandbox failed; `magistral-recipe doctor` says what this machine lacks"
                )

    def _mention_first(self, batch: Batch, row: int, reason: Reason) -> None:
        if self.counts[reason]:
            return
        if reason in MACHINE_REASONS:
            example = str(batch.completions[row])[-200:]
            logger.warning(
                "%s: %s, completion not graded (further ones are only counted): %r", self.name, reason, example
            )
        elif reason is Reason.UNREADABLE_REFERENCE:
            columns = ("answer", "tests", "language", "problem")
            found = {name: batch.columns[name][row] for name in columns if batch.columns.get(name) is not None}
            logger.warning(
                "%s: unreadable reference, row skipped (further ones are only counted): %.300r", self.name, found
            )
