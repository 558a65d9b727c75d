"""The gauge of sampler against trainer: quiet when they agree, loud on stale weights or another temperature."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig
from tiny_policy import letters_reward, logged, policy, problems, settings, tokenizer

from magistral_recipe.errors import RunError
from magistral_recipe.generation.rollouts.weights import RolloutCopy
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


@pytest.mark.parametrize("backend", ["generate", "compiled", "continuous"])
@pytest.mark.parametrize("adapter", [False, "copy", "trained"])
def test_every_backend_samples_by_the_weights_that_train(tmp_path, backend, adapter):
    """After each of the updates: a copy that is stale, or an adapter folded wrongly, shows at once."""
    words = copy.deepcopy(tokenizer())
    words.bos_token = "<unk>"  # most tokenizers have one, and it begins no completion
    lora = LoraConfig(r=4, target_modules="all-linear", exclude_modules=["lm_head"], task_type="CAUSAL_LM")
    made = MagistralGRPOTrainer(
        policy(),
        letters_reward,
        settings(
            tmp_path,
            rollout_backend=backend,
            rollout_weights=adapter or "copy",
            max_steps=6,
            learning_rate=3e-2,
            sampler_correction="none",
        ),
        problems(),
        processing_class=words,
        peft_config=lora if adapter else None,
    )
    made.train()
    assert made._source.sampler.name == backend
    assert (made._source.copy is None) == (adapter == "trained")
    gaps = logged(made, "sampling/gap")
    assert len(gaps) == 3
    assert max(gaps) < 1e-5
    made._source.sampler.close()


def by_place(completions, **_):
    """Another reward for each completion, whatever it says: there is always something to train on."""
    return [float(place) for place in range(len(completions))]


def test_a_copy_that_is_not_refreshed_stops_the_run(tmp_path, monkeypatch):
    refresh, filled = RolloutCopy.refresh, []

    def once(self):
        """Fill the copy when it is made, and never again."""
        if filled:
            return False
        filled.append(self)
        return refresh(self)

    monkeypatch.setattr(RolloutCopy, "refresh", once)
    lora = LoraConfig(r=4, target_modules="all-linear", exclude_modules=["lm_head"], task_type="CAUSAL_LM")
    made = MagistralGRPOTrainer(
        policy(),
        by_place,
        settings(tmp_path, max_steps=12, learning_rate=0.2, sampler_gap_limit=1e-4),
        problems(),
        processing_class=tokenizer(),
        peft_config=lora,
    )
    with pytest.raises(RunError, match="stale weights"):
        made.train()
