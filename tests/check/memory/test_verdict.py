"""What is needed beside what is handed out, and when it fits."""

from __future__ import annotations

import pytest

from magistral_recipe.check.memory.devices import Device
from magistral_recipe.check.memory.moments import VLLM, WEIGHTS, Moment
from magistral_recipe.check.memory.verdict import Fit, judge, worst
from magistral_recipe.machine import GIB


def device(gib, gpu=True):
    return Device("card", 24 * GIB, gib * GIB, gpu)


@pytest.mark.parametrize(
    ("parts", "free", "fit", "spare"),
    [
        ({WEIGHTS: 10}, 12.5, Fit.FITS, 0),  # 10 + a fifth + half a GiB of context
        ({WEIGHTS: 10}, 20, Fit.FITS, 7.5),
        ({WEIGHTS: 10}, 12.4, Fit.TIGHT, -0.1),
        ({WEIGHTS: 10}, 10.5, Fit.TIGHT, -2),
        ({WEIGHTS: 10}, 10.4, Fit.DOES_NOT_FIT, -2.1),
        ({WEIGHTS: 10, VLLM: 8}, 20.5, Fit.FITS, 0),  # vLLM's share is a reservation already
    ],
)
def test_a_fifth_is_added_for_what_is_reserved_and_the_context(parts, free, fit, spare):
    verdict = judge(Moment("training", {part: size * GIB for part, size in parts.items()}), device(free))
    assert verdict.fit is fit
    assert verdict.spare / GIB == pytest.approx(spare)


def test_a_cpu_has_no_context():
    assert judge(Moment("training", {WEIGHTS: 10 * GIB}), device(12, gpu=False)).spare == 0


def test_free_memory_counts_and_not_the_cards():
    moment = Moment("training", {WEIGHTS: 15 * GIB})
    assert judge(moment, device(24)).fit is Fit.FITS
    assert judge(moment, device(12)).fit is Fit.DOES_NOT_FIT


def test_the_worst_moment_is_one_that_lacks_something_before_one_that_is_large():
    large = Moment("training", {WEIGHTS: 15 * GIB})
    lacking = Moment("rollouts", {VLLM: 1 * GIB}, lacking=GIB)
    assert worst((large, lacking), device(24))[0] is lacking
    assert worst((large, Moment("rollouts", {WEIGHTS: GIB})), device(24))[0] is large
