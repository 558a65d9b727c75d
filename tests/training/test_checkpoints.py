"""Checkpoints count once they are whole; older ones go only then; the best weights are kept apart."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import signal
from pathlib import Path

import preloaded
import pytest
import tiny_policy
import torch
from datasets import Dataset
from tiny_policy import policy, trainer, weights
from transformers import Trainer, TrainerCallback, TrainingArguments

from magistral_recipe.errors import RunError
from magistral_recipe.training import checkpoints
from magistral_recipe.training.best import KeepBest
from magistral_recipe.training.checkpoints import (
    MARK,
    CheckpointGuard,
    is_complete,
    latest_complete_checkpoint,
    only_what_is_left,
    sweep,
    why_unusable,
)
from magistral_recipe.training.metrics import MetricsWriter

SAVES = {"save_strategy": "steps", "save_steps": 2}


def steps(folder):
    return sorted(int(path.name.split("-")[1]) for path in folder.glob("checkpoint-*"))


def test_older_checkpoints_go_once_the_new_one_is_marked(tmp_path, monkeypatch):
    seen = []
    original = checkpoints._delete
    monkeypatch.setattr(
        checkpoints, "_delete", lambda path: (seen.append(latest_complete_checkpoint(tmp_path).name), original(path))
    )
    trainer(tmp_path, max_steps=8, save_total_limit=2, **SAVES).train()
    assert steps(tmp_path) == [6, 8]
    assert seen == ["checkpoint-6", "checkpoint-8"]


def test_a_checkpoint_with_a_file_cut_short_is_not_complete(tmp_path):
    trainer(tmp_path, max_steps=4, **SAVES).train()
    newest = tmp_path / "checkpoint-4"
    assert is_complete(newest)
    (newest / "model.safetensors").write_bytes(b"half")
    assert not is_complete(newest)
    assert latest_complete_checkpoint(tmp_path).name == "checkpoint-2"
    assert sweep(tmp_path) == [newest]
    assert steps(tmp_path) == [2]


def flipped(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def zeroed(file):
    data = file.read_bytes()
    file.write_bytes(data[:64] + bytes(min(4096, len(data) - 64)) + data[4160:])


@pytest.mark.parametrize("harm", [flipped, zeroed])
@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"]
)
def test_a_file_that_is_not_what_was_written_makes_a_checkpoint_none(written_once, tmp_path, caplog, name, harm):
    folder = shutil.copytree(written_once, tmp_path / "run")
    newest = folder / "checkpoint-4"
    before = (newest / name).stat().st_size
    harm(newest / name)
    assert (newest / name).stat().st_size == before
    assert is_complete(newest)  # by its sizes
    assert why_unusable(newest) == f"{name} is not what was written: its hash differs"
    assert latest_complete_checkpoint(folder).name == "checkpoint-2"
    with caplog.at_level("WARNING"):
        assert sweep(folder) == [newest]
    assert caplog.messages == [f"checkpoint-4 can't be gone on from, and is deleted: {why_unusable_of(name)}"]
    assert steps(folder) == [2]


def why_unusable_of(name):
    return f"{name} is not what was written: its hash differs"


@pytest.fixture(scope="module")
def written_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("once")
    trainer(folder, max_steps=4, **SAVES).train()
    return folder


@pytest.mark.parametrize(
    "mark",
    [
        *("[]", "5", '{"files": []}', '{"files": {"a": "b"}}', '{"files": {}, "hashes": 3}', "{", "null", '"x"'),
        '{"step": 4, "files": {}, "hashes": {}}',  # nothing to hold it against
    ],
)
def test_a_mark_of_another_type_is_none(written_once, tmp_path, mark):
    folder = shutil.copytree(written_once, tmp_path / "run")
    (folder / "checkpoint-4" / MARK).write_text(mark)
    assert latest_complete_checkpoint(folder).name == "checkpoint-2"
    assert sweep(folder) == [folder / "checkpoint-4"]


def test_an_earlier_versions_mark_is_held_against_sizes(written_once, tmp_path):
    folder = shutil.copytree(written_once, tmp_path / "run")
    mark = json.loads((folder / "checkpoint-4" / MARK).read_text())
    del mark["hashes"]
    (folder / "checkpoint-4" / MARK).write_text(json.dumps(mark))
    assert latest_complete_checkpoint(folder).name == "checkpoint-4"
    with open(folder / "checkpoint-4" / "optimizer.pt", "ab") as stream:
        stream.write(b"x")
    assert latest_complete_checkpoint(folder).name == "checkpoint-2"


def test_when_none_can_be_gone_on_from_there_is_none(written_once, tmp_path):
    folder = shutil.copytree(written_once, tmp_path / "run")
    for name in ("checkpoint-2", "checkpoint-4"):
        flipped(folder / name / "optimizer.pt")
    assert latest_complete_checkpoint(folder) is None
    assert len(sweep(folder)) == 2


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_plain_trainer_takes_no_step_beyond_its_last(tmp_path, schedule):
    """transformers' own, whose epoch is longer than its steps: it would take a fifth of four."""

    def plain():
        data = Dataset.from_list([{"input_ids": [3 + i % 9] * 8, "labels": [3 + i % 9] * 8} for i in range(40)])
        arguments = TrainingArguments(
            output_dir=str(tmp_path), max_steps=4, per_device_train_batch_size=2, learning_rate=1e-2, use_cpu=True,
            lr_scheduler_type=schedule, report_to="none", disable_tqdm=True, seed=3, **SAVES,
        )  # fmt: skip
        made = Trainer(policy(), arguments, train_dataset=data, callbacks=[CheckpointGuard()])
        only_what_is_left(made)
        return made

    first = plain()
    first.train()
    again = plain()
    again.train(resume_from_checkpoint=str(latest_complete_checkpoint(tmp_path)))
    assert (first.state.global_step, again.state.global_step) == (4, 4)
    assert all(torch.equal(weights(first.model)[name], tensor) for name, tensor in weights(again.model).items())


