"""What every backend holds to: transformers, vLLM (a stand-in, which proves the calls), an endpoint.

The endpoint is asked twice: `transformers serve`, which is somebody else's server, and one here that gives completions
by their seed. Bits are equal for transformers alone; ids, stop tokens, limits and going on hold for all.
"""

from __future__ import annotations

import pytest
from loopback import loopback
from served import served
from vllm_stand_in import Policy, put_in_place

from magistral_recipe.curation.ratings import each_sample, rate_problems
from magistral_recipe.data.problems import Problem
from magistral_recipe.evaluation.settings import EvaluationSettings
from magistral_recipe.generation import Request, Sampling, generate
from magistral_recipe.generation.endpoint.config import EndpointConfig
from magistral_recipe.generation.endpoint.generator import EndpointGenerator
from magistral_recipe.generation.hf import HFGenerator
from magistral_recipe.generation.vllm import VLLMGenerator
from magistral_recipe.writing.chat_format import ChatFormat

BACKENDS = ("transformers", "vllm", "endpoint", "transformers serve")
SAMPLING = Sampling(temperature=1.0, max_new_tokens=12, seed=7)
CHAT = ChatFormat()
PROBLEMS = [Problem(id=f"p/{n}", problem=f"What is {n} + 2?", answer=str(n + 2)) for n in range(6)]
MESSAGES = [{"role": "user", "content": "What is 1 + 2?"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, byte_tokenizer):
    """The byte model as a folder, with a template that ends turns; a served one draws by its own settings."""
    from byte_model import byte_policy

    place = tmp_path_factory.mktemp("model")
    byte_tokenizer.chat_template = None
    CHAT.install(byte_tokenizer)
    model = byte_policy()
    model.generation_config.do_sample = True
    model.save_pretrained(place)
    byte_tokenizer.save_pretrained(place)
    return place


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request, folder, byte_tokenizer):
    """A generator on the byte model, and what it stops on."""
    from byte_model import byte_policy

    with pytest.MonkeyPatch.context() as patch:
        if request.param == "transformers":
            yield HFGenerator(byte_policy(), byte_tokenizer)
        elif request.param == "vllm":
            put_in_place(patch, Policy)
            yield VLLMGenerator(Policy(str(folder), dtype="float32"), byte_tokenizer)
        else:
            with loopback() if request.param == "endpoint" else served(folder) as there:
                url, name = (there.url, "m") if request.param == "endpoint" else (there, str(folder))
                yield EndpointGenerator(EndpointConfig(endpoint=url, name=name, concurrency=3), CHAT.thinking)


def test_every_request_is_answered_once_under_its_own_id(backend):
    wanted = [Request(f"p/{n}", sample, MESSAGES if n % 2 else "raw text") for n in range(4) for sample in range(3)]
    done = [completion for batch in backend.stream(wanted, SAMPLING) for completion in batch]
    key = lambda request: (request.id, request.sample)  # noqa: E731
    assert sorted((each.request for each in done), key=key) == sorted(wanted, key=key)
    assert all(("What is 1 + 2?" if int(each.request.id[2:]) % 2 else "raw text") in each.prompt for each in done)
    assert list(backend.stream([], SAMPLING)) == []


def test_completions_end_at_their_stop_token_or_are_cut_at_the_limit(backend):
    ((*done,),) = generate(backend, [("p", MESSAGES)], 16, SAMPLING)
    assert [each.request.sample for each in done] == list(range(16))
    assert len({each.text for each in done}) > 8  # each sample has a seed of its own
    for each in done:
        assert 0 < each.tokens <= SAMPLING.max_new_tokens
        assert not each.truncated or each.tokens == SAMPLING.max_new_tokens
        assert not any(end in each.text for end in ("</s>", "<pad>", "<s>"))
        assert not each.ids or len(each.ids) == each.tokens


class DiesLater:
    """A generator that dies after some completions, and counts what it is asked."""

    def __init__(self, inner, after):
        self.inner, self.after, self.asked = inner, after, []

    def stream(self, requests, sampling):
        self.asked = [(request.id, request.sample) for request in requests]
        finished = 0
        for batch in self.inner.stream(requests, sampling):
            yield batch
            finished += len(batch)
            if self.after is not None and finished >= self.after:
                raise RuntimeError("the machine is gone")


def test_a_filter_that_died_goes_on_with_nothing_lost_and_nothing_drawn_twice(backend, tmp_path):
    settings = EvaluationSettings(samples=3, temperature=1.0, max_new_tokens=8, greedy=False)
    if hasattr(backend, "max_rows"):
        backend.max_rows = 4  # batches that are fewer than all

    def rate(after):
        generator = DiesLater(backend, after)
        tallies = rate_problems(PROBLEMS, generator, CHAT, settings, tmp_path)
        return generator, tallies

    with pytest.raises(RuntimeError, match="the machine is gone"):
        rate(5)
    before = list(each_sample(tmp_path))
    assert 5 <= len(before) < 18
    generator, tallies = rate(None)
    assert not {(sample.problem, sample.sample) for sample in before} & set(generator.asked)
    assert len(before) + len(generator.asked) == 18
    keys = [sample.key for sample in each_sample(tmp_path)]
    assert len(keys) == len(set(keys)) == 18
    assert all(tally.samples == 3 for tally in tallies.values())
    assert rate(None)[0].asked == []
