"""The file of samples: everything that was generated, with its verdicts; all figures come from it alone.

One JSON object a line, written as batches finish. A kill leaves at most a half line, which the next writer cuts off.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magistral_recipe.errors import FULL, RunError
from magistral_recipe.jsonlines import lines_text, read_lines

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Sample:
    """One completion of one problem, and what was made of it.

    Attributes:
        problem: the problem's id.
        sample: the sample's number, from 0; with the problem's id and the seed it fixes the sampling noise.
        greedy: it was decoded greedily, apart from the numbered samples.
        prompt: the rendered prompt, as the model saw it.
        completion: what the model wrote, thinking tags included.
        tokens: tokens it wrote, the stop token included.
        truncated: it was cut at the limit.
        answer: the boxed answer that counts, where there is one.
        verdicts: by part (``format``, ``correctness``, ``language``) its ``value`` and ``reason``; a value of ``None``
            where the part doesn't apply or couldn't be decided.
        reward: the sum that RL would have paid, without a length penalty.
        question: the problem's text.
        reference: the reference answer.
        language: the problem's language.
        category: the problem's group.
        difficulty: the problem's difficulty.
        source: where the problem comes from.
        kind: ``math``, ``code`` or ``text``.
        seed: of the sampling noise.
        option_order: of a multiple choice, which option of the source stands at A, at B, …
        found_language: of a problem with a language, the one it was answered in: a code, or ``mixed``, ``undecided``
            (too little text) or ``malformed``.
        grader: the version of the rules that gave the verdicts, see `grader_version`; ``None`` where none was kept.
    """

    problem: str
    sample: int
    greedy: bool
    prompt: str
    completion: str
    tokens: int
    truncated: bool
    answer: str | None = None
    verdicts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reward: float | None = None
    question: str = ""
    reference: Any = None
    language: str | None = None
    category: str | None = None
    difficulty: float | None = None
    source: str | None = None
    kind: str = "math"
    seed: int | None = None
    option_order: list[int] | None = None
    found_language: str | None = None
    grader: str | None = None

    @property
    def key(self) -> tuple[str, int, bool]:
        """What makes the sample one of its kind."""
        return (self.problem, self.sample, self.greedy)

    def value(self, part: str) -> float | None:
        """The value of a part's verdict; ``None`` without one."""
        return self.verdicts.get(part, {}).get("value")

    @property
    def right(self) -> bool | None:
        """Format kept and answer right; ``None`` where the reference or the machine left it undecided."""
        correct = self.value("correctness")
        return None if correct is None else correct == 1 and self.value("format") == 1

    @property
    def same_language(self) -> bool:
        """Thoughts and answer are in the problem's language; undecided counts as no."""
        return self.value("language") == 1


def graders(samples: Iterable[Sample]) -> list[str | None]:
    """List the versions of the rules that graded samples; ``None``, last, for those that were not kept."""
    found = {sample.grader for sample in samples}
    return [*sorted(each for each in found if each is not None), *([None] if None in found else [])]


_NAMES = frozenset(each.name for each in fields(Sample))


def read_samples(path: Path) -> list[Sample]:
    """Read a file of samples; half-written and foreign lines are left out.

    Args:
        path: the file, which may be missing.

    Returns:
        The samples, each once, in the file's order.
    """
    return list({sample.key: sample for sample in read_sample_lines(path)}.values())


def read_sample_lines(path: Path) -> Iterator[Sample]:
    """Read a file of samples one at a time; half-written and foreign lines are left out, a key may come twice.

    Args:
        path: the file, which may be missing.
    """
    for _, row in read_lines(path):
        try:
            sample = Sample(**{name: value for name, value in row.items() if name in _NAMES})
        except TypeError:  # a field is missing
            continue
        if _well_typed(sample):
            yield sample


def _well_typed(sample: Sample) -> bool:
    texts = (sample.problem, sample.prompt, sample.completion, sample.question, sample.kind)
    names = (sample.answer, sample.language, sample.category, sample.source, sample.found_language, sample.grader)
    verdicts = sample.verdicts.values() if isinstance(sample.verdicts, dict) else [None]
    return (
        all(isinstance(text, str) for text in texts)
        and all(name is None or isinstance(name, str) for name in names)
        and all(isinstance(number, int) for number in (sample.sample, sample.tokens))
        and all(isinstance(flag, bool) for flag in (sample.greedy, sample.truncated))
        and all(number is None or isinstance(number, int | float) for number in (sample.difficulty, sample.reward))
        and all(
            isinstance(verdict, dict) and isinstance(verdict.get("value"), int | float | None) for verdict in verdicts
        )
    )


class SampleWriter:
    """Appends samples, or what else is a dataclass, to a file, flushed to the disk a batch at a time.

    Args:
        path: the file; a half line that a kill left at its end is cut off.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        _cut_half_line(path)

    def write(self, samples: Iterable[DataclassInstance]) -> None:
        """Append a batch.

        Raises:
            RunError: when the disk is full; what was written before stays.
        """
        text = lines_text(asdict(sample) for sample in samples)
        # A lone surrogate can come out of a byte-level tokenizer and is no UTF-8.
        data = text.encode("utf-8", errors="replace")
        try:
            with open(self.path, "ab") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            if error.errno in FULL:
                raise RunError(
                    f"the disk is full: {self.path} keeps what is finished; free some space, run again"
                ) from error
            raise


def _cut_half_line(path: Path) -> None:
    if not path.exists():
        return
    with open(path, "rb+") as stream:
        size = stream.seek(0, os.SEEK_END)
        end = size
        while end:
            start = max(0, end - 65_536)
            stream.seek(start)
            newline = stream.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end != size:
            stream.truncate(end)
