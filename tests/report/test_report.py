"""The page as text: what it shows, and that no state of a run folder breaks it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from fabricated import make_run
from filelock import FileLock

from magistral_recipe import jsonlines
from magistral_recipe.errors import DataError, RunError
from magistral_recipe.evaluation.samples import read_samples
from magistral_recipe.evaluation.scores import compute_scores
from magistral_recipe.report.advice import findings, judged
from magistral_recipe.report.build import build_report
from magistral_recipe.report.collect import collect
from magistral_recipe.report.page import run_page


def page_of(run) -> str:
    return build_report(run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "quickstart", 20)


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def data_of(page: str) -> dict:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def without_scripts(page: str) -> str:
    return re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)


def test_a_finished_run_shows_everything(run):
    page = page_of(run)
    scores = json.loads((run / "03-evaluate" / "grpo" / "scores.json").read_text())
    after = scores["overall"]["pass@1"]
    assert f"<b>{after['mean']:.1%}</b><small>{100 * after['low']:.1f}–{100 * after['high']:.1f}</small>" in page
    hard = scores["groups"]["category"]["three numbers"]["scores"]["pass@1"]["mean"]
    assert re.search(rf"three numbers</bdi><small>4 problems, hardest.*?{hard:.1%}", page)
    for title in ("Parts of the reward", "Ratios clipped", "Groups without signal", "Length", "Loss", "Learning rate"):
        assert f"<figcaption>{title}" in page
    for fact in ("AMD EPYC", "2.13.0+cpu", "4 min 11 s", "name: quickstart", "Not measured"):
        assert fact in page
    assert "What is missing" not in page


def test_every_figure_has_its_place_and_its_numbers(run):
    page = page_of(run)
    charts = data_of(page)["charts"]
    assert len({chart["id"] for chart in charts}) == len(charts) > 15
    for chart in charts:
        assert chart.get("absent") or f'id="{chart["id"]}"' in page
        for series in chart.get("series", []):
            assert len(series["values"]) == len(chart["x"])


def test_the_page_stands_alone(run):
    page = page_of(run)
    html = without_scripts(page)
    assert re.findall(r"(?:src|href)=\"(?!#)", html) == []
    assert re.findall(r"@import|url\(|http://|https://", html) == []
    assert html.count("style=") == 0  # the policy forbids inline styles
    assert re.findall(r"\bon\w+=", html) == []
    assert "</script" not in "".join(re.findall(r"<script>(.*?)</script>", page, re.DOTALL))
    assert len(page) < 1_000_000


def test_the_policy_names_every_script_and_style_by_its_hash(run):
    page = page_of(run)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1].replace("&#39;", "'")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        hashes = [
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for text in re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        ]
        assert rules[rule].split() == hashes
        assert hashes
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules


def test_a_name_cannot_turn_the_direction_of_a_sentence(run):
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["recipe_file"], manifest["description"] = "a\u202elmay.yaml", "ריצה \u200f(א) \u2066b"
    (run / "manifest.json").write_text(json.dumps(manifest))
    html = without_scripts(page_of(run))
    assert "a⟨U+202E⟩lmay.yaml · seed 42" in html
    assert "ריצה \u200f(א) ⟨U+2066⟩b" in html  # marks that right-to-left text needs stay


def test_a_folder_that_is_still_empty_can_be_reported_again(tmp_path):
    assert "No stage has started." in page_of(tmp_path)
    assert "No stage has started." in page_of(tmp_path)


def test_a_stage_and_its_curves_tell_the_same_figures(run):
    page = page_of(run)
    data = {chart["title"]: chart["remark"] for chart in data_of(page)["charts"] if "remark" in chart}
    for name, title in (("reward", "Reward"), ("length", "Length")):
        assert f"<dt>{name}</dt><dd>{data[title].removeprefix('mean ')}</dd>" in page


def test_only_what_was_looked_at_is_called_healthy(tmp_path):
    run = make_run(tmp_path, 80, rates={"grpo": 0.5})
    trained = ["entropy", "lengths", "groups", "clipping", "reward parts", "languages", "intervals"]
    assert judged(collect(run)) == trained
    shutil.rmtree(run / "02-grpo")
    assert "No warnings: lengths, languages and intervals were looked at." in page_of(run)


def test_numbers_can_be_read_without_scripts(run):
    html = without_scripts(page_of(run))
    assert "The numbers of these curves" in html
    assert re.search(r"<th scope=\"row\">Reward</th><td>mean</td><td>[\d.]+</td>", html)
    still = re.findall(r"<noscript>.*?</noscript>", html, re.DOTALL)
    assert any("boxed" in part for part in still)


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


def spoil_dead(run):
    spoil_running(run)
    (run / ".lock").touch()
    for file in (run / "02-grpo").iterdir():
        os.utime(file, (0, 0))


def spoil_no_rollouts(run):
    (run / "02-grpo" / "rollouts.jsonl").unlink()


def test_scores_of_an_unfinished_evaluation_are_the_samples_scores(run):
    folder = run / "03-evaluate" / "grpo"
    (folder / "scores.json").unlink()
    samples = read_samples(folder / "samples.jsonl")
    evaluation = next(e for e in collect(run).stages[-1].evaluations if e.label == "grpo")
    assert evaluation.scores["overall"] == compute_scores(samples).to_json()["overall"]
    assert evaluation.interval("maj@4").mean > 0.8  # votes need the answers


def spoil_half_a_rollout(run):
    file = run / "02-grpo" / "rollouts.jsonl"
    file.write_bytes(file.read_bytes()[:-40])


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
        (spoil_rollouts, "rollouts.jsonl: 5 lines could not be read"),
        (spoil_scores, "Evaluation of grpo is not finished"),
        (spoil_samples, "samples.jsonl is absent or empty"),
        (spoil_running, "Stage grpo has not come to its end"),
        (spoil_dead, "nothing is working on it: the run was stopped, or died"),
        (spoil_no_rollouts, "grpo: no rollouts were written down"),
        (spoil_half_a_rollout, "rollouts.jsonl: 1 line could not be read (half-written); the rest is shown"),
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


def test_a_report_is_made_without_torch():
    code = "import sys, magistral_recipe.report.side_by_side, magistral_recipe.report.live; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "'jinja2'" in loaded
    assert not {name for name in ("torch", "transformers", "trl", "datasets") if f"'{name}'" in loaded}


def test_an_empty_folder_is_a_page_too(tmp_path):
    page = page_of(tmp_path)
    assert "No stage has started." in page


def test_what_is_no_run_is_an_error_of_one_line(tmp_path):
    with pytest.raises(DataError, match="absent: no such run folder"):
        build_report(tmp_path / "absent")
    file = tmp_path / "notes.txt"
    file.write_text("x")
    with pytest.raises(DataError, match="a file, not a run folder"):
        build_report(file)
    with pytest.raises(DataError, match="not a run folder: it has no manifest"):
        build_report(tmp_path)
    make_run(tmp_path / "trial", 2)
    with pytest.raises(DataError, match=r"did you mean .*trial\?"):
        build_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_files_that_cannot_be_read_or_written_are_told(run, monkeypatch):
    def refusing(path, *arguments, **named):
        if str(path).endswith("rollouts.jsonl"):
            raise PermissionError(13, "Permission denied")
        return open(path, *arguments, **named)

    monkeypatch.setattr(jsonlines, "open", refusing, raising=False)
    assert "rollouts.jsonl could not be read: Permission denied" in page_of(run)
    monkeypatch.undo()
    (run / "report.html").unlink()
    (run / "report.html").mkdir()
    with pytest.raises(RunError, match="the report cannot be written there: Is a directory"):
        build_report(run)


def test_a_run_that_another_command_works_on_is_not_called_dead(run):
    spoil_dead(run)
    with FileLock(run / ".lock"):
        page = page_of(run)
    assert "Stage grpo has not come to its end: figures are those of the moment" in page


def every_file(run):
    return [path for path in sorted(run.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("instead", ["pipe", "folder", "circle", "deep", "noise", "nothing"])
def test_anything_may_lie_where_a_file_should(run, instead):
    for name in ("01-sft/stage.json", "03-evaluate/grpo/settings.json"):
        (run / name).write_text("{}")
    files = every_file(run)
    assert len(files) == 13
    for file in files:
        file.unlink()
        if instead == "pipe":
            os.mkfifo(file)  # who opens it waits without end
        elif instead == "folder":
            file.mkdir()
        elif instead == "circle":
            file.symlink_to(file.name)
        else:
            file.write_bytes({"deep": b"[" * 100_000, "noise": bytes(range(256)) * 40, "nothing": b""}[instead])
    page = page_of(run)
    assert "manifest.json is absent or unreadable" in page
    assert "there are no scores yet" in page


def test_an_unfinished_evaluation_of_odd_samples_is_shown(run):
    folder = run / "03-evaluate" / "grpo"
    (folder / "scores.json").unlink()
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    odd = ({"language": ["en"]}, {"difficulty": "hard"}, {"tokens": None}, {"verdicts": 3}, {"question": 1e400})
    lines = [json.dumps(row | odd[at % len(odd)]) for at, row in enumerate(rows)]
    (folder / "samples.jsonl").write_text("\n".join([*lines, "[" * 100_000, ""]))
    page = page_of(run)
    assert f"Evaluation of grpo is not finished: its scores are of {len(rows)} samples so far" in page
    assert "after RL</bdi><small>not finished" in page


UNREADABLE = "manifest.json is absent or unreadable: versions, hardware and durations are not known."
NO_RECORD = [
    f"Stage {name}: stage.json is absent or unreadable: whether it came to its end is not known."
    for name in ("sft", "grpo", "evaluate")
]


def arranged(run):
    """A run's page before it is rendered; that it can be is tried as well."""
    page_of(run)
    read = collect(run)
    return run_page(read, findings(read))


