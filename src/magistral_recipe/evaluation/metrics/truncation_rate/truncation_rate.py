"""Truncation rate: the share of completions that were cut at the limit before they came to an end."""

from collections.abc import Sequence
from typing import Any, ClassVar

import datasets

from magistral_recipe.evaluation import estimators
from magistral_recipe.evaluation.metrics import base


class TruncationRate(base.RowMetric):
    """Completions cut at the limit."""

    description = "Share of completions cut at the limit of new tokens; it belongs beside every score."
    readers: ClassVar = {"predictions": base.flag}
    columns: ClassVar = {"predictions": datasets.Value("int8")}

    def _compute(self, predictions: Sequence[int]) -> dict[str, Any]:
        """Compute the rate.

        Args:
            predictions: per completion whether it was cut: 1 or 0, True or False.

        Returns:
            `rate`, and `n`, the completions.
        """
        return estimators.rate(predictions)
