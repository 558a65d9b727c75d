"""Two CPU processes make the steps of one: losses, weights, decisions; and nothing hangs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "helpers" / "given_completions.py"
SAME = ("loss", "reward", "entropy", "clip_ratio/region_mean", "groups/uninformative", "groups/refill_rounds", "epoch")
SAME += ("sampling/gap", "sampling/cut_share")


def run(folder, processes, changes, *words):
    """Train on given completions in so many processes; weights and logs of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", "0"]
        launcher += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        environment.pop(name, None)
    done = subprocess.run(
        [*launcher, str(SCRIPT), str(folder), json.dumps(changes), *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(folder / "weights.pt"), json.loads((folder / "log.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"max_steps": 6, "max_tokens_per_microbatch": 40}, id="refill and ragged ranks"),
        pytest.param(
            {"max_steps": 6, "prompts_per_batch": 2, "num_generations": 3, "minibatches_per_batch": 1}, id="odd groups"
        ),
        pytest.param({"max_steps": 6, "prompts_per_batch": 2, "num_generations": 2}, id="an empty rank"),
    ],
)
def test_two_processes_train_as_one(tmp_path, changes):
    assert_the_same(run(tmp_path / "one", 1, changes), run(tmp_path / "two", 2, changes))


@pytest.mark.slow
def test_two_processes_correct_for_a_sampler_as_one_does(tmp_path):
    """What one process does is held against the formula in `test_grpo_objective.py`."""
    changes = {"max_steps": 6, "max_tokens_per_microbatch": 40, "sampler_gap_limit": 100.0}
    single, double = run(tmp_path / "one", 1, changes, "scored"), run(tmp_path / "two", 2, changes, "scored")
    assert_the_same(single, double)
    cut = [entry["sampling/cut_share"] for entry in double[1] if "sampling/cut_share" in entry]
    assert len(cut) == 3  # batches
    assert 0.05 < max(cut) < 1


@pytest.mark.slow
def test_two_processes_that_share_the_weights_train_as_one(tmp_path):
    changes = {"max_steps": 6, "max_tokens_per_microbatch": 40}
    assert_the_same(run(tmp_path / "one", 1, changes), run(tmp_path / "two", 2, changes, "fsdp"))


@pytest.mark.slow
def test_two_processes_resume_as_if_nothing_had_happened(tmp_path):
    changes = {"max_steps": 6, "max_tokens_per_microbatch": 40, "save_strategy": "steps", "save_steps": 2}
    straight, log = run(tmp_path / "a", 2, changes)
    shutil.copytree(tmp_path / "a" / "checkpoint-4", tmp_path / "b" / "checkpoint-4")
    resumed, log_again = run(tmp_path / "b", 2, changes, "resume")
    assert len(log) == 7
    for left, right in zip(log[:-1], log_again[:-1], strict=True):
        assert {name: left.get(name) for name in SAME} == {name: right.get(name) for name in SAME}
    assert all(torch.equal(resumed[name], tensor) for name, tensor in straight.items())


def assert_the_same(single, double):
    """Losses, decisions and weights of a run in one process and in two."""
    (one, log_of_one), (two, log_of_two) = single, double
    assert {entry["world"] for entry in log_of_two} == {2}
    assert len(log_of_one) == 7  # six steps and the summary
    assert one.keys() == two.keys()
    assert one
    for left, right in zip(log_of_one[:-1], log_of_two[:-1], strict=True):
        for name in SAME:
            assert (name in left) == (name in right)
            if name in left:
                assert right[name] == pytest.approx(left[name], abs=2e-5), (name, left["step"])
    for name, tensor in one.items():
        assert torch.allclose(two[name], tensor, atol=2e-5), name
