"""Programming problems held against the solutions that come with them (Magistral §4).

Every solution runs on every test, in the sandbox. Tests on which most agree stay, with the output that they agree on;
the others go. Where few are left, new inputs are derived (`mutation`) and taken where all solutions that may vote say
the same. What stays is asked in Python and in C++ (`asking`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from magistral_recipe.curation.agreement import Agreement, Answer, agreement_of
from magistral_recipe.curation.asking import asked_for
from magistral_recipe.curation.mutation import derived_inputs
from magistral_recipe.curation.rows import Dropped, Outcome, Row
from magistral_recipe.curation.verdicts import Verdict, Verdicts
from magistral_recipe.data.problems import content_hash
from magistral_recipe.data.solutions import Program, read_solutions
from magistral_recipe.verifiers.programs.outputs import (
    same_output,
    same_published_output,
    same_published_value,
    same_value,
)
from magistral_recipe.verifiers.programs.runner import ProgramVerdict, Result, Runner, Submission
from magistral_recipe.verifiers.programs.testcases import Case, Tests, parse_tests
from magistral_recipe.verifiers.sandbox.terms import MEBIBYTE, SandboxError

FEW, CONTRADICTION, UNVERIFIED = (
    "too few tests that its solutions agree on",
    "its solutions and its tests contradict each other",
    "no solution that could be run",
)
CORRECTED, DROPPED, MADE = "tests corrected", "tests dropped", "tests made"
EXAMPLES = "corrected_tests"
"""The note that shows some of them."""
NOT_RUN, REJECTED = "tests not run", "solutions not believed"

_MOST_BYTES = MEBIBYTE  # of an output that is kept; a longer one is no output
_AT_ONCE, _BYTES_AT_ONCE = 16, 256 * MEBIBYTE  # problems whose programs run side by side, and what they may write
_EXAMPLES, _SHOWN = 3, 200  # corrected tests that are shown of a problem, and characters of each text


@dataclass(frozen=True)
class Rules:
    """How programs are judged.

    Attributes:
        agreement: share of the solutions that are believed which must agree on a test, above 0.5 to 1.
        solutions: solutions that are run of a problem, at most.
        least_solutions: solutions that must agree to correct an output, or to take a new test.
        tests: tests that are run of a problem, at most; the others go.
        least_tests: a problem with fewer tests goes.
        enough_tests: a problem with fewer gets new ones.
        unverified: what becomes of problems without a solution that could be run.
        languages: what a program is asked in.
        seconds: CPU time for each test, where the problem doesn't say.
        memory_mb: memory of a program in MiB, likewise.
        seed: of what is drawn.
    """

    agreement: float = 0.75
    solutions: int = 8
    least_solutions: int = 3
    tests: int = 100
    least_tests: int = 3
    enough_tests: int = 20
    unverified: Literal["keep", "drop"] = "keep"
    languages: tuple[str, ...] = ("python", "cpp")
    seconds: float = 4.0
    memory_mb: float = 300
    seed: int = 0


@dataclass(frozen=True)
class _Task:
    """A problem whose solutions are to be run."""

    row: Row
    tests: Tests
    programs: tuple[Program, ...]
    not_run: int
    kept_bytes: int
    key: str

    @property
    def weight(self) -> int:
        return len(self.tests.cases) * len(self.programs) * self.kept_bytes


def verify_programs(
    rows: Iterable[Row],
    rules: Rules | None = None,
    runner: Runner | None = None,
    memory: Path | None = None,
    totals: Counter[str] | None = None,
) -> Iterator[Outcome]:
    """Hold the tests of programming problems against their solutions; other problems pass.

    Args:
        rows: read some at a time.
        rules: how they are judged.
        runner: runs the programs; by default in bubblewrap.
        memory: a file that remembers verdicts: what it holds is not run again.
        totals: counts tests and solutions by what became of them.

    Yields:
        Every row, in order; one that stays once for each language that it is asked in.

    Raises:
        SandboxError: where no program of some problem could be run, through the machine's fault.
    """
    rules, runner = rules or Rules(), runner or Runner()
    remembered = Verdicts(memory)
    for some in _chunks(rows, rules):
        tasks = [each for each in some if isinstance(each, _Task)]
        known = dict(remembered.find([task.key for task in tasks]))
        new = [task for task in tasks if task.key not in known]
        for task, verdict in zip(new, _judged(new, rules, runner), strict=True):
            known[task.key] = verdict
            remembered.add(task.key, verdict)
        for each in some:
            found = known[each.key] if isinstance(each, _Task) else None
            if found is not None and totals is not None:
                totals.update({name: count for name, count in found.count.items() if count})
            yield from _outcomes(each, found, rules)


def _chunks(rows: Iterable[Row], rules: Rules) -> Iterator[list[Row | _Task]]:
    some, weight, tasks = list[Row | _Task](), 0, 0
    for row in rows:
        task = _task(row, rules) if row.problem.kind == "code" else None
        some.append(task or row)
        weight += task.weight if task else 0
        tasks += task is not None
        if weight >= _BYTES_AT_ONCE or tasks == _AT_ONCE or len(some) >= 64 * _AT_ONCE:
            yield some
            some, weight, tasks = [], 0, 0
    if some:
        yield some


def _task(row: Row, rules: Rules) -> _Task | None:
    """What there is to run; ``None`` without a solution."""
    problem = row.problem
    every = parse_tests(problem.tests, "tests")
    tests = every.draw(rules.tests, rules.seed, 0)
    given = [{"language": problem.programming_language, "source": problem.solution}] if problem.solution else []
    there = read_solutions([*(problem.solutions or ()), *given]) or ()
    if tests.type == "call":
        there = tuple(program for program in there if program.language == "python")
    if not there:
        return None
    programs = in_turn(there, rules.solutions)
    longest = max(len(json.dumps(case.expected)) for case in tests.cases)
    said = asdict(replace(rules, languages=()))
    key = content_hash(problem.id, tests.digest, tests.compare, [each.model_dump() for each in programs], said)
    not_run = len(every.cases) - len(tests.cases)
    return _Task(row, tests, programs, not_run, min(_MOST_BYTES, 4 * longest + 4096), key)


def in_turn(programs: Sequence[Program], count: int) -> tuple[Program, ...]:
    """Choose so many of the programs, the languages in turn: those that are run, in this order."""
    by_language: dict[str, list[Program]] = {}
    for program in programs:
        by_language.setdefault(program.language, []).append(program)
    places = [(place, number) for number, each in enumerate(by_language.values()) for place in range(len(each))]
    lists = list(by_language.values())
    return tuple(lists[number][place] for place, number in sorted(places)[:count])


# ---------------------------------------------------------------------------------------------------------- judging


def _judged(tasks: Sequence[_Task], rules: Rules, runner: Runner) -> Iterator[Verdict]:
    """Run all solutions of some problems side by side, then those of the problems that need tests on new inputs."""
    if not tasks:
        return
    from magistral_recipe.verifiers.sandbox.probe import require_sandbox

    require_sandbox(runner.mode)
    answers = _run(tasks, runner, rules)
    found = [_agreement(task, each, rules) for task, each in zip(tasks, answers, strict=True)]
    new = [_more_inputs(task, agreement, rules) for task, agreement in zip(tasks, found, strict=True)]
    wanted = [task for task in new if task is not None]
    answered = iter(_run(wanted, runner, rules))
    for task, agreement, more, each in zip(tasks, found, new, answers, strict=True):
        made = [] if more is None else _unanimous(more, next(answered))
        yield _verdict(task, agreement, each, made, rules)


def _run(tasks: Sequence[_Task], runner: Runner, rules: Rules) -> list[list[list[Answer]]]:
    """Answers of each problem's solutions on its tests, `[P][S][T]`; ``None`` where a solution failed."""
    asked = [_submission(task, program, rules) for task in tasks for program in task.programs]
    results = iter(runner.run(asked))
    answers = []
    for task in tasks:
        those = [next(results) for _ in task.programs]
        failed = [result for result in those if result.verdict is ProgramVerdict.SANDBOX_FAILED]
        if len(failed) == len(those):  # some may fail through the machine: the others vote without them
            raise SandboxError(f"problem '{task.row.problem.id}': no solution could be run: {failed[0].detail}")
        answers.append([_answers(result, task.tests) for result in those])
    return answers


