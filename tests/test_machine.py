"""The machine: what launchers say, what devices and packages are called, how much memory there is."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

import magistral_recipe
from magistral_recipe import machine
from magistral_recipe.machine import LAUNCH_VARIABLES, World


@pytest.fixture(autouse=True)
def no_launch(monkeypatch):
    for name in (*LAUNCH_VARIABLES, "ACCELERATE_MIXED_PRECISION", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


def test_importing_it_is_light():
    code = "import magistral_recipe.machine, sys; print({'torch', 'psutil', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_a_process_alone_is_the_first_of_one():
    assert World.from_environment() == World.joined() == World(0, 1, False, 0, 1)
    assert World().first


@pytest.mark.parametrize("name", ["ACCELERATE_MIXED_PRECISION", "TORCHELASTIC_RUN_ID"])
def test_a_launch_is_read_from_the_environment(monkeypatch, name):
    given = {"RANK": "9", "WORLD_SIZE": "16", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "8", name: "no"}
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    assert World.from_environment() == World(rank=9, size=16, launched=True, local_rank=1, local_size=8)
    assert not World.from_environment().first
    assert World.joined() == World()  # they have not found one another


def test_ranks_are_read_in_one_place():
    """A variable's name in another file would be a second reader of it."""
    root = Path(magistral_recipe.__file__).parent
    readers = set()
    for file in root.rglob("*.py"):
        words = {node.value for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Constant)}
        if words & {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"}:
            readers.add(str(file.relative_to(root)))
    assert set(readers) == {"machine.py"}


def test_devices_have_one_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert (machine.best_device(), machine.describe_device(), machine.device_name("mps")) == ("mps", "Apple GPU", "mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert machine.best_device() == machine.device_name("cpu") == "cpu"
    assert machine.describe_device().startswith("CPU, ")
    card = SimpleNamespace(name="H100", total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H100")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert machine.best_device() == "cuda:1"
    assert machine.describe_device() == "H100 (80 GiB), H100 (80 GiB)"
    assert machine.device_name("cuda") == "H100"


def test_an_emulated_bfloat16_is_none(monkeypatch):
    """A T4 says that it supports bfloat16 unless it is asked for its hardware's."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert not machine.computes_bfloat16()
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    assert machine.computes_bfloat16()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not machine.computes_bfloat16()


@pytest.mark.parametrize(
    ("files", "limits"),
    [
        ({"memory.max": "4096\n"}, [4096]),
        ({"memory.max": "max\n"}, []),
        ({"memory/memory.limit_in_bytes": "8192"}, [8192]),
        ({}, []),
    ],
)
def test_a_containers_share_is_read_from_both_versions_of_cgroups(tmp_path, files, limits):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "ascii")
    assert list(machine._container_limits(tmp_path)) == limits


def test_memory_is_the_containers_where_it_has_a_limit(monkeypatch):
    given = SimpleNamespace(total=64 * 2**30, available=32 * 2**30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: given)
    monkeypatch.setattr(machine, "_container_limits", list)
    assert machine.memory() == (64 * 2**30, 32 * 2**30)
    monkeypatch.setattr(machine, "_container_limits", lambda: [16 * 2**30, 2**63])
    assert machine.memory() == (16 * 2**30, 16 * 2**30)


def test_versions_name_what_is_installed():
    found = machine.versions()
    assert found["magistral-recipe"] == magistral_recipe.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["torch"] == version("torch")
    assert machine.version_of("no-such-package-anywhere") is None
    assert set(found) - {"magistral-recipe", "python"} <= set(machine.PACKAGES)
