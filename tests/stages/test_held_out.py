"""Held out is tested: what a chain evaluates on is compared with what it trains on, and said where they share rows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.cli import app
from magistral_recipe.data.sources import load_problems, load_traces
from magistral_recipe.errors import RecipeError
from magistral_recipe.recipe.sections import StageContext
from magistral_recipe.stages.held_out import compare_with_evaluations, evaluated_sets, is_clean, shared_with_training

RECIPE = """\
name: mine
model: {path: tiny}
thinking: {open: "<think>", close: "</think>", system_prompt: none}
problems:
  mine: {path: mine.jsonl, split: {heldout: 0.2, seed: 0}}
  same: {path: mine.jsonl, count: 10}
stages:
  - sft: {traces: {path: mine.jsonl, count: 5}, trainer: {max_steps: 2}}
  - grpo:
      problems: mine
      trainer: {max_steps: 2, overlong_cache: 16, max_completion_length: 64}
      evaluate: {every: 1, problems: mine_heldout}
  - evaluate: {problems: same}
"""


@pytest.fixture
def recipe(tmp_path):
    rows = [
        {"problem": f"What is {n} plus 4?", "answer": n + 4, "thoughts": "I add.", "response": f"\\boxed{{{n + 4}}}"}
        for n in range(60)
    ]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "mine.yaml").write_text(RECIPE)
    return tmp_path / "mine.yaml"


def context_of(loaded, events, **changes) -> StageContext:
    context = StageContext(loaded.recipe, loaded.folder, loaded.folder, {"base": None}, "base", events.append)
    return replace(context, **changes)


def test_a_training_stage_compares_its_rows_with_every_set_that_is_evaluated_on(recipe):
    loaded, events = load_recipe(recipe), []
    sft, grpo, _ = loaded.recipe.stages
    assert evaluated_sets(loaded.recipe) == ["mine_heldout", "same"]
    context = context_of(loaded, events)
    rows = load_problems(loaded.recipe.problems["mine"], loaded.folder, None).rows
    results = compare_with_evaluations(grpo, context, rows)
    assert is_clean(results, "mine_heldout")
    assert not is_clean(results, "same")
    (event,) = events
    trained = {row.problem for row in rows}
    shared = sum(f"What is {n} plus 4?" in trained for n in range(10))
    assert event["type"] == "warning"
    assert event["text"].startswith(f"not held out: {shared} of 10 problems of 'same' are in 'mine', too (")
    traces = load_traces(sft.traces, loaded.folder, None).rows
    assert compare_with_evaluations(sft, context, traces)["shared"]["same"]["shared"] == 5


def test_an_evaluation_takes_them_over_and_makes_those_that_are_missing_or_stale(recipe):
    loaded = load_recipe(recipe)
    *_, grpo, evaluate = loaded.recipe.stages
    problems = load_problems(loaded.recipe.problems["same"], loaded.folder, None).rows
    rows = load_problems(loaded.recipe.problems["mine"], loaded.folder, None).rows
    known = {"grpo": compare_with_evaluations(grpo, context_of(loaded, []), rows)}
    fresh = shared_with_training(context_of(loaded, []), evaluate, "same", problems)
    assert [each.training for each in fresh] == ["the traces of 'sft'", "'mine'"]
    assert shared_with_training(context_of(loaded, [], results=known), evaluate, "same", problems) == fresh
    known["grpo"]["shared"]["same"]["shared"] = 99  # believed, for the problems are those that were compared
    assert shared_with_training(context_of(loaded, [], results=known), evaluate, "same", problems)[1].shared == 99
    assert shared_with_training(context_of(loaded, [], results=known), evaluate, "same", problems[:3])[1].shared <= 3


def test_check_says_what_is_shared_and_nothing_where_nothing_is(recipe):
    warned = CliRunner().invoke(app, ["check", str(recipe), "--json"])
    told = [each["message"] for each in json.loads(warned.stdout)["warnings"] if "held out" in each["message"]]
    assert [text.partition(" of ")[2].partition(", too")[0].split(" of ", 1)[1] for text in told] == [
        "'mine_heldout' are in the traces of 'sft'",  # which are not parted
        "'same' are in the traces of 'sft'",
        "'same' are in 'mine'",
    ]
    assert told[1].startswith("not held out: 5 of 10 problems of 'same'")
    mended = ["--set", "evaluate.problems=mine_heldout", "--set", "sft.traces.split={heldout: 0.2}"]
    clean = CliRunner().invoke(app, ["check", str(recipe), "--json", *mended])
    assert not [each for each in json.loads(clean.stdout)["warnings"] if "held out" in each["message"]]


def test_what_is_held_out_has_the_filters_of_its_source_and_may_have_its_own_by_name(recipe):
    problems = load_recipe(recipe).recipe.problems
    assert problems["mine_heldout"].split.part == "heldout"
    assert problems["mine_heldout"].path == "mine.jsonl"
    text = RECIPE.replace(
        "  same:", "  mine_heldout: {path: mine.jsonl, split: {heldout: 0.2, part: heldout}, count: 3}\n  same:"
    )
    recipe.write_text(text)
    assert load_recipe(recipe).recipe.problems["mine_heldout"].count == 3


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("{heldout: 1.2}", "mine.yaml:5: problems.mine.split.heldout: expected less than 1, found 1.2"),
        ("{heldot: 0.2}", "mine.yaml:5: problems.mine.split.heldot: unknown key. Did you mean 'heldout'?"),
    ],
)
def test_a_mistake_in_a_split_is_told_once(recipe, wrong, line):
    recipe.write_text(RECIPE.replace("{heldout: 0.2, seed: 0}", wrong))
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe)
    assert [
        problem.removeprefix(f"{recipe.parent}/") for problem in caught.value.problems if "missing" not in problem
    ] == [line]


def test_what_a_stage_makes_is_compared_where_it_is_learnt_from_and_else_nothing_is_called_held_out(recipe):
    chain = RECIPE.replace(
        "  - grpo:\n      problems: mine\n", "  - curate: {problems: mine}\n  - grpo:\n      problems: curate\n"
    )
    recipe.write_text(chain.replace("evaluate: {problems: same}", "evaluate: {problems: mine_heldout}"))
    loaded = load_recipe(recipe)
    grpo, evaluate = loaded.recipe.stages[-2:]
    problems = load_problems(loaded.recipe.problems["mine_heldout"], loaded.folder, None).rows
    (traces,) = shared_with_training(context_of(loaded, []), evaluate, "mine_heldout", problems)
    assert (traces.training, traces.shared) == ("the traces of 'sft'", 1)  # what is known to be shared is said
    curated = load_problems(loaded.recipe.problems["mine"], loaded.folder, None).rows
    results = {"grpo": compare_with_evaluations(grpo, context_of(loaded, []), curated)}
    compared = shared_with_training(context_of(loaded, [], results=results), evaluate, "mine_heldout", problems)
    assert [(each.training, each.shared) for each in compared] == [("the traces of 'sft'", 1), ("'curate'", 0)]
