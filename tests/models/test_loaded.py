"""One loader: where a model goes, what its template is, and that a seed alone decides how adapters begin."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoTokenizer

from magistral_recipe.data import tiny
from magistral_recipe.errors import DataError
from magistral_recipe.models import loaded
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.loaded import load_ready, load_words
from magistral_recipe.writing.chat_format import ChatFormat

OWN = ChatFormat(template="tokenizer")


class Recorded(SimpleNamespace):
    """A model that notes where it is sent."""

    def to(self, device):
        self.moves.append(device)
        return self

    def eval(self):
        self.evaluated = True
        return self


@pytest.fixture
def recorded(monkeypatch):
    """What `load_model` gives, in place of a model that this machine could not put on another's GPU."""
    model = Recorded(moves=[], evaluated=False)
    monkeypatch.setattr(loaded, "load_model", lambda config, weights=None, trainable=False: model)
    return model


@pytest.fixture
def without_template(tmp_path):
    """A base model whose tokenizer brings no chat template."""
    folder = tmp_path / "base"
    shutil.copytree(tiny.model_path(), folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    assert AutoTokenizer.from_pretrained(folder).chat_template is None
    return ModelConfig(path=str(folder))


@pytest.mark.parametrize(
    ("cuda", "mps", "rank", "device"),
    [
        (False, False, None, "cpu"),
        (False, True, None, "mps"),
        (True, False, None, "cuda:0"),
        (True, True, "3", "cuda:3"),
    ],
)
def test_a_model_to_be_read_goes_to_the_best_device(monkeypatch, recorded, cuda, mps, rank, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    load_ready(ModelConfig(path="tiny"), ChatFormat())
    assert recorded.moves == [device]
    assert recorded.evaluated


def test_quantized_weights_and_a_trainers_model_stay_where_they_are(monkeypatch, recorded):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    recorded.is_loaded_in_4bit = True
    load_ready(ModelConfig(path="tiny"), ChatFormat())
    recorded.is_loaded_in_4bit = False
    load_ready(ModelConfig(path="tiny"), ChatFormat(), train_seed=1)
    assert recorded.moves == []


def test_a_base_model_without_a_template_is_read_with_the_packages(without_template):
    tokenizer, chat = load_words(without_template, OWN)
    package, _ = load_words(without_template, ChatFormat())
    assert tokenizer.chat_template == package.chat_template
    assert chat.template is None
    with pytest.raises(DataError, match="this tokenizer has no chat template"):  # a recipe's word is an order
        load_ready(without_template, OWN, train_seed=1)


def test_a_template_of_its_own_is_kept(without_template):
    folder = without_template.path
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{{ eos_token }}{% endfor %}"
    tokenizer.save_pretrained(folder)
    kept, chat = load_words(without_template, OWN)
    assert kept.chat_template == tokenizer.chat_template
    assert chat.template == "tokenizer"


def test_adapters_begin_as_the_seed_says():
    config = ModelConfig(path="tiny", lora=LoraSettings(r=2))
    begun = []
    for seed in (5, 5, 6):
        torch.rand(3)  # whatever was drawn before does not matter
        model = load_ready(config, ChatFormat(), train_seed=seed).model
        begun.append(torch.cat([w.detach().flatten() for n, w in model.named_parameters() if "lora_A" in n]))
    assert torch.equal(begun[0], begun[1])
    assert not torch.equal(begun[0], begun[2])


def test_the_context_is_the_models():
    assert load_ready(ModelConfig(path="tiny"), ChatFormat()).context_length == 512
