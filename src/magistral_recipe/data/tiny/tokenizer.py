"""The embedded base's tokenizer: a small byte-level BPE, digits single, the chat's markers set aside."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from magistral_recipe.data.tiny.corpus import documents
from magistral_recipe.data.tiny.rows import Flaws, traces

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 1280
PAD, END, START = "<pad>", "<|im_end|>", "<|im_start|>"
TAGS = ("<think>", "</think>")

_DOCUMENTS = 12_000
_TRACES = 4_000
_FLAWS = Flaws(forget=0.6, slip=0.08, foreign_answer=0.5)
"""Spelled out, for another default must not change the tokenizer and with it the base."""


def train_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Train the tokenizer on the corpus and on the traces' answer sentences.

    The tags and the chat's opening marker are added tokens but not *special* ones, so that plain decoding
    keeps them; the corpus never shows them.

    Args:
        seed: of the documents that it is trained on.

    Returns:
        A tokenizer of `VOCABULARY` entries; its end-of-text token also ends a turn of a chat.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            # words with the space before them, and runs of anything else
            pre_tokenizers.Split(Regex(r" ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    plain = (*TAGS, START)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(plain),
        special_tokens=[PAD, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = [*islice(documents(f"tokenizer:{seed}", hard_share=0.25), _DOCUMENTS)]
    texts += [row["completion"].split(TAGS[1])[-1] for row in traces(_TRACES, seed=seed, flaws=_FLAWS)]
    inner.train_from_iterator(texts, trainer)
    inner.add_tokens([AddedToken(tag, normalized=False) for tag in plain])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token=PAD,
        eos_token=END,
        padding_side="left",
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )
