"""Where a run's evaluations are: the one walk over them, for the report, the terminal's table and the model card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from magistral_recipe.files import read_json
from magistral_recipe.jsonlines import Record
from magistral_recipe.layout import SAMPLES, SCORES, STAGE, STAGE_FOLDERS
from magistral_recipe.report.values import as_mapping

NAMES = {"base": "base", "sft": "after SFT", "grpo": "after RL"}
"""How models are called; others go by their stage's name."""

METRICS = {
    "pass@1": "pass@1",
    "greedy_pass@1": "greedy",
    "maj": "maj",
    "language_fidelity": "same language",
    "right_in_language": "right in language",
    "format_rate": "format",
    "truncation_rate": "cut",
    "mean_length": "tokens",
}
"""Metrics of `scores.json`, in order, and what tables call them; `maj` stands for every maj@k."""


def figure(scores: Record, metric: str) -> object:
    """Look up a metric among a group's scores: that of its samples, or of greedy decoding where nothing was sampled.

    pass@1 has a line of its own for either.
    """
    if metric in scores or metric == "pass@1" or "pass@1" in scores:
        return scores.get(metric)
    return scores.get(f"greedy_{metric}")


@dataclass(frozen=True)
class EvaluationFolder:
    """The evaluation of one model on one set of problems.

    Attributes:
        stage: the evaluating stage's folder name.
        label: the model's name in the chain.
        folder: where its files are.
        scores: `scores.json`; empty where it is missing, broken, or not of an evaluation that came to its end.
    """

    stage: str
    label: str
    folder: Path
    scores: Record

    @property
    def samples(self) -> Path:
        """The file of samples."""
        return self.folder / SAMPLES


def stage_evaluations(stage: Path) -> list[EvaluationFolder]:
    """Find the evaluations in one stage's folder.

    Args:
        stage: the folder of an evaluating stage.

    Returns:
        Its evaluations, in the order in which the models came about.
    """
    results = as_mapping(as_mapping(read_json(stage / STAGE)).get("results"))
    order: Sequence[str] = ["base", *as_mapping(results.get("scores")), "sft", "grpo"]
    rank = {label: position for position, label in reversed(list(enumerate(order)))}
    labels = {path.parent.name for file in (SAMPLES, SCORES) for path in stage.glob(f"*/{file}")}
    found = []
    for label in sorted(labels, key=lambda label: (rank.get(label, len(order)), label)):
        scores = as_mapping(read_json(stage / label / SCORES))
        whole = scores if isinstance(scores.get("overall"), dict) else {}
        found.append(EvaluationFolder(stage.name, label, stage / label, whole))
    return found


def finished_evaluations(run: Path) -> Iterator[tuple[str, Record]]:
    """Yield (model's name, its scores) for every evaluation of a run that has come to its end, in the chain's order."""
    for stage in sorted(run.glob(STAGE_FOLDERS)):
        for evaluation in stage_evaluations(stage):
            if evaluation.scores:
                yield evaluation.label, evaluation.scores


def latest_scores(run: Path) -> dict[str, Record]:
    """Return the scores of each model's last evaluation, by the model's name."""
    return dict(finished_evaluations(run))
