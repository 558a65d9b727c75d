"""Format rate: the share of completions that keep the format, and so can be graded at all."""

from collections.abc import Sequence
from typing import Any, ClassVar

import datasets

from magistral_recipe.evaluation import estimators
from magistral_recipe.evaluation.metrics import base
from magistral_recipe.rewards import format as gate
from magistral_recipe.writing import thinking as tags


class FormatRate(base.RowMetric):
    """Completions that pass the format gate."""

    description = "Share of completions with one pair of thinking tags and an answer part to grade (Magistral §2.2.1)."
    readers: ClassVar = {"predictions": base.completion}
    columns: ClassVar = {"predictions": datasets.Value("string")}

    def _compute(
        self, predictions: Sequence[str], kind: str = "math", thinking: tags.Thinking | None = None
    ) -> dict[str, Any]:
        """Compute the rate.

        Args:
            predictions: completions, thinking tags included.
            kind: what kind of problem they answer: math, code or text.
            thinking: the tags, a `Thinking`; by default <think> and </think>.

        Returns:
            `rate`, and `n`, the completions.
        """
        reward = gate.FormatReward(thinking or tags.Thinking())
        kept = reward(completions=list(predictions), kind=[kind] * len(predictions)) if len(predictions) else []
        return estimators.rate(kept)
