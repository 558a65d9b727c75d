"""The report goes by what a stage does, not by its kind: kinds that it has never heard of are shown as well."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import get_args

import pytest
from fabricated import make_run

from magistral_recipe.recipe.sections import Role
from magistral_recipe.report.advice import findings, judged
from magistral_recipe.report.build import build_report
from magistral_recipe.report.collect import collect, role_of
from magistral_recipe.report.page import run_page
from magistral_recipe.report.side_by_side import comparison_page
from magistral_recipe.stages import STAGES, stage_class

MADE_UP = {"sft": ("distil", "imitation"), "grpo": ("ppo", "reinforcement"), "evaluate": ("exam", "evaluation")}


def change(run, **entries):
    """Change the manifest's entries of stages, by the stage's name."""
    manifest = json.loads((run / "manifest.json").read_text())
    for stage in manifest["stages"]:
        stage.update(entries.get(stage["name"], {}))
    (run / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def plain(tmp_path):
    return make_run(tmp_path / "plain", 20)


@pytest.fixture
def made_up(tmp_path):
    """The same run, had its stages been of other kinds."""
    run = make_run(tmp_path / "made-up", 20)
    change(run, **{name: {"kind": kind, "role": role} for name, (kind, role) in MADE_UP.items()})
    return run


def shown(folder):
    """All that a page shows of a run, but for its stages' kinds."""
    run = collect(folder)
    page = asdict(run_page(run, findings(run)))
    for card in page["cards"]:
        card.pop("kind")
    return page


def test_a_made_up_kind_in_each_role_is_shown_as_the_kind_we_know(plain, made_up):
    known, page = shown(plain), shown(made_up)
    assert page == known
    assert [section["title"] for section in page["trainings"]] == ["SFT", "RL"]
    assert [len(section["charts"]) for section in page["trainings"]] == [4, 11]
    assert [card["figures"][0][0] for card in page["cards"]] == ["steps", "steps", "models"]
    assert judged(collect(made_up)) == judged(collect(plain)) != []
    assert [stage.kind for stage in collect(made_up).stages] == ["distil", "ppo", "exam"]


def test_warnings_are_given_by_role(plain, made_up):
    for run in (plain, made_up):
        file = run / "02-grpo" / "metrics.jsonl"
        rows = [json.loads(line) | {"sampling/gap": 0.6} for line in file.read_text().splitlines()]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = [[finding.id for finding in findings(collect(run))] for run in (plain, made_up)]
    assert told[0] == told[1]
    assert "sampler" in told[0]


def test_what_a_role_should_have_left_is_missed(made_up):
    (made_up / "01-sft" / "metrics.jsonl").unlink()
    (made_up / "02-grpo" / "rollouts.jsonl").unlink()
    missing = collect(made_up).missing
    assert "sft: no metrics were logged: there are no curves." in missing
    assert "grpo: no rollouts were written down: what it learnt from cannot be shown." in missing
    assert len(missing) == 2


def test_runs_of_different_kinds_lie_over_one_another(plain, made_up):
    page = comparison_page([("a", collect(plain)), ("b", collect(made_up))])
    assert [section.title for section in page.trainings] == ["SFT", "RL"]
    for section in page.trainings:
        assert section.charts
        assert all([series.name for series in chart.series] == ["a", "b"] for chart in section.charts)
    assert len({chart.id for section in page.trainings for chart in section.charts}) == sum(
        len(section.charts) for section in page.trainings
    )


ODD = [
    {"step": 1, "time": 1.0, "sparsity": 0.1, "loss/of a <layer>": 3.0, "words": "x", "learning_rate": None},
    {"step": 2, "time": 2.0, "sparsity": 0.4, "loss/of a <layer>": 1.5, "reward": 1.0},
    {"step": 3, "time": 3.0, "sparsity": 0.5},
]


@pytest.mark.parametrize("noted", [{"role": "other"}, {}, {"role": None}, {"role": ["other"]}, {"role": "juggling"}])
def test_a_stage_of_which_nothing_is_known_is_shown_with_its_summary_and_its_curves(plain, noted):
    change(plain, sft={"kind": "prune", "results": {"summary": "half the weights <gone>"}, **noted})
    (plain / "01-sft" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ODD))
    stage = collect(plain).stages[0]
    assert (stage.kind, stage.role, stage.status) == ("prune", "other", "complete")
    run = collect(plain)
    page = run_page(run, findings(run))
    assert page.cards[0].figures == [("", "half the weights <gone>")]
    first, second = page.trainings
    assert (first.title, second.title) == ("SFT", "RL")
    curves = {chart.title: [series.values for series in chart.series] for chart in first.charts}
    assert curves == {"sparsity": [[0.1, 0.4, 0.5]], "loss/of a <layer>": [[3.0, 1.5]], "reward": [[1.0]]}
    assert not any(chart.absent for chart in first.charts)  # a sampler's gap is not missed in what doesn't sample
    assert run.missing == []
    text = build_report(plain).read_text(encoding="utf-8")
    html = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    assert "half the weights &lt;gone&gt;" in html
    assert "<figcaption>loss/of a &lt;layer&gt;" in html
    assert "half the weights \\<gone\\>" in (plain / "report.md").read_text(encoding="utf-8")


def test_a_stage_of_which_nothing_is_known_and_nothing_was_logged_has_its_card_alone(plain):
    change(plain, sft={"kind": "prune", "role": "other"})
    (plain / "01-sft" / "metrics.jsonl").unlink()
    run = collect(plain)
    page = run_page(run, findings(run))
    assert page.cards[0].figures == [("", "sft is done")]
    assert [section.title for section in page.trainings] == ["RL"]
    assert run.missing == []


def test_the_role_is_known_by_kind_where_no_manifest_notes_it(plain):
    assert [stage.role for stage in collect(plain).stages] == ["imitation", "reinforcement", "evaluation"]
    (plain / "manifest.json").unlink()
    (plain / "01-sft").rename(plain / "01-warm-up")
    (plain / "01-warm-up" / "stage.json").write_text(json.dumps({"kind": "sft", "status": "complete"}))
    stages = collect(plain).stages
    assert [(stage.name, stage.role) for stage in stages] == [
        ("warm-up", "imitation"),
        ("grpo", "reinforcement"),
        ("evaluate", "evaluation"),
    ]


def test_every_kind_of_stage_has_the_role_that_old_run_folders_are_read_by():
    assert sorted(STAGES) == ["curate", "evaluate", "export", "grpo", "sft", "traces"]
    for kind in set(STAGES) - {"curate", "traces"}:  # which came after runs had begun to note it
        assert role_of(kind) == stage_class(kind).role
    assert len({stage_class(kind).role for kind in STAGES}) == len(get_args(Role)) == 5
