"""The trainer on adapters, 4-bit weights, recomputed activations and mixed precision; tags; TRL's contract."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
import trl
from peft import LoraConfig
from tiny_policy import letters_reward, logged, policy, problems, settings, tokenizer, trainer, weights
from transformers import AddedToken
from trl import GRPOTrainer

from magistral_recipe.errors import RunError
from magistral_recipe.generation.rollouts.interface import Sample
from magistral_recipe.training import contract
from magistral_recipe.training.grpo import MagistralGRPOTrainer


def with_adapter(folder, model, **changes):
    return MagistralGRPOTrainer(
        model=model,
        reward_funcs=letters_reward,
        args=settings(folder, **changes),
        train_dataset=problems(),
        processing_class=tokenizer(),
        peft_config=LoraConfig(r=4, target_modules="all-linear", exclude_modules=["lm_head"], task_type="CAUSAL_LM"),
    )


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_lora_trains_its_adapter_alone(tmp_path, beta):
    run = with_adapter(tmp_path, policy(), beta=beta, learning_rate=0.2)
    before = weights(run.model)
    run.train()
    changed = {name for name, w in weights(run.model).items() if not torch.equal(w, before[name])}
    assert changed
    assert all("lora_" in name for name in changed)
    assert logged(run, "clip_ratio/region_mean")[1] > 0
    assert ("kl" in run.state.log_history[0]) == (beta > 0)


def test_recomputed_activations_change_nothing(tmp_path):
    trained = []
    for on in (False, True):
        run = trainer(tmp_path / str(on), activation_checkpointing=on)
        run.train()
        trained.append(weights(run.model))
    left, right = trained
    assert all(torch.allclose(left[name], right[name], atol=1e-5) for name in left)


def test_mixed_precision_trains(tmp_path):
    run = trainer(tmp_path, bf16=True)
    run.train()
    assert logged(run, "clip_ratio/region_mean")[0] == 0
    assert all(w.dtype == torch.float32 for w in weights(run.model).values())


@pytest.mark.parametrize("special", ["plain text", "added", "special"])
def test_rewards_see_the_tags_whatever_kind_of_token_they_are(tmp_path, special):
    import copy

    own = copy.deepcopy(tokenizer())
    model = policy()
    if special != "plain text":
        for tag in ("[THINK]", "[/THINK]"):
            own.add_tokens([AddedToken(tag, special=special == "special")], special_tokens=special == "special")
        model.resize_token_embeddings(len(own))
        ids = own.convert_tokens_to_ids(["[THINK]", "[/THINK]"])
    else:
        ids = own("a=")["input_ids"]
    seen = []

    def reward(completions, **_):
        seen.extend(completions)
        return letters_reward(completions)

    run = MagistralGRPOTrainer(
        model, reward, settings(tmp_path, max_steps=2, probe_rewards=False), problems(), processing_class=own
    )
    run._source = source = run._make_source()
    original = source.sample

    def forced(*arguments):
        for batch in original(*arguments):
            tokens = [[ids[0], *sample.ids[: 1 + sample.row % 5], ids[1], 1] for sample in batch]
            yield [Sample(sample.row, own, [math.nan] * len(own)) for sample, own in zip(batch, tokens, strict=True)]

    source.sample = forced
    run.train()
    opening, closing = ("a", "=") if special == "plain text" else ("[THINK]", "[/THINK]")
    assert seen
    assert all(text.startswith(opening) and text.endswith(closing) and "<eos>" not in text for text in seen)


def test_the_installed_trl_is_the_tested_one():
    contract.check_trl(GRPOTrainer)
    assert trl.__version__.startswith(contract.TESTED + ".")


def test_a_trl_that_moved_is_named(monkeypatch):
    def moved(self, inputs, extra):
        raise AssertionError

    class Moved(GRPOTrainer):
        pass

    Moved._compute_loss = moved
    with pytest.raises(RunError, match=rf"TRL {trl.__version__} is installed, tested is 1.16: moved are _compute_loss"):
        contract.check_trl(Moved)
    with pytest.raises(RunError, match=r"lacks \['advantages'\] and has unknown \['surprise'\]"):
        contract.check_scored((set(contract.SCORED_KEYS) - {"advantages"}) | {"surprise"})


def test_every_overridden_method_is_in_the_contract():
    ours = {
        name
        for owner in MagistralGRPOTrainer.__mro__[:2]
        for name, value in vars(owner).items()
        if inspect.isfunction(value) and name in dir(GRPOTrainer) and not name.startswith("__")
    }
    known = {*contract.SIGNATURES, "_get_per_token_logps_and_entropies", "train", "_get_grad_norm"}
    assert ours <= known, ours - known


@pytest.mark.filterwarnings("ignore")
def test_qlora_trains_its_adapter_on_a_4_bit_base(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    from magistral_recipe.data import tiny

    quantized = AutoModelForCausalLM.from_pretrained(
        tiny.model_path(),
        dtype=torch.float32,
        quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
    )
    run = MagistralGRPOTrainer(
        quantized,
        letters_reward,
        settings(tmp_path, max_steps=2, learning_rate=0.05, max_tokens_per_microbatch=256),
        problems(),
        processing_class=AutoTokenizer.from_pretrained(tiny.model_path()),
        peft_config=LoraConfig(r=4, target_modules="all-linear", exclude_modules=["lm_head"], task_type="CAUSAL_LM"),
    )
    assert any(type(module).__name__ == "Linear4bit" for module in run.model.modules())
    before = weights(run.model)
    run.train()
    changed = {name for name, w in weights(run.model).items() if not torch.equal(w, before[name])}
    assert changed
    assert all("lora_" in name for name in changed)
