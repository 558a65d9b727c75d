"""Language fidelity: the share of completions whose thoughts and answer are in the language asked for."""

from collections.abc import Sequence
from typing import Any, ClassVar

import datasets

from magistral_recipe.evaluation import estimators
from magistral_recipe.evaluation import languages as identification
from magistral_recipe.evaluation.metrics import base
from magistral_recipe.writing import thinking as tags


class LanguageFidelity(base.RowMetric):
    """Thoughts and answer in the problem's language."""

    description = "Share of completions that think and answer in the language of the problem (Magistral §2.2.4)."
    readers: ClassVar = {"predictions": base.completion, "references": base.language}
    columns: ClassVar = {"predictions": datasets.Value("string"), "references": datasets.Value("string")}

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str],
        thinking: tags.Thinking | None = None,
        languages: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Compute the fidelity.

        Args:
            predictions: completions, thinking tags included.
            references: the language of each problem, ISO 639-1.
            thinking: the tags, a `Thinking`; by default <think> and </think>.
            languages: the candidates; by default those of the reward.

        Returns:
            `fidelity`, undecided ones counting as failures; `undecided`, how many there are; `confusion`, for each
            language asked for how often each was found (`mixed`, `undecided` and `malformed` beside the codes).
        """
        found = identification.found_languages(predictions, references, thinking or tags.Thinking(), languages)
        return estimators.fidelity(references, found)
