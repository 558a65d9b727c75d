"""What backends share: prompts are tokenized once and as the template wrote them, completions end at a stop token."""

from __future__ import annotations

import pytest
from vllm_stand_in import Foretold

from magistral_recipe.generation import Request, Sampling
from magistral_recipe.generation.backend import Backend, Encoded
from magistral_recipe.generation.hf import HFGenerator
from magistral_recipe.generation.vllm import VLLMGenerator
from magistral_recipe.writing.chat_format import ChatFormat

MESSAGES = [{"role": "user", "content": "1+1?"}]


class Plain(Backend):
    """The shared part alone, counting how often it renders."""

    rendered = 0

    def stream(self, requests, sampling: Sampling):
        yield from ()

    def render(self, prompt):
        self.rendered += 1
        return super().render(prompt)


@pytest.fixture
def backend(tokenizer):
    ChatFormat().install(tokenizer)
    return Plain(tokenizer, [2, 5])


def test_each_prompt_is_tokenized_once_and_requests_keep_their_order(backend):
    requests = [Request(id_, sample, prompt) for sample in range(3) for id_, prompt in (("a", MESSAGES), ("b", "raw"))]
    encoded = backend.encode(requests)
    assert [row.request for row in encoded] == requests
    assert backend.rendered == 2
    assert encoded[0].ids == ChatFormat().prompt_ids(backend.tokenizer, "1+1?")
    assert encoded[0].text == backend.tokenizer.apply_chat_template(
        MESSAGES, add_generation_prompt=True, tokenize=False
    )
    assert encoded[1][1:] == ("raw", backend.tokenizer("raw")["input_ids"])


@pytest.mark.parametrize(
    ("written", "kept", "truncated"),
    [([40, 41, 5, 2, 0], (40, 41, 5), False), ([40, 41], (40, 41), True), ([2], (2,), False), ([], (), True)],
)
def test_a_completion_is_cut_behind_its_first_stop_token(backend, written, kept, truncated):
    encoded = Encoded(Request("a", 0, "raw"), "raw", [7])
    done = backend.finish(encoded, written)
    assert (done.request, done.prompt, done.ids, done.truncated) == (encoded.request, "raw", kept, truncated)
    letters = [token for token in kept if token not in (2, 5)]
    assert done.text == backend.tokenizer.decode(letters)


def test_both_backends_put_the_same_question(model, tokenizer):
    ChatFormat().install(tokenizer)
    requests = [Request("a", 0, MESSAGES), Request("b", 0, "raw text")]
    encoded = [
        each.encode(requests) for each in (HFGenerator(model, tokenizer), VLLMGenerator(Foretold("model"), tokenizer))
    ]
    assert encoded[0] == encoded[1]
