"""The names at the top of the package: all there, and none paid for before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import magistral_recipe


def test_every_name_is_there():
    from magistral_recipe.rewards import MagistralReward
    from magistral_recipe.training.grpo import MagistralGRPOTrainer

    assert sorted(magistral_recipe.__all__) == [
        "MagistralGRPOConfig",
        "MagistralGRPOTrainer",
        "MagistralReward",
        "Thinking",
        "__version__",
        "load_recipe",
        "run_recipe",
    ]
    for name in magistral_recipe.__all__:
        assert getattr(magistral_recipe, name) is not None
        assert name in dir(magistral_recipe)
    assert magistral_recipe.MagistralReward is MagistralReward
    assert magistral_recipe.MagistralGRPOTrainer is MagistralGRPOTrainer
    with pytest.raises(AttributeError, match="has no attribute 'Trainer'"):
        _ = magistral_recipe.Trainer


def test_every_name_of_the_lower_rooms_is_there():
    import magistral_recipe.rewards
    import magistral_recipe.training

    for room, count in ((magistral_recipe.rewards, 22), (magistral_recipe.training, 8)):
        assert len(set(room.__all__)) == count
        for name in room.__all__:
            assert getattr(room, name) is not None


def test_a_light_name_costs_no_heavy_package():
    code = (
        "import magistral_recipe, sys; from magistral_recipe import MagistralReward, Thinking, load_recipe; "
        "print({'torch', 'transformers', 'trl', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
