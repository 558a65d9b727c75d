"""The hand-over of a trained model: what merging has moved is told, and refused where it is another model; launches."""

import weakref
from types import SimpleNamespace

import families
import pytest
import tiny_policy
import torch
from accelerate.utils import DistributedType
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from magistral_recipe.errors import RunError
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import load_model, save_model
from magistral_recipe.models.loaded import LoadedModel
from magistral_recipe.stages import work
from magistral_recipe.stages.work import MERGE_GAP_LIMIT, _hand_over, _tell_gap, release_training_state
from magistral_recipe.writing.chat_format import ChatFormat


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    tokenizer = families.qwen3()
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, tie_word_embeddings=True, bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return save_model(LlamaForCausalLM(shape), tokenizer, tmp_path_factory.mktemp("models") / "base")


def handed_over(base, folder, lora, size=0.05, quantization="none"):
    """Hand over a model whose adapters do something; its logits before and after, and what was told."""
    config = ModelConfig(path=str(base), lora=lora, quantization=quantization)
    torch.manual_seed(1)
    model = load_model(config, trainable=True)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data = torch.randn(weight.shape) * size
    tokenizer = families.qwen3()
    ids = tokenizer("7+8=15", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        before = model(ids).logits
    told = []
    folder.mkdir()
    context = SimpleNamespace(folder=folder, emit=told.append)
    _hand_over(model, context, LoadedModel(model, tokenizer, ChatFormat(), config))
    with torch.no_grad():
        after = load_model(config, folder / "model")(ids).logits
    return before, after, told


@pytest.mark.parametrize("handover", ["merge", "carry"])
def test_the_gap_of_a_merge_is_always_told(base, tmp_path, handover):
    before, after, (event,) = handed_over(base, tmp_path / "stage", LoraSettings(r=4, handover=handover))
    assert (after - before).abs().max() < 1e-4
    assert event["type"] == "note"
    words = event["text"].split()
    assert words[:5] == ["merging", "changed", "token", "log-probabilities", "by"]
    assert float(words[words.index("nats") - 1]) < 1e-4


def test_whole_weights_are_not_merged_and_nothing_is_told(base, tmp_path):
    before, after, told = handed_over(base, tmp_path / "stage", None)
    assert torch.equal(before, after)
    assert told == []


def test_another_model_is_refused(base, tmp_path, monkeypatch):
    # What is refused up front, for a family whose ties are not known by their names.
    monkeypatch.setattr("magistral_recipe.models.load.tied_mistake", lambda *_: None)
    lora = LoraSettings(r=4, target_modules=["q_proj", "lm_head"])
    with pytest.raises(RunError, match=r"more than 1\.0 nat: the model in .*stage.model is another one"):
        handed_over(base, tmp_path / "stage", lora, size=5.0)


def test_requantized_weights_warn_beyond_the_bound_and_never_fail(tmp_path):
    told = []
    context = SimpleNamespace(folder=tmp_path, emit=told.append)
    _tell_gap(MERGE_GAP_LIMIT / 2, quantized=True, context=context)
    _tell_gap(MERGE_GAP_LIMIT * 2, quantized=True, context=context)
    assert [event["type"] for event in told] == ["note", "warning"]
    assert all("quantized again" in event["text"] for event in told)


def test_a_merged_folder_is_plain(base, tmp_path):
    handed_over(base, tmp_path / "stage", LoraSettings(r=4))
    assert type(AutoModelForCausalLM.from_pretrained(tmp_path / "stage" / "model")) is LlamaForCausalLM


def test_a_quantized_model_is_merged_saved_and_gone_before_the_next_one_is_loaded(base, tmp_path, monkeypatch):
    from magistral_recipe.models import load

    loaded, real = [], load.load_model

    def watched(config, path=None, trainable=False):
        trained = loaded[0] if loaded else None
        if path is not None and trained is not None:
            held = sum(tensor.numel() for tensor in [*trained.parameters(), *trained.buffers()])
            assert held == 0, "two models at once"
            assert (tmp_path / "stage" / "adapter" / "adapter_model.safetensors").exists()
        loaded.append(real(config, path, trainable))
        return loaded[-1]

    monkeypatch.setattr(load, "load_model", watched)
    monkeypatch.setitem(globals(), "load_model", watched)
    lora = LoraSettings(r=4)
    before, after, (event,) = handed_over(base, tmp_path / "stage", lora, quantization="nf4")
    assert len(loaded) == 3  # to train, to measure, to read here
    assert (event["type"], "quantized again" in event["text"]) == ("note", True)
    assert (after - before).abs().max() < 0.5
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "stage" / "model")
    ids = families.qwen3()("7+8=15", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        assert (plain(ids).logits - before).abs().max() < 1e-2  # before it is quantized again, it is what was trained
        alone = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "stage" / "adapter")
        assert (alone(ids).logits - before).abs().max() < 0.5  # the adapter by itself, on the base that it names


def test_gradients_and_the_optimizers_moments_are_freed_before_a_hand_over(tmp_path):
    trainer = tiny_policy.trainer(tmp_path, max_steps=1)
    trainer.train()
    moments = [
        weakref.ref(value)
        for state in trainer.optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor) and value.dim()
    ]
    weights = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    assert len(moments) == 2 * len(list(trainer.model.parameters()))
    release_training_state(trainer)
    assert not any(moment() is not None for moment in moments)
    assert all(weight.grad is None for weight in trainer.model.parameters())
    assert all(torch.equal(value, weights[name]) for name, value in trainer.model.state_dict().items())
    trainer.accelerator.wait_for_everyone()


@pytest.mark.parametrize(
    ("kind", "file", "told"),
    [
        (DistributedType.MULTI_GPU, "pytorch_model_fsdp.bin", r"shared its model out \(FSDP\), and this one does not"),
        (DistributedType.FSDP, "optimizer.pt", r"did not share its model out \(FSDP\)"),
    ],
)
def test_a_checkpoint_of_the_other_kind_is_not_gone_on_from(tmp_path, kind, file, told):
    (tmp_path / file).touch()
    trainer = SimpleNamespace(accelerator=SimpleNamespace(distributed_type=kind))
    with pytest.raises(RunError, match=told):
        work._require_kind(trainer, tmp_path)


@pytest.mark.parametrize(
    ("accelerator", "told"),
    [
        ({"num_processes": 1, "distributed_type": DistributedType.NO}, "asks for 2 processes, but this one is among 1"),
        ({"distributed_type": DistributedType.DEEPSPEED}, "DeepSpeed was never run here"),
        ({"distributed_type": DistributedType.MULTI_CPU}, "would each train the whole model"),
        ({"distributed_type": DistributedType.FSDP, "is_fsdp2": False}, "asks for FSDP 1: set fsdp_version: 2"),
    ],
)
def test_a_launch_that_shares_nothing_or_otherwise_is_stopped(monkeypatch, accelerator, told):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    trainer = SimpleNamespace(accelerator=SimpleNamespace(**{"num_processes": 2, **accelerator}))
    with pytest.raises(RunError, match=told):
        work._require_launch(trainer, SimpleNamespace(processes=2))
