"""Calling rewards: while others are still being written, with the time they take, and by name when they fail.

TRL calls rewards once, after the whole batch was generated. Here a group's completions go to the rewards as soon
as they exist, in one thread (verifiers work in processes of their own, so the thread mostly waits); TRL's own
pass over the rewards then finds the values ready.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import math
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch

from magistral_recipe import own_code
from magistral_recipe.errors import RunError
from magistral_recipe.foreign import called, late

logger = logging.getLogger(__name__)

RewardFunction = Callable[..., Sequence[float | None]]


@dataclass
class RewardScores:
    """What plain rewards said about some completions.

    Attributes:
        values: one list a reward, by its place.
        columns: what `log_extra` was given, by column name.
        metrics: what `log_metric` was given, by name.
        seconds: time spent in rewards.
    """

    values: dict[int, list[float | None]] = field(default_factory=dict)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0

    def in_order(self, rows: Sequence[int]) -> RewardScores:
        """Sort the values by completion.

        Args:
            rows: the place of each value's completion.

        Returns:
            The same scores, the first completion's first.
        """
        order = sorted(range(len(rows)), key=rows.__getitem__)
        return RewardScores(
            {index: [values[i] for i in order] for index, values in self.values.items()},
            {name: [column[i] for i in order] for name, column in self.columns.items()},
            self.metrics,
            self.seconds,
        )


class Scorer:
    """Calls the plain rewards of a trainer; TRL calls models, and awaits coroutines through a check of their answers.

    Args:
        functions: all rewards, in TRL's order.
        names: their names, for messages.
        seconds: how long a reward may take for one call; ``None`` for as long as it likes.
    """

    def __init__(self, functions: Sequence[Any], names: Sequence[str], seconds: float | None = None) -> None:
        self._seconds = seconds
        self._running = ""
        self._awaited = {i: f for i, f in enumerate(functions) if _is_awaited(f)}
        self._plain = {
            i: f for i, f in enumerate(functions) if i not in self._awaited and not isinstance(f, torch.nn.Module)
        }
        self._names = list(names)
        self._executor: ThreadPoolExecutor | None = None
        self._early: list[tuple[int, Future[RewardScores]]] = []

    @property
    def all_plain(self) -> bool:
        """Whether no reward is a model or a coroutine, so that chunks can be scored early."""
        return len(self._plain) == len(self._names)

    @property
    def by_completion(self) -> bool:
        """Whether every reward says that it looks at one completion at a time (`by_completion`)."""
        return all(getattr(function, "by_completion", False) for function in self._plain.values())

    def submit(self, count: int, arguments: Mapping[str, Any]) -> None:
        """Start scoring a chunk in the background; chunks are scored in the order of their submission.

        Args:
            count: completions in the chunk.
            arguments: what TRL would pass to a reward, for this chunk.
        """
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="verification")
        self._early.append((count, self._executor.submit(self.score, count, arguments)))

    def collect(self, count: int) -> RewardScores | None:
        """Wait for the submitted chunks and join them.

        Args:
            count: completions in all.

        Returns:
            The joined scores; ``None`` where nothing was submitted.

        Raises:
            RunError: if a reward failed, as `score` says.
        """
        early, self._early = self._early, []
        if not early:
            return None
        scores = [(size, self._answer(future)) for size, future in early]
        if sum(size for size, _ in scores) != count:
            raise RunError(f"{sum(size for size, _ in scores)} completions were scored early, but {count} are wanted")
        return _join(scores)

    def _answer(self, future: Future[RewardScores]) -> RewardScores:
        """Wait for a chunk; its rewards run in another thread, which can't be interrupted, but left behind."""
        try:
            return future.result(self._seconds and self._seconds * max(len(self._plain), 1))
        except TimeoutError:
            raise RunError(late(f"reward '{self._running}'", self._seconds or 0.0)) from None

    def score(self, count: int, arguments: Mapping[str, Any]) -> RewardScores:
        """Call every plain reward.

        Args:
            count: completions.
            arguments: TRL's keyword arguments, without `log_extra` and `log_metric`.

        Returns:
            The scores.

        Raises:
            RunError: if a reward raises, returns the wrong length, or what is no finite number; or if it logs a
                column of the wrong length.
        """
        scores = RewardScores()
        started = time.perf_counter()
        logging_arguments = _logging_into(scores)
        for index, function in self._plain.items():
            name = self._running = self._names[index]
            try:
                call = functools.partial(function, **arguments, **logging_arguments)
                values = called(f"reward '{name}'", self._seconds, call)
            except RunError:
                raise
            except Exception as error:
                raise _raised(name, error, function, count, arguments) from error
            scores.values[index] = _checked(name, values, count)
            check_columns(scores.columns, count, f"reward '{name}' has logged")
        scores.seconds = time.perf_counter() - started
        return scores

    def probe(self, count: int, arguments: Mapping[str, Any], loop: asyncio.AbstractEventLoop | None) -> None:
        """Call every reward that is a function once, coroutines too, to find a broken one.

        Args:
            count: completions.
            arguments: as for `score`.
            loop: where coroutines run; ``None`` where there are none.

        Raises:
            RunError: as `score` says.
        """
        self.score(count, arguments)
        if loop is None:
            return
        for index in self._awaited:
            answer = self._awaiting(index)(**arguments, **_logging_into(RewardScores()))
            asyncio.run_coroutine_threadsafe(answer, loop).result()

    def replay(self, functions: Sequence[Any], scores: RewardScores) -> list[Any]:
        """Stand-ins for TRL's own pass: plain rewards answer from `scores`, coroutines are checked, models stay.

        Args:
            functions: all rewards, in TRL's order.
            scores: what `score` or `collect` returned.

        Returns:
            One callable or model a reward.
        """
        stand_ins: list[Any] = []
        for index, function in enumerate(functions):
            if index in self._plain:
                stand_ins.append(_Replayed(scores, index, logs=index == min(self._plain)))
            else:
                stand_ins.append(self._awaiting(index) if index in self._awaited else function)
        return stand_ins

    def _awaiting(self, index: int) -> Callable[..., Coroutine[Any, Any, list[float | None]]]:
        name, function = self._names[index], self._awaited[index]

        async def reward(**arguments: Any) -> list[float | None]:
            try:
                values = await asyncio.wait_for(function(**arguments), self._seconds)
            except TimeoutError:
                raise RunError(late(f"reward '{name}'", self._seconds or 0.0)) from None
            except (Exception, SystemExit) as error:
                raise _raised(name, error) from error
            return _checked(name, values, len(arguments["completions"]))

        return reward


