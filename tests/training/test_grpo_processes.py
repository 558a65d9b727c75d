"""Two CPU processes make the steps of one: losses, weights, decisions; and nothing hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("given_completions.py")
SAME = ("loss", "reward", "entropy", "clip_ratio/region_mean", "groups/uninformative", "groups/refill_rounds", "epoch")


def run(folder, processes, changes):
    """Train on given completions in so many processes; weights and logs of the first."""
    folder.mkdir(parents=True)
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", "0"]
        launcher += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        environment.pop(name, None)
    done = subprocess.run(
        [*launcher, str(SCRIPT), str(folder), json.dumps(changes)],
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
    one, log_of_one = run(tmp_path / "one", 1, changes)
    two, log_of_two = run(tmp_path / "two", 2, changes)
    assert {entry["world"] for entry in log_of_two} == {2}
    for left, right in zip(log_of_one[:-1], log_of_two[:-1], strict=True):
        for name in SAME:
            assert (name in left) == (name in right)
            if name in left:
                assert right[name] == pytest.approx(left[name], abs=2e-5), (name, left["step"])
    for name, tensor in one.items():
        assert torch.allclose(two[name], tensor, atol=2e-5), name
