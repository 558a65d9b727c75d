"""What the template is given: a run arranged as cards, tables, figures and samples, as plain text.

Values here are text or numbers; the template escapes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from magistral_recipe.recipe.sections import Role
from magistral_recipe.report.advice import RunWarning, judged
from magistral_recipe.report.collect import Run, Stage
from magistral_recipe.report.curves import from_to, number, reward_parts, stage_charts
from magistral_recipe.report.data import Chart, PageData, Unit
from magistral_recipe.report.funnel import FunnelSection, funnel_section
from magistral_recipe.report.languages import language_grids
from magistral_recipe.report.sampling import fill
from magistral_recipe.report.tables import (
    Cell,
    ScoreSection,
    Table,
    cell,
    claimed_score,
    difference_cell,
    headline,
    paired,
    stage_scores,
)
from magistral_recipe.report.values import as_float, as_mapping
from magistral_recipe.writing.figures import duration

_STATIC_PROBLEMS = 4


@dataclass(frozen=True)
class Milestone:
    """A model on the way: its name, its score, and what the step to it changed."""

    name: str
    score: str
    interval: str
    change: str
    tone: str


@dataclass(frozen=True)
class Card:
    """A stage in the chain's diagram."""

    title: str
    kind: str
    status: str
    seconds: float
    figures: list[tuple[str, str]]


class CurveFigures(NamedTuple):
    """A curve in numbers, for readers who don't see it: a row of the table below the figures."""

    figure: str
    curve: str
    first: str
    lowest: str
    highest: str
    last: str


class StillAnswer(NamedTuple):
    """What one model wrote, on a page without scripts."""

    who: str
    verdict: str
    words: str


class StillProblem(NamedTuple):
    """A problem on a page without scripts: its question, what is known of it, and what models wrote."""

    question: str
    facts: list[str]
    answers: list[StillAnswer]


@dataclass
class Training:
    """A training stage's section."""

    id: str
    title: str
    charts: list[Chart]
    table: list[CurveFigures]


@dataclass
class Page:
    """Everything on the page.

    Attributes:
        name: the title.
        description: below it.
        line: recipe, seed, hardware and time in one line.
        milestones: the scores on the way.
        metric: what they are scores of.
        cards: the chain.
        findings: warnings.
        judged: what was looked at for them.
        missing: what could not be shown.
        scores: evaluating stages.
        score_warnings: of a comparison, what the evaluations said against their own scores.
        trainings: training stages.
        funnels: curating stages.
        facts: what was run, by name.
        recipes: (name, text) of each run's recipe.
        data: for the scripts.
        static: a few problems for readers without scripts.
        comparison: tables of a comparison of runs.
    """

    name: str
    description: str = ""
    line: str = ""
    milestones: list[Milestone] = field(default_factory=list)
    metric: str = "pass@1"
    cards: list[Card] = field(default_factory=list)
    findings: list[RunWarning] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    scores: list[ScoreSection] = field(default_factory=list)
    score_warnings: list[str] = field(default_factory=list)
    trainings: list[Training] = field(default_factory=list)
    funnels: list[FunnelSection] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    recipes: list[tuple[str, str]] = field(default_factory=list)
    data: PageData = field(default_factory=lambda: PageData(""))
    static: list[StillProblem] = field(default_factory=list)
    comparison: list[Table] = field(default_factory=list)


def run_page(run: Run, findings: Sequence[RunWarning]) -> Page:
    """Arrange a run.

    Args:
        run: what was read of it.
        findings: its warnings.

    Returns:
        All that the template needs.
    """
    page = Page(run.name, run.description, _line(run), _milestones(run))
    page.metric = claimed_score(run.evaluated.evaluations) if run.evaluated else page.metric
    page.cards = [_card(stage) for stage in run.stages]
    page.findings, page.judged, page.missing = list(findings), judged(run), run.missing
    for position, stage in enumerate(stage for stage in run.stages if stage.evaluations):
        scores = stage_scores(stage, f"scores-{position}")
        scores.grids = language_grids(stage.evaluations, run.thinking)
        page.scores.append(scores)
    page.trainings = [
        training(stage.title, charts, f"training-{position}")
        for position, stage in enumerate(run.stages)
        if stage.role != "evaluation" and (charts := stage_charts(stage, f"training-{position}"))
    ]
    page.funnels = [
        section
        for position, stage in enumerate(run.stages)
        if (section := funnel_section(stage.funnel, f"funnel-{position}", stage.title))
    ]
    page.facts = facts(run)
    page.recipes = [("The recipe", run.recipe)] if run.recipe else []
    page.data = PageData(run.name, charts=charts_of(page))
    fill(page.data, [("", run)])
    page.static = static_samples(page.data)
    return page


def charts_of(page: Page) -> list[Chart]:
    """Return every figure of a page."""
    scored = [chart for scores in page.scores for chart in scores.charts]
    return [*scored, *(chart for section in page.trainings for chart in section.charts)]


def _milestones(run: Run) -> list[Milestone]:
    evaluations = {e.name: e for e in run.evaluated.evaluations} if run.evaluated else {}
    found: list[Milestone] = []
    before: str | None = None
    for name, interval in headline(run):
        compared = paired(evaluations[before], evaluations[name]) if before else None
        changed = difference_cell(compared.difference) if compared else Cell()
        change = f"{changed.value} points" if compared else ""
        score = cell(interval, "pass@1")
        found.append(Milestone(name, score.value, score.interval, change, changed.tone))
        before = name
    return found


