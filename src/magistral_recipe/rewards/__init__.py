"""Verifiable rewards with TRL's signature (Magistral §2.2): classes, and ready instances of them.

Everything is imported at first use: the package costs neither torch, transformers, trl nor datasets, and
SymPy only where it is needed.

    from magistral_recipe.rewards import magistral_reward
    trainer = GRPOTrainer(model=..., reward_funcs=[magistral_reward], ...)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from magistral_recipe.rewards.base import Batch, Grade, Reason, Reward, Score
    from magistral_recipe.rewards.code import CodeCorrectness, code_correctness
    from magistral_recipe.rewards.format import FormatReward, format_reward
    from magistral_recipe.rewards.language import LanguageConsistency, ReasoningLanguage, language_consistency
    from magistral_recipe.rewards.length import OverlongPenalty
    from magistral_recipe.rewards.magistral import MagistralReward, Weights, magistral_reward
    from magistral_recipe.rewards.math import MathCorrectness, math_correctness
    from magistral_recipe.rewards.repetition import RepetitionPenalty, repetition_penalty
    from magistral_recipe.writing.thinking import Split, Thinking

__all__ = [
    "Batch",
    "CodeCorrectness",
    "FormatReward",
    "Grade",
    "LanguageConsistency",
    "MagistralReward",
    "MathCorrectness",
    "OverlongPenalty",
    "Reason",
    "ReasoningLanguage",
    "RepetitionPenalty",
    "Reward",
    "Score",
    "Split",
    "Thinking",
    "Weights",
    "code_correctness",
    "format_reward",
    "language_consistency",
    "magistral_reward",
    "math_correctness",
    "repetition_penalty",
]

_MODULES = {
    "rewards.base": ("Batch", "Grade", "Reason", "Reward", "Score"),
    "rewards.code": ("CodeCorrectness", "code_correctness"),
    "rewards.format": ("FormatReward", "format_reward"),
    "rewards.language": ("LanguageConsistency", "ReasoningLanguage", "language_consistency"),
    "rewards.length": ("OverlongPenalty",),
    "rewards.magistral": ("MagistralReward", "Weights", "magistral_reward"),
    "rewards.math": ("MathCorrectness", "math_correctness"),
    "rewards.repetition": ("RepetitionPenalty", "repetition_penalty"),
    "writing.thinking": ("Split", "Thinking"),
}
_HOME = {name: module for module, exported in _MODULES.items() for name in exported}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"magistral_recipe.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