@pytest.mark.parametrize(
    ("rubbish", "missing"),
    [
        ("[]", [UNREADABLE, *NO_RECORD]),
        ("3", [UNREADABLE, *NO_RECORD]),
        ("null", [UNREADABLE, *NO_RECORD]),
        ('{"stages": 3, "overall": 3}', NO_RECORD),
        ('{"settings": {"top_p": {}}, "overall": {}}', NO_RECORD),
    ],
)
def test_a_manifest_of_another_shape_is_missed_and_all_else_shown(run, rubbish, missing):
    whole = arranged(run)
    (run / "manifest.json").write_text(rubbish)
    page = arranged(run)
    assert page.missing == missing
    assert page.name == "run"  # the folder's: the manifest would have named it
    assert len(page.milestones) == 3
    assert page.milestones == whole.milestones
    assert page.scores == whole.scores
    assert page.trainings == whole.trainings
    assert page.data.completions == whole.data.completions
    assert {card.status for card in page.cards} == {"unknown"}
    assert "torch" not in dict(page.facts)
    html = without_scripts(page_of(run))
    assert all(sentence in html for sentence in missing)
    assert f"<b>{page.milestones[-1].score}</b>" in html


def test_a_manifest_whose_stages_are_none_shows_no_stage_and_says_so(run):
    (run / "manifest.json").write_text('{"stages": [{}, 1], "overall": {"pass@1": 2}}')
    page = arranged(run)
    assert page.missing == [
        "Stage ? has not started.",
        "No evaluation has produced samples: there are no scores yet.",
    ]
    assert [(card.title, card.kind, card.status, card.figures) for card in page.cards] == [("?", "?", "waiting", [])]
    assert page.milestones == page.scores == page.trainings == []
    assert dict(page.recipes).keys() == {"The recipe"}