def _submission(task: _Task, program: Program, rules: Rules) -> Submission:
    problem = task.row.problem
    return Submission(
        source=program.source,
        language=program.language,
        tests=task.tests,
        seconds=problem.time_limit or rules.seconds,
        memory=int((problem.memory_mb or rules.memory_mb) * MEBIBYTE),
        kept_bytes=task.kept_bytes,
    )


def _answers(result: Result, tests: Tests) -> list[Answer]:
    if not result.outputs:
        return [None] * len(tests.cases)
    return [None if output is None else _read(output, tests) for output in result.outputs]


def _read(output: bytes, tests: Tests) -> Answer:
    """An answer: text, or a value in a tuple of one, since ``None`` may be one."""
    if tests.type == "stdio":
        return output.decode("utf-8", "replace")
    try:
        return (json.loads(output.decode("utf-8", "surrogatepass")),)
    except (ValueError, RecursionError):
        return None


def _same(tests: Tests, tolerance: float | None, answer: Answer, other: Answer) -> bool:
    published = tests.compare == "livecodebench"
    if tests.type == "stdio":
        return same_published_output(answer, other) if published else same_output(answer, other, tolerance)
    (value,), (wanted,) = answer, other
    return same_published_value(value, wanted) if published else same_value(value, wanted, tolerance)


