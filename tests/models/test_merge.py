"""Merging: the weights are those that an independent computation gives, and no more than two files are in RAM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import families
import pytest
import torch
from bitsandbytes import functional
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from magistral_recipe.errors import DataError
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import load_model, save_adapter, save_model
from magistral_recipe.models.merge import SHARD_BYTES, fold, merge_ram, release_weights, save_merged

IDS = torch.randint(0, 200, (2, 24), generator=torch.Generator().manual_seed(7))
SCALE = 2.0
"""alpha / r of the adapters below."""


def llama(vocab: int, tied: bool = True, **changes) -> LlamaForCausalLM:
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(
        LlamaConfig(**{**shape, **changes}, vocab_size=vocab, num_key_value_heads=2, tie_word_embeddings=tied)
    )


@pytest.fixture(scope="module", params=["bfloat16", "float32"])
def base(request, tmp_path_factory) -> Path:
    tokenizer = families.qwen3()
    model = llama(len(tokenizer)).to(getattr(torch, request.param))
    return save_model(model, tokenizer, tmp_path_factory.mktemp("models") / "base")


def stirred(model):
    """Adapters that do something, as after training."""
    noise = torch.Generator().manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = (torch.randn(weight.shape, generator=noise) * 0.05).to(weight.dtype)
    return model


def quantized(base: Path, quantization: str, dtype: str = "bfloat16"):
    config = ModelConfig(path=str(base), dtype=dtype, quantization=quantization, lora=LoraSettings(r=4, alpha=8))
    model = stirred(load_model(config, trainable=True))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = weight.data.to(torch.bfloat16)  # as TRL does on quantized weights
    return config, model


def adapters(model) -> dict[str, torch.Tensor]:
    """The update s·B·A of each weight that has one, in float64, from the tensors that PEFT saves."""
    from peft import get_peft_model_state_dict

    saved = {name.removeprefix("base_model.model."): value for name, value in get_peft_model_state_dict(model).items()}
    names = {name.partition(".lora_")[0] for name in saved}
    return {
        f"{name}.weight": SCALE * saved[f"{name}.lora_B.weight"].double() @ saved[f"{name}.lora_A.weight"].double()
        for name in names
    }


# ----------------------------------------------------------------------------------------- quantized weights


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_each_weight_is_the_dequantized_one_and_the_update_rounded_once(base, tmp_path, quantization, dtype):
    config, model = quantized(base, quantization, dtype)
    folder = save_model(model, families.qwen3(), tmp_path / "model", config)
    saved, original = (load_file(place / "model.safetensors") for place in (folder, base))
    updates = adapters(model)
    kind = getattr(torch, dtype)
    assert saved.keys() == original.keys()
    assert len(updates) == 14
    for name, value in original.items():
        assert saved[name].dtype == kind
        if name not in updates:  # embeddings and norms
            assert torch.equal(saved[name], value.to(kind))
            continue
        trained_on, step = QUANTIZED[quantization](value.to(kind))
        expected = trained_on.double() + updates[name]
        off = (saved[name].double() - expected).abs()
        # Half a unit of the last place, and what float32 sums leave uncertain before it.
        bound = expected.abs() * torch.finfo(kind).eps / 2 + 1e-6
        wrong = off > bound
        # A weight halfway between two of int8's steps may go to either.
        assert wrong.double().mean() <= (0.005 if quantization == "int8" else 0)
        assert (off <= bound + step).all()


def int8(value):
    """LLM.int8() (arXiv 2208.07339 §2): a row's largest weight is 127 steps; in float16, as bitsandbytes has it."""
    value = value.half().float()
    step = value.abs().amax(1, keepdim=True) / 127
    return (value / step).round() * step, step


def nf4(value):
    packed, state = functional.quantize_4bit(value, blocksize=64, compress_statistics=True, quant_type="nf4")
    return functional.dequantize_4bit(packed, state), torch.zeros(1)


QUANTIZED = {"nf4": nf4, "int8": int8}


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_it_is_what_dequantizing_the_whole_model_and_merging_gives(base, tmp_path, quantization):
    config, model = quantized(base, quantization, "float32")
    logits = model(IDS).logits
    folder = save_model(model, families.qwen3(), tmp_path / "model", config)
    save_adapter(model, families.qwen3(), tmp_path / "adapter")
    whole = load_model(config.model_copy(update={"lora": None}))
    whole = PeftModel.from_pretrained(whole.dequantize(), tmp_path / "adapter").merge_and_unload()
    ours = AutoModelForCausalLM.from_pretrained(folder)
    expected = whole.state_dict()
    for name, value in ours.state_dict().items():
        assert torch.allclose(value, expected[name].float(), rtol=0, atol=1e-3 if "proj" in name else 0), name
    with torch.no_grad():
        assert (ours(IDS).logits - whole(IDS).logits).abs().max() < 2e-3
        assert (ours(IDS).logits - logits).abs().max() < 2e-2  # bfloat16 adapters, and int8's rounded inputs
    # The model in hand is as it was.
    assert (model(IDS).logits - logits).abs().max() < 5e-3


