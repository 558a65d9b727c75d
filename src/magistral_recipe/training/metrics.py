"""What a run writes down: metrics as JSON lines, rollouts as JSON lines, and the sums of one optimizer step.

Figures are weighted by tokens or sequences, not averaged over microbatches of different sizes, and reduced over
ranks once a step. After a resume, lines of steps that will be done again are cut off first.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from magistral_recipe.files import write_atomically


def append_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Append JSON lines; NaN and infinities become null, which JSON has no words for.

    Half a surrogate pair, which UTF-8 cannot hold and a model may write, becomes JSON's own escape for it.
    """
    text = "".join(json.dumps(_plain(record), ensure_ascii=False) + "\n" for record in records)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)


def cut_after(path: Path, step: int) -> None:
    """Drop the lines of later steps, the closing summary, and a last line that a kill left half-written.

    Args:
        path: a file of JSON lines that have a `step`; nothing happens where there is none.
        step: the last step to keep.
    """
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if line.endswith("\n") and record.get("step", 0) <= step and "train_runtime" not in record:
            kept.append(line)
    write_atomically(path, "".join(kept))


class MetricsWriter(TrainerCallback):
    """Writes every log of a trainer as one JSON line with its step and time; fits any Hugging Face trainer.

    Args:
        path: the file; continued after a resume.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Cut off what will be done again."""
        if state.is_world_process_zero:
            cut_after(self._path, state.global_step if state.global_step else -1)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append a line."""
        if state.is_world_process_zero and logs:
            append_lines(self._path, [{"step": state.global_step, "time": round(time.time(), 3), **logs}])


class StepSums:
    """Sums over the microbatches of one optimizer step, reduced over ranks once.

    Attributes:
        NAMES: what is summed; all but `tokens` are token-weighted.
    """

    NAMES = ("tokens", "entropy", "low", "high", "kl", "gap", "gap_tokens")

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


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return _plain(value.item()) if hasattr(value, "item") else str(value)