def test_the_end_of_training_that_is_looked_at_is_where_transformers_has_it():
    parameters = list(inspect.signature(Trainer._run_epoch).parameters)
    assert parameters[0] == "self"
    assert "epoch" in parameters
    assert "self._run_epoch(" in inspect.getsource(Trainer._inner_training_loop)
    with pytest.raises(RunError, match=r"no Trainer\._run_epoch"):
        only_what_is_left(object())


def test_the_best_weights_are_held_against_what_was_kept(tmp_path):
    keeper = KeepBest(score_by_step, 2, tmp_path / "best")
    run = trainer(tmp_path / "run", callbacks=[keeper], max_steps=4)
    run.train()
    keeper.restore(run.model)
    flipped(tmp_path / "best" / "best.safetensors")
    with pytest.raises(RunError, match=r"best\.safetensors is not what was written"):
        keeper.restore(run.model)


def test_a_save_that_fails_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    run = trainer(tmp_path, max_steps=4, save_total_limit=1, **SAVES)
    original = run._save_rng_state

    def full_disk(folder):
        if folder.endswith("-4"):
            raise OSError(28, "No space left on device")
        original(folder)

    monkeypatch.setattr(run, "_save_rng_state", full_disk)
    with pytest.raises(OSError, match="No space left"):
        run.train()
    assert latest_complete_checkpoint(tmp_path).name == "checkpoint-2"


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from transformers import TrainerCallback
from tiny_policy import trainer, weights
from magistral_recipe.training.checkpoints import latest_complete_checkpoint, sweep
import torch
folder, moment = Path(sys.argv[1]), sys.argv[2]
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
run = trainer(folder, max_steps=8, save_strategy="steps", save_steps=2, save_total_limit=1)
sweep(folder)
if moment == "step": run.add_callback(type("C", (TrainerCallback,), {{"on_step_begin": lambda s, a, state, c, **k:
    die() if state.global_step == 5 else None}})())
if moment == "saving": run._save_scaler = lambda f: die() if f.endswith("-4") else None
if moment == "before the mark":
    import magistral_recipe.training.checkpoints as c
    c.write_json = lambda path, data: die() if data["step"] == 6 else path.write_text(__import__("json").dumps(data))