@pytest.mark.parametrize("rubbish", ["[]", "3", "null", '{"stages": 3, "overall": 3}'])
def test_scores_of_another_shape_are_made_anew_of_the_samples(run, rubbish):
    whole = arranged(run)
    (run / "03-evaluate" / "grpo" / "scores.json").write_text(rubbish)
    page = arranged(run)
    assert page.missing == ["Evaluation of grpo is not finished: its scores are of 100 samples so far."]
    rows = page.scores[0].main.rows
    assert [(row.name, row.note) for row in rows] == [("base", ""), ("after SFT", ""), ("after RL", "not finished")]
    assert [row.cells for row in rows] == [row.cells for row in whole.scores[0].main.rows]
    assert len(page.milestones) == 3
    assert [(stone.name, stone.score) for stone in page.milestones] == [
        (stone.name, stone.score) for stone in whole.milestones
    ]
    assert page.trainings == whole.trainings


@pytest.mark.parametrize(
    "rubbish",
    ['{"stages": [{}, 1], "overall": {"pass@1": 2}}', '{"settings": {"top_p": {}}, "overall": {}}'],
)
def test_scores_without_a_figure_are_missed_and_the_other_models_shown(run, rubbish):
    whole = arranged(run)
    (run / "03-evaluate" / "grpo" / "scores.json").write_text(rubbish)
    page = arranged(run)
    assert page.missing == ["Evaluation of grpo: scores.json holds no figure that can be read."]
    rows, before = page.scores[0].main.rows, whole.scores[0].main.rows
    assert [row.name for row in rows] == ["base", "after SFT", "after RL"]
    assert [row.cells for row in rows[:2]] == [row.cells for row in before[:2]]
    assert {cell.value for cell in rows[2].cells} == {""}
    assert len(page.milestones) == 2
    assert page.milestones == whole.milestones[:2]
    assert len(page.data.completions) > 300
    assert page.data.completions == whole.data.completions  # its samples can still be read
    assert page.trainings == whole.trainings


