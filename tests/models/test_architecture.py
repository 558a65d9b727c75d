"""Which class loads a model, and that only its text is trained: by name, for every way to train."""

from __future__ import annotations

import json
from pathlib import Path

import families
import pytest
import tiny_mistral
import torch
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    Gemma3Config,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Mistral3ForConditionalGeneration,
    Qwen2VLConfig,
)

from magistral_recipe.errors import DataError
from magistral_recipe.models.architecture import auto_class, checkpoint_mistake, other_parts
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import load_model, save_model
from magistral_recipe.models.tied import tied_mistake

LORA = LoraSettings(r=4)


@pytest.fixture(scope="module", params=["mistral", "ministral3"])
def base(request, tmp_path_factory) -> Path:
    # Ministral 3 3B ties its head, as its own config says and its text config does not.
    return tiny_mistral.folder(
        tmp_path_factory.mktemp("base") / request.param, request.param, request.param != "mistral"
    )


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (LlamaConfig(), "LlamaForCausalLM"),
        (Gemma3TextConfig(), "Gemma3ForCausalLM"),
        (Gemma3Config(architectures=["Gemma3ForConditionalGeneration"]), "Gemma3ForConditionalGeneration"),
        (Qwen2VLConfig(), "Qwen2VLForConditionalGeneration"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_class_is_the_one_that_the_config_names(shape, expected):
    assert auto_class(shape)._model_mapping[type(shape)].__name__ == expected


def test_mistrals_small_models_are_loaded_where_the_causal_class_refuses(base):
    shape = AutoConfig.from_pretrained(base)
    with pytest.raises(ValueError, match="Unrecognized configuration class"):
        AutoModelForCausalLM.from_config(shape)
    assert auto_class(shape) is AutoModelForImageTextToText
    assert type(load_model(ModelConfig(path=str(base)))) is Mistral3ForConditionalGeneration


def test_the_parts_beside_the_text_are_named(base):
    assert other_parts(Mistral3ForConditionalGeneration(AutoConfig.from_pretrained(base))) == list(tiny_mistral.VISION)
    assert other_parts(LlamaForCausalLM(LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                                                    num_attention_heads=1, vocab_size=9))) == []  # fmt: skip


@pytest.mark.parametrize("quantization", ["none", "int8", "nf4"])
@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj"]], ids=["all-linear", "named"])
def test_no_adapter_stands_on_tower_or_projector(base, quantization, targets):
    lora = LoraSettings(r=4, target_modules=targets)
    model = load_model(ModelConfig(path=str(base), quantization=quantization, lora=lora), trainable=True)
    names = [name for name, _ in model.named_parameters() if "lora_" in name]
    assert len(names) == 2 * 2 * (7 if targets == "all-linear" else 2)  # A and B, two blocks
    assert all(".language_model.layers." in name for name in names)
    # The tower has layers of the very same names.
    assert any(name.endswith("vision_tower.transformer.layers.0.attention.q_proj") for name, _ in model.named_modules())
    for name, weight in model.named_parameters():
        assert weight.requires_grad == ("lora_" in name), name
        if any(part in name for part in tiny_mistral.VISION) or "lm_head" in name:
            assert weight.dtype == torch.float32, f"{name} is quantized"


def test_full_training_leaves_them_frozen(base):
    model = load_model(ModelConfig(path=str(base)), trainable=True)
    for name, weight in model.named_parameters():
        assert weight.requires_grad == (not name.startswith(tiny_mistral.VISION)), name
    read = load_model(ModelConfig(path=str(base)))
    assert all(weight.requires_grad for weight in read.parameters())  # nothing is said of a model that is only read


def test_a_tied_head_is_found_by_its_weights(base):
    model = Mistral3ForConditionalGeneration(AutoConfig.from_pretrained(base))
    assert not model.config.get_text_config().tie_word_embeddings
    mistake = tied_mistake(model, LoraSettings(r=4, target_modules=["q_proj", "lm_head"]))
    assert (mistake is not None) == (base.name == "ministral3")


@pytest.mark.parametrize(
    "record",
    [
        {"quant_method": "fp8", "activation_scheme": "static"},
        {"quant_method": "compressed-tensors", "format": "float-quantized"},
    ],
    ids=["ministral-3-instruct", "compressed"],
)
def test_fp8_checkpoints_are_refused_in_one_line(base, tmp_path, record):
    shape = json.loads((base / "config.json").read_text()) | {"quantization_config": record}
    (tmp_path / "config.json").write_text(json.dumps(shape))
    config = ModelConfig(path=str(tmp_path), dtype="bfloat16", lora=LORA)
    with pytest.raises(DataError, match="use the bf16 Base or Reasoning checkpoint") as raised:
        load_model(config, trainable=True)
    assert len(raised.value.problems) == 1
    assert str(tmp_path) in str(raised.value)
    assert checkpoint_mistake(AutoConfig.from_pretrained(base), "nf4") is None


def test_merging_a_quantized_one_leaves_the_rest_bit_for_bit(base, tmp_path):
    config = ModelConfig(path=str(base), dtype="bfloat16", quantization="nf4", lora=LORA)
    model = load_model(config, trainable=True)
    folder = save_model(model, families.mistral(), tmp_path / "model", config)
    saved, published = (load_file(place / "model.safetensors") for place in (folder, base))
    assert saved.keys() == published.keys()  # the names of the published files, not those in memory
    rest = [name for name in published if "_proj" not in name or not name.startswith("language_model.")]
    assert any(name.startswith("vision_tower.") for name in rest)
    assert all(torch.equal(saved[name], published[name].bfloat16()) for name in rest)
    assert (folder / "preprocessor_config.json").exists()
