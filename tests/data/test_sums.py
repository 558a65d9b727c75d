"""Sums of many terms: what is right is right, nothing held out is ever shown, and lengths are ragged."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from magistral_recipe.data import sums
from magistral_recipe.data.sources import ProblemsSource, TracesSource, load_problems, load_traces
from magistral_recipe.rewards import MagistralReward
from magistral_recipe.writing.thinking import Thinking


def addends(row):
    return [int(number) for number in re.findall(r"\d+", row["problem"])]


def test_every_answer_and_every_line_is_right():
    rows = sums.traces(300, seed=4)
    for row in rows:
        numbers = addends(row)
        assert row["answer"] == str(sum(numbers))
        lines = [re.fullmatch(r"(\d+) \+ (\d+) = (\d+)", line) for line in row["thoughts"].splitlines()]
        assert [int(line[2]) for line in lines] == numbers[1:]
        assert all(int(line[1]) + int(line[2]) == int(line[3]) for line in lines)
        assert [int(line[1]) for line in lines] == [sum(numbers[:n]) for n in range(1, len(numbers))]
    sizes = Counter(len(addends(row)) for row in rows)
    assert set(sizes) == set(range(2, 17))
    assert set(sizes.values()) == {20}


def test_no_held_out_sum_is_ever_shown_in_any_order_of_its_terms():
    shown = {tuple(sorted(addends(row))) for seed in range(4) for row in sums.problems("train", 400, seed, (2, 3))}
    shown |= {tuple(sorted(addends(row))) for row in sums.traces(400, 9, (2, 3))}
    held = {tuple(sorted(addends(row))) for seed in range(4) for row in sums.problems("heldout", 100, seed, (2, 3))}
    assert len(held) > 100
    assert not shown & held


def test_a_longer_list_begins_with_the_shorter_one_and_too_many_are_refused():
    assert sums.problems("heldout", 40, 3)[:15] == sums.problems("heldout", 15, 3)
    assert sums.problems("train", 5, 1) != sums.problems("train", 5, 2)
    with pytest.raises(ValueError, match="there are no 9999 different sums of 2 to 2 terms"):
        sums.problems("heldout", 9999, terms=(2, 2))


def test_a_recipe_names_them_and_the_working_earns_the_whole_reward(tmp_path):
    source = TracesSource(sums="train", count=30, skip=5, seed=1, terms=(2, 9))
    assert source.check(tmp_path) == []
    traces = load_traces(source, tmp_path, None).rows
    assert [trace.problem for trace in traces] == [row["problem"] for row in sums.traces(35, 1, (2, 9))[5:]]
    problems = load_problems(ProblemsSource(sums="heldout", count=30, terms=(2, 9)), tmp_path, None).rows
    assert len({problem.id for problem in problems}) == 30
    reward = MagistralReward(weights={"language": 0.0})
    texts = [trace.text(Thinking()) for trace in traces]
    paid = reward(
        prompts=[trace.problem for trace in traces],
        completions=texts,
        answer=[trace.answer for trace in traces],
        kind=["math"] * len(traces),
    )
    assert paid == [pytest.approx(1.0)] * len(traces)


@pytest.mark.parametrize(
    ("source", "mistake"),
    [
        (ProblemsSource(sums="train"), ("count", "missing: generated problems are endless, say how many")),
        (ProblemsSource(tiny="train", count=1, terms=(2, 3)), ("terms", "goes with 'sums' only")),
        (
            TracesSource(sums="train", count=1, terms=(1, 3)),
            ("terms", "expected [fewest, most], at least two; got [1, 3]"),
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_made(source, mistake, tmp_path):
    assert source.check(tmp_path) == [mistake]


def test_what_earlier_versions_wrote_of_a_source_is_what_this_one_writes():
    assert not {"sums", "terms"} & set(ProblemsSource(tiny="train", count=1).model_dump())


def test_a_share_of_the_carries_is_forgotten_and_nothing_else_is_wrong(tmp_path):
    source = TracesSource(sums="train", count=400, seed=4, forget=0.3)
    assert source.check(tmp_path) == []
    carries = forgotten = right = 0
    for trace, plain in zip(load_traces(source, tmp_path, None).rows, sums.traces(400, seed=4), strict=True):
        assert (trace.problem, trace.answer) == (plain["problem"], plain["answer"])
        totals = [addends({"problem": trace.problem})[0]]
        for line in (trace.thoughts or "").splitlines():
            total, term, found = (int(number) for number in re.findall(r"\d+", line))
            assert total == totals[-1]
            carries += total % 10 + term % 10 >= 10
            forgotten += found != total + term
            assert found == total + term or (found == total + term - 10 and total % 10 + term % 10 >= 10)
            totals.append(found)
        assert trace.response == f"The sum is \\boxed{{{totals[-1]}}}."
        right += str(totals[-1]) == trace.answer
    assert abs(forgotten / carries - 0.3) < 3 * (0.3 * 0.7 / carries) ** 0.5
    assert 0.2 < right / 400 < 0.5
    assert sums.traces(20, 4, forget=0.3) == sums.traces(40, 4, forget=0.3)[:20]


def test_forgetting_goes_with_sums_alone(tmp_path):
    assert TracesSource(tiny=True, count=3, forget=0.1).check(tmp_path) == [("forget", "goes with 'sums' only")]
