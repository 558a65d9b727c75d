"""Metrics for Hugging Face `evaluate`: one folder each, loaded by path and offline.

    import evaluate
    from magistral_recipe.evaluation.metrics import metric_path

    evaluate.load(metric_path("pass_at_k")).compute(predictions=[[1, 0, 1, 1]], k=[1, 2])

They put the functions of this package's own evaluation into `evaluate`'s shape and compute nothing of their own.
"""

from pathlib import Path

from magistral_recipe.suggest import did_you_mean

NAMES = ("pass_at_k", "maj_at_k", "language_fidelity", "format_rate", "truncation_rate", "length_stats")
"""The metrics that there are."""


def metric_path(name: str) -> str:
    """Return the folder of a metric, for `evaluate.load`.

    Args:
        name: one of `NAMES`.

    Returns:
        Its path.

    Raises:
        ValueError: for another name.
    """
    if name not in NAMES:
        raise ValueError(f"no metric '{name}'; there are {', '.join(NAMES)}.{did_you_mean(name, NAMES)}")
    return str(Path(__file__).parent / name)
