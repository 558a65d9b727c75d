"""Does it fit? What a moment needs on a device, against what is free there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from magistral_recipe.check.memory.devices import Device
from magistral_recipe.check.memory.moments import Moment
from magistral_recipe.machine import GIB

RESERVED = 0.2
"""What PyTorch's allocator reserves beyond what it hands out: 5% to 17% in the runs measured so far (docs/gpus.md)."""
CONTEXT = 0.5 * GIB
"""A CUDA context with cuBLAS's workspace, which no allocator sees."""


class Fit(StrEnum):
    """How a stage stands to a device."""

    FITS = "fits"
    TIGHT = "tight"
    DOES_NOT_FIT = "does not fit"


@dataclass(frozen=True)
class Verdict:
    """Whether a moment fits.

    Attributes:
        fit: the answer; `tight` where it fits only if the allocator wastes nothing.
        needed: bytes with what is reserved and the context.
        available: bytes that are free.
    """

    fit: Fit
    needed: float
    available: float

    @property
    def spare(self) -> float:
        """What remains free, in bytes; negative where it does not fit."""
        return self.available - self.needed


def judge(moment: Moment, device: Device) -> Verdict:
    """Hold a moment against a device.

    Args:
        moment: what is alive.
        device: where.

    Returns:
        The verdict.
    """
    context = CONTEXT if device.gpu else 0.0
    least = moment.allocated + moment.share + context
    needed = least + RESERVED * moment.allocated
    if moment.lacking:
        fit = Fit.DOES_NOT_FIT
    elif needed <= device.free:
        fit = Fit.FITS
    else:
        fit = Fit.TIGHT if least <= device.free else Fit.DOES_NOT_FIT
    return Verdict(fit, needed, device.free)


def worst(moments: tuple[Moment, ...], device: Device) -> tuple[Moment, Verdict]:
    """The moment that fits worst, and its verdict."""
    order = list(Fit)
    judged = [(moment, judge(moment, device)) for moment in moments]
    return max(judged, key=lambda pair: (order.index(pair[1].fit), pair[1].needed))
