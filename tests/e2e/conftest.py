"""One uninterrupted run of the small chain, for all that hold what was stopped and gone on with against it."""

from __future__ import annotations

from pathlib import Path

import pytest
from whole_runs import run, write_recipe


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory) -> Path:
    """Its run folder, which is read and never written to; `chain.yaml` lies beside it."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    code, text = run(write_recipe(folder), folder / "run")
    assert code == 0, text
    return folder / "run"
