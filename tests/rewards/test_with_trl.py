"""The rewards as they are in a plain `trl.GRPOTrainer`: conversational and plain, in one process and in two."""

import json
import logging
import math
import os
import pickle
from pathlib import Path

import families
import pytest
import torch
from datasets import Dataset
from preloaded import start_ranks
from real_tokenizers import mistral_nemo, needs_mistral_common
from transformers import LlamaConfig, LlamaForCausalLM
from trl import GRPOConfig, GRPOTrainer

from magistral_recipe.rewards import FormatReward, LanguageConsistency, MagistralReward, MathCorrectness, watch

SCRIPT = Path(__file__).parents[1] / "helpers" / "tiny_grpo.py"
NAMES = ("magistral_reward", "math_correctness", "format_reward", "overlong_penalty")


def check(log, reasons, completions):
    assert len(log) == 2
    for name in NAMES:
        assert all(math.isfinite(entry[f"rewards/{name}/mean"]) for entry in log)
    assert {"magistral_reward/format", "magistral_reward/correctness", "math_correctness/mean"} <= log[0].keys()
    # What a random model writes is malformed, and each completion is said to be.
    assert reasons == ["malformed"] * completions
    assert log[0]["rewards/format_reward/mean"] == 0.0


@pytest.mark.parametrize("conversational", [True, False])
def test_two_steps_of_grpo(tmp_path, monkeypatch, conversational):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    from tiny_grpo import train

    trainer = train(tmp_path, conversational)
    log = [entry for entry in trainer.state.log_history if "reward" in entry]
    check(log, list(trainer._logs["extra"]["magistral_reward/reason"]), 4)


@pytest.mark.slow
def test_in_two_processes(tmp_path):
    start_ranks([str(SCRIPT), str(tmp_path)], 2, os.environ, tmp_path)
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["processes"] == 2
    check(found["log"], found["reasons"], 8)


def special_nemo():
    """Mistral Nemo's own pieces, and the tags as the special tokens that they are in Magistral."""
    tokenizer = pickle.loads(pickle.dumps(mistral_nemo()))
    tokenizer.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]"]})
    tokenizer.chat_template = families.mistral().chat_template
    return tokenizer


TAGS = families.MISTRAL_TAGS
RIGHT = "[THINK]Six times seven: 42, as 6 times 6 is 36 and 6 more.[/THINK]The product is \\boxed{42}."
SPECIAL = [
    pytest.param(families.mistral, id="bytes"),
    pytest.param(special_nemo, marks=needs_mistral_common, id="nemo"),
]


def rewarded(folder, tokenizer, rewards, conversational):
    """One step of TRL's own trainer in which every other completion is right, and what its rewards said."""
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (RIGHT, RIGHT.replace("42}", "41}"))]

    def given(prompts, trainer):
        rows = [[*ids[i % 2], tokenizer.eos_token_id] for i in range(len(prompts))]
        return {"prompt_ids": [[1, 2]] * len(prompts), "completion_ids": rows, "logprobs": None}

    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        num_key_value_heads=1, tie_word_embeddings=True,
    )  # fmt: skip
    prompt = [{"role": "user", "content": "6*7?"}] if conversational else "6*7?"
    rows = [{"prompt": prompt, "answer": "42", "problem": "What is the product of six and seven?"}] * 4
    arguments = GRPOConfig(
        output_dir=str(folder), per_device_train_batch_size=4, num_generations=4, max_completion_length=99,
        max_steps=1, logging_steps=1, report_to="none", use_cpu=True, save_strategy="no", bf16=False, disable_tqdm=True,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=LlamaForCausalLM(shape), reward_funcs=rewards, args=arguments, train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer, rollout_func=given,
    )  # fmt: skip
    trainer.train()
    (entry,) = (entry for entry in trainer.state.log_history if "reward" in entry)
    return {reward.name: entry[f"rewards/{reward.name}/mean"] for reward in rewards}


@pytest.mark.parametrize("conversational", [True, False])
@pytest.mark.parametrize("load", SPECIAL)
def test_with_the_tokenizer_special_tags_reach_every_reward(tmp_path, load, conversational):
    tokenizer = load()
    kinds = (MagistralReward, MathCorrectness, FormatReward, LanguageConsistency)
    rewards = [pickle.loads(pickle.dumps(kind(thinking=TAGS, tokenizer=tokenizer))) for kind in kinds]
    means = rewarded(tmp_path, tokenizer, rewards, conversational)
    # Half of the completions are right: 0.1 + 0.9 + 0.1 for the sum, and without the 0.9 for the others.
    expected = {
        "magistral_reward": 0.65, "math_correctness": 0.5, "format_reward": 1.0, "language_consistency": 1.0,
    }  # fmt: skip
    assert means == pytest.approx(expected)


def test_without_it_trl_has_dropped_them_and_the_reward_says_so_once(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(watch, "FIRST", 4)
    reward = FormatReward(TAGS)
    with caplog.at_level(logging.WARNING):
        means = rewarded(tmp_path, families.mistral(), [reward], conversational=True)
    assert means == {"format_reward": 0.0}
    said = [record.getMessage() for record in caplog.records if "malformed" in record.getMessage()]
    assert len(said) == 1
    assert "(tags: [THINK] [/THINK])" in said[0]
    assert "tokenizer=" in said[0]


def test_plain_text_tags_need_no_tokenizer(tmp_path, caplog):
    tokenizer = families.byte_tokenizer(special=("</s>",), pad_token="</s>")
    with caplog.at_level(logging.WARNING):
        means = rewarded(tmp_path, tokenizer, [FormatReward(TAGS), MathCorrectness(TAGS)], False)
    assert means == pytest.approx({"format_reward": 1.0, "math_correctness": 0.5})
    assert not [record for record in caplog.records if "malformed" in record.getMessage()]
