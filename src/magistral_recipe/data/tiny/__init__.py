"""The embedded base model and its problems: everything the quickstart needs, offline.

`problems` and `traces` generate worded arithmetic in five languages from a seed; `model_path` is a small
Mistral-architecture base that has read such arithmetic as plain text. ``python -m
magistral_recipe.data.tiny.rebuild`` makes the model anew. Importing this package imports no torch.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from magistral_recipe.data.tiny.flawed import flawed
from magistral_recipe.data.tiny.rows import Flaws, problems, traces

__all__ = ["Flaws", "flawed", "model_path", "problems", "traces"]


def model_path() -> Path:
    """Find the embedded base model.

    Returns:
        A folder in the Hugging Face layout: configuration, half-precision weights, tokenizer, model card.
    """
    return Path(str(files("magistral_recipe.data.tiny"))) / "model"
