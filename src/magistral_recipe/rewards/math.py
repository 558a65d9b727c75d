r"""Correctness of mathematics: is the boxed answer the reference? (Magistral §2.2.2)

The paper normalises both and asks several parsers and SymPy. Here numbers, units, lists, intervals and
elementary expressions are compared exactly or to 90 digits in this process, in microseconds; only what is
left goes to SymPy, in worker processes with a limit. Each distinct pair of a batch is compared once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple, TypeVar

from magistral_recipe.rewards.base import Batch, Grade, Reason, Reward
from magistral_recipe.rewards.container import Container, ContainerSpec
from magistral_recipe.rewards.decoding import Tokenizer
from magistral_recipe.verifiers.answers import Rules, Verdict, compare, judge, references_of
from magistral_recipe.verifiers.pool import Outcome, shared_pool
from magistral_recipe.writing.thinking import Thinking

logger = logging.getLogger(__name__)

_DEFAULT_THINKING = Thinking()
_OTHER_KIND = Grade(None, Reason.OTHER_KIND)
_UNREADABLE_REFERENCE = Grade(None, Reason.UNREADABLE_REFERENCE)
_GRADER_ERROR = Grade(0.0, Reason.GRADER_ERROR)
_OUTCOMES = {
    Outcome.EQUAL: Grade(1.0, Reason.RIGHT),
    Outcome.DIFFERENT: Grade(0.0, Reason.WRONG),
    Outcome.UNREADABLE: Grade(0.0, Reason.UNREADABLE),
    Outcome.TIMEOUT: Grade(0.0, Reason.TIMEOUT),
    Outcome.CRASHED: Grade(0.0, Reason.CRASHED),
    Outcome.FAILED: Grade(None, Reason.WORKER_FAILED),
}


class _Task(NamedTuple):
    """What has to be compared: the same for all completions of a group that box the same."""

    references: tuple[str, ...]
    boxes: tuple[str, ...]


class MathCorrectness(Reward):
    r"""1.0 where the boxed answer equals the reference, else 0.0 (Magistral §2.2.2).

    Only the answer part counts. Several boxes that differ are no answer, unless the reference has several
    parts and the boxes together are those; neither is what has yet to be computed, a chain of equations, or a
    choice of answers. ``None`` where the reference is unreadable.

    Args:
        thinking: the tags; ``None`` grades the whole text.
        answer_column: the column of references, by default ``answer``, else ``solution``, else ``ground_truth``: an
            answer or a gold text that holds one (`verifiers.answers.golds`), a number, or a list of them, any one of
            which is right.
        name: how logs call this instance.
        unsimplified: whether arithmetic left to compute (``17 \cdot 23`` for 391) is an answer: refuse or accept.
        rounding: significant digits from which a decimal may stand for the exact value that it rounds.
        container: where the final answer stands in the answer part: ``"boxed"``, a pair of tags, or ``"text"``.
        tokenizer: the model's, where the tags are special tokens that a trainer drops from the text: completions are
            then read from `completion_ids`.
        strict: make values of a column ``kind`` that are none errors, and take references from ``answer`` alone.

    Raises:
        ValueError: for a value that an option does not take.

    Example:
        >>> MathCorrectness()(completions=["<think>half</think>\\boxed{0.5}"], answer=[r"\frac{1}{2}"])
        [1.0]
    """

    default_name = "math_correctness"
    part = "correctness"
    decides = True
    pays_perfect = True

    def __init__(
        self,
        thinking: Thinking | None = _DEFAULT_THINKING,
        answer_column: str | None = None,
        name: str | None = None,
        unsimplified: Literal["refuse", "accept"] = "refuse",
        rounding: int = 6,
        container: ContainerSpec = "boxed",
        tokenizer: Tokenizer | None = None,
        strict: bool = False,
    ) -> None:
        super().__init__(name, thinking, tokenizer, strict)
        if unsimplified not in ("refuse", "accept"):
            raise ValueError(f"unsimplified: {unsimplified!r} is neither 'refuse' nor 'accept'")
        if isinstance(rounding, bool) or not isinstance(rounding, int) or rounding < 1:
            raise ValueError(f"rounding: {rounding!r} is no number of digits; it must be an integer of at least 1")
        self.answer_column = answer_column
        self.container = Container(container)
        self.rules = Rules(unsimplified, rounding)

    def must_pay_perfect(self, kind: str) -> bool:
        """Whether a perfect answer must earn the maximum: those that the wiring proof makes stand in boxes."""
        return self.container.boxed

    def grade(self, batch: Batch) -> list[Grade]:
        """Grade each completion of kind ``math`` against its reference."""
        kinds = batch.kinds(default="math")
        if "math" not in kinds:
            return [_OTHER_KIND] * len(batch)
        texts = batch.texts(self.thinking)
        rows = [
            self._read(text, reference) if kind == "math" else _OTHER_KIND
            for text, reference, kind in zip(texts, batch.answers(self.answer_column), kinds, strict=True)
        ]
        graded = _compare(self.rules, dict.fromkeys(row for row in rows if isinstance(row, _Task)))
        return [graded[row] if isinstance(row, _Task) else row for row in rows]

    def _read(self, text: str, reference: Any) -> Grade | _Task:
        """Take out what has to be compared, or say why nothing has to be."""
        references = _guarded(partial(_references, reference), reference)
        if not references:  # none is readable, or our own rules failed on one: no completion's fault
            return _UNREADABLE_REFERENCE
        task = _guarded(partial(self._task, text, references), references, text)
        return _GRADER_ERROR if task is None else task

    def _task(self, text: str, references: tuple[str, ...]) -> Grade | _Task:
        answer = text if self.thinking is None else self.thinking.split(text).answer
        if answer is None:
            return Grade(0.0, Reason.MALFORMED)
        return _Task(references, tuple(self.container.find(answer)))


_T = TypeVar("_T")
_reported = False


def _guarded(step: Callable[[], _T], *subject: object) -> _T | None:
    """Run a step of our own rules; ``None`` where it raises, which is logged once with what it failed on.

    The one frame that catches everything: no text that a model writes may end a run or count as the machine's failure.
    """
    global _reported
    try:
        return step()
    except Exception:
        if not _reported:
            _reported = True
            logger.exception("the maths rules failed; further failures are only counted: %s", f"{subject!r:.600}")
        return None


def _references(reference: Any) -> tuple[str, ...]:
    if isinstance(reference, str):
        return _references_of_text(reference)
    return tuple(references_of(reference))


@lru_cache(maxsize=4096)
def _references_of_text(reference: str) -> tuple[str, ...]:
    return tuple(references_of(reference))


class _Open(NamedTuple):
    """What the rules found of a task that they leave open.

    Attributes:
        verdicts: of each pair that was compared.
        used: CPU time that this took, in seconds, off the completion's clock.
    """

    verdicts: dict[tuple[str, str], Verdict]
    used: float

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The pairs that SymPy is asked about."""
        return [pair for pair, verdict in self.verdicts.items() if verdict.right is None]


