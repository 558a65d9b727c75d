"""The figures' numbers, held against sums by hand."""

from __future__ import annotations

import math

import pytest
from fabricated import stage_of

from magistral_recipe.report.curves import MAX_POINTS, length_chart, line_chart, number, stacked_chart, stage_charts


def charts(**curves):
    return {chart.title: chart for chart in stage_charts(stage_of(**curves), "t")}


def test_a_curve_holds_its_numbers_and_gaps():
    chart = line_chart("c", "loss", [("a", [(1, 4.0), (3, 2.0)]), ("b", [(2, 1.0)])], "number")
    assert chart.x == [1, 2, 3]
    assert [series.values for series in chart.series] == [[4.0, None, 2.0], [None, 1.0, None]]
    assert chart.remark == "a 4 → 2"  # of several curves it says which it means


def test_long_curves_become_means_of_neighbours():
    points = [(step, float(step % 7)) for step in range(10 * MAX_POINTS)]
    chart = line_chart("c", "x", [("x", points)], "number")
    assert len(chart.x) == MAX_POINTS
    assert chart.series[0].values[0] == pytest.approx(sum(step % 7 for step in range(10)) / 10)
    assert chart.x[0] == 9


def test_the_moving_average_is_the_mean_of_its_window():
    values = [float(step**2 % 11) for step in range(48)]  # a reach of two to either side
    (series,) = line_chart("c", "x", [("x", list(enumerate(values)))], "number").series
    assert series.smooth[10] == pytest.approx(sum(values[8:13]) / 5, rel=1e-4)
    assert series.smooth[0] == pytest.approx(sum(values[:3]) / 3, rel=1e-4)


def test_shares_beyond_one_are_shown_as_numbers():
    assert line_chart("c", "x", [("x", [(1, 0.5)])], "share").unit == "share"
    assert line_chart("c", "x", [("x", [(1, 1.5)])], "share").unit == "number"


def test_seconds_are_means_a_step_though_batches_are_rarer():
    training = [(step, 1.0) for step in range(1, 9)]
    generating = [(step, 6.0) for step in range(1, 9, 4)]  # a batch of four steps
    chart = stacked_chart("c", "seconds", [("training", training), ("generating", generating)])
    assert chart.x == [4, 8]
    assert [series.values for series in chart.series] == [[1.0, 1.0], [1.5, 1.5]]
    assert chart.remark == "2.5 s a step"


def test_reward_against_log_length_is_fitted_without_the_length_penalty():
    lengths = [100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0]
    penalties = [0.0, 0.0, 0.0, -0.1, -0.1, -0.1]
    raw = [0.2 + 0.3 * math.log(length) for length in lengths]
    chart = length_chart(
        stage_of(
            **{
                "reward": [value + penalty for value, penalty in zip(raw, penalties, strict=True)],
                "completions/mean_length": lengths,
                "magistral_reward/length": penalties,
            }
        ),
        "c",
    )
    assert chart.remark == f"{0.3 * math.log(2):+.2f} a doubling"
    assert chart.series[-1].values == pytest.approx(raw, rel=1e-4)
    first = chart.series[0].values
    assert first[:2] == pytest.approx(raw[:2], rel=1e-4)
    assert first[2:] == [None] * 4


def test_lengths_that_do_not_vary_have_no_fit():
    chart = length_chart(stage_of(**{"reward": [1.0, 2.0, 3.0], "completions/mean_length": [50.0] * 3}), "c")
    assert [series.name for series in chart.series] == ["first third", "second third", "last third"]


def test_all_that_the_trainer_logs_has_a_figure():
    found = charts(
        **{
            "reward": [1.0, 2.0],
            "magistral_reward/format": [0.5, 1.0],
            "magistral_reward/correctness": [0.5, 1.0],
            "rewards/a/mean": [0.5, 1.0],
            "rewards/b/mean": [0.5, 1.0],
            "completions/mean_length": [5.0, 6.0],
            "completions/clipped_ratio": [0.0, 0.1],
            "entropy": [1.0, 0.5],
            "clip_ratio/high_mean": [0.0, 0.1],
            "clip_ratio/low_mean": [0.0, 0.1],
            "groups/uninformative": [0.0, 0.1],
            "groups/all_right": [0.0, 0.1],
            "learning_rate": [1e-5, 0.0],
            "tokens_per_second/trained": [100.0, 120.0],
            "seconds/generating": [1.0, 1.0],
            "sampling/gap": [0.01, 0.02],
            "kl": [0.0, 0.1],
            "grad_norm": [1.0, 1.0],
            "loss": [0.0, 0.0],
        }
    )
    assert len(found) == 15
    assert [series.name for series in found["Parts of the reward"].series] == ["format", "correctness"]
    assert [series.name for series in found["Each reward"].series] == ["a", "b"]
    assert found["Sampler against trainer"].series


def test_a_gap_that_nobody_measured_is_said():
    chart = charts(reward=[1.0])["Sampler against trainer"]
    assert chart.absent.startswith("Not measured")
    assert chart.series == []


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.5, "share", "50.0%"),
        (0.001, "share", "0.1%"),
        (0.0003, "share", "0.030%"),  # what is clipped: not nothing
        (0.0, "share", "0.0%"),
        (0.0, "number", "0"),
        (2e-5, "number", "2e-5"),
        (999.4, "number", "999"),
        (999.6, "number", "1000"),
        (999_600.0, "number", "1M"),
        (1234.5, "number", "1234"),
        (45_678.0, "number", "45.7k"),
        (3.2e6, "number", "3.2M"),
        (0.4567, "number", "0.457"),
        (-0.012, "number", "−0.012"),
    ],
)
def test_numbers_are_short(value, unit, text):
    assert number(value, unit) == text