@pytest.mark.parametrize("tied", [True, False])
def test_the_folder_is_plain_and_in_as_many_files_as_it_takes(tmp_path, tied):
    tokenizer = families.qwen3()
    base = save_model(llama(len(tokenizer), tied).bfloat16(), tokenizer, tmp_path / "base")
    config, model = quantized(base, "nf4")
    one = save_model(model, tokenizer, tmp_path / "one", config)
    assert sorted(file.name for file in one.glob("model*")) == ["model.safetensors"]
    folder = tmp_path / "many"
    save_merged(model, folder, shard_bytes=40_000)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) > 3
    assert all(file.stat().st_size < 50_000 for file in files)
    assert set(index["weight_map"].values()) == {file.name for file in files}
    first, second = (AutoModelForCausalLM.from_pretrained(place, dtype="auto") for place in (one, folder))
    assert first.dtype == torch.bfloat16
    assert (first.lm_head.weight is first.model.embed_tokens.weight) == tied
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())
    told = json.loads((one / "config.json").read_text())
    assert told["architectures"] == ["LlamaForCausalLM"]
    assert "quantization_config" not in told
    assert first.generation_config.eos_token_id[0] == tokenizer.eos_token_id
    assert AutoTokenizer.from_pretrained(one).chat_template == tokenizer.chat_template


def test_a_base_in_torchs_own_format_and_a_merged_one_are_bases_like_any(base, tmp_path):
    tokenizer = families.qwen3()
    old = tmp_path / "old"
    AutoTokenizer.from_pretrained(base).save_pretrained(old)
    plain = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
    plain.config.save_pretrained(old)
    torch.save(plain.state_dict(), old / "pytorch_model.bin")
    config, model = quantized(old, "nf4")
    first = save_model(model, tokenizer, tmp_path / "first", config)
    _, same = quantized(base, "nf4")
    assert _equal(first, save_model(same, tokenizer, tmp_path / "same", config))
    # The next stage's adapters stand on what the first one left, quantized again.
    again = stirred(load_model(config, first, trainable=True))
    second = save_model(again, tokenizer, tmp_path / "second", config)
    with torch.no_grad():
        gap = AutoModelForCausalLM.from_pretrained(second)(IDS).logits - again(IDS).logits
    assert gap.abs().max() < 0.1
    assert not _equal(first, second)


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_a_base_that_was_published_quantized_is_merged_like_any(base, tmp_path, quantization):
    tokenizer = families.qwen3()
    config, model = quantized(base, quantization)
    plain = save_model(model, tokenizer, tmp_path / "plain", config)
    published = tmp_path / "published"
    load_model(config.model_copy(update={"lora": None})).save_pretrained(published)
    tokenizer.save_pretrained(published)
    config, model = quantized(published, quantization)
    assert _equal(plain, save_model(model, tokenizer, tmp_path / "model", config))
    other = "int8" if quantization == "nf4" else "none"
    with pytest.raises(DataError, match=f"recipe says quantization: {other}; set model.quantization: {quantization}"):
        load_model(config.model_copy(update={"quantization": other}), trainable=True)


def _equal(one: Path, other: Path) -> bool:
    pair = [load_file(folder / "model.safetensors") for folder in (one, other)]
    return all(torch.equal(value, pair[1][name]) for name, value in pair[0].items())


def test_what_is_no_plain_update_is_refused_before_anything_is_written(base, tmp_path):
    config = ModelConfig(path=str(base), dtype="bfloat16", quantization="nf4")
    dora = get_peft_model(load_model(config), LoraConfig(target_modules=["q_proj"], use_dora=True))
    with pytest.raises(DataError, match=r"an adapter with PEFT's DoraLinearVariant can't be merged .*handover: carry"):
        save_model(dora, families.qwen3(), tmp_path / "model", config)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------ every kind of plain adapter

KINDS = {
    "rslora": {"use_rslora": True},
    "patterns": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 32}},
    "embedding": {"target_modules": ["q_proj", "embed_tokens"]},
    "head": {"target_modules": ["q_proj", "lm_head"]},
    "trained whole": {"modules_to_save": ["lm_head"]},
    "dora": {"use_dora": True},
}


def variant(kind: str):
    """A float32 model with an adapter of a kind, and a second of the same weights."""
    for _ in range(2):
        model = llama(300, tied=False)
        lora = LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"], **KINDS[kind]})
        model = stirred(get_peft_model(model, lora))
        for name, weight in model.named_parameters():
            if "modules_to_save" in name:
                weight.data += 0.1
        yield model


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_adapter_is_folded_as_peft_folds_it(tmp_path, kind):
    ours, reference = variant(kind)
    with torch.no_grad():
        before = ours(IDS).logits
    if kind != "dora":
        save_merged(ours, tmp_path / "model")
        with torch.no_grad():
            assert (AutoModelForCausalLM.from_pretrained(tmp_path / "model")(IDS).logits - before).abs().max() < 1e-4
            assert torch.equal(ours(IDS).logits, before)
    expected = reference.merge_and_unload().state_dict()
    folded = fold(ours).state_dict()
    assert folded.keys() == expected.keys()
    for name, value in folded.items():
        assert torch.allclose(value, expected[name], rtol=0, atol=1e-6), name


