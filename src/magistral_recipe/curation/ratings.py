"""How often a model solves each problem, and what its samples agree on (Magistral §4).

Samples are drawn, graded and kept as an evaluation's are, in the same file and by the same processes, so that a filter
that was killed in its ninth hour goes on where it stood. What is held in memory is a tally a problem, never the
completions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from magistral_recipe.curation.contradiction import contradicts
from magistral_recipe.curation.rows import Dropped, Outcome, Row
from magistral_recipe.data.problems import Problem
from magistral_recipe.evaluation.evaluate import drawn_samples
from magistral_recipe.evaluation.samples import Sample, SampleWriter, read_sample_lines
from magistral_recipe.evaluation.settings import EvaluationSettings
from magistral_recipe.evaluation.shards import Shard, only_writer, shard_files
from magistral_recipe.evaluation.votes import group_answers
from magistral_recipe.generation.interface import Generator
from magistral_recipe.layout import SAMPLES
from magistral_recipe.writing.chat_format import ChatFormat

NEVER, ALWAYS, UNDECIDED = "never solved", "nearly always solved", "no sample could be decided"
WRONG_LABEL = "most samples agree on another answer"

_AT_ONCE = 4096
"""Problems whose requests are made at once: half a million problems of sixteen samples need not be."""


@dataclass
class Tally:
    """What the samples of one problem came to.

    Attributes:
        samples: how many there are.
        right: how many are right, format included, as RL would pay them.
        undecided: how many the machine or the reference left open.
        answers: final answer → how many samples gave it.
        correct: the answers that are right.
    """

    samples: int = 0
    right: int = 0
    undecided: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    correct: set[str] = field(default_factory=set)

    def add(self, sample: Sample) -> None:
        """Count a sample."""
        self.samples += 1
        self.right += sample.right is True
        self.undecided += sample.right is None
        if sample.answer is not None:
            self.answers[sample.answer] += 1
            if sample.value("correctness") == 1:
                self.correct.add(sample.answer)

    @property
    def rate(self) -> float | None:
        """Share of the decided samples that are right; ``None`` without any."""
        decided = self.samples - self.undecided
        return self.right / decided if decided else None

    def votes(self) -> list[tuple[str, int, bool]]:
        """Answers that mean the same together: (the most frequent spelling, samples, right), most votes first."""
        spellings = [answer for answer, _ in self.answers.most_common()]
        groups = group_answers([spellings])[0]
        found: dict[int, list[str]] = {}
        for spelling, group in zip(spellings, groups, strict=True):
            if group is not None:
                found.setdefault(group, []).append(spelling)
        counted = [
            (members[0], sum(self.answers[each] for each in members), any(each in self.correct for each in members))
            for members in found.values()
        ]
        return sorted(counted, key=lambda vote: -vote[1])


def rate_problems(
    problems: Sequence[Problem],
    generator: Generator,
    chat: ChatFormat,
    settings: EvaluationSettings,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Tally]:
    """Draw samples of every problem and count them; what was drawn before is not drawn again.

    Under Accelerate's launcher every process must call it; each takes its share of the samples.

    Args:
        problems: ids unique.
        generator: what generates.
        chat: how problems are put to it.
        settings: what is drawn.
        folder: where the samples are kept.
        progress: called with completions done and in all.

    Returns:
        Problem's id → its tally; of all samples, in every process.
    """
    by_id = {problem.id: problem for problem in problems}
    total = len(by_id) * settings.samples
    shard = Shard.here()
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder, shard):
        shard.wait()
        done = {sample.key for sample in each_sample(folder)}
        shard.wait()  # nobody appends before all have read
        writer, new = SampleWriter(shard.samples_file(folder)), 0
        for some in _batched(by_id, _AT_ONCE):
            for batch in drawn_samples(generator, some, chat, settings, done, shard):
                writer.write(batch)
                new += len(batch)
                if progress is not None:
                    progress(min(total, len(done) + new * shard.size), total)
        shard.wait()
    tallies: dict[str, Tally] = {id_: Tally() for id_ in by_id}
    counted: set[tuple[str, int, bool]] = set()
    for sample in each_sample(folder):
        if sample.problem in tallies and sample.key not in counted and sample.sample < settings.samples:
            counted.add(sample.key)
            tallies[sample.problem].add(sample)
    return tallies


def _batched(problems: dict[str, Problem], size: int) -> Iterator[dict[str, Problem]]:
    items = iter(problems.items())
    while some := dict(islice(items, size)):
        yield some


def each_sample(folder: Path) -> Iterator[Sample]:
    """Read the samples that all processes left, one after the other; one may come twice."""
    for file in (folder / SAMPLES, *shard_files(folder)):
        yield from read_sample_lines(file)


def drop_wrong_labels(rows: Iterable[Row], tallies: dict[str, Tally], *, agreement: float = 0.75) -> Iterator[Outcome]:
    """Set problems aside whose samples agree on an answer that isn't the reference (Magistral §4).

    An answer that a reward would not pay, but that may be the reference in another form (rounded, in words, the letter
    of an option), is no such; nor is one that nobody could compare with it.

    Args:
        rows: read one after the other.
        tallies: of `rate_problems`.
        agreement: share of all samples of a problem that must give one wrong answer, above 0.5 to 1.

    Yields:
        Every row, in order; one that is dropped has the votes beside it, for a person.
    """
    for row in rows:
        tally = tallies.get(row.problem.id)
        votes = tally.votes() if tally is not None and _may_agree(tally, agreement) else []
        if tally is None or not _speak_against(row.problem, votes, agreement * tally.samples):
            yield row
            continue
        shown = [{"answer": answer, "samples": count, "right": right} for answer, count, right in votes[:5]]
        yield Dropped(row, WRONG_LABEL, {"votes": shown, "samples": tally.samples})


def _speak_against(problem: Problem, votes: Sequence[tuple[str, int, bool]], least: float) -> bool:
    """Whether enough votes are for one answer, and that is another one than the reference in whatever form."""
    if not votes:
        return False
    answer, count, right = votes[0]
    return not right and count >= least and contradicts(problem, answer)


def _may_agree(tally: Tally, agreement: float) -> bool:
    """Whether there are enough wrong answers for it at all: grouping them may ask SymPy."""
    wrong = sum(count for answer, count in tally.answers.items() if answer not in tally.correct)
    return bool(tally.samples) and wrong >= agreement * tally.samples


def drop_by_difficulty(
    rows: Iterable[Row], tallies: dict[str, Tally], *, above: float | None = 0.0, at_most: float = 0.9
) -> Iterator[Outcome]:
    """Keep what is neither too hard nor too easy to learn from, and write down how hard it is (Magistral §4).

    Args:
        rows: read one after the other.
        tallies: of `rate_problems`.
        above: pass rates that are not above this are dropped; 0 drops what no sample solved, ``None`` nothing.
        at_most: pass rates above this are dropped; of 16 samples 0.9 lets 14 pass.

    Yields:
        Every row, in order; a kept one has `difficulty` = 1 − pass rate, the source's own in `source_difficulty`.
    """
    for row in rows:
        tally = tallies.get(row.problem.id)
        rate = tally.rate if tally is not None else None
        if tally is None or rate is None:
            yield Dropped(row, UNDECIDED)
        elif above is not None and rate <= above:
            yield Dropped(row, NEVER, {"right": tally.right, "samples": tally.samples})
        elif rate > at_most:
            yield Dropped(row, ALWAYS, {"right": tally.right, "samples": tally.samples})
        else:
            own = row.notes.get("source_difficulty", row.problem.difficulty)
            noted = row.noted(pass_rate=round(rate, 4), source_difficulty=own)
            yield noted.changed(difficulty=round(1 - rate, 4))
