"""The ready recipes for named cards: each fits them, and says how much it takes and how long."""

from __future__ import annotations

import re

import pytest

from magistral_recipe.check.launch_file import launch_kind, launch_settings
from magistral_recipe.check.memory.devices import find_device
from magistral_recipe.check.memory.plan import plan_recipe
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.machine import GIB
from magistral_recipe.recipe.ready import ready_recipes

LADDER = [recipe for recipe in ready_recipes() if recipe.name.endswith("_4090")]
SEVERAL = [recipe for recipe in ready_recipes() if re.search(r"_\dx\w+$", recipe.name)]
CARDS = {"4090": "rtx4090", "a100": "a100-80", "h100": "h100"}


def test_the_ladder_is_whole():
    assert len(LADDER) == 8
    launches = [load_recipe(recipe.file).recipe.launch for recipe in SEVERAL]
    files = sorted(str(launch.config_file) for launch in launches)
    assert files == [f"accelerate/{kind}_{cards}gpu.yaml" for kind in ("ddp", "fsdp2") for cards in (2, 4, 8)]


@pytest.mark.parametrize("recipe", LADDER, ids=lambda recipe: recipe.name)
def test_each_fits_its_card_as_its_header_says(recipe):
    plan = plan_recipe(load_recipe(recipe.file), find_device("rtx4090"))
    assert plan is not None
    assert plan.fits
    needed = max(stage.verdict.needed for stage in plan.stages if stage.verdict) / GIB
    assert recipe.facts["Memory"].startswith(f"{needed:.0f} GiB of the card's"), f"{needed:.1f}"
    if plan.hours is not None:
        assert recipe.facts["Hours"].startswith(f"about {plan.hours:.0f},"), f"{plan.hours:.1f}"


@pytest.mark.parametrize("recipe", SEVERAL, ids=lambda recipe: recipe.name)
def test_each_fits_its_cards_as_its_header_says(recipe):
    """One of them is planned: with a copy, or with its part of the weights, and with a vLLM of its own."""
    loaded = load_recipe(recipe.file)
    cards, card = re.search(r"_(\d)x(\w+)$", recipe.name).groups()
    launch = loaded.recipe.launch
    settings = launch_settings(loaded.folder / launch.config_file)
    assert launch.num_processes == settings["num_processes"] == int(cards)
    assert launch_kind(settings) == ("FSDP" if loaded.recipe.model.lora is None else "MULTI_GPU")
    plan = plan_recipe(loaded, find_device(CARDS[card]))
    assert plan.fits
    assert all(any(f"{cards} cards" in note for note in stage.notes) for stage in plan.stages[:2])
    assert any(moment.parts.get("vLLM", 0) > 0 for moment in plan.stages[1].memory.moments)
    needed = max(stage.verdict.needed for stage in plan.stages if stage.verdict) / GIB
    ram = max(item.size for stage in plan.stages for item in stage.host) / GIB
    stated = f"{needed:.0f} GiB of each card's, {ram:.0f} GiB of the machine's"
    assert recipe.facts["Memory"].startswith(stated), f"{needed:.1f} {ram:.1f}"
    assert recipe.facts["Hours"].startswith(f"about {plan.hours:.0f},"), f"{plan.hours:.1f}"
