r"""References held against what a person would box: nothing that no honest answer can equal is proven."""

from __future__ import annotations

import json

import families
import pytest
from typer.testing import CliRunner

from magistral_recipe.check.honest import honest_answers
from magistral_recipe.check.wiring import prove_wiring
from magistral_recipe.check.wiring_report import Fault, WiringReport
from magistral_recipe.cli import app
from magistral_recipe.data.problems import Problem, Trace
from magistral_recipe.rewards import MagistralReward, MathCorrectness
from magistral_recipe.writing.chat_format import ChatFormat, stop_token_ids


def told(report):
    """What a report notes, but for the chat template, which it always names."""
    return tuple(note for note in report.notes if not note.startswith("chat template"))


@pytest.mark.parametrize(
    ("reference", "first"),
    [
        ("46", "46"),
        ("36 + 10 = 46\n#### 46", "46"),
        ("The answer is 46.", "46"),
        ("So she has $\\boxed{46}$ pears.", "46"),
        ("(C)", "(C)"),
        ("\\frac{1}{2}", "\\frac{1}{2}"),
        ("x = 5", "x = 5"),
        (".0000672", ".0000672"),
        ("12 apples", "12 apples"),
        ("no real solution", "no real solution"),
        # Of what nobody would box as it stands, the answer that it ends in.
        ("see figure 3", "3"),
        ("so x = 4", "4"),
        ("The sum is 36 + 10 = 46", "46"),
        ("The correct option is (B)", "B"),
        ("The capital is Paris.", "Paris"),
    ],
)
def test_a_person_boxes_the_short_answer_that_a_reference_ends_in(reference, first):
    assert honest_answers(reference)[0] == first


@pytest.mark.parametrize("reference", ["n/a", "see above", "Proof.", "?"])
def test_nothing_can_be_boxed_for_what_points_elsewhere(reference):
    assert honest_answers(reference) == []


def prove(answers, rewards=None) -> WiringReport:
    tokenizer = families.qwen3()
    chat = ChatFormat().install(tokenizer)
    problems = [Problem(problem=f"Question {n}: 36 plus 10?", answer=text) for n, text in enumerate(answers)]
    rewards = rewards or [MathCorrectness(thinking=chat.thinking), MagistralReward(thinking=chat.thinking)]
    return prove_wiring(tokenizer, chat, rewards, problems, [], stop_token_ids(tokenizer))


@pytest.mark.parametrize("reference", ["see figure 3", "The capital is Paris.", "36 + 10 = 46", "about 46", "n/a"])
def test_references_that_no_honest_answer_equals_stop_the_run_with_three_of_them(reference):
    report = prove([f"{reference}"] * 4 + ["46"])
    assert [finding.fault for finding in report.findings] == [Fault.HONEST_NOT_PAID] * 2
    message = report.findings[0].message
    assert message.startswith("math_correctness: no short answer equals 4 of 5 references: ")
    assert repr(reference) in message
    assert "answer_in" in message


@pytest.mark.parametrize("reference", ["36 + 10 = 46\n#### 46", "The answer is 46.", "$46$", ["46", "forty-six"]])
def test_references_that_hold_their_answer_are_proven_by_the_answer_alone(reference):
    report = prove([reference] * 3)
    assert report.proven
    assert not told(report)
    assert "\\boxed{46}" in report.completion


def test_a_few_such_references_are_counted_and_named_and_stop_nothing():
    report = prove(["46", "46", "46", "see figure 3", "n/a"])
    assert report.proven
    assert told(report)[0] == (
        "math_correctness: no short answer equals 2 of 5 references: 'see figure 3' (a person would box '3': wrong); "
        "'n/a' (nothing in it could be boxed). The answer column holds the answer alone (`columns: {answer: …}` names "
        "it, `answer_in:` says where in it the answer stands); a problem without a short answer can't be graded"
    )


def test_tags_that_are_lost_are_no_fault_of_the_references():
    wrong = MathCorrectness(thinking=ChatFormat().thinking.__class__("[THINK]", "[/THINK]"))
    report = prove(["46", "47"], [wrong])
    assert Fault.HONEST_NOT_PAID not in [finding.fault for finding in report.findings]
    assert not told(report)


def same_text(completions, answer, **_):
    return [float(f"\\boxed{{{text}}}" in each[0]["content"]) for each, text in zip(completions, answer, strict=True)]


def test_whoever_compares_by_himself_is_told_that_answers_are_worked_solutions():
    report = prove(["36 + 10 = 46\n#### 46"] * 60, [same_text])
    assert told(report) == (
        "same_text is given the whole answer, and 60 of 60 contain ####: `answer_in: hashes` hands it what stands "
        "there alone",
    )
    assert not told(prove(["46"] * 60, [same_text]))


RECIPE = """\
name: mine
model: {path: tiny}
thinking: {open: "<think>", close: "</think>", system_prompt: none}
problems:
  mine: {path: mine.jsonl}
stages:
  - grpo: {problems: mine, trainer: {max_steps: 2, overlong_cache: 16, max_completion_length: 64}}
"""


def test_check_refuses_answers_that_nobody_could_give(tmp_path):
    (tmp_path / "mine.yaml").write_text(RECIPE)
    rows = [{"problem": f"What is {n} plus 1?", "answer": f"see figure {n}"} for n in range(60)]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = CliRunner().invoke(app, ["check", str(tmp_path / "mine.yaml")])
    assert done.exit_code == 2
    assert "no short answer equals 60 of 60 references: 'see figure 0' (a person would box '0': wrong);" in done.stderr


@pytest.mark.parametrize(("response", "told_of"), [("46", True), ("It is \\boxed{46}.", False)])
def test_traces_in_a_form_that_rewards_never_pay_are_told_of(response, told_of):
    tokenizer = families.qwen3()
    chat = ChatFormat().install(tokenizer)
    problems = [Problem(problem="36 plus 10?", answer="46")]
    traces = [Trace(problem=f"{n}: 36 plus 10?", thoughts="Ten more than 36.", response=response) for n in range(4)]
    reward = MagistralReward(thinking=chat.thinking)
    report = prove_wiring(tokenizer, chat, [reward], problems, traces, stop_token_ids(tokenizer))
    assert report.proven
    line = "magistral_reward would pay 4 of the first 4 traces nothing, whatever they answer (4 no_box): "
    assert told(report) == ((f"{line}SFT teaches a form that RL doesn't pay",) if told_of else ())
