from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import families
import pytest
import torch
from peft import AutoPeftModelForCausalLM
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from magistral_recipe.errors import DataError
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import (
    generation_stop_ids,
    is_adapter,
    is_quantized,
    load_model,
    load_tokenizer,
    merge_gap,
    save_model,
)
from magistral_recipe.writing.chat_format import ChatFormat, stop_token_ids

IDS = torch.randint(0, 200, (2, 32), generator=torch.Generator().manual_seed(7))


def random_model(tokenizer, hidden: int = 64):
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    return LlamaForCausalLM(shape)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    tokenizer = families.qwen3()
    return save_model(random_model(tokenizer), tokenizer, tmp_path_factory.mktemp("models") / "base")


def trained(config: ModelConfig):
    """A model with adapters that do something, as after SFT."""
    torch.manual_seed(1)
    model = load_model(config, trainable=True)
    noise = torch.Generator().manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data = torch.randn(weight.shape, generator=noise) * 0.05
    return model


def test_the_config_is_light_and_strict():
    code = "import magistral_recipe.models.load, sys; print({'torch', 'transformers', 'peft'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
    with pytest.raises(ValidationError, match="quantisation"):
        ModelConfig(path="tiny", quantisation="nf4")
    with pytest.raises(ValidationError, match="save it as a folder first"):
        ModelConfig(path="model.gguf", quantization="nf4", lora=LoraSettings())
    with pytest.raises(ValidationError, match=r"lora\.handover: merge"):
        ModelConfig(path="model.gguf", lora=LoraSettings(handover="carry"))


def test_full_weights_come_back_bit_for_bit(base):
    again = load_model(ModelConfig(path=str(base)), trainable=True)
    assert not is_adapter(again)
    original = random_model(families.qwen3()).state_dict()
    assert all(torch.equal(weight, original[name]) for name, weight in again.state_dict().items())
    assert all(weight.requires_grad for weight in again.parameters())


def test_dtype_is_the_recipes(base):
    assert load_model(ModelConfig(path=str(base), dtype="bfloat16")).dtype == torch.bfloat16


@pytest.mark.parametrize("handover", ["merge", "carry"])
def test_the_next_stage_starts_where_lora_training_ended(base, tmp_path, handover):
    config = ModelConfig(path=str(base), lora=LoraSettings(r=4, alpha=8, handover=handover))
    before = trained(config)
    with torch.no_grad():
        logits = before(IDS).logits
    folder = save_model(before, families.qwen3(), tmp_path / "model", config)
    after = load_model(config, folder, trainable=True)

    with torch.no_grad():
        assert (after(IDS).logits.log_softmax(-1) - logits.log_softmax(-1)).abs().max() < 1e-5
    trainable = {name for name, weight in after.named_parameters() if weight.requires_grad}
    assert trainable
    assert all("lora_" in name for name in trainable)
    second = [weight for name, weight in after.named_parameters() if "lora_B" in name]
    assert second
    assert all(bool(weight.any()) == (handover == "carry") for weight in second)
    folded = load_model(config, folder)
    assert not is_adapter(folded)
    with torch.no_grad():
        assert (folded(IDS).logits - logits).abs().max() < 1e-4


def test_a_merged_folder_loads_in_plain_transformers_and_a_carried_one_in_peft(base, tmp_path):
    gaps = []
    for handover, loader in (("merge", AutoModelForCausalLM), ("carry", AutoPeftModelForCausalLM)):
        config = ModelConfig(path=str(base), lora=LoraSettings(r=4, alpha=8, handover=handover))
        folder = save_model(trained(config), families.qwen3(), tmp_path / handover, config)
        place = folder / "adapter" if handover == "carry" else folder
        gaps.append(merge_gap(trained(config), loader.from_pretrained(place), IDS))
        assert AutoTokenizer.from_pretrained(place).eos_token == "<|im_end|>"
    assert max(gaps) < 1e-5


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_a_carried_qlora_adapter_changes_nothing_and_a_merged_one_has_a_measured_gap(base, tmp_path, quantization):
    carry = ModelConfig(path=str(base), quantization=quantization, lora=LoraSettings(r=4, alpha=8, handover="carry"))
    model = trained(carry)
    assert is_quantized(model)
    folder = save_model(model, families.qwen3(), tmp_path / "carried", carry)
    assert merge_gap(model, load_model(carry, folder, trainable=True), IDS) < 1e-2

    merge = carry.model_copy(update={"lora": LoraSettings(r=4, alpha=8, handover="merge")})
    folder = save_model(model, families.qwen3(), tmp_path / "merged", merge)
    plain = AutoModelForCausalLM.from_pretrained(folder)
    # Merged into what the adapter was trained on, so the plain copy is close; only quantizing it again costs.
    assert not is_quantized(plain)
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    assert merge_gap(model, plain, IDS) < 1e-2
    again = load_model(merge, folder, trainable=True)
    assert is_quantized(again)
    assert 1e-4 < merge_gap(model, again, IDS) < 0.5


