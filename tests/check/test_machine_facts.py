"""What `doctor` says of machines that are made up: each lack with its way out; and vLLM in `check`."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from check_document import document
from rich.console import Console

from magistral_recipe import machine
from magistral_recipe.check import machine_facts, plan, trainers
from magistral_recipe.check.machine_facts import Card, Facts, facts_here, findings, vllm_mistake
from magistral_recipe.check.proof import prove_recipe
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.errors import RecipeError
from magistral_recipe.machine import GIB, Memory, version_suits, wanted_by

GOOD = Facts(
    ram=Memory(64 * GIB, 50 * GIB),
    torch="2.13.0+cu130",
    torch_cuda="13.0",
    driver="580.95.05",
    driver_cuda=(13, 0),
    cards=(Card("NVIDIA GeForce RTX 4090", Memory(int(23.6 * GIB), int(22.9 * GIB)), True),),
    vllm="0.30.0",
    vllm_torch="==2.13.0",
    trl_vllm="<=0.31.0,>=0.22.0",
    shm=Memory(32 * GIB, 32 * GIB),
    disks={"for runs and the hub's cache": Memory(900 * GIB, 400 * GIB)},
)


def told(facts):
    return {line.subject: line for line in findings(facts)}


def test_a_machine_that_has_all_is_told_line_by_line_and_needs_nothing():
    lines = told(GOOD)
    assert list(lines) == ["driver", "GPU", "vllm", "memory", "/dev/shm", "disk"]
    assert {line.state for line in lines.values()} == {"ok"}
    assert not any(line.remedy for line in lines.values())
    assert "22.9 of 23.6 GiB free" in lines["GPU"].found
    assert told(replace(GOOD, peers=True))["between GPUs"].state == "ok"


@pytest.mark.parametrize(
    ("change", "subject", "state", "found", "remedy"),
    [
        ({"driver": None, "driver_cuda": None, "cards": ()}, "driver", "missing", "no NVIDIA driver", "--gpus all"),
        ({"driver_cuda": (12, 4), "cards": ()}, "driver", "missing", "CUDA up to 12.4, torch is built for 13.0", "580"),
        ({"driver_cuda": (12, 4), "cards": ()}, "driver", "missing", "580.95", "a build of PyTorch for CUDA 12"),
        ({"torch_cuda": "13.2"}, "driver", "weak", "up to 13.0, torch is built for 13.2", "unsupported PTX"),
        ({"torch_cuda": None, "cards": ()}, "driver", "weak", "a build without CUDA", "CUDA build of PyTorch"),
        ({"cards": (), "hidden": ""}, "GPU", "missing", "none that PyTorch", "CUDA_VISIBLE_DEVICES='' may hide it"),
        ({"torch": None, "cards": ()}, "GPU", "missing", "torch is not installed", "magistral-recipe[train]"),
        ({"peers": False}, "between GPUs", "weak", "RTX 3090, 4090, 5090", "NCCL_P2P_DISABLE=1 NCCL_IB_DISABLE=1"),
        ({"vllm": "0.33.0"}, "vllm", "weak", "takes <=0.31.0,>=0.22.0", "magistral-recipe[vllm]"),
        ({"torch": "2.11.0+cu130"}, "vllm", "weak", "built for torch==2.13.0, and torch 2.11.0", "[vllm]"),
        ({"vllm": None}, "vllm", "missing", "TRL takes <=0.31.0,>=0.22.0", "[vllm]"),
        ({"ram": Memory(16 * GIB, 3 * GIB)}, "memory", "weak", "16 GiB, 3 GiB of it free", "`check` says how much"),
        ({"shm": Memory(2**26, 2**26)}, "/dev/shm", "weak", "64 MiB, 64 MiB of it free", "--shm-size"),
        ({"disks": {"x": Memory(99 * GIB, 9 * GIB)}}, "disk", "weak", "9 GiB free of 99 GiB, x", "HF_HOME"),
    ],
)
def test_what_a_machine_lacks_comes_with_the_way_out(change, subject, state, found, remedy):
    line = told(replace(GOOD, **change))[subject]
    assert line.state == state
    assert found in line.found
    assert remedy in line.remedy


@pytest.mark.parametrize(
    ("card", "found", "remedy"),
    [
        (Card("RTX 4090", Memory(24 * GIB, 20 * GIB), True), "20.0 of 24.0 GiB free", "nvidia-smi"),
        (Card("T4", Memory(15 * GIB, 14 * GIB), False), "without bfloat16", "dtype: float16"),
    ],
)
def test_a_card_that_others_use_or_that_is_old_is_told(card, found, remedy):
    line = told(replace(GOOD, cards=(card,)))["GPU"]
    assert line.state == "weak"
    assert found in line.found
    assert remedy in line.remedy


def test_no_driver_is_asked_of_an_apple_machine():
    lines = told(replace(GOOD, apple=True, cards=(), driver=None, driver_cuda=None, torch_cuda=None))
    assert "driver" not in lines
    assert "MPS" in lines["GPU"].found


def test_the_facts_of_this_machine_can_be_looked_up_and_told():
    facts = facts_here()
    assert facts.ram.total >= facts.ram.free > 0
    assert facts.torch is not None
    assert all(room.free > 0 for room in facts.disks.values())
    assert {line.subject for line in findings(facts)} >= {"GPU", "vllm", "memory", "disk"}


def test_the_driver_is_asked_for_its_cuda(monkeypatch):
    class Driver:
        def cuDriverGetVersion(self, number):  # noqa: N802  # NVIDIA's name
            number._obj.value = 12040
            return 0

    monkeypatch.setattr(machine_facts.ctypes, "CDLL", lambda name: Driver())
    assert machine_facts._driver_here()[1] == (12, 4)


def test_the_extra_asks_for_what_trl_takes():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    pinned = next(line for line in project["optional-dependencies"]["vllm"] if line.startswith("vllm"))
    takes = wanted_by("trl", "vllm")
    assert sorted(re.match(r"vllm([^;]*);", pinned)[1].split(",")) == sorted(takes.split(","))
    for version, suits in (("0.21.9", False), ("0.22.0", True), ("0.31.0+cu129", True), ("0.32.0", False)):
        assert version_suits(version, takes) is suits
        assert (vllm_mistake(version, takes, None, None) is None) is suits


VLLM = """\
name: x
model: {path: tiny}
thinking: {system_prompt: none}
problems: {train: {tiny: train, count: 8}}
stages:
  - grpo:
      problems: train
      rollouts: {backend: vllm}
      trainer: {max_completion_length: 64, overlong_cache: 8}
