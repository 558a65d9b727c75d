"""What in a run folder is the run's own, so that nothing else is ever written over or deleted.

A run has a name that no other has, kept in the folder (`layout.RUN`) and in each of its stages' records. Runs of an
earlier version had none: theirs are the stages that their manifest names.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from magistral_recipe import layout
from magistral_recipe.chain.records import read_manifest, read_record
from magistral_recipe.errors import RecipeError
from magistral_recipe.files import read_json, write_json

RESOLVED = "# The resolved recipe of this run"
"""How the recipe begins that a run writes into its folder."""

_OF_A_STAGE = (
    *(layout.STAGE, layout.MODEL, layout.ADAPTER, layout.CHECKPOINTS, layout.BEST),
    *(layout.METRICS, layout.ROLLOUTS, layout.BASELINE, layout.REWARDS, layout.LOG),
    *(layout.PROBLEMS, layout.TRACES, layout.FUNNEL, layout.STEPS, layout.RATINGS),
)


def run_id(folder: Path) -> str:
    """The name of the run in a folder; given to it where it has none."""
    known = _known_id(folder)
    if known is None:
        known = secrets.token_hex(8)
        write_json(folder / layout.RUN, {"run": known})
    return known


def _known_id(folder: Path) -> str | None:
    told = read_json(folder / layout.RUN)
    known = told.get("run") if isinstance(told, dict) else None
    return known if isinstance(known, str) else None


def sweep_temporary(folder: Path) -> None:
    """Delete what a kill left of files that were being replaced, in a run's own folder and its stages'."""
    for place in (folder, *folder.glob(layout.STAGE_FOLDERS)):
        if place.is_symlink():
            continue
        for name in (*layout.OF_A_RUN, *_OF_A_STAGE):
            for file in place.glob(f".{name}.*.tmp"):
                file.unlink(missing_ok=True)
        for inner in (place / layout.STEPS, place / layout.BEST):
            for file in inner.glob(".*.tmp") if place != folder and not inner.is_symlink() else ():
                file.unlink(missing_ok=True)


def require_own(folder: Path, recipe: Path) -> None:
    """See that no file of the user's stands where a run writes its own.

    Args:
        folder: the run folder, which need not exist.
        recipe: the recipe's file.

    Raises:
        RecipeError: one line a file.
    """
    there = [name for name in layout.OF_A_RUN if (folder / name).exists() or (folder / name).is_symlink()]
    is_run = _known_id(folder) is not None or {"format", "stages"} <= set(read_manifest(folder / layout.MANIFEST))
    # The first manifest of an earlier version was written after the recipe; a kill may have come between.
    is_run = is_run or there == [layout.RECIPE]
    foreign = [name for name in there if not is_run and name != layout.RECIPE]
    if layout.RECIPE in there and not _is_resolved(folder / layout.RECIPE):
        foreign.append(layout.RECIPE)
    lines = []
    for name in foreign:
        what = "is the recipe itself" if _same(folder / name, recipe) else "is not a run's"
        lines.append(f"{folder / name}: {what}, and a run writes its own {name} there: give another --output")
    if lines:
        raise RecipeError(lines)


def require_outside(folder: Path, read: Mapping[str, Path], written: Collection[str] | None) -> None:
    """See that nothing that a run reads lies in a folder that it writes anew, moves aside or deletes.

    Args:
        folder: the run folder, which need not exist.
        read: files and folders, by what a person calls them.
        written: names of the folders of its stages; ``None`` for those of all stages there.

    Raises:
        RecipeError: one line a file.
    """
    lines = []
    for label, file in read.items():
        with contextlib.suppress(ValueError):
            first = (file.resolve().relative_to(folder.resolve()).parts or ("",))[0]
            is_stage = first == layout.REPLACED or layout.stage_name(first) is not None
            if is_stage if written is None else first in written:
                lines.append(f"{label} lies in {folder / first}, which this run writes anew: give another --output")
    if lines:
        raise RecipeError(lines)


def _is_resolved(file: Path) -> bool:
    try:
        with open(file, encoding="utf-8") as stream:
            return stream.read(len(RESOLVED)) == RESOLVED
    except (OSError, UnicodeDecodeError):
        return False


def _same(one: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):
        return one.samefile(other)
    return False


def forget(folder: Path, mine: Path) -> None:
    """Delete what runs of this folder left in it.

    Args:
        folder: the run folder.
        mine: a file that stays, whatever it is called: the recipe.
    """
    if not folder.is_dir():
        return
    known = _known_id(folder)
    stages = read_manifest(folder / layout.MANIFEST).get("stages")
    named = (
        {str(each.get("folder")) for each in stages if isinstance(each, dict)} if isinstance(stages, list) else set()
    )
    replaced = folder / layout.REPLACED
    for child in [*folder.iterdir(), *(replaced.iterdir() if replaced.is_dir() else ())]:
        if child.is_symlink() or not child.is_dir() or layout.stage_name(child.name) is None:
            continue
        record = read_record(child / layout.STAGE)
        if record is None:
            continue
        if record.run == known if record.run is not None else child.name.partition(".")[0] in named:
            _forget_stage(child)
    if replaced.is_dir() and not any(replaced.iterdir()):
        replaced.rmdir()
    for name in layout.OF_A_RUN:
        if not _same(folder / name, mine):
            (folder / name).unlink(missing_ok=True)


def _forget_stage(folder: Path) -> None:
    """Delete what a stage has written; what else lies in its folder was put there by somebody."""
    for child in list(folder.iterdir()):
        unfinished = child.name.startswith(".") and child.name.endswith((".tmp", ".old"))
        listed = child.name in _OF_A_STAGE or child.match(layout.SET_ASIDE_FILES)
        if listed or unfinished or _is_evaluation(child):
            _delete(child)
    if not any(folder.iterdir()):
        folder.rmdir()


def _is_evaluation(folder: Path) -> bool:
    return folder.is_dir() and any((folder / name).is_file() for name in (layout.SETTINGS, layout.SAMPLES))


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
