"""What stands on the page: the run's figures arranged as tables, curves and samples, as plain text.

Values here are text or numbers; the template escapes them. The only markup made in Python is that of the charts.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from magistral_recipe.evaluation.samples import Sample
from magistral_recipe.evaluation.statistics import Interval
from magistral_recipe.report.charts import Series, interval_chart, line_chart, number
from magistral_recipe.report.collect import NAMES, Evaluation, Record, Run, Stage, finite, mapping
from magistral_recipe.rewards.thinking import Thinking

METRICS = {
    "pass@1": "pass@1",
    "greedy_pass@1": "pass@1, greedy",
    "maj": "maj@k",
    "language_fidelity": "same language",
    "right_in_language": "right, same language",
    "format_rate": "format kept",
    "truncation_rate": "cut at the limit",
    "mean_length": "tokens",
}
"""Metrics of `scores.json` in the order of the table, and what they are called there."""

_CHARTED = {"pass@1": "pass@1", "greedy_pass@1": "pass@1, greedy", "language_fidelity": "same language"}
_DIMENSIONS = {"category": "kind of problem", "language": "language", "difficulty": "difficulty", "source": "source"}
_SHOWN_PROBLEMS = 8
_SHOWN_CHARACTERS = 6_000


@dataclass
class Cell:
    """A figure of a table.

    Attributes:
        value: as text; empty where there is none.
        interval: as text; empty where there is none.
    """

    value: str = ""
    interval: str = ""


@dataclass
class Table:
    """A table: heads, and rows of a name, an optional note, and cells."""

    heads: list[str]
    rows: list[tuple[str, str, list[Cell]]]


@dataclass
class Chart:
    """A chart with its title, its legend (class number, name) and a remark."""

    title: str
    svg: Markup
    legend: list[tuple[int, str]] = field(default_factory=list)
    remark: str = ""


@dataclass
class Answer:
    """One completion, ready to be read.

    Attributes:
        who: which model or which place in a group.
        thoughts: folded away; for a malformed completion all of it.
        answer: what follows the thoughts; ``None`` when malformed.
        right: for the colour: right, wrong, or not decided.
        facts: short verdicts and figures.
    """

    who: str
    thoughts: str
    answer: str | None
    right: bool | None
    facts: list[str]


@dataclass
class Problem:
    """A problem with the completions that are shown of it."""

    question: str
    reference: str
    facts: list[str]
    answers: list[Answer]


@dataclass
class EvaluationSection:
    """One evaluating stage: the scores of its models side by side, and samples."""

    title: str
    remark: str
    table: Table
    charts: list[Chart]
    groups: list[tuple[str, Table]]
    problems: list[Problem]


@dataclass
class TrainingSection:
    """One training stage: its curves and what it learnt from."""

    title: str
    summary: str
    charts: list[Chart]
    groups: list[Problem]


# -------------------------------------------------------------------------------------------- scores


def evaluation_section(stage: Stage, thinking: Thinking) -> EvaluationSection:
    """Arrange an evaluating stage.

    Args:
        stage: one with evaluations.
        thinking: the run's tags.

    Returns:
        Tables, charts and samples.
    """
    evaluations = stage.evaluations
    charts = []
    for metric, title in _CHARTED.items():
        rows = [(e.name, interval) for e in evaluations if (interval := e.interval(metric)) is not None]
        if rows:
            charts.append(Chart(title, interval_chart(title, rows)))
    groups = [
        (label, table)
        for dimension, label in _DIMENSIONS.items()
        if (table := _group_table(evaluations, dimension, label)) is not None
    ]
    return EvaluationSection(
        stage.name, _remark(evaluations), _score_table(evaluations), charts, groups, _compared(evaluations, thinking)
    )


def _remark(evaluations: Sequence[Evaluation]) -> str:
    last = evaluations[-1]
    settings = mapping(last.scores.get("settings"))
    parts = [f"{last.count('problems')} problems"]
    if settings.get("samples"):
        parts.append(f"{settings['samples']} samples each at temperature {settings.get('temperature')}")
        if settings.get("top_p", 1.0) != 1.0:
            parts[-1] += f" and top-p {settings['top_p']}"
    if settings.get("max_new_tokens"):
        parts.append(f"at most {settings['max_new_tokens']} tokens")
    undecided = [f"{e.count('undecided')} of {e.name}" for e in evaluations if e.count("undecided")]
    if undecided:
        parts.append(f"not decided and left out: {', '.join(undecided)}")
    return "; ".join(parts) + ". Intervals are 95%, over problems."


def _score_table(evaluations: Sequence[Evaluation]) -> Table:
    majority = sorted({name for e in evaluations for name in _overall(e) if re.fullmatch(r"maj@\d+", name)})
    columns: dict[str, str] = {}
    for metric, title in METRICS.items():
        columns |= {name: name for name in majority} if metric == "maj" else {metric: title}
    shown = {metric: title for metric, title in columns.items() if any(e.interval(metric) for e in evaluations)}
    rows = [
        (e.name, "not finished" if e.partial else "", [_cell(e.interval(metric), metric) for metric in shown])
        for e in evaluations
    ]
    return Table(["", *shown.values()], rows)


def _overall(evaluation: Evaluation) -> Iterable[str]:
    return mapping(evaluation.scores.get("overall"))


def _group_table(evaluations: Sequence[Evaluation], dimension: str, label: str) -> Table | None:
    """pass@1 of every group and model, the group that is hardest for the last model marked."""
    counts = evaluations[-1].groups(dimension)
    if len(counts) < 2:
        return None
    metric = "pass@1" if any(e.interval("pass@1") for e in evaluations) else "greedy_pass@1"
    means = {
        name: interval.mean
        for name in counts
        if (interval := evaluations[-1].interval(metric, dimension, name)) is not None
    }
    hardest = min(means, key=lambda name: means[name]) if means else None
    rows = []
    for name, count in counts.items():
        note = f"{count} problems" + (", hardest" if name == hardest and dimension == "category" else "")
        rows.append((name, note, [_cell(e.interval(metric, dimension, name), metric) for e in evaluations]))
    return Table([label, *(e.name for e in evaluations)], rows)


def _cell(interval: Interval | None, metric: str) -> Cell:
    if interval is None:
        return Cell()
    if metric == "mean_length":
        ends = "" if math.isinf(interval.low) else f"{interval.low:.0f} to {interval.high:.0f}"
        return Cell(f"{interval.mean:.1f}", ends)
    mean, low, high = (100 * value for value in interval)
    return Cell(f"{mean:.1f}%", "" if math.isinf(low) else f"{low:.1f} to {high:.1f}")


def headline(run: Run) -> str:
    """Say in one sentence what was learnt, by the last evaluating stage."""
    evaluated = next((stage.evaluations for stage in reversed(run.stages) if stage.evaluations), [])
    rates = [
        (e.name, interval.mean) for e in evaluated if (interval := e.interval("pass@1") or e.interval("greedy_pass@1"))
    ]
    if not rates:
        return ""
    told = " → ".join(f"{mean:.1%} {name}" for name, mean in rates)
    return f"Held-out pass@1: {told}."


# -------------------------------------------------------------------------------------------- samples


def _compared(evaluations: Sequence[Evaluation], thinking: Thinking) -> list[Problem]:
    """A few problems, each followed through the models; those first whose fate changed."""
    chosen = [_one_each(evaluation.samples) for evaluation in evaluations]
    if not chosen or not chosen[-1]:
        return []
    before, after = chosen[max(0, len(chosen) - 2)], chosen[-1]

    def interest(problem: str) -> tuple[str, str]:
        fate = "yes" if after[problem].right else "no"
        return ("yes" if problem in before and before[problem].right else "no"), fate

    kinds: dict[tuple[str, str], list[str]] = {}
    for problem in sorted(after, key=_shuffled):
        kinds.setdefault(interest(problem), []).append(problem)
    # Gained, still wrong, lost, right throughout: by turns, so that each is seen where it occurs.
    order = [kinds.get(kind, []) for kind in (("no", "yes"), ("no", "no"), ("yes", "no"), ("yes", "yes"))]
    picked: list[str] = []
    for turn in range(_SHOWN_PROBLEMS):
        picked += [kind[turn] for kind in order if turn < len(kind)]
    return [_problem(name, evaluations, chosen, thinking) for name in picked[:_SHOWN_PROBLEMS]]


def _shuffled(name: str) -> str:
    """An order that is always the same and mixes what names sort together, such as languages."""
    return hashlib.sha256(name.encode("utf-8", errors="replace")).hexdigest()


def _one_each(samples: Sequence[Sample]) -> dict[str, Sample]:
    """One sample a problem: the greedy one, else the first."""
    found: dict[str, Sample] = {}
    for sample in sorted(samples, key=lambda sample: (not sample.greedy, sample.sample)):
        found.setdefault(sample.problem, sample)
    return found


def _problem(
    name: str, evaluations: Sequence[Evaluation], chosen: Sequence[dict[str, Sample]], thinking: Thinking
) -> Problem:
    shown = [(e.name, samples[name]) for e, samples in zip(evaluations, chosen, strict=True) if name in samples]
    sample = shown[-1][1]
    facts = [fact for fact in (sample.language, sample.category) if fact]
    answers = [_answer(who, each, thinking) for who, each in shown]
    return Problem(sample.question or sample.problem, _reference(sample.reference), facts, answers)


def _answer(who: str, sample: Sample, thinking: Thinking) -> Answer:
    facts = [f"{part}: {_words(verdict.get('reason'))}" for part, verdict in sample.verdicts.items()]
    facts.append(f"{sample.tokens} tokens" + (", cut" if sample.truncated else ""))
    facts.append("greedy" if sample.greedy else f"sample {sample.sample}")
    return _read(who, sample.completion, thinking, sample.right, facts)


def _read(who: str, text: str, thinking: Thinking, right: bool | None, facts: list[str]) -> Answer:
    parts = thinking.split(text)
    answer = None if parts.answer is None else _shortened(parts.answer.strip())
    return Answer(who, _shortened(parts.thoughts.strip()), answer, right, facts)


def _shortened(text: str) -> str:
    left_out = len(text) - _SHOWN_CHARACTERS
    if left_out <= 0:
        return text
    half = _SHOWN_CHARACTERS // 2
    return f"{text[:half]}\n[… {left_out} characters …]\n{text[-half:]}"


def _reference(reference: object) -> str:
    if isinstance(reference, list):
        return " or ".join(str(each) for each in reference)
    return "" if reference is None else str(reference)


def _words(reason: object) -> str:
    return str(reason or "").replace("_", " ")


# -------------------------------------------------------------------------------------------- training


def training_section(stage: Stage, thinking: Thinking) -> TrainingSection:
    """Arrange a training stage.

    Args:
        stage: `sft` or `grpo`.
        thinking: the run's tags.

    Returns:
        Curves and, for RL, groups of rollouts.
    """
    charts = [chart for title, curves in _plots(stage) if (chart := _chart(stage, title, curves)) is not None]
    name = NAMES.get(stage.name, stage.name).removeprefix("after ")
    return TrainingSection(name, stage.summary, charts, _rollout_groups(stage.rollouts, thinking))


def _plots(stage: Stage) -> list[tuple[str, dict[str, str]]]:
    """Titles of charts, each with the metrics it shows and their names."""
    if stage.kind == "sft":
        return [
            ("loss", {"loss": "loss", "eval_loss": "held out"}),
            ("tokens predicted right", {"mean_token_accuracy": "share"}),
            ("entropy", {"entropy": "nats a token"}),
            ("learning rate", {"learning_rate": "rate"}),
            ("gradient norm", {"grad_norm": "norm"}),
        ]
    keys = list(dict.fromkeys(key for record in stage.metrics for key in record))
    parts = {
        key: key.split("/")[1]
        for key in keys
        if re.fullmatch(r"(?!rewards/)[^/]+/(format|correctness|length|language)", key)
    }
    rewards = {key: key.split("/")[1] for key in keys if re.fullmatch(r"rewards/[^/]+/mean", key)}
    seconds = {key: key.split("/")[1].replace("_", " ") for key in keys if re.fullmatch(r"seconds/[^/]+", key)}
    return [
        ("reward", {"reward": "mean", "reward_std": "spread"}),
        *([("parts of the reward", parts)] if parts else []),
        *([("each reward", rewards)] if len(rewards) > 1 else []),
        (
            "length in tokens",
            {"completions/mean_length": "mean", "completions/p95_length": "95%", "max_completion_length": "limit"},
        ),
        ("completions cut at the limit", {"completions/clipped_ratio": "share"}),
        ("ratios clipped", {"clip_ratio/high_mean": "above", "clip_ratio/low_mean": "below"}),
        _groups_plot(keys),
        ("entropy", {"entropy": "nats a token"}),
        ("gradient norm", {"grad_norm": "norm"}),
        ("loss", {"loss": "loss"}),
        ("sampler against trainer", {"sampling/sampling_logp_difference/mean": "log-probability gap"}),
        ("seconds a step", seconds),
    ]


def _groups_plot(keys: Sequence[str]) -> tuple[str, dict[str, str]]:
    title = "groups without signal"
    if "groups/uninformative" not in keys:
        return title, {"frac_reward_zero_std": "share"}
    return title, {"groups/uninformative": "all", "groups/all_right": "all right", "groups/all_wrong": "all wrong"}


_SHARES = frozenset(
    {
        "tokens predicted right",
        "completions cut at the limit",
        "ratios clipped",
        "groups without signal",
        "parts of the reward",
    }
)


def _chart(stage: Stage, title: str, curves: Mapping[str, str]) -> Chart | None:
    series = [Series(name, points) for key, name in list(curves.items())[:5] if (points := stage.curve(key))]
    if not series:
        return None
    inside = all(0 <= value <= 1 for each in series for _, value in each.points)
    svg = line_chart(title, series, percent=title in _SHARES and inside)
    last = series[0].points[-1][1]
    named = f"{series[0].name} " if len(series) > 1 else ""
    remark = f"{named}{number(last, title in _SHARES and inside)} at the end"
    legend = [(position, each.name) for position, each in enumerate(series)] if len(series) > 1 else []
    return Chart(title, svg, legend, remark)


def _rollout_groups(rollouts: Sequence[Record], thinking: Thinking) -> list[Problem]:
    """The first group of the first and of the last batch that was written down."""
    steps = sorted({step for record in rollouts if isinstance(step := record.get("step"), int)})
    problems = []
    for step in dict.fromkeys(steps[:1] + steps[-1:]):
        batch = [record for record in rollouts if record.get("step") == step]
        group = [record for record in batch if record is batch[0] or record.get("group") == batch[0].get("group")]
        group.sort(key=lambda record: -(finite(record.get("reward")) or 0.0))
        first = group[0]
        facts = [
            f"step {step}",
            f"{len(group)} completions",
            *(str(first[k]) for k in ("language", "category") if first.get(k)),
        ]
        question = str(first.get("problem") or first.get("id") or "")
        problems.append(
            Problem(question, _reference(first.get("answer")), facts, [_rollout(r, thinking) for r in group])
        )
    return problems


def _rollout(record: Record, thinking: Thinking) -> Answer:
    told = [(str(name), value) for name, value in mapping(record.get("parts")).items()]
    facts = [f"{name.rpartition('/')[2]}: {_words(value)}" for name, value in told if isinstance(value, str)]
    numbers = [(name, figure) for name, value in told if (figure := finite(value)) is not None]
    facts += [f"{name.rpartition('/')[2]} {figure:g}" for name, figure in numbers]
    facts.append(f"advantage {finite(record.get('advantage')) or 0.0:+.2f}")
    facts.append(f"{record.get('tokens', '?')} tokens" + (", cut" if record.get("truncated") else ""))
    reasons = {value for _, value in told if isinstance(value, str)}
    right = True if "right" in reasons else None if not reasons else False
    return _read(
        f"reward {finite(record.get('reward')) or 0.0:.2f}", str(record.get("completion", "")), thinking, right, facts
    )
