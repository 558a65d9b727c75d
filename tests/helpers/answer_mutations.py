r"""Pairs of a reference and a box, mutated: what tests and benchmarks throw at the maths rules.

Seeded, so that a failure can be repeated; the pairs are those of `tests/cases`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

CASES = Path(__file__).parents[1] / "cases"
PIECES = [
    *r"0123456789+-*/^_=<>(){}[]|,.!%$&\ '~:;?xyeinkAB½√²°≈≤∈∪",
    *(r"\frac", r"\sqrt", r"\pi", r"\text{", r"\cup", r"\pm", r"\le", r"\sin", r"\infty", r"\begin{pmatrix}"),
    *(
        r"\end{pmatrix}",
        r"\approx ",
        r"\in ",
        r"\equiv ",
        r"\pmod",
        r"\setminus",
        r"\mathbb{R}",
        r"\{",
        r"\}",
        r"\cdots",
    ),
    *(r"\mathrm{~N}", r"^\circ", r"\mathbf{i}", r"\operatorname{diag}", r"\text{ or }", r"\text{ for all } x", r"\\"),
    *(
        " or ",
        " and ",
        " cm",
        "x=",
        "f(x)=",
        "(A)",
        "PM",
        ":30",
        "**",
        "three",
        "^n",
        "_2",
        "(-1)^n",
        "...",
        r"\left",
        "€",
    ),
]


def pairs() -> list[tuple[str, str]]:
    """Return the references and boxes of all cases."""
    found = []
    for file in sorted(CASES.glob("math_*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            reference, box = case.get("gold", case.get("answer")), case.get("box")
            if isinstance(reference, str) and isinstance(box, str) and len(box) < 300:
                found.append((reference, box))
    return found


def mutated_pairs(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield so many pairs, each a real one with one to four changes: pieces put in, cut out, doubled, swapped."""
    source = random.Random(seed)
    real = pairs()
    for _ in range(count):
        reference, box = source.choice(real)
        if source.random() < 0.2:
            box = source.choice(real)[1]
        if source.random() < 0.2:
            reference = _mutated(reference, source)
        for _ in range(source.randint(1, 4)):
            box = _mutated(box, source)
        yield reference, box


def _mutated(text: str, source: random.Random) -> str:
    start = source.randint(0, len(text))
    end = min(len(text), start + source.randint(0, 4))
    kind = source.randrange(4)
    if kind == 0:
        return text[:start] + source.choice(PIECES) + text[start:]
    if kind == 1:
        return text[:start] + text[end:]
    if kind == 2:
        return text[:end] + text[start:end] + text[end:]
    return text[:start] + source.choice(PIECES) + text[end:]
