"""A model in hand, with its tokenizer and the format it is talked to in: for a trainer, or for whoever reads it.

`load_ready` is the one way from a model's name to a model in use; `load` holds the parts that it is made of. Importing
this is light.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from magistral_recipe.machine import best_device
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.gguf import header_read_once
from magistral_recipe.models.load import load_model, load_tokenizer
from magistral_recipe.models.quantization import is_quantized
from magistral_recipe.writing.chat_format import ChatFormat
from magistral_recipe.writing.template import TOKENIZER_TEMPLATE

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class LoadedModel:
    """A model ready for use.

    Attributes:
        model: with trainable weights or adapters, or on its device and in evaluation mode.
        tokenizer: with the chat template.
        chat: the format, which knows whether the template opens the thinking tag.
        config: how it was loaded.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    chat: ChatFormat
    config: ModelConfig

    @property
    def context_length(self) -> int | None:
        """The longest sequence that the model was made for, in tokens."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)


def load_ready(
    config: ModelConfig, chat: ChatFormat, weights: str | Path | None = None, *, train_seed: int | None = None
) -> LoadedModel:
    """Load a model, its tokenizer and its format.

    Args:
        config: how to load it.
        chat: the format that is asked for.
        weights: the folder of a model that was made from the config's; by default the config's own.
        train_seed: load it for a trainer, which moves it to its device by itself; adapters begin at random values
            drawn from this seed. Without one it is loaded for reading: on this process's device, evaluation mode.

    Returns:
        All three.

    Raises:
        DataError: if there is no such model, or it can't be loaded as the config says.
    """
    with header_read_once(config.is_gguf and weights is None):
        return _load_ready(config, chat, weights, train_seed)


def _load_ready(
    config: ModelConfig, chat: ChatFormat, weights: str | Path | None, train_seed: int | None
) -> LoadedModel:
    tokenizer, chat = load_words(config, chat, weights, lenient=train_seed is None)
    if train_seed is not None:
        from transformers import set_seed

        set_seed(train_seed)
        return LoadedModel(load_model(config, weights, trainable=True), tokenizer, chat, config)
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = load_model(config, weights)
    if not is_quantized(model):  # bitsandbytes' layers stay where they were made
        model.to(best_device())
    return LoadedModel(model.eval(), tokenizer, chat, config)


def load_words(
    config: ModelConfig, chat: ChatFormat, weights: str | Path | None = None, *, lenient: bool = True
) -> tuple[PreTrainedTokenizerBase, ChatFormat]:
    """Load a model's tokenizer and give it a format's template, without loading the model.

    Args:
        config: how to load the model.
        chat: the format that is asked for.
        weights: see `load_ready`.
        lenient: where the tokenizer's own template is asked for and there is none, take the package's.

    Returns:
        The tokenizer, and the format as its template makes it.

    Raises:
        DataError: if there is no tokenizer, or not the template that was asked for.
    """
    tokenizer = load_tokenizer(weights or config.path, None, config)
    if lenient and chat.template == TOKENIZER_TEMPLATE and not tokenizer.chat_template:
        # A base model has no template of its own, and then the package's is the likeliest to be understood.
        chat = replace(chat, template=None)
    return tokenizer, chat.install(tokenizer)
