"""A disk that fills while a checkpoint is written: a clear error, and the last whole checkpoint goes on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from whole_runs import RECIPE, run, weights_hash, write_recipe

from magistral_recipe.files import read_json

SFT_ALONE = RECIPE[: RECIPE.index("  - grpo:")]
CHECKPOINT_MB = 19
"""A checkpoint of the embedded model: weights and AdamW's two moments in float32."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root on Linux to mount a tmpfs"),
]


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={CHECKPOINT_MB * 5 // 2}m", "tmpfs", str(disk)], capture_output=True
    )
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs: {done.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_said_and_loses_nothing(small_disk, tmp_path, uninterrupted):
    recipe = write_recipe(tmp_path, SFT_ALONE)
    code, text = run(recipe, small_disk / "run")
    assert code == 1
    assert "the disk is full" in text
    assert "Traceback" not in text
    stage = small_disk / "run" / "01-sft"
    kept = [path.name for path in sorted((stage / "checkpoints").glob("*/complete.json"))]
    assert kept, "no whole checkpoint is left"

    subprocess.run(["mount", "-o", f"remount,size={CHECKPOINT_MB * 12}m", str(small_disk)], check=True)
    code, text = run(recipe, small_disk / "run")
    assert code == 0, text
    assert "goes on at step" in text
    assert weights_hash(stage) == weights_hash(uninterrupted / "01-sft")
    assert read_json(stage / "stage.json")["attempts"] == 2
