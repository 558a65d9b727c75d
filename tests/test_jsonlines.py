"""Files of JSON lines: read whatever is in them, cut by whole lines, at no kill less than whole."""

from __future__ import annotations

import itertools
import json
import math
import os

import pytest
from killed import killed_everywhere

from magistral_recipe.jsonlines import Damage, append_lines, keep_lines, read_at, read_lines


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def test_what_is_appended_is_read_with_its_place(tmp_path):
    path = tmp_path / "deep" / "a.jsonl"
    append_lines(path, [{"a": "é\u2028\x85"}, {}])
    append_lines(path, [{"a": 2}])
    assert list(read_lines(path)) == [(0, {"a": "é\u2028\x85"}), (17, {}), (20, {"a": 2})]
    assert list(read_at(path, [20, 0, 20])) == [(0, {"a": "é\u2028\x85"}), (20, {"a": 2})]
    assert path.read_bytes().count(b"\n") == 3


def test_what_cannot_be_read_is_counted_and_the_rest_yielded(tmp_path):
    path = tmp_path / "a.jsonl"
    broken = [b"3", b"[1]", b"null", b"\xff\xfe", b'{"a": ', b"[" * 100_000]
    path.write_bytes(b'{"a": 1}\n\n  \n' + b"".join(line + b"\n" for line in broken) + b'{"a": 2}\n{"a": 3')
    damage = Damage()
    assert [record["a"] for _, record in read_lines(path, damage)] == [1, 2]
    assert (damage.broken, damage.unfinished, damage.refused) == (6, True, "")
    assert damage
    assert damage.describe("a.jsonl") == (
        "a.jsonl: 7 lines could not be read (half-written, or damaged); the rest is shown."
    )


def test_a_missing_file_a_folder_and_a_pipe_have_no_lines(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")  # who opens it waits without end
    for name in ("absent", "folder", "pipe"):
        damage = Damage()
        assert list(read_lines(tmp_path / name, damage)) == list(read_at(tmp_path / name, [0])) == []
        assert not damage
        keep_lines(tmp_path / name, bool)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]


def test_numbers_that_are_none_become_null(tmp_path):
    path = tmp_path / "a.jsonl"
    append_lines(path, [{"a": math.nan, "b": [math.inf, {"c": -math.inf}], "d": 1e308, "NaN": "NaN Infinity"}])
    text = path.read_text()
    assert json.loads(text, parse_constant=refuse) == {
        "a": None,
        "b": [None, {"c": None}],
        "d": 1e308,
        "NaN": "NaN Infinity",
    }


def test_lines_that_stay_do_so_byte_for_byte(tmp_path):
    path = tmp_path / "a.jsonl"
    odd = '{"n":1.50, "t": "\\u00e9 é\u2028 \\ud800"}\n'.encode()
    path.write_bytes(b'\xff\n{"n": 9}\n' + odd + b'3\n\n{"n": 2}')
    keep_lines(path, lambda record: record["n"] < 9)
    assert path.read_bytes() == odd + b'{"n": 2}\n'  # the next line isn't joined to it


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_while_lines_are_dropped_loses_none_that_stays(tmp_path):
    before = b"".join(b'{"n": %d}\n' % number for number in range(60)) + b'{"n": 10'
    after = b"".join(b'{"n": %d}\n' % number for number in range(40))
    numbers = itertools.count()

    def prepare():
        path = tmp_path / str(next(numbers)) / "a.jsonl"
        path.parent.mkdir()
        path.write_bytes(before)
        return path

    seen = []
    for moment, path in killed_everywhere(prepare, lambda path: keep_lines(path, lambda record: record["n"] < 40)):
        assert path.read_bytes() in (before, after), moment
        seen.append(path.read_bytes() == after)
        keep_lines(path, lambda record: record["n"] < 40)  # the next attempt
        assert path.read_bytes() == after, moment
    assert len(seen) > 40
    assert (seen[0], seen[-1]) == (False, True)
