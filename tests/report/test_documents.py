"""`metrics.json` and `report.md`, and that all who tell scores read them in one place."""

from __future__ import annotations

import json

import pytest
from fabricated import make_run
from rich.console import Console

from magistral_recipe.report import evaluations
from magistral_recipe.report.build import build_report
from magistral_recipe.report.evaluations import finished_evaluations, latest_scores
from magistral_recipe.score_table import score_table


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("runs") / "quickstart", 20)
    build_report(folder)
    return folder


def test_metrics_hold_what_the_run_ended_with(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["format"] == 1
    assert [stage["name"] for stage in metrics["stages"]] == ["sft", "grpo", "evaluate"]
    last = json.loads((run / "02-grpo" / "metrics.jsonl").read_text().splitlines()[-1])
    assert metrics["stages"][1]["steps"] == last["step"] == 90
    assert metrics["stages"][1]["metrics"]["entropy"] == last["entropy"]
    assert metrics["stages"][1]["rollouts"] == 16
    scores = json.loads((run / "03-evaluate" / "grpo" / "scores.json").read_text())
    told = metrics["stages"][2]["evaluations"]["grpo"]
    assert told["overall"] == scores["overall"]
    assert told["groups"] == scores["groups"]
    assert told["finished"] is True
    assert told["settings"]["temperature"] == 0.7
    assert {"id", "level", "title", "seen", "advice"} == set(metrics["warnings"][0])


def test_the_markdown_tells_scores_warnings_and_the_chain(run):
    text = (run / "report.md").read_text()
    metrics = json.loads((run / "metrics.json").read_text())
    rate = metrics["stages"][2]["evaluations"]["grpo"]["overall"]["pass@1"]
    assert text.startswith("# quickstart\n")
    assert f"{rate['mean']:.1%} ({100 * rate['low']:.1f}–{100 * rate['high']:.1f})" in text
    for warning in metrics["warnings"]:
        assert f"- **{warning['title']}** ({warning['level']})." in text
    assert "| grpo | complete | 4.18 | grpo is done |" in text


def test_markdown_stays_a_table_whatever_a_name_holds(tmp_path):
    folder = make_run(tmp_path / "run", 2)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["name"] = "a|b\n# *c* <img src=x>"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    build_report(folder)
    assert (folder / "report.md").read_text().splitlines()[0] == r"# a\|b # \*c\* \<img src=x\>"


def test_terminal_card_and_report_read_the_same_files_in_the_same_order(run):
    assert [label for label, _ in finished_evaluations(run)] == ["base", "sft", "grpo"]
    assert latest_scores(run) == dict(finished_evaluations(run))
    metrics = json.loads((run / "metrics.json").read_text())
    told = metrics["stages"][2]["evaluations"]
    assert {label: told[label]["overall"] for label in told} == {
        label: scores["overall"] for label, scores in finished_evaluations(run)
    }
    console = Console(width=120, record=True)
    console.print(score_table(run))
    assert f"{100 * told['grpo']['overall']['pass@1']['mean']:.1f} [" in console.export_text()


def test_the_order_is_the_chains_not_the_alphabets(tmp_path):
    folder = tmp_path / "02-evaluate"
    for label in ("a-late", "zz-early", "base"):
        (folder / label).mkdir(parents=True)
        (folder / label / "scores.json").write_text('{"overall": {}}')
    (folder / "stage.json").write_text(json.dumps({"results": {"scores": {"zz-early": {}, "a-late": {}}}}))
    found = [each.label for each in evaluations.stage_evaluations(folder)]
    assert found == ["base", "zz-early", "a-late"]
