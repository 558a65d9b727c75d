"""The table that a run ends with: each model its column, each metric its row, the hardest category last."""

from __future__ import annotations

import io
import json

import pytest
from fabricated import keep_greedy, make_run
from rich.console import Console

from magistral_recipe.evaluation.samples import read_samples
from magistral_recipe.evaluation.scores import compute_scores
from magistral_recipe.terminal.score_table import ScoreTable, score_table
from magistral_recipe.terminal.screen import plain


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


def rows_of(run, width=100):
    """The printed table: the cells of each row by its name."""
    stream = io.StringIO()
    Console(file=stream, width=width).print(score_table(run))
    lines = [line for line in stream.getvalue().splitlines() if "│" in line or "┃" in line]
    cells = [[cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]] for line in lines]
    return {row[0]: row[1:] for row in cells}, stream.getvalue()


def scores_of(run, label):
    return json.loads((run / "03-evaluate" / label / "scores.json").read_text())


def written(interval):
    return "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * interval[end] for end in ("mean", "low", "high")))


def test_every_model_has_its_scores_with_intervals(run):
    rows, _ = rows_of(run)
    assert rows[""] == ["base", "after SFT", "after RL"]
    overall = [scores_of(run, label)["overall"] for label in ("base", "sft", "grpo")]
    assert rows["pass@1"] == [written(each["pass@1"]) for each in overall]
    assert rows["greedy"] == [written(each["greedy_pass@1"]) for each in overall]
    assert rows["tokens"] == [f"{each['mean_length']['mean']:.1f}" for each in overall]
    _, narrow = rows_of(run, width=80)
    assert all(figure in narrow for figure in rows["pass@1"] + rows["greedy"])


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_models_that_a_terminal_is_too_narrow_for_stand_below_and_nothing_is_cut(width):
    models = [plain(f"model-{number}") for number in range(5)]
    figures = [f"{10.0 + number} [{number}.5, 100.0]" for number in range(5)]
    stream = io.StringIO()
    table = ScoreTable("scores", models, [(plain("pass@1"), figures), (plain("multiplication greedy"), figures)])
    Console(file=stream, width=width).print(table)
    shown = stream.getvalue()
    assert max(len(line) for line in shown.splitlines()) <= width
    assert all(shown.count(figure) == 2 for figure in figures)
    assert all(shown.count(model.plain) == 1 for model in models)
    tables = shown.count("┏")
    assert tables == shown.count("│ pass@1")
    assert (tables == 1) == (width == 200)


def test_the_category_in_which_the_last_model_is_weakest_has_rows_of_its_own(run):
    groups = scores_of(run, "grpo")["groups"]["category"]
    hardest = min(groups, key=lambda name: groups[name]["scores"]["pass@1"]["mean"])
    rows, _ = rows_of(run)
    own = {name: row for name, row in rows.items() if name.startswith(hardest)}
    assert set(own) == {f"{hardest} pass@1", f"{hardest} greedy"}
    assert own[f"{hardest} pass@1"][-1] == written(groups[hardest]["scores"]["pass@1"])


def test_a_run_that_decoded_greedily_has_no_row_of_samples(run):
    keep_greedy(run)
    for folder in (run / "03-evaluate").iterdir():
        scores = compute_scores(read_samples(folder / "samples.jsonl")).to_json()
        (folder / "scores.json").write_text(json.dumps(scores))
    rows, _ = rows_of(run)
    assert "pass@1" not in rows
    assert rows["greedy"][-1] == written(scores_of(run, "grpo")["overall"]["greedy_pass@1"])


def test_a_model_that_lacks_a_metric_has_a_dash(run):
    file = run / "03-evaluate" / "base" / "scores.json"
    scores = json.loads(file.read_text())
    del scores["overall"]["language_fidelity"]
    file.write_text(json.dumps(scores))
    rows, _ = rows_of(run)
    assert rows["same language"][0] == "-"
    assert rows["same language"][1] != "-"


def test_a_run_without_evaluation_has_no_table(tmp_path):
    (tmp_path / "01-sft").mkdir()
    assert score_table(tmp_path) is None
