"""Which completions the page shows, and their texts: whole problems and whole groups, within a budget of characters.

Problems are followed through the evaluated models, those first whose fate changed; groups of RL are taken evenly over
the steps, and a group brings the others of its problem along. The rest stays in the files, whose names the page gives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from magistral_recipe.jsonlines import Record, read_at
from magistral_recipe.report.collect import Evaluation, Run, Stage
from magistral_recipe.report.data import Completion, GradedPart, Occasion, PageData, Problem
from magistral_recipe.report.seen import Seen, problem_of, sample_of
from magistral_recipe.report.values import as_float, as_mapping, as_name, as_text
from magistral_recipe.rewards.base import Reason
from magistral_recipe.rewards.facts import owner_of_reasons
from magistral_recipe.writing.thinking import Split

Item = TypeVar("Item")

BUDGET = 2_600_000
"""Characters of completions on one page; with everything else it stays below 5 MB."""

_LONGEST = 8_000
_LONGEST_REASON = 300
_OVERHEAD = 220
_PER_MODEL = 5
_RELATED = 8


@dataclass
class _Source:
    """One file of completions: an occasion of its own, or one a step."""

    file: Path
    stage: Stage
    evaluation: Evaluation | None
    seen: list[Seen]
    run: Run
    prefix: str


def fill(data: PageData, runs: Sequence[tuple[str, Run]], budget: int = BUDGET) -> None:
    """Put problems, occasions and completions on the page.

    Args:
        data: the page's.
        runs: the runs, each with what its occasions' names start with (nothing for a single run).
        budget: characters of completions in all.
    """
    sources = [source for prefix, run in runs for source in _sources(prefix, run)]
    data.total = sum(len(source.seen) for source in sources)
    evaluations = [source for source in sources if source.evaluation is not None]
    rollouts = [source for source in sources if source.evaluation is None]
    share = budget if not rollouts else budget * 3 // 5
    # What changed: between the last two models of one run, or between the last models of the first and last run.
    ends = [[s for s in evaluations if s.prefix == prefix][-1:] for prefix in (runs[0][0], runs[-1][0])]
    compared = evaluations[-2:] if len(runs) == 1 else [source for end in ends for source in end]
    chosen, left = _choose_problems(evaluations, share, compared)
    for source in rollouts:
        chosen[id(source)], _ = _choose_groups(source, (budget - share + left) // len(rollouts))
    writer = _Writer(data)
    for source in sources:
        writer.add(source, chosen.get(id(source), []))


def _sources(prefix: str, run: Run) -> Iterator[_Source]:
    """The files in the order in which a reader follows a problem: base, SFT, RL's batches, RL."""
    stage = run.evaluated
    evaluations = stage.evaluations if stage is not None else []
    trained = [each for each in run.stages if each.rollouts]
    for evaluation in evaluations:
        for rl in [each for each in trained if each.name == evaluation.label]:
            trained.remove(rl)
            yield _Source(rl.rollouts_path, rl, None, rl.rollouts, run, prefix)
        if stage is not None and evaluation.samples:
            yield _Source(evaluation.path, stage, evaluation, evaluation.samples, run, prefix)
    for rl in trained:
        yield _Source(rl.rollouts_path, rl, None, rl.rollouts, run, prefix)


# ------------------------------------------------------------------------------------------- what is shown


def _choose_problems(
    sources: Sequence[_Source], budget: int, compared: Sequence[_Source]
) -> tuple[dict[int, list[Seen]], int]:
    """Whole problems, with the first samples of every model, until the budget is used up; what is left of it."""
    found = {id(source): _by_problem(source.seen) for source in sources}
    costs = {id(source): _mean_cost(source) for source in sources}
    chosen: dict[int, list[Seen]] = {id(source): [] for source in sources}
    left = budget
    models = [found[id(source)] for source in (compared or sources)]
    problems = dict.fromkeys(problem for source in reversed(sources) for problem in found[id(source)])
    for problem in _by_fate(problems, models):
        rows = {id(source): found[id(source)].get(problem, [])[:_PER_MODEL] for source in sources}
        cost = sum(len(samples) * costs[key] for key, samples in rows.items())
        if cost > left:
            break
        left -= cost
        for key, samples in rows.items():
            chosen[key] += samples
    return chosen, left


