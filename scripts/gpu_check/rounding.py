"""What rounding to bfloat16 explains of a difference: how merged weights are held to their sum."""

from __future__ import annotations

from typing import Any


def beyond_rounding(given: Any, exact: Any) -> int:
    """Count the numbers further from an exact result than rounding it once to bfloat16 is.

    Args:
        given: what is held to it, any shape.
        exact: the result in float64, of that shape.
    """
    import torch

    room = exact.abs() * torch.finfo(torch.bfloat16).eps / 2 * 1.01 + 1e-7
    return int(((given.double() - exact).abs() > room).sum())
