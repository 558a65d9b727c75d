"""The adapters, called as their clients call them: shapes recorded from the versions that the page on them names."""

import asyncio
import importlib.util
import inspect
import json
import pickle
import subprocess
import sys
import types
from pathlib import Path

import pydantic
import pytest

from magistral_recipe.rewards import FormatReward, MagistralReward, MathCorrectness, adapters

GOOD = "<think>We add the two numbers and find that the sum is four.</think>The sum of the numbers is \\boxed{4}."
FALSE = GOOD.replace("boxed{4}", "boxed{5}")
PROBLEM = "What is the sum of the two numbers two and two?"
CHAT = [{"role": "user", "content": PROBLEM}]
RENDERED = (
    f"<|im_start|>system\nDu bist hilfreich und antwortest gern.<|im_end|>\n<|im_start|>user\n{PROBLEM}<|im_end|>\n"
)
ALL = {name: getattr(adapters, name) for name in adapters.__all__}
near = pytest.approx


def test_these_are_all():
    assert sorted(ALL) == ["areal", "ms_swift", "openrlhf", "reward_func", "verifiers", "verl"]


@pytest.mark.parametrize("name", ALL)
def test_each_pickles_and_is_a_factory_when_called_with_a_reward(name):
    other = ALL[name](MathCorrectness(container="text"))
    assert type(other) is type(ALL[name])
    for adapter in (ALL[name], other):
        again = pickle.loads(pickle.dumps(adapter))
        assert again.__name__ == adapter.reward.name
        assert type(again.reward) is type(adapter.reward)
    assert ALL[name].reward.name == "magistral_reward"
    assert not inspect.iscoroutinefunction(ALL[name])


def test_importing_them_imports_no_client():
    code = "import sys; import magistral_recipe.rewards.adapters; print(*{n.partition('.')[0] for n in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert {"verl", "openrlhf", "swift", "areal", "verifiers", "torch", "numpy", "sympy"}.isdisjoint(loaded)


# ------------------------------------------------------------------------------------------------------ verl 0.9.1

VERL = {"data_source": "openai/gsm8k", "extra_info": {"split": "train", "index": 0, "num_turns": None}}


def test_verl_asks_for_one_completion():
    found = adapters.verl(solution_str=GOOD, ground_truth="4", **VERL)
    expected = {"score": 1.0, "acc": 1.0, "graded": 1.0, "reason": "right", "format": 1.0, "correctness": 1.0}
    assert found == {name: near(value) if name == "score" else value for name, value in expected.items()} | {
        "language": 0.0
    }
    with_problem = {**VERL, "extra_info": {"question": PROBLEM}}
    assert adapters.verl(solution_str=GOOD, ground_truth="4", **with_problem)["score"] == near(1.1)


@pytest.mark.parametrize("text", [GOOD, FALSE, "", "<think>cut"])
@pytest.mark.parametrize("truth", ["4", None, r"\frac{1}{", ["3", "4"]])
@pytest.mark.parametrize("info", [None, {}, {"question": PROBLEM}, {"language": "fr"}])
def test_verl_has_the_same_keys_for_every_row(text, truth, info):
    found = adapters.verl(data_source="x", solution_str=text, ground_truth=truth, extra_info=info)
    assert list(found) == ["score", "acc", "graded", "reason", "format", "correctness", "language"]
    assert all(type(value) is (str if name == "reason" else float) for name, value in found.items())


def test_verls_batch_manager():
    found = adapters.verl(
        data_sources=["a", "b"], solution_strs=[GOOD, FALSE], ground_truths=["4", "4"], extra_infos=[{}, {}]
    )
    assert [row["acc"] for row in found] == [1.0, 0.0]


def test_a_reward_that_is_no_sum_in_verl():
    found = adapters.verl(MathCorrectness())(data_source="x", solution_str=GOOD, ground_truth="4", extra_info={})
    assert found == {"score": 1.0, "acc": 1.0, "graded": 1.0, "reason": "right"}


