"""The ready recipes for one 24 GB card: each fits it, and says how much it takes and how long."""

from __future__ import annotations

import pytest

from magistral_recipe.check.memory.devices import find_device
from magistral_recipe.check.memory.plan import plan_recipe
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.machine import GIB
from magistral_recipe.recipe.ready import ready_recipes

LADDER = [recipe for recipe in ready_recipes() if recipe.name.endswith("_4090")]


def test_the_ladder_is_whole():
    assert len(LADDER) == 8


@pytest.mark.parametrize("recipe", LADDER, ids=lambda recipe: recipe.name)
def test_each_fits_its_card_as_its_header_says(recipe):
    plan = plan_recipe(load_recipe(recipe.file), find_device("rtx4090"))
    assert plan is not None
    assert plan.fits
    needed = max(stage.verdict.needed for stage in plan.stages if stage.verdict) / GIB
    assert recipe.facts["Memory"].startswith(f"{needed:.0f} GiB of the card's"), f"{needed:.1f}"
    if plan.hours is not None:
        assert recipe.facts["Hours"].startswith(f"about {plan.hours:.0f},"), f"{plan.hours:.1f}"
