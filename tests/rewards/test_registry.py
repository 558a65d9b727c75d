"""One test over the whole registry: every reward keeps the contract that TRL and other projects rely on."""

import json
import pickle
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from magistral_recipe.rewards import Thinking, registry
from magistral_recipe.rewards.base import Reward

OPTIONS = {"length": {"max_length": 40, "cache": 10}, "reasoning_language": {"language": "en"}}
TESTS = json.dumps({"type": "stdio", "cases": [{"input": "1", "output": "1"}]})
COMPLETIONS = [
    "<think>We add the two numbers and find the sum of both.</think>The sum is \\boxed{4}.",
    "<think>Nous ajoutons les deux nombres.</think>La somme vaut \\boxed{5}.",
    "<think>cut off",
    "",
    "\\boxed{4}" * 3,
]


def make(name):
    return registry.build(name, OPTIONS.get(name))


def columns(completions):
    count = len(completions)
    return {
        "answer": ["4"] * count, "kind": ["math"] * count, "language": ["en"] * count, "tests": [None] * count,
        "completion_ids": [list(range(len(text))) for text in completions],
    }  # fmt: skip


def score(reward, completions):
    return reward(prompts=["What is 2 + 2?"] * len(completions), completions=completions, **columns(completions))


def chat(text):
    return [{"role": "assistant", "content": text}]


def test_every_registered_reward_is_tried_here():
    assert registry.names() == [
        "magistral", "format", "math", "code", "length", "language", "reasoning_language", "repetition",
    ]  # fmt: skip


@pytest.fixture(params=registry.names())
def reward(request):
    return make(request.param)


def test_it_survives_pickling(reward):
    expected = score(reward, COMPLETIONS)
    again = pickle.loads(pickle.dumps(reward))
    assert again.__name__ == reward.__name__
    assert score(again, COMPLETIONS) == expected


def test_chat_and_plain_text_earn_the_same(reward):
    expected = score(reward, COMPLETIONS)
    messages = [chat(text) for text in COMPLETIONS]
    given = columns(COMPLETIONS)
    prompts = [[{"role": "user", "content": "What is 2 + 2?"}]] * len(COMPLETIONS)
    assert reward(prompts=prompts, completions=messages, **given) == expected


def test_it_works_from_a_thread(reward):
    results = []
    thread = threading.Thread(target=lambda: results.append(score(reward, COMPLETIONS)))
    thread.start()
    thread.join()
    assert results == [score(reward, COMPLETIONS)]


def test_order_and_split_do_not_matter(reward):
    expected = score(reward, COMPLETIONS)
    assert score(reward, COMPLETIONS[::-1]) == expected[::-1]
    assert [score(reward, [text])[0] for text in COMPLETIONS] == expected


def test_an_empty_batch(reward):
    assert score(reward, []) == []


def test_it_says_what_a_perfect_completion_earns(reward):
    assert isinstance(reward, Reward)
    assert all(value is None or value <= reward.maximum + 1e-9 for value in score(reward, COMPLETIONS))


@pytest.mark.parametrize("name", registry.names())
def test_arbitrary_text_is_scored_within_bounds(name):
    reward = make(name)
    pieces = st.sampled_from(["<think>", "</think>", r"\boxed{", "}", "4", "$", "```", "python", "\n", "é", "漢", "\\"])
    texts = st.lists(pieces | st.text(max_size=8), max_size=12).map("".join)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(texts, min_size=1, max_size=4))
    def check(completions):
        values = score(reward, completions)
        assert values == score(reward, completions)
        assert values[::-1] == score(reward, completions[::-1])
        may_abstain = name in ("language", "reasoning_language", "code")
        for value in values:
            assert (value is None and may_abstain) or -0.2 <= value <= reward.maximum + 1e-9

    check()


def test_build_passes_the_tags_on():
    tags = Thinking("[THINK]", "[/THINK]")
    assert registry.build("format", thinking=tags)(completions=[r"[THINK]a[/THINK]\boxed{1}"]) == [1.0]
    assert registry.build("length", OPTIONS["length"], thinking=tags).name == "overlong_penalty"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("magistal", {}, "Did you mean 'magistral'"),
        ("math", {"answer_colum": "x"}, "takes no option 'answer_colum'. Did you mean 'answer_column'"),
        ("no_such_package:reward", {}, "cannot import 'no_such_package'"),
        ("magistral_recipe.rewards:format_rewad", {}, "Did you mean 'format_reward'"),
        ("magistral_recipe.rewards:format_reward", {"name": "x"}, "takes no options"),
        ("magistral_recipe.rewards.registry:ENTRY_POINTS", {}, "is a str, not a function or class"),
    ],
)
def test_mistakes_are_named(name, options, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        registry.build(name, options)


def constant(completions, value=1.0, **_):
    return [value] * len(completions)


def test_a_function_of_ones_own(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "my_rewards", sys.modules[__name__])
    assert registry.build("my_rewards:constant")(completions=["a"]) == [1.0]
    bound = registry.build("my_rewards:constant", {"value": 0.5})
    assert bound(completions=["a"]) == [0.5]
    assert bound.__name__ == "constant"
    with pytest.raises(ValueError, match="my_rewards"):
        registry.build("my_rewards:constants")
