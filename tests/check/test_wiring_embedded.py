"""The wiring proof on what ships: the embedded model's tokenizer and data, and code in the sandbox."""

from __future__ import annotations

import shutil

import families
import pytest

from magistral_recipe.check.wiring import prove_wiring
from magistral_recipe.check.wiring_report import ProofVerdict
from magistral_recipe.data import tiny
from magistral_recipe.data.problems import Problem, Trace
from magistral_recipe.models.load import generation_stop_ids, load_tokenizer
from magistral_recipe.rewards import FormatReward, LanguageConsistency, MagistralReward, MathCorrectness
from magistral_recipe.writing.chat_format import ChatFormat


@pytest.mark.parametrize("system_prompt", [None, "magistral"])
def test_the_embedded_models_data_and_tokenizer_are_proven(system_prompt):
    tokenizer = load_tokenizer("tiny")
    chat = ChatFormat(system_prompt=system_prompt).install(tokenizer)
    problems = [Problem.model_validate(row) for row in tiny.problems("train", 64)]
    traces = [Trace.model_validate(row) for row in tiny.traces(64)]
    rewards = [kind(thinking=chat.thinking) for kind in (FormatReward, MathCorrectness, LanguageConsistency)]
    rewards.append(MagistralReward(thinking=chat.thinking, weights={"language": 1.0}))
    report = prove_wiring(tokenizer, chat, rewards, problems, traces, generation_stop_ids("tiny", tokenizer))
    assert report.findings == ()
    groups = {f"math {language}" for language in ("en", "fr", "es", "de", "it")}
    assert {proof.group for proof in report.proofs if proof.verdict is ProofVerdict.PROVEN} == groups
    assert len(report.proofs) == 4 * len(groups)


@pytest.mark.sandbox
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap (apt install bubblewrap)")
def test_a_program_that_comes_with_its_problem_is_proven_in_the_sandbox():
    from magistral_recipe.rewards import CodeCorrectness

    problem = Problem(
        problem="Read a whole number and print it doubled.",
        tests='{"type": "stdio", "cases": [{"input": "4\\n", "output": "8"}, {"input": "-1\\n", "output": "-2"}]}',
        solution="print(2 * int(input()))",
        language="en",
    )
    wrong = problem.model_copy(update={"solution": "print(2 + int(input()))", "id": "wrong", "language": "fr"})
    tokenizer = families.qwen3()
    chat = ChatFormat().install(tokenizer)
    rewards = [CodeCorrectness(thinking=chat.thinking), MagistralReward(thinking=chat.thinking)]
    report = prove_wiring(tokenizer, chat, rewards, [problem, wrong], [], [tokenizer.eos_token_id])
    verdicts = {(proof.reward, proof.group): proof.verdict for proof in report.proofs}
    assert verdicts[("code_correctness", "code en")] is ProofVerdict.PROVEN
    assert verdicts[("magistral_reward", "code en")] is ProofVerdict.PROVEN
    assert verdicts[("code_correctness", "code fr")] is ProofVerdict.FAILED
    assert any("code fr problems: code_correctness pays 0.00 of 1.00" in item.message for item in report.findings)