@pytest.mark.sandbox
def test_tests_as_verls_ground_truth():
    tests = json.dumps({"type": "stdio", "cases": [{"input": "2 2", "output": "4"}]})
    text = "<think>Add.</think>\n```python\nprint(sum(map(int, input().split())))\n```"
    assert adapters.verl(data_source="x", solution_str=text, ground_truth=tests, extra_info={})["acc"] == 1.0


# -------------------------------------------------------------------------------------------------- OpenRLHF 0.11.2


@pytest.mark.parametrize("start", ["", "<s>"])
def test_openrlhf_hands_over_prompt_and_completion_in_one(start):
    prompt = f"{RENDERED}<|im_start|>assistant\n"
    queries = [f"{start}{prompt}{text}<|im_end|>" for text in (GOOD, FALSE)]
    found = adapters.reward_func(queries, [prompt] * 2, ["4", "4"])
    assert [float(value) for value in found["rewards"]] == [near(1.1), near(0.2)]
    assert [float(value) for value in found["scores"]] == [1.0, 0.0]
    assert sorted(found["extra_logs"]) == ["correctness", "format", "graded", "language"]
    assert {len(values) for values in found["extra_logs"].values()} == {2}


def test_openrlhf_cuts_long_prompts_on_the_left():
    prompt = f"{RENDERED}<|im_start|>assistant\n"
    found = adapters.reward_func([f"{prompt[30:]}{GOOD}<|im_end|>"], [prompt], ["4"])
    assert [float(value) for value in found["rewards"]] == [near(1.1)]


def test_openrlhf_makes_tensors_of_what_it_gets():
    import torch

    found = adapters.reward_func([GOOD + "</s>"], [""], ["4"])
    assert torch.tensor([found["rewards"]]).shape == (1,)  # as its sample generator does
    assert found["extra_logs"]["format"].flatten()[0].item() == 1.0


def test_openrlhf_loads_the_file_itself():
    spec = importlib.util.spec_from_file_location("reward_func", Path(adapters.__file__))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert float(module.reward_func([GOOD], [None], ["4"])["rewards"][0]) == near(1.0)


# ----------------------------------------------------------------------------------------------------- ms-swift 4.6


def test_ms_swift_makes_it_with_its_arguments_and_calls_it_with_columns():
    made = adapters.ms_swift(args=object())
    messages = [[*CHAT, {"role": "assistant", "content": text}] for text in (GOOD, FALSE, GOOD)]
    values = made(
        [GOOD, FALSE, GOOD], trainer_state=object(), messages=messages,
        solution=["4", r"It is \boxed{4}.", "\\frac{1}{"], prompt_id=["a", "a", "b"], is_truncated=[False] * 3,
    )  # fmt: skip
    assert values == [near(1.1), near(0.2), None]
    assert adapters.ms_swift()([GOOD], solution=["4"]) == [near(1.0)]
    assert adapters.ms_swift(MathCorrectness())(args=None)([GOOD], solution=["4"]) == [1.0]


# ------------------------------------------------------------------------------------------------------ AReaL 1.0.4


def test_areal_asks_for_one_number():
    row = {"messages": CHAT, "answer": "So it is 4.\n#### 4"}
    value = adapters.areal(f"{RENDERED}<|im_start|>assistant\n", GOOD + "<|im_end|>", [1, 2], [3, 4], **row)
    assert type(value) is float
    assert value == near(1.1)
    assert adapters.areal(RENDERED, GOOD, [1], [2], answer="4") == near(1.1)
    assert adapters.areal(RENDERED, GOOD, [1], [2], answer=None) == 0.0
    limited = adapters.areal(MagistralReward(max_length=10, cache=5))
    assert limited(PROBLEM, GOOD, [1], list(range(10)), answer="4") == near(1.0)


