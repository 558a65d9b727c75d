"""The notebooks: each of them runs from its first cell to its last, as a reader would run it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def execute(name: str, **parameters: object) -> str:
    """Run a notebook with some of its parameters changed, and return all that it wrote."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += "".join(f"\n{key} = {value!r}" for key, value in parameters.items())
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(str(output.get("text") or output.get("data", {}).get("text/plain", "")) for output in outputs)


@pytest.fixture(autouse=True)
def programs(monkeypatch):
    """This environment's programs come first, as in an activated one."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def test_every_notebook_is_tried_here():
    assert {path.name for path in NOTEBOOKS.rglob("*.ipynb")} == {"quickstart.ipynb", "rewards.ipynb"}


def test_no_notebook_names_a_folder_of_the_machine_that_ran_it():
    notebooks = list(NOTEBOOKS.rglob("*.ipynb"))
    assert len(notebooks) == 2
    for path in notebooks:
        absolute = re.compile(r"""(?:^|[\s"'(=])/[\w.-]+/""", re.M)
        assert not absolute.findall(path.read_text())


def test_rewards(tmp_path):
    told = execute("rewards.ipynb", RUN=str(tmp_path / "run"))
    judged = {line[25:53].strip(): line[54:57] for line in told.splitlines() if line.startswith("\\frac{1}{2}")}
    assert judged == {"0.5": "1.0", "x = \\tfrac12": "1.0", "50\\%": "1.0", "½": "1.0", "0.51": "0.0"}
    assert "1.0" in next(line for line in told.splitlines() if line.endswith("an honest answer"))
    assert "'magistral_reward/correctness': 0.0" in told


@pytest.mark.slow
def test_quickstart(tmp_path):
    changes = ["sft.trainer.max_steps=40", "grpo.trainer.max_steps=6", "problems.heldout.count=12"]
    told = execute("quickstart.ipynb", RUN=str(tmp_path / "run"), CHANGES=changes)
    assert " 2.0  as it should be" in told
    assert "Wiring proven" in told
    assert "[3/3] evaluate" in told
    assert "RL added" in told
    assert "--- grpo" in told
    assert (tmp_path / "run" / "report.html").is_file()
