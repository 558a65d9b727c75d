"""The vLLM backend against a stand-in for vLLM: what it is asked, what comes back, and how it fails."""

from __future__ import annotations

import json
import sys

import pytest
from vllm_stand_in import Foretold, put_in_place

from magistral_recipe.errors import DataError, RunError
from magistral_recipe.generation import Request, Sampling, generate
from magistral_recipe.generation.interface import request_seed
from magistral_recipe.generation.vllm import VLLMGenerator
from magistral_recipe.writing.chat_format import ChatFormat

SAMPLING = Sampling(temperature=0.7, top_p=0.95, max_new_tokens=12, seed=5)


@pytest.fixture
def vllm(monkeypatch):
    return put_in_place(monkeypatch)


@pytest.fixture
def chat_tokenizer(tokenizer):
    ChatFormat().install(tokenizer)
    return tokenizer


def requests(count):
    return [Request(f"p{i}", n, [{"role": "user", "content": "x" * (1 + i % 7)}]) for i in range(count) for n in (0, 1)]


def test_every_request_has_a_seed_of_its_own(vllm, chat_tokenizer):
    generator = VLLMGenerator(Foretold("model"), chat_tokenizer)
    done = [completion for batch in generator.stream(requests(8), SAMPLING) for completion in batch]
    params = [param for _, part in generator.engine.calls for param in part]
    assert len(done) == len(params) == 16
    assert {param.seed for param in params} == {request_seed(5, request) for request in requests(8)}
    assert len({param.seed for param in params}) == 16
    assert all(0 <= param.seed < 2**63 for param in params)
    assert {(p.n, p.temperature, p.top_p, p.max_tokens, p.skip_special_tokens) for p in params} == {
        (1, 0.7, 0.95, 12, False)
    }
    assert all(param.stop_token_ids == [2] for param in params)
    assert [len(prompts) for prompts, _ in generator.engine.calls] == [16]
    lengths = [len(prompt["prompt_token_ids"]) for prompts, _ in generator.engine.calls for prompt in prompts]
    assert lengths == sorted(lengths, reverse=True)


def test_seeds_are_pinned():
    """Another version must draw the same samples."""
    assert request_seed(0, Request("a", 0, "")) == 2646916027045007593
    assert request_seed(0, Request("a", 1, "")) != request_seed(1, Request("a", 0, ""))


def test_a_sample_does_not_depend_on_what_else_is_asked(vllm, chat_tokenizer):
    wanted = requests(9)
    whole = [d for b in VLLMGenerator(Foretold("model"), chat_tokenizer).stream(wanted, SAMPLING) for d in b]
    again = [
        d
        for half in (wanted[::2], wanted[1::2])
        for b in VLLMGenerator(Foretold("model"), chat_tokenizer).stream(half, SAMPLING)
        for d in b
    ]
    by_key = {(d.request.id, d.request.sample): (d.ids, d.text, d.truncated) for d in again}
    assert by_key == {(d.request.id, d.request.sample): (d.ids, d.text, d.truncated) for d in whole}
    assert {d.truncated for d in again} == {True, False}


def test_completions_end_at_the_stop_token_and_prompts_are_those_of_the_template(vllm, chat_tokenizer):
    ((first,),) = generate(VLLMGenerator(Foretold("model"), chat_tokenizer), [("p", "raw text")], 1, SAMPLING)
    assert first.prompt == "raw text"
    assert first.truncated is (first.ids[-1] != 2)
    generator = VLLMGenerator(Foretold("model"), chat_tokenizer)
    messages = [{"role": "user", "content": "hello"}]
    ((second,),) = generate(generator, [("p", messages)], 1, SAMPLING)
    ids = generator.engine.calls[0][0][0]["prompt_token_ids"]
    assert ids == ChatFormat().prompt_ids(chat_tokenizer, "hello")
    assert second.prompt == chat_tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)


def test_a_completion_comes_when_it_is_finished_and_the_next_call_gets_none_of_those_left(vllm, chat_tokenizer):
    generator = VLLMGenerator(Foretold("model"), chat_tokenizer)
    stream = generator.stream(requests(8), SAMPLING)
    first = next(stream)
    assert (len(first), generator.engine.steps) == (1, 1)  # the stand-in finishes one a step, the last first
    stream.close()
    assert not generator.engine.queue
    again = [done.request for batch in generator.stream(requests(2), SAMPLING) for done in batch]
    assert sorted(again, key=str) == sorted(requests(2), key=str)
    assert list(generator.stream([], SAMPLING)) == []


def test_a_dead_engine_is_one_line_and_keeps_what_is_finished(vllm, chat_tokenizer):
    generator = VLLMGenerator(Foretold("model"), chat_tokenizer)
    generator.engine.dies_at = 5
    stream = generator.stream(requests(4), SAMPLING)
    finished = [next(stream) for _ in range(4)]
    assert all(len(batch) == 1 for batch in finished)
    with pytest.raises(RunError) as caught:
        next(stream)
    assert str(caught.value) == "vLLM stopped: EngineCore died; what is finished is kept, the same command goes on"


def test_an_adapter_goes_along_with_every_request_and_a_4_bit_model_through_bitsandbytes(
    vllm, chat_tokenizer, tmp_path
):
    config = {"peft_type": "LORA", "r": 12, "bias": "none"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    (tmp_path / "adapter_model.safetensors").touch()
    generator = VLLMGenerator.load("base", chat_tokenizer, quantization="nf4", adapter=tmp_path)
    options = generator.engine.options
    assert (options["quantization"], options["enable_lora"], options["max_lora_rank"]) == ("bitsandbytes", True, 16)
    assert len(generate(generator, [("p", "raw")], 2, SAMPLING)[0]) == 2
    assert generator.engine.ledger == [("add_lora", "adapter", 1, str(tmp_path))]
    for mistaken, kind, why in (
        ({"use_dora": True}, "bfloat16", "vLLM does not know LoRA with use_dora"),
        ({}, "float32", "compute in 16 bits: set model.dtype: bfloat16"),
    ):
        (tmp_path / "adapter_config.json").write_text(json.dumps(config | mistaken))
        with pytest.raises(DataError, match=why):
            VLLMGenerator.load("base", chat_tokenizer, dtype=kind, adapter=tmp_path)
    with pytest.raises(DataError, match="to 4 bits, not to 8"):
        VLLMGenerator.load("base", chat_tokenizer, quantization="int8")


def test_loading(vllm, chat_tokenizer, monkeypatch):
    generator = VLLMGenerator.load("some/model", chat_tokenizer, dtype="float16", revision="abc", stop_ids=[2, 1])
    assert generator.engine.options["model"] == "some/model"
    assert (generator.engine.options["dtype"], generator.engine.options["revision"]) == ("float16", "abc")
    assert generator.stop_ids == [2, 1]

    def broken(**options):
        raise RuntimeError("no GPU\nat all")

    vllm.LLM = broken
    with pytest.raises(RunError, match="vLLM can't start on some/model: no GPU"):
        VLLMGenerator.load("some/model", chat_tokenizer)
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(DataError, match="vLLM isn't installed"):
        VLLMGenerator.load("some/model", chat_tokenizer)
