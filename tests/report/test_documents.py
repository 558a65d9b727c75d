"""`metrics.json` and `report.md`, and that all who tell scores read them in one place."""

from __future__ import annotations

import html
import json
import shutil
from dataclasses import replace

import pytest
from fabricated import SETTINGS, keep_greedy, make_run
from rich.console import Console

from magistral_recipe.evaluation.evaluate import finish
from magistral_recipe.evaluation.samples import read_samples
from magistral_recipe.report import evaluations
from magistral_recipe.report.build import build_report
from magistral_recipe.report.evaluations import finished_evaluations, latest_scores
from magistral_recipe.terminal.score_table import score_table


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


WARNED = "37% of the samples were cut at 80 tokens: the score is a lower bound; <b>raise</b> max_new_tokens"


def test_what_an_evaluation_warned_of_stands_beside_its_scores(tmp_path):
    folder = make_run(tmp_path / "run", 8)
    assert "The evaluation warns" not in build_report(folder).read_text()
    file = folder / "03-evaluate" / "sft" / "scores.json"
    scores = json.loads(file.read_text())
    file.write_text(json.dumps({**scores, "warnings": [WARNED, 3, None], "partial": True}))
    page = build_report(folder).read_text()
    assert "The evaluation warns" in page
    assert f"<li>after SFT: {html.escape(WARNED)}</li>" in page
    assert "No warnings:" not in page
    told = json.loads((folder / "metrics.json").read_text())["stages"][2]["evaluations"]
    assert told["sft"]["warnings"] == [WARNED]
    assert told["grpo"]["warnings"] == []
    assert told["sft"]["finished"] is False
    assert r"- the evaluation warns: after SFT: 37% of the samples were cut" in (folder / "report.md").read_text()
    file.write_text(json.dumps({**scores, "warnings": "cut"}))  # no list: not one warning a letter
    assert "The evaluation warns" not in build_report(folder).read_text()


def test_an_evaluation_and_the_report_agree_on_where_warnings_are(tmp_path):
    folder = make_run(tmp_path / "run", 8)
    target = folder / "03-evaluate" / "grpo"
    samples = [replace(sample, truncated=True) for sample in read_samples(target / "samples.jsonl")]
    finish(target, samples, {"settings": {**SETTINGS, "max_new_tokens": 4_096}})
    assert "after RL: 100% of the samples were cut at 4,096 tokens" in build_report(folder).read_text()


def test_metrics_are_strict_json_whatever_the_scores_hold(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    file = folder / "03-evaluate" / "grpo" / "scores.json"
    scores = json.loads(file.read_text())
    scores["overall"]["pass@1"]["low"] = float("nan")
    scores["settings"]["prompt"] = "\ud800"
    file.write_text(json.dumps(scores))
    build_report(folder)

    def refuse(constant):
        raise AssertionError(constant)

    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"), parse_constant=refuse)
    told = metrics["stages"][2]["evaluations"]["grpo"]
    assert told["overall"]["pass@1"]["low"] is None
    assert told["settings"]["prompt"] == "?"


def test_the_markdown_tells_scores_warnings_and_the_chain(run):
    text = (run / "report.md").read_text()
    metrics = json.loads((run / "metrics.json").read_text())
    rate = metrics["stages"][2]["evaluations"]["grpo"]["overall"]["pass@1"]
    assert text.startswith("# quickstart\n")
    assert f"{rate['mean']:.1%} ({100 * rate['low']:.1f}–{100 * rate['high']:.1f})" in text
    assert len(metrics["warnings"]) == 1
    for warning in metrics["warnings"]:
        assert f"- **{warning['title']}** ({warning['level']})." in text
    assert "| grpo | complete | 4.18 | grpo is done |" in text


def test_greedy_scores_are_called_so(tmp_path):
    run = make_run(tmp_path / "run", 20)
    keep_greedy(run)
    page, text = build_report(run).read_text(), (run / "report.md").read_text()
    assert "Held-out greedy pass@1 with its 95% interval" in page
    assert "greedy pass@1 by language" in page
    assert "Held-out greedy pass@1: **" in text
    assert "20 problems; one answer each, decoded greedily; at most 80 tokens." in text
    assert "| from → to | greedy pass@1, in points |" in text


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
