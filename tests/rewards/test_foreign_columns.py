"""Columns of other people's data sets that share a name with ours and mean something else."""

import json
import logging

import pytest

from magistral_recipe.rewards import (
    CodeCorrectness,
    FormatReward,
    LanguageConsistency,
    MagistralReward,
    MathCorrectness,
    registry,
)

GOOD = "<think>We add the two numbers and find that the sum is four.</think>The sum of the numbers is \\boxed{4}."
PROBLEM = "What is the sum of the two numbers two and two?"
TESTS = json.dumps({"type": "stdio", "cases": [{"input": "1", "output": "1"}]})


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"kind": "algebra"}, "'kind' holds 'algebra', where this reward expects one of math, code, text"),
        ({"kind": 7}, "'kind' holds 7"),
        ({"kind": ["a", "b"]}, "'kind' holds"),
        ({"language": "English"}, "'language' holds 'English', where this reward expects ISO 639-1 codes"),
        ({"tests": []}, "'tests' holds []"),
        ({"tests": ""}, "'tests' holds ''"),
        ({"tests": ["assert f(1) == 1"]}, "'tests' holds ['assert f(1) == 1']"),
        ({"tests": {"input": ["1"], "output": ["1"]}}, "'tests' holds"),
    ],
)
def test_they_count_as_absent_and_are_told_of_once(caplog, columns, named):
    reward = MagistralReward()
    arguments = {name: [value] * 2 for name, value in columns.items()}
    for _ in range(2):
        values = reward(completions=[GOOD] * 2, answer=["4"] * 2, problem=[PROBLEM] * 2, **arguments)
        assert values == [pytest.approx(1.1)] * 2
    (message,) = warnings(caplog)
    assert message.startswith("magistral_reward: column ")
    assert named in message
    assert "strict=True" in message


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"kind": "algebra"}, r"kind\[0\]: 'algebra' is none of math, code, text"),
        ({"language": "English"}, r"language\[0\]: 'English' is no language code"),
        ({"tests": []}, r"tests\[0\]: must be a mapping"),
    ],
)
def test_strict_makes_them_errors(columns, message):
    arguments = {name: [value] for name, value in columns.items()}
    for reward in (MagistralReward(strict=True), registry.build("magistral")):
        with pytest.raises(ValueError, match=message):
            reward(completions=[GOOD], answer=["4"], problem=[PROBLEM], **arguments)


def test_a_row_of_ours_among_them_keeps_its_meaning(caplog):
    values = MathCorrectness()(completions=[GOOD] * 3, answer=["4"] * 3, kind=["algebra", "code", None])
    assert values == [1.0, None, 1.0]
    assert FormatReward()(completions=[GOOD], kind=["algebra"]) == [1.0]


def test_malformed_tests_of_ours_stay_the_callers_mistake():
    tests = {"type": "stdio", "cases": [{"input": "1"}]}
    with pytest.raises(ValueError, match=r"tests\[0\]\.cases\[0\]\.output"):
        MagistralReward()(completions=[GOOD], answer=["4"], problem=[PROBLEM], tests=[tests])


def test_limits_that_are_no_numbers(caplog):
    columns = {"time_limit": ["2 seconds"], "memory_mb": ["256 megabytes"]}
    reward = CodeCorrectness()
    assert reward(completions=["<think>x</think>no program"], tests=[TESTS], **columns) == [0.0]
    assert len(warnings(caplog)) == 2
    assert CodeCorrectness()(completions=["<think>x</think>no program"], tests=[[]]) == [None]


def test_references_are_found_in_the_first_column_with_a_value(caplog):
    solution = [r"It is \boxed{4}."]
    assert MathCorrectness()(completions=[GOOD], solution=solution) == [1.0]
    assert MathCorrectness()(completions=[GOOD], ground_truth=["4"]) == [1.0]
    for blank in (None, "", " "):
        assert MathCorrectness()(completions=[GOOD], answer=[blank], solution=solution) == [1.0]
    assert warnings(caplog) == []


def test_several_columns_of_references_are_told_of_once(caplog):
    reward = MathCorrectness()
    for _ in range(2):
        assert reward(completions=[GOOD], answer=["4"], solution=["5"]) == [1.0]
    assert warnings(caplog) == [
        "math_correctness: takes column 'answer' for the references, not 'solution'; answer_column= names another"
    ]
    assert MathCorrectness(answer_column="solution")(completions=[GOOD], answer=["4"], solution=["5"]) == [0.0]
    assert MagistralReward(answer_column="gold").score(GOOD, "4", PROBLEM).value == pytest.approx(1.1)


def test_strict_takes_the_column_answer_alone(caplog):
    reward = MathCorrectness(strict=True)
    assert reward(completions=[GOOD], answer=["4"], solution=["5"]) == [1.0]
    with pytest.raises(ValueError, match="missing column 'answer'; the columns given are: solution"):
        reward(completions=[GOOD], solution=["4"])
    assert warnings(caplog) == []


def test_an_error_names_only_columns_that_were_given():
    with pytest.raises(ValueError, match=r"the columns given are: question$"):
        MagistralReward()(completions=[GOOD], question=["2+2?"])


def test_a_language_column_alone_leaves_the_problem_unknown():
    with pytest.raises(ValueError, match="the problem's language is unknown"):
        LanguageConsistency()(completions=[GOOD], language=["English"])
