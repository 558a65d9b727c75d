"""The commands: exit codes, errors a person can act on, help that teaches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from magistral_recipe import __version__
from magistral_recipe.cli import app

RECIPES = Path(__file__).parent.parent / "recipes"


def invoke(*words: str):
    return CliRunner().invoke(app, list(words))


def test_help_lists_the_commands():
    done = invoke("--help")
    assert done.exit_code == 0
    for command in ("run", "check", "report", "rewards", "doctor", "chat"):
        assert command in done.output
    assert "stage" not in [line.split()[1] for line in done.output.splitlines() if line.startswith("│ ")]


def test_version():
    assert invoke("--version").output.strip() == f"magistral-recipe {__version__}"


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_bad_recipe_is_exit_code_2_with_every_mistake_on_a_line(tmp_path, command):
    file = tmp_path / "bad.yaml"
    file.write_text("name: x\nsede: 1\nmodel: {path: tiny}\nstages:\n  - sft: {traces: {tiny: true}}\n")
    done = invoke(command, str(file))
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        f"{file}:2: sede: unknown key. Did you mean 'seed'?",
        f"{file}:5: stages[0].sft.traces.count: missing: generated traces are endless, say how many",
    ]
    assert not (Path("runs") / "x").exists()


def test_a_mistake_in_a_trainer_section_is_found_before_anything_runs(tmp_path):
    done = invoke(
        "check", str(RECIPES / "quickstart.yaml"), "--set", "stages.grpo.trainer.epsilon_hi=0.3",
        "--set", "stages.sft.trainer.optim=adamv",
    )  # fmt: skip
    assert done.exit_code == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "stages[1].grpo.trainer.epsilon_hi: unknown key. Did you mean 'epsilon_high'?" in done.stderr
    assert "stages[0].sft.trainer.optim: expected one of" in done.stderr


def test_mistakes_that_only_trl_sees_are_told_with_the_others():
    changes = ["seed=x", "grpo.problems=trein", "grpo.trainer.loss_type=dap", "sft.trainer.learning_rat=3"]
    done = invoke("check", str(RECIPES / "quickstart.yaml"), "--set", *changes)
    assert done.exit_code == 2
    for key in ("seed: expected", "no set of problems 'trein'", "Did you mean 'dapo'", "Did you mean 'learning_rate'"):
        assert key in done.stderr


def test_check_proves_the_wiring_and_prints_the_plan():
    done = invoke("check", str(RECIPES / "quickstart.yaml"))
    assert done.exit_code == 0, done.output
    assert "Wiring proven." in done.output
    assert "A training row" in done.output
    assert "Will it fit?" in done.output
    assert "NOT looked at" not in done.output


def test_a_recipe_for_a_model_that_is_not_here_is_checked_as_far_as_it_goes():
    done = invoke("check", str(RECIPES / "qwen3_1.7b_4090.yaml"), "--device", "rtx4090")
    assert done.exit_code == 3, done.output
    assert "NOT looked at: model Qwen/Qwen3-1.7B-Base:" in done.output
    assert "qwen3-1.7b-4090" in done.output
    assert "grpo: fits" in done.output


def test_a_wiring_that_is_broken_stops_with_what_was_lost_where(tmp_path):
    template = tmp_path / "strips.jinja"
    template.write_text(
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content.split('</think>')[-1] }}{{ eos_token }}"
        "{% else %}{{ m.content }}\n{% endif %}{% endfor %}"
    )
    recipe = str(RECIPES / "quickstart.yaml")
    done = invoke("run", recipe, "--set", f"thinking.template={template}", "--output", str(tmp_path / "run"))
    assert done.exit_code == 2
    assert "wiring:" in done.stderr
    assert "template" in done.stderr
    assert not (tmp_path / "run" / "01-sft").exists()


def test_python_m_works_and_errors_need_no_traceback():
    command = [sys.executable, "-m", "magistral_recipe", "run", "nowhere.yaml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("nowhere.yaml: no such recipe file")
    assert "Traceback" not in done.stderr


def test_check_plans_for_a_card_that_is_not_here():
    done = invoke("check", str(RECIPES / "quickstart.yaml"), "--device", "RTX 4090")
    assert "Will it fit? RTX 4090, 23.6 GiB, all of it free" in done.output
    assert "sft: fits" in done.output
    wrong = invoke("check", str(RECIPES / "quickstart.yaml"), "--device", "rtx4099")
    assert wrong.exit_code == 2
    assert "Did you mean 'rtx4090'?" in wrong.output
