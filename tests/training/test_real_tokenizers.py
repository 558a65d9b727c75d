"""Tags of every kind reach the rewards on the tokenizers of real models, and the text is what was generated."""

from __future__ import annotations

import copy

import pytest
import torch
from datasets import Dataset
from families import TEMPLATES
from real_tokenizers import mistral_nemo, needs_mistral_common, needs_smollm2, smollm2
from tiny_policy import settings
from transformers import AddedToken, LlamaConfig, LlamaForCausalLM

from magistral_recipe.rewards import FormatReward, MathCorrectness, Thinking
from magistral_recipe.training.grpo import MagistralGRPOTrainer
from magistral_recipe.writing.chat_format import ChatFormat

TOKENIZERS = [
    pytest.param(smollm2, marks=needs_smollm2, id="smollm2"),
    pytest.param(mistral_nemo, marks=needs_mistral_common, id="mistral-nemo"),
]
THOUGHTS = "Ça fait 6×7 : d'abord 6×7=40, non… 42.\n"
ANSWER = "\nIl y en a $\\boxed{42}$."


def tokenizer_and_chat(load, kind: str, folder):
    """The tokenizer with its tags made to be of a kind, and the format of a run on it."""
    tokenizer = copy.deepcopy(load())
    if kind in ("added", "special"):
        tags = [AddedToken(tag, special=kind == "special", normalized=False) for tag in ("<think>", "</think>")]
        tokenizer.add_tokens(tags, special_tokens=kind == "special")
    if kind != "opened by the prompt":
        return tokenizer, ChatFormat(Thinking())
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    return tokenizer, ChatFormat(Thinking(opened_by_prompt=True), template=str(TEMPLATES / "qwq.jinja"))


@pytest.mark.parametrize("kind", ["plain", "added", "special", "opened by the prompt"])
@pytest.mark.parametrize("load", TOKENIZERS)
def test_a_perfect_completion_is_paid_whatever_kind_its_tags_are(tmp_path, load, kind):
    tokenizer, chat = tokenizer_and_chat(load, kind, tmp_path)
    chat.install(tokenizer)
    thinking = chat.thinking
    written = ("" if thinking.opened_by_prompt else "<think>\n") + THOUGHTS + "</think>" + ANSWER
    pieces = tokenizer(written, add_special_tokens=False)["input_ids"]
    assert (tokenizer.convert_tokens_to_ids("</think>") in pieces) == (kind in ("added", "special"))
    seen: list[str] = []

    def told(completions, **_):
        seen.extend(turns[0]["content"] for turns in completions)
        return [0.0] * len(completions)

    def given(prompts, trainer):
        """Half of each group answers wrongly, so that no group is flat."""
        wrong = tokenizer(written.replace("42}", "41}"), add_special_tokens=False)["input_ids"]
        prompt_ids = [
            tokenizer.apply_chat_template(p, add_generation_prompt=True, tokenize=True, return_dict=False)
            for p in prompts
        ]
        ends = [tokenizer.eos_token_id]
        rows = [[*(pieces if i % 2 else wrong), *ends] for i in range(len(prompts))]
        return {"prompt_ids": prompt_ids, "completion_ids": rows, "logprobs": None}

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            tie_word_embeddings=True,
        )
    )
    rewards = [told, FormatReward(thinking), MathCorrectness(thinking)]
    args = settings(
        tmp_path,
        max_steps=1,
        prompts_per_batch=2,
        num_generations=2,
        max_completion_length=80,
        max_tokens_per_microbatch=512,
        probe_rewards=False,
    )
    rows = [{"prompt": chat.messages(f"Combien font 6×7 ? ({i})"), "answer": "42"} for i in range(4)]
    trainer = MagistralGRPOTrainer(
        model, rewards, args, Dataset.from_list(rows), processing_class=tokenizer, rollout_func=given
    )
    trainer.train()
    assert set(seen) == {written, written.replace("42}", "41}")}
    log = trainer.state.log_history[0]
    assert log["rewards/format_reward/mean"] == rewards[1].maximum
    assert log["rewards/math_correctness/mean"] == pytest.approx(rewards[2].maximum / 2)
