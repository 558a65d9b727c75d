"""Trainer callbacks of the chain: metrics to a file, progress to the runner. Imports transformers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class MetricsFile(TrainerCallback):
    """Writes what the trainer logs as JSON lines, and reports progress.

    A resumed run continues the file at its checkpoint's step, so that it reads as one uninterrupted run's.

    Args:
        path: the file.
        emit: takes progress events; only called on the main process.
        activity: what the stage is doing, for people.
    """

    def __init__(self, path: Path, emit: Callable[[Mapping[str, Any]], None], activity: str = "training") -> None:
        self.path = path
        self.emit = emit
        self.activity = activity
        self.last: dict[str, Any] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Drop lines that belong to steps after the checkpoint."""
        if state.is_world_process_zero:
            kept = [line for line in _lines(self.path) if line["step"] <= state.global_step]
            self.path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
            if state.global_step:
                text = f"goes on at step {state.global_step} of {state.max_steps}"
                self.emit({"type": "note", "text": text})

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: object,
    ) -> None:
        """Write one line."""
        if not state.is_world_process_zero or not logs:
            return
        numbers = {key: value for key, value in logs.items() if isinstance(value, int | float)}
        self.last |= numbers
        with open(self.path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": state.global_step, "time": round(time.time(), 3), **numbers}) + "\n")
        self._report(state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Report progress between logs too."""
        if state.is_world_process_zero:
            self._report(state)

    def _report(self, state: TrainerState) -> None:
        self.emit(
            {
                "type": "progress",
                "activity": self.activity,
                "step": state.global_step,
                "total": state.max_steps,
                "metrics": self.last,
            }
        )


def _lines(path: Path) -> list[dict[str, Any]]:
    """The file's whole lines; a line that a kill cut in half is dropped."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines
