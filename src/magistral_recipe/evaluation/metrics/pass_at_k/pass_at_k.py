"""pass@k: the chance that one of k samples is right, estimated from all the samples there are."""

from collections.abc import Sequence
from typing import Any, ClassVar

import datasets

from magistral_recipe.evaluation import estimators
from magistral_recipe.evaluation.metrics import base


class PassAtK(base.RowMetric):
    """pass@k over problems, each of equal weight."""

    description = "Chance that at least one of k samples of a problem is right; the unbiased estimate from n samples."
    readers: ClassVar = {"predictions": base.verdicts}
    columns: ClassVar = {"predictions": datasets.List(datasets.Value("int8"))}

    def _compute(self, predictions: Sequence[Sequence[int | None]], k: int | Sequence[int] = 1) -> dict[str, Any]:
        """Compute pass@k.

        Args:
            predictions: per problem its verdicts: 1 right, 0 wrong, None undecided (its reference can't be read).
            k: one number of samples, or several.

        Returns:
            `pass@k` for each k, and `undecided`, how many verdicts were None.
        """
        return estimators.pass_at_k_of_problems(predictions, base.wanted(k))
