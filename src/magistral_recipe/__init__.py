"""magistral-recipe: turn a base model into a Magistral-style reasoning model, on top of Hugging Face TRL.

The names below are imported at first use: the package alone costs nothing, its rewards neither torch nor transformers.

    from magistral_recipe import MagistralGRPOConfig, MagistralGRPOTrainer, MagistralReward
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from magistral_recipe.chain.from_python import run as run_recipe
    from magistral_recipe.check.recipe_file import load_recipe
    from magistral_recipe.rewards.magistral import MagistralReward
    from magistral_recipe.training.config import MagistralGRPOConfig
    from magistral_recipe.training.grpo import MagistralGRPOTrainer
    from magistral_recipe.writing.thinking import Thinking

__version__ = "0.1.0"

__all__ = [
    "MagistralGRPOConfig",
    "MagistralGRPOTrainer",
    "MagistralReward",
    "Thinking",
    "__version__",
    "load_recipe",
    "run_recipe",
]

_MODULES = {
    "MagistralGRPOConfig": "training.config:MagistralGRPOConfig",
    "MagistralGRPOTrainer": "training.grpo:MagistralGRPOTrainer",
    "MagistralReward": "rewards.magistral:MagistralReward",
    "Thinking": "writing.thinking:Thinking",
    "load_recipe": "check.recipe_file:load_recipe",
    "run_recipe": "chain.from_python:run",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _MODULES[name].partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
