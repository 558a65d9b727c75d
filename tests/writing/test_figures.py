"""Figures in words: rounding at the edges, open ends, and what every room writes for the same interval."""

from __future__ import annotations

import math

import pytest

from magistral_recipe.evaluation.statistics import Interval
from magistral_recipe.report.tables import cell, difference_cell, signed_points
from magistral_recipe.terminal import evaluation_display, score_table
from magistral_recipe.writing.figures import duration, percent, points, span, with_interval


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.0"),
        (0.0004, "0.0"),
        (0.0006, "0.1"),
        (0.59765625, "59.8"),
        (0.9994, "99.9"),
        (0.9996, "100.0"),
        (1.0, "100.0"),
        (-0.25, "-25.0"),
    ],
)
def test_a_share_has_one_digit_behind_the_point(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("difference", "text"),
    [(0.0, "+0.0"), (0.0004, "+0.0"), (-0.0004, "-0.0"), (-0.0006, "-0.1"), (0.9996, "+100.0"), (-1.0, "-100.0")],
)
def test_a_difference_bears_its_sign(difference, text):
    assert points(difference) == text
    assert signed_points(difference) == text.replace("-", "\N{MINUS SIGN}")


@pytest.mark.parametrize(
    ("low", "high"), [(None, 0.9), (0.1, None), (None, None), (-math.inf, math.inf), (0.1, math.inf)]
)
def test_an_open_end_is_no_interval(low, high):
    assert with_interval(0.5, low, high) == "50.0"
    assert span(low, high) == ""


def test_an_interval_stands_behind_its_figure_or_apart_from_it():
    assert with_interval(0.598, 0.539, 0.9996) == "59.8 [53.9, 100.0]"
    assert with_interval(-0.012, -0.1, 0.0004, write=points) == "-1.2 [-10.0, +0.0]"
    assert span(0.539, 0.654) == "53.9–65.4"
    assert span(11.4, 12.6, write="{:.0f}".format, between=" to ") == "11 to 13"


def test_every_room_writes_the_same_figures():
    interval = Interval(0.9996, 0.0004, 1.0)
    assert evaluation_display._share(interval) == "100.0 [0.0, 100.0]"
    assert score_table._cell(interval._asdict(), "pass@1") == "100.0 [0.0, 100.0]"
    assert (cell(interval, "pass@1").value, cell(interval, "pass@1").interval) == ("100.0%", "0.0–100.0")
    told = difference_cell(Interval(-0.03, -0.05, -0.0006))
    assert (told.value, told.interval, told.tone) == ("−3.0", "−5.0 to −0.1", "bad")
    assert difference_cell(Interval(-0.03, -0.05, 0.0)).tone == ""


def test_what_is_missing_is_a_dash_and_lengths_are_no_shares():
    assert evaluation_display._share(None) == evaluation_display._percent(None) == "-"
    assert score_table._cell(None, "pass@1") == score_table._cell({"mean": None}, "pass@1") == "-"
    length = Interval(123.44, 100.5, 150.5)
    assert score_table._cell(length._asdict(), "mean_length") == "123.4"
    assert (cell(length, "mean_length").value, cell(length, "mean_length").interval) == ("123.4", "100–150")
    assert cell(length._replace(low=-math.inf, high=math.inf), "mean_length").interval == ""
    assert cell(None, "pass@1").value == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (3600 * 3 + 12 * 60 + 5, "3 h 12 min"),
        (3600 * 100, "100 h 00 min"),
    ],
)
def test_a_duration_is_said_as_people_do(seconds, text):
    assert duration(seconds) == text
