"""The names at the top of the package: all there, and none paid for before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import magistral_recipe


def test_every_name_is_there():
    from magistral_recipe.rewards import MagistralReward
    from magistral_recipe.training.grpo import MagistralGRPOTrainer

    for name in magistral_recipe.__all__:
        assert getattr(magistral_recipe, name) is not None
        assert name in dir(magistral_recipe)
    assert magistral_recipe.MagistralReward is MagistralReward
    assert magistral_recipe.MagistralGRPOTrainer is MagistralGRPOTrainer
    with pytest.raises(AttributeError, match="has no attribute 'Trainer'"):
        _ = magistral_recipe.Trainer


def test_a_light_name_costs_no_heavy_package():
    code = (
        "import magistral_recipe, sys; from magistral_recipe import MagistralReward, Thinking, load_recipe; "
        "print({'torch', 'transformers', 'trl', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
