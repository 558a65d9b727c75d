"""Checkpoints that survive a kill at any moment: a mark written last, rotation after it.

transformers writes a checkpoint file by file and deletes old ones before the new one is whole, so a kill in
between can leave nothing to resume from. Here a checkpoint counts once `complete.json` says so. Works with any
Hugging Face trainer: add `CheckpointGuard()` to its callbacks and resume from `latest_complete_checkpoint`.
"""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from magistral_recipe.files import read_json, sync_folder, write_json

logger = logging.getLogger(__name__)

MARK = "complete.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def latest_complete_checkpoint(folder: Path | str) -> Path | None:
    """Find the newest checkpoint that was written to its end.

    Args:
        folder: where a trainer writes its `checkpoint-N` folders.

    Returns:
        The folder with the highest step that bears the mark, ``None`` where there is none.
    """
    complete = [path for path in _checkpoints(folder) if is_complete(path)]
    return complete[-1] if complete else None


def is_complete(checkpoint: Path | str) -> bool:
    """Whether a checkpoint bears the mark and holds every file that the mark lists, at its size."""
    mark = read_json(Path(checkpoint) / MARK)
    if not isinstance(mark, dict) or not isinstance(mark.get("files"), dict):
        return False
    return all(_size(Path(checkpoint) / name) == size for name, size in mark["files"].items())


def sweep(folder: Path | str) -> list[Path]:
    """Delete the checkpoints that a kill left unfinished. Call it before training, on one process.

    Args:
        folder: where a trainer writes its `checkpoint-N` folders.

    Returns:
        What was deleted.
    """
    unfinished = [path for path in _checkpoints(folder) if not is_complete(path)]
    for path in unfinished:
        logger.info("deleting %s, which was never finished", path)
        _delete(path)
    return unfinished


class CheckpointGuard(TrainerCallback):
    """Marks a checkpoint once it is whole, and only then deletes older ones.

    It takes the trainer's `save_total_limit` over, so that transformers itself deletes nothing.

    Args:
        keep: how many complete checkpoints to keep; ``None`` takes `save_total_limit`.
    """

    def __init__(self, keep: int | None = None) -> None:
        self._keep = keep

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the rotation over."""
        if args.save_total_limit is not None:
            self._keep = self._keep or args.save_total_limit
            args.save_total_limit = None

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Take the mark off a folder that is about to be written again."""
        if state.is_world_process_zero:
            (_folder(args, state) / MARK).unlink(missing_ok=True)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Write the mark, then rotate."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.barrier()  # every rank has written its own random state
        checkpoint = _folder(args, state)
        if not state.is_world_process_zero or not checkpoint.is_dir():
            return
        sync_folder(checkpoint)
        files = {str(f.relative_to(checkpoint)): f.stat().st_size for f in checkpoint.rglob("*") if f.is_file()}
        write_json(checkpoint / MARK, {"step": state.global_step, "files": files})
        if self._keep:
            complete = [path for path in _checkpoints(args.output_dir) if is_complete(path)]
            for path in complete[: -self._keep]:
                _delete(path)


def _checkpoints(folder: Path | str) -> list[Path]:
    """Return the checkpoint folders, by step."""
    if not Path(folder).is_dir():
        return []
    found = [(int(match[1]), path) for path in Path(folder).iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def _folder(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"


def _delete(checkpoint: Path) -> None:
    # The mark goes first: a deletion that is cut short must not leave a marked checkpoint with files missing.
    (checkpoint / MARK).unlink(missing_ok=True)
    shutil.rmtree(checkpoint)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return -1
