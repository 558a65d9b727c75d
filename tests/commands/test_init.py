"""`init`: a recipe for somebody's own file, its columns, where its answers stand, a held-out part: `check` takes it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.cli import app


def lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


GSM = lines({"question": f"{i}+3?", "answer": f"{i}+3=<<{i + 3}>>\n#### {i + 3}"} for i in range(60))
OWN = "nr,question,target,topic\n" + "".join(f"{i},How much is {i}+1?,{i + 1},add\n" for i in range(30))
BOXED = lines({"Question": f"{i}+2?", "solution": f"So \\boxed{{{i + 2}}}."} for i in range(12))
TRACES = lines(
    {"question": f"{i}+1?", "reasoning": f"One more than {i}.", "reply": f"\\boxed{{{i + 1}}}"} for i in range(9)
)


@pytest.fixture
def init(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in {"gsm.jsonl": GSM, "own.csv": OWN, "boxed.jsonl": BOXED, "traces.jsonl": TRACES}.items():
        (tmp_path / name).write_text(text)

    def run(*words: str):
        return CliRunner().invoke(app, ["init", *words])

    return run


@pytest.mark.parametrize(
    ("words", "columns", "answer_in", "stages"),
    [
        (["--data", "gsm.jsonl"], {}, "hashes", ["grpo", "evaluate"]),
        (
            ["--data", "own.csv", "--traces", "traces.jsonl"],
            {"id": "nr", "category": "topic"},  # question and target are read as they are
            None,
            ["sft", "grpo", "evaluate"],
        ),
        (["--data", "boxed.jsonl"], {"problem": "Question", "answer": "solution"}, "boxed", ["grpo"]),
        ([], {}, None, ["sft", "grpo", "evaluate"]),
        (["--data", "traces.jsonl"], None, None, ["sft"]),
    ],
)
def test_what_it_writes_is_proven_by_check(init, tmp_path, words, columns, answer_in, stages):
    done = init(*words)
    assert done.exit_code == 0, done.output
    recipe = load_recipe(tmp_path / "recipe.yaml").recipe
    assert [stage.kind for stage in recipe.stages] == stages
    if columns is not None:
        train = recipe.problems["train"]
        assert (train.columns, train.answer_in) == (columns, answer_in)
        assert ("train_heldout" in recipe.problems) == (words not in ([], ["--data", "boxed.jsonl"]))
    assert "# Every key: `magistral-recipe keys WORD`." in (tmp_path / "recipe.yaml").read_text()
    checked = CliRunner().invoke(app, ["check", "recipe.yaml"])
    assert checked.exit_code == 0, checked.output


def test_sizes_follow_the_model_and_the_card(init, tmp_path):
    shown = {}
    for card in ("rtx4090", "h200", "t4"):
        done = init("--data", "gsm.jsonl", "--model", "Qwen/Qwen3-8B", "--card", card, "--output", f"{card}.yaml")
        assert done.exit_code == 0, done.output
        model = load_recipe(tmp_path / f"{card}.yaml").recipe.model
        shown[card] = (model.dtype, model.quantization, model.lora is not None)
    assert shown == {
        "rtx4090": ("bfloat16", "nf4", True),
        "h200": ("bfloat16", "none", True),
        "t4": ("float16", "nf4", True),
    }
    small = init("--data", "gsm.jsonl", "--model", "Qwen/Qwen3-0.6B", "--card", "h100", "--output", "small.yaml")
    assert small.exit_code == 0, small.output
    model = load_recipe(tmp_path / "small.yaml").recipe.model
    assert (model.dtype, model.lora) == ("float32", None)
    fits = CliRunner().invoke(app, ["check", "rtx4090.yaml", "--device", "rtx4090", "--offline"])
    assert "does not fit" not in fits.output, fits.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--data", "gs.jsonl"], "gs.jsonl"),
        (["--data", "gsm.jsonl", "--card", "rtx4091"], "rtx4090"),
        (["--data", "gsm.jsonl", "--model", "./none"], "no such file or folder"),
        (["--data", "odd.jsonl"], "no columns that are known by name"),
        (["--output", "there.yaml"], "is there already"),
    ],
)
def test_what_cannot_be_drafted_is_one_line_and_nothing_is_written(init, tmp_path, words, told):
    (tmp_path / "odd.jsonl").write_text('{"foo": 1, "bar": 2}\n')
    (tmp_path / "there.yaml").write_text("mine")
    done = init(*words)
    assert done.exit_code == 2
    assert told in " ".join(done.output.split())
    assert not (tmp_path / "recipe.yaml").exists()
    assert (tmp_path / "there.yaml").read_text() == "mine"