def _compare(rules: Rules, tasks: Iterable[_Task]) -> dict[_Task, Grade]:
    """Grade each task: by the rules in this process, and what they leave open by SymPy in the pool."""
    graded: dict[_Task, Grade] = {}
    left_open: dict[_Task, _Open] = {}
    for task in tasks:
        verdicts: dict[tuple[str, str], Verdict] = {}
        started = time.thread_time()
        verdict = _guarded(partial(judge, task.references, task.boxes, _noting(rules, verdicts)), task)
        if verdict is None:
            graded[task] = _GRADER_ERROR
        elif verdict.right is None:
            left_open[task] = _Open(verdicts, time.thread_time() - started)
        else:
            graded[task] = Grade(float(verdict.right), Reason(verdict.reason))
    if left_open:
        outcomes = _asked(list(left_open.values()))
        for task, found in left_open.items():
            graded[task] = _guarded(partial(_settled, task, found.verdicts, outcomes), task) or _GRADER_ERROR
    return graded


def _asked(tasks: list[_Open]) -> dict[tuple[str, str], Outcome]:
    """SymPy's word on each pair; a task's pairs share what the rules left of its time."""
    pairs = list(dict.fromkeys(pair for task in tasks for pair in task.pairs))
    at = {pair: index for index, pair in enumerate(pairs)}
    together = [[at[pair] for pair in task.pairs] for task in tasks]
    return dict(zip(pairs, shared_pool().compare(pairs, together, [task.used for task in tasks]), strict=True))


def _noting(rules: Rules, verdicts: dict[tuple[str, str], Verdict]) -> Callable[[str, str], Verdict]:
    def comparison(reference: str, answer: str) -> Verdict:
        verdict = verdicts[reference, answer] = compare(reference, answer, rules)
        return verdict

    return comparison


def _settled(task: _Task, verdicts: dict[tuple[str, str], Verdict], outcomes: dict[tuple[str, str], Outcome]) -> Grade:
    """Judge once more, by the rules' verdicts, with SymPy's word where they had none."""
    worst = Outcome.DIFFERENT

    def comparison(reference: str, answer: str) -> Verdict:
        nonlocal worst
        verdict = verdicts[reference, answer]
        if verdict.right is not None:
            return verdict
        outcome = outcomes[reference, answer]
        if outcome not in (Outcome.EQUAL, Outcome.DIFFERENT):
            worst = outcome
        return Verdict(outcome is Outcome.EQUAL, "right" if outcome is Outcome.EQUAL else "wrong")

    verdict = judge(task.references, task.boxes, comparison)
    if verdict.right or worst is Outcome.DIFFERENT:
        return Grade(float(bool(verdict.right)), Reason(verdict.reason))
    return _OUTCOMES[worst]


math_correctness = MathCorrectness()
