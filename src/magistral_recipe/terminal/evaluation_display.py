"""What a person sees of an evaluation: progress, then each score with its interval and what makes it doubtful."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from magistral_recipe.evaluation.statistics import Interval
from magistral_recipe.terminal.console import can_redraw
from magistral_recipe.terminal.screen import Screen, plain
from magistral_recipe.writing.figures import percent, with_interval

if TYPE_CHECKING:
    from magistral_recipe.evaluation.samples import Sample
    from magistral_recipe.evaluation.scores import Group, Scores

_MOST_GROUPS = 12
_MOST_CHANGES = 5


class EvaluationDisplay:
    """Shows an evaluation on the terminal.

    Args:
        quiet: show nothing: the process is not the first.
        console: where to write; standard output by default.
    """

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        self.console = console or Screen(quiet=quiet)
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=quiet or not can_redraw(self.console),
        )

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def line(self, text: str | Text) -> None:
        """Write a line that stays."""
        self.console.print(plain(text) if isinstance(text, str) else text, soft_wrap=True)

    def event(self, event: Mapping[str, Any]) -> None:
        """Show progress or a warning."""
        if event["type"] == "warning":
            self.line(plain(f"warning: {event['text']}", "yellow"))
            return
        name = str(event["activity"])
        known = {task.description: task.id for task in self.progress.tasks}
        task = known.get(name)
        if task is None:
            task = self.progress.add_task(name, total=event["total"])
        self.progress.update(task, completed=event["step"], total=event["total"])

    def scores(self, output: Path, scores: Scores) -> None:
        """Show the scores of one benchmark."""
        for task in list(self.progress.tasks):
            self.progress.remove_task(task.id)
        counts = scores.counts[("all", "all")]
        drawn = (
            f"{counts['samples']:,} samples" if counts["samples"] else f"{counts['greedy_samples']:,} greedy samples"
        )
        table = Table(box=SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
        table.title = plain(f"{output.name}: {counts['problems']:,} problems, {drawn}")
        for heading in ("", "pass@1", "cut", "format", "language", "tokens"):
            table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
        table.columns[1].min_width = 20  # an interval is never cut
        self._row(table, "all", scores.overall, "")
        self._row(table, "greedy", scores.overall, "greedy_")
        for dimension in ("language", "category", "difficulty"):
            groups = scores.groups.get(dimension, {})
            if 1 < len(groups) <= _MOST_GROUPS:
                table.add_section()
                prefix = "" if "truncation_rate" in scores.overall else "greedy_"
                for name, group in groups.items():
                    self._row(table, f"level {name}" if dimension == "difficulty" else name, group, prefix)
        self.console.print(table)
        self.line("in percent, with 95% intervals over problems; cut: samples that reached the limit of tokens")
        votes = [name for name in scores.overall if name.startswith(("maj@", "pass@")) and name != "pass@1"]
        if votes:
            self.line(", ".join(f"{name} {_share(scores.overall[name])}" for name in votes))
        for warning in scores.about.get("warnings", []):
            self.line(plain(f"warning: {warning}", "yellow"))
        self.line(f"results: {output / 'scores.json'}")

    def _row(self, table: Table, label: str, group: Group, prefix: str) -> None:
        if f"{prefix}truncation_rate" not in group:
            return
        length = group.get(f"{prefix}mean_length", group.get("mean_length"))
        table.add_row(
            plain(label),
            _share(group.get(f"{prefix}pass@1")),
            _percent(group.get(f"{prefix}truncation_rate")),
            _percent(group.get(f"{prefix}format_rate")),
            _percent(group.get(f"{prefix}language_fidelity")),
            f"{length.mean:,.0f}" if length is not None else "-",
        )

    def changes(self, count: int, changed: Sequence[tuple[Sample, Sample]]) -> None:
        """Say which samples are judged otherwise than before."""
        self.line(f"{len(changed):,} of {count:,} verdicts changed")
        for old, new in changed[:_MOST_CHANGES]:
            answer = "" if new.answer is None else f" (answer {new.answer[:60]!r}, reference {new.reference!r})"
            self.line(f"  {new.problem}, sample {new.sample}: {_judged(old)} -> {_judged(new)}{answer}")
        if len(changed) > _MOST_CHANGES:
            self.line(f"  … and {len(changed) - _MOST_CHANGES:,} more, in samples.jsonl")

    def repeated(self, before: Sequence[Sample], after: Sequence[Sample]) -> None:
        """Say how many completions came out the same."""
        known = {sample.key: sample.completion for sample in before}
        shared = [sample for sample in after if sample.key in known]
        if not shared:
            self.line("the first run's samples are not beside its result file: nothing to compare with")
            return
        same = sum(known[sample.key] == sample.completion for sample in shared)
        self.line(f"{same:,} of {len(shared):,} completions came out the same")


def _judged(sample: Sample) -> str:
    word = {True: "right", False: "wrong", None: "undecided"}[sample.right]
    # The format may be what failed: then it is that reason which tells something.
    failed = "format" if sample.right is False and sample.value("format") == 0 else "correctness"
    reason = sample.verdicts.get(failed, {}).get("reason")
    return word if reason in (None, word) else f"{word} ({reason})"


def _percent(interval: Interval | None) -> str:
    return "-" if interval is None else percent(interval.mean)


def _share(interval: Interval | None) -> str:
    return "-" if interval is None else with_interval(*interval)
