"""Statistics of a batch against the standard library's; sums of a step over microbatches and ranks."""

from __future__ import annotations

import math
import random
import statistics
import warnings
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from magistral_recipe.training.metrics import StepSums, mean, quantile, spread

numbers = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=80)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@given(numbers, st.integers(0, 80))
def test_mean_and_spread_are_those_of_the_values_that_are_there(values, place):
    with_gap = [*values[:place], math.nan, *values[place:]]
    assert mean(with_gap) == pytest.approx(statistics.fmean(values), rel=1e-12, abs=1e-6)
    assert spread(with_gap) == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("values", "middle", "deviation"),
    [
        ([], math.nan, 0.0),
        ([math.nan], math.nan, 0.0),
        ([math.nan, math.nan], math.nan, 0.0),
        ([3.0], 3.0, 0.0),
        ([math.nan, 3.0], 3.0, 0.0),
        ([1, 2, 3, 6], 3.0, math.sqrt(14 / 3)),
    ],
)
def test_too_few_values_have_no_mean_and_no_spread(values, middle, deviation):
    assert mean(values) == pytest.approx(middle, nan_ok=True)
    assert spread(values) == pytest.approx(deviation)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95, 1.0])
def test_a_quantile_is_the_smallest_value_that_so_many_do_not_exceed(share):
    for count in range(1, 200):
        values = random.Random(count).sample(range(count), count)
        found = quantile(values, share)
        assert isinstance(found, float)
        # share is a multiple of 1/20, so that whole numbers decide it
        assert 20 * sum(value <= found for value in values) >= round(20 * share) * count
        assert 20 * sum(value < found for value in values) < round(20 * share) * count


def test_sums_of_a_step_are_added_by_name_and_reduced_once():
    sums = StepSums(torch.device("cpu"))
    sums.add(tokens=3, entropy=torch.tensor(1.5, requires_grad=True))
    sums.add(tokens=torch.tensor(4), low=0.25)
    alone = sums.reduced(SimpleNamespace(num_processes=1))
    assert alone == {"tokens": 7, "entropy": 1.5, "low": 0.25, "high": 0, "kl": 0, "gap": 0, "gap_tokens": 0, "cut": 0}
    calls = []

    def reduce(values, reduction):
        calls.append(reduction)
        return 2 * values

    assert sums.reduced(SimpleNamespace(num_processes=2, reduce=reduce))["tokens"] == 14
    assert calls == ["sum"]


def test_many_small_sums_do_not_vanish_beside_a_large_one():
    sums = StepSums(torch.device("cpu"))
    sums.add(tokens=2.0**24)
    for _ in range(3):
        sums.add(tokens=torch.ones((), dtype=torch.float32))
    assert sums.reduced(SimpleNamespace(num_processes=1))["tokens"] == 2**24 + 3
