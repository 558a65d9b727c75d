"""How well curation tells wrong tests and wrong solutions of programming problems, and what its new tests are worth.

    python benchmarks/curate_code.py                  100 problems of 6 solutions each, three seeds

A seeded script makes problems of twenty tasks with programs people might hand in (`curate_tasks.py`). One to four of
a problem's six solutions are wrong, some of them copies of one another, or too slow, always or on long inputs alone; a
tenth of the outputs that its tests expect are wrong, every other one is what a wrong solution gives. The truth is kept
apart: right outputs come from references that curation does not see, and which programs really fail is found by judging
them on the right tests.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from curate import wilson
from curate_tasks import TASKS, Task

from magistral_recipe.curation.programs import Rules, in_turn, verify_programs
from magistral_recipe.curation.rows import Dropped, Row
from magistral_recipe.curation.verdicts import Verdict
from magistral_recipe.data.problems import Problem
from magistral_recipe.data.solutions import Program
from magistral_recipe.jsonlines import read_lines
from magistral_recipe.verifiers.programs.runner import ProgramVerdict, Runner, Submission
from magistral_recipe.verifiers.programs.testcases import parse_tests

SECONDS = 0.5
SLOW = "import sys\nwhile True:\n    pass\n"
SLOW_ON_LONG = "import sys, io\nt = sys.stdin.read()\nwhile len(t) > 24:\n    pass\nsys.stdin = io.StringIO(t)\n"


@dataclass(frozen=True)
class Made:
    """A problem, and what is true of it.

    Attributes:
        problem: as curation sees it.
        task: what it is made of.
        constant: its number.
        truth: input → right output.
    """

    problem: Problem
    task: Task
    constant: int
    truth: dict[str, str]

    def output(self, given: str) -> str:
        """The right output of any input."""
        return f"{self.task.solve(given, self.constant)}\n"


def main() -> None:
    """Make problems, curate, compare with the truth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--tests", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    total: Counter[str] = Counter()
    for at, seed in enumerate(arguments.seeds):
        made = [problem(number, arguments.tests, seed) for number in range(arguments.problems)]
        started = time.perf_counter()
        total += measured(made)
        seconds = time.perf_counter() - started
        seeds = arguments.seeds[: at + 1]
        what = f"{arguments.problems} problems of 6 solutions and {arguments.tests} tests"
        print(f"{what}, seeds {seeds}; the last took {seconds:.0f} s\n")
        table(total)


def table(total: Counter[str]) -> None:
    """Print the shares with their intervals."""
    for what, found, of in (
        ("wrong outputs that are corrected or go", "wrong found", "wrong"),
        ("wrong outputs that are corrected, rightly", "wrong corrected", "wrong"),
        ("right outputs that stay", "right kept", "right"),
        ("outputs in the end that are right", "end right", "end"),
        ("of corrections, those that are right", "corrected right", "corrected"),
        ("of new tests, those whose output is right", "made right", "made"),
        ("failing solutions that are not believed", "failing found", "failing"),
        ("of those not believed, those that fail", "failing found", "rejected"),
        ("problems that go", "gone", "problems"),
    ):
        low, high = wilson(total[found], total[of]) if total[of] else (0.0, 1.0)
        share = total[found] / max(1, total[of])
        print(f"{what:44} {total[found]:6,} of {total[of]:6,}  {share:6.1%} [{low:.1%}, {high:.1%}]", flush=True)
    print(flush=True)


