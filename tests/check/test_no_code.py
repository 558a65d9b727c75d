"""`check --no-code` runs nothing that a recipe names, and its word on a model's own code counts where it is run."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from magistral_recipe.cli import app
from magistral_recipe.data import tiny

RECIPE = """\
name: named
model: {path: MODEL, trust_remote_code: TRUST}
thinking: {system_prompt: none}
problems: {train: {tiny: train, count: 8}}
stages:
  - grpo:
      problems: train
      rewards: [REWARD, format]
      trainer: {max_steps: 1, prompts_per_batch: 2, num_generations: 2}
"""


@pytest.fixture
def check(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))

    def run(*words, reward="format", model="tiny", trust="false"):
        text = RECIPE.replace("MODEL", model).replace("REWARD", reward).replace("TRUST", trust)
        (tmp_path / "named.yaml").write_text(text)
        return CliRunner().invoke(app, ["check", "named.yaml", *words])

    return run


def test_a_shell_by_the_name_of_a_reward_is_not_run(check, tmp_path):
    result = check(reward='{"subprocess:Popen": {args: "touch made", shell: true}}')
    assert result.exit_code == 2
    assert "named.yaml:8: stages[0].grpo.rewards[0]:" in result.output
    assert "is the standard library's" in result.output
    assert not (tmp_path / "made").exists()


def test_without_code_nothing_is_imported_and_that_is_said(check, tmp_path):
    (tmp_path / "noted_by_no_code.py").write_text(
        "open('imported', 'w').close()\ndef reward(completions, **_):\n    return [0.0] * len(completions)\n"
    )
    result = check("--no-code", reward="noted_by_no_code:reward")
    assert result.exit_code == 0, result.output
    assert "left out: noted_by_no_code:reward: left out by --no-code" in result.output
    assert "format" in result.output
    assert not (tmp_path / "imported").exists()
    assert check(reward="noted_by_no_code:reward").exit_code == 0
    assert (tmp_path / "imported").exists()


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("sys.exit(0)", "called sys.exit(0)"),
        ("time.sleep(600)", "has not answered within 0.3 s"),
        ("return {}['k']", "raised KeyError: 'k'"),
    ],
)
def test_a_reward_that_exits_or_hangs_in_the_proof_is_an_error(check, tmp_path, monkeypatch, end, said):
    monkeypatch.setattr("magistral_recipe.check.trials._PATIENCE", 0.3)
    name = "ends_in_proof_" + str(abs(hash(end)))
    (tmp_path / f"{name}.py").write_text(f"import sys, time\ndef reward(completions, **_):\n    {end}\n")
    result = check(reward=f"{name}:reward")
    assert result.exit_code == 1
    assert f"reward 'reward' {said}" in result.output


@pytest.fixture
def coded(tmp_path):
    """A model whose folder brings code, and code that leaves a trace."""
    folder = tmp_path / "coded"
    shutil.copytree(tiny.model_path(), folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "of_its_own", "auto_map": {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        "class Config(LlamaConfig):\n    model_type = 'of_its_own'\n"
        "class M(LlamaForCausalLM):\n    config_class = Config\n"
    )
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer |= {"auto_map": {"AutoTokenizer": ["code.T", None]}, "tokenizer_class": "T"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return folder


def test_a_recipe_that_trusts_its_model_is_not_believed_by_check(check, tmp_path, coded):
    result = check(model=str(coded), trust="true")
    assert not (tmp_path / "ran").exists(), result.output
    assert "without running Python code that comes with it" in result.output
