"""Small tokenizers with the chat templates of well-known families, for tests: same habits, our own words.

Nothing is downloaded: a byte-level tokenizer is made on the spot and given the special tokens and the template
that a family is known for.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from magistral_recipe.writing.thinking import Thinking

TEMPLATES = Path(__file__).parents[1] / "templates"

MISTRAL_TAGS = Thinking(open="[THINK]", close="[/THINK]")


def byte_tokenizer(
    eos: str = "</s>", bos: str | None = None, special: tuple[str, ...] = (), added: tuple[str, ...] = (), **kwargs
) -> PreTrainedTokenizerFast:
    """A tokenizer of single bytes, with special tokens and plain added ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_tokens([AddedToken(token, special=False, normalized=False) for token in added])
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token=eos, bos_token=bos, **kwargs)


def qwen3() -> PreTrainedTokenizerFast:
    """Qwen3: tags as plain added tokens, thoughts kept in the last turn alone."""
    tokenizer = byte_tokenizer(
        eos="<|im_end|>",
        special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        added=("<think>", "</think>"),
        pad_token="<|endoftext|>",
    )
    return _with_template(tokenizer, "qwen3")


def deepseek_distill() -> PreTrainedTokenizerFast:
    """DeepSeek-R1-Distill: opens the tag for the model and strips the thoughts from every finished turn."""
    marks = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>")
    tokenizer = byte_tokenizer(eos=marks[1], bos=marks[0], special=marks, added=("<think>", "</think>"))
    return _with_template(tokenizer, "deepseek_distill")


def qwq() -> PreTrainedTokenizerFast:
    """QwQ: opens the tag for the model, keeps what it is given."""
    tokenizer = byte_tokenizer(eos="<|im_end|>", special=("<|im_start|>", "<|im_end|>"), added=("<think>", "</think>"))
    return _with_template(tokenizer, "qwq")


def mistral() -> PreTrainedTokenizerFast:
    """Magistral 1.1 and later: the tags are special tokens."""
    marks = ("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[THINK]", "[/THINK]")
    return _with_template(byte_tokenizer(eos="</s>", bos="<s>", special=("<s>", "</s>", *marks)), "mistral")


def llama() -> PreTrainedTokenizerFast:
    """Llama 3: a turn ends on a token that is not the base tokenizer's end of text; content is trimmed."""
    marks = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
    return _with_template(byte_tokenizer(eos=marks[1], bos=marks[0], special=marks), "llama")


def _with_template(tokenizer: PreTrainedTokenizerFast, name: str) -> PreTrainedTokenizerFast:
    tokenizer.chat_template = (TEMPLATES / f"{name}.jinja").read_text("utf-8")
    return tokenizer
