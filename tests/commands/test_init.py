"""`init`: a recipe for somebody's own file, its columns, where its answers stand, a held-out part: `check` takes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from magistral_recipe.check.draft import draft_recipe
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.cli import app
from magistral_recipe.data.sources import ProblemsSource


def lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


GSM = lines({"question": f"{i}+3?", "answer": f"{i}+3=<<{i + 3}>>\n#### {i + 3}"} for i in range(60))
OWN = "nr,question,target,topic\n" + "".join(f"{i},How much is {i}+1?,{i + 1},add\n" for i in range(30))
BOXED = lines({"Question": f"{i}+2?", "solution": f"So \\boxed{{{i + 2}}}."} for i in range(12))
LEVELS = lines({"question": f"{i}+4?", "answer": str(i + 4), "difficulty": "easy", "id": "grade 3"} for i in range(9))
VERL = lines(
    {"prompt": [{"role": "user", "content": f"{i}+5?"}], "reward_model": {"ground_truth": f"{i}+5\n#### {i + 5}"}}
    for i in range(9)
)
STDIO = {"inputs": ["1\n"], "outputs": ["1\n"]}
APPS = lines({"question": f"Print n, task {i}.", "input_output": json.dumps(STDIO)} for i in range(9))
ALPACA = lines({"instruction": f"{i}+6?", "input": "", "output": str(i + 6)} for i in range(9))
GERMAN = "Aufgabe;Lösung\n" + "".join(f"Wie viel ist {i}+1?;{i + 1}\n" for i in range(9))
BOTH = lines(
    {"question": f"{i}+7?", "reasoning": "Count.", "reply": f"\\boxed{{{i + 7}}}", "answer": str(i + 7)}
    for i in range(30)
)
TRACES = lines(
    {"question": f"{i}+1?", "reasoning": f"One more than {i}.", "reply": f"\\boxed{{{i + 1}}}"} for i in range(30)
)


@pytest.fixture
def init(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {"gsm.jsonl": GSM, "own.csv": OWN, "boxed.jsonl": BOXED, "traces.jsonl": TRACES, "both.jsonl": BOTH}
    more = {"verl.jsonl": VERL, "apps.jsonl": APPS, "alpaca.jsonl": ALPACA, "de.csv": GERMAN, "levels.jsonl": LEVELS}
    for name, text in {**files, **more}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    def run(*words: str):
        return CliRunner().invoke(app, ["init", *words])

    return run


@pytest.mark.parametrize(
    ("words", "columns", "answer_in", "stages"),
    [
        (["--data", "gsm.jsonl"], {}, "hashes", ["sft", "grpo", "evaluate"]),
        (
            ["--data", "own.csv", "--traces", "traces.jsonl"],
            {"id": "nr", "category": "topic"},  # question and target are read as they are
            None,
            ["sft", "grpo", "evaluate"],
        ),
        (["--data", "boxed.jsonl"], {"problem": "Question", "answer": "solution"}, "boxed", ["sft", "grpo"]),
        ([], {}, None, ["sft", "grpo", "evaluate"]),
        (["--data", "traces.jsonl"], None, None, ["sft"]),
    ],
)
def test_what_it_writes_is_proven_by_check(init, tmp_path, words, columns, answer_in, stages):
    done = init(*words)
    assert done.exit_code == 0, done.output
    recipe = load_recipe(tmp_path / "recipe.yaml").recipe
    assert [stage.kind for stage in recipe.stages] == stages
    if recipe.stages[0].kind == "sft":
        assert (
            recipe.stages[0].traces.split is None
        )  # traces are all learnt from, where no problem of theirs is held out
    if columns is not None:
        train = recipe.problems["train"]
        assert (train.columns, train.answer_in) == (columns, answer_in)
        assert ("train_heldout" in recipe.problems) == (words not in ([], ["--data", "boxed.jsonl"]))
    assert "# Every key: `magistral-recipe keys WORD`." in (tmp_path / "recipe.yaml").read_text()
    checked = CliRunner().invoke(app, ["check", "recipe.yaml"])
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize(
    ("file", "keys", "sft"),
    [
        ("verl.jsonl", {"answer_in": "hashes", "kind": "math"}, False),
        ("apps.jsonl", {"kind": "code"}, False),
        ("alpaca.jsonl", {"kind": "math"}, False),  # answers without thoughts are no traces
        ("de.csv", {"columns": {"problem": "Aufgabe", "answer": "Lösung"}, "kind": "math"}, False),
        ("levels.jsonl", {"columns": {"difficulty": None, "id": None}, "kind": "math"}, False),
        ("both.jsonl", {"kind": "math", "split": {"heldout": 0.2, "seed": 0}}, True),
    ],
)
@pytest.mark.usefixtures("init")
def test_what_a_file_holds_is_told_by_its_rows(file, keys, sft):
    draft = yaml.safe_load(draft_recipe(Path(file), "tiny", None, Path()).text)
    assert draft["problems"]["train"] == {"path": file, **keys}
    own = {"path": file, "split": keys.get("split")}
    assert draft["stages"][0]["sft"]["traces"] == (own if sft else {"tiny": True, "count": 400})


def test_traces_of_problems_that_are_held_out_are_parted_with_them_and_columns_can_be_named(tmp_path, init):
    (tmp_path / "x.jsonl").write_text(lines({"x": f"{i}+7?", "y": i + 7, "z": 0} for i in range(30)))
    refused = init("--data", "x.jsonl")
    assert "`--columns problem=COLUMN,answer=COLUMN` says which" in " ".join(refused.output.split())
    done = init("--data", "x.jsonl", "--columns", "problem=x,answer=y", "--traces", "both.jsonl")
    assert done.exit_code == 0, done.output
    draft = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    assert draft["problems"]["train"]["columns"] == {"problem": "x", "answer": "y"}
    assert draft["stages"][0]["sft"]["traces"]["split"] == draft["problems"]["train"]["split"]


def test_a_set_to_be_tested_by_is_taken_as_it_is_and_a_folders_splits_are_never_mixed(init, tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "train.jsonl").write_text(GSM)
    (tmp_path / "parts" / "test.jsonl").write_text(GSM.replace("+3?", "+33?"))
    assert "several splits (train, test); name one with `split`" in str(ProblemsSource(path="parts").check(tmp_path))
    for words, train, test in (
        (["parts"], {"path": "parts", "split": "train"}, {"path": "parts", "split": "test"}),
        (["gsm.jsonl", "--test", "own.csv"], {"path": "gsm.jsonl"}, {"path": "own.csv"}),
    ):
        done = init(*words, "--output", f"{words[0]}.yaml")
        assert done.exit_code == 0, done.output
        draft = yaml.safe_load((tmp_path / f"{words[0]}.yaml").read_text())
        assert train.items() <= draft["problems"]["train"].items()
        assert test.items() <= draft["problems"]["test"].items()
        assert draft["stages"][-1]["evaluate"]["problems"] == "test"
    told = CliRunner().invoke(app, ["run", "gsm.jsonl"]).output
    assert "data, not a recipe: `magistral-recipe init --data gsm.jsonl` writes one" in " ".join(told.split())


def test_sizes_follow_the_model_and_the_card(init, tmp_path, monkeypatch):
    monkeypatch.setattr("magistral_recipe.check.draft.plan_recipe", lambda *_: None)  # it has a test of its own
    (tmp_path / "mine").mkdir()
    settings = {"peft_type": "LORA", "base_model_name_or_path": "Qwen/Qwen3-8B", "r": 4, "target_modules": ["q_proj"]}
    (tmp_path / "mine" / "adapter_config.json").write_text(json.dumps(settings))
    (tmp_path / "mine" / "adapter_model.safetensors").write_bytes(b"")
    shown = {}
    for model, card in (
        *(("Qwen/Qwen3-8B", card) for card in ("rtx4090", "h200", "t4")),
        ("Qwen/Qwen3-0.6B", "h100"),
        ("mine", "rtx4090"),
    ):
        drafted = yaml.safe_load(draft_recipe(Path("gsm.jsonl"), model, card, tmp_path).text)["model"]
        shown[model, card] = (drafted["dtype"], drafted.get("quantization"), drafted.get("lora"))
    lora = {"r": 32, "alpha": 64, "target_modules": "all-linear"}
    carried = {"handover": "carry"}
    assert shown == {
        ("Qwen/Qwen3-8B", "rtx4090"): ("bfloat16", "nf4", {**lora, **carried}),
        ("Qwen/Qwen3-8B", "h200"): ("bfloat16", None, lora),
        ("Qwen/Qwen3-8B", "t4"): ("float16", "nf4", {**lora, **carried}),
        ("Qwen/Qwen3-0.6B", "h100"): ("float32", None, None),
        ("mine", "rtx4090"): ("bfloat16", "nf4", carried),  # its rank is its own
    }


@pytest.mark.slow
def test_what_is_drafted_for_a_card_fits_it(init):
    done = init("--data", "gsm.jsonl", "--model", "Qwen/Qwen3-4B", "--card", "rtx4090")
    assert done.exit_code == 0, done.output
    checked = CliRunner().invoke(app, ["check", "recipe.yaml", "--device", "rtx4090", "--offline", "--json"])
    stages = json.loads(checked.stdout)["memory"]["stages"]
    assert [stage["fit"] for stage in stages] == ["fits", "fits"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--data", "gs.jsonl"], "gs.jsonl"),
        (["--data", "gsm.jsonl", "--card", "rtx4091"], "rtx4090"),
        (["--data", "gsm.jsonl", "--model", "./none"], "no such file or folder"),
        (["--data", "odd.jsonl"], "`--columns problem=COLUMN,answer=COLUMN` says which"),
        (["--data", "bare.csv"], "put `problem,answer` above it"),
        (["--data", "turns.jsonl"], "as traces: 1 of the first 1 rows would be set aside"),
        (["--data", "turns.jsonl", "--traces", "odd.jsonl"], "`--columns problem=COLUMN"),
        (["--output", "there.yaml"], "is there already"),
    ],
)
def test_what_cannot_be_drafted_is_one_line_and_nothing_is_written(init, tmp_path, words, told):
    (tmp_path / "odd.jsonl").write_text('{"foo": 1, "bar": 2}\n')
    (tmp_path / "bare.csv").write_text("What is 1 plus 1?,2\nWhat is 1 plus 2?,3\n")
    turns = [{"role": role, "content": "Hi"} for role in ("user", "assistant") * 2]
    (tmp_path / "turns.jsonl").write_text(json.dumps({"messages": turns}))
    (tmp_path / "there.yaml").write_text("mine")
    done = init(*words)
    assert done.exit_code == 2
    assert told in " ".join(done.output.split())
    assert not (tmp_path / "recipe.yaml").exists()
    assert (tmp_path / "there.yaml").read_text() == "mine"
