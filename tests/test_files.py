"""Files that are whole or not there."""

from __future__ import annotations

import itertools
import json
import math
import os
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from killed import killed_everywhere

from magistral_recipe import files
from magistral_recipe.files import folder_atomically, hash_of, json_text, read_json, whole_folder, write_json

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


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


def fill(folder, content):
    (folder / "sub").mkdir(parents=True)
    (folder / "weights").write_text(content)
    (folder / "sub" / "config").write_text(content)


def content_of(folder):
    """What a folder was filled with, which must be whole; ``None`` without a folder."""
    if not folder.exists():
        return None
    contents = {file.relative_to(folder).as_posix(): file.read_text() for file in folder.rglob("*") if file.is_file()}
    (content,) = set(contents.values())
    assert sorted(contents) == ["sub/config", "weights"]
    return content


def replace(path, content="new"):
    with folder_atomically(path) as temporary:
        fill(temporary, content)


def states(tmp_path, *, old=None, aside=None, temporary=None):
    """Make the same state in one fresh folder after another."""
    numbers = itertools.count()

    def prepare():
        parent = tmp_path / str(next(numbers))
        parent.mkdir()
        for name, content in (("model", old), (".model.old", aside), (".model.tmp", temporary)):
            if content:
                fill(parent / name, content)
        return parent / "model"

    return prepare


@needs_fork
@pytest.mark.parametrize(
    ("state", "whole"),
    [
        pytest.param({"old": "old"}, "old", id="a folder to replace"),
        pytest.param({}, None, id="no folder yet"),
        pytest.param({"old": "old", "temporary": "half"}, "old", id="a kill came while the new one was filled"),
        pytest.param({"aside": "old", "temporary": "half"}, "old", id="a kill came between the renames"),
        pytest.param({"old": "old", "aside": "older"}, "old", id="a kill came before the one replaced was deleted"),
    ],
)
def test_a_kill_at_any_moment_leaves_the_old_folder_or_the_new_one(tmp_path, state, whole):
    found = []
    for moment, path in killed_everywhere(states(tmp_path, **state), replace):
        found.append(content_of(whole_folder(path)))
        assert found[-1] in (whole, "new"), moment
        replace(path, "next")  # the next attempt
        assert content_of(path) == content_of(whole_folder(path)) == "next", moment
        assert [each.name for each in path.parent.iterdir()] == ["model"], moment
    assert len(found) > 10
    assert found == sorted(found, key=lambda content: content == "new")  # once there, the new one stays
    assert {found[0], found[-1]} == {whole, "new"}


@needs_fork
def test_between_the_renames_the_old_folder_is_found_beside_its_name(tmp_path):
    """The moment that the others are about does come: a kill there is among those above."""
    kills = killed_everywhere(states(tmp_path, old="old"), replace)
    missing = [whole_folder(path).name for _, path in kills if not path.exists()]
    assert set(missing) == {".model.old"}


def test_a_rename_that_fails_puts_the_old_folder_back(tmp_path, monkeypatch):
    fill(tmp_path / "model", "old")
    rename = os.replace

    def refusing(source, target):
        if str(source).endswith(".tmp") and str(target).endswith("model"):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "replace", refusing)
    with pytest.raises(OSError, match="Input/output"):
        replace(tmp_path / "model")
    assert content_of(tmp_path / "model") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_link_is_replaced_and_what_it_points_to_left(tmp_path):
    fill(tmp_path / "elsewhere", "old")
    (tmp_path / "model").symlink_to("elsewhere")
    replace(tmp_path / "model")
    assert not (tmp_path / "model").is_symlink()
    assert (content_of(tmp_path / "model"), content_of(tmp_path / "elsewhere")) == ("new", "old")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "model"]


@needs_fork
def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new_one(tmp_path):
    numbers = itertools.count()

    def prepare():
        path = tmp_path / str(next(numbers)) / "a.json"
        path.parent.mkdir()
        path.write_text('{"a": 1}')
        return path

    found = []
    for moment, path in killed_everywhere(prepare, lambda path: write_json(path, {"a": 2})):
        found.append(read_json(path))
        assert found[-1] in ({"a": 1}, {"a": 2}), moment
    assert found[0] == {"a": 1}
    assert found[-1] == {"a": 2}
    assert len(found) >= 5


def test_names_are_flushed_to_the_disk_after_a_rename(tmp_path, monkeypatch):
    done = []
    rename, sync = os.replace, files.sync_directory
    monkeypatch.setattr(os, "replace", lambda a, b: (rename(a, b), done.append(b))[0])
    monkeypatch.setattr(files, "sync_directory", lambda folder: (sync(folder), done.append(folder))[0])
    write_json(tmp_path / "a.json", 1)
    assert done == [tmp_path / "a.json", tmp_path]
    done.clear()
    replace(tmp_path / "model")
    temporary = tmp_path / ".model.tmp"
    assert done == [temporary / "sub", temporary, tmp_path / "model", tmp_path]


def test_a_hash_sees_contents_and_names(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("x")
    first = hash_of(tmp_path / "d")
    assert first == hash_of(tmp_path / "d")
    (tmp_path / "d" / "a").rename(tmp_path / "d" / "b")
    renamed = hash_of(tmp_path / "d")
    (tmp_path / "d" / "b").write_text("y")
    assert len({first, renamed, hash_of(tmp_path / "d")}) == 3
