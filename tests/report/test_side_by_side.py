"""Runs side by side, their differences held against the definition."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from fabricated import keep_greedy, make_run

from magistral_recipe.errors import DataError
from magistral_recipe.evaluation.samples import read_samples
from magistral_recipe.evaluation.statistics import paired_difference
from magistral_recipe.recipe.document import to_yaml
from magistral_recipe.report.collect import collect
from magistral_recipe.report.side_by_side import build_comparison, comparison_page, run_names


@pytest.fixture
def runs(tmp_path):
    a = make_run(tmp_path / "a", 30)
    b = make_run(tmp_path / "b", 30, rates={"base": 0.0, "sft": 0.45, "grpo": 0.2}, seed=7)
    recipe = {"name": "quickstart", "seed": 42, "stages": [{"sft": {}}, {"grpo": {"trainer": {"learning_rate": 1e-5}}}]}
    (a / "recipe.yaml").write_text(to_yaml(recipe))
    recipe["stages"][1]["grpo"]["trainer"]["learning_rate"] = 2e-5
    (b / "recipe.yaml").write_text(to_yaml(recipe))
    return a, b


def page_of(*folders):
    return comparison_page(list(zip(run_names(folders), map(collect, folders), strict=True)))


def rights(run, label):
    found: dict[str, list[float]] = {}
    for sample in read_samples(run / "03-evaluate" / label / "samples.jsonl"):
        if not sample.greedy:
            found.setdefault(sample.problem, []).append(float(sample.right))
    return found


def test_differences_are_paired_over_the_same_problems(runs):
    page = page_of(*runs)
    table = next(table for table in page.comparison if table.title.startswith("b minus a"))
    ours = next(row for row in table.rows if row.name == "after RL")
    of_a, of_b = rights(runs[0], "grpo"), rights(runs[1], "grpo")
    expected = paired_difference([of_a[p] for p in of_a], [of_b[p] for p in of_a])
    assert ours.cells[0].value == f"{100 * expected.mean:+.1f}".replace("-", "−")
    told = f"{100 * expected.low:+.1f} to {100 * expected.high:+.1f}"
    assert ours.cells[0].interval == told.replace("-", "−")
    assert ours.cells[0].tone == "bad"
    assert ours.note == "30 problems in both"


def test_what_the_evaluations_warned_of_is_told_by_run_and_model(runs):
    file = runs[1] / "03-evaluate" / "grpo" / "scores.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "warnings": ["3 samples are undecided"]}))
    assert page_of(*runs).score_warnings == ["b: after RL: 3 samples are undecided"]
    assert "<li>b: after RL: 3 samples are undecided</li>" in build_comparison(runs).read_text()


def test_where_a_comparison_cannot_be_written_is_said(runs, tmp_path):
    with pytest.raises(DataError, match=r"a folder; give the page's file, such as .*compare-a-b\.html"):
        build_comparison(runs, tmp_path)
    (tmp_path / "page.md").mkdir()
    with pytest.raises(DataError, match=r"page\.md: is a folder, expected a file"):
        build_comparison(runs, tmp_path / "page.html")


@pytest.mark.parametrize("name", ["page.html", "page.md"])
def test_a_comparison_is_written_over_itself_and_over_nothing_else(runs, tmp_path, name):
    page = tmp_path / "page.html"
    assert build_comparison(runs, page) == build_comparison(runs, page)
    (tmp_path / name).write_text("# notes\n")
    with pytest.raises(DataError, match=f"{name}: is a file that this command has not written"):
        build_comparison(runs, page)
    assert (tmp_path / name).read_text() == "# notes\n"


def test_runs_of_other_problems_are_not_subtracted(runs):
    files = list((runs[1] / "03-evaluate").glob("*/samples.jsonl"))
    assert len(files) == 3
    for file in files:
        file.write_text(file.read_text().replace('{"problem": "', '{"problem": "other/'))
    page = build_comparison(runs)
    assert "no problem in both: not comparable" in page.read_text()
    markdown = page.with_suffix(".md").read_text()
    assert "| after RL (no problem in both: not comparable) | – | – | – |" in markdown


def test_every_headline_is_compared_with_the_first_run_and_says_so(runs, tmp_path):
    third = make_run(tmp_path / "c", 30, rates={"base": 0.0, "sft": 0.4, "grpo": 0.6}, seed=11)
    stones = page_of(*runs, third).milestones
    assert [stone.name for stone in stones] == ["a, after RL", "b, after RL", "c, after RL"]
    assert stones[0].change == ""
    of_a, of_c = rights(runs[0], "grpo"), rights(third, "grpo")
    mean = paired_difference([of_a[p] for p in of_a], [of_c[p] for p in of_a]).mean
    assert stones[2].change == f"{100 * mean:+.1f} points to a".replace("-", "−")
    shutil.rmtree(runs[0] / "03-evaluate")  # the first run has no score: nobody is compared with another in its name
    assert [stone.change for stone in page_of(*runs, third).milestones] == ["", ""]


def test_greedy_decoding_is_compared_with_greedy_decoding(runs):
    keep_greedy(runs[0])
    of_a, of_b = ([s for s in read_samples(run / "03-evaluate" / "grpo" / "samples.jsonl") if s.greedy] for run in runs)
    page = page_of(*runs)
    table = next(table for table in page.comparison if table.title.startswith("b minus a"))
    row = next(row for row in table.rows if row.name == "after RL")
    expected = sum(s.right for s in of_b) / len(of_b) - sum(s.right for s in of_a) / len(of_a)
    assert row.cells[0].value == f"{100 * expected:+.1f}".replace("-", "−")
    assert row.note == "30 problems in both, greedy decoding"
    assert [stone.change for stone in page.milestones] == ["", ""]  # greedy decoding's score beside one of samples
    assert [stone.name for stone in page.milestones] == ["a, after RL, greedy", "b, after RL"]


def test_what_is_not_comparable_is_said(runs):
    file = runs[1] / "03-evaluate" / "grpo" / "scores.json"
    scores = json.loads(file.read_text())
    scores["settings"]["temperature"] = 1.0
    file.write_text(json.dumps(scores))
    table = next(table for table in page_of(*runs).comparison if " minus " in table.title)
    row = next(row for row in table.rows if row.name == "after RL")
    assert row.note == "sampled differently: not comparable"
    assert {cell.value for cell in row.cells} == {"–"}


def test_curves_lie_over_one_another(runs):
    page = page_of(*runs)
    (rl,) = [section for section in page.trainings if section.title == "RL"]
    reward = next(chart for chart in rl.charts if chart.title == "Reward")
    assert [series.name for series in reward.series] == ["a", "b"]
    assert len(reward.x) == 45  # rewards are logged at every second step


def test_recipes_differ_where_they_do(runs):
    table = next(table for table in page_of(*runs).comparison if table.title == "What the recipes differ in")
    assert [(row.name, [cell.value for cell in row.cells]) for row in table.rows] == [
        ("stages.grpo.trainer.learning_rate", ["1e-05", "2e-05"])
    ]


def test_a_problem_is_followed_through_all_runs(runs):
    data = page_of(*runs).data
    assert [o.name for o in data.occasions if o.kind == "evaluation"] == [
        f"{run}: {model}" for run in "ab" for model in ("base", "after SFT", "after RL")
    ]
    first = {c.occasion for c in data.completions if c.problem == 0}
    assert len(first) >= 6


def test_the_page_is_written_beside_the_first_run(runs):
    target = build_comparison(runs)
    assert target == runs[0].parent / "compare-a-b.html"
    text = target.read_text()
    assert "default-src &#39;none&#39;" in text
    assert len(re.findall('id="comparison"', text)) == 1
    markdown = target.with_suffix(".md").read_text()
    assert "## b minus a, in points, paired over problems" in markdown


def test_a_run_that_has_not_got_far_is_compared_as_far_as_it_goes(runs, tmp_path):
    shutil.rmtree(runs[1] / "03-evaluate")
    (runs[1] / "02-grpo" / "metrics.jsonl").unlink()
    page = page_of(*runs)
    assert any(line.startswith("b: No evaluation") for line in page.missing)
    assert not any(" minus " in table.title for table in page.comparison)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert build_comparison([empty, runs[0]], tmp_path / "x.html").is_file()


def test_names_tell_runs_apart(tmp_path):
    assert run_names([tmp_path / "x" / "run", tmp_path / "y" / "run", tmp_path / "z"]) == ["x/run", "y/run", "z"]


def test_mistakes_are_told(runs, tmp_path):
    with pytest.raises(DataError, match="given twice"):
        build_comparison([runs[0], runs[1], runs[0]])
    with pytest.raises(DataError, match="no folder"):
        build_comparison(runs, tmp_path / "absent" / "x.html")