def test_merge_gap_is_the_largest_difference_of_log_probabilities(base):
    one, other = load_model(ModelConfig(path=str(base))), load_model(ModelConfig(path=str(base)))
    assert merge_gap(one, other, IDS) == 0.0
    with torch.no_grad():
        other.lm_head.weight.mul_(1.5)
        worst = 0.0
        for row in range(IDS.shape[0]):
            pair = [model(IDS[row : row + 1]).logits[0].log_softmax(-1) for model in (one, other)]
            for position in range(IDS.shape[1] - 1):
                token = IDS[row, position + 1]
                worst = max(worst, abs(float(pair[0][position, token] - pair[1][position, token])))
    assert merge_gap(one, other, IDS) == pytest.approx(worst, abs=1e-5)


def test_quantized_weights_cannot_be_trained_themselves(base):
    config = ModelConfig(path=str(base), quantization="nf4")
    assert config.training_mistakes()[0][0] == "quantization"
    with pytest.raises(DataError, match="add `lora:`"):
        load_model(config, trainable=True)


def test_odd_widths_are_refused_in_nf4_on_a_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    tokenizer = families.qwen3()
    folder = save_model(random_model(tokenizer, hidden=80), tokenizer, tmp_path / "odd")
    config = ModelConfig(path=str(folder), quantization="nf4", lora=LoraSettings())
    with pytest.raises(DataError, match="hidden_size 80 and intermediate_size 160 must be a multiple of 64"):
        load_model(config, trainable=True)


def test_unknown_target_modules_are_the_users_mistake(base):
    with pytest.raises(DataError, match="nothing_like_it"):
        load_model(ModelConfig(path=str(base), lora=LoraSettings(target_modules=["nothing_like_it"])), trainable=True)


def test_saved_generation_settings_know_every_stop_token(base, tmp_path):
    tokenizer = families.llama()
    eot = tokenizer.convert_tokens_to_ids("<|eot_id|>")
    model = random_model(tokenizer)
    model.generation_config.eos_token_id = eot
    model.generation_config.temperature = 0.6  # with do_sample False: transformers refuses to save that
    model.config.use_cache = False  # as transformers' Trainer leaves it
    folder = save_model(model, tokenizer, tmp_path / "llama")
    again = AutoModelForCausalLM.from_pretrained(folder)
    assert again.generation_config.eos_token_id == [tokenizer.eos_token_id, eot]
    assert again.config.use_cache
    assert stop_token_ids(tokenizer, again) == [tokenizer.eos_token_id, eot]


def test_saving_replaces_the_folder_as_a_whole(base, tmp_path):
    tokenizer = families.qwen3()
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "stale.safetensors").write_text("old")
    save_model(random_model(tokenizer), tokenizer, folder)
    assert not (folder / "stale.safetensors").exists()
    assert [child.name for child in tmp_path.iterdir()] == ["model"]


def test_a_padding_token_is_found_without_growing_the_vocabulary(tmp_path):
    for special, expected in (
        (("</s>", "<pad>"), "<pad>"),
        (("</s>", "<unk>"), "<unk>"),
        (("<|im_end|>", "<|endoftext|>"), "<|endoftext|>"),
        (("</s>",), "</s>"),
    ):
        tokenizer = families.byte_tokenizer(eos=special[0], special=special)
        assert tokenizer.pad_token is None
        folder = save_model(random_model(tokenizer), tokenizer, tmp_path / "model")
        loaded = load_tokenizer(folder)
        assert loaded.pad_token == expected
        assert len(loaded) == len(tokenizer)


def test_the_chat_template_is_installed_and_travels_with_the_model(base, tmp_path):
    tokenizer = load_tokenizer(base, ChatFormat())
    folder = save_model(random_model(tokenizer), tokenizer, tmp_path / "model")
    assert AutoTokenizer.from_pretrained(folder).chat_template == tokenizer.chat_template
    assert "generation" in tokenizer.chat_template


def test_stop_tokens_are_known_without_the_weights(base, tmp_path):
    tokenizer = families.llama()
    eot = tokenizer.convert_tokens_to_ids("<|eot_id|>")
    model = random_model(tokenizer)
    model.generation_config.eos_token_id = eot
    folder = save_model(model, tokenizer, tmp_path / "llama")
    (folder / "model.safetensors").unlink()
    assert generation_stop_ids(folder, tokenizer) == [tokenizer.eos_token_id, eot]
    (folder / "generation_config.json").unlink()
    tokenizer.chat_template = None  # which ends a turn on the other one
    assert generation_stop_ids(folder, tokenizer) == [tokenizer.eos_token_id]
    assert generation_stop_ids("tiny", load_tokenizer("tiny")) == [load_tokenizer("tiny").eos_token_id]


def test_the_embedded_model_loads_and_takes_lora_in_four_bits():
    config = ModelConfig(path="tiny", quantization="nf4", lora=LoraSettings(r=4))
    model = load_model(config, trainable=True)
    tokenizer = load_tokenizer("tiny", ChatFormat())
    row = torch.tensor([ChatFormat().training_row(tokenizer, "7+8?", "<think>\n15\n</think>\n\\boxed{15}").ids])
    loss = model(input_ids=row, labels=row).loss
    loss.backward()
    assert is_quantized(model)
    assert any(weight.grad is not None and weight.grad.any() for weight in model.parameters() if weight.requires_grad)
