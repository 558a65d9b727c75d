"""The file of metrics: one uninterrupted run's, whatever came between, and JSON that every parser takes."""

from __future__ import annotations

import itertools
import json
import math
import os

import pytest
from killed import killed_everywhere
from transformers import TrainerControl, TrainerState, TrainingArguments

from magistral_recipe.jsonlines import append_lines
from magistral_recipe.training.metrics import MetricsWriter, cut_after

SUMMARY = {"train_runtime": 9.5, "train_loss": 0.25}


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


class Trainer:
    """What a trainer does with its callback, without training."""

    def __init__(self, path, step=0, **options):
        self.events = []
        self.writer = MetricsWriter(path, self.events.append, **options)
        self.state = TrainerState(global_step=step, max_steps=6)
        self._arguments = (TrainingArguments(report_to=[]), self.state, TrainerControl())
        self.writer.on_train_begin(*self._arguments)

    def log(self, **logs):
        self.writer.on_log(*self._arguments, logs=logs)

    def run_to(self, last):
        while self.state.global_step < last:
            self.state.global_step += 1
            self.writer.on_step_end(*self._arguments)
            self.log(loss=1 / self.state.global_step)
        return self


def lines(path):
    read = [json.loads(line, parse_constant=refuse) for line in path.read_text("utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in read]


WHOLE = [{"step": step, "loss": 1 / step} for step in range(1, 7)] + [{"step": 6, **SUMMARY}]


@pytest.mark.parametrize(
    ("killed_after", "checkpoint"), [(0, 0), (1, 0), (2, 0), (2, 2), (5, 2), (5, 5), (6, 0), (6, 2), (6, 5), (6, 6)]
)
def test_a_resumed_run_leaves_the_file_of_an_uninterrupted_one(tmp_path, killed_after, checkpoint):
    path = tmp_path / "metrics.jsonl"
    first = Trainer(path)
    first.log(eval_loss=2.0)  # before the first step, as `eval_on_start` has it
    first.run_to(killed_after)
    if killed_after == 6:
        first.log(**SUMMARY)
    with open(path, "ab") as stream:
        stream.write(b'{"step": 3, "los')
    second = Trainer(path, checkpoint)
    if not checkpoint:
        second.log(eval_loss=2.0)
    second.run_to(6).log(**SUMMARY)
    assert lines(path) == [{"step": 0, "eval_loss": 2.0}, *WHOLE]
    assert second.writer.last == {"eval_loss": 2.0, "loss": 1 / 6, **SUMMARY}


@pytest.mark.parametrize("broken", [b"\xff\xfe\xfa", b"3", b"null", b"[]", b"{}", b'{"step": "x"}', b'{"step": null}'])
def test_a_broken_line_never_blocks_a_resume(tmp_path, broken):
    path = tmp_path / "metrics.jsonl"
    Trainer(path).run_to(3)
    first, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(broken + b"\n" + first + broken + b"\n" + b"".join(rest) + broken)
    Trainer(path, 3).run_to(6).log(**SUMMARY)
    assert lines(path) == WHOLE


def test_no_line_holds_a_nan(tmp_path):
    path = tmp_path / "metrics.jsonl"
    Trainer(path).log(loss=math.nan, kl=math.inf, reward=-math.inf, entropy=0.5)
    assert lines(path) == [{"step": 0, "loss": None, "kl": None, "reward": None, "entropy": 0.5}]


def test_what_is_no_number_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    trainer = Trainer(path)
    trainer.log(note="x", table=[1], loss=0.5, count=3)
    assert lines(path) == [{"step": 0, "loss": 0.5, "count": 3}]
    assert trainer.writer.last == {"loss": 0.5, "count": 3}


def test_progress_is_reported_after_each_step_and_each_log(tmp_path):
    path = tmp_path / "metrics.jsonl"
    first = Trainer(path, activity="learning").run_to(2)
    progress = {"type": "progress", "activity": "learning", "total": 6}
    assert [event["step"] for event in first.events] == [1, 1, 2, 2]
    assert first.events[-1] == {**progress, "step": 2, "metrics": {"loss": 0.5}}
    assert Trainer(path, 2).events == [{"type": "note", "text": "goes on at step 2 of 6"}]


def test_only_the_main_process_writes_and_reports(tmp_path):
    trainer = Trainer(tmp_path / "metrics.jsonl")
    trainer.state.is_world_process_zero = False
    trainer.run_to(2)
    assert trainer.events == list(tmp_path.iterdir()) == []


def test_it_writes_without_anybody_to_report_to(tmp_path):
    path = tmp_path / "metrics.jsonl"
    writer, state = MetricsWriter(str(path)), TrainerState(global_step=1)
    for event in (writer.on_train_begin, writer.on_step_end):
        event(TrainingArguments(report_to=[]), state, TrainerControl())
    writer.on_log(TrainingArguments(report_to=[]), state, TrainerControl(), logs={"loss": 1.0})
    assert lines(path) == [{"step": 1, "loss": 1.0}]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_while_the_file_is_cut_on_a_resume_loses_no_curve(tmp_path):
    numbers = itertools.count()

    def prepare():
        path = tmp_path / str(next(numbers)) / "metrics.jsonl"
        append_lines(path, WHOLE)
        return path

    count = 0
    for moment, path in killed_everywhere(prepare, lambda path: cut_after(path, 4)):
        count += 1
        assert lines(path) in (WHOLE, WHOLE[:4]), moment
        Trainer(path, 4).run_to(6).log(**SUMMARY)
        assert lines(path) == WHOLE, moment
    assert count >= 8


def test_a_completion_may_hold_any_line_separator(tmp_path):
    """U+2028 and its like end lines in text, so that whole rollouts were once dropped on a resume."""
    path = tmp_path / "rollouts.jsonl"
    rows = [{"step": step, "completion": "a\u2028b\x85c\x0bd\r\n"} for step in range(3)]
    append_lines(path, rows)
    cut_after(path, 1)
    assert [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] == rows[:2]
