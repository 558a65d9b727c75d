"""maj@k: whether the most frequent of k answers is right."""

from collections.abc import Sequence
from typing import Any, ClassVar

import datasets

from magistral_recipe.evaluation import votes
from magistral_recipe.evaluation.metrics import base


class MajAtK(base.RowMetric):
    """maj@k over problems, each of equal weight."""

    description = "Score of the majority vote among k samples' answers, the mean over all choices of k of n samples."
    readers: ClassVar = {"predictions": base.answers, "references": base.references}
    columns: ClassVar = {
        "predictions": datasets.List(datasets.Value("string")),
        "references": datasets.List(datasets.Value("string")),
    }

    def _compute(
        self,
        predictions: Sequence[Sequence[str | None]],
        references: Sequence[Sequence[str]],
        k: int | Sequence[int] | None = None,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Compute maj@k.

        Args:
            predictions: per problem the final answers of its samples (what stands in the box), None without one.
            references: per problem the right answer, or a list of which any one is right.
            k: one number of voters, or several; by default all samples.
            seed: of the choices drawn where a problem has too many samples to count all choices.

        Returns:
            `maj@k` for each k. Answers are compared by what they mean; a tie earns the share of its leaders that
            are right; no answer never wins.
        """
        if not predictions:
            raise ValueError("no problems: predictions are empty")
        for number, answers in enumerate(predictions):
            if not answers:
                raise ValueError(f"problem {number} has no samples: predictions[{number}] is empty")
        sizes = [min(len(answers) for answers in predictions)] if k is None else base.wanted(k)
        return votes.maj_at_k_of_problems(predictions, references, sizes, seed)
