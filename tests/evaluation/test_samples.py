"""The file of samples survives kills, foreign lines and a full disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from magistral_recipe.errors import RunError
from magistral_recipe.evaluation.samples import Sample, SampleWriter, read_samples


def sample(number: int = 0, **changes: object) -> Sample:
    verdicts = {"format": {"value": 1.0, "reason": "well_formed"}, "correctness": {"value": 1.0, "reason": "right"}}
    fields = {"problem": "p", "sample": number, "greedy": False, "prompt": "?", "completion": "é\u2028\n", "tokens": 3}
    return Sample(**{**fields, "truncated": False, "verdicts": verdicts, **changes})


def test_what_is_written_is_read(tmp_path):
    writer = SampleWriter(tmp_path / "deep" / "samples.jsonl")
    writer.write([sample(0), sample(1, reference=["1", "2"])])
    writer.write([sample(0, greedy=True)])
    assert read_samples(writer.path) == [sample(0), sample(1, reference=["1", "2"]), sample(0, greedy=True)]
    assert read_samples(tmp_path / "absent") == []


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_half_line_is_cut_off_and_the_rest_kept(tmp_path, kept):
    path = tmp_path / "samples.jsonl"
    SampleWriter(path).write([sample(0), sample(1)])
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:kept])
    assert read_samples(path)[0] == sample(0)
    SampleWriter(path).write([sample(2)])
    assert [s.sample for s in read_samples(path)] == [0, 2]
    assert path.read_bytes().count(b"\n") == 2


def test_a_half_line_longer_than_the_read_buffer_is_cut_off(tmp_path):
    path = tmp_path / "samples.jsonl"
    SampleWriter(path).write([sample(0)])
    whole = path.read_bytes()
    path.write_bytes(whole + b"x" * 200_000)
    SampleWriter(path)
    assert path.read_bytes() == whole


def test_foreign_lines_are_left_out_and_new_fields_ignored(tmp_path):
    path = tmp_path / "samples.jsonl"
    SampleWriter(path).write([sample(0)])
    row = json.loads(path.read_text(encoding="utf-8")) | {"sample": 1, "added_later": 1}
    with open(path, "ab") as stream:
        stream.write(b'[1]\n{"problem": "q"}\n\xff\xfe\n\n' + json.dumps(row).encode() + b"\n")
    assert read_samples(path) == [sample(0), sample(1)]


def test_no_line_holds_a_nan(tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    writer = SampleWriter(tmp_path / "samples.jsonl")
    writer.write([sample(0, reward=float("nan"), verdicts={"format": {"value": float("inf"), "reason": "odd"}})])
    row = json.loads(writer.path.read_text("utf-8"), parse_constant=refuse)
    assert (row["reward"], row["verdicts"]["format"]["value"]) == (None, None)
    (read,) = read_samples(writer.path)
    assert (read.reward, read.value("format")) == (None, None)


def test_a_lone_surrogate_can_be_written(tmp_path):
    writer = SampleWriter(tmp_path / "samples.jsonl")
    writer.write([sample(0, completion="a\ud800b")])
    assert read_samples(writer.path)[0].completion == "a?b"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_told_in_one_line(tmp_path):
    writer = SampleWriter(tmp_path / "samples.jsonl")
    writer.path.symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"disk is full.*samples\.jsonl"):
        writer.write([sample(0)])


@pytest.mark.parametrize(
    ("form", "correct", "kind", "right"),
    [(1.0, 1.0, "math", True), (0.0, 1.0, "math", False), (1.0, 0.0, "code", False), (1.0, None, "math", None)],
)
def test_right_is_the_gate_and_the_answer(form, correct, kind, right):
    verdicts = {"format": {"value": form, "reason": ""}, "correctness": {"value": correct, "reason": ""}}
    assert sample(verdicts=verdicts, kind=kind).right is right


def test_an_undecided_language_is_not_the_same():
    assert not sample(verdicts={"language": {"value": None, "reason": "too_short"}}).same_language
