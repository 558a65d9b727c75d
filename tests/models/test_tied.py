"""Adapters on embeddings that are tied to the head: refused by the name that PEFT would match, and nothing else is."""

import families
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from magistral_recipe.errors import DataError
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import load_model, save_model
from magistral_recipe.models.tied import tied_mistake

SHAPE = {
    "vocab_size": 300, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 2,
}  # fmt: skip


def llama(tied: bool) -> LlamaForCausalLM:
    return LlamaForCausalLM(LlamaConfig(tie_word_embeddings=tied, **SHAPE))


@pytest.mark.parametrize(
    ("targets", "named"),
    [
        (["q_proj", "embed_tokens"], "model.embed_tokens shares its weights with lm_head"),
        (["lm_head"], "lm_head shares its weights with model.embed_tokens"),
        (["model.embed_tokens"], "model.embed_tokens shares"),
        (["embed_tokens", "lm_head"], "model.embed_tokens, lm_head shares its weights in this model"),
        (".*(q_proj|lm_head)", "lm_head shares"),
        ([*"qk", "model.embed_tokens"], "model.embed_tokens shares"),
    ],
)
def test_a_target_on_tied_weights_is_named_with_the_way_out(targets, named):
    mistake = tied_mistake(llama(tied=True), LoraSettings(target_modules=targets))
    assert mistake is not None
    assert mistake.startswith(named)
    assert "target_modules: all-linear" in mistake


@pytest.mark.parametrize(
    "targets", ["all-linear", ["q_proj", "v_proj"], ".*_proj", ["embed"], ["tokens", "head"], ".*[qv]_proj"]
)
def test_other_targets_may_be_tied_or_not(targets):
    for tied in (True, False):
        assert tied_mistake(llama(tied), LoraSettings(target_modules=targets)) is None


@pytest.mark.parametrize("targets", [["q_proj", "embed_tokens"], ["lm_head"], ".*lm_head"])
def test_embeddings_of_their_own_may_have_adapters(targets):
    assert tied_mistake(llama(tied=False), LoraSettings(target_modules=targets)) is None


def test_a_family_with_other_names_without_its_weights():
    shape = GPT2Config(vocab_size=50, n_embd=8, n_layer=1, n_head=1)
    with torch.device("meta"):
        model = GPT2LMHeadModel(shape)
    mistake = tied_mistake(model, LoraSettings(target_modules=["c_attn", "wte"]))
    assert mistake is not None
    assert mistake.startswith("transformer.wte shares its weights with lm_head")
    assert tied_mistake(model, LoraSettings(target_modules=["c_attn", "wpe"])) is None


def test_loading_for_training_refuses_them_loading_to_read_does_not(tmp_path):
    tokenizer = families.qwen3()
    folder = save_model(llama(tied=True), tokenizer, tmp_path / "base")
    config = ModelConfig(path=str(folder), lora=LoraSettings(r=2, target_modules=["q_proj", "lm_head"]))
    with pytest.raises(DataError, match=r"model\.lora\.target_modules: lm_head shares"):
        load_model(config, trainable=True)
    assert load_model(config) is not None
