"""Mistral's tokenizers: one class and the same ids with and without mistral-common, cut as `tekken.json` says."""

from __future__ import annotations

import base64
import importlib.util
import json
from pathlib import Path

import pytest
import tiny_mistral
from tokenizers import Regex, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils.import_utils import is_mistral_common_available

from magistral_recipe.models.load import load_tokenizer
from magistral_recipe.writing.chat_format import ChatFormat
from magistral_recipe.writing.thinking import Thinking

PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?"
    r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)
"""How Tekken cuts text into words: `config.pattern` of mistral-common's `tekken_240911.json`."""
LLAMA_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What the `tokenizer.json` of Mistral Small 3.1 cuts by: it parts a vowel sign from its letter."""
WORDS = ("के", "اً", "7+8", "Sum")
SPECIAL = (
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"),
    *("[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]"),
    *("[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]", "[ARGS]", "[CALL_ID]"),
)
TAGS = ("[THINK]", "[/THINK]")
TEXT = "[THINK]\nके और اً: 7+8=15, Sum 15.\n[/THINK]\n\\boxed{15} 'The end"


def tekken() -> dict:
    """A `tekken.json` of single bytes and a few words, laid out as Magistral's and Ministral's are."""
    pieces = [bytes([value]) for value in range(256)]
    for word in WORDS:
        whole = word.encode()
        pieces += [whole[:end] for end in range(2, len(whole) + 1) if whole[:end] not in pieces]
    tokens = [*SPECIAL, *TAGS]
    return {
        "config": {
            "pattern": PATTERN,
            "num_vocab_tokens": len(pieces),
            "default_vocab_size": len(pieces) + len(tokens),
            "default_num_special_tokens": len(tokens),
            "version": "v13",
        },
        "vocab": [
            {"rank": rank, "token_bytes": base64.b64encode(piece).decode(), "token_str": None}
            for rank, piece in enumerate(pieces)
        ],
        "special_tokens": [{"rank": rank, "token_str": token, "is_control": True} for rank, token in enumerate(tokens)],
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """One model's files as they are published: `tekken.json` alone, beside a `tokenizer.json`, and that one alone."""
    place = tmp_path_factory.mktemp("models")
    for name in ("tekken", "both", "fast"):
        (place / name).mkdir()
        tiny_mistral.model().config.save_pretrained(place / name)
    (place / "tekken" / "tekken.json").write_text(json.dumps(tekken()))
    tokenizer = load_tokenizer(place / "tekken")
    tokenizer.save_pretrained(place / "fast")
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA_PATTERN), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.save_pretrained(place / "both")
    (place / "both" / "tekken.json").write_text(json.dumps(tekken()))
    return {name: place / name for name in ("tekken", "both", "fast")}


def test_the_pattern_is_tekkens_and_the_tags_are_single_tokens(folders):
    loaded = {name: load_tokenizer(folder) for name, folder in folders.items()}
    ids = {name: tokenizer.encode(TEXT, add_special_tokens=False) for name, tokenizer in loaded.items()}
    assert ids["tekken"] == ids["both"] == ids["fast"]
    assert (
        PreTrainedTokenizerFast.from_pretrained(folders["both"]).encode(TEXT, add_special_tokens=False) != ids["fast"]
    )
    for name, tokenizer in loaded.items():
        assert isinstance(tokenizer, PreTrainedTokenizerFast), name
        assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == ("<s>", "</s>", "<pad>")
        opened, closed = tokenizer.convert_tokens_to_ids(list(TAGS))
        assert (opened, closed) == (len(SPECIAL), len(SPECIAL) + 1)
        assert (ids[name].count(opened), ids[name].count(closed)) == (1, 1)
        assert tokenizer.decode(ids[name]) == TEXT
    # Each of the words is one token, which the other pattern would cut.
    inner = loaded["both"]
    assert [inner.decode([token]) for token in ids["both"]].count("के") == 1


def test_the_class_is_not_left_to_what_is_installed(folders, monkeypatch):
    def switched(*_, **__):
        raise AssertionError("AutoTokenizer may give MistralCommonBackend")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", switched)
    for folder in folders.values():
        load_tokenizer(folder)


def test_a_trained_model_keeps_the_ids_in_plain_transformers(folders, tmp_path):
    chat = ChatFormat(Thinking("[THINK]", "[/THINK]"))
    tokenizer = load_tokenizer(folders["both"], chat)
    tokenizer.save_pretrained(tmp_path)
    tiny_mistral.model().config.save_pretrained(tmp_path)
    assert not (tmp_path / "tekken.json").exists()
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.encode(TEXT) == tokenizer.encode(TEXT)
    assert again.chat_template == tokenizer.chat_template
    assert chat.training_row(again, "7+8?", TEXT) == chat.training_row(tokenizer, "7+8?", TEXT)


def test_other_families_and_older_tokenizers_are_left_alone(tmp_path):
    base = tiny_mistral.folder(tmp_path / "base")
    tokenizer, plain = load_tokenizer(base), AutoTokenizer.from_pretrained(base)
    assert tokenizer.encode(TEXT) == plain.encode(TEXT)
    assert str(tokenizer.backend_tokenizer.pre_tokenizer) == str(plain.backend_tokenizer.pre_tokenizer)
    assert load_tokenizer("tiny").encode("7+8") == AutoTokenizer.from_pretrained(_tiny()).encode("7+8")


def _tiny() -> Path:
    from magistral_recipe.data import tiny

    return Path(tiny.model_path())


@pytest.mark.skipif(
    importlib.util.find_spec("mistral_common") is None, reason="pip install mistral-common, with what it needs"
)
def test_the_ids_are_mistral_commons(folders):
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    assert is_mistral_common_available()
    assert type(AutoTokenizer.from_pretrained(folders["both"])).__name__ == "MistralCommonBackend"
    theirs = Tekkenizer.from_file(folders["both"] / "tekken.json")
    before, _, rest = TEXT.partition("[THINK]")
    inside, _, after = rest.partition("[/THINK]")
    tags = [[theirs.get_special_token(tag)] for tag in TAGS]
    parts = [theirs.encode(text, bos=False, eos=False) for text in (before, inside, after)]
    expected = parts[0] + tags[0] + parts[1] + tags[1] + parts[2]
    for folder in folders.values():
        assert load_tokenizer(folder).encode(TEXT, add_special_tokens=False) == expected
