"""Shapes of models for plans: tiny ones to run for real, and the published ones."""

from __future__ import annotations

from typing import Any

from magistral_recipe.check.memory.dry_run import Trained
from magistral_recipe.models.config import LoraSettings
from magistral_recipe.models.shape import config_of


def qwen3(**fields: Any) -> Any:
    """A Qwen3 config: tiny but for what is given."""
    tiny = {
        "model_type": "qwen3",
        "hidden_size": 64,
        "intermediate_size": 192,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "vocab_size": 500,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
    }
    return config_of({**tiny, **fields})


def trained(shape: Any, **fields: Any) -> Trained:
    """A model as a trainer has it; `r` puts adapters of that rank on it."""
    r = fields.pop("r", None)
    lora = None if r is None else LoraSettings(r=r, alpha=2 * r).model_dump_json()
    return Trained(shape, shape.to_json_string(), **{"dtype": "float32", "lora": lora, **fields})
