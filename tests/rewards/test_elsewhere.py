"""The snippets of docs/rewards-elsewhere.md, each run as it stands, with its client or with what it uses of it."""

import asyncio
import importlib
import re
import sys
import types
from pathlib import Path

import pytest

approx = pytest.approx
PAGE = (Path(__file__).parents[2] / "docs" / "rewards-elsewhere.md").read_text("utf-8")
GOOD = "<think>We add the two numbers and find that the sum is four.</think>The sum of the numbers is \\boxed{4}."
PROBLEM = "What is the sum of the two numbers two and two?"
FALSE = GOOD.replace("boxed{4}", "boxed{5}")


def snippets(section):
    """The Python of a section; the text before the first heading is the section ''."""
    parts = re.split(r"^## (.*)$", PAGE, flags=re.MULTILINE)
    texts = {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}
    return re.findall(r"^```python\n(.*?)^```", texts[section], flags=re.MULTILINE | re.DOTALL)


def run(section, number=0):
    namespace = {"__name__": "snippet"}
    exec(compile(snippets(section)[number], f"rewards-elsewhere.md, {section}", "exec"), namespace)
    return types.SimpleNamespace(**namespace)


@pytest.fixture
def client(monkeypatch):
    """Stand in for modules of a client: a name and what is taken from it."""

    def install(name, **members):
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            path = ".".join(parts[:count])
            module = types.ModuleType(path)
            monkeypatch.setitem(sys.modules, path, module)
        for key, value in members.items():
            setattr(module, key, value)

    return install


def test_every_snippet_is_tried_here():
    sections = [title for title in re.findall(r"^## (.*)$", PAGE, flags=re.MULTILINE) if snippets(title)]
    assert sections == [
        "TRL: `trl grpo`", "TRL's trainers, and Unsloth's", "verl", "OpenRLHF", "ms-swift", "AReaL",
        "verifiers and prime-rl", "SkyRL", "NeMo-RL", "rllm", "lighteval", "inspect_ai", "lm-evaluation-harness",
        "reasoning-gym",
    ]  # fmt: skip


def test_one_call():
    assert run("").score.value == 1.0


def test_what_trl_grpo_loads():
    found = re.search(r"--reward_funcs (\S+)$", PAGE, flags=re.MULTILINE)
    module, name = found[1].rsplit(".", 1)  # as trl/scripts/grpo.py takes a path apart
    reward = getattr(importlib.import_module(module), name)
    assert reward(prompts=[PROBLEM], completions=[GOOD], answer=["4"]) == [approx(1.1)]
    ready = re.findall(r"`(\w+)`", PAGE.split("Ready are")[1].split("Options")[0])
    assert len(ready) == 6
    for name in ready:
        assert getattr(importlib.import_module(module), name).name == name
    tagged = "<think>2+2</think><answer>4</answer>"
    assert run("TRL: `trl grpo`").reward(prompts=["2+2?"], completions=[tagged], solution=["#### 4"])[0] >= 1.0


def test_trainers():
    text = "<start_working_out>2+2<end_working_out><SOLUTION>4</SOLUTION>"
    assert run("TRL's trainers, and Unsloth's").reward.score(text, "4").value == approx(1.0)


def test_paths():
    score = run("verl").compute_score(
        data_source="x", solution_str="<think>2+2</think>4", ground_truth="4", extra_info={}
    )
    assert score["acc"] == 1.0
    assert float(run("OpenRLHF").reward_func([GOOD], [None], ["4"])["rewards"][0]) == approx(1.0)
    assert run("AReaL").reward_fn(PROBLEM, GOOD, [1], [2] * 9, answer="4") == approx(1.1)


def test_ms_swift(client):
    orms = {}
    client("swift.rewards", orms=orms)
    run("ms-swift")
    assert orms["magistral"](args=None)([GOOD, FALSE], solution=["4", "4"]) == [approx(1.0), approx(0.1)]


def test_verifiers(client):
    client("verifiers", Rubric=lambda funcs, weights: funcs)
    (function,) = run("verifiers and prime-rl").rubric
    assert asyncio.run(function(completion=[{"role": "assistant", "content": GOOD}], answer="4")) == approx(1.0)


def test_skyrl(client):
    client("skyrl_gym.envs.base_text_env", BaseTextEnv=object, BaseTextEnvStepOutput=dict)
    step = run("SkyRL").Maths(extras={"reward_spec": {"ground_truth": "4"}}).step(GOOD)
    assert step == {"observations": [], "reward": approx(1.0), "done": True, "metadata": {"reason": "right"}}


def test_nemo_rl(client):
    client("ray", remote=lambda kind: kind)
    worker = run("NeMo-RL").MagistralVerifyWorker()
    assert worker.verify([GOOD, FALSE], ["4", "4"]) == [approx(1.0), approx(0.1)]
    assert worker.verify([GOOD], ["4"], return_extracted_answer=True) == ([approx(1.0)], [None])


def test_rllm(client):
    client("rllm.rewards.reward_types", RewardOutput=types.SimpleNamespace)
    reward_fn = run("rllm").reward_fn
    right, wrong = (reward_fn({"ground_truth": "4"}, text) for text in (GOOD, FALSE))
    assert (right.reward, right.is_correct, wrong.is_correct) == (approx(1.0), True, False)
    assert reward_fn({"ground_truth": "4"}, types.SimpleNamespace(action=GOOD)).is_correct


def test_lighteval(client):
    client("lighteval.metrics.metrics_sample", SampleLevelComputation=object)
    doc = types.SimpleNamespace(get_golds=lambda: ["4", "four"])
    metric = run("lighteval").MagistralCorrectness()
    for text, value in ((GOOD, 1.0), (FALSE, 0.0)):
        assert metric.compute(doc=doc, model_response=types.SimpleNamespace(final_text=[text])) == value


def test_inspect_ai(client):
    def scorer(metrics):
        return lambda function: function

    client("inspect_ai.scorer", Score=types.SimpleNamespace, accuracy=list, scorer=scorer, stderr=list)
    score = run("inspect_ai").magistral()
    state = types.SimpleNamespace(output=types.SimpleNamespace(completion=GOOD))
    found = asyncio.run(score(state, ["4", "four"]))
    assert (found.value, found.explanation) == (1.0, "right")


def test_lm_eval():
    assert run("lm-evaluation-harness").process_results({"answer": "2+2.\n#### 4"}, [GOOD]) == {"exact_match": 1.0}


def test_reasoning_gym():
    snippet = run("reasoning-gym")
    answer = snippet.tasks[3]["answer"]
    texts = [f"<think>We count the legs of all the animals here.</think>They have \\boxed{{{n}}}." for n in (answer, 1)]
    values = snippet.reward(completions=texts, row=[3, 3], language=["en", "en"])
    assert values[0] >= 1.0 > values[1]
