"""The plan: what is proven before a model is loaded, and what a model will take."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from magistral_recipe.check.plan import check_recipe, load_telling_all
from magistral_recipe.check.proof import prove_recipe
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.check.trainers import check_trainers
from magistral_recipe.errors import RecipeError, RunError
from magistral_recipe.verifiers.sandbox import probe

CODE = """\
name: code
model: {path: tiny}
problems: {train: {path: problems.jsonl}}
stages:
  - grpo: {problems: train}
"""


def test_code_problems_try_the_sandbox_before_anything_is_trained(tmp_path, monkeypatch):
    tests = {"type": "stdio", "cases": [{"input": "1", "output": "1"}]}
    row = {"problem": "Print the input.", "tests": json.dumps(tests), "kind": "code", "programming_language": "python"}
    (tmp_path / "problems.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "code.yaml").write_text(CODE)
    tried = []

    def refuse(mode):
        tried.append(mode)
        raise RunError("no sandbox here")

    monkeypatch.setattr(probe, "require_sandbox", refuse)
    with pytest.raises(RunError, match="no sandbox here"):
        prove_recipe(load_recipe(tmp_path / "code.yaml"), Console(quiet=True))
    assert tried == ["bwrap"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_full_training_of_weights_that_round_updates_away_is_refused_with_its_line(tmp_path, dtype):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        f"name: r\nmodel:\n  path: tiny\n  dtype: {dtype}\nstages:\n  - sft: {{traces: {{tiny: true, count: 8}}}}\n"
    )
    with pytest.raises(RecipeError) as caught:
        check_trainers(load_recipe(recipe))
    (line,) = caught.value.problems
    assert line.startswith(f"{recipe}:4: model.dtype: {dtype} weights can't all be trained: ")
    assert "rounded away" in line
    assert "dtype: float32" in line
    assert "`lora:`" in line
    broken = tmp_path / "broken.yaml"  # told together with what the schema finds
    broken.write_text(recipe.read_text() + "  - sfd: {}\n")
    with pytest.raises(RecipeError) as caught:
        load_telling_all(broken, [])
    assert len(caught.value.problems) > 1
    assert sum("can't all be trained" in problem for problem in caught.value.problems) == 1
    recipe.write_text(recipe.read_text().replace(dtype, f"{dtype}\n  lora: {{r: 4}}"))
    check_trainers(load_recipe(recipe))


def test_weights_that_are_only_read_can_have_any_precision(tmp_path):
    (tmp_path / "r.yaml").write_text(
        "name: r\nmodel: {path: tiny, dtype: bfloat16}\nproblems: {p: {tiny: heldout, count: 8}}\n"
        "stages: [{evaluate: {problems: p}}]\n"
    )
    check_trainers(load_recipe(tmp_path / "r.yaml"))


ADAPTERS = """\
name: adapters
model:
  path: tiny
  lora:
    target_modules: TARGETS
stages:
  - sft: {traces: {tiny: true, count: 8}}
"""


def checked(tmp_path, targets):
    (tmp_path / "adapters.yaml").write_text(ADAPTERS.replace("TARGETS", targets))
    check_trainers(load_recipe(tmp_path / "adapters.yaml"))


def test_adapters_on_tied_embeddings_are_refused_at_their_line(tmp_path):
    with pytest.raises(RecipeError) as caught:
        checked(tmp_path, "[q_proj, embed_tokens]")
    (line,) = str(caught.value).splitlines()
    assert "adapters.yaml:5: model.lora.target_modules: model.embed_tokens shares its weights with lm_head" in line
    assert "target_modules: all-linear" in line


def test_adapters_on_modules_that_are_not_there_are_refused_at_their_line(tmp_path):
    with pytest.raises(RecipeError) as caught:
        checked(tmp_path, "[q_project]")
    (line,) = str(caught.value).splitlines()
    assert "adapters.yaml:5: model.lora.target_modules: " in line
    assert "q_project" in line


def test_other_adapters_pass_the_check(tmp_path):
    for targets in ("all-linear", "[q_proj, v_proj]"):
        checked(tmp_path, targets)


NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('System role\nnot supported') }}{% endif %}"
TURNS = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% if message.role == 'assistant' %}"
TURNS += "{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
FORMAT = """\
name: format
model: {path: tiny}
thinking:
  template: own.jinja
  system_prompt: SYSTEM
stages:
  - sft: {traces: {tiny: true, count: 8}}
"""


def checked_template(tmp_path, template, system):
    (tmp_path / "own.jinja").write_text(template)
    (tmp_path / "format.yaml").write_text(FORMAT.replace("SYSTEM", system))
    if mistakes := check_recipe(load_recipe(tmp_path / "format.yaml"), Console(quiet=True)).mistakes:
        raise RecipeError(mistakes)


@pytest.mark.parametrize("system", ["magistral", "Think first."])
def test_a_template_that_refuses_a_system_turn_is_one_line_with_the_ways_out(tmp_path, system):
    with pytest.raises(RecipeError) as caught:
        checked_template(tmp_path, NO_SYSTEM + TURNS, system)
    (line,) = str(caught.value).splitlines()
    assert "format.yaml:5: thinking.system_prompt: the chat template refuses a system turn (System role not" in line
    assert "thinking.system_prompt: none" in line
    assert "thinking.template: magistral" in line


def test_the_same_template_serves_without_a_system_prompt(tmp_path):
    checked_template(tmp_path, NO_SYSTEM + TURNS, "none")


def test_a_template_that_renders_nothing_is_named_at_its_line(tmp_path):
    with pytest.raises(RecipeError, match=r"format\.yaml:4: thinking\.template: the chat template can't render"):
        checked_template(tmp_path, "{{ raise_exception('roles must alternate') }}", "none")
