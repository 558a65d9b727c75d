r"""The maths reward beside TRL's, open-r1's and bare Math-Verify: agreement, hostile completions, throughput.

    python benchmarks/rewards.py                       # everything, as Markdown tables
    python benchmarks/rewards.py agreement             # or hostile, throughput
    python benchmarks/rewards.py --cases FILE.jsonl    # labelled answers of your own

A row of such a file holds a reference (``gold``, ``answer`` or ``reference``), ``expected`` (1 or 0), and the answer:
``completion`` (a whole one), ``text`` (its answer part) or only its ``box``. Rows with ``contested`` true are counted
apart.

All graders see the same completions: one pair of thinking tags, then the answer in its box. The peers are given
the reference bare, as data sets have it, and wrapped in ``\boxed{}``, which helps them. Throughput is measured in
a fresh process each, caches cold, imports of this package included, those of the peers not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

CASES = Path(__file__).parents[1] / "tests" / "cases"
Grader = Callable[[Sequence[str], Sequence[str]], Sequence[float | None]]


def ours(completions: Sequence[str], references: Sequence[str]) -> Sequence[float | None]:
    """This package's `MathCorrectness`."""
    from magistral_recipe.rewards import MathCorrectness

    return MathCorrectness()(completions=list(completions), answer=list(references))


def trl(completions: Sequence[str], references: Sequence[str]) -> Sequence[float | None]:
    """TRL's `accuracy_reward`, installed."""
    from trl.rewards import accuracy_reward

    return accuracy_reward([[{"content": text}] for text in completions], list(references))


