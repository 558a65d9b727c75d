"""The report's two kinds of chart, as inline SVG: curves over steps, and scores with their intervals.

Plain shapes and classes; the colours are the page's, so that they follow light and dark. A value is read off by
hovering, through the `title` that every browser and screen reader knows: nothing here runs a script.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from magistral_recipe.evaluation.statistics import Interval

WIDTH, HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 10, 26
_MAX_POINTS = 240
_SMOOTHED_ABOVE = 24


@dataclass(frozen=True)
class Series:
    """A named curve.

    Attributes:
        name: for the legend.
        points: (step, value) in order of steps, finite.
    """

    name: str
    points: Sequence[tuple[float, float]]


def line_chart(title: str, series: Sequence[Series], *, percent: bool = False) -> Markup:
    """Draw curves over training steps.

    Long curves are thinned to means of neighbouring points; noisy ones get their moving average drawn over them.

    Args:
        title: what is shown, for the accessible name.
        series: at most five, each with at least one point.
        percent: the values are shares.

    Returns:
        An SVG element.
    """
    drawn = [Series(each.name, _thinned(each.points)) for each in series]
    steps = [step for each in drawn for step, _ in each.points]
    values = [value for each in drawn for _, value in each.points]
    ticks = _ticks(*_range(values, percent))
    across = _scale(min(steps), max(steps), _LEFT, WIDTH - _RIGHT)
    up = _scale(ticks[0], ticks[-1], HEIGHT - _BOTTOM, _TOP)
    shapes = [_grid(ticks, up, percent), _step_axis(min(steps), max(steps), across)]
    for number, each in enumerate(drawn):
        shapes.append(_curve(each, number, across, up, percent))
    return _svg(_spoken(title, drawn, percent), WIDTH, HEIGHT, shapes, "curve")


def interval_chart(title: str, rows: Sequence[tuple[str, Interval]]) -> Markup:
    """Draw one share a row, its interval as a bar around a dot.

    Args:
        title: what is shown, for the accessible name.
        rows: label and interval in [0, 1].

    Returns:
        An SVG element.
    """
    height, left = 34 * len(rows) + 30, 78
    across = _scale(0.0, 1.0, left, WIDTH - 16)
    shapes = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _n(across(share))
        shapes.append(f'<line class="grid" x1="{x}" x2="{x}" y1="6" y2="{height - 24}"/>')
        shapes.append(f'<text class="tick" x="{x}" y="{height - 8}" text-anchor="middle">{share:.0%}</text>')
    for number, (label, interval) in enumerate(rows):
        y = 34 * number + 24
        low, mean, high = (_n(across(min(max(v, 0.0), 1.0))) for v in (interval.low, interval.mean, interval.high))
        said = f"{label}: {interval.mean:.1%}, 95% interval {interval.low:.1%} to {interval.high:.1%}"
        shapes.append(
            f'<g class="s{number % 5}"><title>{escape(said)}</title>'
            f'<text class="label" x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(label)}</text>'
            f'<line class="whisker" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>'
            f'<line class="cap" x1="{low}" x2="{low}" y1="{y - 5}" y2="{y + 5}"/>'
            f'<line class="cap" x1="{high}" x2="{high}" y1="{y - 5}" y2="{y + 5}"/>'
            f'<circle class="dot" cx="{mean}" cy="{y}" r="5"/></g>'
        )
    spoken = f"{title}. " + "; ".join(f"{label} {interval.mean:.1%}" for label, interval in rows)
    return _svg(spoken, WIDTH, height, shapes, "intervals")


def _svg(spoken: str, width: int, height: int, shapes: Sequence[str], kind: str) -> Markup:
    body = "".join(shapes)
    name = escape(spoken)
    return Markup(f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{name}">{body}</svg>')


def _spoken(title: str, series: Sequence[Series], percent: bool) -> str:
    ends = [
        f"{each.name} from {number(each.points[0][1], percent)} to {number(each.points[-1][1], percent)}"
        for each in series
    ]
    return f"{title}. " + "; ".join(ends)


def number(value: float, percent: bool = False) -> str:
    """Write a value as a person reads it: three figures that count, shares in percent."""
    if percent:
        return f"{value:.1%}"
    if value == 0:
        return "0"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g}M"
    if abs(value) >= 1000:
        return f"{value / 1000:.3g}k" if abs(value) >= 10_000 else f"{value:.0f}"
    return f"{value:.3g}".replace("e-0", "e-")


def _curve(series: Series, number_: int, across: _Scale, up: _Scale, percent: bool) -> str:
    points = series.points
    smooth = _moving_average(points) if len(points) > _SMOOTHED_ABOVE else points
    raw = f'<path class="raw" d="{_path(points, across, up)}"/>' if smooth is not points else ""
    hover = "".join(
        f'<circle class="hover" cx="{_n(across(step))}" cy="{_n(up(value))}" r="6">'
        f"<title>{escape(series.name)}, step {step:g}: {number(value, percent)}</title></circle>"
        for step, value in points
    )
    last = f'<circle class="dot" cx="{_n(across(smooth[-1][0]))}" cy="{_n(up(smooth[-1][1]))}" r="3"/>'
    return f'<g class="s{number_ % 5}">{raw}<path class="line" d="{_path(smooth, across, up)}"/>{last}{hover}</g>'


def _path(points: Sequence[tuple[float, float]], across: _Scale, up: _Scale) -> str:
    return "M" + "L".join(f"{_n(across(step))} {_n(up(value))}" for step, value in points)


def _grid(ticks: Sequence[float], up: _Scale, percent: bool) -> str:
    lines = []
    for tick in ticks:
        y = _n(up(tick))
        text = f"{100 * tick:.10g}%" if percent else number(tick)
        lines.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        lines.append(f'<text class="tick" x="{_LEFT - 6}" y="{_n(up(tick) + 3.5)}" text-anchor="end">{text}</text>')
    return "".join(lines)


def _step_axis(first: float, last: float, across: _Scale) -> str:
    ticks = [tick for tick in _ticks(first, last) if first <= tick <= last and tick == int(tick)]
    return f'<text class="tick" x="{_LEFT - 6}" y="{HEIGHT - 8}" text-anchor="end">step</text>' + "".join(
        f'<text class="tick" x="{_n(across(tick))}" y="{HEIGHT - 8}" text-anchor="middle">{number(tick)}</text>'
        for tick in ticks
    )


class _Scale:
    """A straight map from data to pixels."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.start = low, start
        self.factor = (end - start) / (high - low) if high > low else 0.0
        self.middle = (start + end) / 2 if high <= low else None

    def __call__(self, value: float) -> float:
        return self.middle if self.middle is not None else self.start + (value - self.low) * self.factor


_scale = _Scale


def _range(values: Sequence[float], percent: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if percent:
        return 0.0, max(high, 0.01)
    if 0 < low < 0.5 * high:
        low = 0.0  # a curve that spans half its height or more is read against zero
    return (low, high) if high > low else (low - (abs(low) or 1) * 0.1, high + (abs(high) or 1) * 0.1)


def _ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers that enclose the range, about `count` steps apart."""
    if high <= low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    size = math.ceil(len(points) / _MAX_POINTS)
    if size <= 1:
        return list(points)
    chunks = [points[start : start + size] for start in range(0, len(points), size)]
    return [(chunk[-1][0], math.fsum(value for _, value in chunk) / len(chunk)) for chunk in chunks]


def _moving_average(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Mean over a window of about a twelfth of the curve, cut off at the ends."""
    reach = max(1, len(points) // 24)
    smooth = []
    for index, (step, _) in enumerate(points):
        window = [value for _, value in points[max(0, index - reach) : index + reach + 1]]
        smooth.append((step, math.fsum(window) / len(window)))
    return smooth


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
