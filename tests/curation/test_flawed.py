"""The embedded set of flawed problems: each fault is there, and the steps that need no model find theirs."""

from collections import Counter

import pytest

from magistral_recipe.curation.clean import clean
from magistral_recipe.curation.duplicates import deduplicate
from magistral_recipe.curation.funnel import Funnel
from magistral_recipe.curation.leaks import Heldout, Leaks, drop_leaks
from magistral_recipe.curation.rows import Row
from magistral_recipe.data import tiny
from magistral_recipe.data.problems import Problem
from magistral_recipe.data.tiny.flawed import planted


def test_half_of_the_rows_are_the_training_problems_and_each_fault_has_a_tenth():
    made = planted(200, seed=3)
    kinds = Counter(kind for kind, _ in made)
    assert kinds.pop("clean") == 100
    assert set(kinds.values()) == {20}
    clean_rows = {row["problem"]: row["answer"] for kind, row in made if kind == "clean"}
    assert clean_rows == {row["problem"]: row["answer"] for row in tiny.problems("train", 100, 3)}
    right = {row["problem"]: row["answer"] for row in tiny.problems("train", 140, 3)}
    for kind, row in made:
        if kind == "wrong answer":
            assert row["answer"] != right[row["problem"]]
            assert int(row["answer"]) >= 0
    assert [row for _, row in made] == tiny.flawed(200, seed=3)
    assert tiny.flawed(200, seed=4) != tiny.flawed(200, seed=3)
    assert len({row["id"] for _, row in made}) == 200


def test_fewer_rows_than_faults_are_refused():
    with pytest.raises(ValueError, match="ten rows"):
        tiny.flawed(9)


def test_what_needs_no_model_is_found_and_nothing_clean_is_lost(tmp_path):
    made = [(kind, Problem.model_validate(row)) for kind, row in planted(300)]
    heldout = [Heldout(row["id"], row["problem"], "heldout") for row in tiny.problems("heldout", 256)]
    funnel = Funnel(tmp_path)
    funnel.start("loaded", (Row(problem) for _, problem in made))
    funnel.run("clean", clean)
    funnel.run("duplicates", lambda before: deduplicate(before, folder=tmp_path))
    funnel.run("leaks", lambda before: drop_leaks(before, Leaks(heldout)))
    left = {row.problem.id for row in funnel.rows}
    gone = Counter(kind for kind, problem in made if problem.id not in left)
    assert gone == {"no answer": 30, "duplicate": 30, "leak": 30}
