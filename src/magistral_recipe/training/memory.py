"""What a checkpoint must keep beside weights and optimizer, and when a checkpoint may be written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState
from transformers.trainer_pt_utils import safe_globals

from magistral_recipe.errors import RunError
from magistral_recipe.files import read_json


class TrainerMemory(TrainerCallback, ExportableState):
    """Carries the trainer's own state into checkpoints, and puts saves off to the end of a generation batch.

    The completions that a batch still owes to its later minibatches live in memory alone, so a checkpoint in
    between could not be continued exactly.

    Args:
        state: returns the trainer's own state, plain data.
        at_boundary: whether no minibatch of the current batch is left.
    """

    def __init__(self, state: Callable[[], dict[str, Any]], at_boundary: Callable[[], bool]) -> None:
        self._own_state = state
        self._at_boundary = at_boundary
        self._owed = False
        self._stop_owed = False

    def state(self) -> dict[str, Any]:
        """Return what transformers writes into `trainer_state.json`."""
        return {"args": {}, "attributes": {"saved": self._own_state()}}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Let a save through at a boundary or at the end of training, keep it in mind otherwise.

        A stop waits with a save that is owed, which would else never be written.
        """
        if self._at_boundary() or state.global_step >= state.max_steps:
            control.should_save = control.should_save or self._owed
            control.should_training_stop = control.should_training_stop or self._stop_owed
            self._owed = self._stop_owed = False
            return
        if control.should_save:
            control.should_save = False
            self._owed = True
        if self._owed and control.should_training_stop:
            control.should_training_stop = False
            self._stop_owed = True


def take_first_random_state(checkpoint: Path, processes: int) -> None:
    """Go on with torch's random state of the first process, where another number of processes has written it.

    All processes' rollouts hang on it. transformers looks for a file named by the present number alone.

    Args:
        checkpoint: a checkpoint's folder.
        processes: that go on with it.
    """
    names = ["rng_state.pth", "rng_state_0.pth"]
    expected, other = (checkpoint / name for name in (names[::-1] if processes > 1 else names))
    if other.exists() and not expected.exists():
        with safe_globals():
            torch.random.set_rng_state(torch.load(other, weights_only=True)["cpu"])


def saved_state(checkpoint: Path) -> Mapping[str, Any]:
    """Read what `TrainerMemory` wrote.

    Args:
        checkpoint: a checkpoint's folder.

    Returns:
        The trainer's own state.

    Raises:
        RunError: if the checkpoint is not one of this trainer's.
    """
    whole = read_json(checkpoint / "trainer_state.json")
    try:
        return dict(whole["stateful_callbacks"][TrainerMemory.__name__]["attributes"]["saved"])
    except (TypeError, KeyError):
        raise RunError(f"{checkpoint} was not written by this trainer: it has no prompt stream to continue") from None