"""


def test_a_vllm_that_trl_does_not_take_is_a_mistake_before_anything_is_trained(tmp_path, monkeypatch):
    for module in (plan, trainers):
        monkeypatch.setattr(module, "version_of", lambda name: {"vllm": "0.33.0", "torch": "2.13.0"}.get(name))
    (mistake,) = document(tmp_path, VLLM)["mistakes"]
    assert (mistake["key"], mistake["line"]) == ("stages[0].grpo.rollouts.backend", 8)
    assert "vLLM 0.33.0 is installed" in mistake["message"]
    assert "pip install 'magistral-recipe[vllm]'" in mistake["message"]
    with pytest.raises(RecipeError, match=r"vLLM 0\.33\.0 is installed"):
        prove_recipe(load_recipe(tmp_path / "r.yaml"), Console(quiet=True))


@pytest.mark.parametrize(("version", "wrong"), [("0.27.1", False), ("0.28.0", True)])
def test_4_bit_weights_want_a_vllm_that_still_loads_them(tmp_path, monkeypatch, version, wrong):
    for module in (machine, plan, trainers):
        monkeypatch.setattr(module, "version_of", lambda name: {"vllm": version}.get(name))
    text = VLLM.replace("{path: tiny}", "{path: tiny, dtype: bfloat16, quantization: nf4, lora: {r: 4}}")
    lines = [mistake["message"] for mistake in document(tmp_path, text)["mistakes"]]
    told = f"vLLM {version} is installed, which loads no 4-bit weights any more: pip install 'vllm<0.28'"
    assert [told in line for line in lines] == [True] * wrong, lines


def test_a_vllm_that_is_missing_is_not_looked_at_and_a_run_refuses(tmp_path, monkeypatch):
    for module in (plan, trainers):
        monkeypatch.setattr(module, "version_of", lambda name: None)
    found = document(tmp_path, VLLM)
    assert found["exit_code"] == 3
    assert [each["what"] for each in found["not_looked_at"]] == ["vllm"]
    elsewhere = document(tmp_path, VLLM, "--device", "rtx4090")
    assert elsewhere["exit_code"] == 0
    assert [each["what"] for each in elsewhere["left_out"]] == ["vllm"]
    with pytest.raises(RecipeError, match="vLLM is not installed: pip install"):
        prove_recipe(load_recipe(tmp_path / "r.yaml"), Console(quiet=True))
