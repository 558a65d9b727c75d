"""Files that are whole or not there."""

from __future__ import annotations

import pytest

from magistral_recipe.files import folder_atomically, hash_of, read_json, write_json


def test_a_failed_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "a.json"
    write_json(file, {"a": 1})
    circle: dict = {}
    circle["self"] = circle
    with pytest.raises(ValueError, match="Circular"):
        write_json(file, circle)
    assert read_json(file) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


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
