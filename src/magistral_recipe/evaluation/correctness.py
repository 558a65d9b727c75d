"""What evaluation counts as right: the rewards' verifiers, with all tests, and what only benchmarks have.

RL draws twenty tests a program to be quick; a benchmark's score needs all of them. A program under assertions
(HumanEval, MBPP) is followed by them and must then print a word that is drawn anew each time; as in the published
programs, assertions run in one process with what they judge, so a program that looks for the word can find it.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from typing import Any

from magistral_recipe.rewards.base import Batch, Grade, Reason, Reward
from magistral_recipe.rewards.format import FormatReward
from magistral_recipe.rewards.math import MathCorrectness
from magistral_recipe.verifiers.instructions import Instruction, follows
from magistral_recipe.writing.fences import first_block
from magistral_recipe.writing.thinking import Thinking

ALL_TESTS = 1_000_000
TEST_SECONDS = 6.0
"""CPU seconds a test, as LiveCodeBench has it."""
TEST_MEMORY = 1024
"""MiB of address space a program."""

_FUTURE = re.compile(r"^from __future__ import [^\n]*", re.MULTILINE)

_OTHER_KIND = Grade(None, Reason.OTHER_KIND)

_Around = tuple[str | None, str | None]
"""Statements before a program, and assertions behind it."""

# What the program itself prints must not spoil the comparison. It is imported, as it were: its own trial run under
# `if __name__ == "__main__"`, which may well end the process, is none of its functions.
_HEAD = """import sys as _sys, io as _io
_out, _sys.stdout = _sys.stdout, _io.StringIO()
__name__ = "solution"
_sys.modules[__name__] = _sys.modules["__main__"]
"""


class BenchmarkCorrectness(Reward):
    """1.0 for a right answer, program or response, else 0.0; ``None`` where nothing decides.

    Columns beside the rewards' own: ``before`` and ``asserts`` (Python that runs before and behind the program), and
    ``instructions``.

    Args:
        thinking: the tags between thoughts and answer; ``None`` looks at the whole text, and of a mathematical one at
            what begins with its last box.
    """

    default_name = "benchmark_correctness"
    part = "correctness"
    decides = True

    def __init__(self, thinking: Thinking | None) -> None:
        super().__init__(thinking=thinking)
        self.format = FormatReward(thinking)
        self.math = MathCorrectness(None)
        self._code: Reward | None = None

    def grade(self, batch: Batch) -> list[Grade]:
        """Grade each completion by what its problem has."""
        # As in RL's sum: what doesn't keep the format has no answer, and costs no verification.
        formats = self.format.grade(batch)
        texts = batch.texts(self.thinking)
        answers = [self._answer(text) if form.value else None for text, form in zip(texts, formats, strict=True)]
        kinds = batch.kinds(default="math")
        before = batch.optional_column("before") or [None] * len(batch)
        asserts = batch.optional_column("asserts") or [None] * len(batch)
        instructions = batch.optional_column("instructions") or [None] * len(batch)
        grades = [
            _instructed(answer, wanted) if wanted else _OTHER_KIND
            for answer, wanted in zip(answers, instructions, strict=True)
        ]
        for kind, grade in (("math", self._grade_math), ("code", self._grade_code)):
            rows = [row for row, each in enumerate(kinds) if each == kind]
            if rows:
                part = _taken(batch, [answers[row] or "" for row in rows], rows)
                graded = grade(part, [(before[row], asserts[row]) for row in rows])
                for row, one in zip(rows, graded, strict=True):
                    unformatted = answers[row] is None and one.value is not None
                    grades[row] = Grade(0.0, Reason.MALFORMED) if unformatted else one
        return grades

    def _answer(self, text: str) -> str | None:
        return text if self.thinking is None else self.thinking.split(text).answer

    def _grade_math(self, batch: Batch, _: Sequence[_Around]) -> list[Grade]:
        if self.thinking is None:
            # Without tags the thoughts can't be told apart, and boxes in them are none of the answer's.
            batch = batch.with_completions([text[max(0, text.rfind("\\boxed")) :] for text in batch.completions])
        return self.math.grade(batch)

    def _grade_code(self, batch: Batch, around: Sequence[_Around]) -> list[Grade]:
        if self._code is None:
            from magistral_recipe.rewards.code import CodeCorrectness

            self._code = CodeCorrectness(None, timeout=TEST_SECONDS, memory_mb=TEST_MEMORY, max_tests=ALL_TESTS)
        if any(asserts for _, asserts in around):
            tests, texts = list(batch.column("tests")), list(batch.completions)
            for row, (before, asserts) in enumerate(around):
                if asserts:
                    texts[row], tests[row] = _asserting(texts[row], before or "", asserts)
            batch = batch.with_completions(texts).with_columns(tests=tests)
        return self._code.grade(batch)


def _taken(batch: Batch, answers: list[str], rows: list[int]) -> Batch:
    columns: dict[str, list[Any]] = {}
    for name in batch.columns:
        values = batch.column(name)
        columns[name] = [values[row] for row in rows]
    return Batch(answers, columns=columns)


def _asserting(answer: str, before: str, asserts: str) -> tuple[str, str]:
    """Put statements before the answer's program and assertions behind it: (answer, tests)."""
    word = secrets.token_hex(16)
    tests = json.dumps({"type": "stdio", "cases": [{"input": "", "output": word}]})
    program = first_block(answer, "python")
    if program is None:
        return answer, tests
    future = "\n".join(_FUTURE.findall(program))  # must stay in front
    ending = f"_sys.stdout = _out\nprint({word!r})"
    fence = "`" * 12  # longer than any in the program
    parts = (future, _HEAD, before, _FUTURE.sub("", program), asserts, ending)
    return "\n".join([f"{fence}python", *parts, fence]), tests


def _instructed(answer: str | None, instructions: Sequence[Any]) -> Grade:
    if answer is None:
        return Grade(0.0, Reason.MALFORMED)
    wanted = [each if isinstance(each, Instruction) else Instruction(**each) for each in instructions]
    try:
        kept = sum(follows(answer, each) for each in wanted)
    except ValueError:
        return Grade(None, Reason.UNREADABLE_REFERENCE)
    if kept == len(wanted):
        return Grade(1.0, Reason.RIGHT)
    return Grade(0.0, Reason.WRONG)
