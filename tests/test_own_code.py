"""A person's own Python beside the recipe: found by every way in, held against its signature, told by name and row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import preloaded
import pytest
from typer.testing import CliRunner

from magistral_recipe import own_code
from magistral_recipe.chain.run_folder import RunFolder
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.cli import app
from magistral_recipe.data.sources import load_problems
from magistral_recipe.errors import RecipeError, RunError
from magistral_recipe.foreign import naming_only
from magistral_recipe.rewards import registry
from magistral_recipe.training.scoring import Scorer

REWARDS = '''\
import own_helper


def short(completions, limit=100, **kwargs):
    """Fewer letters are better."""
    texts = [c if isinstance(c, str) else c[-1]["content"] for c in completions]
    return [own_helper.score(text, limit) for text in texts]


def by_level(completions, level, **_):
    table = {"easy": 1.0}
    return [table[each] for each in level]


class Scaled:
    def __init__(self, factor=1.0, **others):
        self.factor = factor

    def __call__(self, completions, **_):
        return [self.factor] * len(completions)


class Smaller(Scaled):
    def __init__(self, least=0.0, **others):
        super().__init__(**others)


def wants(completions, colour):
    return [0.0] * len(completions)
'''
HELPER = "def score(text, limit):\n    return -len(text) / limit\n"
TRANSFORM = """\
def fix(row):
    if row.get("drop"):
        return None
    return {"problem": row["q"], "answer": row["a"]["value"]}


def no_row(row):
    return 3


def two(row, other):
    return row
"""
RECIPE = """\
name: own
model: {path: tiny}
thinking: {system_prompt: none}
problems:
  mine: {path: rows.jsonl, TRANSFORM}
stages:
  - grpo:
      problems: mine
      rewards: [REWARD]
      trainer: {max_steps: 2, prompts_per_batch: 2, num_generations: 2, minibatches_per_batch: 1,
        max_completion_length: 8}
"""
ROWS = [
    {"q": "1+1?", "a": {"value": "2"}, "level": "easy"},
    {"q": "2+2?", "a": {"value": "4"}, "level": "hard"},
    {"q": "3+3?", "a": {}, "level": "hard"},
    {"drop": True},
]


@pytest.fixture
def beside(tmp_path, monkeypatch) -> Path:
    """A recipe's folder, which is not the working one, with code of the user's in it."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "own_rewards.py").write_text(REWARDS)
    (folder / "own_helper.py").write_text(HELPER)
    (folder / "own_data.py").write_text(TRANSFORM)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    yield folder
    for name in ("own_rewards", "own_helper", "own_data"):
        sys.modules.pop(name, None)


def recipe(folder: Path, reward: str = "own_rewards.py:short", transform: str = "own_data.py:fix") -> Path:
    file = folder / "own.yaml"
    file.write_text(RECIPE.replace("REWARD", reward).replace("TRANSFORM", f"transform: {transform}"))
    return file


def mistakes(folder: Path, **given: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe(folder, **given))
    return str(caught.value)


@pytest.mark.parametrize("name", ["own_rewards.py:short", "own_rewards:short", '{"own_rewards.py:short": {limit: 50}}'])
def test_it_is_found_beside_the_recipe_and_is_part_of_what_a_stage_reads(beside, name):
    loaded = load_recipe(recipe(beside, name))
    (plan,) = RunFolder(beside / "run", loaded).stage_plans()
    assert {"own_rewards (code)", "own_helper (code)", "own_data (code)", "rows.jsonl"} <= {*plan.reads}
    (reward,) = plan.stage.build_rewards(loaded.recipe.thinking, beside)
    assert reward(completions=["12345"]) == [-0.1 if "limit" in name else -0.05]
    (beside / "own_helper.py").write_text(HELPER + "# changed\n")
    assert RunFolder(beside / "run", loaded).stage_plans()[0].reads != plan.reads


def test_it_is_found_in_the_working_folder_and_what_lies_beside_the_recipe_goes_first(beside):
    Path("own_rewards.py").write_text("def here(completions):\n    return [2.0] * len(completions)\n")
    assert registry.build("own_rewards.py:here", folder=None)(completions=["x"]) == [2.0]
    assert registry.build("own_rewards:short", folder=beside)(completions=["12345"]) == [-0.05]
    assert "has no 'here'" in str(registry.mistake("own_rewards.py:here", folder=beside))


def test_a_file_that_was_written_to_is_imported_again(beside):
    file = beside / "own_rewards.py"
    file.write_text("def short(completions):\n    return [1.0]\n")
    assert registry.build("own_rewards.py:short", folder=beside)(completions=["x"]) == [1.0]
    file.write_text("def short(completions):\n    return [1.5]\n")
    os.utime(file, ns=(1, 1))
    assert registry.build("own_rewards.py:short", folder=beside)(completions=["x"]) == [1.5]


def test_its_name_may_be_one_that_is_taken(beside):
    for name in ("json.py", "code.py"):
        (beside / name).write_text("def mine(completions):\n    return [3.0]\n")
        assert registry.build(f"{name}:mine", folder=beside)(completions=["x"]) == [3.0]
    assert json.loads("1") == 1
    assert sys.modules["json"].loads is json.loads


