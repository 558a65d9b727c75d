"""A stage's record, `stage.json`: how far it is, what it was made of, what it read, what it left.

Files get damaged and edited: what is no record says so in one line, and is never used in part.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from magistral_recipe.files import read_json, write_json


class StageRecord(BaseModel):
    """What `stage.json` holds. Fields that another version wrote stay as they are."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: str
    """The stage's name."""
    kind: str
    """Its kind."""
    fingerprint: str
    """Hash of its config and of what flows into it."""
    status: Literal["running", "complete"]
    """How far it is."""
    seconds: float = Field(0.0, ge=0)
    """Time that it took, over all attempts."""
    attempts: int = Field(0, ge=0)
    """How often it was begun."""
    run: str | None = None
    """The run that it is a part of."""
    code: str | None = None
    """Hash of this package when it was last begun, or finished."""
    made_of: dict[str, Any] | None = None
    """Every key that decides what it does, dotted, with its value; ``None`` where an earlier version noted none."""
    reads: dict[str, str] | None = None
    """Every file that it reads, by what a person calls it, with its hash; ``None`` likewise."""
    seen: dict[str, str] = Field(default_factory=dict)
    """Size and time of those files: while they hold, nothing needs to be hashed again."""
    failure: str | None = None
    """Why its last attempt failed, with paths from the run folder on; ``None`` where it did not."""
    results: dict[str, Any] = Field(default_factory=dict)
    """What it found; complete ones alone."""
    outputs: dict[str, int] = Field(default_factory=dict)
    """Sizes in bytes of the files that others read."""
    hashes: dict[str, str] | None = None
    """Their hashes; ``None`` where an earlier version noted none."""


def read_record(file: Path) -> StageRecord | None:
    """Read a stage's record; ``None`` where there is none, or what is there is none (`why_no_record` says why)."""
    try:
        return StageRecord.model_validate(read_json(file))
    except ValidationError:
        return None


def why_no_record(file: Path) -> str | None:
    """Say why a file is no stage's record; ``None`` where it is one, or there is no file."""
    if not file.exists():
        return None
    data = read_json(file)
    if not isinstance(data, dict):
        return f"{file.name} is no stage's record: it holds {'no JSON' if data is None else _kind(data)}"
    try:
        StageRecord.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        return f"{file.name} is no stage's record: {key}: {first['msg'][0].lower()}{first['msg'][1:]}"
    return None


def write_record(file: Path, record: StageRecord) -> None:
    """Write a record, atomically."""
    write_json(file, record.model_dump(mode="json", exclude_none=True))


def read_manifest(file: Path) -> dict[str, Any]:
    """Read a manifest; empty where there is none, or what is there is none."""
    data = read_json(file)
    return data if isinstance(data, dict) else {}


def _kind(value: Any) -> str:
    return {list: "a list", str: "text", bool: "a truth value"}.get(type(value), "a number")