def problem(number: int, tests: int, seed: int) -> Made:
    """Make a problem with faults."""
    random_ = random.Random(f"{seed}:{number}")
    task, constant = TASKS[number % len(TASKS)], 2 + number // len(TASKS)
    truth: dict[str, str] = {}
    while len(truth) < tests:
        given = task.make(random_, random_.randint(2, 12))
        truth[given] = f"{task.solve(given, constant)}\n"
    right = [program.replace("KK", str(constant)) for program in task.right]
    wrong = [program.replace("KK", str(constant)) for program in random_.sample(task.wrong, 3)]
    bad = random_.choice([1, 2, 2, 3, 3, 4])
    if random_.random() < 0.3:
        wrong[1] = f"# mine\n{wrong[0]}"
    wrong.append(f"# late\n{wrong[2]}")
    slow = [SLOW + right[0], SLOW_ON_LONG + right[1]]
    faults = [random_.choice(slow) if random_.random() < 0.2 else wrong[at] for at in range(bad)]
    good = [*right, f"# again\n{right[0]}"][: 6 - bad]
    programs = [_program(source) for source in dict.fromkeys([*good, *faults])]
    random_.shuffle(programs)
    expected = dict(truth)
    misled = _outputs_of(wrong[0], list(truth))
    for given in random_.sample(list(truth), max(1, tests // 10)):
        other = misled.get(given)
        likely = other is not None and other.split() != truth[given].split() and random_.random() < 0.5
        expected[given] = other if likely and other is not None else _spoilt(truth[given], random_)
    shown = {"type": "stdio", "cases": [{"input": given, "output": out} for given, out in expected.items()]}
    seen = Problem(
        id=f"{seed}-{number}",
        problem=task.statement.replace("KK", str(constant)),
        tests=json.dumps(shown),
        solutions=programs,
        time_limit=SECONDS,
    )
    return Made(seen, task, constant, truth)


def _program(source: str) -> Program:
    return Program(language="cpp" if source.startswith("#include") else "python", source=source)


def _outputs_of(source: str, inputs: list[str]) -> dict[str, str | None]:
    """What a program gives on inputs, in the sandbox."""
    cases = {"type": "stdio", "cases": [{"input": given, "output": ""} for given in inputs]}
    asked = Submission(source, "python", parse_tests(cases, ""), SECONDS, kept_bytes=1 << 16)
    outputs = Runner().run([asked])[0].outputs
    return {given: None if out is None else out.decode() for given, out in zip(inputs, outputs, strict=True)}


def _spoilt(text: str, random_: random.Random) -> str:
    """Another output: a number more or less, a word with a letter less or more."""
    words = text.split()
    at = random_.randrange(len(words))
    number = words[at].lstrip("-").isdigit()
    words[at] = str(int(words[at]) + random_.choice([-2, -1, 1, 2])) if number else f"{words[at]}a"
    return f"{' '.join(words)}\n"


def measured(made: list[Made]) -> Counter[str]:
    """Curate, and count what became of what was planted."""
    count: Counter[str] = Counter()
    rules = Rules(languages=())
    with tempfile.TemporaryDirectory() as folder:
        memory = Path(folder) / "verdicts.jsonl"
        outcomes = list(verify_programs([Row(each.problem) for each in made], rules, memory=memory))
        # Problems are judged in their order, and each once.
        verdicts = [Verdict(**line["verdict"]) for _, line in read_lines(memory)]
    count.update(_of_solutions(made, verdicts))
    for each, outcome in zip(made, outcomes, strict=True):
        count["problems"] += 1
        shown = {case.given.decode(): case.expected for case in parse_tests(each.problem.tests, "").cases}
        if isinstance(outcome, Dropped):
            count["gone"] += 1
            continue
        left = {case.given.decode(): case.expected for case in parse_tests(outcome.problem.tests, "").cases}
        for given, true in each.truth.items():
            planted, now = shown[given].split() != true.split(), left.get(given)
            right = now is not None and now.split() == true.split()
            count["wrong" if planted else "right"] += 1
            count["wrong found"] += planted and (now is None or right or now != shown[given])
            count["wrong corrected"] += planted and right
            count["right kept"] += not planted and right
            count["corrected"] += now is not None and now != shown[given]
            count["corrected right"] += now is not None and now != shown[given] and right
        for given, now in left.items():
            right = now.split() == each.output(given).split()
            count["end"] += 1
            count["end right"] += right
            if given not in each.truth:
                count["made"] += 1
                count["made right"] += right
    return count


def _of_solutions(made: list[Made], verdicts: list[Verdict]) -> Counter[str]:
    """Which solutions really fail on the right tests, and which were not believed or fail what was left."""
    asked, count = list[Submission](), Counter[str]()
    for each in made:
        cases = [{"input": given, "output": out} for given, out in each.truth.items()]
        tests = parse_tests({"type": "stdio", "cases": cases}, "")
        programs = in_turn(each.problem.solutions or (), 8)
        asked += [Submission(one.source, one.language, tests, SECONDS) for one in programs]
    judged = iter(Runner().run(asked))
    for each, verdict in zip(made, verdicts, strict=True):
        for place in range(len(each.problem.solutions or ())):
            failing, rejected = next(judged).verdict is not ProgramVerdict.RIGHT, place not in verdict.right
            count.update({"failing": failing, "rejected": rejected, "failing found": failing and rejected})
    return count


if __name__ == "__main__":
    main()
