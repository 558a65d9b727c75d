"""The manifest: what ran, from what, on what, and with what result."""

from __future__ import annotations

import functools
import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import magistral_recipe
from magistral_recipe import __version__, layout
from magistral_recipe.files import read_json, write_json
from magistral_recipe.machine import hardware, versions

if TYPE_CHECKING:
    from magistral_recipe.chain.run_folder import RunFolder, StagePlan


def write_manifest(folder: RunFolder, plans: list[StagePlan]) -> None:
    """Write ``manifest.json`` atomically from the recipe and the stages' own records.

    Args:
        folder: the run folder.
        plans: its stages.
    """
    recipe = folder.loaded.recipe
    before = read_json(folder.path / layout.MANIFEST) or {}
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
    write_json(folder.path / layout.MANIFEST, manifest)


def _stage(plan: StagePlan) -> dict[str, Any]:
    record = read_json(plan.record) or {}
    same = record.get("fingerprint") == plan.fingerprint
    return {
        "name": plan.stage.name,
        "kind": plan.stage.kind,
        "role": plan.stage.role,
        "folder": plan.folder.name,
        "fingerprint": plan.fingerprint,
        "start_model": plan.start_model,
        "status": record.get("status", "waiting") if same else "waiting",
        "seconds": record.get("seconds", 0.0) if same else 0.0,
        "attempts": record.get("attempts", 0) if same else 0,
        "results": record.get("results", {}) if same else {},
    }


@functools.cache
def code_version(root: Path = Path(magistral_recipe.__file__).parent) -> str:
    """Hash this package's files, code and what it reads: two runs with the same hash ran the same.

    Args:
        root: the package's folder.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
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
