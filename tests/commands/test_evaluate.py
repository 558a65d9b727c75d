"""`magistral-recipe evaluate`: from the command line to results that repeat, and mistakes in one line."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner
from vllm_stand_in import put_in_place

import magistral_recipe
from magistral_recipe.cli import app
from magistral_recipe.data.benchmarks.catalogue import find
from magistral_recipe.data.sources import ProblemsSource
from magistral_recipe.evaluation.request import EvaluationRequest, load_for, sampling_of
from magistral_recipe.evaluation.samples import read_samples
from magistral_recipe.files import read_json
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import load_model, load_tokenizer, save_model
from magistral_recipe.models.paths import find_model


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


SMALL = ("--model", "tiny", "--max-new-tokens", 12, "--samples", 2)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """One small evaluation of the embedded model, which several tests look at and none changes."""
    folder = tmp_path_factory.mktemp("evaluate")
    done = run(*SMALL, "--benchmark", "tiny", "--count", 4, "--greedy", "--seed", 3, "--output", folder)
    assert done.exit_code == 0, done.output
    return folder / "tiny", done.output


def test_the_list_names_every_benchmark():
    done = run("--list")
    assert done.exit_code == 0
    for name in ("aime24", "math500", "gpqa_diamond", "livecodebench_v6", "mgsm", "gym:TASK", "FILE", "tiny"):
        assert f"{name}  " in done.output
    assert "64 samples at temperature 0.7, top-p 1, up to 40,960 tokens" in done.output


def test_it_leaves_all_that_a_reader_needs(evaluated):
    folder, output = evaluated
    result = read_json(folder / "scores.json")
    samples = read_samples(folder / "samples.jsonl")
    assert len(samples) == 12
    assert {sample.seed for sample in samples if not sample.greedy} == {3}
    assert all(sample.prompt and sample.tokens and sample.verdicts["correctness"]["reason"] for sample in samples)
    assert (result["partial"], result["samples_wanted"], result["settings"]["max_new_tokens"]) == (False, 12, 12)
    assert result["command"].startswith("magistral-recipe")
    assert result["versions"]["transformers"]
    assert result["request"]["problems"]["benchmark"] == "tiny"
    cut = result["overall"]["truncation_rate"]["mean"]
    assert cut > 0.5
    assert f"{100 * cut:.1f}" in output  # beside the score
    assert "the score is a lower bound" in output
    assert "pass@1" in output
    assert max(len(line) for line in output.splitlines() if "│" in line or "[" in line[:60]) <= 80


def test_the_result_file_alone_repeats_the_run(evaluated, tmp_path):
    folder, _ = evaluated
    alone = tmp_path / "copied.json"
    alone.write_text((folder / "scores.json").read_text())
    done = run("--repeat", alone, "--output", tmp_path / "again")
    assert done.exit_code == 0, done.output
    assert "not beside its result file" in done.output
    first, again = ({s.key: s for s in read_samples(f / "samples.jsonl")} for f in (folder, tmp_path / "again"))
    assert first == again
    beside = run("--repeat", folder, "--output", tmp_path / "again")
    assert "12 of 12 completions came out the same" in beside.output


def test_a_run_of_a_model_nearby_repeats_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(Path(magistral_recipe.__file__).parent / "data" / "tiny" / "model", "mine")
    more = ("--benchmark", "tiny", "--count", 1, "--samples", 1, "--max-new-tokens", 4)
    assert run("--model", "mine", *more, "--output", "first").exit_code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = run("--repeat", tmp_path / "first" / "tiny" / "scores.json", "--output", "second")
    assert done.exit_code == 0, done.output
    assert "1 of 1 completions came out the same" in done.output


def test_every_benchmark_is_looked_at_before_the_model_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr("magistral_recipe.models.load.load_model", None)
    monkeypatch.setattr("magistral_recipe.models.loaded.load_model", None)
    wrong, empty = tmp_path / "wrong.jsonl", tmp_path / "empty.jsonl"
    wrong.write_text('{"question": "2+2?"}\n')
    empty.write_text("")
    done = run(*SMALL, "--benchmark", f"tiny,{wrong},{empty}", "--output", tmp_path / "out")
    assert done.exit_code == 2
    assert "wrong.jsonl" in done.output
    assert "empty.jsonl" in done.output  # both at once
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("key", ["problems_hash", "weights"])
def test_what_has_changed_since_is_not_repeated(evaluated, tmp_path, key):
    result = read_json(evaluated[0] / "scores.json")
    result["settings"][key] = "0123456789abcdef"
    file = tmp_path / "scores.json"
    file.write_text(json.dumps(result))
    done = run("--repeat", file, "--output", tmp_path / "again")
    assert done.exit_code == 2
    assert "has changed since the run to repeat" in done.output


def test_samples_are_scored_again_without_a_model(evaluated, tmp_path, monkeypatch):
    monkeypatch.setattr("magistral_recipe.models.load.load_model", None)
    done = run("--rescore", evaluated[0] / "scores.json", "--output", tmp_path / "again")
    assert done.exit_code == 0, done.output
    assert "0 of 12 verdicts changed" in done.output


def test_a_run_folder_is_left_alone(evaluated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stage = tmp_path / "runs" / "mine" / "03-evaluate"
    stage.mkdir(parents=True)
    (stage / "stage.json").write_text("{}")
    shutil.copytree(evaluated[0], stage / "grpo")
    done = run("--rescore", stage / "grpo")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in stage.iterdir()) == ["grpo", "stage.json"]
    assert (tmp_path / "evaluations" / "mine-03-evaluate-grpo-rescored" / "scores.json").is_file()


def test_an_evaluation_that_was_cut_goes_on_and_grows(evaluated, tmp_path):
    folder, _ = evaluated
    output = tmp_path / "tiny"
    output.mkdir()
    for name in ("settings.json", "problems.jsonl"):
        (output / name).write_bytes((folder / name).read_bytes())
    lines = (folder / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (output / "samples.jsonl").write_bytes(b"".join(lines[:6]) + lines[6][:40])  # killed while it wrote
    options = ("--benchmark", "tiny", "--count", 4, "--greedy", "--seed", 3, "--output", tmp_path)
    assert run(*SMALL, *options).exit_code == 0
    after = (output / "samples.jsonl").read_bytes().splitlines(keepends=True)
    assert after[:6] == lines[:6]
    assert sorted(after) == sorted(lines)
    assert run(*SMALL[:-1], 3, *options).exit_code == 0
    grown = (output / "samples.jsonl").read_bytes().splitlines(keepends=True)
    assert (grown[:12], len(grown)) == (after, 16)
    assert run(*SMALL[:-1], 3, *options[:-4], "--seed", 4, *options[-2:]).exit_code == 0
    assert (output / "replaced" / "001" / "samples.jsonl").read_bytes() == b"".join(grown)


def test_a_base_model_gets_raw_prompts_and_owes_no_tags(tmp_path):
    (tmp_path / "own.jsonl").write_text('{"problem": "6*7?", "answer": "42"}\n')
    done = run(*SMALL, "--benchmark", tmp_path / "own.jsonl", "--base", "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.name == "own"
    samples = read_samples(folder / "samples.jsonl")
    assert {sample.prompt for sample in samples} == {"6*7?\n"}
    assert {sample.verdicts["format"]["reason"] for sample in samples} <= {"no_box", "cut", "well_formed"}


def test_a_benchmarks_file_can_be_brought_by_hand(tmp_path):
    row = {"id": 1, "problem": "What is 6·7?", "answer": "42", "solution": "", "url": "", "year": "2024"}
    (tmp_path / "aime.jsonl").write_text(json.dumps(row) + "\n")
    done = run(*SMALL, "--benchmark", "aime24", "--data", tmp_path / "aime.jsonl", "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    result = read_json(tmp_path / "out" / "aime24" / "scores.json")
    assert result["settings"]["prompt"] == find("aime24").row.prompt
    assert result["request"]["problems"]["path"].endswith("aime.jsonl")
    (first, _) = read_samples(tmp_path / "out" / "aime24" / "samples.jsonl")
    assert "a whole number, within \\boxed{}." in first.prompt


def test_vllm_takes_the_same_path(tmp_path, monkeypatch):
    put_in_place(monkeypatch)
    arguments = (*SMALL, "--benchmark", "tiny", "--count", 3, "--backend", "vllm", "--output", tmp_path)
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    result = read_json(tmp_path / "tiny" / "scores.json")
    assert result["request"]["backend"] == "vllm"
    assert result["settings"]["weights"] == "tiny@main"
    first = (tmp_path / "tiny" / "samples.jsonl").read_bytes()
    assert run(*arguments).exit_code == 0
    assert (tmp_path / "tiny" / "samples.jsonl").read_bytes() == first  # nothing is drawn twice
    repeated = run("--repeat", tmp_path / "tiny", "--output", tmp_path / "again")
    assert "6 of 6 completions came out the same" in repeated.output


def test_vllm_takes_an_adapter_that_is_carried_on_beside_its_base(tmp_path, monkeypatch):
    put_in_place(monkeypatch)
    lora = LoraSettings(r=4, alpha=8, handover="carry")
    config = ModelConfig(path="tiny", dtype="bfloat16", quantization="nf4", lora=lora)
    made = save_model(load_model(config, trainable=True), load_tokenizer("tiny"), tmp_path / "model", config)
    request = EvaluationRequest(
        model=config, weights=str(made), problems=ProblemsSource(benchmark="tiny"), backend="vllm"
    )
    subject = load_for(request)
    options = subject.generator.engine.options
    assert (options["model"], options["quantization"]) == (find_model("tiny").location, "bitsandbytes")
    assert subject.generator.adapter.lora_path == str(made / "adapter")
    assert subject.weights.endswith(" in nf4")  # the same files in other precision are another model


def test_a_person_overrides_the_benchmarks_sampling():
    row = find("livecodebench_v5").row
    assert sampling_of(row, {})["top_p"] == 0.95
    assert sampling_of(row, {"samples": 2, "top_p": 1.0}) == {
        "temperature": 0.7,
        "top_p": 1.0,
        "max_new_tokens": 40_960,
        "samples": 2,
        "greedy": False,
    }
    assert sampling_of(row, {"temperature": 0.0, "samples": 8}) | {"samples": 0, "greedy": True} == sampling_of(
        row, {"temperature": 0.0}
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --model and --benchmark"),
        (["--model", "tiny"], "give --model and --benchmark"),
        (["--model", "tiny", "--benchmark", "aime42,math5000"], "benchmark 'aime42': no such benchmark"),
        (["--model", "tiny", "--benchmark", "aime42,math5000"], "Did you mean 'math500'?"),
        (["--model", "./nowhere", "--benchmark", "tiny"], "no such file or folder"),
        (["--model", "no/such-model", "--benchmark", "tiny"], "can't be fetched from the hub"),
        (["--model", "tiny", "--benchmark", "aime24"], "with --data FILE"),
        (["--model", "tiny", "--benchmark", "aime24", "--data", "none.jsonl"], "--data none.jsonl: no such file"),
        (["--model", "tiny", "--benchmark", "aime24,tiny", "--data", "a"], "is one benchmark's file"),
        (["--model", "tiny", "--benchmark", "tiny", "--dtype", "int3"], "--dtype int3: expected float32"),
        (["--model", "tiny", "--benchmark", "tiny", "--backend", "ollama"], "--backend ollama: expected hf or vllm"),
        (["--model", "tiny", "--benchmark", "tiny", "--thinking", "<a>"], "expected two tags"),
        (["--model", "tiny", "--benchmark", "tiny", "--system-prompt", "magistra"], "Did you mean 'magistral'?"),
        (["--model", "tiny", "--benchmark", "tiny", "--samples", "0"], "nothing to draw"),
        (["--model", "tiny", "--benchmark", "gym:gdc"], "Did you mean 'gcd'"),
        (["--rescore", "nowhere"], "nowhere: no such file or folder"),
        (["--model", "tiny", "--benchmark", "tiny", "--output", "taken"], "taken is not a folder"),
        (["--model", "tiny", "--benchmark", "tiny", "--output", "taken/below"], "taken is not a folder"),
        (["--repeat", "."], "no evaluation, it has neither scores.json nor samples.jsonl"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, monkeypatch, arguments, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "kept/scores.json"), "kept/scores.json: Permission denied"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "kept/samples.jsonl"), "the disk is full"),
    ],
)
def test_what_the_system_refuses_is_one_line_and_exit_code_1(monkeypatch, error, message):
    def refused():
        raise error

    monkeypatch.setattr("magistral_recipe.commands.evaluate._print_list", refused)
    done = run("--list")
    assert (done.exit_code, len(done.output.splitlines())) == (1, 1)
    assert f"error: {message}" in done.output


def test_a_data_file_is_read_as_a_recipe_reads_it(tmp_path):
    rows = [{"question": "Half of 8?", "worked": "8 / 2 = 4\n#### 4", "id": f"q{n}"} for n in range(2)]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ("--model", "tiny", "--benchmark", tmp_path / "mine.jsonl", "--max-new-tokens", 8, "--samples", 1)
    refused = run(*asked, "--output", tmp_path / "out")
    assert refused.exit_code == 2
    assert "answer: missing; the row has: question, worked, id" in refused.output
    done = run(*asked, "--columns", "answer=worked", "--answer-in", "hashes", "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    samples = read_samples(tmp_path / "out" / "mine" / "samples.jsonl")
    assert {(each.question, each.reference) for each in samples} == {("Half of 8?", "4")}
    asked = (*asked, "--output", tmp_path / "own")
    (tmp_path / "own_rows.py").write_text(
        "def fix(row):\n    return {'problem': row['question'], 'answer': row['worked'][-1]}\n"
    )
    own = ("--transform", f"{tmp_path}/own_rows.py:fix")
    done = run(*asked, *own)
    assert done.exit_code == 0, done.output
    samples = read_samples(tmp_path / "own" / "mine" / "samples.jsonl")
    assert {(each.question, each.reference) for each in samples} == {("Half of 8?", "4")}
    again = ("--repeat", tmp_path / "own" / "mine" / "scores.json")
    refused = run(*again)
    assert refused.exit_code == 2
    assert "own_rows.py:fix is your word that it may run" in refused.output  # a result file's is none
    assert run(*again, *own).exit_code == 0
    assert "Did you mean 'fix'?" in run(*asked, "--transform", f"{tmp_path}/own_rows.py:fxi").output
    tiny = ["--columns", "answer=worked", "--benchmark", "tiny"]
    for wrong in (["--columns", "answer"], ["--answer-in", "box"], tiny):
        assert run(*asked, *wrong).exit_code == 2


def test_completions_stay_within_the_models_context_where_nobody_says_how_long_they_may_be(tmp_path):
    (tmp_path / "mine.jsonl").write_text('{"question": "Half of 8?", "answer": "4"}\n')
    asked = ("--model", "tiny", "--benchmark", tmp_path / "mine.jsonl", "--samples", 1, "--output", tmp_path / "out")
    done = run(*asked)
    assert done.exit_code == 0, done.output
    assert "completions of up to 512 tokens, the model's context" in done.output
    result = json.loads((tmp_path / "out" / "mine" / "scores.json").read_text())
    assert result["request"]["settings"]["max_new_tokens"] == result["settings"]["max_new_tokens"] == 512