def open_r1(completions: Sequence[str], references: Sequence[str]) -> list[float | None]:
    """open-r1's `accuracy_reward` (src/open_r1/rewards.py at 1416fa0), its rules written out."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse, verify

    normal = NormalizationConfig(nits=False, malformed_operators=False, basic_latex=True, boxed="all", units=True)
    extraction = LatexExtractionConfig(
        normalization_config=normal, boxed_match_priority=0, try_extract_without_anchor=False
    )
    values: list[float | None] = []
    for text, reference in zip(completions, references, strict=True):
        gold = parse(reference, extraction_mode="first_match")
        found = parse(text, extraction_config=[extraction], extraction_mode="first_match") if gold else []
        values.append(float(verify(gold, found)) if gold else None)
    return values


def math_verify(completions: Sequence[str], references: Sequence[str]) -> list[float | None]:
    """Bare Math-Verify on the last box, the reference in a box of its own."""
    from math_verify import parse, verify

    from magistral_recipe.writing.boxes import find_boxes

    values: list[float | None] = []
    for text, reference in zip(completions, references, strict=True):
        boxes = find_boxes(text)
        gold = parse(reference if "\\boxed" in reference else rf"\boxed{{{reference}}}")
        found = parse(rf"\boxed{{{boxes[-1]}}}") if boxes else []
        values.append(float(verify(gold, found)) if gold else None)
    return values


def boxed(grader: Grader) -> Grader:
    """The same grader, given each reference in a box."""
    return lambda completions, references: grader(completions, [rf"\boxed{{{each}}}" for each in references])


GRADERS: dict[str, Grader] = {
    "magistral-recipe `MathCorrectness`": ours,
    "Math-Verify on the last box": math_verify,
    "TRL `accuracy_reward`, boxed reference": boxed(trl),
    "open-r1 `accuracy_reward`, boxed reference": boxed(open_r1),
    "TRL `accuracy_reward`, bare reference": trl,
    "open-r1 `accuracy_reward`, bare reference": open_r1,
}


def load(*names: str) -> list[dict]:
    return [json.loads(line) for name in names for line in (CASES / name).read_text("utf-8").splitlines()]


def completion(case: dict) -> str:
    for whole in ("response", "completion"):
        if whole in case:
            return case[whole]
    return "<think>x</think>" + (case["text"] if "text" in case else rf"\boxed{{{case['box']}}}")


def agreement() -> None:
    """Labelled cases of ours: how often each grader is right."""
    cases = [case for case in load("math_oracle.jsonl", "math_hand.jsonl") if isinstance(case["answer"], str)]
    table([case for case in cases if case["expected"] is not None])


def judge_file(path: Path) -> None:
    """Labelled cases of a file, contested ones apart."""
    cases = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    for case in cases:
        case["answer"] = next(case[key] for key in ("gold", "answer", "reference") if key in case)
    for contested in (False, True):
        chosen = [case for case in cases if bool(case.get("contested")) is contested]
        if chosen:
            table(chosen, "contested" if contested else "labelled")


def table(cases: list[dict], what: str = "labelled") -> None:
    """How often each grader agrees with the labels, and how long it takes."""
    print(f"\n| {len(cases)} {what} cases | right | false positives | false negatives | not graded | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, grader in GRADERS.items():
        start = time.perf_counter()
        values = grader([completion(case) for case in cases], [case["answer"] for case in cases])
        seconds = time.perf_counter() - start
        pairs = [(value, case["expected"]) for value, case in zip(values, cases, strict=True)]
        right = sum(value == expected for value, expected in pairs)
        false_positives = sum(bool(value) and not expected for value, expected in pairs)
        false_negatives = sum(value == 0 and bool(expected) for value, expected in pairs)
        skipped = sum(value is None for value, _ in pairs)
        share = right / len(cases)
        print(
            f"| {name} | {share:.3f} | {false_positives} | {false_negatives} | {skipped} | {seconds:.1f} |", flush=True
        )


def hostile() -> None:
    """Hostile completions; the peers are spared what hangs or floods them."""
    cases = load("math_hostile.jsonl")
    tame = [case for case in cases if case["group"] in ("hedge", "place", "honest")]
    tame = [case for case in tame if len(completion(case)) < 10_000 and "9^{9" not in case["answer"]]
    start = time.perf_counter()
    values = ours([completion(case) for case in cases], [case["answer"] for case in cases])
    seconds = time.perf_counter() - start
    wrong = sum(value != case["expected"] for value, case in zip(values, cases, strict=True))
    print(f"\nAll {len(cases)} hostile or odd completions, bombs among them: {wrong} wrong, {seconds:.1f} s.\n")
    print(f"| {len(tame)} of them that are safe to give to every grader | hacks paid | honest answers refused |")
    print("| --- | --- | --- |")
    for name, grader in GRADERS.items():
        values = grader([completion(case) for case in tame], [case["answer"] for case in tame])
        pairs = [(value, case["expected"]) for value, case in zip(values, tame, strict=True)]
        paid = sum(bool(value) and not expected for value, expected in pairs)
        refused = sum(not value and bool(expected) for value, expected in pairs)
        print(f"| {name} | {paid} | {refused} |")


def workload(bombs: float = 0.0) -> tuple[list[str], list[str]]:
    """2,048 completions, 256 prompts of 8: half right, 1,072 distinct pairs, in the mix of mathematical data sets."""
    rng = random.Random(0)
    makers = [_integer] * 55 + [_fraction] * 15 + [_radical] * 12 + [_polynomial] * 10 + [_interval] * 5 + [_set] * 3
    texts: list[str] = []
    references: list[str] = []
    for prompt in range(256):
        reference, alternative, wrong = makers[prompt * 100 // 256](rng)
        rights = [reference] * 2 + [alternative] * 2
        # Four distinct answers a prompt, five for each fifth prompt: 1,072 pairs.
        wrongs = [wrong[0], wrong[0], wrong[1], wrong[2] if prompt % 5 == 0 else wrong[1]]
        texts += [f"<think>some thoughts</think>So the answer is $\\boxed{{{box}}}$." for box in rights + wrongs]
        references += [reference] * 8
    for row in rng.sample(range(len(texts)), int(bombs * len(texts))):
        bomb = rng.choice([r"9^{9^{9^9}}", r"\sum_{k=1}^{10^7}\sin k^2", r"((9!)!)!", r"\int_0^1 x^{x^{x^x}}dx"])
        texts[row] = rf"<think>boom</think>\boxed{{{bomb}}}"
    return texts, references


Made = tuple[str, str, list[str]]


def _integer(rng: random.Random) -> Made:
    value = rng.randint(-10_000, 10_000)
    return str(value), f"{value}.0", [str(value + step) for step in (1, 2, 3)]


def _fraction(rng: random.Random) -> Made:
    value = Fraction(rng.randint(1, 99) * 2 + 1, 2 ** rng.randint(1, 4))
    top, bottom = value.numerator, value.denominator
    return (
        rf"\frac{{{top}}}{{{bottom}}}",
        f"{top}/{bottom}",
        [rf"\frac{{{top + step}}}{{{bottom}}}" for step in (2, 4, 6)],
    )


def _radical(rng: random.Random) -> Made:
    outer, inner = rng.randint(2, 60), rng.choice([2, 3, 5, 7])
    wrong = [rf"{outer + step}\sqrt{{{inner}}}" for step in (1, 2, 3)]
    return rf"{outer}\sqrt{{{inner}}}", rf"\sqrt{{{outer**2 * inner}}}", wrong


def _polynomial(rng: random.Random) -> Made:
    a, b = rng.randint(1, 60), rng.randint(61, 99)
    return f"x^2+{a + b}x+{a * b}", f"(x+{a})(x+{b})", [f"x^2+{a + b}x+{a * b + step}" for step in (1, 2, 3)]


def _interval(rng: random.Random) -> Made:
    a, b = rng.randint(-99, 0), rng.randint(1, 99)
    return f"[{a},{b})", rf"\left[{a}, {b}\right)", [f"({a},{b})", f"[{a},{b}]", f"[{a},{b + 1})"]


def _set(rng: random.Random) -> Made:
    a, b, c = rng.sample(range(-99, 99), 3)
    wrong = [rf"\{{{a},{b}\}}", rf"\{{{a},{b},{c + 200}\}}", rf"({a},{b},{c})"]
    return rf"\{{{a},{b},{c}\}}", rf"\{{{c}, {a}, {b}\}}", wrong


def measure(what: str) -> None:
    """One timing, in this process: called by `throughput` in a fresh one."""
    texts, references = workload(bombs=0.01 if what == "bombs" else 0.0)
    if what == "peer":
        import math_verify as _  # noqa: F401
    grader = math_verify if what == "peer" else ours
    start = time.perf_counter()
    values = grader(texts, references)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "right": sum(value == 1.0 for value in values)}))


def throughput() -> None:
    """Completions a second on the workload, best of three fresh processes."""
    texts, references = workload()
    pairs = len(set(zip(texts, references, strict=True)))
    print(f"\n| {len(texts)} completions, {pairs} distinct pairs | seconds | a second | right |")
    print("| --- | --- | --- | --- |")
    names = {"ours": "magistral-recipe", "bombs": "magistral-recipe, 1% bombs", "peer": "Math-Verify, one process"}
    for what, name in names.items():
        runs = []
        for _ in range(3):
            command = [sys.executable, __file__, "measure", what]
            runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        best = min(runs, key=lambda run: run["seconds"])
        print(f"| {name} | {best['seconds']:.2f} | {len(texts) / best['seconds']:,.0f} | {best['right']} |")


def main() -> None:
    """Run the parts named on the command line, or all."""
    if sys.argv[1:2] == ["measure"]:
        measure(sys.argv[2])
        return
    parser = argparse.ArgumentParser(description="The maths reward beside other graders.")
    parser.add_argument("parts", nargs="*", choices=("agreement", "hostile", "throughput", []), metavar="PART")
    parser.add_argument("--cases", type=Path, help="a JSONL file of labelled answers")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    if arguments.cases:
        judge_file(arguments.cases)
        return
    parts = {"agreement": agreement, "hostile": hostile, "throughput": throughput}
    for name in arguments.parts or parts:
        parts[name]()


if __name__ == "__main__":
    main()
