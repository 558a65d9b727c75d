"""Every backend draws by the model's own law and says so: held against a plain forward pass and against `generate`."""

from __future__ import annotations

import functools
from collections import Counter

import numpy as np
import pytest
import torch
from tiny_policy import policy
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from magistral_recipe.errors import RunError
from magistral_recipe.generation.rollouts.choose import choose_sampler, disagreement
from magistral_recipe.generation.rollouts.compiled import CompiledSampler, compiled_obstacle
from magistral_recipe.generation.rollouts.continuous import ContinuousSampler
from magistral_recipe.generation.rollouts.drawing import invert
from magistral_recipe.generation.rollouts.generate import GenerateSampler
from magistral_recipe.generation.rollouts.interface import Drawing

PROMPTS = [[5, 6, 7]] * 4 + [[9]] * 2 + [[8, 3, 4, 5, 6, 11, 12]] * 3
LIMITS = [20, 3, 40, 1, 9, 70, 33, 12, 5]
KEYED = [GenerateSampler, CompiledSampler]
EVERY = [*KEYED, ContinuousSampler]


def samples_of(sampler, prompts=PROMPTS, limits=LIMITS, seed=3, first=0):
    samples = [sample for batch in sampler.sample(prompts, limits, seed, first) for sample in batch]
    assert sorted(sample.row for sample in samples) == list(range(len(prompts)))
    return sorted(samples, key=lambda sample: sample.row)


def forward_logps(model, prompt, ids, temperature=1.0):
    with torch.no_grad():
        logits = model.eval()(input_ids=torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1]
    logps = (logits.double() / temperature).log_softmax(-1)
    return logps[torch.arange(len(ids)), ids].tolist()


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_recorded_log_probabilities_are_the_models_own(kind, temperature):
    for sample in samples_of(kind(policy(), Drawing(temperature=temperature, stop_ids=(1, 2), pad_id=0))):
        expected = forward_logps(policy(), PROMPTS[sample.row], sample.ids, temperature)
        np.testing.assert_allclose(sample.logps, expected, atol=1e-5)


@pytest.mark.parametrize("kind", KEYED)
def test_a_part_of_a_round_is_drawn_as_in_the_whole(kind):
    whole = samples_of(kind(policy(), Drawing(stop_ids=(1,))))
    for part in (slice(0, 3), slice(3, 9)):
        drawn = samples_of(kind(policy(), Drawing(stop_ids=(1,))), PROMPTS[part], LIMITS[part], first=part.start)
        assert [sample.ids for sample in drawn] == [sample.ids for sample in whole[part]]
    assert drawn[0].ids != samples_of(kind(policy(), Drawing(stop_ids=(1,))), PROMPTS[3:], LIMITS[3:])[0].ids


def test_parts_of_a_group_are_not_drawn_alike_where_samples_are_not_keyed():
    sampler = ContinuousSampler(policy(), Drawing())
    parts = [samples_of(sampler, [[5, 6, 7]] * 4, [12] * 4, first=first) for first in (0, 4)]
    assert len({tuple(sample.ids) for part in parts for sample in part}) == 8
    sampler.close()


@pytest.mark.parametrize("kind", EVERY)
def test_a_completion_ends_at_its_stop_token_or_its_limit(kind):
    samples = samples_of(kind(policy(), Drawing(stop_ids=(1, 2), pad_id=0)))
    stopped = [sample.ids[-1] in (1, 2) for sample in samples]
    assert {True, False} <= set(stopped)
    for sample, stop in zip(samples, stopped, strict=True):
        assert not {1, 2} & set(sample.ids[:-1])
        assert stop or len(sample.ids) == LIMITS[sample.row]
        assert len(sample.logps) == len(sample.ids)
    without = samples_of(kind(policy(), Drawing()))
    assert [len(sample.ids) for sample in without] == LIMITS


MODELS = {
    "llama": lambda: policy(),
    "one head a group, tied": lambda: LlamaForCausalLM(
        LlamaConfig(
            vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
            tie_word_embeddings=True, initializer_range=0.2, rope_theta=100.0,
        )
    ),
    "qwen2": lambda: Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=1, initializer_range=0.2,
        )
    ),
    "qwen3": lambda: Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=16, initializer_range=0.2,
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_compiled_writes_the_tokens_that_generate_writes(name, temperature):
    torch.manual_seed(4)
    model = MODELS[name]().eval()
    drawing = Drawing(temperature=temperature, stop_ids=(1,))
    expected = samples_of(GenerateSampler(model, drawing))
    assert len({tuple(sample.ids) for sample in expected}) >= (3 if temperature == 0 else 6)
    for budget in (None, 200, 1):
        drawn = samples_of(CompiledSampler(model, drawing, token_budget=budget))
        assert [sample.ids for sample in drawn] == [sample.ids for sample in expected]
        for one, other in zip(drawn, expected, strict=True):
            np.testing.assert_allclose(one.logps, other.logps, atol=1e-5)


