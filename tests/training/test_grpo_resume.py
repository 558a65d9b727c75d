"""A resumed run is the uninterrupted one: weights, prompts, metrics, bit by bit on the CPU."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from tiny_policy import letters_reward, logged, problems, starts_with_a, trainer, weights
from transformers import TrainerCallback

from magistral_recipe.errors import RunError
from magistral_recipe.training.checkpoints import MARK, latest_complete_checkpoint

TIMES = {"time", "step_time"}


def numbers(history):
    """A log without what no two runs share: seconds and speeds."""
    return [
        {k: v for k, v in entry.items() if k not in TIMES and "second" not in k and not k.startswith("train_runtime")}
        for entry in history
    ]


def same(left, right):
    assert left
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize(
    ("reward", "changes"),
    [
        pytest.param(letters_reward, {}, id="plain"),
        pytest.param(starts_with_a, {"prompts_per_batch": 8}, id="refill, several passes over the data"),
        pytest.param(letters_reward, {"num_iterations": 2, "beta": 0.0}, id="two iterations"),
        pytest.param(
            letters_reward,
            {
                "schedule": [
                    {"from_step": 2, "max_completion_length": 16},
                    {"when": {"metric": "completion_length_p95", "above": 0.1, "for": 2}, "max_completion_length": 20},
                    {"from_step": 7, "prompts_per_batch": 2, "min_difficulty": 0.5},
                ]
            },
            id="schedule",
        ),
    ],
)
def test_step_after_resume_is_the_step_without(tmp_path, reward, changes):
    changes = {**changes, "max_steps": 10, "save_strategy": "steps", "save_steps": 3, "rollouts_every": 1}
    straight = trainer(tmp_path / "a", reward, **changes)
    straight.train()
    saved = sorted(int(p.name.split("-")[1]) for p in (tmp_path / "a").glob("checkpoint-*"))
    # Saves asked for at 3 and 9 are put off to the end of the generation batch.
    batch = 2 * changes.get("num_iterations", 1)
    assert saved == sorted({-(-step // batch) * batch if step < 10 else 10 for step in (3, 6, 9, 10)} - {12})

    resumed_from = saved[0]
    (tmp_path / "b").mkdir()
    shutil.copytree(tmp_path / "a" / f"checkpoint-{resumed_from}", tmp_path / "b" / f"checkpoint-{resumed_from}")
    resumed = trainer(tmp_path / "b", reward, **changes)
    resumed.train(resume_from_checkpoint=True)

    assert same(weights(straight.model), weights(resumed.model))
    assert numbers(straight.state.log_history)[:-1] == numbers(resumed.state.log_history)[:-1]
    written, again = ((tmp_path / run / "rollouts.jsonl").read_text().splitlines() for run in "ab")
    assert again == [line for line in written if json.loads(line)["step"] >= resumed_from]
    assert again
    if "schedule" in changes:
        assert logged(straight, "max_completion_length") == [12, 16, 16, 20, 20]


def test_the_newest_checkpoint_without_a_mark_does_not_count(tmp_path):
    first = trainer(tmp_path, max_steps=4, save_strategy="steps", save_steps=2)
    first.train()
    assert latest_complete_checkpoint(tmp_path).name == "checkpoint-4"
    (tmp_path / "checkpoint-4" / MARK).unlink()
    assert latest_complete_checkpoint(tmp_path).name == "checkpoint-2"
    second = trainer(tmp_path, max_steps=4, save_strategy="steps", save_steps=2)
    (tmp_path / "checkpoint-3").mkdir()  # a folder that a kill left behind
    second.train(resume_from_checkpoint=True)
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-4"]
    assert second.state.log_history[2]["step"] == 3
    assert same(weights(first.model), weights(second.model))


def test_rollouts_of_steps_that_are_done_again_are_not_written_twice(tmp_path):
    trainer(tmp_path, max_steps=6, save_strategy="steps", save_steps=2, rollouts_every=1).train()
    once = (tmp_path / "rollouts.jsonl").read_text()
    shutil.rmtree(tmp_path / "checkpoint-6")
    shutil.rmtree(tmp_path / "checkpoint-4")
    trainer(tmp_path, max_steps=6, save_strategy="steps", save_steps=2, rollouts_every=1).train(True)
    assert (tmp_path / "rollouts.jsonl").read_text() == once


def test_a_stop_waits_with_its_save_for_the_end_of_the_batch(tmp_path):
    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 3:
                control.should_save = control.should_training_stop = True

    straight = trainer(tmp_path / "a", max_steps=6)
    straight.train()
    stopped = trainer(tmp_path / "b", max_steps=6, save_strategy="steps", save_steps=100, callbacks=[Stop()])
    stopped.train()
    assert stopped.state.global_step == 4
    assert latest_complete_checkpoint(tmp_path / "b").name == "checkpoint-4"
    resumed = trainer(tmp_path / "b", max_steps=6)
    resumed.train(resume_from_checkpoint=True)
    assert same(weights(straight.model), weights(resumed.model))


def test_nothing_to_resume_from_is_said(tmp_path):
    with pytest.raises(RunError, match="no complete checkpoint"):
        trainer(tmp_path).train(resume_from_checkpoint=True)


def test_a_foreign_checkpoint_is_refused(tmp_path):
    (tmp_path / "checkpoint-2").mkdir()
    (tmp_path / "checkpoint-2" / "trainer_state.json").write_text("{}")
    with pytest.raises(RunError, match="not written by this trainer"):
        trainer(tmp_path).train(resume_from_checkpoint=tmp_path / "checkpoint-2")


def test_an_iterable_data_set_resumes_too(tmp_path):
    def data():
        return problems().to_iterable_dataset()

    straight = trainer(tmp_path / "a", data=data(), max_steps=8, save_strategy="steps", save_steps=2)
    straight.train()
    resumed = trainer(tmp_path / "a", data=data(), max_steps=8)
    resumed.train(resume_from_checkpoint=tmp_path / "a" / "checkpoint-4")
    assert same(weights(straight.model), weights(resumed.model))
