"""Nothing of the user's is written over or deleted: not his recipe, not his files, not another run's stages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from magistral_recipe.chain import own
from magistral_recipe.chain import run as chain_run
from magistral_recipe.chain.run import RunOptions, run_recipe
from magistral_recipe.chain.run_folder import RunFolder
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.cli import app
from magistral_recipe.errors import DataError, RecipeError
from magistral_recipe.files import read_json
from magistral_recipe.layout import OF_A_RUN
from magistral_recipe.report.build import build_report
from magistral_recipe.stages import STAGES

RECIPE = """\
name: counted
model: {path: models/base}
problems: {mine: {path: mine.jsonl}}
stages:
  - count: {problems: mine}
  - count: {name: again, problems: mine}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setitem(STAGES, "count", "toy_stage:CountStage")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setattr(chain_run, "_report", lambda path, display: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "base").mkdir(parents=True)
    (tmp_path / "models" / "base" / "weights").write_text("w")
    (tmp_path / "mine.jsonl").write_text('{"problem": "One and one?", "answer": "2"}\n')
    (tmp_path / "counted.yaml").write_text(RECIPE)
    return tmp_path


def run(recipe: Path, output: Path, **options) -> None:
    run_recipe(load_recipe(recipe), RunOptions(output=output, **options))


def contents(folder: Path) -> dict[str, str]:
    return {str(f.relative_to(folder)): f.read_text() for f in sorted(folder.rglob("*")) if f.is_file()}


@pytest.mark.parametrize("what", ["the recipe", "its data"])
@pytest.mark.parametrize("place", ["01-count", "07-earlier", "replaced/01-count.1"])
@pytest.mark.parametrize("fresh", [False, True])
def test_what_a_run_reads_is_not_in_what_it_moves_or_deletes(home, what, place, fresh):
    folder = home / "out" / place
    folder.mkdir(parents=True)
    data = (folder if what == "its data" else home) / "rows.jsonl"
    data.write_text((home / "mine.jsonl").read_text())
    recipe = (folder if what == "the recipe" else home) / "mine.yaml"
    recipe.write_text(RECIPE.replace("models/base", str(home / "models" / "base")).replace("mine.jsonl", str(data)))
    before = contents(home)
    if fresh or place == "01-count":
        with pytest.raises(RecipeError, match="which this run writes anew: give another --output"):
            run(recipe, home / "out", fresh=fresh)
        assert contents(home) == before
    else:
        run(recipe, home / "out")
        assert before.items() <= contents(home).items()


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("linked", [False, True])
def test_a_recipe_in_its_own_run_folder_is_not_written_over(home, fresh, linked):
    mine = home / "mine"
    mine.mkdir()
    (mine / "recipe.yaml").write_text(RECIPE.replace("models/", "../models/").replace("mine.jsonl", "../mine.jsonl"))
    output = mine
    if linked:
        (home / "link").symlink_to(mine)
        output = home / "link"
    before = contents(mine)
    with pytest.raises(RecipeError, match=r"recipe\.yaml: is the recipe itself, and a run writes its own"):
        run(mine / "recipe.yaml", output, fresh=fresh)
    assert contents(mine) == before


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("name", OF_A_RUN)
def test_a_file_of_a_runs_name_that_no_run_wrote_is_refused_by_name(home, name, fresh):
    output = home / "out"
    output.mkdir()
    (output / name).write_text("of the user's")
    with pytest.raises(RecipeError, match=rf"out/{name}: is not a run's, and a run writes its own"):
        run(home / "counted.yaml", output, fresh=fresh)
    assert contents(output).pop(name) == "of the user's"


def test_another_recipe_of_the_users_stays_where_a_run_has_been(home):
    output = home / "out"
    run(home / "counted.yaml", output)
    (output / "recipe.yaml").write_text("# what I changed by hand\n" + RECIPE)
    with pytest.raises(RecipeError, match=r"recipe\.yaml: is not a run's"):
        run(home / "counted.yaml", output)


def test_a_folder_of_an_earlier_versions_run_is_taken_up(home):
    output = home / "out"
    run(home / "counted.yaml", output)
    (output / ".run.json").unlink()
    for record in output.glob("*/stage.json"):
        record.write_text(record.read_text().replace('"run":', '"was":'))
    (output / "report.html").write_text("<html>")
    own.require_own(output, home / "counted.yaml")
    own.forget(output, home / "counted.yaml")
    assert sorted(path.name for path in output.iterdir()) == [".lock", "01-count", "02-again"]
    assert contents(output).keys() == {".lock", "01-count/words.txt", "02-again/words.txt"}