def _card(stage: Stage) -> Card:
    figures = _FIGURES[stage.role](stage) or _summary(stage)
    if memory := as_float(stage.results.get("peak_gpu_memory_gib")) or as_float(stage.results.get("peak_memory_gib")):
        figures.append(("peak memory", f"{memory:.1f} GiB"))
    return Card(stage.title, stage.kind, stage.status, stage.seconds, figures)


def _summary(stage: Stage) -> list[tuple[str, str]]:
    return [("", stage.summary)] if stage.summary else []


def _imitation_figures(stage: Stage) -> list[tuple[str, str]]:
    found = [("steps", _last_step(stage)), ("loss", _from_to(stage, "loss"))]
    if traces := as_float(stage.results.get("traces")):
        found.insert(0, ("traces", f"{traces:,.0f}"))
    return [(name, value) for name, value in found if value]


def _reinforcement_figures(stage: Stage) -> list[tuple[str, str]]:
    right = next((key for key, part in reward_parts(stage).items() if part == "correctness"), "")
    found = [
        ("steps", _last_step(stage)),
        ("reward", _from_to(stage, "reward")),
        ("right", _from_to(stage, right, "share")),
        ("length", _from_to(stage, "completions/mean_length")),
    ]
    return [(name, value) for name, value in found if value]


def _evaluation_figures(stage: Stage) -> list[tuple[str, str]]:
    if not stage.evaluations:
        return []
    last = stage.evaluations[-1]
    settings = as_mapping(last.scores.get("settings"))
    found = [("models", str(len(stage.evaluations))), ("problems", str(last.count("problems")))]
    return [*found, ("samples each", str(settings["samples"]))] if settings.get("samples") else found


_FIGURES: Mapping[Role, Callable[[Stage], list[tuple[str, str]]]] = {
    "imitation": _imitation_figures,
    "reinforcement": _reinforcement_figures,
    "evaluation": _evaluation_figures,
    "curation": _summary,
    "other": _summary,
}
"""What a card says of a stage; its summary where nothing of that is known."""


def _last_step(stage: Stage) -> str:
    steps = [step for record in stage.metrics if (step := as_float(record.get("step"))) is not None]
    return f"{max(steps):,.0f}" if steps else ""


def _from_to(stage: Stage, key: str, unit: Unit = "number") -> str:
    points = stage.curve(key)
    return from_to(points, unit) if points else ""


def training(title: str, charts: list[Chart], id_: str) -> Training:
    """Make a training section: its figures, and their numbers as a table for readers who don't see them."""
    return Training(id_, title, charts, [row for chart in charts for row in _numbers(chart)])


def _numbers(chart: Chart) -> list[CurveFigures]:
    if chart.kind == "scatter":
        return []
    rows = []
    for series in chart.series:
        known = [value for value in series.values if value is not None]
        if known:
            told = [number(value, chart.unit) for value in (known[0], min(known), max(known), known[-1])]
            rows.append(CurveFigures(chart.title, series.name, *told))
    return rows


def static_samples(data: PageData) -> list[StillProblem]:
    """A few problems with one completion an occasion, for readers without scripts."""
    found: dict[int, dict[int, StillAnswer]] = {}
    for completion in data.completions:
        verdict = {True: "right", False: "wrong", None: "undecided"}[completion.right]
        words = completion.thoughts if completion.answer is None else completion.answer
        told = StillAnswer(data.occasions[completion.occasion].name, verdict, words[:1500])
        found.setdefault(completion.problem, {}).setdefault(completion.occasion, told)
    fullest = sorted(found, key=lambda index: -len(found[index]))[:_STATIC_PROBLEMS]
    problems = [data.problems[index] for index in fullest]
    return [
        StillProblem(problem.text, [f"reference: {problem.reference}", *problem.facts], list(found[index].values()))
        for index, problem in zip(fullest, problems, strict=True)
    ]


def _line(run: Run) -> str:
    hardware = as_mapping(run.manifest.get("hardware"))
    gpus = hardware.get("gpus")
    machine = ", ".join(map(str, gpus)) if isinstance(gpus, list) and gpus else ""
    if not machine and hardware.get("processor"):
        machine = f"{hardware['processor']}, {hardware.get('cores', '?')} cores"
    seed = run.manifest.get("seed")
    parts = [
        str(run.manifest.get("recipe_file") or ""),
        f"seed {seed}" if seed is not None else "",
        machine,
        duration(run.seconds) if run.seconds else "",
        str(run.manifest.get("created") or "")[:10],
    ]
    return " · ".join(part for part in parts if part)


def facts(run: Run) -> list[tuple[str, str]]:
    """What ran, on what, as names and values."""
    manifest = run.manifest
    hardware, versions = as_mapping(manifest.get("hardware")), as_mapping(manifest.get("versions"))
    gpus = hardware.get("gpus")
    found: Mapping[str, Any] = {
        "recipe": manifest.get("recipe_file"),
        "seed": manifest.get("seed"),
        "begun": manifest.get("created"),
        "time in all": duration(run.seconds) if run.seconds else None,
        "processor": hardware.get("processor"),
        "cores": hardware.get("cores"),
        "memory": f"{hardware['memory_gib']} GiB" if hardware.get("memory_gib") else None,
        "GPUs": ", ".join(map(str, gpus)) if isinstance(gpus, list) else None,
        "system": hardware.get("system"),
        **{str(name): value for name, value in versions.items()},
        "code": manifest.get("code"),
    }
    return [(name, str(value)) for name, value in found.items() if value is not None]