def test_a_transposed_layer_and_a_bias_are_folded_too(tmp_path):
    def made():
        torch.manual_seed(0)
        model = GPT2LMHeadModel(GPT2Config(vocab_size=300, n_embd=32, n_layer=1, n_head=2, n_positions=64))
        lora = LoraConfig(r=4, lora_alpha=8, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True, lora_bias=True)
        return stirred(get_peft_model(model, lora)).eval()

    ours, reference = made(), made()
    with torch.no_grad():
        before = ours(IDS).logits
    save_merged(ours, tmp_path / "model")
    with torch.no_grad():
        assert (AutoModelForCausalLM.from_pretrained(tmp_path / "model")(IDS).logits - before).abs().max() < 1e-4
    expected = reference.merge_and_unload().state_dict()
    assert all(torch.allclose(value, expected[name], atol=1e-6) for name, value in fold(ours).state_dict().items())


@pytest.mark.parametrize("adapter", [torch.float32, torch.bfloat16])
def test_bfloat16_weights_are_summed_in_float32_and_rounded_once(adapter):
    base = llama(300).bfloat16()
    before = {name: value.clone() for name, value in base.state_dict().items()}
    model = stirred(get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj"])))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = weight.data.to(adapter)
    updates = adapters(model)
    assert len(updates) == 2
    after = fold(model).state_dict()
    for name, update in updates.items():
        exact = before[name].double() + update
        # One rounding: never further than half a step of bfloat16 from the exact sum.
        assert ((after[name].double() - exact).abs() <= exact.abs() * 2**-8 * 1.01 + 1e-9).all()
        assert after[name].dtype == torch.bfloat16


# ------------------------------------------------------------------------------------------------- memory

MEASURE = """
import ctypes, sys, torch
from pathlib import Path
from peft import LoraConfig, get_peft_model
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.load import load_model
from magistral_recipe.models.merge import save_merged

def kilobytes(key):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))

model = load_model(ModelConfig(path=sys.argv[1], dtype="bfloat16", quantization="nf4"))
model = get_peft_model(model, LoraConfig(r=8, target_modules="all-linear"))
save_merged(model, Path(sys.argv[2]) / "first", shard_bytes=int(sys.argv[3]))  # libraries are loaded, caches are full
ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back
Path("/proc/self/clear_refs").write_text("5")  # the peak is measured anew
start = kilobytes("VmRSS")
save_merged(model, Path(sys.argv[2]) / "second", shard_bytes=int(sys.argv[3]))
print(start * 1024, kilobytes("VmHWM") * 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux: the peak is read from /proc")
def test_saving_a_merge_takes_less_than_two_files_of_ram(tmp_path):
    tokenizer = families.qwen3()
    wide = {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 6, "num_attention_heads": 8}
    model = llama(len(tokenizer), **wide).bfloat16()
    base = save_model(model, tokenizer, tmp_path / "base")
    whole = sum(parameter.numel() * 2 for parameter in model.parameters())
    shard = 32_000_000
    del model
    arguments = [sys.executable, "-c", MEASURE, str(base), str(tmp_path), str(shard)]
    # Weights of real models are above 32 MB, where the allocator maps each by itself; these are to be treated alike.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"}
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, env=environment)
    start, peak = map(int, done.stdout.split()[-2:])
    files = list((tmp_path / "second").glob("*.safetensors"))
    assert len(files) >= 4
    assert whole > 4 * shard  # a merge of the whole model would not pass
    assert peak - start < 2 * shard
    assert peak - start < 1.1 * merge_ram_of(shard, 1024 * 3072)


def merge_ram_of(shard: int, largest: int) -> int:
    """`merge_ram` for files of another size."""
    return merge_ram(largest, 10**12, "bfloat16") - SHARD_BYTES + shard


def test_the_ram_that_is_told_is_a_file_and_the_largest_weight_twice():
    largest, total = 131_072 * 5_120, 24 * 10**9
    assert merge_ram(largest, total, "bfloat16") == SHARD_BYTES + 4 * largest + 2 * largest
    assert merge_ram(1000, 5000, "bfloat16") == 2 * 5000 + 6 * 1000  # one small file
    huge = 3 * SHARD_BYTES
    assert merge_ram(huge, 2 * huge, "bfloat16") == 2 * huge + 6 * huge  # a weight larger than a file


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_released_weights_take_no_memory_whoever_refers_to_them(base, quantization):
    _, model = quantized(base, quantization)
    inner = model.get_base_model().model.layers[0].self_attn.q_proj
    release_weights(model)
    assert sum(tensor.numel() for tensor in [*model.parameters(), *model.buffers()]) == 0
    layer = inner.get_base_layer()
    held = [value for value in vars(layer).values() if isinstance(value, torch.Tensor)]
    assert sum(tensor.numel() for tensor in held) == 0
    assert getattr(layer.weight, "quant_state", None) is None
    assert getattr(layer.weight, "SCB", None) is None or layer.weight.SCB.numel() == 0
