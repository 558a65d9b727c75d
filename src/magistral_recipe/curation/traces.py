"""From completions to traces worth imitating: verified, few a problem, hard problems more often (Magistral §5).

A trace is a row whose notes hold its completion; `traces.jsonl` is read by `traces:` of an SFT stage like any file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from magistral_recipe.curation.ratings import each_sample
from magistral_recipe.curation.rows import Dropped, Outcome, Row
from magistral_recipe.data.problems import Problem, Trace, content_hash
from magistral_recipe.evaluation.samples import Sample
from magistral_recipe.evaluation.scoring import Scorer
from magistral_recipe.generation.interface import Completion, Request
from magistral_recipe.writing.thinking import Thinking

COMPLETION, TOKENS, PASS_RATE = "completion", "tokens", "pass_rate"

CUT, FORMAT, WRONG = "cut at the limit", "not in the format", "a wrong answer"
LANGUAGE, OPEN = "not in the problem's language", "nobody could decide it"
SHORT, MANY, TWICE = "short", "more than asked for a problem", "the same trace"

_CHUNK = 256


def row_of_trace(trace: Trace, thinking: Thinking) -> Row:
    """Make a row of a trace; without a reference nothing but its form and language can be verified."""
    decides = trace.tests if trace.kind == "code" else trace.answer
    fields = {name: value for name, value in trace.model_dump().items() if name in Problem.model_fields}
    kind = trace.kind if decides is not None else "text"
    return Row(Problem.model_validate({**fields, "kind": kind}), {COMPLETION: trace.text(thinking)})


def verified(
    rows: Iterable[Row],
    scorer: Scorer,
    least_tokens: int = 0,
    count_tokens: Callable[[str], int] = lambda text: 0,
) -> Iterator[Outcome]:
    """Keep the traces that RL would pay in full.

    Args:
        rows: traces, read in chunks.
        scorer: grades them.
        least_tokens: shorter ones are left out.
        count_tokens: says how many a completion has.

    Yields:
        Every row, in order.
    """
    there = iter(rows)
    while chunk := list(islice(there, _CHUNK)):
        completions = [
            Completion(Request(row.problem.id, number, ""), "", text, (), False, written=count_tokens(text))
            for number, (row, text) in enumerate((row, str(row.notes[COMPLETION])) for row in chunk)
        ]
        samples = scorer.score(completions, [row.problem for row in chunk])
        for row, sample in zip(chunk, samples, strict=True):
            reason = why_not(sample, least_tokens)
            yield row if reason is None else Dropped(row, reason, {"verdict": _reason(sample, reason)})


def why_not(sample: Sample, least_tokens: int = 0) -> str | None:
    """Say why a graded completion is no trace to imitate; ``None`` for one that is."""
    if sample.truncated:
        return CUT
    if sample.value("format") != 1:
        return FORMAT
    if sample.kind != "text" and sample.value("correctness") != 1:
        return OPEN if sample.value("correctness") is None else WRONG
    if sample.value("language") == 0:  # of a problem whose language nobody can tell there is no value
        return LANGUAGE
    return SHORT if sample.tokens < least_tokens else None


def _reason(sample: Sample, why: str) -> str:
    part = {FORMAT: "format", WRONG: "correctness", OPEN: "correctness", LANGUAGE: "language"}.get(why, "")
    return str(sample.verdicts.get(part, {}).get("reason", ""))


def from_samples(
    folder: Path, problems: Mapping[str, Problem], samples: int, least_tokens: int = 0
) -> Iterator[Outcome]:
    """Make traces of the samples that `rate_problems` left; of those that are none the text stays where it is.

    Args:
        folder: where they are.
        problems: id → problem; samples of others are passed over.
        samples: samples a problem that count; the files may hold more.
        least_tokens: shorter ones are left out.

    Yields:
        Every sample as a row, with its problem's pass rate.
    """
    right, of = Counter[str](), Counter[str]()
    for sample in _wanted(folder, problems, samples):
        of[sample.problem] += sample.right is not None
        right[sample.problem] += sample.right is True
    for sample in _wanted(folder, problems, samples):
        rate = right[sample.problem] / of[sample.problem] if of[sample.problem] else None
        row = Row(problems[sample.problem], {"sample": sample.sample, TOKENS: sample.tokens, PASS_RATE: rate})
        reason = why_not(sample, least_tokens)
        if reason is None:
            yield row.noted(**{COMPLETION: sample.completion})
        else:
            yield Dropped(row, reason, {"verdict": _reason(sample, reason)})


def _wanted(folder: Path, problems: Mapping[str, Problem], samples: int) -> Iterator[Sample]:
    seen: set[tuple[str, int, bool]] = set()
    for sample in each_sample(folder):
        if sample.problem in problems and sample.sample < samples and sample.key not in seen:
            seen.add(sample.key)
            yield sample


def few_a_problem(rows: Sequence[Row], per_problem: int, seed: int) -> Iterator[Outcome]:
    """Keep at most so many traces of each problem, drawn by a seed; the same trace counts once.

    Args:
        rows: traces, read twice.
        per_problem: at most.
        seed: of the draw.

    Yields:
        Every row, in order.
    """
    lots: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for number, row in enumerate(rows):
        lot = content_hash(seed, row.problem.problem, row.notes[COMPLETION])
        lots[content_hash(row.problem.problem)].append((lot, number))
    chosen, twice = set[int](), set[int]()
    for group in lots.values():
        texts: dict[str, int] = {}
        for lot, number in group:
            if texts.setdefault(lot, number) != number:
                twice.add(number)
        chosen.update(number for _, number in sorted(texts.items())[:per_problem])
    for number, row in enumerate(rows):
        if number in chosen:
            yield row
        else:
            yield Dropped(row, TWICE if number in twice else MANY)


def upsampled(rows: Iterable[Row], hard: float, times: int) -> Iterator[Outcome]:
    """Repeat the traces of problems that are seldom solved (Magistral §5).

    Args:
        rows: traces.
        hard: pass rates up to this are low.
        times: how often such a trace stands in the set.

    Yields:
        The rows, in order, repeated ones one after the other.
    """
    for row in rows:
        rate = row.notes.get(PASS_RATE)
        for _ in range(times if isinstance(rate, int | float) and rate <= hard else 1):
            yield row


def mixed(rows: Sequence[Row], general: Sequence[Row]) -> Iterator[Outcome]:
    """Put general instruction data among the traces, evenly."""
    yield from rows
    yield from general


def general_count(traces: int, share: float) -> int:
    """How many general rows make up a share of the whole: n with n / (traces + n) = share."""
    return round(traces * share / (1 - share))