def _agreement(task: _Task, answers: Sequence[Sequence[Answer]], rules: Rules) -> Agreement:
    calls = task.tests.type == "call"
    expected = [(case.expected,) if calls else case.expected for case in task.tests.cases]
    same = partial(_same, task.tests, task.row.problem.tolerance)
    return agreement_of(answers, expected, same, share=rules.agreement, least=rules.least_solutions)


def _more_inputs(task: _Task, agreement: Agreement, rules: Rules) -> _Task | None:
    """New inputs and the solutions that are believed; ``None`` where there are tests enough, or nobody to ask."""
    there = agreement.count("kept") + agreement.count("corrected")
    few = rules.enough_tests - there
    if few <= 0 or not there or not agreement.believed or len(agreement.voters) < rules.least_solutions:
        return None
    calls = task.tests.type == "call"
    good = [
        case.given.decode() for case, fate in zip(task.tests.cases, agreement.fates, strict=True) if fate != "dropped"
    ]
    seed = f"{rules.seed}:{task.key}"
    inputs = derived_inputs(good, 2 * few, seed, calls=calls)
    old = {case.given for case in task.tests.cases}
    cases = [Case(text.encode(), "" if not calls else None) for text in inputs if text.encode() not in old]
    if not cases:
        return None
    tests = parse_tests(task.tests.as_json(cases), "tests")
    return replace(task, tests=tests, programs=tuple(task.programs[voter] for voter in agreement.voters))


def _unanimous(task: _Task, answers: Sequence[Sequence[Answer]]) -> list[Case]:
    """The new tests on which all solutions say the same."""
    same, calls = partial(_same, task.tests, task.row.problem.tolerance), task.tests.type == "call"
    made = []
    for case, each in zip(task.tests.cases, zip(*answers, strict=True), strict=True):
        first = each[0]
        if first is not None and all(other is not None and same(other, first) for other in each[1:]):
            made.append(Case(case.given, first[0] if calls else first))
    return made


def _verdict(
    task: _Task, agreement: Agreement, answers: Sequence[Sequence[Answer]], made: Sequence[Case], rules: Rules
) -> Verdict:
    cases, examples, calls = list[Case](), list[dict[str, str]](), task.tests.type == "call"
    for case, fate, output in zip(task.tests.cases, agreement.fates, agreement.outputs, strict=True):
        if fate == "dropped":
            continue
        expected = output[0] if calls else output
        cases.append(Case(case.given, expected))
        if fate == "corrected":
            texts = {"input": case.given.decode(), "expected": case.expected, "solutions": expected}
            examples.append({name: _short(text) for name, text in texts.items()})
    made = made[: max(0, rules.enough_tests - len(cases))]
    count = {
        CORRECTED: agreement.count("corrected"),
        DROPPED: agreement.count("dropped"),
        MADE: len(made),
        NOT_RUN: task.not_run,
        REJECTED: len(task.programs) - len(agreement.voters),
    }
    reason = FEW if len(cases) + len(made) < rules.least_tests else None
    if not cases or not agreement.believed:
        reason = CONTRADICTION
    tests = "" if reason else task.tests.as_json([*cases, *made])
    right = tuple(voter for voter in agreement.voters if _passes(task, agreement, answers[voter]))
    return Verdict(reason, tests, right, count, tuple(examples[:_EXAMPLES]))


def _passes(task: _Task, agreement: Agreement, answers: Sequence[Answer]) -> bool:
    """Whether a solution gives what every test expects that stays."""
    same = partial(_same, task.tests, task.row.problem.tolerance)
    return all(
        fate == "dropped" or (answer is not None and same(answer, output))
        for fate, output, answer in zip(agreement.fates, agreement.outputs, answers, strict=True)
    )


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


# --------------------------------------------------------------------------------------------------------- outcomes


def _outcomes(each: Row | _Task, verdict: Verdict | None, rules: Rules) -> Iterator[Outcome]:
    row = each.row if isinstance(each, _Task) else each
    if row.problem.kind != "code":
        yield row
        return
    without = replace(row, problem=row.problem.model_copy(update={"solutions": None}))
    if not isinstance(each, _Task) or verdict is None:
        if rules.unverified == "drop":
            yield Dropped(without, UNVERIFIED)
        else:
            yield from asked_for(without, parse_tests(row.problem.tests, "tests"), rules.languages)
        return
    count = {name: found for name, found in verdict.count.items() if found}
    if verdict.reason is not None:
        yield Dropped(without, verdict.reason, {**count, EXAMPLES: list(verdict.examples)})
        return
    noted = without.changed(tests=verdict.tests)
    if count:
        examples = {EXAMPLES: list(verdict.examples)} if verdict.examples else {}
        noted = noted.noted(programs=count, **examples)
    right = [each.programs[place] for place in verdict.right]
    yield from asked_for(noted, parse_tests(verdict.tests, "tests"), rules.languages, right)
