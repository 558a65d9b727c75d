"""`doctor`: every finding, remedies for what is missing, and an exit code that never fails."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from magistral_recipe.check import machine_facts
from magistral_recipe.commands import doctor
from magistral_recipe.verifiers.programs import cpp
from magistral_recipe.verifiers.sandbox import probe
from magistral_recipe.verifiers.sandbox.probe import Probe
from magistral_recipe.verifiers.sandbox.terms import SandboxError


@pytest.fixture
def app():
    app = typer.Typer()
    doctor.register(app)

    @app.callback()
    def several() -> None:
        """Make it a program of commands."""

    return app


def test_it_shows_what_is_there_and_ends_well(app, monkeypatch):
    monkeypatch.setattr(probe, "probe", lambda mode: Probe(mode, None, "/usr/bin/python3"))
    shown = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for subject in (
        "sandbox",
        "C++ compiler",
        "language model",
        "GPU",
        "memory",
        "cores",
        "trl",
        "vllm",
        "bitsandbytes",
    ):
        assert subject in shown.output


def test_what_is_missing_comes_with_its_remedy(app, monkeypatch):
    def nothing(*_: object) -> None:
        raise SandboxError("missing")

    monkeypatch.setattr(probe, "probe", lambda mode: Probe(mode, "install bubblewrap"))
    monkeypatch.setattr(cpp, "find_compiler", nothing)
    monkeypatch.setattr(doctor, "version_of", lambda name: None)
    monkeypatch.setattr(machine_facts, "version_of", lambda name: None)
    shown = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for remedy in (
        "install bubblewrap",
        "apt install g++",
        "pip install 'magistral-recipe[train]'",
        "magistral-recipe[vllm]",
    ):
        assert remedy in shown.output
    assert {finding.state for finding in doctor.examine() if finding.remedy} <= {"missing", "weak"}
