"""One paired comparison: by hand, over the problems of both, and the same for the report and `compare`."""

from __future__ import annotations

import math

import pytest
from fabricated import make_run

from magistral_recipe.evaluation.comparison import compare_samples
from magistral_recipe.evaluation.paired import Paired, compare_paired
from magistral_recipe.evaluation.shards import written_samples
from magistral_recipe.evaluation.statistics import Interval
from magistral_recipe.report.collect import collect
from magistral_recipe.report.tables import paired


def test_only_problems_of_both_count_and_each_counts_once():
    a = {"p": [1.0, 0.0], "q": [0.0] * 9, "only a": [1.0]}
    b = {"only b": [0.0], "q": [1.0], "p": [1.0, 1.0, 0.0, 0.0]}
    found = compare_paired(a, b)
    assert (found.problems, found.a, found.b) == (2, 0.25, 0.75)
    assert found.difference.mean == 0.5  # of 0 and 1


def test_nothing_in_common_is_no_comparison():
    assert compare_paired({"p": [1.0]}, {"q": [1.0]}) is None
    assert compare_paired({}, {}) is None


def test_many_problems_have_the_interval_of_their_differences():
    # 300 problems, of which 30 are gained and 10 lost: mean 1/15, and every difference is −1, 0 or 1
    a = {str(i): [float(i % 2)] for i in range(300)}
    gained, lost = {str(i) for i in range(0, 60, 2)}, {str(i) for i in range(1, 21, 2)}
    b = {name: [1.0 if name in gained else 0.0 if name in lost else value[0]] for name, value in a.items()}
    found = compare_paired(a, b)
    assert found.difference.mean == pytest.approx(20 / 300)
    std = math.sqrt((40 - 300 * (20 / 300) ** 2) / 299)
    half = 1.968 * std / math.sqrt(300)  # the t quantile at 299 degrees of freedom
    assert found.difference.low == pytest.approx(20 / 300 - half, abs=3e-3)
    assert found.difference.high == pytest.approx(20 / 300 + half, abs=3e-3)
    assert found.told


@pytest.mark.parametrize(
    ("low", "high", "told"), [(0.01, 0.2, True), (-0.2, -0.01, True), (0.0, 0.2, False), (-0.1, 0.1, False)]
)
def test_models_are_told_apart_where_the_interval_leaves_out_0(low, high, told):
    assert Paired(9, 0.5, 0.6, Interval(0.1, low, high)).told is told


def test_the_report_and_compare_say_the_same(tmp_path):
    run = collect(make_run(tmp_path / "run"))
    before, after = run.evaluated.evaluations[-2:]
    in_report = paired(before, after)
    folders = (before.path.parent, after.path.parent)
    by_command = compare_samples("x", *(written_samples(folder) for folder in folders)).differences["all"]
    assert in_report == by_command
    assert in_report.problems > 1