@pytest.mark.parametrize(
    ("replacement", "drawn"),
    [
        (None, None),
        ("x", None),
        ([], None),
        ({}, None),
        (-1, -1.0),
        (float("nan"), None),
        (10**400, None),
        (1e308, None),
        (-1e200, None),
        (True, None),
    ],
    ids=lambda value: str(value)[:8],
)
def test_a_value_that_is_none_leaves_a_gap_in_its_curve_alone(run, replacement, drawn):
    whole = arranged(run)
    for file in ("02-grpo/metrics.jsonl", "02-grpo/rollouts.jsonl"):
        lines = [json.loads(line) for line in (run / file).read_text().splitlines()]
        changed = [dict.fromkeys(line, replacement) | {"step": line["step"]} for line in lines[:2]]
        (run / file).write_text("".join(json.dumps(line) + "\n" for line in (*changed, *lines[2:])))
    page = arranged(run)
    sft, rl = page.trainings
    assert sft == whole.trainings[0]
    assert len(rl.charts) == 11
    assert [chart.title for chart in rl.charts] == [chart.title for chart in whole.trainings[1].charts]
    looked_at = 0
    for chart, before in zip(rl.charts, whole.trainings[1].charts, strict=True):
        if chart.kind != "lines" or not chart.series:
            continue
        gone = [step for step in before.x if step <= 2]  # rewards are logged at every second step, entropy at each
        assert len(gone) in (1, 2)
        for curve, old in zip(chart.series, before.series, strict=True):
            expected = old.values[len(gone) :]
            assert curve.values == ([drawn] * len(gone) + expected if drawn is not None else expected)
            looked_at += 1
    assert looked_at == 16
    # A rollout without words is a line that can't be read; one that says "x" is one.
    told = "grpo: rollouts.jsonl: 2 lines could not be read (half-written, or damaged); the rest is shown."
    assert page.missing == ([] if replacement == "x" else [told])
    shown = [completion for completion in page.data.completions if completion.group >= 0]
    assert len(shown) == (16 if replacement == "x" else 14)
    assert page.milestones == whole.milestones
    assert page.scores == whole.scores


def test_stages_are_found_without_a_manifest(run):
    (run / "manifest.json").unlink()
    found = collect(run)
    assert [stage.name for stage in found.stages] == ["sft", "grpo", "evaluate"]
    assert {stage.status for stage in found.stages} == {"unknown"}  # not "waiting": it has curves
    assert "Stage grpo: stage.json is absent or unreadable: whether it came to its end is not known." in found.missing


def test_a_stage_name_cannot_lead_out_of_the_run(run, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "metrics.jsonl").write_text('{"step": 1, "loss": 1}\n')
    entry = {"name": "sft", "kind": "sft", "folder": "../outside", "status": "complete"}
    (run / "manifest.json").write_text(json.dumps({"stages": [entry]}))
    assert collect(run).stages[0].metrics == []


@pytest.mark.parametrize(
    "damaged", [None, "no JSON", '{"scores": 5, "problems": "many"}', '{"scores": [[1], "x", [2, null]]}']
)
def test_held_out_scores_of_the_training_are_read_and_a_fall_is_on_the_page(run, damaged):
    scores = run / "02-grpo" / "best" / "scores.json"
    scores.parent.mkdir()
    scores.write_text(damaged or json.dumps({"scores": [[10, 0.6], [20, 0.2]], "problems": 64, "best": [10, 0.6]}))
    assert ("held-out" in {finding.id for finding in findings(collect(run))}) is (damaged is None)
    assert ("The score while training is falling" in page_of(run)) is (damaged is None)
