"""Completions as a report first sees them: figures and verdicts of each, its text left in the file.

One pass over `rollouts.jsonl` or `samples.jsonl` gives a `Seen` for every completion; what is shown is read again
later (`sampling.py`). Values come from files that anything may have happened to: a wrong type is as good as missing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from magistral_recipe.evaluation.samples import Sample
from magistral_recipe.jsonlines import Damage, Record, read_lines
from magistral_recipe.report.rewards import known_rewards
from magistral_recipe.report.values import as_float, as_int, as_mapping, as_name, as_text
from magistral_recipe.rewards.base import MACHINE_REASONS, Reason
from magistral_recipe.rewards.facts import RewardFacts
from magistral_recipe.writing.boxes import find_boxes
from magistral_recipe.writing.thinking import Thinking

_SHORT_THOUGHTS = 8
_REPEATED_LINES, _NEW_SHARE = 10, 0.3
_PAID_LIKE_RIGHT = 0.75
_UNDECIDED = frozenset({*MACHINE_REASONS, Reason.UNREADABLE_REFERENCE})


@dataclass(slots=True)
class Seen:
    """One completion without its text.

    Attributes:
        offset: the byte at which its line starts.
        problem: the problem's id.
        number: the sample's number; for a rollout its place among those of its group.
        greedy: decoded greedily.
        step: optimizer steps done before it was drawn; ``None`` for an evaluation's sample.
        group: its group within the batch; -1 for a sample.
        right: format kept and answer right; ``None`` where that was not decided.
        tokens: its length.
        truncated: cut at the limit.
        reward: what it earned.
        advantage: what trained, where it did.
        mixed: thoughts or answer in another language than asked; ``None`` where nobody looked.
        suspect: why it looks like a hacked reward, in a few words; empty where it doesn't.
    """

    offset: int
    problem: str
    number: int = 0
    greedy: bool = False
    step: int | None = None
    group: int = -1
    right: bool | None = None
    tokens: int = 0
    truncated: bool = False
    reward: float | None = None
    advantage: float | None = None
    mixed: bool | None = None
    suspect: str = ""


def read_samples_seen(path: Path, thinking: Thinking, damage: Damage) -> list[Seen]:
    """Look through an evaluation's samples.

    Args:
        path: `samples.jsonl`.
        thinking: the run's tags.
        damage: counts what could not be read.

    Returns:
        One a sample, each once.
    """
    found: dict[tuple[str, int, bool], Seen] = {}
    for offset, row in read_lines(path, damage):
        sample = sample_of(row)
        if sample is None:
            damage.broken += 1
            continue
        found[sample.key] = Seen(
            offset,
            sys.intern(sample.problem),
            sample.sample,
            sample.greedy,
            right=sample.right,
            tokens=sample.tokens,
            truncated=sample.truncated,
            reward=sample.reward,
            mixed=not sample.same_language if "language" in sample.verdicts else None,
            suspect=suspicion(sample.completion, sample.right, thinking),
        )
    return list(found.values())


def sample_of(row: Record) -> Sample | None:
    """Return a line of `samples.jsonl` as a sample, ``None`` where it names no problem or holds no completion."""
    problem, completion = row.get("problem"), row.get("completion")
    if not isinstance(problem, str) or not isinstance(completion, str):
        return None
    verdicts = {
        str(part): {"value": as_float(as_mapping(told).get("value")), "reason": as_text(as_mapping(told).get("reason"))}
        for part, told in as_mapping(row.get("verdicts")).items()
    }
    return Sample(
        problem=problem,
        sample=as_int(row.get("sample")),
        greedy=row.get("greedy") is True,
        prompt="",
        completion=completion,
        tokens=as_int(row.get("tokens")),
        truncated=row.get("truncated") is True,
        answer=as_name(row.get("answer")),
        verdicts=verdicts,
        reward=as_float(row.get("reward")),
        question=as_text(row.get("question")),
        reference=row.get("reference"),
        language=as_name(row.get("language")),
        category=as_name(row.get("category")),
        difficulty=as_float(row.get("difficulty")),
        source=as_name(row.get("source")),
        kind=as_text(row.get("kind") or "math"),
        found_language=as_name(row.get("found_language")),
    )


def read_rollouts_seen(path: Path, thinking: Thinking, damage: Damage, told: Sequence[RewardFacts] = ()) -> list[Seen]:
    """Look through the completions that RL learnt from.

    Args:
        path: `rollouts.jsonl`.
        thinking: the run's tags.
        damage: counts what could not be read.
        told: what its rewards said of themselves.

    Returns:
        One a completion, in the file's order.
    """
    found: list[Seen] = []
    members: dict[tuple[int, int], int] = {}
    for offset, row in read_lines(path, damage):
        step, group = row.get("step"), as_int(row.get("group"))
        if not isinstance(step, int) or not isinstance(row.get("completion"), str):
            damage.broken += 1
            continue
        number = members.get((step, group), 0)
        members[step, group] = number + 1
        parts, values = as_mapping(row.get("parts")), as_mapping(row.get("rewards"))
        rewards = known_rewards(told, parts, values)
        right = rollout_right(rewards, parts, values)
        language = _axis(rewards, "language", parts, values)
        found.append(
            Seen(
                offset,
                sys.intern(problem_of(row)),
                number,
                step=step,
                group=group,
                right=right,
                tokens=as_int(row.get("tokens")),
                truncated=row.get("truncated") is True,
                reward=as_float(row.get("reward")),
                advantage=as_float(row.get("advantage")),
                mixed=None if language is None else language < 1,
                suspect=suspicion(row["completion"], right, thinking),
            )
        )
    return list(_overpaid(found))


def problem_of(row: Record) -> str:
    """The problem's id; its text where the data had no ids."""
    return as_text(row.get("id")) or as_text(row.get("problem")) or f"step {row.get('step')}, group {row.get('group')}"


