"""What a room says of itself in its first lines names files that are there; training's names all of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import magistral_recipe

PACKAGE = Path(magistral_recipe.__file__).parent
ROOMS = ("training", "evaluation", "data", "report", "verifiers", "stages")


def named(room):
    """The files that a room's docstring names, and the text itself."""
    told = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text("utf-8"))) or ""
    return set(re.findall(r"(?<![\w/])[\w/]+(?:\.py\b|/(?=\s))", told)), told


@pytest.mark.parametrize("room", ROOMS)
def test_files_that_a_room_names_exist(room):
    files, told = named(room)
    assert len(files) >= 3, told
    inside = PACKAGE / room
    places = [*inside.rglob("*"), *(PACKAGE / name for name in files if "/" in name)]
    there = {str(place.relative_to(root)) for place in places if place.exists() for root in (place.parent, PACKAGE)}
    assert {name.rstrip("/") for name in files} <= there


def test_one_step_of_rl_is_drawn_with_every_file_of_training():
    files, _ = named("training")
    modules = {path.name for path in (PACKAGE / "training").glob("*.py")} - {"__init__.py"}
    assert len(modules) >= 15
    assert modules <= files
