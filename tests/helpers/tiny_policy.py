"""A two-layer random policy with a character tokenizer, small enough to train dozens of times in a test."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from magistral_recipe.training.config import MagistralGRPOConfig
from magistral_recipe.training.grpo import MagistralGRPOTrainer

LETTERS = "abcdefgh0123456789+= "


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """One token a character."""
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<eos>", "<unk>", *LETTERS])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    core.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )


@cache
def _policy() -> LlamaForCausalLM:
    torch.manual_seed(7)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer()),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=128,
            eos_token_id=1,
            pad_token_id=0,
            initializer_range=0.2,
        )
    )


def policy() -> LlamaForCausalLM:
    """A fresh copy of the same random weights."""
    return copy.deepcopy(_policy())


def problems(count: int = 12) -> Dataset:
    """Prompts of different lengths."""
    rows = [
        {"prompt": "ab="[: 2 + i % 2] + str(i) * (1 + i % 4) + "=", "id": f"p{i}", "difficulty": i / count}
        for i in range(count)
    ]
    return Dataset.from_list(rows)


def letters_reward(completions, log_extra=None, **_):
    """Share of letters among the characters: dense enough that most groups differ."""
    shares = [sum(c.isalpha() for c in text) / max(len(text), 1) for text in completions]
    if log_extra is not None:
        log_extra("letters", [sum(c.isalpha() for c in text) for text in completions])
    return shares


def starts_with_a(completions, **_):
    """A sparse reward: most groups are flat."""
    return [float(text.startswith("a")) for text in completions]


def settings(folder: Path | str, **changes) -> MagistralGRPOConfig:
    """Four prompts of four completions, two minibatches, on the CPU in float32."""
    chosen = {
        "output_dir": str(folder),
        "use_cpu": True,
        "bf16": False,
        "activation_checkpointing": False,
        "prompts_per_batch": 4,
        "num_generations": 4,
        "max_completion_length": 12,
        "max_tokens_per_microbatch": 64,
        "max_steps": 4,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": 11,
    }
    return MagistralGRPOConfig(**{**chosen, **changes})


def trainer(
    folder: Path | str, reward=letters_reward, *, model=None, data=None, callbacks=None, rollout_func=None, **changes
):
    """A trainer ready to train."""
    return MagistralGRPOTrainer(
        model=policy() if model is None else model,
        reward_funcs=reward,
        args=settings(folder, **changes),
        train_dataset=problems() if data is None else data,
        processing_class=tokenizer(),
        callbacks=callbacks,
        rollout_func=rollout_func,
    )


def weights(model) -> dict[str, torch.Tensor]:
    """Copies of all parameters."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def logged(trainer_, name: str) -> list[float]:
    """What was logged under a name, in order."""
    return [entry[name] for entry in trainer_.state.log_history if name in entry]
