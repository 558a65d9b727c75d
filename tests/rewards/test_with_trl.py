"""The rewards as they are in a plain `trl.GRPOTrainer`: conversational and plain, in one process and in two."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "helpers" / "tiny_grpo.py"
NAMES = ("magistral_reward", "math_correctness", "format_reward", "overlong_penalty")


def check(log, reasons, completions):
    assert len(log) == 2
    for name in NAMES:
        assert all(math.isfinite(entry[f"rewards/{name}/mean"]) for entry in log)
    assert {"magistral_reward/format", "magistral_reward/correctness", "math_correctness/mean"} <= log[0].keys()
    # What a random model writes is malformed, and each completion is said to be.
    assert reasons == ["malformed"] * completions
    assert log[0]["rewards/format_reward/mean"] == 0.0


@pytest.mark.parametrize("conversational", [True, False])
def test_two_steps_of_grpo(tmp_path, monkeypatch, conversational):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    from tiny_grpo import train

    trainer = train(tmp_path, conversational)
    log = [entry for entry in trainer.state.log_history if "reward" in entry]
    check(log, list(trainer._logs["extra"]["magistral_reward/reason"]), 4)


@pytest.mark.slow
def test_in_two_processes(tmp_path):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    result = subprocess.run([*launcher, SCRIPT, tmp_path], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["processes"] == 2
    check(found["log"], found["reasons"], 8)
