"""Mistral's tokenizers: the same ids whether mistral-common is installed or not.

Where mistral-common is installed and a model's files hold a `tekken.json`, transformers' `AutoTokenizer` gives another
class, `MistralCommonBackend`. That one reads no special tokens out of text: a `[THINK]` in a trace becomes seven pieces
of ordinary text in place of one token, and it can't take another chat template. So the fast tokenizer is asked for by
name, which is what everybody has without mistral-common.

`tekken.json` is still the truth about how Mistral's models were trained. Two things are taken from it: the pattern that
cuts text into words, which several published `tokenizer.json` have wrong
(https://huggingface.co/mistralai/Mistral-Small-3.1-24B-Instruct-2503/discussions/84), and the names of the control
tokens, where it is the only file there is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MODEL_TYPES = frozenset({"mistral", "mistral3", "ministral", "ministral3", "mixtral", "pixtral", "voxtral"})
"""transformers' names of the families for which the tokenizer's class depends on mistral-common."""

_CONTROL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
"""Tekken's control tokens, as mistral-common names them."""


def load_mistral_tokenizer(location: str, options: Mapping[str, Any]) -> PreTrainedTokenizerBase | None:
    """Load the tokenizer of one of Mistral's models.

    Args:
        location: of the model: a folder or a hub id.
        options: for `from_pretrained`.

    Returns:
        The fast tokenizer; ``None`` for another family's model, and for one with a tokenizer class of its own.
    """
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    revision = {key: value for key, value in options.items() if key == "revision"}
    try:
        model_type = PreTrainedConfig.get_config_dict(location, **revision)[0].get("model_type")
    except (OSError, ValueError):  # an adapter's folder, or no model at all, which AutoTokenizer says better
        return None
    if model_type not in MODEL_TYPES or "auto_map" in get_tokenizer_config(location, **revision):
        return None
    # What AutoTokenizer gives without mistral-common; its `mistral_format=False` is not in every version we take.
    tokenizer = PreTrainedTokenizerFast.from_pretrained(location, **revision)
    tekken = _tekken(location, revision)
    if tekken is not None:
        _follow(tekken, tokenizer)
    return tokenizer


def _tekken(location: str, revision: Mapping[str, Any]) -> Path | None:
    from transformers.utils import cached_file

    quiet = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    found = cached_file(location, "tekken.json", **quiet, **revision)
    return None if found is None else Path(found)


def _follow(tekken: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give a tokenizer the word pattern and the control tokens of a `tekken.json`."""
    from tokenizers import Regex, pre_tokenizers

    pattern = json.loads(tekken.read_text("utf-8"))["config"]["pattern"]
    splitter: Any = tokenizer.backend_tokenizer.pre_tokenizer  # type: ignore[attr-defined]
    first = splitter[0] if isinstance(splitter, pre_tokenizers.Sequence) else splitter
    if isinstance(first, pre_tokenizers.Split):  # a byte-level tokenizer, as Tekken is; not an older SentencePiece one
        right = pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False)
        bytes_alone = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # type: ignore[attr-defined]
            [right, bytes_alone]
        )
    known = tokenizer.get_vocab()
    for name, token in _CONTROL.items():
        if getattr(tokenizer, name) is None and token in known:
            setattr(tokenizer, name, token)
