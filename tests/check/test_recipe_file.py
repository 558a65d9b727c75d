"""The recipe's schema: what loads, and every mistake told at once, with its line and the nearest name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.errors import RecipeError

ROOT = Path(__file__).parents[2]
GOOD = """\
name: good
model: {path: tiny}
problems:
  train: {tiny: train, count: 8}
stages:
  - sft: {traces: {tiny: true, count: 8}}
  - grpo: {problems: train}
  - evaluate: {problems: train, models: [base, sft, grpo]}
"""


def lines_of(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    file = tmp_path / "r.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(file, list(overrides))
    return [line.removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines()]


def test_loading_imports_neither_torch_nor_trl():
    code = (
        "import sys; from magistral_recipe.check.recipe_file import load_recipe; "
        f"load_recipe({str(ROOT / 'recipes/quickstart.yaml')!r}); "
        "print([m for m in ('torch', 'trl', 'transformers', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_good_recipe_has_its_defaults(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(GOOD)
    recipe = load_recipe(file, ["stages.grpo.trainer.learning_rate=2e-6"]).recipe
    assert [stage.name for stage in recipe.stages] == ["sft", "grpo", "evaluate"]
    assert recipe.seed == 42
    assert recipe.stages[1].trainer == {"learning_rate": 2e-6}


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines(tmp_path):
    text = GOOD.replace("name: good", "name: good\nsede: 3").replace("count: 8}}", "count: many}}", 1)
    text = text.replace("grpo: {problems: train}", "grpo: {problems: trian, rewards: [magistrl], modell: x}")
    lines = lines_of(tmp_path, text)
    assert [line.split(": ", 2)[:2] for line in lines] == [
        ["r.yaml:2", "sede"],
        ["r.yaml:7", "stages[0].sft.traces.count"],
        ["r.yaml:8", "stages[1].grpo.modell"],
        ["r.yaml:8", "stages[1].grpo.problems"],
        ["r.yaml:8", "stages[1].grpo.rewards[0]"],
    ]
    assert lines[0].endswith("unknown key. Did you mean 'seed'?")
    assert lines[2].endswith("unknown key. Did you mean 'model'?")
    assert "Did you mean 'train'?" in lines[3]
    assert "Did you mean 'magistral'?" in lines[4]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("name: good\n", "", "r.yaml:1: name: missing"),
        ("name: good", "name: a/b", "r.yaml:1: name: should match pattern"),
        ("{path: tiny}", "{path: tiny, dtype: float23}", "r.yaml:2: model.dtype: expected 'float32', 'bfloat16'"),
        ("{path: tiny}", "{path: tiny, lora: {r: 0}}", "r.yaml:2: model.lora.r: expected greater than or equal to 1"),
        ("  - sft", "  - stf", "r.yaml:6: stages[0].stf: unknown kind of stage. Did you mean 'sft'?"),
        ("  - sft: {t", "  - sft: 3\n    x: {t", "r.yaml:6: stages[0]: expected one stage"),
        ("  - grpo:", "  - sft: {traces: {tiny: true, count: 2}}\n  - grpo:", "a second stage named 'sft': give one"),
        ("{problems: train}", "{problems: train, model: later}", "stages[1].grpo.model: no model 'later' before"),
        ("[base, sft, grpo]", "[base, stf]", "stages[2].evaluate.models[1]: no model 'stf' before this stage. Did you"),
        ("{tiny: train, count: 8}", "{path: gone.jsonl}", "r.yaml:4: problems.train.path: no such file"),
        ("stages:\n", "thinking: {template: gone.jinja}\nstages:\n", "thinking.template: expected 'auto', 'magistral'"),
        (
            "stages:\n",
            "thinking: {open: x, close: xy}\nstages:\n",
            "r.yaml:5: thinking: thinking tags must not contain",
        ),
        ("stages:\n", "launch: {config_file: gone.yaml}\nstages:\n", "launch.config_file: no such file"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, old, new, expected):
    assert old in GOOD
    lines = lines_of(tmp_path, GOOD.replace(old, new, 1))
    assert any(expected in line for line in lines), lines


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("name: good", "name: good\nseed: true", "r.yaml:2: seed: expected a number, found true"),
        ("count: 8}}", "count: true}}", "r.yaml:6: stages[0].sft.traces.count: expected a number, found true"),
        ("path: tiny}", "path: tiny, lora: {r: true}}", "r.yaml:2: model.lora.r: expected a number, found true"),
        ("path: tiny}", "path: tiny, lora: {dropout: .nan}}", "r.yaml:2: model.lora.dropout: expected a finite number"),
        (
            "sft, grpo]",
            "sft], temperature: .nan",
            "stages[2].evaluate.temperature: expected a finite number, found nan",
        ),
        (
            "sft, grpo]",
            "sft], temperature: .inf",
            "stages[2].evaluate.temperature: expected a finite number, found inf",
        ),
        ("sft, grpo]", "sft], temperature: -0.5", "r.yaml:8: stages[2].evaluate.temperature: expected greater than"),
        (
            "{problems: train}",
            "{problems: train, evaluate: {every: true, problems: train}}",
            "r.yaml:7: stages[1].grpo.evaluate.every: expected a number, found true",
        ),
    ],
)
def test_what_is_no_number_of_its_kind_is_told_at_its_line(tmp_path, old, new, expected):
    assert old in GOOD
    (line,) = lines_of(tmp_path, GOOD.replace(old, new, 1))
    assert expected in line


def test_booleans_stay_where_they_are_meant(tmp_path):
    file = tmp_path / "r.yaml"
    text = GOOD.replace("path: tiny}", "path: tiny, trust_remote_code: true}")
    file.write_text(text.replace("grpo]}", "grpo], greedy: false}"))
    recipe = load_recipe(file).recipe
    assert recipe.model.trust_remote_code is True
    assert recipe.stages[2].greedy is False


def test_a_recipe_without_stages_says_what_there_is(tmp_path):
    assert lines_of(tmp_path, "name: x\nmodel: {path: tiny}\n") == [
        "r.yaml:1: stages: missing: a recipe needs a list of stages (curate, sft, grpo, traces, evaluate, export)"
    ]


def test_a_model_that_comes_later_is_told_apart(tmp_path):
    text = GOOD.replace("  - sft: {", "  - sft: {model: grpo, ")
    assert "(it makes its model only later)" in lines_of(tmp_path, text)[0]


@pytest.mark.parametrize(
    ("model", "rollouts", "key", "what"),
    [
        ("quantization: nf4, lora: {r: 4}", "backend: vllm", None, ""),
        ("quantization: nf4, lora: {r: 4}", "backend: vllm, sync: adapter", None, ""),
        ("lora: {r: 4}", "backend: vllm, sync: merged, correction: none", None, ""),
        ("quantization: nf4, lora: {r: 4}", "backend: vllm, sync: merged", "sync", "quantized anew at every step"),
        ("quantization: nf4, lora: {r: 4}", "backend: vllm, mode: server", "mode", "quantized anew at every step"),
        ("quantization: int8, lora: {r: 4}", "backend: vllm", "backend", "to 4 bits, not to 8"),
        ("dtype: float32", "backend: vllm, sync: adapter", "sync", "adapter: needs model.lora"),
        (
            "lora: {r: 4}",
            "backend: vllm, mode: server, sync: adapter",
            "sync",
            "a server is handed weights, no adapters",
        ),
        ("lora: {r: 4}", "sync: adapter", "sync", "auto generates with the trainer's own"),
        ("lora: {r: 4}", "backend: vllm, correction: tokens", "correction", "'token_truncate'"),
    ],
)
def test_what_vllm_can_be_handed(tmp_path, model, rollouts, key, what):
    text = GOOD.replace("{path: tiny}", f"{{path: tiny, {model}}}")
    text = text.replace("{problems: train}", f"{{problems: train, rollouts: {{{rollouts}}}}}")
    lines = [line for line in lines_of(tmp_path, text) if "rollouts" in line] if key else []
    if key is None:
        (tmp_path / "r.yaml").write_text(text)
        load_recipe(tmp_path / "r.yaml")
    else:
        assert [f"rollouts.{key}" in line and what in line for line in lines] == [True], lines


def test_an_override_is_named_as_the_place_of_its_mistake(tmp_path):
    lines = lines_of(tmp_path, GOOD, "stages.grpo.problms=train")
    assert lines == ["--set stages.grpo.problms=train: stages[1].grpo.problms: unknown key. Did you mean 'problems'?"]


def test_relative_paths_of_a_resolved_recipe_start_where_the_recipe_was(tmp_path):
    (tmp_path / "mine.jsonl").write_text('{"problem": "1+1?", "answer": "2"}\n')
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.yaml").write_text(GOOD.replace("{tiny: train, count: 8}", "{path: mine.jsonl}"))
    with pytest.raises(RecipeError, match=r"problems\.train\.path: no such file"):
        load_recipe(run / "recipe.yaml")
    assert load_recipe(run / "recipe.yaml", folder=tmp_path).folder == tmp_path
