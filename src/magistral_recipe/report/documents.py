"""`metrics.json` and `report.md`: a run's outcome for machines, and for a terminal or a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from magistral_recipe.jsonlines import Record
from magistral_recipe.report.advice import RunWarning
from magistral_recipe.report.collect import Run, Stage
from magistral_recipe.report.curves import number
from magistral_recipe.report.tables import Cell, Table, claimed_score, headline, stage_scores
from magistral_recipe.report.values import as_float, as_mapping
from magistral_recipe.writing.figures import percent

METRICS_FORMAT = 1
_COUNTS = ("problems", "samples", "greedy_samples", "undecided", "seconds")


def metrics_json(run: Run, findings: Sequence[RunWarning]) -> Record:
    """Return what `metrics.json` holds.

    Args:
        run: what was read of the run.
        findings: its warnings.

    Returns:
        Plain data: stages with their last metrics, the scores of every evaluation, warnings, what is missing.
    """
    return {
        "format": METRICS_FORMAT,
        "name": run.name,
        "created": run.manifest.get("created"),
        "seed": run.manifest.get("seed"),
        "versions": as_mapping(run.manifest.get("versions")),
        "hardware": as_mapping(run.manifest.get("hardware")),
        "seconds": round(run.seconds, 3),
        "stages": [_stage(stage) for stage in run.stages],
        "warnings": [asdict(finding) for finding in findings],
        "missing": run.missing,
    }


def _stage(stage: Stage) -> Record:
    steps = [step for record in stage.metrics if (step := as_float(record.get("step"))) is not None]
    found: dict[str, Any] = {
        "name": stage.name,
        "kind": stage.kind,
        "status": stage.status,
        "seconds": stage.seconds,
    }
    if stage.metrics:
        found |= {"steps": int(max(steps, default=0)), "metrics": _last_values(stage)}
    if stage.rollouts:
        found["rollouts"] = len(stage.rollouts)
    if stage.evaluations:
        found["evaluations"] = {
            e.label: {
                "finished": not e.partial,
                "warnings": e.warnings,
                "settings": _settings(e.scores),
                **{name: e.scores[name] for name in _COUNTS if name in e.scores},
                "overall": as_mapping(e.scores.get("overall")),
                "groups": as_mapping(e.scores.get("groups")),
            }
            for e in stage.evaluations
        }
    return found


def _settings(scores: Record) -> Record:
    """How the samples were drawn; without the model's path, which tells about somebody's folders."""
    return {name: value for name, value in as_mapping(scores.get("settings")).items() if name != "model"}


def _last_values(stage: Stage) -> dict[str, float]:
    """Each metric's last finite value."""
    found: dict[str, float] = {}
    for record in stage.metrics:
        found |= {key: value for key in record if (value := as_float(record[key])) is not None}
    return {key: value for key, value in found.items() if key not in ("step", "time")}


def report_markdown(run: Run, findings: Sequence[RunWarning]) -> str:
    """Return what `report.md` says.

    Args:
        run: what was read of the run.
        findings: its warnings.

    Returns:
        Markdown: outcome, warnings, scores, the chain.
    """
    return "\n".join([*_head(run), *_findings(findings), *_scores(run), *_chain(run), ""])


def _head(run: Run) -> Iterator[str]:
    yield f"# {_plain(run.name)}"
    if run.description:
        yield f"\n{_plain(run.description)}"
    told = " → ".join(f"{percent(interval.mean)}% {_plain(name)}" for name, interval in headline(run))
    if told and run.evaluated:
        claim = claimed_score(run.evaluated.evaluations)
        yield f"\n{claim[0].upper()}{claim[1:]}: **{told}**."
    if run.missing:
        yield "\n" + "\n".join(f"- missing: {_plain(line)}" for line in run.missing)


def _findings(findings: Sequence[RunWarning]) -> Iterator[str]:
    if findings:
        yield "\n## Warnings\n"
    for finding in findings:
        yield f"- **{_plain(finding.title)}** ({finding.level}). {_plain(finding.seen)} {_plain(finding.advice)}"


def _scores(run: Run) -> Iterator[str]:
    for position, stage in enumerate(stage for stage in run.stages if stage.evaluations):
        scores = stage_scores(stage, f"scores-{position}")
        yield f"\n## Scores: {_plain(stage.name)}\n\n{_plain(scores.remark)}"
        if scores.warnings:
            yield "\n" + "\n".join(f"- the evaluation warns: {_plain(text)}" for text in scores.warnings)
        for table in scores.tables:
            yield from markdown_table(table)


def markdown_table(table: Table) -> Iterator[str]:
    """Write a table in Markdown."""
    yield f"\n| {' | '.join(map(_plain, table.heads))} |"
    yield f"| --- |{' ---: |' * (len(table.heads) - 1)}"
    for row in table.rows:
        name = f"{_plain(row.name)} ({_plain(row.note)})" if row.note else _plain(row.name)
        yield f"| {name} | {' | '.join(_cell(cell) for cell in row.cells)} |"


def _cell(cell: Cell) -> str:
    return f"{cell.value} ({cell.interval})" if cell.interval else cell.value or "–"


def _chain(run: Run) -> Iterator[str]:
    if not run.stages:
        return
    yield "\n## The chain\n"
    yield "| stage | status | minutes | outcome |"
    yield "| --- | --- | ---: | --- |"
    for stage in run.stages:
        minutes = number(stage.seconds / 60)
        yield f"| {_plain(stage.name)} | {_plain(stage.status)} | {minutes} | {_plain(stage.summary)} |"


def _plain(text: str) -> str:
    """Text that stays text in Markdown and inside a table's cell."""
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
