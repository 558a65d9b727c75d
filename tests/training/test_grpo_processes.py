"""Two and four CPU processes make the steps of one, with copies of the model (DDP) and with parts of it (FSDP2).

FSDP2 runs through Accelerate's launcher, the launch file that is shipped and Accelerate's own wrapping, which is told
that these processes are a GPU's (`helpers/fsdp_on_cpu`); every such run asserts that its parameters are DTensors.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from preloaded import start_ranks
from tiny_policy import policy
from transformers import AutoModelForCausalLM

pytestmark = pytest.mark.slow

HELPERS = Path(__file__).parents[1] / "helpers"
SHARE_OUT = Path(__file__).parents[2] / "recipes" / "accelerate" / "fsdp2_2gpu.yaml"
SAME = ("loss", "reward", "entropy", "clip_ratio/region_mean", "groups/uninformative", "groups/refill_rounds", "epoch")
SAME += ("sampling/gap", "sampling/cut_share")
REFILL = {"max_steps": 6, "max_tokens_per_microbatch": 40}
DRAWN = {**REFILL, "rollouts_every": 1}
SAVED = {"save_strategy": "steps", "save_steps": 2}


def run(folder, processes, changes, *words):
    """Train on given completions in so many processes; weights and logs of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        environment.pop(name, None)
    script = [str(HELPERS / "given_completions.py"), str(folder), json.dumps(changes), *words]
    if "fsdp" in words:
        launch(script, processes, environment)
    else:
        start_ranks(script, processes, environment, folder)
    return torch.load(folder / "weights.pt"), json.loads((folder / "log.json").read_text())


def launch(script, processes, environment):
    """Start a script through Accelerate, told that these processes are a GPU's."""
    hooks = [str(HELPERS / "fsdp_on_cpu"), environment.get("PYTHONPATH")]
    launcher = ["-m", "accelerate.commands.launch", "--config_file", str(SHARE_OUT), "--mixed_precision", "no"]
    done = subprocess.run(
        [sys.executable, *launcher, "--num_processes", str(processes), *script],
        env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, hooks))},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One process's run, and its folder with a checkpoint at every second step."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    return run(folder, 1, {**REFILL, **SAVED}), folder


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"max_steps": 6, "prompts_per_batch": 2, "num_generations": 3, "minibatches_per_batch": 1}, id="odd groups"
        ),
        pytest.param({"max_steps": 6, "prompts_per_batch": 2, "num_generations": 2}, id="an empty rank"),
    ],
)
def test_two_processes_train_as_one(tmp_path, changes):
    assert_the_same(run(tmp_path / "one", 1, changes), run(tmp_path / "two", 2, changes), 2)


def test_four_processes_train_as_one(alone, tmp_path):
    """With refill and ragged ranks."""
    assert_the_same(alone[0], run(tmp_path / "four", 4, REFILL), 4)


def test_two_processes_correct_for_a_sampler_as_one_does(tmp_path):
    """What one process does is held against the formula in `test_grpo_objective.py`."""
    changes = {"max_steps": 6, "max_tokens_per_microbatch": 40, "sampler_gap_limit": 100.0}
    single, double = run(tmp_path / "one", 1, changes, "scored"), run(tmp_path / "two", 2, changes, "scored")
    assert_the_same(single, double, 2)
    cut = [entry["sampling/cut_share"] for entry in double[1] if "sampling/cut_share" in entry]
    assert len(cut) == 3  # batches
    assert 0.05 < max(cut) < 1


def test_two_processes_that_share_the_weights_train_as_one_and_leave_checkpoints_that_load(alone, tmp_path):
    weights, log = run(tmp_path / "two", 2, {**REFILL, **SAVED}, "fsdp")
    assert_the_same(alone[0], (weights, log), 2)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "two" / "checkpoint-6")
    named = dict(plain.named_parameters())
    assert named.keys() == weights.keys()
    assert all(torch.equal(named[name], tensor) for name, tensor in weights.items())

    shutil.copytree(tmp_path / "two" / "checkpoint-4", tmp_path / "again" / "checkpoint-4")
    assert_the_same((weights, log), run(tmp_path / "again", 2, REFILL, "fsdp", "resume"), 2, closely=True)


def test_so_they_do_with_an_adapter_and_a_head_that_is_trained_whole(tmp_path):
    """A head below an adapter is gathered by nobody but `read_head_whole`; without it each trains its part alone."""
    single = run(tmp_path / "one", 1, REFILL, "adapter")
    weights, log = run(tmp_path / "two", 2, {**REFILL, **SAVED}, "fsdp", "adapter")
    assert_the_same(single, (weights, log), 2)
    moved = [
        weights[f"base_model.model.lm_head.{kind}.weight"] for kind in ("modules_to_save.default", "original_module")
    ]
    assert (moved[0] - moved[1]).abs().max() > 1e-2
    loaded = dict(PeftModel.from_pretrained(policy(), tmp_path / "two" / "checkpoint-6").named_parameters())
    assert loaded.keys() == weights.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in weights.items())

    shutil.copytree(tmp_path / "two" / "checkpoint-4", tmp_path / "again" / "checkpoint-4")
    again = run(tmp_path / "again", 2, REFILL, "fsdp", "adapter", "resume")
    assert_the_same((weights, log), again, 2, closely=True)


