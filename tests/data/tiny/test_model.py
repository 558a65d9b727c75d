"""The embedded base: what ships, what it can do, and that its rebuild resumes to the same weights."""

from dataclasses import replace

import pytest

from magistral_recipe.data import tiny

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model():
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny.model_path(), dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny.model_path())


def test_folder_is_small_and_complete():
    names = {path.name for path in tiny.model_path().iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "generation_config.json", "README.md"} <= names
    assert sum(path.stat().st_size for path in tiny.model_path().iterdir()) <= 4_000_000


def test_architecture_is_mistral_with_widths_that_quantise(model):
    assert model.config.architectures == ["MistralForCausalLM"]
    assert 1_000_000 <= model.num_parameters() <= 2_000_000
    assert all(size % 64 == 0 for p in model.parameters() if p.ndim == 2 for size in p.shape)
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_tags_are_single_plain_tokens_and_text_survives(tokenizer):
    for tag in ("<think>", "</think>", "<|im_start|>"):
        (token,) = tokenizer(tag)["input_ids"]
        assert tokenizer.decode([token], skip_special_tokens=True) == tag
    assert tokenizer.eos_token == "<|im_end|>"
    traces = tiny.traces(100)
    assert len(traces) == 100
    for row in traces:
        ids = tokenizer(row["completion"])["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=True) == row["completion"]
        assert len(ids) < 88  # what the quickstart allows
    foreign = "Привет, 世界 🙂 \\frac{1}{2}\n\n\tx"
    assert tokenizer.decode(tokenizer(foreign)["input_ids"]) == foreign


def test_rebuild_trains_the_shipped_tokenizer(tokenizer):
    from magistral_recipe.data.tiny.pretraining import Pretraining
    from magistral_recipe.data.tiny.tokenizer import train_tokenizer

    rebuilt = train_tokenizer(Pretraining.seed)
    assert rebuilt.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()


def test_digits_are_single(tokenizer):
    assert tokenizer.tokenize("1234") == ["1", "2", "3", "4"]


def test_generation_stops_where_a_turn_ends(model, tokenizer):
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id != tokenizer.eos_token_id


def test_base_reckons_in_plain_text_and_is_weak_at_the_hard_kind(model, tokenizer):
    from magistral_recipe.data.tiny.card import measure

    scores = measure(model, tokenizer, count=160)
    easy = ("addition", "subtraction", "add_subtract")
    assert min(scores["greedy"][kind] for kind in easy) > 0.65
    sampled = scores["temperature 1"]
    assert 0.2 < sampled["multiplication"] < 0.6
    assert sampled["multiplication"] < min(sampled[kind] for kind in easy) - 0.1


def test_pretraining_resumes_to_the_same_weights(tmp_path, tokenizer):
    from magistral_recipe.data.tiny.pretraining import Pretraining
    from magistral_recipe.data.tiny.rebuild import pretrain

    settings = replace(
        Pretraining(), steps=4, rows=2, row_length=64, warmup=2, hidden=64, layers=1, heads=2, feed_forward=64
    )
    straight = pretrain(tokenizer, settings, tmp_path, save_every=2).state_dict()
    whole = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert whole["step"] == 4

    class KilledError(Exception):
        pass

    (tmp_path / "checkpoint.pt").unlink()
    rows = 0

    def dying(*args, **kwargs):
        nonlocal rows
        for batch in original(*args, **kwargs):
            if rows == 3:
                raise KilledError
            rows += 1
            yield batch

    from magistral_recipe.data.tiny import rebuild

    original = rebuild.packed_batches
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rebuild, "packed_batches", dying)
        with pytest.raises(KilledError):
            pretrain(tokenizer, settings, tmp_path, save_every=2)
    resumed = pretrain(tokenizer, settings, tmp_path, save_every=2).state_dict()
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_model_loads_in_four_bits_on_a_cpu(tokenizer):
    pytest.importorskip("bitsandbytes")
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    quantized = AutoModelForCausalLM.from_pretrained(
        tiny.model_path(),
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32
        ),
        device_map="cpu",
    )
    inputs = tokenizer("Was ist 12 plus 13?\n", return_tensors="pt")
    logits = quantized(input_ids=inputs["input_ids"]).logits
    assert torch.isfinite(logits).all()
