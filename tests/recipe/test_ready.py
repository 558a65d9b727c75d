"""The ready recipes: what each states, copies that stand alone, and a wheel that has them all."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.errors import DataError, RecipeError
from magistral_recipe.recipe.ready import HEADINGS, copy_ready, find_ready, ready_recipes

ROOT = Path(__file__).parents[2]
RECIPES = ready_recipes()


def test_every_recipe_of_the_folder_is_ready():
    files = {file for file in (ROOT / "recipes").rglob("*.yaml") if file.parent.name != "accelerate"}
    assert {recipe.file for recipe in RECIPES} == files
    assert len(RECIPES) == len(files) > 0


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_each_states_its_facts_and_loads(recipe):
    assert tuple(recipe.facts) == HEADINGS
    assert all(fact.strip(" ?") for fact in recipe.facts.values()), recipe.facts
    assert recipe.description.endswith(".")
    loaded = load_recipe(recipe.file)
    assert loaded.recipe.stages
    assert f"{recipe.name}.yaml" in recipe.facts["Run"] or recipe.name == "quickstart"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_each_has_the_length_penalty_on(recipe):
    stages = [stage for stage in load_recipe(recipe.file).recipe.stages if stage.kind == "grpo"]
    assert stages or recipe.name == "mistral_small_24b_4090"
    for stage in stages:
        assert list(stage.warnings(recipe.file.parent)) == []
        assert stage.trainer["overlong_cache"] > 0


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_copy_stands_alone(recipe, tmp_path):
    written = copy_ready(recipe.name, tmp_path / "new")
    assert written[0] == tmp_path / "new" / recipe.file.name
    assert all(file.is_file() for file in written)
    assert load_recipe(written[0]).recipe == load_recipe(recipe.file).recipe
    assert copy_ready(recipe.name, tmp_path / "new") == written  # the same files are in nobody's way


def test_the_readmes_recipe_is_the_one_to_begin_with():
    shown = (ROOT / "README.md").read_text("utf-8").split("```yaml\n")[1].split("```")[0]
    recipe = find_ready("qwen3_1.7b_4090").file.read_text("utf-8")
    assert shown == recipe[recipe.index("name: ") :]


def test_a_fact_of_several_lines_is_joined():
    fact = find_ready("qwen3_1.7b_4090.yaml").facts["Departs from the paper"]
    assert fact.startswith("a base of 1.7B, and LoRA instead of all weights; ")
    assert "  " not in fact
    assert fact.endswith("not act.")


def test_no_file_is_overwritten_and_then_none_is_written(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "traces.jsonl").write_text("mine\n")
    with pytest.raises(DataError, match=r"data/traces\.jsonl: there is another file of this name; nothing was copied"):
        copy_ready("my_data", tmp_path)
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["traces.jsonl"]


def test_a_copy_may_have_another_name(tmp_path):
    (written,) = copy_ready("quickstart", tmp_path / "deep" / "mine.yaml")
    assert written == tmp_path / "deep" / "mine.yaml"
    assert written.read_text("utf-8") == (ROOT / "recipes" / "quickstart.yaml").read_text("utf-8")


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(DataError, match=r"no ready recipe 'quikstart'\. Did you mean 'quickstart'\?"):
        find_ready("quikstart")


def test_a_recipe_that_is_only_ready_is_told_how_to_get(tmp_path):
    with pytest.raises(RecipeError, match="`magistral-recipe recipes copy quickstart` puts the ready one"):
        load_recipe(tmp_path / "quickstart.yaml")


def test_the_wheel_has_them(tmp_path):
    """What `pip install` gives lists and copies the same recipes, far from any checkout."""
    build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    run = (
        "from magistral_recipe.recipe import ready; "
        "print(ready.__file__, *[recipe.name for recipe in ready.ready_recipes()], sep='\\n')"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", run], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    module, *names = done.stdout.split()
    assert module.startswith(str(tmp_path))
    assert names == [recipe.name for recipe in RECIPES]
    copied = subprocess.run(
        [sys.executable, "-m", "magistral_recipe", "recipes", "copy", "my_data"],
        cwd=tmp_path, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "magistral-recipe run my_data.yaml" in copied.stdout
    assert (tmp_path / "data" / "problems.jsonl").is_file()
