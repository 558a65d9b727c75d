"""What a run says of itself, and what tells one version of this package from another."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import magistral_recipe
from magistral_recipe.chain.manifest import code_version, write_manifest
from magistral_recipe.chain.run_folder import RunFolder
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.files import read_json, write_json

RECIPE = """\
name: told
description: What it is for.
seed: 3
model: {path: tiny}
problems:
  mine: {path: data/problems.jsonl}
stages:
  - grpo: {problems: mine}
  - evaluate: {problems: mine}
"""
PACKAGE = Path(magistral_recipe.__file__).parent


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "home" / "data").mkdir(parents=True)
    (tmp_path / "home" / "data" / "problems.jsonl").write_text('{"problem": "1+1", "answer": "2"}\n')
    (tmp_path / "home" / "told.yaml").write_text(RECIPE)
    run = RunFolder(tmp_path / "run", load_recipe(tmp_path / "home" / "told.yaml"))
    run.path.mkdir()
    return run


def written(folder: RunFolder) -> dict:
    write_manifest(folder, folder.stage_plans())
    return read_json(folder.path / "manifest.json")


def test_it_says_what_ran_from_what_on_what(folder):
    manifest = written(folder)
    assert (manifest["name"], manifest["description"], manifest["seed"]) == ("told", "What it is for.", 3)
    assert manifest["recipe_file"] == "told.yaml"
    assert manifest["versions"]["magistral-recipe"] == magistral_recipe.__version__
    assert {"python", "torch", "trl", "transformers"} <= set(manifest["versions"])
    assert manifest["hardware"]["cores"] >= 1
    assert manifest["code"] == code_version()


def test_its_inputs_are_named_as_the_recipe_names_them_and_told_by_their_contents(folder):
    ((name, before),) = written(folder)["inputs"].items()
    assert name == "data/problems.jsonl"
    (folder.loaded.folder / name).write_text('{"problem": "1+1", "answer": "3"}\n')
    again = RunFolder(folder.path, folder.loaded)
    assert written(again)["inputs"][name] != before


def test_stages_that_have_not_run_are_waiting(folder):
    stages = written(folder)["stages"]
    assert [(stage["name"], stage["kind"], stage["role"], stage["status"]) for stage in stages] == [
        ("grpo", "grpo", "reinforcement", "waiting"),
        ("evaluate", "evaluate", "evaluation", "waiting"),
    ]
    assert [stage["folder"] for stage in stages] == ["01-grpo", "02-evaluate"]
    assert [stage["start_model"] for stage in stages] == ["base", "grpo"]


def test_a_complete_stage_brings_its_results_and_one_of_another_config_does_not(folder):
    plan = folder.stage_plans()[0]
    folder.prepare(plan)
    folder.complete(plan, {"steps": 4}, 2.5, "code")
    first = written(folder)["stages"][0]
    assert (first["status"], first["seconds"], first["attempts"], first["results"]) == (
        "complete",
        2.5,
        1,
        {"steps": 4},
    )
    write_json(plan.record, {**read_json(plan.record), "fingerprint": "another"})
    first = written(folder)["stages"][0]
    assert (first["status"], first["seconds"], first["results"]) == ("waiting", 0.0, {})


def test_a_second_writing_keeps_when_the_run_was_made(folder):
    made = written(folder)["created"]
    write_json(folder.path / "manifest.json", {**read_json(folder.path / "manifest.json"), "created": "long ago"})
    assert written(folder)["created"] == "long ago"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", made)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    target = tmp_path_factory.mktemp("package") / "magistral_recipe"
    ignored = shutil.ignore_patterns("__pycache__", "*.safetensors")
    return shutil.copytree(PACKAGE, target, ignore=ignored)


def test_the_version_of_the_code_is_that_of_the_whole_package():
    assert sum(1 for _ in PACKAGE.rglob("*.py")) >= 180
    assert code_version() == code_version(PACKAGE)


@pytest.mark.parametrize(
    "name",
    [
        "__init__.py",
        "chain/manifest.py",
        "verifiers/sandbox/driver.py",
        "data/benchmarks/aime24.yaml",
        "writing/templates/magistral.jinja",
        "check/perfect_answers.json",
        "report/assets/report.js",
    ],
)
def test_it_changes_when_any_file_does(copy, name):
    code_version.cache_clear()
    before = code_version(copy)
    text = (copy / name).read_text("utf-8")
    (copy / name).write_text(text + " ", "utf-8")
    code_version.cache_clear()
    changed = code_version(copy)
    (copy / name).write_text(text, "utf-8")
    code_version.cache_clear()
    assert changed != before
    assert code_version(copy) == before


def test_compiled_files_do_not_change_it(copy):
    code_version.cache_clear()
    before = code_version(copy)
    (copy / "__pycache__").mkdir()
    (copy / "__pycache__" / "cli.cpython-311.pyc").write_bytes(b"x")
    code_version.cache_clear()
    assert code_version(copy) == before
