"""The example recipes, run as a user runs them."""

from __future__ import annotations

import os
from pathlib import Path

import preloaded

from magistral_recipe.files import read_json

EXAMPLES = Path(__file__).parents[2] / "recipes" / "examples"


def run_example(name: str, output: Path, *words: str, anew: bool = False) -> str:
    """Run an example through the public command, its processes started `anew` or not; what it printed."""
    variables = {**os.environ, "HF_HUB_OFFLINE": "1", "CI": "1"}
    begin = preloaded.start_anew if anew else preloaded.start
    process = begin(["run", str(EXAMPLES / name), "--output", str(output), *words], variables)
    text, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, text
    assert "Traceback" not in text
    return text


def statuses(run: Path) -> dict[str, str]:
    """Each stage's status, as the manifest has it."""
    return {stage["name"]: stage["status"] for stage in read_json(run / "manifest.json")["stages"]}
