"""What the embedded base can do in plain text, measured, and its model card."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from magistral_recipe.data.tiny.arithmetic import HARD_OPERATION, OPERATIONS
from magistral_recipe.data.tiny.language import LANGUAGES
from magistral_recipe.data.tiny.rows import problems

if TYPE_CHECKING:
    from transformers import MistralForCausalLM, PreTrainedTokenizerFast

    from magistral_recipe.data.tiny.pretraining import Pretraining

_NEW_TOKENS = 80


def measure(
    model: MistralForCausalLM, tokenizer: PreTrainedTokenizerFast, count: int = 512, seed: int = 1
) -> dict[str, dict[str, float]]:
    """Measure the base in plain text: the problem, a new line, and the last number that it writes.

    Args:
        model: the base.
        tokenizer: its tokenizer.
        count: held-out problems.
        seed: of the problems and of sampling.

    Returns:
        Share of right results, greedy and at temperature 1, over all and by operation, language and wording.
    """
    import torch

    rows = problems("heldout", count, seed)
    inputs = tokenizer([row["problem"] + "\n" for row in rows], return_tensors="pt", padding=True)
    inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    scores: dict[str, dict[str, float]] = {}
    for mode, sample in (("greedy", False), ("temperature 1", True)):
        torch.manual_seed(seed)
        with torch.no_grad():
            ids = model.generate(
                **inputs,
                do_sample=sample,
                max_new_tokens=_NEW_TOKENS,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        texts = tokenizer.decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        right = [re.findall(r"\d+", text)[-1:] == [row["answer"]] for text, row in zip(texts, rows, strict=True)]
        groups: dict[str, list[bool]] = {}
        for row, ok in zip(rows, right, strict=True):
            for group in ("all", row["category"], row["language"], row["source"]):
                groups.setdefault(group, []).append(ok)
        scores[mode] = {group: round(sum(values) / len(values), 3) for group, values in groups.items()}
    return scores


def model_card(model: MistralForCausalLM, settings: Pretraining, scores: dict[str, Any]) -> str:
    """Write the model card.

    Args:
        model: the base.
        settings: how it was trained.
        scores: what `measure` returned.

    Returns:
        Markdown with the front matter that model hubs read.
    """
    groups = ("all", *OPERATIONS, *LANGUAGES, "tiny", "tiny/new-wording")
    table = "\n".join(
        f"| {g} | {100 * scores['greedy'][g]:.0f} | {100 * scores['temperature 1'][g]:.0f} |" for g in groups
    )
    tokens = settings.steps * settings.rows * settings.row_length
    return f"""---
language: [{", ".join(LANGUAGES)}]
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
tags: [mistral, arithmetic, toy]
---

# magistral-recipe tiny base

A base model of {model.num_parameters():,} parameters in the Mistral architecture ({settings.layers} layers, width
{settings.hidden}, {settings.heads} heads, feed-forward {settings.feed_forward}, tied embeddings), made so that a whole
SFT → RL run fits into minutes on two CPU cores. It is a teaching aid: it knows the arithmetic of small numbers in
five languages and nothing else.

## What it has read

Synthetic plain text alone: exercises in {", ".join(LANGUAGES)}, worked by digits in the exercise's own language, in
many layouts: {settings.steps:,} steps of {settings.rows} × {settings.row_length} tokens, {tokens / 1e6:.1f} million.
No chat format, no `<think>` tags, no boxes: those are what SFT teaches. Only {100 * settings.hard_share:.0f}% of the
exercises ({100 * settings.late_hard_share:.0f}% in the last third) are multiplications, so that the base is weak at
them and RL has something to teach that no earlier stage knew.

Numbers that fall on the held-out side of a hash (12% of all exercises) were never shown, in any language or wording;
neither were the held-out wordings.

## What it can do

Held-out problems as plain text ("problem, new line"), the last number that it writes against the answer, in percent:

| problems | greedy | temperature 1 |
| --- | --- | --- |
{table}

`{HARD_OPERATION}` is the hard kind; `tiny/new-wording` are the held-out wordings.

## How it was made

`python -m magistral_recipe.data.tiny.rebuild`, seed {settings.seed}: Muon ({settings.muon_rate}) for the matrices,
AdamW ({settings.adam_rate}) for embeddings and norms, bfloat16 autocast, about a quarter of an hour of one core. The
weights are stored in float16. The tokenizer is a byte-level BPE of {model.config.vocab_size:,} entries with single
digits; `<think>`, `</think>` and `<|im_start|>` are plain added tokens that the corpus never shows, `<|im_end|>` ends
documents and turns.

## Limits

Numbers of three digits, other operations, other languages, any safety property: none of it is what this model is for.
"""
