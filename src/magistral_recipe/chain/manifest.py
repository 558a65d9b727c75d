"""The manifest: what ran, from what, on what, and with what result."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import magistral_recipe
from magistral_recipe import __version__
from magistral_recipe.files import read_json, write_json

if TYPE_CHECKING:
    from magistral_recipe.chain.run_folder import RunFolder, StagePlan

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "bitsandbytes", "vllm", "math-verify")
"""Packages whose versions decide what a run gives."""


def write_manifest(folder: RunFolder, plans: list[StagePlan]) -> None:
    """Write ``manifest.json`` atomically from the recipe and the stages' own records.

    Args:
        folder: the run folder.
        plans: its stages.
    """
    recipe = folder.loaded.recipe
    before = read_json(folder.path / "manifest.json") or {}
    manifest = {
        "format": 1,
        "name": recipe.name,
        "description": recipe.description,
        "recipe_file": folder.loaded.document.file.name,
        "recipe_folder": str(folder.loaded.folder),
        "seed": recipe.seed,
        "created": before.get("created", _now()),
        "updated": _now(),
        "versions": {"magistral-recipe": __version__, **versions()},
        "code": code_version(),
        "hardware": hardware(),
        "inputs": {_relative(path, folder.loaded.folder): digest for path, digest in folder.input_hashes.items()},
        "stages": [_stage(plan) for plan in plans],
    }
    write_json(folder.path / "manifest.json", manifest)


def _stage(plan: StagePlan) -> dict[str, Any]:
    record = read_json(plan.record) or {}
    same = record.get("fingerprint") == plan.fingerprint
    return {
        "name": plan.entry.name,
        "kind": plan.entry.kind,
        "folder": plan.folder.name,
        "fingerprint": plan.fingerprint,
        "start_model": plan.start_model,
        "status": record.get("status", "waiting") if same else "waiting",
        "seconds": record.get("seconds", 0.0) if same else 0.0,
        "attempts": record.get("attempts", 0) if same else 0,
        "results": record.get("results", {}) if same else {},
    }


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that matter, those that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@functools.cache
def hardware() -> dict[str, Any]:
    """Processor, cores, memory and GPUs of this machine."""
    import torch

    found: dict[str, Any] = {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()}
    if hasattr(os, "sysconf"):
        found["memory_gib"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    if torch.cuda.is_available():
        found["gpus"] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@functools.cache
def code_version() -> str:
    """A hash of this package's Python files: two runs with the same one ran the same code."""
    digest = hashlib.sha256()
    root = Path(magistral_recipe.__file__).parent
    for file in sorted(root.rglob("*.py")):
        digest.update(str(file.relative_to(root)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _relative(path: str, folder: Path) -> str:
    """A path as the recipe writes it, so that a manifest does not tell about its author's folders."""
    try:
        return str(Path(path).relative_to(folder))
    except ValueError:
        return Path(path).name


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
