"""What makes a stage: a class in one file and one line in the table; the chain, `check` and the report do the rest."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from magistral_recipe.chain.run import RunOptions, run_recipe
from magistral_recipe.check.plan import check_recipe
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.errors import RecipeError
from magistral_recipe.files import read_json
from magistral_recipe.recipe.sections import Stage
from magistral_recipe.stages import STAGES, stage_class

RECIPE = """\
name: toy
model: {path: tiny}
problems: {mine: {path: mine.jsonl}}
stages:
  - count: {problems: mine}
  - count: {name: short, problems: mine, longest: 3}
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.setitem(STAGES, "count", "toy_stage:CountStage")
    rows = [{"problem": "What is two and two?", "answer": "4"}, {"problem": "And three?", "answer": "6"}]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "toy.yaml").write_text(RECIPE)
    return tmp_path / "toy.yaml"


@pytest.fixture
def run(recipe, monkeypatch):
    """Run the chain in this process, as under `accelerate launch`, and return its manifest."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setenv("CI", "1")

    def run(*overrides: str) -> dict:
        folder = run_recipe(load_recipe(recipe, list(overrides)), RunOptions(output=recipe.parent / "run"))
        return read_json(folder / "manifest.json")

    return run


def test_a_stage_of_one_file_and_one_line_runs_and_is_skipped_again(run, recipe):
    first = run()
    assert [stage["results"]["words"] for stage in first["stages"]] == [7, 2]
    assert [stage["status"] for stage in first["stages"]] == ["complete", "complete"]
    assert [stage["role"] for stage in first["stages"]] == ["other", "other"]
    assert (recipe.parent / "run" / "02-short" / "words.txt").read_text() == "2"
    assert [stage["attempts"] for stage in run()["stages"]] == [1, 1]


def test_its_keys_and_its_data_are_part_of_its_fingerprint(run, recipe):
    first = [stage["fingerprint"] for stage in run()["stages"]]
    changed = [stage["fingerprint"] for stage in run("short.longest=2")["stages"]]
    assert changed[0] == first[0]
    assert changed[1] != first[1]
    with open(recipe.parent / "mine.jsonl", "a") as file:
        file.write('{"problem": "One?", "answer": "1"}\n')
    assert not {stage["fingerprint"] for stage in run()["stages"]} & {*first, *changed}


def test_check_knows_its_keys_and_shows_it_in_the_plan(recipe):
    console = Console(record=True, width=120)
    check_recipe(load_recipe(recipe), console)
    assert "the words of 'mine'" in console.export_text()
    with pytest.raises(RecipeError, match=r"stages\[1\].count.longset: unknown key. Did you mean 'longest'\?"):
        load_recipe(recipe, ["short.longset=3"])
    with pytest.raises(RecipeError, match="a second stage named 'count'"):
        load_recipe(recipe, ["short.name=count"])


def test_the_report_shows_it(run, recipe):
    run()
    page = (recipe.parent / "run" / "report.html").read_text("utf-8")
    assert "7 words" in page
    assert "2 words" in page


def test_every_kind_in_the_table_is_a_whole_stage():
    assert sorted(STAGES) == ["curate", "evaluate", "export", "grpo", "sft", "traces"]
    for kind in STAGES:
        found = stage_class(kind)
        assert found.kind == kind
        assert issubclass(found, Stage)
        assert not found.__abstractmethods__
        assert found.role in {"imitation", "reinforcement", "evaluation", "curation", "other"}
        assert found.__doc__
        assert all(info.description for name, info in found.model_fields.items()), kind


def test_what_leaves_a_model_runs_in_every_process_and_starts_as_the_recipe_says(recipe):
    loaded = load_recipe(recipe, ["launch.num_processes=3"]).recipe
    (counting, _) = loaded.stages
    assert loaded.launch_of(counting).num_processes == 3  # what its fingerprint knows
    assert loaded.started_as(counting).num_processes == 1  # what is started
    own = load_recipe(recipe, ["launch.num_processes=3", "short.launch={num_processes: 2}"]).recipe
    assert own.launch_of(own.stages[1]).num_processes == own.started_as(own.stages[1]).num_processes == 2
    for kind in ("sft", "grpo"):
        assert stage_class(kind).makes_model
        assert stage_class(kind).shares_work
