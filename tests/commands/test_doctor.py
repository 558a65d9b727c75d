"""`doctor`: every finding, remedies for what is missing, and an exit code that never fails."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
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


def test_cards_that_do_not_read_each_others_memory_are_told(app, monkeypatch):
    memory = (20 * 2**30, 24 * 2**30)
    monkeypatch.setattr(probe, "probe", lambda mode: Probe(mode, None, "/usr/bin/python3"))
    card = SimpleNamespace(name="NVIDIA GeForce RTX 4090", total_memory=memory[1])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: memory)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: card.name)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (8, 9))
    for reads, told in ((False, "no P2P, as between GeForce cards"), (True, "each card reads the others' memory")):
        monkeypatch.setattr(torch.cuda, "can_device_access_peer", lambda one, other, reads=reads: reads)
        shown = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "400"})
        assert shown.exit_code == 0
        assert told in " ".join(shown.output.split())
        assert ("NCCL_P2P_DISABLE=1 NCCL_IB_DISABLE=1" in shown.output) == (not reads)


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


def test_a_library_of_a_version_that_this_package_does_not_take_is_told(monkeypatch):
    monkeypatch.setattr(doctor, "version_of", {"transformers": "5.17.0", "trl": "1.16.0", "torch": "2.11.0+cu130"}.get)
    monkeypatch.setattr(doctor, "wanted_by", lambda package, other: {"transformers": "<6,>=5.19"}.get(other, ">=1.1"))
    found = {line.subject: line for line in doctor.examine() if line.subject in doctor.LIBRARIES}
    assert found["transformers"][1:3] == ("weak", "5.17.0, and this package takes <6,>=5.19")
    assert found["trl"].state == found["torch"].state == "ok"
