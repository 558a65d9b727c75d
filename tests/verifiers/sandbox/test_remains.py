"""What a program leaves is removed, however deep, odd or forbidding it is."""

from __future__ import annotations

import os

from magistral_recipe.verifiers.sandbox.remains import remove_remains


def test_folders_nested_beyond_recursion_and_path_length_are_removed(tmp_path):
    top = tmp_path / "left"
    top.mkdir()
    here = os.getcwd()
    os.chdir(top)
    try:
        for _ in range(3000):
            os.mkdir("deep")
            os.chdir("deep")
        with open("file", "w") as file:
            file.write("x")
    finally:
        os.chdir(here)
    remove_remains(top)
    assert not top.exists()


def test_links_are_not_followed_and_locks_are_opened(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    top = tmp_path / "left"
    inner = top / "a" / "b"
    inner.mkdir(parents=True)
    (top / "link").symlink_to(outside)
    (top / "a" / "dangling").symlink_to("nowhere")
    (inner / "link").symlink_to(outside / "kept")
    for same in (inner / "same", top / "same"):
        same.mkdir()
        (same / "file").write_text("x")
    os.mkfifo(top / "fifo")
    (top / os.fsdecode(b"\xff")).write_text("x")
    (top / "a").chmod(0)
    top.chmod(0)
    remove_remains(top)
    assert not top.exists()
    assert (outside / "kept").read_text() == "x"


def test_nothing_there_is_no_failure(tmp_path):
    remove_remains(tmp_path / "never")