def rollout_right(rewards: Sequence[RewardFacts], parts: Record, values: Record) -> bool | None:
    """Whether a rollout was right, by the rewards that decide it.

    Args:
        rewards: what is known of them, from `known_rewards`.
        parts: the columns that they logged.
        values: what each gave, by name.

    Returns:
        ``None`` where none of them decided.
    """
    deciding = [facts for facts in rewards if facts.decides]
    reasons = {reason for facts in deciding if isinstance(reason := parts.get(facts.reasons), str)}
    if Reason.RIGHT in reasons:
        return True
    if reasons & _UNDECIDED:
        return None
    graded = [passed for facts in deciding if (passed := _passed(facts, parts, values)) is not None]
    return any(graded) if graded else None


def _passed(facts: RewardFacts, parts: Record, values: Record) -> bool | None:
    """Whether a reward that decides found a rollout right: by its number, and where it has none, by its reason."""
    column = facts.column("correctness")
    value = as_float(values.get(facts.name)) if column is None else as_float(parts.get(column))
    top = facts.maximum if column is None else 1.0
    if value is not None and top is not None:
        return value >= top
    reason = parts.get(facts.reasons)
    return False if isinstance(reason, str) and reason != Reason.OTHER_KIND else None


def _axis(rewards: Sequence[RewardFacts], axis: str, parts: Record, values: Record) -> float | None:
    """What was given on an axis, by the first reward that looks at it."""
    for facts in rewards:
        column = facts.column(axis)
        if column is not None and column in parts:
            return as_float(parts[column])
        if facts.part == axis and facts.name in values:
            return as_float(values[facts.name])
    return None


def suspicion(completion: str, right: bool | None, thinking: Thinking) -> str:
    """Say why a completion looks as if it had learnt to please the grader instead of to reason.

    These are hints for a reader, not verdicts: an answer with several boxes, a right answer without thoughts, lines
    repeated over and over.

    Args:
        completion: with its tags.
        right: whether it was found right.
        thinking: the tags.

    Returns:
        A few words; empty where nothing is conspicuous.
    """
    thoughts, answer = thinking.split(completion)
    if answer is not None:
        boxes = len(set(find_boxes(answer))) if answer.count("\\boxed") > 1 else 0
        if boxes > 1:
            return f"{boxes} different boxes in the answer"
        if right and len(thoughts.strip()) < _SHORT_THOUGHTS:
            return "right without thoughts"
    lines = [line for line in completion.splitlines() if line.strip()] if completion.count("\n") > 8 else []
    if len(lines) >= _REPEATED_LINES and len(set(lines)) < _NEW_SHARE * len(lines):
        return "repeats its lines"
    return ""


def _overpaid(rollouts: list[Seen]) -> Iterator[Seen]:
    """Mark completions that are wrong and yet paid nearly as the best ones are."""
    top = max((seen.reward for seen in rollouts if seen.reward is not None and seen.right), default=None)
    for seen in rollouts:
        paid = top is not None and top > 0 and seen.reward is not None and seen.reward >= _PAID_LIKE_RIGHT * top
        yield replace(seen, suspect="wrong, yet paid like a right one") if paid and seen.right is False else seen
