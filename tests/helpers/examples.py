"""The example recipes, run as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from magistral_recipe.files import read_json

EXAMPLES = Path(__file__).parents[2] / "recipes" / "examples"


def run_example(name: str, output: Path, *words: str) -> str:
    """Run an example through the public command; what it printed."""
    command = [sys.executable, "-m", "magistral_recipe", "run", str(EXAMPLES / name), "--output", str(output), *words]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=1200, env={**os.environ, "HF_HUB_OFFLINE": "1", "CI": "1"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


def statuses(run: Path) -> dict[str, str]:
    """Each stage's status, as the manifest has it."""
    return {stage["name"]: stage["status"] for stage in read_json(run / "manifest.json")["stages"]}
