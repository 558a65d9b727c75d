"""Problems from reasoning-gym: they become ordinary problems, always the same ones for a seed."""

from __future__ import annotations

import re

import pytest

from magistral_recipe.data import gym
from magistral_recipe.data.sources import ProblemsSource, load_problems
from magistral_recipe.errors import DataError

pytest.importorskip("reasoning_gym")


def load(tmp_path, **options):
    source = ProblemsSource(**options)
    assert source.check(tmp_path) == []
    return load_problems(source, tmp_path, tmp_path / "aside.jsonl")


def test_a_task_becomes_problems_whose_answers_are_right(tmp_path):
    result = load(tmp_path, gym="chain_sum", gym_config={"max_terms": 3}, count=40, seed=3)
    assert (len(result.rows), result.set_aside) == (40, 0)
    for row in result.rows:
        terms = re.search(r": (.*) =", row.problem)[1]
        assert sum(int(sign + number) for sign, number in re.findall(r"([+-]?) ?(\d+)", terms)) == int(row.answer)
        assert (row.kind, row.language, row.category, row.source) == ("math", "en", "chain_sum", "reasoning-gym")


@pytest.mark.parametrize("task", ["basic_arithmetic", "gcd", "lcm", "products", "leg_counting", "simple_equations"])
def test_answers_of_arithmetic_tasks_are_numbers(tmp_path, task):
    rows = load(tmp_path, gym=task, count=15, seed=1).rows
    assert len(rows) == 15
    for row in rows:
        assert re.fullmatch(r"-?\d+(\.\d+)?", row.answer)


def test_a_seed_gives_the_same_problems_and_more_of_them_begin_with_these(tmp_path):
    few, many = (load(tmp_path, gym="gcd", count=count, seed=5).rows for count in (5, 12))
    assert many[:5] == few
    assert load(tmp_path, gym="gcd", count=7, skip=5, seed=5).rows == many[5:]
    assert load(tmp_path, gym="gcd", count=5, seed=6).rows != few


def test_problems_of_a_task_differ_and_too_few_of_them_are_an_error():
    config = {"max_terms": 2, "min_terms": 2, "min_digits": 1, "max_digits": 1, "allow_negation": False}
    rows = list(gym.rows("chain_sum", config, 100, 0))
    assert len({row["problem"] for row in rows}) == len({row["id"] for row in rows}) == 100
    with pytest.raises(DataError, match=r"gave only \d+ different problems of the 400 asked for"):
        list(gym.rows("chain_sum", config, 400, 0))


@pytest.mark.parametrize(
    ("task", "config", "mistake"),
    [
        ("gdc", {}, ("gym", "no reasoning-gym task 'gdc'. Did you mean 'gcd'?")),
        (
            "gcd",
            {"max_number": 3},
            ("gym_config.max_number", "no setting of the task 'gcd'. Did you mean 'max_numbers'?"),
        ),
        ("gcd", {"size": 3}, ("gym_config.size", "set 'count' of the source instead")),
        ("gcd", {"seed": 3}, ("gym_config.seed", "set 'seed' of the source instead")),
        ("gcd", {"min_numbers": 0}, ("gym_config", "the task 'gcd' refuses these settings: ")),
        ("rubiks_cube", {}, ("gym", "the task 'rubiks_cube' knows no answer")),
        ("composite", {}, ("gym_config", "the task 'composite' refuses these settings: ")),
        ("gcd", {"min_numbers": "a"}, ("gym_config", "the task 'gcd' refuses these settings: ")),
    ],
)
def test_a_task_or_setting_that_is_none_is_told_before_loading(task, config, mistake):
    ((key, message),) = gym.mistakes(task, config)
    assert key == mistake[0]
    assert message.startswith(mistake[1])
