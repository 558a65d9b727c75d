"""The page as text: what it shows, and that no state of a run folder breaks it."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from fabricated import make_run

from magistral_recipe.errors import DataError
from magistral_recipe.report.build import build_report, duration
from magistral_recipe.report.charts import Series, interval_chart, line_chart, number
from magistral_recipe.report.collect import collect


def page_of(run) -> str:
    return build_report(run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "quickstart", 20)


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def test_a_finished_run_shows_everything(run):
    page = page_of(run)
    scores = json.loads((run / "03-evaluate" / "grpo" / "scores.json").read_text())
    after = scores["overall"]["pass@1"]
    assert f"{after['mean']:.1%} after RL" in page
    assert f"{100 * after['low']:.1f} to {100 * after['high']:.1f}" in page
    hard = scores["groups"]["category"]["three numbers"]["scores"]["pass@1"]["mean"]
    assert re.search(rf"three numbers<small>4 problems, hardest.*?{hard:.1%}", page)
    for title in ("parts of the reward", "ratios clipped", "groups without signal", "length in tokens", "loss"):
        assert f"<figcaption>{title}" in page
    assert "AMD EPYC" in page
    assert "2.13.0+cpu" in page
    assert "4.2 min" in page
    assert "name: quickstart" in page
    assert "What is missing" not in page


def test_the_page_stands_alone(run):
    page = page_of(run)
    assert "<script" not in page
    assert re.findall(r"(?:src|href)=\"(?!#)", page) == []
    assert re.findall(r"url\(|@import|http://|https://", page) == []
    assert page.count("style=") == 0  # the policy forbids inline styles
    assert len(page) < 500_000


def test_it_can_be_written_again(run):
    assert page_of(run).split("<footer>")[0] == page_of(run).split("<footer>")[0]


def spoil_nothing_evaluated(run):
    shutil.rmtree(run / "03-evaluate")


def spoil_manifest(run):
    (run / "manifest.json").write_text('{"name": "quick')


def spoil_recipe(run):
    (run / "recipe.yaml").unlink()


def spoil_metrics(run):
    with open(run / "02-grpo" / "metrics.jsonl", "ab") as stream:
        stream.write(b'{"step": 91, "rew\xff')


def spoil_rollouts(run):
    (run / "02-grpo" / "rollouts.jsonl").write_text('[]\n{"step": "x"}\n{"step": 1}\nnull\n{"step": 2, "parts": [1]}\n')


def spoil_scores(run):
    (run / "03-evaluate" / "grpo" / "scores.json").unlink()
    samples = run / "03-evaluate" / "grpo" / "samples.jsonl"
    samples.write_bytes(samples.read_bytes()[:9000])


def spoil_samples(run):
    (run / "03-evaluate" / "grpo" / "samples.jsonl").write_text('{"problem": 3}\n')


def spoil_running(run):
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["stages"][1]["status"] = "running"
    manifest["stages"][2]["status"] = "waiting"
    (run / "manifest.json").write_text(json.dumps(manifest))
    shutil.rmtree(run / "03-evaluate")


def spoil_no_metrics(run):
    (run / "01-sft" / "metrics.jsonl").unlink()


def spoil_folder(run):
    shutil.rmtree(run / "01-sft")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_nothing_evaluated, "no scores yet"),
        (spoil_manifest, "manifest.json is absent or unreadable"),
        (spoil_recipe, "recipe.yaml is absent"),
        (spoil_metrics, "grpo: metrics.jsonl: 1 line could not be read"),
        (spoil_rollouts, "rollouts.jsonl: 2 lines could not be read"),
        (spoil_scores, "Evaluation of grpo is not finished"),
        (spoil_samples, "samples.jsonl is absent or empty"),
        (spoil_running, "Stage grpo has not come to its end"),
        (spoil_no_metrics, "sft: no metrics were logged"),
        (spoil_folder, "its folder 01-sft is gone"),
    ],
)
def test_what_is_missing_is_said_and_the_rest_shown(run, spoil, said):
    spoil(run)
    page = page_of(run)
    assert "What is missing here" in page
    assert said in page
    assert "<h1>" in page
    assert "What was run" in page


def test_an_empty_folder_is_a_page_too(tmp_path):
    page = page_of(tmp_path)
    assert "No stage has started." in page


def test_no_folder_is_an_error_of_one_line(tmp_path):
    with pytest.raises(DataError, match="absent: no such run folder"):
        build_report(tmp_path / "absent")


@pytest.mark.parametrize("name", ["manifest.json", "03-evaluate/grpo/scores.json"])
@pytest.mark.parametrize(
    "rubbish", ["[]", "3", "null", '{"stages": 3, "overall": 3}', '{"stages": [{}, 1], "overall": {"pass@1": 2}}']
)
def test_json_of_another_shape_breaks_nothing(run, name, rubbish):
    (run / name).write_text(rubbish)
    assert "<h1>" in page_of(run)


@pytest.mark.parametrize(
    "replacement", [None, "x", [], {}, -1, float("nan"), 10**400, True], ids=lambda value: str(value)[:8]
)
def test_no_value_in_the_metrics_breaks_the_page(run, replacement):
    for file in ("02-grpo/metrics.jsonl", "02-grpo/rollouts.jsonl"):
        lines = [json.loads(line) for line in (run / file).read_text().splitlines()]
        changed = [dict.fromkeys(line, replacement) | {"step": line["step"]} for line in lines[:2]]
        (run / file).write_text("".join(json.dumps(line) + "\n" for line in (*changed, *lines[2:])))
    assert "Training: RL" in page_of(run)


def test_stages_are_found_without_a_manifest(run):
    (run / "manifest.json").unlink()
    assert [stage.name for stage in collect(run).stages] == ["sft", "grpo", "evaluate"]


def test_a_stage_name_cannot_lead_out_of_the_run(run, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "metrics.jsonl").write_text('{"step": 1, "loss": 1}\n')
    entry = {"name": "sft", "kind": "sft", "folder": "../outside", "status": "complete"}
    (run / "manifest.json").write_text(json.dumps({"stages": [entry]}))
    assert collect(run).stages[0].metrics == []


def test_a_curve_is_where_its_numbers_are():
    svg = line_chart("loss", [Series("loss", [(0, 4.0), (10, 2.0), (20, 0.0)])])
    (path,) = re.findall(r'class="line" d="M([^"]+)"', svg)
    points = [tuple(map(float, point.split())) for point in path.split("L")]
    assert [x for x, _ in points] == pytest.approx([44, 196, 348])
    assert [y for _, y in points] == pytest.approx([10, 87, 164])
    assert 'aria-label="loss. loss from 4 to 0"' in svg


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [-1.0, 1e-9], [1e12, -1e12], [1e-300, 2e-300]])
def test_odd_ranges_are_drawn(values):
    svg = line_chart("x", [Series("x", list(enumerate(values)))])
    assert "nan" not in svg.lower()
    assert "inf" not in svg.lower()


def test_long_curves_are_thinned():
    svg = line_chart("x", [Series("x", [(step, float(step % 7)) for step in range(100_000)])])
    assert len(svg) < 100_000


def test_names_in_charts_are_escaped():
    assert "<b>" not in line_chart("<b>", [Series("<b>", [(0, 1.0)])])
    from magistral_recipe.evaluation.statistics import Interval

    assert "<b>" not in interval_chart("<b>", [("<b>", Interval(0.5, 0.4, 0.6))])


@pytest.mark.parametrize(
    ("value", "percent", "text"),
    [
        (0.5, True, "50.0%"),
        (0.987, True, "98.7%"),
        (0.001, True, "0.1%"),
        (0.0, False, "0"),
        (2e-5, False, "2e-5"),
        (1234.5, False, "1234"),
        (45_678.0, False, "45.7k"),
        (3.2e6, False, "3.2M"),
        (0.4567, False, "0.457"),
    ],
)
def test_numbers_are_short(value, percent, text):
    assert number(value, percent) == text


@pytest.mark.parametrize(("seconds", "text"), [(42.4, "42 s"), (251, "4.2 min"), (9000, "2.5 h")])
def test_durations_are_said_as_people_do(seconds, text):
    assert duration(seconds) == text