if moment == "rotating":
    import magistral_recipe.training.checkpoints as c
    def half(path):
        (path / c.MARK).unlink(); (path / "model.safetensors").unlink(); die()
    c._delete = half
run.train(resume_from_checkpoint=latest_complete_checkpoint(folder))
torch.save(weights(run.model), folder / "weights.pt")
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["step", "saving", "before the mark", "rotating"])
def test_killed_at_any_moment_the_run_ends_with_the_same_weights(tmp_path, moment):
    script = tmp_path / "run.py"
    script.write_text(KILLED.format(tests=str(Path(tiny_policy.__file__).parent)))

    def start(folder, when):
        (tmp_path / folder).mkdir(exist_ok=True)
        with open(tmp_path / "log.txt", "ab") as log:
            return preloaded.start([str(script), str(tmp_path / folder), when], os.environ, output=log).wait(200)

    assert start("killed", moment) == -signal.SIGKILL
    assert start("killed", "never") == 0
    straight = trainer(tmp_path / "straight", max_steps=8, save_total_limit=1, **SAVES)
    straight.train()
    again = torch.load(tmp_path / "killed" / "weights.pt")
    assert all(torch.equal(again[name], tensor) for name, tensor in weights(straight.model).items())
    assert steps(tmp_path / "killed") == [8]


# ---- the best weights


def score_by_step(model):
    """A score that depends on the weights, and an evaluation that draws random numbers."""
    torch.rand(7)
    return float(model.lm_head.weight.detach().double().sum())


def test_the_best_weights_are_kept_and_restored(tmp_path):
    seen = {}

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            seen[state.global_step] = weights(kwargs["model"])

    told = []
    keeper = KeepBest(
        score_by_step,
        2,
        tmp_path / "best",
        restore=True,
        on_score=lambda step, score: told.append((step, score)),
        problems=16,
    )
    run = trainer(tmp_path, callbacks=[Watch(), keeper], max_steps=7)
    run.train()
    assert [step for step, _ in told] == [2, 4, 6, 7]
    best, score = keeper.best
    assert score == max(value for _, value in told)
    assert all(torch.equal(seen[best][name], tensor) for name, tensor in weights(run.model).items())
    noted = json.loads((tmp_path / "best" / "scores.json").read_text())
    assert noted["best"] == [best, score]
    assert (noted["problems"], [tuple(pair) for pair in noted["scores"]]) == (16, told)


def test_evaluating_changes_nothing_in_training_and_survives_a_resume(tmp_path):
    plain = trainer(tmp_path / "plain", max_steps=6)
    plain.train()
    keeper = KeepBest(score_by_step, 2, tmp_path / "best", at_start=True)
    watched = trainer(tmp_path / "watched", callbacks=[keeper], max_steps=6, **SAVES)
    watched.train()
    assert all(torch.equal(weights(plain.model)[n], t) for n, t in weights(watched.model).items())

    (tmp_path / "watched" / "checkpoint-6" / MARK).unlink()
    again = KeepBest(score_by_step, 2, tmp_path / "best", at_start=True)
    trainer(tmp_path / "watched", callbacks=[again], max_steps=6, **SAVES).train(resume_from_checkpoint=True)
    assert again.scores == keeper.scores
    assert [step for step, _ in again.scores] == [0, 2, 4, 6]


def test_restoring_what_was_never_kept_is_an_error(tmp_path):
    with pytest.raises(RunError, match="no weights were kept yet"):
        KeepBest(score_by_step, 1, tmp_path).restore(policy())
    with pytest.raises(ValueError, match="at least 1"):
        KeepBest(score_by_step, 0, tmp_path)


def test_metrics_are_written_once_a_step_across_a_resume(tmp_path):
    def run():
        return trainer(tmp_path, callbacks=[MetricsWriter(tmp_path / "metrics.jsonl")], max_steps=6, **SAVES)

    run().train()
    with open(tmp_path / "metrics.jsonl", "a") as stream:
        stream.write('{"step": 7, "half')
    (tmp_path / "checkpoint-6" / MARK).unlink()
    run().train(resume_from_checkpoint=True)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6, 6]
    assert [line for line in lines if "train_runtime" in line] == lines[-1:]
    assert all("time" in line for line in lines)
