"""Two processes whose rows differ: no part of a reward may be logged by one of them alone.

TRL 1.0 to 1.13 gather each metric of rewards in turn, so a name that one process leaves out hung both; the oldest and
the newest TRL that the rewards are said to work with train here.
"""

import importlib.metadata
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from preloaded import start_ranks

SCRIPT = Path(__file__).parents[1] / "helpers" / "lopsided_grpo.py"
OLDEST = "1.0.0"
WHEEL = next((Path(sys.prefix) / "wheels").glob(f"trl-{OLDEST}-*.whl"), None)
PARTS = {
    "magistral_reward/format", "magistral_reward/correctness", "magistral_reward/language",
    "math_correctness/mean", "code_correctness/mean", "language_consistency/mean",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "version",
    [
        pytest.param(
            OLDEST,
            marks=pytest.mark.skipif(
                WHEEL is None, reason=f"pip download --no-deps --dest .venv/wheels trl=={OLDEST} (0.5 MB)"
            ),
        ),
        importlib.metadata.version("trl"),
    ],
)
def test_two_processes_log_the_same_parts(tmp_path, version):
    # What hung did so for ever: the time limits are the test.
    if version == OLDEST:
        assert WHEEL is not None
        zipfile.ZipFile(WHEEL).extractall(tmp_path / "trl")  # in front of the one that is installed
        path = os.pathsep.join(filter(None, [str(tmp_path / "trl"), os.getenv("PYTHONPATH")]))
        words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        words += [str(SCRIPT), str(tmp_path)]
        environment = {**os.environ, "PYTHONPATH": path}
        result = subprocess.run(words, capture_output=True, text=True, timeout=240, env=environment)
        assert result.returncode == 0, result.stderr[-3000:]
    else:
        start_ranks([str(SCRIPT), str(tmp_path)], 2, os.environ, tmp_path)
    for rank in range(2):
        found = json.loads((tmp_path / f"rank{rank}.json").read_text())
        assert (found["trl"], found["processes"], len(found["log"])) == (version, 2, 2)
        for entry in found["log"]:
            assert entry.keys() >= PARTS
            assert entry["magistral_reward/format"] == 0.0
