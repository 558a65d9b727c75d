"""Saves wait for the end of a generation batch, a stop waits with them, and a checkpoint gives its state back."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from transformers import TrainerControl

from magistral_recipe.errors import RunError
from magistral_recipe.training.memory import TrainerMemory, saved_state


@dataclass
class Progress:
    global_step: int
    max_steps: int = 100


def steps(asked):
    """Play steps: for each, whether it ends a batch, and which of save and stop somebody asks for."""
    boundary = [False]
    memory = TrainerMemory(dict, lambda: boundary[0])
    let_through = []
    for number, (at_boundary, save, stop, *last) in enumerate(asked, 1):
        boundary[0] = at_boundary
        control = TrainerControl(should_save=save, should_training_stop=stop)
        memory.on_step_end(None, Progress(number, number if last else 100), control)
        let_through.append((control.should_save, control.should_training_stop))
    return let_through


@pytest.mark.parametrize(
    ("asked", "let_through"),
    [
        pytest.param([(True, True, False)], [(True, False)], id="at a boundary at once"),
        pytest.param([(False, True, False), (True, False, False)], [(False, False), (True, False)], id="put off"),
        pytest.param([(False, True, True), (True, False, False)], [(False, False), (True, True)], id="a stop waits"),
        pytest.param(
            [(False, True, False), (False, False, True), (True, False, False)],
            [(False, False), (False, False), (True, True)],
            id="a stop after the save was put off waits too",
        ),
        pytest.param([(False, False, True)], [(False, True)], id="a stop alone doesn't"),
        pytest.param([(False, True, False, "last")], [(True, False)], id="the last step saves wherever it is"),
        pytest.param(
            [(False, True, False), (True, False, False), (True, False, False)],
            [(False, False), (True, False), (False, False)],
            id="once",
        ),
    ],
)
def test_saves_and_stops_fall_on_the_end_of_a_batch(asked, let_through):
    assert steps(asked) == let_through


def test_a_checkpoint_gives_back_what_was_put_in(tmp_path):
    memory = TrainerMemory(lambda: {"updates": 3, "collector": {"stream": [1, 2]}}, lambda: True)
    whole = {"global_step": 4, "stateful_callbacks": {"TrainerMemory": memory.state()}}
    (tmp_path / "trainer_state.json").write_text(json.dumps(whole))
    assert saved_state(tmp_path) == {"updates": 3, "collector": {"stream": [1, 2]}}


@pytest.mark.parametrize(
    "text", ["{}", "[]", "null", '{"stateful_callbacks": {}}', '{"stateful_callbacks": {"TrainerMemory": []}}']
)
def test_a_checkpoint_of_another_trainer_has_nothing_to_continue(tmp_path, text):
    (tmp_path / "trainer_state.json").write_text(text)
    with pytest.raises(RunError, match="was not written by this trainer"):
        saved_state(tmp_path)
