"""Correctness of programs: the first block of the answer part, run on the problem's tests (Magistral §2.2.2).

Differs from the paper in two points: limits count CPU time, with a wall clock behind them, so that a busy
machine turns no right program wrong; and everything runs in a sandbox which expected outputs never enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from magistral_recipe.rewards.base import Batch, Grade, Reason, Reward
from magistral_recipe.rewards.decoding import Tokenizer
from magistral_recipe.verifiers.programs.runner import LANGUAGES, ProgramVerdict, Result, Runner, Submission
from magistral_recipe.verifiers.programs.testcases import Tests, parse_tests
from magistral_recipe.verifiers.sandbox.terms import MEBIBYTE, SandboxMode, check_mode
from magistral_recipe.writing.fences import canonical_language, first_block, read_blocks
from magistral_recipe.writing.thinking import Thinking

_DEFAULT_THINKING = Thinking()


@dataclass(frozen=True)
class _Row:
    """What one row asks for."""

    tests: Tests
    language: str | None
    seconds: float
    memory: int
    tolerance: float | None


class CodeCorrectness(Reward):
    r"""1.0 for a program that passes every test drawn, else 0.0 (Magistral §2.2.2).

    The program is the first closed block of the answer part in the row's language, Python or C++ (compiled
    as C++20 with a 10 s limit). At most `max_tests` tests are drawn, the same for a whole group, others at
    another step. Columns: ``tests`` (a JSON string, or the same as objects), ``programming_language``
    (where missing, the first block in a language that can be run), and per row ``time_limit`` (seconds),
    ``memory_mb`` and ``tolerance``. Tests are ``{"type": "stdio", "cases": [{"input": …, "output": …}]}`` or
    ``{"type": "call", "function": …, "method_of": …, "cases": [{"args": […], "kwargs": {…}, "expected": …}]}``
    (Python only), with ``"compare": "livecodebench"`` beside them where that benchmark's rules are to hold in
    place of the exact ones (`verifiers.programs.outputs`). A program that ends with an error fails even if
    its output is right. ``None`` where a row has no tests or the sandbox failed.

    Args:
        thinking: the tags; ``None`` takes the whole text for the answer part.
        timeout: CPU seconds for each test; the wall clock behind it stands at three times that.
        memory_mb: address space of each process, in MiB, beside what the interpreter itself takes.
        max_tests: how many tests to run at most.
        partial: give the share of tests passed instead (the paper found that to end lower, §7.4).
        seed: of the draw.
        sandbox: ``bwrap``; ``landlock``, weaker, where namespaces are forbidden; ``unsafe``, none.
        packages: Python packages of this environment that programs may import.
        sockets: whether programs may make sockets. They lead nowhere, but what they hold is charged to a program only
            where it has a control group.
        name: how logs call this instance.
        tokenizer: the model's, where the tags are special tokens that a trainer drops from the text: completions are
            then read from `completion_ids`.
        strict: make values of columns that mean something else (a ``kind`` that is none, tests that are empty, a limit
            that is no number) errors.

    Raises:
        ValueError: for limits that are not positive or an unknown sandbox.

    Example:
        >>> tests = '{"type": "stdio", "cases": [{"input": "2 3", "output": "5"}]}'
        >>> program = "<think>add</think>\n```python\nprint(sum(map(int, input().split())))\n```"
        >>> CodeCorrectness()(completions=[program], tests=[tests])  # doctest: +SKIP
        [1.0]
    """

    default_name = "code_correctness"
    part = "correctness"
    decides = True
    pays_perfect = True

    def __init__(
        self,
        thinking: Thinking | None = _DEFAULT_THINKING,
        timeout: float = 4.0,
        memory_mb: int = 300,
        max_tests: int = 20,
        partial: bool = False,
        seed: int = 0,
        sandbox: SandboxMode = "bwrap",
        packages: Sequence[str] = ("numpy",),
        name: str | None = None,
        tokenizer: Tokenizer | None = None,
        strict: bool = False,
        sockets: bool = False,
    ) -> None:
        super().__init__(name, thinking, tokenizer, strict)
        for key, value in (("timeout", timeout), ("memory_mb", memory_mb), ("max_tests", max_tests)):
            _positive(value, key)
        self.timeout = timeout
        self.memory_mb = memory_mb
        self.max_tests = max_tests
        self.partial = partial
        self.seed = seed
        self.runner = Runner(check_mode(sandbox), tuple(packages), sockets=sockets)

    def grade(self, batch: Batch) -> list[Grade]:
        """Grade each completion; see the class for the columns.

        Raises:
            ValueError: for malformed columns, naming column, row and key.
            SandboxError: where no program can be run on this machine at all.
        """
        step = int(getattr(batch.trainer_state, "global_step", 0) or 0)
        texts = batch.texts(self.thinking)
        grades: list[Grade | None] = []
        submissions = list[Submission]()
        for text, row in zip(texts, self._rows(batch), strict=True):
            found = row if isinstance(row, Grade) else self._submission(text, row, step)
            grades.append(found if isinstance(found, Grade) else None)
            if isinstance(found, Submission):
                submissions.append(found)
        results = iter(self._run(submissions))
        return [grade if grade is not None else self._grade_result(next(results)) for grade in grades]

    def _run(self, submissions: Sequence[Submission]) -> list[Result]:
        if not submissions:
            return []
        from magistral_recipe.verifiers.sandbox.probe import require_sandbox

        require_sandbox(self.runner.mode)
        return self.runner.run(submissions)

    def _rows(self, batch: Batch) -> list[_Row | Grade]:
        tests = batch.tests() or batch.column("tests")
        kinds = batch.kinds(default="code")
        languages = batch.optional_column("programming_language") or [None] * len(batch)
        columns = [languages, *(batch.numbers(name) for name in ("time_limit", "memory_mb", "tolerance"))]
        rows = list[_Row | Grade]()
        for at, (kind, value, language, seconds, memory, tolerance) in enumerate(
            zip(kinds, tests, *columns, strict=True)
        ):
            if kind != "code":
                rows.append(Grade(None, Reason.OTHER_KIND))
            elif value is None:
                rows.append(Grade(None, Reason.UNREADABLE_REFERENCE))
            else:
                parsed = parse_tests(value, f"tests[{at}]")
                rows.append(
                    _Row(
                        parsed,
                        _language(language, parsed, f"programming_language[{at}]"),
                        _positive(self.timeout if seconds is None else seconds, f"time_limit[{at}]"),
                        int(_positive(self.memory_mb if memory is None else memory, f"memory_mb[{at}]") * MEBIBYTE),
                        _tolerance(tolerance, parsed, f"tolerance[{at}]"),
                    )
                )
        return rows

    def _submission(self, text: str, row: _Row, step: int) -> Submission | Grade:
        answer = text if self.thinking is None else self.thinking.split(text).answer
        if answer is None:
            return Grade(0.0, Reason.MALFORMED)
        source, language = _program(answer, row)
        if source is None:
            return Grade(0.0, Reason.NO_CODE)
        return Submission(
            source=source,
            language=language,
            tests=row.tests.draw(self.max_tests, self.seed, step),
            seconds=row.seconds,
            memory=row.memory,
            tolerance=row.tolerance,
            every_test=self.partial,
        )

    def _grade_result(self, result: Result) -> Grade:
        if result.verdict is ProgramVerdict.SANDBOX_FAILED:
            return Grade(None, Reason.SANDBOX_FAILED)
        if self.partial and 0 < result.passed < result.total:
            return Grade(result.passed / result.total, Reason.PARTLY_RIGHT)
        return Grade(float(result.verdict is ProgramVerdict.RIGHT), Reason(result.verdict.value))


def _program(answer: str, row: _Row) -> tuple[str | None, str]:
    """Return the program of an answer and its language."""
    if row.language is not None:
        return first_block(answer, row.language), row.language
    found = next((block for block in read_blocks(answer) if block.language in LANGUAGES), None)
    return (None, "python") if found is None else (found.code, found.language)


def _language(value: Any, tests: Tests, where: str) -> str | None:
    """Return a row's language in its canonical spelling; ``None`` where any will do."""
    if value is None:
        return "python" if tests.type == "call" else None
    language = canonical_language(value) if isinstance(value, str) else str(value)
    if language not in LANGUAGES:
        raise ValueError(f"{where}: {value!r} cannot be run; languages are {', '.join(LANGUAGES)}")
    if tests.type == "call" and language != "python":
        raise ValueError(f"{where}: tests that call a function need python, not {value!r}")
    return language


def _tolerance(value: Any, tests: Tests, where: str) -> float | None:
    if value is None:
        return None
    if tests.compare != "exact":
        raise ValueError(f"{where}: tests that compare as {tests.compare} have none")
    return float(_positive(value, where, or_zero=True))


def _positive(value: Any, where: str, or_zero: bool = False) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (0 < value < float("inf") or (or_zero and value == 0)):
        raise ValueError(
            f"{where}: must be a {'number of at least 0' if or_zero else 'positive number'}, it is {value!r}"
        )
    return value


code_correctness = CodeCorrectness()
