"""The table of what is tried names tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


HEAD = "| attack | expected | since | held by |"


def table_lines() -> list[str]:
    """The lines of docs/security.md that are tables."""
    return [line for line in (ROOT / "docs" / "security.md").read_text("utf-8").splitlines() if line.startswith("|")]


def rows():
    """The cells of each row."""
    for line in table_lines():
        if line != HEAD and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def test_every_row_says_what_is_expected_since_when_and_by_which_test_it_is_held():
    found = list(rows())
    assert len(found) >= 85
    assert table_lines().count(HEAD) == 11  # every table has these columns
    for row in found:
        assert len(row) == 4, row
        assert all(row)
        assert re.fullmatch(r"\d+\.\d+", row[2])


def test_the_tests_that_the_rows_name_are_there():
    named = {name for row in rows() for name in re.findall(r"`(tests/[\w/]+\.py::\w+)`", row[3])}
    assert len(named) >= 80
    assert all(re.search(r"`tests/[\w/]+\.py::\w+`", row[3]) for row in rows())
    for name in named:
        file, _, function = name.partition("::")
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, name