@pytest.mark.parametrize("kind", EVERY)
def test_pairs_of_tokens_come_as_often_as_the_model_says(kind):
    """Chi-squared over the first two tokens, at 1 in 10,000; the law by a plain forward pass."""
    prompt, rows = [5, 6, 7], 6000 if kind.keyed else 1500
    with torch.no_grad():
        first = policy().eval()(input_ids=torch.tensor([prompt])).logits[0, -1].double().softmax(-1)
        ids = torch.tensor([[*prompt, token] for token in range(len(first))])
        second = policy().eval()(input_ids=ids).logits[:, -1].double().softmax(-1)
    expected = (first[:, None] * second).flatten().numpy() * rows
    drawn = samples_of(kind(policy(), Drawing()), [prompt] * rows, [2] * rows, seed=9)
    counts = Counter(sample.ids[0] * len(first) + sample.ids[1] for sample in drawn)
    common = expected >= 5
    observed = np.array([counts[cell] for cell in range(len(expected))])
    cells = [*zip(observed[common], expected[common], strict=True), (observed[~common].sum(), expected[~common].sum())]
    assert len(cells) > 40
    statistic = sum((seen - wanted) ** 2 / wanted for seen, wanted in cells)
    # The quantile by Wilson and Hilferty (1931), 3.719 standard deviations out.
    spare = 2 / (9 * (len(cells) - 1))
    assert statistic < (len(cells) - 1) * (1 - spare + 3.719 * spare**0.5) ** 3


def test_a_token_is_where_the_cumulated_distribution_passes_the_noise():
    noise = torch.Generator().manual_seed(0)
    for size in (5, 256, 300, 1024):
        table = torch.rand(64, size, generator=noise)
        table[:, ::3] = 0
        drawn = invert(table, points := torch.rand(64, generator=noise, dtype=torch.float64)).tolist()
        sums = np.cumsum(table.double().numpy(), axis=1)
        assert drawn == [int(np.argmax(row > point * row[-1])) for row, point in zip(sums, points.numpy(), strict=True)]
    edge = torch.tensor([[0.0, 0.5, 0.5, 0.0, 0.0]])
    assert invert(edge, torch.tensor([0.0], dtype=torch.float64)).item() == 1
    assert invert(edge, torch.tensor([1 - 2**-53], dtype=torch.float64)).item() == 2


@pytest.mark.parametrize("kind", KEYED)
def test_out_of_memory_halves_the_rows_and_goes_on(kind, monkeypatch, caplog):
    expected = samples_of(kind(policy(), Drawing(stop_ids=(1,))))
    rows, model = [], policy()
    original = type(model).forward

    def small(self, input_ids=None, **arguments):
        rows.append(len(input_ids))
        if len(input_ids) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, input_ids=input_ids, **arguments)

    small.__signature__ = __import__("inspect").signature(original)
    monkeypatch.setattr(type(model), "forward", small)
    drawn = samples_of(kind(model, Drawing(stop_ids=(1,))))
    assert [sample.ids for sample in drawn] == [sample.ids for sample in expected]
    assert max(rows) > 3
    monkeypatch.setattr(
        type(model), "forward", lambda self, **_: (_ for _ in ()).throw(torch.OutOfMemoryError("out of memory"))
    )
    with pytest.raises(torch.OutOfMemoryError):
        samples_of(kind(model, Drawing()))


def test_completions_come_as_they_end_and_the_model_is_left_as_it_was():
    model = policy().train()
    config, state = model.generation_config, torch.get_rng_state()
    batches = list(CompiledSampler(model, Drawing()).sample(PROMPTS, LIMITS, 3))
    ends = [LIMITS[sample.row] for batch in batches for sample in batch]
    assert ends == sorted(LIMITS)
    assert len(batches) == len(set(LIMITS))
    assert model.training
    assert model.generation_config is config
    assert torch.equal(state, torch.get_rng_state())


def test_a_model_that_trains_is_visited_once_a_batch_of_completions_not_once_a_token(monkeypatch):
    model, calls = policy().train(), []
    original = type(model).eval
    monkeypatch.setattr(type(model), "eval", lambda self: (calls.append(1), original(self))[1])
    batches = list(CompiledSampler(model, Drawing()).sample(PROMPTS, LIMITS, 3))
    assert len(calls) == 1 + len(batches) < max(LIMITS)