@pytest.mark.parametrize("adapter", [[], ["adapter"]])
def test_two_processes_that_share_the_weights_hand_them_whole_to_a_vllm_of_each(tmp_path, adapter):
    """The stand-in holds another model until it is handed this one, and NaN after a sleep: the gauge shows it all."""
    other = policy()
    with torch.no_grad():
        other.lm_head.weight.mul_(-1)
    other.save_pretrained(tmp_path / "base")
    weights, log = run(tmp_path, 2, {"max_steps": 6}, "fsdp", "vllm", *adapter)
    gaps = [entry["sampling/gap"] for entry in log if "sampling/gap" in entry]
    assert len(gaps) == 3  # batches, each mean over both processes
    assert max(gaps) < 1e-4
    kinds = [entry[0] for entry in json.loads((tmp_path / "ledger.json").read_text())]
    plain = [name for name in weights if "lora_" not in name and ".original_module." not in name]
    handed, left = divmod(kinds.count("load_weights"), len(plain))
    assert (handed >= len(gaps), left) == (True, 0)  # all of them, for each batch and after each sleep
    assert "add_lora" not in kinds


def test_two_processes_resume_as_if_nothing_had_happened_and_one_goes_on_with_theirs(alone, tmp_path):
    straight = run(tmp_path / "a", 2, {**REFILL, **SAVED})
    assert_the_same(alone[0], straight, 2)
    for name in ("b", "c"):
        shutil.copytree(tmp_path / "a" / "checkpoint-4", tmp_path / name / "checkpoint-4")
    assert_the_same(straight, run(tmp_path / "b", 2, REFILL, "resume"), 2, closely=True)
    assert_the_same(alone[0], run(tmp_path / "c", 1, REFILL, "resume"), 1)


def test_two_processes_go_on_with_what_one_began(alone, tmp_path):
    shutil.copytree(alone[1] / "checkpoint-4", tmp_path / "checkpoint-4")
    assert_the_same(alone[0], run(tmp_path, 2, REFILL, "resume"), 2)


@pytest.fixture(scope="module")
def drawn_alone(tmp_path_factory):
    """One process's run on completions of its own, and its folder."""
    folder = tmp_path_factory.mktemp("drawn") / "run"
    return run(folder, 1, {**DRAWN, **SAVED}, "drawn"), folder


@pytest.mark.parametrize(("processes", "words"), [(2, []), (4, []), (2, ["fsdp"])])
def test_several_processes_draw_the_completions_of_one(drawn_alone, tmp_path, processes, words):
    """And the next ones from the weights that these have trained; groups lie across processes."""
    assert_the_same(drawn_alone[0], run(tmp_path, processes, DRAWN, "drawn", *words), processes)
    assert_drawn_alike(drawn_alone[1], tmp_path)


def test_generate_draws_alike_in_two_processes_too(tmp_path):
    changes = {**DRAWN, "rollout_backend": "generate"}
    single, double = (run(tmp_path / name, count, changes, "drawn") for name, count in (("one", 1), ("two", 2)))
    assert_the_same(single, double, 2)
    assert_drawn_alike(tmp_path / "one", tmp_path / "two")


def test_what_goes_on_in_another_number_of_processes_draws_what_it_would_have_drawn(drawn_alone, tmp_path):
    expected, folder = drawn_alone
    run(tmp_path / "both", 2, {**DRAWN, **SAVED, "max_steps": 4}, "drawn")
    for name, begun, processes in (("two", folder, 2), ("one", tmp_path / "both", 1)):
        shutil.copytree(begun / "checkpoint-4", tmp_path / name / "checkpoint-4")
        assert_the_same(expected, run(tmp_path / name, processes, DRAWN, "drawn", "resume"), processes)
        assert_drawn_alike(folder, tmp_path / name, begins=4)


def assert_drawn_alike(one, other, begins=0):
    """Two runs have written the same completions, from a step on."""
    rows = [[json.loads(line) for line in (run / "rollouts.jsonl").read_text().splitlines()] for run in (one, other)]
    texts, found = ([(row["step"], row["prompt"], row["completion"]) for row in each] for each in rows)
    expected = [row for row in texts if row[0] >= begins]
    assert found == expected
    assert len({step for step, *_ in expected}) == (6 - begins) // 2  # batches
    assert len({text for *_, text in expected}) > len(expected) / 2


def assert_the_same(expected, found, processes, closely=False):
    """Losses, decisions and weights of two runs; `closely` to the last bit."""
    (one, log_of_one), (other, log) = expected, found
    assert log[-1]["world"] == processes
    assert len(log_of_one) == len(log) == 7  # six steps and the summary
    assert one.keys() == other.keys()
    assert one
    for left, right in zip(log_of_one[:-1], log[:-1], strict=True):
        for name in SAME:
            assert (name in left) == (name in right)
            if name in left:
                wanted = left[name] if closely else pytest.approx(left[name], abs=2e-5)
                assert right[name] == wanted, (name, left["step"])
    for name, tensor in one.items():
        assert torch.equal(other[name], tensor) if closely else torch.allclose(other[name], tensor, atol=2e-5), name