def _by_problem(samples: Iterable[Seen]) -> dict[str, list[Seen]]:
    """Samples by problem, the greedy one first."""
    found: dict[str, list[Seen]] = {}
    for seen in sorted(samples, key=lambda seen: (not seen.greedy, seen.number)):
        found.setdefault(seen.problem, []).append(seen)
    return found


def _by_fate(problems: Iterable[str], models: Sequence[dict[str, list[Seen]]]) -> list[str]:
    """All problems: gained, still wrong, lost, right throughout, by turns, so that each is seen where it occurs."""
    if not models:
        return []
    first, last = models[0], models[-1]
    kinds: dict[tuple[bool, bool], list[str]] = {}
    for problem in sorted(problems, key=_shuffled):
        kinds.setdefault((_mostly_right(first.get(problem)), _mostly_right(last.get(problem))), []).append(problem)
    order = [kinds.get(kind, []) for kind in ((False, True), (False, False), (True, False), (True, True))]
    longest = max(len(kind) for kind in order)
    return [kind[turn] for turn in range(longest) for kind in order if turn < len(kind)]


def _mostly_right(samples: list[Seen] | None) -> bool:
    decided = [seen.right for seen in samples or [] if seen.right is not None]
    return bool(decided) and 2 * sum(decided) >= len(decided)


def _shuffled(problem: str) -> str:
    """An order that is always the same and mixes what names sort together, such as languages."""
    return hashlib.sha256(problem.encode("utf-8", errors="replace")).hexdigest()


def _choose_groups(source: _Source, budget: int) -> tuple[list[Seen], int]:
    """Whole groups, evenly over the steps; a group brings other groups of its problem along."""
    groups: dict[tuple[int, int], list[Seen]] = {}
    for seen in source.seen:
        groups.setdefault((seen.step or 0, seen.group), []).append(seen)
    by_problem: dict[str, list[tuple[int, int]]] = {}
    by_step: dict[int, list[tuple[int, int]]] = {}
    for key, members in groups.items():
        by_problem.setdefault(members[0].problem, []).append(key)
        by_step.setdefault(key[0], []).append(key)
    cost, chosen, left = _mean_cost(source), dict[tuple[int, int], None](), budget
    steps = [by_step[step] for step in _spread(sorted(by_step))]
    for turn in range(max((len(step) for step in steps), default=0)):
        for step in [step for step in steps if turn < len(step)]:
            related = by_problem[groups[step[turn]][0].problem]
            for key in [step[turn], *_spread(related)[:_RELATED]]:
                if key not in chosen and len(groups[key]) * cost <= left:
                    chosen[key] = None
                    left -= len(groups[key]) * cost
    return [seen for key in sorted(chosen) for seen in groups[key]], left


def _spread(items: Sequence[Item]) -> list[Item]:
    """First, last, middle, and on by halves: whatever prefix is kept covers the whole evenly."""
    if len(items) < 3:
        return list(items)
    order, spans = [0, len(items) - 1], [(0, len(items) - 1)]
    while spans:
        low, high = spans.pop(0)
        middle = (low + high) // 2
        if middle not in (low, high):
            order.append(middle)
            spans += [(low, middle), (middle, high)]
    return [items[index] for index in order]


