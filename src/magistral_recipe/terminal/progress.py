"""What a person sees while a recipe runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from magistral_recipe.terminal.console import can_redraw
from magistral_recipe.terminal.screen import Screen, plain
from magistral_recipe.writing.figures import duration

SHOWN = {
    "reward": "reward",
    "eval_score": "score",
    "loss": "loss",
    "completions/mean_length": "length",
    "frac_reward_zero_std": "flat groups",
    "clip_ratio/high_mean": "clipped",
    "entropy": "entropy",
}
"""Metrics shown while training, in this order, and what people call them."""


class Display:
    """Shows stages and steps.

    Args:
        stages: how many the chain has.
        console: where to write; by default standard output.
        live: whether to redraw; by default on a terminal, unless the environment has `CI`.
    """

    def __init__(self, stages: int, console: Console | None = None, live: bool | None = None) -> None:
        self.console = console or Screen()
        self.stages = stages
        self.live = can_redraw(self.console) if live is None else live
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._label = ""
        self._started = 0.0
        self._first_step: tuple[float, int] | None = None
        self._printed = (0.0, -1, "")
        self._activity = ""

    # ------------------------------------------------------------------------------------------- stages

    def stage_started(self, index: int, name: str, how: str) -> None:
        """Open a stage's line."""
        self._label = f"[{index + 1}/{self.stages}] {name}"
        self._started = time.monotonic()
        self._first_step, self._activity = None, ""
        self.line(f"{self._label}: {how}")
        if self.live:
            self._progress = Progress(
                TextColumn("  {task.description}", markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[metrics]}", markup=False),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}", markup=False),
                console=self.console,
                transient=True,
            )
            self._task = self._progress.add_task("starting", total=None, metrics="", left="")
            self._progress.start()

    def stage_finished(self, summary: str) -> None:
        """Close a stage's line."""
        self._close()
        self.line(f"{self._label}: {summary}, {duration(time.monotonic() - self._started)}")

    def stage_skipped(self, index: int, name: str) -> None:
        """A stage that is complete already."""
        self.line(f"[{index + 1}/{self.stages}] {name}: complete, skipped")

    def failed(self) -> None:
        """Clear the live display before an error is shown."""
        self._close()

    # ------------------------------------------------------------------------------------------- events

    def event(self, event: Mapping[str, Any]) -> None:
        """Show one event of the running stage."""
        if event["type"] == "note":
            self.line(f"  {event['text']}")
        elif event["type"] == "warning":
            self.line(plain(f"  warning: {event['text']}", "yellow"))
        elif event["type"] == "progress":
            self._step(event)

    def line(self, text: RenderableType) -> None:
        """Write a line that stays."""
        self.console.print(plain(text) if isinstance(text, str) else text, soft_wrap=True)

    def _step(self, event: Mapping[str, Any]) -> None:
        now, step, total = time.monotonic(), int(event["step"]), int(event["total"])
        activity = event.get("activity", "training")
        if self._first_step is None or activity != self._activity or step < self._first_step[1]:
            self._first_step, self._activity = (now, step), activity
        left = _time_left(now, step, total, self._first_step)
        metrics = _metrics_text(event.get("metrics", {}))
        if self._progress is not None and self._task is not None:
            self._progress.update(
                self._task, description=activity, completed=step, total=total, metrics=metrics, left=left
            )
        elif self._worth_a_line(now, step, total, activity):
            self._printed = (now, step, activity)
            parts = [f"{activity} {step}/{total}", metrics, left]
            self.line(f"  {self._label} {' · '.join(part for part in parts if part)}")

    def _worth_a_line(self, now: float, step: int, total: int, activity: str) -> bool:
        every = max(1, total // 10)
        if (step, activity) == self._printed[1:]:
            return False
        due = step % every == 0 and now - self._printed[0] >= 2
        return due or step == total or now - self._printed[0] >= 30 or activity != self._printed[2]

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None


def _time_left(now: float, step: int, total: int, first: tuple[float, int]) -> str:
    done = step - first[1]
    if done < 1 or step >= total:
        return ""
    return f"{duration((now - first[0]) / done * (total - step))} left"


def _metrics_text(metrics: Mapping[str, Any]) -> str:
    shown = []
    for key, label in SHOWN.items():
        value = metrics.get(key)
        if isinstance(value, int | float):
            shown.append(f"{label} {value:.4g}" if abs(value) < 1000 else f"{label} {value:,.0f}")
    return " · ".join(shown[:4])
