"""Length statistics: how long completions are, in tokens."""

from collections.abc import Sequence
from typing import Any, ClassVar

import datasets

from magistral_recipe.evaluation import estimators
from magistral_recipe.evaluation.metrics import base


class LengthStats(base.RowMetric):
    """Lengths of completions."""

    description = "Mean, median, 95th percentile and maximum of the completions' lengths in tokens."
    readers: ClassVar = {"predictions": base.length}
    columns: ClassVar = {"predictions": datasets.Value("int64")}

    def _compute(self, predictions: Sequence[int]) -> dict[str, Any]:
        """Compute the statistics.

        Args:
            predictions: lengths in tokens.

        Returns:
            `mean`, `median`, `p95` (interpolated) and `max`.
        """
        return estimators.length_stats(predictions)