@pytest.mark.parametrize(
    ("reward", "told"),
    [
        (
            "own_reward.py:short",
            "no such file: own_reward.py, neither beside the recipe nor in the working folder. Did you",
        ),
        ("own_rewards.py:shrt", "'own_rewards.py' has no 'shrt'. Did you mean 'short'?"),
        ("own_rewards:shrt", "Did you mean 'short'?"),
        ('{"own_rewards.py:short": {limt: 5}}', "takes no option 'limt'. Did you mean 'limit'? It takes: limit"),
        ('{"own_rewards.py:short": {weight: 0.5}}', "the trainer's: reward_weights: [..], one a reward"),
        ('{"own_rewards.py:short": {prompts: 1}}', "is given 'prompts' by the trainer"),
        ('{"own_rewards.py:by_level": {level: easy, answer: x}}', "takes no option 'answer'"),
        ('{"own_rewards.py:Scaled": {facto: 5}}', "takes no option 'facto'. Did you mean 'factor'?"),
        ("own_rewards.py:wants", "needs colour, and nothing gives it"),
    ],
)
def test_what_cannot_be_called_is_told_at_its_line(beside, reward, told):
    text = mistakes(beside, reward=reward)
    assert "own.yaml:9: stages[0].grpo.rewards[0]: " in text
    assert told in text


def test_a_constructor_that_hands_its_options_on_takes_its_bases_too(beside):
    assert registry.build("own_rewards.py:Smaller", {"factor": 3.0, "least": 1.0}, folder=beside).factor == 3.0


def test_a_key_error_names_the_reward_its_line_and_the_row(beside):
    reward = registry.build("own_rewards.py:by_level", folder=beside)
    scorer = Scorer([reward], ["by_level"])
    with pytest.raises(RunError) as caught:
        scorer.score(3, {"completions": ["a", "b", "c"], "level": ["easy", "hard", "easy"], "id": ["p1", "p2", "p3"]})
    line = REWARDS.splitlines().index("    return [table[each] for each in level]") + 1
    assert str(caught.value) == (
        f"reward 'by_level' raised KeyError: 'hard' (own_rewards.py:{line}) on row 2 of 3 (id 'p2')"
    )
    rows = [{"completion": "a", "level": "easy"}, {"completion": "b", "level": "hard"}]
    Path("c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = CliRunner().invoke(app, ["rewards", "c.jsonl", "--reward", f"{beside}/own_rewards.py:by_level"])
    assert told.exit_code == 2
    assert "raised KeyError: 'hard'" in " ".join(told.output.split())
    assert "on row 2 of 2" in " ".join(told.output.split())


def test_a_transform_changes_rows_passes_them_over_and_sets_aside_what_it_cannot_take(beside):
    loaded = load_recipe(recipe(beside))
    result = load_problems(loaded.recipe.problems["mine"], beside, beside / "aside.jsonl")
    assert [(row.problem, row.answer) for row in result.rows] == [("1+1?", "2"), ("2+2?", "4")]
    assert dict(result.reasons) == {"the transform failed": 1}
    aside = json.loads((beside / "aside.jsonl").read_text())
    assert "transform 'own_data.py:fix' raised KeyError: 'value' (own_data.py:4)" in aside["reason"]
    for name, line in {
        "own_dat.py:fix": "no such file: own_dat.py",
        "own_data.py:fxi": "Did you mean 'fix'?",
        "own_data.py:two": "is to be called with one row",
        "own_data.py": "expected my_data.py:function",
    }.items():
        text = mistakes(beside, transform=name)
        assert "own.yaml:5: problems.mine.transform: " in text, name
        assert line in text
    assert "returned int, not a row" in mistakes(beside, transform="own_data.py:no_row")


def test_without_code_neither_is_imported(beside):
    for name in ("own_rewards.py", "own_data.py"):
        (beside / name).write_text("raise SystemExit('imported')\n")
    told = CliRunner().invoke(app, ["check", "--no-code", str(recipe(beside))])
    words = " ".join(told.output.split())
    assert told.exit_code == 0, told.output
    assert "left out: own_rewards.py:short, own_data.py:fix: left out by --no-code" in words
    assert "left out: rows.jsonl: own_data.py:fix is left out by --no-code" in words
    with naming_only():
        assert "no such file" in mistakes(beside, reward="own_reward.py:short")


@pytest.mark.slow
@pytest.mark.parametrize("launched", [False, True])
def test_a_run_finds_it_in_each_of_its_processes(beside, launched):
    """From another folder, in a stage's own process and in those of `accelerate launch`."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CI": "1"}
    words = ["run", str(recipe(beside)), "--output", str(beside / "run")]
    if launched:
        launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1", "--cpu"]
        launch += ["-m", "magistral_recipe", *words]
        process = subprocess.Popen(launch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    else:
        process = preloaded.start(words, environment)
    told, _ = process.communicate()
    assert process.returncode == 0, told
    assert "code that the recipe names is run: own_rewards.py:short, own_data.py:fix" in told
    lines = (beside / "run" / "01-grpo" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["rewards/short/mean"] < 0


def test_a_package_beside_a_recipe_is_imported_as_one(beside):
    package = beside / "own_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text("VALUE = 4.0\n")
    (package / "rewards.py").write_text(
        "from .parts import VALUE\n\n\ndef four(completions):\n    return [VALUE] * len(completions)\n"
    )
    assert registry.build("own_package.rewards:four", folder=beside)(completions=["x"]) == [4.0]
    assert own_code.file_of("own_package.rewards", beside) == (package / "rewards.py").resolve()
