"""`check`'s exit codes and its JSON: proven, mistakes, not looked at."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time

import pytest
from check_document import document
from typer.testing import CliRunner

from magistral_recipe.check.hub import NotLooked
from magistral_recipe.check.outcome import Outcome
from magistral_recipe.cli import app

LOCAL = """\
name: x
model: {path: tiny}
thinking: {system_prompt: none}
problems: {train: {tiny: train, count: 8}}
stages:
  - sft: {traces: {tiny: true, count: 8}}
  - grpo: {problems: train, trainer: {max_completion_length: 64, overlong_cache: 8}}
"""


def check(tmp_path, text, *words):
    file = tmp_path / "r.yaml"
    file.write_text(text)
    return CliRunner().invoke(app, ["check", str(file), *words])


def test_all_proven_is_0(tmp_path):
    found = document(tmp_path, LOCAL)
    assert (found["verdict"], found["exit_code"]) == ("proven", 0)
    assert any("magistral" in line and "proven" in line for line in found["wiring"])
    assert [stage["name"] for stage in found["stages"]] == ["sft", "grpo"]
    assert found["memory"]
    assert [found[key] for key in ("mistakes", "not_looked_at", "left_out", "warnings")] == [[]] * 4


@pytest.mark.parametrize(
    ("change", "key", "line"),
    [
        (("path: tiny", "path: tiny, dtipe: x"), "model.dtipe", 2),
        (("max_completion_length", "max_completion_lengt"), "stages[1].grpo.trainer.max_completion_lengt", 7),
    ],
)
def test_mistakes_are_2_with_file_line_and_key(tmp_path, change, key, line):
    (mistake,) = document(tmp_path, LOCAL.replace(*change))["mistakes"]
    assert (mistake["file"], mistake["key"], mistake["line"]) == (str(tmp_path / "r.yaml"), key, line)
    assert "Did you mean" in mistake["message"]


def test_a_recipe_that_is_not_there_is_a_mistake_in_json_too(tmp_path):
    done = CliRunner().invoke(app, ["check", str(tmp_path / "no.yaml"), "--json"])
    assert done.exit_code == 2
    assert "no such recipe file" in json.loads(done.stdout)["mistakes"][0]["message"]


def test_most_rows_unusable_is_a_mistake_and_some_are_not(tmp_path):
    good, bad = '{"problem": "p%d", "answer": "1"}\n', '{"problem": "q%d"}\n'
    recipe = LOCAL.replace("{tiny: train, count: 8}", "{path: p.jsonl}").replace(
        "problems: train,", "problems: train, rewards: [math],"
    )
    (tmp_path / "p.jsonl").write_text("".join(bad % i for i in range(6)) + "".join(good % i for i in range(4)))
    (mistake,) = document(tmp_path, recipe)["mistakes"]
    assert mistake["key"] == "problems.train.path"
    assert "6 of the first 10 rows would be set aside" in mistake["message"]
    (tmp_path / "p.jsonl").write_text("".join(bad % i for i in range(4)) + "".join(good % i for i in range(6)))
    assert document(tmp_path, recipe)["exit_code"] == 0


def test_what_could_not_be_looked_at_is_3_and_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = document(tmp_path, LOCAL.replace("path: tiny", "path: no-such-owner/no-such-model"))
    assert (found["verdict"], found["exit_code"]) == ("not looked at", 3)
    told = {each["what"]: each for each in found["not_looked_at"]}
    assert "HF_HUB_OFFLINE is set" in told["model no-such-owner/no-such-model"]["why"]
    assert "hf download" in told["model no-such-owner/no-such-model"]["remedy"]


def test_left_out_by_intent_is_0_and_listed(tmp_path):
    found = document(tmp_path, LOCAL.replace("path: tiny", "path: no-such-owner/no-such-model"), "--offline")
    assert found["exit_code"] == 0
    assert found["left_out"][0]["what"] == "model no-such-owner/no-such-model"
    assert not found["not_looked_at"]


def test_a_mistake_outweighs_what_was_not_looked_at():
    outcome = Outcome("r.yaml", mistakes=["x"], not_looked=[NotLooked("a", "b", "c")])
    assert outcome.exit_code == 2


def test_a_reward_that_punishes_no_length_is_warned_of(tmp_path):
    found = document(tmp_path, LOCAL.replace(", overlong_cache: 8", ""))
    assert found["exit_code"] == 0
    assert found["warnings"][0]["key"] == "stages[1].grpo.trainer.overlong_cache"


def test_a_card_that_is_too_small_is_a_mistake_where_it_is_named(tmp_path):
    found = document(tmp_path, LOCAL, "--device", "0.1GiB")
    assert found["exit_code"] == 2
    assert any("does not fit" in mistake["message"] for mistake in found["mistakes"])


def test_a_person_reads_the_same(tmp_path):
    done = check(tmp_path, LOCAL)
    assert done.exit_code == 0
    assert "Wiring proven." in done.output
    broken = check(tmp_path, LOCAL.replace("path: tiny", "path: tiny, dtipe: x"))
    assert broken.exit_code == 2
    assert broken.stderr.startswith(f"{tmp_path}/r.yaml:2: model.dtipe: unknown key.")


@pytest.mark.slow
def test_a_hub_that_stalls_costs_seconds_through_the_public_command(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(LOCAL.replace("path: tiny", "path: some-owner/some-model"))
    listener = socket.create_server(("127.0.0.1", 0))
    environment = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{listener.getsockname()[1]}", "HF_HUB_OFFLINE": ""}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "magistral_recipe", "check", str(file), "--json"],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    listener.close()
    assert done.returncode == 3, done.stderr
    assert "Retrying" not in done.stderr
    assert json.loads(done.stdout)["not_looked_at"]
    assert time.monotonic() - started < 60  # the clients' own retries alone take 75 s
