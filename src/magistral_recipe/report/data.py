"""The data that the page's scripts read: these dataclasses, as JSON in one `<script type="application/json">`.

Charts carry their numbers, completions their text. Everything a person must be able to read without scripts (tables,
warnings, summaries) is in the HTML as well; this is what hovering and browsing need.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, NamedTuple

Unit = Literal["number", "share", "seconds", "tokens"]
Kind = Literal["lines", "stacked", "scatter", "intervals"]

FORMAT = 1


@dataclass(frozen=True)
class Series:
    """One curve.

    Attributes:
        name: for the legend.
        values: one a point of the chart's `x`; ``None`` where it was not logged.
        smooth: the moving average, where the curve is long enough to need one.
        low: lower ends of intervals.
        high: upper ends of intervals.
    """

    name: str
    values: list[float | None]
    smooth: list[float | None] | None = None
    low: list[float | None] | None = None
    high: list[float | None] | None = None


@dataclass(frozen=True)
class Chart:
    """One figure.

    Attributes:
        id: of its element on the page.
        title: what it shows.
        x: steps; token counts in a scatter; positions in an interval chart.
        series: its curves; none where the thing was not measured.
        unit: of the values.
        kind: how it is drawn.
        labels: what the positions of an interval chart are called; what a scatter's points are.
        remark: a short reading beside the title.
        absent: why there is nothing to draw.
        group: charts of one group move their cursors together.
    """

    id: str
    title: str
    x: list[float] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    unit: Unit = "number"
    kind: Kind = "lines"
    labels: list[str] = field(default_factory=list)
    remark: str = ""
    absent: str = ""
    group: str = ""


@dataclass(frozen=True)
class Problem:
    """A problem, once for all its completions."""

    id: str
    text: str
    reference: str
    facts: list[str]


@dataclass(frozen=True)
class Occasion:
    """When completions were drawn: an evaluation of a model, or a batch of RL.

    Attributes:
        name: as the page calls it.
        short: the same in one or two words.
        kind: `evaluation` or `rollouts`.
        step: of a batch.
        file: where all of its completions are, relative to the run folder.
    """

    name: str
    short: str
    kind: Literal["evaluation", "rollouts"]
    step: int | None
    file: str


class GradedPart(NamedTuple):
    """A part of the reward: its value, ``None`` where it does not apply or is no number, and why."""

    name: str
    value: float | None
    reason: str


@dataclass(frozen=True)
class Completion:
    """A completion that the page shows.

    Attributes:
        problem: index of its problem.
        occasion: index of its occasion.
        group: the group within the batch; -1 outside RL.
        number: its place among its group, or the sample's number.
        greedy: decoded greedily.
        right: ``None`` where it was not decided.
        reward: what it earned.
        advantage: what trained.
        tokens: its length.
        truncated: cut at the limit.
        mixed: in another language than asked.
        suspect: why it looks like a hack, or nothing.
        thoughts: between the tags; everything where it is malformed.
        answer: what follows; ``None`` where it is malformed.
        parts: each part of the reward.
    """

    problem: int
    occasion: int
    group: int
    number: int
    greedy: bool
    right: bool | None
    reward: float | None
    advantage: float | None
    tokens: int
    truncated: bool
    mixed: bool
    suspect: str
    thoughts: str
    answer: str | None
    parts: list[GradedPart]


@dataclass
class PageData:
    """Everything that the scripts read.

    Attributes:
        run: the run's name.
        live: the page is served while the run goes on.
        charts: all figures.
        problems: all problems of the sample browser.
        occasions: in the order of the chain.
        completions: in the order of the chain.
        total: how many completions the run wrote down, shown or not.
    """

    run: str
    live: bool = False
    charts: list[Chart] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    occasions: list[Occasion] = field(default_factory=list)
    completions: list[Completion] = field(default_factory=list)
    total: int = 0

    def to_json(self) -> str:
        """Return JSON that is safe inside a script element, whatever a completion holds."""
        names = [each.name for each in fields(Completion)]
        data = {
            "format": FORMAT,
            "run": self.run,
            "live": self.live,
            "total": self.total,
            "charts": [_without_empty(asdict(chart)) for chart in self.charts],
            "problems": [asdict(problem) for problem in self.problems],
            "occasions": [asdict(occasion) for occasion in self.occasions],
            # A table rather than objects: names would otherwise be repeated thousands of times.
            "completions": {"fields": names, "rows": [[getattr(c, n) for n in names] for c in self.completions]},
        }
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        # Lone surrogates are no UTF-8; `<` could end the element or open a comment in it.
        text = text.encode("utf-8", errors="replace").decode("utf-8")
        return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _without_empty(chart: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [_without_empty(each) for each in value] if name == "series" else value
        for name, value in chart.items()
        if value not in (None, "", [])
    }
