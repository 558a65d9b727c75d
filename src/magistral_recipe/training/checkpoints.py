"""Checkpoints that survive a kill at any moment: a mark written last, rotation after it.

transformers writes a checkpoint file by file and deletes old ones before the new one is whole, so a kill in
between can leave nothing to resume from. Here a checkpoint counts once `complete.json` says so, with the size and hash
of every file, and only while the files are what was written: a flipped bit, a zeroed page and a lost file make it
none, and the one before it counts. Works with any Hugging Face trainer: add `CheckpointGuard()` to its callbacks,
resume from `latest_complete_checkpoint`, and train with `only_what_is_left`.
"""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from magistral_recipe.errors import RunError
from magistral_recipe.files import read_json, sync_folder, write_json
from magistral_recipe.intact import damage, written

logger = logging.getLogger(__name__)

MARK = "complete.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def latest_complete_checkpoint(folder: Path | str) -> Path | None:
    """Find the newest checkpoint that was written to its end and is still what was written.

    Args:
        folder: where a trainer writes its `checkpoint-N` folders.

    Returns:
        The folder with the highest step that bears the mark and holds what the mark lists, ``None`` where there is
        none. Files are read from the newest checkpoint on, until one holds.
    """
    return next((path for path in reversed(_checkpoints(folder)) if why_unusable(path) is None), None)


def is_complete(checkpoint: Path | str) -> bool:
    """Whether a checkpoint bears the mark and holds every file that the mark lists, at its size; no file is read."""
    mark = _mark(checkpoint)
    return mark is not None and bool(mark.get("files")) and not any(damage(Path(checkpoint), mark.get("files")))


def why_unusable(checkpoint: Path | str) -> str | None:
    """Say why a checkpoint can't be gone on from, reading every file of it.

    Args:
        checkpoint: the folder.

    Returns:
        The first reason; ``None`` where all is as it was written. A mark of an earlier version, which noted no hashes,
        is held against the sizes alone.
    """
    mark = _mark(checkpoint)
    if mark is None:
        return "it was never finished"
    if not mark.get("files"):
        return "its mark lists no files"
    return next(damage(Path(checkpoint), mark.get("files"), mark.get("hashes")), None)


def sweep(folder: Path | str) -> list[Path]:
    """Delete the checkpoints that a kill left unfinished, and damaged ones at the end. Call it before training, on one
    process.

    Args:
        folder: where a trainer writes its `checkpoint-N` folders.

    Returns:
        What was deleted; of a damaged one a warning says what was wrong with it.
    """
    deleted, newest = [], None
    for path in reversed(_checkpoints(folder)):
        if newest is not None and is_complete(path):
            continue
        reason = why_unusable(path)
        if reason is None:
            newest = path
            continue
        if (path / MARK).exists():
            logger.warning("%s can't be gone on from, and is deleted: %s", path.name, reason)
        else:
            logger.info("deleting %s, which was never finished", path)
        _delete(path)
        deleted.append(path)
    return deleted


def only_what_is_left(trainer: Trainer) -> None:
    """Make a trainer that resumes from a checkpoint of the last step take no further one.

    transformers looks whether training is over after each step, and so takes one too many: 13 of 12 where a kill came
    between the last checkpoint and the model's save (huggingface/transformers, `Trainer._run_epoch`).

    Args:
        trainer: any Hugging Face trainer, before `train`.

    Raises:
        RunError: if transformers has moved what is looked at.
    """
    run_epoch = getattr(trainer, "_run_epoch", None)
    if run_epoch is None:
        raise RunError(f"transformers {transformers.__version__} has no Trainer._run_epoch: was it moved?")

    def run_epoch_if_any(*arguments: Any, **named: Any) -> None:
        if trainer.state.global_step >= trainer.state.max_steps:
            trainer.control.should_training_stop = True
            return
        run_epoch(*arguments, **named)

    trainer._run_epoch = run_epoch_if_any  # type: ignore[method-assign]


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
        held = written(checkpoint, (file for file in checkpoint.rglob("*") if file.is_file()))
        write_json(checkpoint / MARK, {"step": state.global_step, "files": held.sizes, "hashes": held.hashes})
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


def _mark(checkpoint: Path | str) -> dict[str, Any] | None:
    mark = read_json(Path(checkpoint) / MARK)
    return mark if isinstance(mark, dict) else None
