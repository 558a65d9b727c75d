"""Killed as it writes any of its files, then run again: the weights are those of a run that nobody killed, bit for bit.

The moments are named (`helpers/write_points.py`), not timed; real kills of whole runs stand in `e2e/test_kill.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import write_points
from write_points import FOLDERS, POINTS

from magistral_recipe.files import read_json

EACH = [point for point in POINTS if "best" not in point]
CHECKPOINTS_AND_MODEL = ["the first checkpoint's mark", "the model, half of it"]


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Run a chain, killed or not, in forks of one warm interpreter; returns its exit code."""
    root = tmp_path_factory.mktemp("points")
    path = os.pathsep.join(filter(None, [str(Path(write_points.__file__).parent), os.environ.get("PYTHONPATH")]))
    server = subprocess.Popen(
        [sys.executable, write_points.__file__, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CI": "1", "PYTHONPATH": path},
    )

    def run(name: str, stage: str, schedule: str = "constant", kill: str | None = None) -> int:
        server.stdin.write(json.dumps({"run": name, "stage": stage, "schedule": schedule, "kill": kill}) + "\n")
        server.stdin.flush()
        return int(server.stdout.readline())

    run.root = root
    run.log = root / "log.txt"
    yield run
    server.stdin.close()
    server.wait(timeout=60)


@pytest.fixture(scope="module")
def straight(chain):
    """The stage's folder after a run that nobody killed."""
    made: dict[tuple[str, str], Path] = {}

    def folder(stage: str, schedule: str = "constant") -> Path:
        if (stage, schedule) not in made:
            name = f"straight-{stage}-{schedule}"
            assert chain(name, stage, schedule) == 0, chain.log.read_text()[-2000:]
            made[stage, schedule] = chain.root / name / "run" / FOLDERS[stage]
        return made[stage, schedule]

    return folder


def same(folder: Path, other: Path) -> bool:
    """Whether two stages have left the same: weights, steps, metrics but for times."""
    weights = [(each / "model" / "model.safetensors").read_bytes() for each in (folder, other)]
    steps = [
        [json.loads(line)["step"] for line in (each / "metrics.jsonl").read_text().splitlines()]
        for each in (folder, other)
    ]
    results = [read_json(each / "stage.json")["results"]["steps"] for each in (folder, other)]
    return weights[0] == weights[1] and steps[0] == steps[1] and results == [4, 4]


@pytest.mark.parametrize("stage", ["grpo", "sft"])
@pytest.mark.parametrize(
    ("schedule", "points"),
    [("constant", EACH), ("linear", CHECKPOINTS_AND_MODEL), ("cosine", CHECKPOINTS_AND_MODEL)],
    ids=["constant", "linear", "cosine"],
)
def test_killed_at_each_of_its_writes_it_ends_as_if_nothing_had_happened(chain, straight, stage, schedule, points):
    name = f"killed-{stage}-{schedule}"
    for point in points:
        assert chain(name, stage, schedule, point) == -signal.SIGKILL, point
    assert chain(name, stage, schedule) == 0, chain.log.read_text()[-2000:]
    folder = chain.root / name / "run" / FOLDERS[stage]
    assert same(folder, straight(stage, schedule))
    assert not [file for place in (folder, folder.parent) for file in place.glob(".*.tmp")]
    assert read_json(folder.parent / "manifest.json")["stages"][0]["status"] == "complete"


def test_killed_as_it_keeps_the_best_weights_it_leaves_the_best_all_the_same(chain, straight):
    points = ["the scores beside the best weights", "the last checkpoint's mark", "the model, half of it"]
    for point in points:
        assert chain("killed-best", "best", kill=point) == -signal.SIGKILL, point
    assert chain("killed-best", "best") == 0, chain.log.read_text()[-2000:]
    folder = chain.root / "killed-best" / "run" / FOLDERS["best"]
    assert same(folder, straight("best"))
    scores = [read_json(each / "best" / "scores.json") for each in (folder, straight("best"))]
    assert scores[0] == scores[1]
    assert len(scores[0]["scores"]) == 4


@pytest.fixture
def finished(chain, straight, request):
    """A copy of a finished run; its name and its stage's folder."""

    def copy(stage: str) -> tuple[str, Path]:
        name = f"{stage}-{request.node.name}"
        shutil.copytree(straight(stage).parents[1], chain.root / name)
        return name, chain.root / name / "run" / FOLDERS[stage]

    return copy


def flip(file: Path, at: int) -> None:
    """Change one bit, and nothing of the size."""
    with open(file, "r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)
        stream.seek(at)
        stream.write(bytes([byte[0] ^ 1]))


def zero(file: Path, at: int) -> None:
    """Lose one page, and nothing of the size."""
    with open(file, "r+b") as stream:
        stream.seek(at)
        stream.write(bytes(4096))


@pytest.mark.parametrize("stage", ["grpo", "sft"])
def test_a_model_that_is_lost_after_the_end_is_made_again(chain, straight, finished, stage):
    name, folder = finished(stage)
    shutil.rmtree(folder / "model")
    assert chain(name, stage) == 0, chain.log.read_text()[-2000:]
    assert same(folder, straight(stage))


def test_a_model_with_a_flipped_bit_is_told_kept_aside_and_made_again(chain, straight, finished):
    name, folder = finished("sft")
    flip(folder / "model" / "model.safetensors", 100_000)
    begin = chain.log.stat().st_size
    assert chain(name, "sft") == 0
    said = chain.log.read_bytes()[begin:].decode()
    assert "model/model.safetensors is not what was written" in said
    assert same(folder, straight("sft"))
    assert (folder.parent / "replaced" / "01-sft-model.1" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("file", "harm"),
    [
        ("model.safetensors", lambda file: flip(file, 100_000)),
        ("optimizer.pt", lambda file: zero(file, 8192)),
        ("complete.json", lambda file: file.write_text("[]")),
    ],
    ids=["a flipped bit of the weights", "a zeroed page of the optimizer", "a mark of another type"],
)
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_gone_on_from(chain, straight, finished, file, harm):
    name, folder = finished("sft")
    shutil.rmtree(folder / "model")
    harm(folder / "checkpoints" / "checkpoint-4" / file)
    begin = chain.log.stat().st_size
    assert chain(name, "sft") == 0
    said = chain.log.read_bytes()[begin:].decode()
    assert "checkpoint-4 can't be gone on from, and is deleted" in said
    assert "goes on at step 2 of 4" in said
    assert same(folder, straight("sft"))


def test_lines_of_metrics_that_are_none_hold_nothing_up(chain, straight, finished):
    name, folder = finished("sft")
    shutil.rmtree(folder / "model")
    with open(folder / "metrics.jsonl", "ab") as stream:
        stream.write(b'\xff\xfe not text\n5\n[1]\n{"loss": 1}\n{"step": "3"}\n{"step": NaN}\n{"step": 2, "half')
    assert chain(name, "sft") == 0, chain.log.read_text()[-2000:]
    assert same(folder, straight("sft"))


def test_a_manifest_that_is_none_is_written_anew(chain, finished):
    name, folder = finished("sft")
    (folder.parent / "manifest.json").write_text('["a", "list"]')
    assert chain(name, "sft") == 0, chain.log.read_text()[-2000:]
    assert read_json(folder.parent / "manifest.json")["stages"][0]["status"] == "complete"
