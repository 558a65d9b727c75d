"""Scores from samples: the figures by hand, and who is counted where."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from magistral_recipe.evaluation.samples import Sample
from magistral_recipe.evaluation.scores import compute_scores
from magistral_recipe.evaluation.statistics import mean_interval


def sample(problem, number, correct, *, form=1.0, language=1.0, answer=None, tokens=10, greedy=False, **columns):
    values = {"format": form, "correctness": correct, "language": language}
    verdicts = {name: {"value": value, "reason": ""} for name, value in values.items()}
    return Sample(
        problem, number, greedy, "?", "!", tokens, columns.pop("truncated", False), answer, verdicts, None, **columns
    )


SAMPLES = [
    sample("a", 0, 1.0, answer="4", tokens=5, category="easy", difficulty=1.0),
    sample("a", 1, 1.0, answer="4", language=None, tokens=7, category="easy", difficulty=1.0),
    sample("a", 2, 0.0, answer="5", language=0.0, tokens=9, category="easy", difficulty=1.0),
    sample("b", 0, 0.0, form=0.0, tokens=30, truncated=True, category="hard", difficulty=2.5),
    sample("b", 1, 0.0, answer="1", tokens=10, category="hard", difficulty=2.5),
    sample("b", 2, 1.0, answer="2", tokens=11, category="hard", difficulty=2.5),
    sample("a", 0, 1.0, answer="4", tokens=40, greedy=True, category="easy", difficulty=1.0),
    sample("b", 0, 0.0, answer="1", tokens=42, greedy=True, category="hard", difficulty=2.5),
]


def test_figures_by_hand():
    scores = compute_scores(SAMPLES)
    expected = {
        "pass@1": 0.5,
        "format_rate": (1 + 2 / 3) / 2,
        "language_fidelity": (1 / 3 + 1) / 2,
        "right_in_language": (1 / 3 + 1 / 3) / 2,
        "truncation_rate": 1 / 6,
        "maj@3": (1 + 0.5) / 2,
        "mean_length": (7 + 17) / 2,
        "greedy_pass@1": 0.5,
        "greedy_mean_length": 41,
    }
    assert {name: scores.summary()[name] for name in expected} == pytest.approx(expected)
    assert scores.overall["pass@1"] == mean_interval([[1, 1, 0], [0, 0, 1]])


def test_languages_asked_for_and_found_are_counted():
    found = [("fr", "fr"), ("fr", "en"), ("fr", "mixed"), ("de", "undecided"), ("de", "de"), ("de", "de"), ("de", None)]
    samples = [replace(sample("a", i, 1.0, found_language=f), language=a) for i, (a, f) in enumerate(found)]
    greedy = sample("a", 0, 1.0, found_language="it", greedy=True)  # beside others not counted
    samples.append(replace(greedy, language="fr"))
    confusion = compute_scores(samples).to_json()["confusion"]
    assert confusion == {"de": {"de": 2, "undecided": 1}, "fr": {"en": 1, "fr": 1, "mixed": 1}}
    assert compute_scores(SAMPLES).confusion == {}  # an older file doesn't say


def test_groups_are_scored_apart():
    scores = compute_scores(SAMPLES)
    assert scores.groups["category"]["easy"]["pass@1"].mean == pytest.approx(2 / 3)
    assert scores.groups["difficulty"]["2.5"]["greedy_pass@1"].mean == 0
    assert scores.groups["language"] == {}
    assert scores.counts["category", "hard"] == {
        "problems": 1,
        "samples": 3,
        "greedy_samples": 1,
        "undecided": 0,
        "language_undecided": 0,
    }
    assert scores.counts["all", "all"]["language_undecided"] == 1


def test_an_undecided_sample_lowers_n_and_is_counted():
    scores = compute_scores([sample("a", 0, 1.0), sample("a", 1, None), sample("b", 0, None), sample("c", 0, 0.0)])
    assert scores.overall["pass@1"] == mean_interval([[1], [0]])
    assert scores.counts["all", "all"]["undecided"] == 2


def test_text_problems_have_no_pass_rate():
    scores = compute_scores([sample("a", 0, None, kind="text")])
    assert "pass@1" not in scores.overall
    assert scores.counts["all", "all"]["undecided"] == 0
    assert scores.overall["format_rate"].mean == 1


def test_instructions_that_cannot_be_read_are_counted():
    asked = sample("a", 0, None, kind="text")
    reason = {"value": None, "reason": "unreadable_reference"}
    scores = compute_scores([replace(asked, verdicts={**asked.verdicts, "correctness": reason})])
    assert scores.counts["all", "all"]["undecided"] == 1


def test_many_difficulties_are_cut_in_quarters():
    samples = [sample(f"p{i}", 0, float(i >= 50), difficulty=i / 100) for i in range(100)]
    groups = compute_scores(samples).groups["difficulty"]
    assert list(groups) == ["0 to 0.25", "0.25 to 0.5", "0.5 to 0.75", "0.75 to 0.99"]
    assert [group["pass@1"].mean for group in groups.values()] == [0, 0, 1, 1]


def test_json_has_no_infinity():
    data = compute_scores([sample("a", 0, 1.0)], {"label": "x"}).to_json()
    text = json.dumps(data, allow_nan=False)
    assert json.loads(text)["overall"]["mean_length"] == {"mean": 10.0, "low": None, "high": None}
    assert data["label"] == "x"


def test_nothing_to_score_raises():
    with pytest.raises(ValueError, match="no samples"):
        compute_scores([])
