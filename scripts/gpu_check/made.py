"""What sections train on: Qwen3-shaped models of random weights, a tokenizer of bytes, problems, traces, a reward.

Nothing of it is fetched. With random weights nothing can be learnt, and every pass, cache and hand-over is as large and
as fast as with trained ones.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpu_check.bench import Bench

SHAPES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2},
    "0.2b": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 4, "num_attention_heads": 16},
    "0.6b": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16},
    "1.7b": {"hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16},
    "8b": {"hidden_size": 4096, "intermediate_size": 12_288, "num_hidden_layers": 36, "num_attention_heads": 32},
}
"""Qwen3's published shapes at 0.6, 1.7 and 8 billion weights; 0.2b is the first four layers of the smallest."""

PROMPT = 64
"""Tokens of a rendered prompt: bytes of the problem, the template's words included, and some room."""


def model_folder(bench: Bench, name: str) -> Path:
    """A model of random weights in bfloat16 with its tokenizer, made once a run.

    Args:
        bench: whose folder keeps it, and whose device makes it.
        name: of `SHAPES`; on a CPU all are `tiny`.

    Returns:
        The folder.
    """
    name = "tiny" if bench.tiny else name
    folder = bench.out / "models" / name
    if (folder / "tokenizer_config.json").is_file():
        return folder
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    with torch.device(bench.device):
        model = AutoModelForCausalLM.from_config(_config(name), dtype=torch.bfloat16)
    model.generation_config.eos_token_id = 2
    model.save_pretrained(folder, max_shard_size="4GB")
    del model
    bench.tidy()
    tokenizer().save_pretrained(folder)  # last: it marks the folder as whole
    return folder


def _config(name: str) -> Any:
    from transformers import Qwen3Config

    small = name == "tiny"
    return Qwen3Config(
        **SHAPES[name],
        num_key_value_heads=2 if small else 8,
        head_dim=32 if small else 128,
        vocab_size=384 if small else 151_936,
        max_position_embeddings=32_768,
        tie_word_embeddings=name != "8b",
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )


def tokenizer() -> Any:
    """A tokenizer of single bytes; a model's further ids are no text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = ["<pad>", "<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(models.BPE(vocab={text: index for index, text in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="</s>", pad_token="<pad>", clean_up_tokenization_spaces=False
    )


def problem_file(bench: Bench) -> Path:
    """Problems for RL."""
    rows = [{"problem": f"{n:03} + {7 * n:04} = ?", "answer": str(8 * n)} for n in range(64)]
    return _written(bench.out / "problems.jsonl", rows)


def trace_file(bench: Bench) -> Path:
    """Traces for SFT, of ragged lengths."""
    noise = random.Random(0)
    words = ["add", "carry", "tens", "ones", "so", "write", "then", "check"]
    rows = [
        {
            "problem": f"{n:03} + {7 * n:04} = ?",
            "thoughts": " ".join(noise.choices(words, k=noise.choice((20, 60, 180)))),
            "response": f"\\boxed{{{8 * n}}}",
        }
        for n in range(32 if bench.tiny else 512)
    ]
    return _written(bench.out / "traces.jsonl", rows)


def _written(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def varied(completions: Sequence[Any], completion_ids: Sequence[Sequence[int]], **_: object) -> list[float]:
    """A reward of numbers that differ within a group, whatever is written.

    Args:
        completions: unused.
        completion_ids: of the completions.

    Returns:
        Numbers from 0 to 1.
    """
    return [sum(ids) % 11 / 10 for ids in completion_ids]
