"""A recipe's `trainer:` section against TRL's own config class, which itself checks little."""

from __future__ import annotations

import pytest
from trl import SFTConfig

from magistral_recipe.check.trainer_fields import trainer_mistakes
from magistral_recipe.stages.sft import SftStage
from magistral_recipe.training.config import MagistralGRPOConfig

GIVEN = {"use_cpu": True, "bf16": False, "report_to": "none"}


def mistakes(trainer, config_class=MagistralGRPOConfig, tmp_path="/tmp"):
    given = {**GIVEN, "output_dir": str(tmp_path)}
    choices = SftStage.trainer_choices if config_class is SFTConfig else None
    return list(trainer_mistakes(config_class, trainer, given, choices))


def test_a_good_section_passes(tmp_path):
    section = {"learning_rate": 1e-6, "max_steps": 4, "warmup_steps": 0.1, "lr_scheduler_type": "cosine"}
    assert mistakes(section, tmp_path=tmp_path) == []
    assert mistakes({**section, "packing": True, "max_length": 64}, SFTConfig, tmp_path) == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epsilon_hi", 0.3, "unknown key. Did you mean 'epsilon_high'?"),
        ("learning_rate", "fast", "expected a number, found the text 'fast'"),
        ("learning_rate", "1e-6", "expected a number, found the text '1e-6'"),
        ("num_generations", 2.5, "expected a whole number, found 2.5"),
        ("advantage_normalization", "minibach", "Did you mean 'minibatch'?"),
        ("lr_scheduler_type", "linaer", "found 'linaer'"),
        ("optim", "adamv", "found 'adamv'"),
        ("output_dir", "x", "is not for recipes: the run folder decides it"),
        ("seed", 3, "is not for recipes: the recipe's `seed` decides it"),
        ("gradient_checkpointing", "maybe", "expected true or false"),
    ],
)
def test_a_mistake_is_found_at_its_key(tmp_path, key, value, message):
    found = mistakes({key: value}, tmp_path=tmp_path)
    assert [name for name, _ in found] == [key]
    assert message in found[0][1], found


def test_several_mistakes_are_found_at_once(tmp_path):
    assert [name for name, _ in mistakes({"epsilon_hi": 1, "learnin_rate": 2, "seed": 1}, tmp_path=tmp_path)] == [
        "epsilon_hi",
        "learnin_rate",
        "seed",
    ]


def test_what_the_class_itself_refuses_is_told(tmp_path):
    found = mistakes({"prompts_per_batch": 3, "num_generations": 1}, tmp_path=tmp_path)
    assert len(found) == 1
    assert "num_generations" in found[0][1]


def test_sft_has_losses_of_its_own(tmp_path):
    assert mistakes({"loss_type": "dft"}, SFTConfig, tmp_path) == []
    assert "expected one of nll" in mistakes({"loss_type": "dapo"}, SFTConfig, tmp_path)[0][1]


@pytest.mark.parametrize("value", ["none", "all", "tensorboard", ["tensorboard", "trackio"]])
def test_trackers_go_through_as_trl_users_know_them(monkeypatch, value):
    from transformers.integrations import integration_utils

    for name in ("tensorboard", "trackio"):
        monkeypatch.setattr(integration_utils, f"is_{name}_available", lambda: True)
    assert list(trainer_mistakes(SFTConfig, {"report_to": value}, GIVEN)) == []


def test_a_tracker_that_is_unknown_or_not_installed_is_told_before_a_model_is_loaded(monkeypatch):
    from transformers.integrations import integration_utils

    monkeypatch.setattr(integration_utils, "is_wandb_available", lambda: False)
    (unknown,) = trainer_mistakes(SFTConfig, {"report_to": "tensorbord"}, GIVEN)
    assert unknown[0] == "report_to"
    assert "Did you mean 'tensorboard'?" in unknown[1]
    (absent,) = trainer_mistakes(SFTConfig, {"report_to": ["wandb"]}, GIVEN)
    assert absent == ("report_to", "wandb is not installed: pip install 'magistral-recipe[tracking]'")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("learning_rate", True, "expected a number, found true"),
        ("num_generations", False, "expected a number, found false"),
        ("epsilon_high", True, "expected a number, found true"),
        ("learning_rate", float("nan"), "expected a finite number, found nan"),
        ("temperature", float("nan"), "expected a finite number, found nan"),
        ("max_grad_norm", float("inf"), "expected a finite number, found inf"),
        ("warmup_steps", -float("inf"), "expected a finite number, found -inf"),
        ("generation_kwargs", {"bad": [{"penalty": float("nan")}]}, "expected finite numbers, found"),
        ("learning_rate", -1e-6, "must not be negative, found -1e-06"),
        ("weight_decay", -0.1, "must not be negative, found -0.1"),
        ("beta", -0.04, "must not be negative, found -0.04"),
        ("warmup_steps", -3, "must not be negative, found -3"),
        ("prompts_per_batch", -8, "must not be negative, found -8"),
        ("temperature", 0, "must be above 0, found 0"),
        ("gradient_accumulation_steps", 0, "must be above 0, found 0"),
        ("top_p", 1.5, "must be at most 1, found 1.5"),
        ("adam_beta2", 9.99, "must be at most 1, found 9.99"),
    ],
)
def test_a_number_that_only_its_type_would_pass_is_refused(tmp_path, key, value, message):
    ((name, found),) = mistakes({key: value}, tmp_path=tmp_path)
    assert name == key
    assert found.startswith(message)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_steps", -1),
        ("top_k", -1),
        ("learning_rate", 0.0),
        ("learning_rate", 1),
        ("temperature", 1.5),
        ("top_p", 1.0),
        ("beta", 0),
        ("bf16", False),
        ("gradient_checkpointing", True),
        ("scale_rewards", False),
        ("eval_steps", None),
        ("generation_kwargs", {"penalty": 1.5, "flag": True}),
        ("entropy_coef", -0.01),
    ],
)
def test_numbers_at_the_edge_pass(tmp_path, key, value):
    assert mistakes({key: value}, tmp_path=tmp_path) == []
