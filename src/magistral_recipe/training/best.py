"""Keeping the weights that scored best on held-out problems (Magistral §5.3 chose its SFT checkpoint so).

A callback for any Hugging Face trainer. Its evaluation leaves the random state as it found it, so a run with it
trains exactly as a run without; what it knows travels in the checkpoints, so a resume goes on as if nothing had
happened.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from magistral_recipe import layout
from magistral_recipe.errors import RunError
from magistral_recipe.files import read_json, sync_directory, sync_file, write_json
from magistral_recipe.intact import damage, written
from magistral_recipe.sharded import is_sharded, put, whole

WEIGHTS = "best.safetensors"


class KeepBest(TrainerCallback, ExportableState):
    """Evaluates every n steps and at the end, and keeps the trained weights of the best score.

    Args:
        evaluate: from the model to its score, higher is better. Every process calls it; the first one's score counts.
        every: steps between evaluations.
        folder: where `best.safetensors` and `scores.json` go.
        restore: load the best weights into the model when training ends.
        at_start: evaluate before the first step too, so that training can only improve on it.
        on_score: told each step and score, for logs and displays.
        problems: how many each score is of, where that is known; written beside the scores, which it gives their noise.
    """

    def __init__(
        self,
        evaluate: Callable[[Any], float],
        every: int,
        folder: Path,
        restore: bool = False,
        at_start: bool = False,
        on_score: Callable[[int, float], None] | None = None,
        problems: int | None = None,
    ) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, not {every}")
        self._evaluate = evaluate
        self._every = every
        self._folder = Path(folder)
        self._restore = restore
        self._at_start = at_start
        self._on_score = on_score
        self._problems = problems
        self.scores: list[tuple[int, float]] = []

    @property
    def best(self) -> tuple[int, float] | None:
        """Step and score of the best weights, the earliest of equals; ``None`` before the first evaluation."""
        return max(self.scores, key=lambda item: (item[1], -item[0])) if self.scores else None

    def state(self) -> dict[str, Any]:
        """Return what transformers writes into a checkpoint."""
        return {"args": {}, "attributes": {"scores": [list(item) for item in self.scores]}}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Continue from a checkpoint, or start with an evaluation where that is wanted."""
        if state.global_step:
            saved = state.stateful_callbacks.get(type(self).__name__)
            saved = saved[-1] if isinstance(saved, list) else saved
            self.scores = [(int(s), float(v)) for s, v in (saved or {}).get("attributes", {}).get("scores", [])]
        else:
            self.scores = []
            if self._at_start:
                self._look(0, kwargs["model"], state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Evaluate where it is due."""
        if state.global_step % self._every == 0 or state.global_step >= state.max_steps:
            self._look(state.global_step, kwargs["model"], state)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Load the best weights where that is wanted."""
        if self._restore and self.scores:
            self.restore(kwargs["model"])

    def restore(self, model: Any) -> None:
        """Load the best weights into a model.

        Args:
            model: the one that was trained; its trained parameters are overwritten.

        Raises:
            RunError: if the file is missing or does not fit.
        """
        file = self._folder / WEIGHTS
        if not file.exists():
            raise RunError(f"{file} is missing: no weights were kept yet")
        held = self._noted()
        if held:  # an earlier version noted nothing
            for reason in damage(self._folder, held.get("files"), held.get("hashes")):
                raise RunError(f"{self._folder}: {reason}; without its checkpoints folder the stage is trained again")
        saved = load_file(file)
        wanted = dict(_trained(model))
        if set(saved) != set(wanted):
            raise RunError(f"{file} holds other parameters than the model trains")
        for name, parameter in wanted.items():
            put(saved[name], parameter)

    def _look(self, step: int, model: Any, state: TrainerState) -> None:
        with untouched_randomness(), _evaluation_mode(model), torch.no_grad():
            score = _agreed(float(self._evaluate(model)))
        is_best = self.best is None or score > self.best[1]
        self.scores.append((step, score))
        if self._on_score is not None:
            self._on_score(step, score)
        sharded = is_best and is_sharded(model)
        weights = _weights(model, state.is_world_process_zero) if sharded else None  # all take part
        if state.is_world_process_zero:
            self._folder.mkdir(parents=True, exist_ok=True)
            if is_best:
                _save(weights or _weights(model), self._folder / WEIGHTS)
            sizes, hashes = written(self._folder, [self._folder / WEIGHTS]) if is_best else (None, None)
            held = {"files": sizes, "hashes": hashes} if is_best else self._noted()
            told = {"best": self.best, "scores": self.scores, "problems": self._problems, "weights": held}
            write_json(self._folder / layout.SCORES, told)

    def _noted(self) -> dict[str, Any]:
        """What was noted of the weights when they were kept."""
        told = read_json(self._folder / layout.SCORES)
        held = told.get("weights") if isinstance(told, dict) else None
        return held if isinstance(held, dict) else {}


@contextlib.contextmanager
def untouched_randomness() -> Iterator[None]:
    """Put back the random state of Python, NumPy and torch afterwards."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.random.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)


@contextlib.contextmanager
def _evaluation_mode(model: Any) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _trained(model: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    return ((name, p) for name, p in model.named_parameters() if p.requires_grad)


def _weights(model: Any, kept: bool = True) -> dict[str, torch.Tensor]:
    """The trained weights, whole, where they are kept; of a sharded model all processes must ask for them."""
    found = {}
    for name, parameter in _trained(model):
        value = whole(parameter.detach())
        if kept:
            found[name] = value.cpu().clone()
    return found


def _save(tensors: dict[str, torch.Tensor], file: Path) -> None:
    temporary = file.with_name(f".{file.name}.tmp")
    save_file(tensors, temporary)
    sync_file(temporary)
    temporary.replace(file)
    sync_directory(file.parent)


def _agreed(score: float) -> float:
    """Return the first process's score on all of them."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return score
    holder = [score]
    torch.distributed.broadcast_object_list(holder, src=0)
    return float(holder[0])
