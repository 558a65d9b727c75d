"""Every key of a recipe: the page and the JSON Schema say what loading holds to."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from magistral_recipe.check.keys import all_keys, keys_page, recipe_schema, trainer_keys
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.errors import RecipeError
from magistral_recipe.recipe.document import read_document
from magistral_recipe.recipe.ready import ready_recipes
from magistral_recipe.stages import STAGES, stage_class

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft202012Validator.check_schema(recipe_schema())
    return jsonschema.Draft202012Validator(recipe_schema())


def test_the_page_in_the_repository_is_the_schemas():
    assert (ROOT / "docs" / "keys.md").read_text("utf-8") == keys_page(), (
        "run `magistral-recipe keys --page > docs/keys.md`"
    )


def test_every_field_of_every_stage_stands_on_the_page():
    paths = {key.path for key in all_keys()}
    wanted = [(kind, field) for kind in STAGES for field in stage_class(kind).model_fields]
    assert len(wanted) > 30
    assert {f"{kind}.{field}" for kind, field in wanted} <= paths
    assert {"grpo.rollouts.backend", "grpo.schedule[].when.for", "sft.traces.columns", "problems.NAME.columns"} <= paths


def test_every_key_has_a_type_and_a_line_of_sense():
    for key in all_keys():
        assert key.type, key
        assert key.meaning, key


def test_defaults_are_those_that_loading_gives():
    keys = {key.path: key for key in all_keys()}
    assert keys["seed"].default == "42"
    assert keys["model.path"].default == ""  # must be given
    assert keys["evaluate.temperature"].default == "0.7"
    assert keys["grpo.rewards"].default == "[magistral]"
    assert keys["grpo.trainer.epsilon_high"].default == "0.28"
    assert keys["grpo.trainer.loss_normalization"].type == "`minibatch` or `group`"
    assert keys["seed"].type == "whole number ≥ 0 < 4294967296"


def test_trls_own_fields_can_be_searched_beside_ours():
    fields = {key.path: key for key in trainer_keys()}
    assert fields["sft.trainer.learning_rate"].default == "2e-05"
    assert "grpo.trainer.learning_rate" in fields
    assert "grpo.trainer.epsilon_high" not in fields  # stands on the page
    assert "sft.trainer.output_dir" not in fields  # the run folder decides it


@pytest.mark.parametrize("recipe", ready_recipes(), ids=lambda recipe: recipe.name)
def test_every_ready_recipe_is_valid_for_editors_too(validator, recipe):
    validator.validate(read_document(recipe.file).data)


@pytest.mark.parametrize(
    "text",
    [
        "name: x\nmodel: {path: tiny}\nstages: []\n",
        "name: x\nmodel: {path: tiny, dtipe: float32}\nstages: [export]\n",
        "name: x\nmodel: {path: tiny}\nstages: [sft: {traces: {tiny: true, count: none}}]\n",
        "name: x\nmodel: {path: tiny}\nstages: [sfd: {}]\n",
        "name: x\nmodel: {path: tiny}\nsede: 3\nstages: [export]\n",
        "model: {path: tiny}\nstages: [export]\n",
    ],
)
def test_what_loading_refuses_editors_mark_too(validator, tmp_path, text):
    file = tmp_path / "r.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError):
        load_recipe(file)
    assert not validator.is_valid(read_document(file).data)
