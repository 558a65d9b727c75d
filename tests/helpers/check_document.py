"""What `check --json` prints of a recipe, held against its published schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
from typer.testing import CliRunner

from magistral_recipe.cli import app

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "check.schema.json").read_text("utf-8"))


def document(folder: Path, text: str, *words: str) -> Any:
    """Check a recipe through the command.

    Args:
        folder: where it is written to, beside its data.
        text: the recipe.
        *words: further words of the command.

    Returns:
        The document.
    """
    (folder / "r.yaml").write_text(text)
    done = CliRunner().invoke(app, ["check", str(folder / "r.yaml"), "--json", *words])
    found = json.loads(done.stdout)
    jsonschema.validate(found, SCHEMA)
    assert found["exit_code"] == done.exit_code
    return found
