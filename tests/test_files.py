"""Files that are whole or not there."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from magistral_recipe.files import folder_atomically, hash_of, json_text, read_json, write_json


def test_a_failed_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "a.json"
    write_json(file, {"a": 1})
    circle: dict = {}
    circle["self"] = circle
    with pytest.raises(ValueError, match="Circular"):
        write_json(file, circle)
    assert read_json(file) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


class Odd:
    def __str__(self):
        return "odd"


def test_json_is_what_every_parser_takes(tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    data = {
        "nan": [math.nan, {"inf": (math.inf, -math.inf)}],
        "text": "NaN, \ud800 and é",
        "array": np.array([1.0, np.nan]),
        "scalar": np.float32(0.5),
        "view": MappingProxyType({"a": np.int64(3)}),
        "path": Path("a/b"),
        "odd": Odd(),
    }
    expected = {
        "nan": [None, {"inf": [None, None]}],
        "text": "NaN, \ud800 and é",
        "array": [1.0, None],
        "scalar": 0.5,
        "view": {"a": 3},
        "path": "a/b",
        "odd": "odd",
    }
    assert json.loads(json_text(data), parse_constant=refuse) == expected
    write_json(tmp_path / "a.json", data)
    assert json.loads((tmp_path / "a.json").read_bytes(), parse_constant=refuse) == expected
    assert "é" in (tmp_path / "a.json").read_text("utf-8")


def test_a_key_that_is_no_text_becomes_one():
    assert json.loads(json_text({(1, 2): math.nan, "b": [{Path("c"): 1}]})) == {"(1, 2)": None, "b": [{"c": 1}]}


def test_what_holds_a_number_beyond_all_bounds_is_still_written():
    assert json.loads(json_text({"a": math.inf, "b": 10**400, "c": 1e308})) == {"a": None, "b": 10**400, "c": 1e308}


def test_a_broken_or_missing_file_reads_as_none(tmp_path):
    (tmp_path / "half.json").write_text('{"a": ')
    assert read_json(tmp_path / "half.json") is None
    assert read_json(tmp_path / "gone.json") is None


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with folder_atomically(tmp_path / "model") as temporary:
        (temporary / "weights").write_text("new")
        assert not (tmp_path / "model").exists()
    with pytest.raises(ZeroDivisionError), folder_atomically(tmp_path / "model") as temporary:
        (temporary / "weights").write_text(str(1 / 0))
    assert (tmp_path / "model" / "weights").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_hash_sees_contents_and_names(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("x")
    first = hash_of(tmp_path / "d")
    assert first == hash_of(tmp_path / "d")
    (tmp_path / "d" / "a").rename(tmp_path / "d" / "b")
    renamed = hash_of(tmp_path / "d")
    (tmp_path / "d" / "b").write_text("y")
    assert len({first, renamed, hash_of(tmp_path / "d")}) == 3
