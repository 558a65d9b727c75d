"""The manifest: what ran, from what, on what, and with what result."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import magistral_recipe
from magistral_recipe import __version__, layout
from magistral_recipe.chain.reads import MODEL_OF
from magistral_recipe.chain.records import StageRecord, read_manifest, read_record
from magistral_recipe.files import write_json
from magistral_recipe.machine import hardware, versions

if TYPE_CHECKING:
    from magistral_recipe.chain.run_folder import RunFolder, StagePlan


def write_manifest(folder: RunFolder, plans: Sequence[StagePlan]) -> None:
    """Write ``manifest.json`` atomically from the recipe and the stages' own records.

    Args:
        folder: the run folder.
        plans: its stages.
    """
    recipe = folder.loaded.recipe
    before = read_manifest(folder.path / layout.MANIFEST)
    manifest = {
        "format": 1,
        "name": recipe.name,
        "description": recipe.description,
        "recipe_file": folder.loaded.document.file.name,
        "recipe_folder": str(folder.loaded.folder),
        "seed": recipe.seed,
        "created": created if isinstance(created := before.get("created"), str) else _now(),
        "updated": _now(),
        "versions": {"magistral-recipe": __version__, **versions()},
        "code": code_version(),
        "hardware": hardware(),
        "inputs": _inputs(plans),
        "stages": [_stage(plan) for plan in plans],
    }
    write_json(folder.path / layout.MANIFEST, manifest)


def _stage(plan: StagePlan) -> dict[str, Any]:
    record = _record(plan)
    return {
        "name": plan.stage.name,
        "kind": plan.stage.kind,
        "role": plan.stage.role,
        "folder": plan.folder.name,
        "fingerprint": plan.fingerprint,
        "start_model": plan.start_model,
        "status": record.status if record else "waiting",
        "seconds": record.seconds if record else 0.0,
        "attempts": record.attempts if record else 0,
        "results": record.results if record else {},
        "reads": _reads(plan),
    }


def _record(plan: StagePlan) -> StageRecord | None:
    """A stage's record, where it is that of the stage as it is now."""
    record = read_record(plan.record)
    return record if record and record.fingerprint == plan.fingerprint else None


def _reads(plan: StagePlan) -> dict[str, str]:
    """The files that a stage read, by their hashes when it did; of one that waits, as they are now."""
    record = _record(plan)
    reads = plan.reads if record is None or record.reads is None else record.reads
    return {label: digest for label, digest in reads.items() if not label.startswith(MODEL_OF)}


def _inputs(plans: Sequence[StagePlan]) -> dict[str, str]:
    """The files that the run read; where two stages read different contents, each has its own in `reads`."""
    found: dict[str, str] = {}
    for plan in plans:
        found = {**_reads(plan), **found}
    return found


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


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
