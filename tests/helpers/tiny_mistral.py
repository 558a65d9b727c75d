"""A random image-text model of Mistral's small family: a language model, a Pixtral vision tower and a projector."""

from __future__ import annotations

from pathlib import Path

import families
import torch
from transformers import Mistral3Config, Mistral3ForConditionalGeneration

from magistral_recipe.models.load import save_model

VISION = ("model.vision_tower", "model.multi_modal_projector")
"""What no text passes through."""


def model(text_type: str = "mistral", tied: bool = False, image_token: int | None = None):
    """A model for `families.mistral()`'s tokenizer.

    Args:
        text_type: of the language model: `mistral` (Mistral Small 3.1 to Magistral Small 1.2) or `ministral3`.
        tied: the output head shares the embeddings' weights, as in Ministral 3 3B.
        image_token: stands for a patch of an image; by default a spare one.
    """
    vocabulary = len(families.mistral()) + 2
    text = {
        "model_type": text_type,
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 1024,
    }
    vision = {
        "model_type": "pixtral",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "head_dim": 16,
        "image_size": 28,
        "patch_size": 14,
    }
    torch.manual_seed(0)
    return Mistral3ForConditionalGeneration(
        Mistral3Config(
            text_config=text,
            vision_config=vision,
            tie_word_embeddings=tied,
            image_token_index=vocabulary - 1 if image_token is None else image_token,
        )
    )


def folder(place: Path, text_type: str = "mistral", tied: bool = False) -> Path:
    """The model in a folder, as it is published: with its tokenizer and the settings of its image processor."""
    saved = save_model(model(text_type, tied), families.mistral(), place)
    (saved / "preprocessor_config.json").write_text('{"image_processor_type": "PixtralImageProcessor"}\n')
    return saved


def letters(completions, **_):
    """A reward that differs between most completions: the share of letters."""
    texts = [turn[0]["content"] for turn in completions]
    return [sum(character.isalpha() for character in text) / max(len(text), 1) for text in texts]
