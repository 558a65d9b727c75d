"""The confusion matrix of languages: what was asked for, and what a model wrote."""

from __future__ import annotations

from collections.abc import Sequence

from magistral_recipe.evaluation.estimators import fidelity
from magistral_recipe.jsonlines import Record, read_at
from magistral_recipe.report.collect import Evaluation
from magistral_recipe.report.seen import sample_of
from magistral_recipe.report.tables import Grid, confusion_grid
from magistral_recipe.report.values import as_mapping
from magistral_recipe.writing.thinking import Thinking

_MOST = 1_000
_MODELS = 2


def language_grids(evaluations: Sequence[Evaluation], thinking: Thinking) -> list[Grid]:
    """Make the matrices of the last models.

    Args:
        evaluations: of one stage.
        thinking: the run's tags.

    Returns:
        One matrix a model; none where one language alone was asked for.
    """
    if len(evaluations[-1].groups("language")) < 2:
        return []
    found = [(e.name, _confusion(e, thinking)) for e in evaluations[-_MODELS:]]
    return [grid for name, confusion in found if (grid := confusion_grid(name, confusion)) is not None]


def _confusion(evaluation: Evaluation, thinking: Thinking) -> Record:
    """From the scores where they have it, else from samples evenly spread over the file."""
    known = as_mapping(evaluation.scores.get("confusion"))
    if known:
        return known
    some = evaluation.samples[:: max(1, -(-len(evaluation.samples) // _MOST))]
    kept: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    for _, row in read_at(evaluation.path, [seen.offset for seen in some]):
        sample = sample_of(row)
        if sample is not None and sample.language and "language" in sample.verdicts:
            told = (sample.language, sample.completion)
            # The reward has said so already; only the others need another look.
            (kept if sample.same_language else others).append(told)
    asked = [language for language, _ in (*kept, *others)]
    found = [language for language, _ in kept] + _found(others, thinking)
    return as_mapping(fidelity(asked, found)["confusion"]) if len(found) == len(asked) else {}


def _found(completions: Sequence[tuple[str, str]], thinking: Thinking) -> list[str]:
    if not completions:
        return []
    from magistral_recipe.evaluation.languages import found_languages

    try:
        return found_languages([text for _, text in completions], [asked for asked, _ in completions], thinking)
    except ValueError:  # a language that is none
        return []
