"""What a training writes down: its metrics as JSON lines, cut where it resumes, and the sums of one optimizer step.

Figures are weighted by tokens or sequences, not averaged over microbatches of different sizes, and reduced over
ranks once a step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from magistral_recipe.jsonlines import Record, append_lines, keep_lines, read_lines


def cut_after(path: Path, step: int) -> None:
    """Drop the lines of later steps, the closing summary, and what is no line of a step; see `keep_lines`.

    Args:
        path: a file of JSON lines that have a `step`; nothing happens where there is none.
        step: the last step to keep.
    """

    def done(record: Record) -> bool:
        at = record.get("step")
        return isinstance(at, int | float) and at <= step and "train_runtime" not in record

    keep_lines(path, done)


class MetricsWriter(TrainerCallback):
    """Writes what a trainer logs as JSON lines, each with its step and time; fits any Hugging Face trainer.

    A resumed run goes on in the file at its checkpoint's step, so that it reads as one uninterrupted run's: the lines
    of steps that will be done again go, and the summary of a training that had come to its end, which is written again.
    A run that starts anew starts the file anew.

    Args:
        path: the file.
        emit: takes events for whoever watches (`progress` after each step, a `note` on a resume); called on the main
            process alone.
        activity: what the trainer is doing, for people.

    Attributes:
        last: the last value of everything that was logged, a resumed run's earlier steps included.
    """

    def __init__(
        self, path: Path | str, emit: Callable[[Mapping[str, Any]], None] | None = None, activity: str = "training"
    ) -> None:
        self._path = Path(path)
        self._emit = emit
        self._activity = activity
        self._began_at = 0
        self.last: dict[str, Any] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Cut off what will be done again."""
        self._began_at = state.global_step
        if not state.is_world_process_zero:
            return
        # Before the first step there is no checkpoint: what an earlier attempt logged is not this run's.
        cut_after(self._path, state.global_step if state.global_step else -1)
        self.last = {}
        for _, record in read_lines(self._path):
            self.last |= {key: value for key, value in _numbers(record).items() if key not in ("step", "time")}
        if state.global_step and self._emit is not None:
            text = f"goes on at step {state.global_step} of {state.max_steps}"
            self._emit({"type": "note", "text": text})

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append a line with the numbers among what is logged."""
        if not state.is_world_process_zero or not logs:
            return
        numbers = _numbers(logs)
        if self._began_at == state.global_step and numbers.get("train_loss") == 0:
            del numbers["train_loss"]  # a mean over the steps of this attempt, of which there were none
        self.last |= numbers
        append_lines(self._path, [{"step": state.global_step, "time": round(time.time(), 3), **numbers}])
        self._report(state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Report progress between logs too."""
        if state.is_world_process_zero:
            self._report(state)

    def _report(self, state: TrainerState) -> None:
        if self._emit is None:
            return
        self._emit(
            {
                "type": "progress",
                "activity": self._activity,
                "step": state.global_step,
                "total": state.max_steps,
                "metrics": self.last,
            }
        )


def _numbers(logs: Mapping[str, Any]) -> dict[str, int | float]:
    return {key: value for key, value in logs.items() if isinstance(value, int | float)}


class StepSums:
    """Sums over the microbatches of one optimizer step, or the rows of a batch, reduced over ranks once.

    Attributes:
        NAMES: what is summed; all but `tokens` are token-weighted.
    """

    NAMES = ("tokens", "entropy", "low", "high", "kl", "gap", "gap_tokens", "cut")

    def __init__(self, device: torch.device) -> None:
        exact = torch.float32 if device.type == "mps" else torch.float64  # Apple's GPUs have no float64
        self._sums = torch.zeros(len(self.NAMES), dtype=exact, device=device)

    def add(self, **sums: torch.Tensor | float) -> None:
        """Add one microbatch's sums, by name."""
        for name, value in sums.items():
            self._sums[self.NAMES.index(name)] += value.detach() if isinstance(value, torch.Tensor) else value

    def reduced(self, accelerator: Any) -> dict[str, float]:
        """Return the sums over all ranks; every rank must call it."""
        total = accelerator.reduce(self._sums, reduction="sum") if accelerator.num_processes > 1 else self._sums
        return dict(zip(self.NAMES, total.tolist(), strict=True))


def mean(values: Sequence[float]) -> float:
    """Return the mean without NaN, NaN where nothing is left."""
    known = _known(values)
    return float(known.mean()) if known.size else math.nan


def spread(values: Sequence[float]) -> float:
    """Return the sample standard deviation without NaN, 0 for fewer than two values (as TRL's `nanstd`)."""
    known = _known(values)
    return float(known.std(ddof=1)) if known.size > 1 else 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed."""
    return float(np.quantile(values, share, method="inverted_cdf"))


def _known(values: Sequence[float]) -> NDArray[np.float64]:
    # numpy's own nanmean and nanstd warn where nothing is left.
    every = np.array(values, dtype=np.float64)
    return every[~np.isnan(every)]