def test_fresh_deletes_no_stage_of_another_run_and_nothing_that_was_put_into_one(home, capsys):
    run(home / "counted.yaml", home / "out")
    run(home / "counted.yaml", home / "other")
    shutil.copytree(home / "other" / "01-count", home / "out" / "05-count")  # looks like ours in everything
    shutil.copytree(home / "other" / "02-again", home / "out" / "replaced" / "02-again.7")
    shutil.rmtree(home / "out" / "02-again")
    shutil.copytree(home / "other" / "02-again", home / "out" / "02-again")  # stands where ours would
    (home / "out" / "01-count" / "notes.md").write_text("mine")
    (home / "out" / "06-empty").mkdir()
    run(home / "counted.yaml", home / "out", fresh=True)
    out = home / "out"
    assert (out / "05-count" / "stage.json").is_file()
    assert (out / "06-empty").is_dir()
    assert (out / "replaced" / "02-again.7" / "stage.json").is_file()
    assert (out / "replaced" / "02-again.1" / "stage.json").is_file()
    assert (out / "replaced" / "01-count.1" / "notes.md").read_text() == "mine"
    records = [read_json(out / name / "stage.json") for name in ("01-count", "02-again")]
    assert [(record["status"], record["attempts"]) for record in records] == [("complete", 1)] * 2
    assert {record["run"] for record in records} == {own.run_id(out)}


def test_a_copied_stage_is_taken_up_where_nothing_is_to_be_fresh(home):
    run(home / "counted.yaml", home / "other")
    (home / "out").mkdir()
    shutil.copytree(home / "other" / "01-count", home / "out" / "01-count")
    folder = RunFolder(home / "out", load_recipe(home / "counted.yaml"))
    assert [plan.decision for plan in folder.stage_plans()] == ["skip", "start"]


def test_what_stands_in_a_stages_place_moves_aside_whole(home):
    (home / "out" / "01-count").mkdir(parents=True)
    (home / "out" / "01-count" / "thesis.txt").write_text("mine")
    run(home / "counted.yaml", home / "out")
    assert (home / "out" / "replaced" / "01-count.1" / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("empty", ["", " "])
@pytest.mark.parametrize(
    "command",
    [["run", "counted.yaml"], ["evaluate", "--model", "tiny", "--benchmark", "tiny"]],
    ids=["run", "evaluate"],
)
def test_an_empty_output_is_not_the_working_folder(home, command, empty):
    before = contents(home)
    result = CliRunner().invoke(app, [*command, "--output", empty])
    assert result.exit_code == 2
    assert "names no folder" in result.output
    assert contents(home) == before


def test_temporary_files_of_a_kill_go_and_others_stay(home):
    out = home / "out"
    run(home / "counted.yaml", out)
    for name in (".manifest.json.77.tmp", "01-count/.stage.json.3.tmp", "..run.json.5.tmp"):
        (out / name).write_text("half")
    for name in (".mine.tmp", "01-count/.notes.9.tmp"):
        (out / name).write_text("mine")
    own.sweep_temporary(out)
    left = [name for name in contents(out) if name.endswith(".tmp")]
    assert left == [".mine.tmp", "01-count/.notes.9.tmp"]


@pytest.mark.parametrize("name", ["report.html", "report.md", "metrics.json"])
def test_a_report_is_written_over_no_file_that_no_report_wrote(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(DataError, match="not a run folder"):
        build_report(tmp_path)
    assert contents(tmp_path) == {name: "mine"}


def test_an_evaluation_deletes_no_file_that_no_evaluation_wrote(tmp_path):
    from magistral_recipe.evaluation.evaluate import _set_aside

    for name in ("settings.json", "scores.json", "problems.jsonl"):
        (tmp_path / name).write_text("mine")
    _set_aside(tmp_path)
    assert sorted(contents(tmp_path)) == [
        "replaced/001/problems.jsonl", "replaced/001/scores.json", "replaced/001/settings.json",
    ]  # fmt: skip
    assert set(contents(tmp_path).values()) == {"mine"}
