"""What a reward says of itself, so that nobody has to know it by its name: the wiring proof, a trainer, a report.

The facts stand as attributes of `Reward`; `RewardFacts` is what of them is written beside the rollouts of a training.
Also the names under which rewards log, which whoever reads a log must know.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

AXES = ("format", "correctness", "length", "language")
"""What the paper rewards (Magistral §2.2): the parts of its sum, each of them a reward of its own too."""

_REASON = "reason"


@dataclass(frozen=True)
class RewardFacts:
    """One reward, as those who see only its name and its numbers need to know it.

    Attributes:
        name: under which a trainer and the reward itself log.
        part: which of `AXES` its value is; ``None`` for a sum, and for what is none of them.
        parts: the parts of a sum, each logged as ``NAME/PART``.
        maximum: what a perfect completion earns; ``None`` where the reward doesn't say.
        decides: whether its value, or its part `correctness`, says that a completion is right or wrong.
        has_limits: whether a schedule may set its limits of length.
    """

    name: str
    part: str | None = None
    parts: tuple[str, ...] = ()
    maximum: float | None = None
    decides: bool = False
    has_limits: bool = False

    def column(self, part: str) -> str | None:
        """Return the column in which a sum logs one of its parts; ``None`` where it has no such part."""
        return part_column(self.name, part) if part in self.parts else None

    @property
    def reasons(self) -> str:
        """The column in which it logs why."""
        return reason_column(self.name)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def part_column(name: str, part: str) -> str:
    """Return the column, and the metric, in which the reward `name` logs a part of its sum."""
    return f"{name}/{part}" if name else part  # a function of one's own may log without a name in front


def reason_column(name: str) -> str:
    """Return the column in which the reward `name` logs one reason a completion."""
    return part_column(name, _REASON)


def owner_of_reasons(column: str) -> str | None:
    """Return whose reasons a column holds, a reward's or a part's; ``None`` where it holds none."""
    owner, _, last = column.rpartition("/")
    return owner if last == _REASON else None