def check_columns(columns: Mapping[str, Sequence[Any]], count: int, who: str) -> None:
    """Refuse logged columns that do not hold one value a completion: they would be read for the wrong ones.

    Args:
        columns: what rewards logged, by name.
        count: completions.
        who: what to say about whose they are.

    Raises:
        RunError: naming the column.
    """
    for column, values in columns.items():
        if len(values) != count:
            raise RunError(
                f"{who} {len(values)} values of '{column}' for {count} completions: "
                "log one each, under a name that no other reward logs"
            )


def reward_records(functions: Sequence[Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return what rewards say of themselves, as a report reads it.

    Args:
        functions: all rewards, in TRL's order.
        names: their names.

    Returns:
        One record a reward: its facts where it has a method `facts`, as this package's rewards do, else its name.
    """
    records = []
    for function, name in zip(functions, names, strict=True):
        facts = getattr(function, "facts", None)
        records.append({**(facts().to_json() if callable(facts) else {}), "name": name})
    return records


class _Replayed:
    """A reward that has already answered."""

    def __init__(self, scores: RewardScores, index: int, logs: bool) -> None:
        self._scores, self._index, self._logs = scores, index, logs

    def __call__(
        self,
        *,
        log_extra: Callable[[str, list[Any]], None],
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float | None]:
        if self._logs:
            for column, values in self._scores.columns.items():
                log_extra(column, values)
            for metric, numbers in self._scores.metrics.items():
                for number in numbers:
                    log_metric(metric, number)
        return self._scores.values[self._index]


def _is_awaited(function: Any) -> bool:
    """Whether TRL would await its answer: a coroutine function, an object that is called like one, or a partial."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, torch.nn.Module):
        return False
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - the method itself is looked at
    )


def _logging_into(scores: RewardScores) -> dict[str, Callable[[str, Any], None]]:
    def log_metric(metric: str, value: float) -> None:
        # NaN is what a part logs to which no row has applied yet, for trainers that need every name from every process.
        # This one needs none, and would lose the other processes' means to it.
        if not math.isnan(value):
            scores.metrics.setdefault(metric, []).append(value)

    return {
        "log_extra": lambda column, values: scores.columns.setdefault(column, []).extend(values),
        "log_metric": log_metric,
    }


def _raised(
    name: str,
    error: BaseException,
    function: Any = None,
    count: int = 0,
    arguments: Mapping[str, Any] | None = None,
) -> RunError:
    return RunError(own_code.reward_failure(name, error, function, count, arguments or {}))


def _checked(name: str, values: Any, count: int) -> list[float | None]:
    """Return a reward's answer as numbers, one a completion."""
    try:
        values = list(values)
    except TypeError:
        raise RunError(f"reward '{name}' returned {values!r:.60} instead of a list of numbers") from None
    if len(values) != count:
        raise RunError(f"reward '{name}' returned {len(values)} values for {count} completions")
    numbers: list[float | None] = []
    for place, value in enumerate(values):
        try:
            finite = value is None or not math.isinf(value)
            numbers.append(None if value is None else float(value))
        except (TypeError, ValueError, ArithmeticError, RuntimeError):  # text, a list, a number out of bounds
            raise RunError(
                f"reward '{name}' returned {value!r:.60} for completion {place}, not a number or None"
            ) from None
        if not finite:
            raise RunError(f"reward '{name}' returned {value} for completion {place}")
    lost = sum(number is not None and math.isnan(number) for number in numbers)
    if lost:
        logger.info("reward '%s' returned NaN for %d of %d completions", name, lost, count)
        logger.warning("reward '%s' returns NaN, which counts as None: nothing is learnt from those completions", name)
    return numbers


def _join(parts: Sequence[tuple[int, RewardScores]]) -> RewardScores:
    whole = RewardScores(seconds=sum(scores.seconds for _, scores in parts))
    columns = {name for _, scores in parts for name in scores.columns}
    for size, scores in parts:
        for index, values in scores.values.items():
            whole.values.setdefault(index, []).extend(values)
        for column in sorted(columns):
            whole.columns.setdefault(column, []).extend(scores.columns.get(column, [None] * size))
    for name in sorted({name for _, scores in parts for name in scores.metrics}):
        # A chunk's figure is a mean over its completions, so a joint figure weighs chunks by their size.
        sized = [(size, scores.metrics[name]) for size, scores in parts if name in scores.metrics]
        total = sum(size for size, _ in sized)
        whole.metrics[name] = [sum(size * sum(v) / len(v) for size, v in sized) / total]
    return whole
