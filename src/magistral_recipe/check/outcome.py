"""What `check` found, as one object: printed for people, or as JSON for machines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from magistral_recipe.check.hub import NotLooked

FORMAT = 1
"""Version of the JSON document."""

PROVEN, MISTAKES, NOT_LOOKED = 0, 2, 3
"""Exit codes of `check`: all is proven; the recipe or its data are wrong; something could not be looked at."""

_PLACE = re.compile(r"(?:(?P<file>.*?):(?P<line>\d+): )?(?:(?P<key>[A-Za-z_][\w.\[\]-]*): )?(?P<message>.*)", re.DOTALL)


@dataclass
class Outcome:
    """What a check found.

    Attributes:
        recipe: the recipe's file.
        mistakes: one line each.
        not_looked: what could not be looked at.
        left_out: what was left out by intent.
        warnings: what is allowed and not likely to be meant.
        wiring: what the wiring proof showed, a line a part.
        stages: the plan, a mapping a stage.
        data: how many rows each set has, in words, by its name.
        memory: the memory plan as plain data; ``None`` where the model's shape is not known.
        versions: of Python and of the libraries that decide.
    """

    recipe: str
    mistakes: list[str] = field(default_factory=list)
    not_looked: list[NotLooked] = field(default_factory=list)
    left_out: list[NotLooked] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    wiring: list[str] = field(default_factory=list)
    stages: list[dict[str, Any]] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)
    memory: dict[str, Any] | None = None
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """What a shell sees."""
        return MISTAKES if self.mistakes else NOT_LOOKED if self.not_looked else PROVEN

    @property
    def verdict(self) -> str:
        """The exit code in a word."""
        return {PROVEN: "proven", MISTAKES: "mistakes", NOT_LOOKED: "not looked at"}[self.exit_code]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document, whose schema is docs/check.schema.json."""
        return {
            "format": FORMAT,
            "recipe": self.recipe,
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "mistakes": list(_told(self.mistakes)),
            "not_looked_at": [_looked(each) for each in self.not_looked],
            "left_out": [_looked(each) for each in self.left_out],
            "warnings": list(_told(self.warnings)),
            "wiring": self.wiring,
            "stages": self.stages,
            "data": self.data,
            "memory": self.memory,
            "versions": self.versions,
        }


def _looked(each: NotLooked) -> dict[str, str]:
    return {"what": each.what, "why": each.why, "remedy": each.remedy}


def _told(lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Take lines of the form ``file:line: key: message`` apart."""
    for line in lines:
        found = _PLACE.fullmatch(line)
        assert found is not None  # the pattern takes any text
        number = found["line"]
        yield {
            "file": found["file"],
            "line": int(number) if number else None,
            "key": found["key"] if found["file"] or _is_key(found["key"]) else None,
            "message": found["message"] if found["file"] or _is_key(found["key"]) else line,
        }


def _is_key(text: str | None) -> bool:
    return text is not None and ("." in text or "[" in text)
