"""The gauge of sampler against trainer: quiet when they agree, loud on stale weights or another temperature."""

from __future__ import annotations

import pytest
import torch
from tiny_policy import letters_reward, logged, policy, problems, settings, tokenizer

from magistral_recipe.errors import RunError
from magistral_recipe.training.grpo import MagistralGRPOTrainer


def sampler(model_of, temperature=1.0):
    """A `rollout_func` that samples from some model and records its own log-probabilities."""

    def rollouts(prompts, trainer):
        model = model_of(trainer)
        result = {"prompt_ids": [], "completion_ids": [], "logprobs": []}
        for prompt in prompts:
            ids = tokenizer()(prompt)["input_ids"]
            start, logprobs = len(ids), []
            for _ in range(6):
                with torch.no_grad():
                    logps = (model(input_ids=torch.tensor([ids])).logits[0, -1] / temperature).log_softmax(-1)
                token = int(torch.multinomial(logps.exp(), 1))
                logprobs.append(float(logps[token]))
                ids = [*ids, token]
            result["prompt_ids"].append(ids[:start])
            result["completion_ids"].append(ids[start:])
            result["logprobs"].append(logprobs)
        return result

    return rollouts


def run(folder, rollouts, **changes):
    made = MagistralGRPOTrainer(
        policy(),
        letters_reward,
        settings(folder, **{"sampler_gap_limit": 0.05, **changes}),
        problems(),
        processing_class=tokenizer(),
        rollout_func=rollouts,
    )
    made.train()
    return made


def test_a_sampler_with_the_trainers_weights_has_no_gap(tmp_path, monkeypatch):
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    made = run(tmp_path, sampler(lambda trainer: trainer.model), learning_rate=0.0)
    assert max(logged(made, "sampling/gap")) < 1e-5
    assert max(logged(made, "clip_ratio/region_mean")) == 0


def test_stale_weights_stop_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    stale = policy()
    with pytest.raises(RunError, match=r"step \d: sampler and trainer differ by .*stale weights"):
        run(tmp_path, sampler(lambda trainer: stale), max_steps=12)


def test_another_temperature_stops_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    with pytest.raises(RunError, match=r"step 0: sampler and trainer differ by .*temperature"):
        run(tmp_path, sampler(lambda trainer: trainer.model, temperature=0.7))
