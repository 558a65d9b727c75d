"""A model's folder that somebody made to do harm: one line, in seconds, and nothing of it is run."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
import torch

from magistral_recipe.data import tiny
from magistral_recipe.errors import DataError
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.load import load_model, load_tokenizer
from magistral_recipe.models.shape import find_shape


@pytest.fixture
def folder(tmp_path) -> Path:
    return Path(shutil.copytree(tiny.model_path(), tmp_path / "model"))


def changed(folder: Path, **fields) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | fields))
    return str(folder)


@pytest.mark.parametrize("key", ["_attn_implementation", "attn_implementation"])
@pytest.mark.parametrize("kernel", ["owner/kernel", "owner/kernel@main:attend", {"": "owner/kernel"}])
def test_a_kernel_of_the_hub_in_a_models_own_config_takes_a_persons_word(folder, key, kernel):
    path = changed(folder, **{key: kernel})
    with pytest.raises(DataError, match="--trust-remote-code") as error:
        load_model(ModelConfig(path=path))
    assert "\n" not in str(error.value)
    assert find_shape(ModelConfig(path=path)) is None  # nor is an empty model built of it


@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
def test_a_kernel_of_transformers_takes_none(folder, kernel):
    assert load_model(ModelConfig(path=changed(folder, _attn_implementation=kernel))) is not None


class Harm:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Harm(folder / "trace")}, folder / "pytorch_model.bin")


NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
HARM = {
    "4 bits that are none": (
        lambda folder: changed(folder, quantization_config=NF4),
        "says (quantization_config) that its weights are in 4 bits, and those of model.layers.0.self_attn.q_proj are",
    ),
    "4 bits by a method that nobody knows": (
        lambda folder: changed(folder, quantization_config={"quant_method": "nobodys", "load_in_4bit": True}),
        "take that out of it, and set model.quantization: nf4 where 4 bits are meant",
    ),
    "8 bits that are none": (
        lambda folder: changed(folder, quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True}),
        "take that out of it, and set model.quantization: int8 where 8 bits are meant",
    ),
    "a record of bits that is a list": (lambda folder: changed(folder, quantization_config=[4]), "can't be loaded: "),
    "a pickle": (pickled, "a pickle, which can run code"),
    "a billion layers": (lambda folder: changed(folder, num_hidden_layers=10**9), "asks for 1,000,000,000 layers"),
    "other sizes": (lambda folder: changed(folder, vocab_size=10**12), "can't be loaded: RuntimeError"),
    "other types": (lambda folder: changed(folder, hidden_size="x", head_dim=[1]), "can't be loaded: "),
    "brackets": (
        lambda folder: (folder / "config.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000),
        "can't be loaded: ",
    ),
    "digits": (
        lambda folder: (folder / "config.json").write_text('{"model_type": "llama", "x": ' + "9" * 6000 + "}"),
        "can't be loaded: ",
    ),
    "ten gigabytes of nothing": (lambda folder: os.truncate(folder / "model.safetensors", 10 << 30), "damaged"),
    "a link to nowhere": (
        lambda folder: [
            (folder / "model.safetensors").unlink(),
            (folder / "model.safetensors").symlink_to(folder / "nowhere"),
        ],
        "can't be loaded: ",
    ),
}


def load_both(folder: Path) -> None:
    load_tokenizer(folder)
    load_model(ModelConfig(path=str(folder)))


@pytest.mark.parametrize("name", HARM)
def test_it_is_one_line(folder, name):
    harm, said = HARM[name]
    harm(folder)
    before = time.monotonic()
    with pytest.raises(DataError) as error:
        load_both(folder)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not (folder / "trace").exists()
    assert time.monotonic() - before < 30


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_bits_that_are_there_are_no_mistake(folder, tmp_path, kind):
    load_model(ModelConfig(path=str(folder), quantization=kind)).save_pretrained(tmp_path / "quantized")
    again = load_model(ModelConfig(path=str(tmp_path / "quantized"), quantization=kind))
    assert again(input_ids=torch.tensor([[1, 2, 3]])).logits.isfinite().all()


@pytest.mark.parametrize("kind", [MemoryError, torch.OutOfMemoryError])
def test_what_the_machine_lacks_is_not_the_models_fault(folder, monkeypatch, kind):
    def lacking(*_, **__):
        raise kind("no memory")

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", lacking)
    with pytest.raises(kind):
        load_model(ModelConfig(path=str(folder)))