def test_auto_takes_what_works_and_says_why(caplog):
    caplog.set_level("INFO")
    assert choose_sampler("auto", policy(), Drawing()).name == "compiled"
    sliding = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            use_sliding_window=True, sliding_window=4, max_window_layers=0,
        )
    )  # fmt: skip
    assert choose_sampler("auto", sliding, Drawing()).name == "generate"
    assert "layers of sliding_attention" in caplog.text
    with pytest.raises(RunError, match="compiled does not work with this model: it has layers of sliding"):
        choose_sampler("compiled", sliding, Drawing())
    without = Drawing(others={"suppress_tokens": [4]})
    assert choose_sampler("auto", policy(), without).name == "generate"
    assert compiled_obstacle(policy()) is None


def test_a_backend_that_draws_by_another_law_is_not_believed(monkeypatch):
    assert disagreement(CompiledSampler(policy(), Drawing())) is None
    sharper = CompiledSampler(policy(), Drawing())
    sharper._draw.temperature = 0.8
    assert "nats a token away" in disagreement(sharper)
    monkeypatch.setattr(CompiledSampler, "_step", lambda self: 1 / 0)
    assert disagreement(CompiledSampler(policy(), Drawing())) == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("name", ["compiled", "continuous"])
def test_float32_weights_are_sampled_under_autocast(name):
    bf16 = functools.partial(torch.autocast, "cpu", dtype=torch.bfloat16, cache_enabled=False)
    model = policy()
    sampler = choose_sampler(name, model, Drawing(), bf16)
    gaps = []
    for sample in samples_of(sampler):
        with bf16():
            expected = forward_logps(model, PROMPTS[sample.row], sample.ids)
        gaps += np.abs(np.subtract(sample.logps, expected)).tolist()
    assert np.mean(gaps) < 0.02  # rounding; of a sampler of the wrong law tens of times that
    if name == "compiled":  # kept as attention reads it, not as rotation leaves it
        assert {layer.dtype for layer in sampler._slots.layers} == {torch.bfloat16}
    sampler.close()


def test_other_settings_go_through_generate():
    (plain,) = samples_of(GenerateSampler(policy(), Drawing(temperature=0.0)), [[5, 6, 7]], [10])
    drawing = Drawing(temperature=0.0, others={"suppress_tokens": plain.ids[:1]})
    (sample,) = samples_of(GenerateSampler(policy(), drawing), [[5, 6, 7]], [10])
    model = policy().eval()
    config = {"do_sample": False, "max_new_tokens": 10, "suppress_tokens": plain.ids[:1], "eos_token_id": None}
    written = model.generate(torch.tensor([[5, 6, 7]]), attention_mask=torch.ones(1, 3), **config)
    assert sample.ids == written[0, 3:].tolist() != plain.ids


def test_one_manager_batches_continuously_for_the_run_whatever_the_weights_become():
    model = policy()
    sampler, state = ContinuousSampler(model, Drawing(stop_ids=(1, 2))), torch.get_rng_state()
    first = samples_of(sampler)
    manager = sampler._manager
    assert samples_of(sampler) == first  # a round repeats on a CPU
    assert samples_of(sampler, seed=4) != first
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.v_proj.weight.mul_(-1.5)
    for sample in samples_of(sampler):
        assert np.abs(np.subtract(sample.logps, forward_logps(model, PROMPTS[sample.row], sample.ids))).max() < 1e-5
    assert sampler._manager is manager
    samples_of(sampler, PROMPTS * 2, [80] * 18)  # more room than it was made for
    assert sampler._manager is not manager
    assert torch.equal(state, torch.get_rng_state())
    sampler.close()


def test_a_request_that_failed_is_no_completion(monkeypatch):
    model, original = policy(), LlamaForCausalLM.forward
    calls = []

    def breaks(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 4:
            raise error
        return original(self, *args, **kwargs)

    monkeypatch.setattr(LlamaForCausalLM, "forward", breaks)
    error = ValueError("a kernel's fault")
    with pytest.raises((RunError, ValueError), match="a kernel's fault"):
        samples_of(ContinuousSampler(model, Drawing()))
    calls.clear()
    error = torch.OutOfMemoryError("out of memory")
    drawn = samples_of(sampler := ContinuousSampler(model, Drawing()), [[5, 6, 7]] * 8, [12] * 8)
    assert [len(sample.ids) for sample in drawn] == [12] * 8
    assert len({tuple(sample.ids) for sample in drawn}) == 8  # the second half does not repeat the first
    sampler.close()
