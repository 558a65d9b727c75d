"""The name that somebody meant: by its letters, by its first letters, or as other programs call it."""

from __future__ import annotations

import pytest

from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.check.trainer_fields import trainer_mistakes
from magistral_recipe.errors import RecipeError
from magistral_recipe.stages.grpo import GrpoStage
from magistral_recipe.suggest import did_you_mean


@pytest.mark.parametrize(
    ("written", "allowed", "meant"),
    [
        ("lr", ["lr_scheduler_type", "learning_rate", "lora"], "learning_rate"),
        ("learing_rate", ["learning_rate", "logging_steps"], "learning_rate"),
        ("epochs", ["num_train_epochs", "max_steps"], "num_train_epochs"),
        ("ppb", ["prompts_per_batch", "num_generations"], "prompts_per_batch"),
        ("sql", ["split", "path"], None),
        ("max_response_length", ["max_completion_length", "max_steps"], "max_completion_length"),
    ],
)
def test_the_nearest_name_is_the_one_that_was_meant(written, allowed, meant):
    told = did_you_mean(written, allowed, list_all_below=0)
    assert told == (f" Did you mean '{meant}'?" if meant else "")


def test_a_recipe_that_uses_another_programs_names_is_told_ours(tmp_path):
    told = dict(trainer_mistakes(GrpoStage.model_construct().trainer_class(), {"lr": 1e-6}, {}, {}))
    assert "Did you mean 'learning_rate'?" in told["lr"]
    (tmp_path / "r.yaml").write_text("name: r\nmodel: {model_name_or_path: tiny}\nstages: [sft]\n")
    with pytest.raises(RecipeError, match="Did you mean 'path'"):
        load_recipe(tmp_path / "r.yaml")
