"""Training: the paper's objective, the trainer on top of TRL, and what makes any trainer's checkpoints safe."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from magistral_recipe.training.best import KeepBest as KeepBest
    from magistral_recipe.training.checkpoints import CheckpointGuard as CheckpointGuard
    from magistral_recipe.training.checkpoints import latest_complete_checkpoint as latest_complete_checkpoint
    from magistral_recipe.training.checkpoints import sweep as sweep
    from magistral_recipe.training.config import MagistralGRPOConfig as MagistralGRPOConfig
    from magistral_recipe.training.grpo import MagistralGRPOTrainer as MagistralGRPOTrainer
    from magistral_recipe.training.metrics import MetricsWriter as MetricsWriter
    from magistral_recipe.training.prompt_stream import PromptStream as PromptStream

_HOME = {
    "CheckpointGuard": "checkpoints",
    "KeepBest": "best",
    "MagistralGRPOConfig": "config",
    "MagistralGRPOTrainer": "grpo",
    "MetricsWriter": "metrics",
    "PromptStream": "prompt_stream",
    "latest_complete_checkpoint": "checkpoints",
    "sweep": "checkpoints",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)  # TRL takes seconds to import: only when needed
