"""What is drawn of a problem, and how it is put: passes, prompts by language, raw text."""

from __future__ import annotations

import pytest

from magistral_recipe.data.problems import Problem
from magistral_recipe.errors import DataError
from magistral_recipe.evaluation.settings import EvaluationSettings
from magistral_recipe.writing.chat_format import ChatFormat

PROBLEM = Problem(id="p1", problem="1 + 1?", answer="2", language="fr")
CHAT = ChatFormat(system_prompt="Think before you answer.")


def test_the_greedy_pass_is_one_sample_without_noise():
    passes = EvaluationSettings(samples=8, temperature=0.7, top_p=0.95, max_new_tokens=50, seed=3).passes()
    assert [(count, greedy) for _, count, greedy in passes] == [(1, True), (8, False)]
    assert [(s.temperature, s.top_p, s.max_new_tokens, s.seed) for s, _, _ in passes] == [
        (0.0, 1.0, 50, 3),
        (0.7, 0.95, 50, 3),
    ]


@pytest.mark.parametrize(("changes", "kinds"), [({"greedy": False}, [False]), ({"samples": 0}, [True])])
def test_either_pass_can_be_left_out(changes, kinds):
    assert [greedy for _, _, greedy in EvaluationSettings(**changes).passes()] == kinds


@pytest.mark.parametrize("changes", [{"samples": 0, "greedy": False}, {"samples": -1}])
def test_something_must_be_drawn(changes):
    with pytest.raises(ValueError, match="nothing to draw"):
        EvaluationSettings(**changes)


def test_a_problem_stands_where_the_prompt_says():
    messages = EvaluationSettings(prompt="Solve: {problem} Box it: \\boxed{}").put(PROBLEM, CHAT)
    assert messages[-1]["content"] == "Solve: 1 + 1? Box it: \\boxed{}"
    assert messages == CHAT.messages("Solve: 1 + 1? Box it: \\boxed{}")


def test_a_base_model_gets_raw_text():
    assert EvaluationSettings(prompt="Q: {problem}\nA:", raw=True).put(PROBLEM, CHAT) == "Q: 1 + 1?\nA:"


def test_a_prompt_may_be_one_for_each_language():
    settings = EvaluationSettings(prompt={"fr": "Résous : {problem}", "en": "Solve: {problem}"}, raw=True)
    assert settings.put(PROBLEM, CHAT) == "Résous : 1 + 1?"
    with pytest.raises(DataError, match="problem 'p1': no prompt in its language, 'de'"):
        settings.put(PROBLEM.model_copy(update={"language": "de"}), CHAT)