def _mean_cost(source: _Source) -> int:
    """Characters of a completion on the page, by a few of the file."""
    some = source.seen[:: max(1, len(source.seen) // 64)]
    rows = read_at(source.file, [seen.offset for seen in some])
    sizes = [min(len(as_text(row.get("completion"))), _LONGEST) for _, row in rows]
    return _OVERHEAD + (sum(sizes) // len(sizes) if sizes else 0)


# ------------------------------------------------------------------------------------------------ the page


class _Writer:
    """Turns lines of the files into the page's problems, occasions and completions."""

    def __init__(self, data: PageData) -> None:
        self._data = data
        self._problems: dict[str, int] = {}
        self._occasions: dict[tuple[str, int | None], int] = {}

    def add(self, source: _Source, chosen: Sequence[Seen]) -> None:
        """Add what was chosen of a file."""
        seen_at = {seen.offset: seen for seen in chosen}
        rows = dict(read_at(source.file, seen_at))
        for seen in chosen:
            row = rows.get(seen.offset)
            if row is not None and isinstance(row.get("completion"), str):
                self._data.completions.append(self._completion(source, seen, row))

    def _completion(self, source: _Source, seen: Seen, row: Record) -> Completion:
        split = source.run.thinking.split(row["completion"])
        return Completion(
            problem=self._problem(source, row),
            occasion=self._occasion(source, seen.step),
            group=seen.group,
            number=seen.number,
            greedy=seen.greedy,
            right=seen.right,
            reward=_short(seen.reward),
            advantage=_short(seen.advantage),
            tokens=seen.tokens,
            truncated=seen.truncated,
            mixed=seen.mixed is True and not _language_unread(row, split),
            suspect=seen.suspect,
            thoughts=_shortened(split.thoughts.strip()),
            answer=None if split.answer is None else _shortened(split.answer.strip()),
            parts=_parts(row),
        )

    def _problem(self, source: _Source, row: Record) -> int:
        if source.evaluation is not None:
            sample = sample_of(row)
            key, question = (sample.problem, sample.question or sample.problem) if sample else ("", "")
            reference = row.get("reference")
        else:
            key, reference = problem_of(row), row.get("answer")
            question = as_text(row.get("problem")) or key
        if key not in self._problems:
            self._problems[key] = len(self._data.problems)
            difficulty = as_float(row.get("difficulty"))
            facts = [fact for field in ("language", "category", "source") if (fact := as_name(row.get(field)))]
            facts += [f"difficulty {difficulty:g}"] if difficulty is not None else []
            self._data.problems.append(Problem(key, _shortened(question), _reference(reference), facts))
        return self._problems[key]

    def _occasion(self, source: _Source, step: int | None) -> int:
        key = (str(source.file), step)
        if key not in self._occasions:
            self._occasions[key] = len(self._data.occasions)
            kind: Literal["evaluation", "rollouts"] = "evaluation"
            if source.evaluation is not None:
                title, short = source.evaluation.name, source.evaluation.name.removeprefix("after ")
            else:
                kind, title, short = "rollouts", f"{source.stage.title}, step {step}", f"step {step}"
            file = source.file.relative_to(source.run.folder).as_posix()
            file = f"{source.prefix}/{file}" if source.prefix else file
            lead = f"{source.prefix}: " if source.prefix else ""
            self._data.occasions.append(Occasion(lead + title, lead + short, kind, step, file))
        return self._occasions[key]


def _language_unread(row: Record, split: Split) -> bool:
    """Whether its language could not be told: too little text, or no parts to look at, which earns 0 as well."""
    verdicts = as_mapping(row.get("verdicts"))
    told = as_mapping(verdicts.get("language"))
    if verdicts and as_float(told.get("value")) is None:
        return True
    reasons = [told.get("reason")] if verdicts else as_mapping(row.get("parts")).values()
    return not split.well_formed and any(reason in (Reason.MALFORMED, Reason.CUT) for reason in reasons)


def _parts(row: Record) -> list[GradedPart]:
    """Each part of the reward with its value and reason, from either kind of file."""
    verdicts = as_mapping(row.get("verdicts"))
    if verdicts:
        told = [(part, as_mapping(verdict)) for part, verdict in verdicts.items()]
        return [GradedPart(str(part), as_float(v.get("value")), _words(v.get("reason"))) for part, v in told]
    logged, rewards = as_mapping(row.get("parts")), as_mapping(row.get("rewards"))
    owners = {key: owner_of_reasons(key) for key in logged}
    reasons = {owner: _words(logged[key]) for key, owner in owners.items() if owner is not None}
    columns = {key: value for key, value in logged.items() if owners[key] is None}
    short = [_last(key) for key in columns]
    shown: list[GradedPart] = []
    for key, value in [*columns.items(), *rewards.items()]:
        # Two rewards may each have a part of one name; a column of words is its own reason.
        title = _last(key) if key in columns and short.count(_last(key)) == 1 else key
        reason = reasons.pop(key, "") or (value[:_LONGEST_REASON] if isinstance(value, str) else "")
        shown.append(GradedPart(title, _short(as_float(value)), reason))
    return shown + [GradedPart(owner or "reason", None, reason) for owner, reason in reasons.items()]


def _last(key: str) -> str:
    return key.rpartition("/")[2]


def _words(reason: object) -> str:
    return as_text(reason)[:_LONGEST_REASON].replace("_", " ")


def _reference(reference: object) -> str:
    if isinstance(reference, list):
        return _shortened(" or ".join(str(each) for each in reference))
    return "" if reference is None else _shortened(str(reference))


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _shortened(content: str) -> str:
    left_out = len(content) - _LONGEST
    if left_out <= 0:
        return content
    half = _LONGEST // 2
    return f"{content[:half]}\n[… {left_out} characters …]\n{content[-half:]}"