# -------------------------------------------------------------------------------------------- verifiers 0.3.1, 0.4.0


def test_verifiers_awaits_functions_of_single_rollouts():
    named = set(inspect.signature(adapters.verifiers).parameters)
    assert named == {"completion", "answer", "prompt", "info", "trace"}  # 0.3's `task`, a name, is not asked for
    completion = [{"role": "assistant", "content": GOOD}]
    awaitable = adapters.verifiers(completion=completion, answer="4", prompt=CHAT, info={})
    assert inspect.isawaitable(awaitable)
    assert asyncio.run(awaitable) == near(1.1)
    assert asyncio.run(adapters.verifiers(FormatReward())(completion=completion, answer="")) == 1.0


class Data(pydantic.BaseModel, extra="allow"):
    """A task's data, as verifiers 0.4 keeps it on a trace."""

    prompt: str | None = None


def traced(data, text, **message):
    said = [types.SimpleNamespace(model_dump=lambda: {"role": "assistant", "content": text, **message})]
    task = types.SimpleNamespace(data=data)
    return types.SimpleNamespace(task=task, assistant_messages=said, root_reply=None, is_truncated=False)


def test_verifiers_hands_over_a_trace():
    answer = GOOD.partition("</think>")[2]
    thoughts = {"reasoning_content": "We add the two numbers and find that the sum is four."}
    for data in ({"answer": "2+2\n#### 4"}, {"answer": None, "solution": ["4", "four"]}):
        for text, message, value in ((GOOD, {}, 1.1), (answer, thoughts, 1.1), (FALSE, {}, 0.2), ("", {}, 0.0)):
            trace = traced(Data(prompt=PROBLEM, **data), text, **message)
            available = {"task": trace.task.data, "trace": trace, "runtime": None}
            named = inspect.signature(adapters.verifiers).parameters.keys() & available.keys()  # as its `invoke` does
            assert asyncio.run(adapters.verifiers(**{name: available[name] for name in named})) == near(value)
    of_agents = traced(Data(answer="4"), FALSE)
    of_agents.root_reply = GOOD
    assert asyncio.run(adapters.verifiers(trace=of_agents)) == near(1.0)


def test_messages_of_a_client_with_classes_of_its_own():
    class Message:
        def __init__(self, **fields):
            self.fields = fields

        def model_dump(self):
            return self.fields

    completion = [Message(role="assistant", content=GOOD, reasoning_content=None)]
    prompt = [Message(role="user", content=PROBLEM)]
    assert asyncio.run(adapters.verifiers(completion=completion, answer="4", prompt=prompt)) == near(1.1)


# ---------------------------------------------------------------------------------------------------------- prompts


@pytest.mark.parametrize(
    "rendered",
    [
        RENDERED,
        f"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{PROBLEM}<|eot_id|>",
        f"<s>[SYSTEM_PROMPT]Sei nett.[/SYSTEM_PROMPT][INST]{PROBLEM}[/INST]",
        f"<bos><start_of_turn>user\n{PROBLEM}<end_of_turn>\n<start_of_turn>model\n",
        f"<｜begin▁of▁sentence｜><｜User｜>{PROBLEM}<｜Assistant｜><think>\n",
        f"<|start|>user<|message|>{PROBLEM}<|end|><|start|>assistant",
        f"<|user|>\n{PROBLEM}<|assistant|>\n",
        f"<|im_start|>user\nHallo!<|im_end|>\n<|im_start|>assistant\nTag!<|im_end|>\n{RENDERED}",
        PROBLEM,
    ],
)  # fmt: skip
def test_the_question_is_found_in_a_rendered_prompt(rendered):
    assert adapters.asked(rendered) == PROBLEM


def test_a_rendered_prompt_without_a_user_asks_nothing():
    assert adapters.asked("<|im_start|>system\nSei nett.<|im_end|>\n") is None
    assert adapters.asked(CHAT) is CHAT
    assert adapters.asked(None) is None
