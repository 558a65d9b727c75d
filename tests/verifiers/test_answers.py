"""The maths comparison, held to labelled cases, to hostile ones, and to properties on arbitrary text."""

import json
import time
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.rewards import MathCorrectness
from magistral_recipe.verifiers.answers import compare, judge, read, references_of
from magistral_recipe.verifiers.answers.shapes import Quantity
from magistral_recipe.writing.boxes import find_boxes
from magistral_recipe.writing.fences import first_block

CASES = Path(__file__).parents[1] / "cases"


def load(name: str) -> list[dict]:
    return [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").splitlines()]


def completion(case: dict) -> str:
    if "response" in case:
        return case["response"]
    return "<think>x</think>" + (case["text"] if "text" in case else rf"\boxed{{{case['box']}}}")


def by_group(*files: str) -> dict[str, list[dict]]:
    groups = defaultdict(list)
    for file in files:
        for case in load(file):
            groups[f"{file[5:-6]}-{case['group']}"].append(case)
    return groups


# "later" holds cases written with the verifier in view; the published agreement leaves them out.
LABELLED = by_group("math_oracle.jsonl", "math_hand.jsonl", "math_later.jsonl")
HOSTILE = by_group("math_hostile.jsonl")


def test_there_are_cases_enough():
    oracle, hand, hostile = (len(load(f"math_{name}.jsonl")) for name in ("oracle", "hand", "hostile"))
    assert oracle + hand >= 400
    assert oracle >= hand
    assert hostile >= 100
    assert (len(LABELLED), len(HOSTILE)) == (36, 5)


@pytest.mark.parametrize("group", [*LABELLED, *HOSTILE])
def test_every_case_gets_its_label(group):
    cases = LABELLED.get(group) or HOSTILE[group]
    reward = MathCorrectness()
    values = reward(completions=[completion(case) for case in cases], answer=[case["answer"] for case in cases])
    wrong = [
        f"{case['id']}: {case['answer']!r:.80} | {completion(case)!r:.80}: {value}"
        for case, value in zip(cases, values, strict=True)
        if value != case["expected"]
    ]
    assert not wrong, "\n".join(wrong)


KINDS = defaultdict(list)
for case in load("math_kinds.jsonl"):
    KINDS[case["kind"]].append(case)


def test_every_kind_has_cases_of_both_labels():
    assert len(KINDS) >= 60
    assert sum(map(len, KINDS.values())) >= 1400
    for kind, cases in KINDS.items():
        assert len(cases) >= 6, kind
        assert {case["expected"] for case in cases} == {0, 1}, kind


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_answer_and_its_dishonest_twins(kind):
    cases = KINDS[kind]
    values = MathCorrectness()(
        completions=[completion(case) for case in cases], answer=[case["gold"] for case in cases]
    )
    wrong = [
        f"{case['gold']!r} | {case.get('box', case.get('text'))!r}: {value}"
        for case, value in zip(cases, values, strict=True)
        if value != case["expected"]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_hostile_answer_takes_long():
    slowest = (0.0, "")
    for case in load("math_hostile.jsonl"):
        start = time.process_time()
        for box in find_boxes(completion(case))[-3:]:
            compare(case["answer"], box)
        slowest = max(slowest, (time.process_time() - start, case["id"]))
    assert slowest[0] < 0.5, slowest


@pytest.mark.parametrize(
    "unit", [r"\boxed{", r"\boxed{}", r"\[", "```", "```py\n", "{", "}", "$", "\\", "½", "1 ", "<think>"]
)
def test_scanners_are_linear(unit):
    text = unit * (1_000_000 // len(unit))
    start = time.process_time()
    find_boxes(text)
    first_block(text)
    MathCorrectness(thinking=None)(completions=[text], answer=["1"])
    assert time.process_time() - start < 1.0


PIECES = [
    *r"0123456789+-*/^_=<>(){}[]|,.!%$&\ xyei½√²",
    *(r"\frac", r"\sqrt", r"\pi", r"\text{", r"\cup", r"\pm", r"\le", r"\sin", r"\infty", r"\begin{pmatrix}"),
]
MATHS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | MATHS, st.text(max_size=60) | MATHS)
def test_comparison_is_total_and_deterministic(reference, answer):
    for text in references_of(reference):
        first = judge([text], [answer])
        assert first == judge([text], [answer])
        assert first.right in (True, False, None)


@settings(max_examples=300, deadline=None)
@given(MATHS)
def test_an_answer_equals_itself(text):
    for reference in references_of(text):
        assert compare(reference, text).right is True


@settings(max_examples=100, deadline=None)
@given(st.fractions(min_value=-(10**6), max_value=10**6), st.integers(2, 9))
def test_numbers_equal_by_value_alone(value, factor):
    reference = rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
    same = rf"\frac{{{value.numerator * factor}}}{{{value.denominator * factor}}}"
    other = rf"\frac{{{value.numerator * factor + 1}}}{{{value.denominator * factor}}}"
    assert compare(reference, same).right is True
    assert compare(reference, other).right is False


@pytest.mark.parametrize(
    ("text", "value"), [("1,234", 1234), (r"1\frac{1}{2}", 1.5), ("-3/4", -0.75), (r"2 \times 10^{3}", 2000), ("５", 5)]
)
def test_reading_a_number(text, value):
    shape = read(text)
    assert isinstance(shape, Quantity)
    assert shape.value == value


@pytest.mark.parametrize("text", ["2+2", r"6 \cdot 7", "5!", r"\sqrt{4}", "x", "2^{10}", "-(-4)"])
def test_what_has_to_be_computed_is_no_number(text):
    shape = read(text)
    assert isinstance(shape, Quantity)
    assert shape.value is None


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        (r"\boxed{1} \boxed{2}", ["1", "2"]),
        (r"\boxed{\frac{1}{2}}", [r"\frac{1}{2}"]),
        (r"\boxed{\{1\}}", [r"\{1\}"]),
        (r"\boxed{a \boxed{b}}", [r"a \boxed{b}"]),
        (r"\boxed{a \boxed{b}", ["b"]),
        (r"\boxed {4}", ["4"]),
        (r"\boxed{}", [""]),
        (r"\\boxed{4}", []),
        (r"boxed{4}", []),
    ],
)
def test_finding_boxes(text, boxes):
    assert find_boxes(text) == boxes


@pytest.mark.parametrize(
    ("text", "language", "code"),
    [
        ("```python\nprint(1)\n```", None, "print(1)"),
        ("```py\nprint(1)\n```", "python", "print(1)"),
        ("```c++\nint x;\n```\n```python\npass\n```", "python", "pass"),
        ("```\nprint(1)\n```", None, None),
        ("```python\nprint(1)", None, None),
        ("```python\n\n```", None, None),
        ("````python\n```\n````", None, "```"),
        ("~~~cpp\nint x;\n~~~", "c++", "int x;"),
        ("```python\r\nx\r\n```\r\n", "python", "x\r"),
    ],
)
def test_finding_the_first_block(text, language, code):
    assert first_block(text, language) == code


@pytest.mark.parametrize(
    "reference", [None, "", "  ", float("nan"), float("inf"), [], [None], True, r"\frac{1}{", {"a": 1}]
)
def test_unreadable_references(reference):
    assert references_of(reference) == []
