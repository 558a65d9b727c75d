"""What rewards say of themselves, as it is written into a run and read from it.

A reader of a run (the report) has names and numbers; these facts say which of them is the format, which decides whether
a problem was solved, and which keeps to a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

TRLS = {
    "think_format_reward": "format",
    "accuracy_reward": "correctness",
    "reasoning_accuracy_reward": "correctness",
    "soft_overlong_punishment_reward": "length",
}
"""TRL's own rewards by name, and the part of the paper's sum that each of them is."""

OURS = {
    "format_reward": "format",
    "math_correctness": "correctness",
    "code_correctness": "correctness",
    "overlong_penalty": "length",
    "language_consistency": "language",
    "reasoning_language": "language",
}
"""This package's rewards by their default names, for runs that wrote nothing about theirs."""


@dataclass(frozen=True)
class RewardFacts:
    """What one reward is.

    Attributes:
        name: as logs call it.
        part: what it rewards, where that is one thing: ``format``, ``correctness``, ``length``, ``language`` or a word
            of its own.
        parts: of a sum, the parts that it logs as ``NAME/PART``.
        maximum: what a perfect completion earns; ``None`` where it doesn't say.
        decides: whether it says if a problem was solved.
        limits: whether it keeps to limits that a schedule may change.
    """

    name: str
    part: str | None = None
    parts: tuple[str, ...] = ()
    maximum: float | None = None
    decides: bool = False
    limits: bool = False

    @classmethod
    def of(cls, reward: Callable[..., Any], name: str | None = None) -> Self:
        """Ask a reward; one of another project is known by what it has of this package's attributes, or as TRL's.

        Args:
            reward: any reward of TRL's signature.
            name: how the trainer logs it, where that is not its own name.
        """
        name = str(name or getattr(reward, "name", None) or getattr(reward, "__name__", type(reward).__name__))
        part = getattr(reward, "part", None) or TRLS.get(name)
        maximum = getattr(reward, "maximum", None)
        return cls(
            name,
            str(part) if part else None,
            tuple(getattr(reward, "parts", ())),
            float(maximum) if isinstance(maximum, int | float) else None,
            bool(getattr(reward, "decides", part == "correctness")),
            callable(getattr(reward, "set_limits", None)),
        )

    @classmethod
    def read(cls, record: object) -> Self | None:
        """Take facts from what `to_json` wrote; ``None`` for anything else."""
        if not isinstance(record, Mapping) or not isinstance(record.get("name"), str):
            return None
        part, parts, maximum = record.get("part"), record.get("parts"), record.get("maximum")
        return cls(
            record["name"],
            part if isinstance(part, str) else None,
            tuple(each for each in parts if isinstance(each, str)) if isinstance(parts, list) else (),
            float(maximum) if isinstance(maximum, int | float) and not isinstance(maximum, bool) else None,
            record.get("decides") is True,
            record.get("limits") is True,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "parts": list(self.parts)}

    def metrics(self) -> dict[str, str]:
        """Return the metrics that tell its parts, as TRL's trainers name them, each with the part's name."""
        if self.parts:
            return {f"{self.name}/{part}": part for part in self.parts}
        return {f"rewards/{self.name}/mean": self.part} if self.part else {}

    def columns(self) -> dict[str, str]:
        """Return the columns of a rollout that tell its parts, each with the part's name."""
        if self.parts:
            return {f"{self.name}/{part}": part for part in self.parts}
        return {self.name: self.part} if self.part else {}


def guessed_facts(names: Iterable[str]) -> list[RewardFacts]:
    """Guess the rewards of a run that wrote nothing about them (an older one, another trainer's) from its metrics.

    Args:
        names: of metrics or of a rollout's columns.

    Returns:
        What the names of this package's and TRL's rewards tell.
    """
    known = {**OURS, **TRLS}
    sums: dict[str, list[str]] = {}
    found: list[RewardFacts] = []
    for key in names:
        head, _, tail = key.rpartition("/")
        alone = key.removeprefix("rewards/").removesuffix("/mean")
        if tail in ("format", "correctness", "length", "language") and head and "/" not in head:
            sums.setdefault(head, []).append(tail)
        elif alone in known:
            found.append(RewardFacts(alone, known[alone], decides=known[alone] == "correctness"))
    composed = [
        RewardFacts(name, parts=tuple(parts), decides="correctness" in parts)
        for name, parts in sums.items()
        if name not in ("rewards", "seconds")
    ]
    return composed + list(dict.fromkeys(found))


def metrics_of_parts(facts: Sequence[RewardFacts]) -> dict[str, str]:
    """Return the metrics that tell the parts of several rewards; of two that tell one part the first counts."""
    found: dict[str, str] = {}
    for fact in facts:
        told = fact.metrics()
        found |= {key: part for key, part in told.items() if fact.parts or part not in found.values()}
    return found
