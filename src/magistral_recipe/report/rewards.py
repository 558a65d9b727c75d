"""What the rewards of a stage are: as its trainer wrote it down, and guessed from names where it didn't."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from magistral_recipe.files import read_json
from magistral_recipe.jsonlines import Record
from magistral_recipe.report.values import as_float, as_mapping, as_name
from magistral_recipe.rewards.facts import AXES, RewardFacts, owner_of_reasons

_USUAL_NAMES = {
    "format_reward": "format",
    "think_format_reward": "format",
    "math_correctness": "correctness",
    "code_correctness": "correctness",
    "accuracy_reward": "correctness",
    "language_consistency": "language",
    "overlong_penalty": "length",
}
"""Rewards that are one axis of the paper, by the names that this package and TRL give them."""


def read_rewards(path: Path) -> tuple[RewardFacts, ...]:
    """Return the facts that rewards told of themselves.

    Args:
        path: the `rewards.json` of a stage; one that is missing or broken tells nothing.

    Returns:
        The facts of those that told any.
    """
    records = read_json(path)
    found = [_facts(as_mapping(record)) for record in records] if isinstance(records, list) else []
    return tuple(facts for facts in found if facts is not None)


def _facts(record: Record) -> RewardFacts | None:
    """A reward's facts; ``None`` for a function of one's own, which has only a name."""
    called, parts = as_name(record.get("name")), record.get("parts")
    if called is None or not isinstance(parts, list):
        return None
    return RewardFacts(
        called,
        as_name(record.get("part")),
        tuple(part for part in parts if isinstance(part, str)),
        as_float(record.get("maximum")),
        record.get("decides") is True,
        record.get("has_limits") is True,
    )


def known_rewards(
    told: Sequence[RewardFacts], columns: Iterable[str], names: Iterable[str] = ()
) -> tuple[RewardFacts, ...]:
    """Return the facts of all rewards: what they told, and a guess at those that told nothing.

    Args:
        told: from `read_rewards`.
        columns: the columns, or the metrics, that rewards logged.
        names: the rewards that gave values.

    Returns:
        The facts, those told first.
    """
    known = {facts.name for facts in told}
    return (*told, *(facts for facts in _guessed(tuple(columns), tuple(names)) if facts.name not in known))


@lru_cache(maxsize=256)
def _guessed(columns: tuple[str, ...], names: tuple[str, ...]) -> tuple[RewardFacts, ...]:
    """The one place where names are all there is: older runs, other trainers' logs, functions of one's own.

    What logs ``X/format``, ``X/correctness`` … is a sum of these parts; a usual name says which axis a reward is; and
    one that is none of these and gives reasons is taken to decide, by them alone.
    """
    logged: dict[str, set[str]] = {each: set() for each in names}
    for column in columns:
        owner, _, last = column.rpartition("/")
        logged.setdefault(owner, set()).add(last)
    found = []
    for owner, lasts in logged.items():
        parts = tuple(axis for axis in AXES if axis in lasts)
        part = None if parts else _USUAL_NAMES.get(owner)
        gives_reasons = any(owner_of_reasons(last) is not None for last in lasts)
        decides = "correctness" in (part, *parts) or (part is None and gives_reasons)
        found.append(RewardFacts(owner, part, parts, 1.0 if part == "correctness" else None, decides))
    return tuple(found)
