"""The transformers backend: the same samples however they are batched, and nothing around it disturbed."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from magistral_recipe.generation import Completion, Request, Sampling, generate
from magistral_recipe.generation.backend import Encoded
from magistral_recipe.generation.hf import HFGenerator
from magistral_recipe.writing.chat_format import ChatFormat

SAMPLING = Sampling(temperature=1.0, max_new_tokens=16, seed=7)


def requests(count: int, samples: int = 2) -> list[Request]:
    return [
        Request(f"p{i}", sample, "abc " * (1 + i % 7) + "x" * (i % 5))
        for i in range(count)
        for sample in range(samples)
    ]


def drawn(
    generator: HFGenerator, wanted: list[Request], sampling: Sampling = SAMPLING
) -> dict[tuple[str, int], Completion]:
    return {(c.request.id, c.request.sample): c for batch in generator.stream(wanted, sampling) for c in batch}


# Two threads on busy cores wait for one another at every step: a short test is enough to tell.
@pytest.mark.parametrize(("threads", "problems", "tokens"), [(1, 12, 16), (2, 5, 5)])
def test_a_sample_does_not_depend_on_its_batch(model, tokenizer, threads, problems, tokens):
    sampling = Sampling(temperature=1.0, max_new_tokens=tokens, seed=7)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        wanted = requests(problems)
        whole = drawn(HFGenerator(model, tokenizer), wanted, sampling)
        budgeted = drawn(HFGenerator(model, tokenizer, token_budget=400), wanted, sampling)
        shuffled = random.Random(0).sample(wanted, len(wanted))
        sharded = drawn(HFGenerator(model, tokenizer), shuffled[::2], sampling)
        sharded |= drawn(HFGenerator(model, tokenizer, max_rows=3), shuffled[1::2], sampling)
        alone = drawn(HFGenerator(model, tokenizer), wanted[5:6], sampling)
    finally:
        torch.set_num_threads(before)
    assert len({c.ids for c in whole.values()}) > problems  # not all the same thing
    assert whole == budgeted == sharded
    assert alone.items() <= whole.items()


@pytest.mark.parametrize(("device", "lengths"), [("cpu", [[40, 41], [30], [2, 1]]), ("cuda", [[40, 41, 30], [2, 1]])])
def test_only_a_cpu_keeps_prompts_of_other_lengths_apart(model, tokenizer, monkeypatch, device, lengths):
    generator = HFGenerator(model, tokenizer, token_budget=3 * (48 + 16))
    generator.model = SimpleNamespace(device=torch.device(device))
    monkeypatch.setattr(generator, "encode", lambda asked: [Encoded(each, "", [0] * int(each.id)) for each in asked])
    wanted = [Request(str(length), 0, "") for length in (2, 40, 1, 30, 41)]
    assert [[len(row.ids) for row in batch] for batch in generator._batches(wanted, SAMPLING)] == lengths


def test_noise_changes_with_seed_problem_and_sample(model, tokenizer):
    generator = HFGenerator(model, tokenizer)
    wanted = [Request("a", 0, "abc"), Request("a", 1, "abc"), Request("b", 0, "abc")]
    first = drawn(generator, wanted)
    other_seed = drawn(generator, wanted, Sampling(temperature=1.0, max_new_tokens=16, seed=8))
    assert len({c.ids for c in (*first.values(), *other_seed.values())}) == 6


def test_a_lower_limit_only_cuts(model, tokenizer):
    generator = HFGenerator(model, tokenizer)
    long = drawn(generator, requests(6))
    short = drawn(generator, requests(6), Sampling(temperature=1.0, max_new_tokens=5, seed=7))
    assert len(long) == len(short) == len(requests(6)) > 0
    assert all(short[key].ids == long[key].ids[:5] for key in long)


def test_temperature_zero_is_greedy_decoding(model, tokenizer):
    ids = tokenizer("abc abc", return_tensors="pt").input_ids
    with torch.no_grad():
        for _ in range(6):
            ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
    done = drawn(HFGenerator(model, tokenizer), [Request("a", 0, "abc abc")], Sampling(0.0, max_new_tokens=6))
    written = list(done["a", 0].ids)
    assert written == ids[0, -6:].tolist()[: len(written)]
    assert done["a", 0].truncated == (tokenizer.eos_token_id not in written)


def test_stopping_ends_a_completion_and_the_limit_truncates_it(model, tokenizer):
    done = drawn(HFGenerator(model, tokenizer), requests(20, 4), Sampling(1.0, max_new_tokens=60, seed=1))
    stopped = [c for c in done.values() if not c.truncated]
    cut = [c for c in done.values() if c.truncated]
    assert stopped
    assert cut
    assert all(c.ids.index(tokenizer.eos_token_id) == len(c.ids) - 1 for c in stopped)
    assert all(len(c.ids) == 60 and tokenizer.eos_token_id not in c.ids for c in cut)
    assert all(tokenizer.eos_token not in c.text for c in done.values())


def test_generation_disturbs_nothing(model, tokenizer):
    model.generation_config = GenerationConfig(repetition_penalty=5.0, eos_token_id=model.config.eos_token_id)
    config = model.generation_config
    model.train()
    state, python, numpy = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    penalised = drawn(HFGenerator(model, tokenizer), requests(4))
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == python
    assert (np.random.get_state()[1] == numpy).all()
    assert model.training
    assert model.generation_config is config
    model.generation_config = GenerationConfig(eos_token_id=model.config.eos_token_id)
    assert drawn(HFGenerator(model, tokenizer), requests(4)) == penalised  # a model's own penalties don't act


def test_chat_prompts_are_rendered_with_the_template(model, tokenizer):
    chat = ChatFormat(system_prompt="magistral")
    chat.install(tokenizer)
    done = generate(HFGenerator(model, tokenizer), [("a", chat.messages("1+1?"))], 2, Sampling(max_new_tokens=3))
    assert [c.request.sample for c in done[0]] == [0, 1]
    assert "1+1?" in done[0][0].prompt
    assert tokenizer(done[0][0].prompt, add_special_tokens=False)["input_ids"] == chat.prompt_ids(tokenizer, "1+1?")


def test_memory_running_out_halves_the_batch(model, tokenizer, monkeypatch):
    generator = HFGenerator(model, tokenizer)
    complete, sizes = generator._complete, []

    def small_memory(batch, sampling):
        sizes.append(len(batch))
        if len(batch) > 3:
            raise torch.cuda.OutOfMemoryError
        return complete(batch, sampling)

    expected = drawn(generator, requests(5))
    monkeypatch.setattr(generator, "_complete", small_memory)
    assert drawn(generator, requests(5)) == expected
    assert max(sizes) > 3


def test_repeated_ids_are_refused(model, tokenizer):
    with pytest.raises(ValueError, match="unique"):
        generate(HFGenerator(model, tokenizer), [("a", "x"), ("a", "y")], 1, SAMPLING)
