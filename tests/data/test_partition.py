"""One source in two sets: no filter, order, count or other id brings a problem into both."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from magistral_recipe.data.decontaminate import problem_words
from magistral_recipe.data.overlap import shared_problems
from magistral_recipe.data.partition import Partition
from magistral_recipe.data.problems import Problem
from magistral_recipe.data.sources import ProblemsSource, TracesSource, load_problems, load_traces
from magistral_recipe.errors import DataError


def rows(count: int) -> list[dict]:
    rng = random.Random(0)
    texts = [
        f"Anna has {rng.randint(10, 999)} apples and {rng.randint(10, 999)} pears. How many?" for _ in range(count)
    ]
    found = [{"problem": text, "answer": n, "topic": "ab"[n % 2], "id": f"p{n}"} for n, text in enumerate(texts)]
    found += [{**row, "id": f"twin-of-{row['id']}", "topic": "b"} for row in found[:40]]  # the same text, another id
    found += [{**row, "problem": f"{row['problem']} Now?", "topic": "b"} for row in found[40:80]]  # another text
    rng.shuffle(found)
    return found


def write(folder: Path, found: list[dict]) -> Path:
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    return folder


def load(folder: Path, part: str, **keys) -> list[Problem]:
    source = ProblemsSource(path="mine.jsonl", split={"heldout": 0.2, "seed": 0, "part": part}, **keys)
    return load_problems(source, folder, None).rows


@pytest.mark.parametrize(
    "filters",
    [
        ({}, {}),
        ({"where": {"topic": "a"}}, {"where": {"topic": "b"}}),
        ({"count": 100, "seed": 3}, {"count": 50, "skip": 5}),
        ({"max_characters": 50}, {}),
    ],
)
def test_the_two_sets_share_no_id_and_no_words_whatever_filters_stand_on_each(tmp_path, filters):
    write(tmp_path, rows(400))
    train, heldout = load(tmp_path, "train", **filters[0]), load(tmp_path, "heldout", **filters[1])
    assert not {each.id for each in train} & {each.id for each in heldout}
    assert not {tuple(problem_words(each.problem)) for each in train} & {
        tuple(problem_words(each.problem)) for each in heldout
    }
    assert shared_problems("train", train, heldout, same_source=True).shared == 0


def test_together_they_are_the_whole_and_a_fifth_is_held_out(tmp_path):
    write(tmp_path, rows(400))
    train, heldout = load(tmp_path, "train"), load(tmp_path, "heldout")
    whole = load_problems(ProblemsSource(path="mine.jsonl"), tmp_path, None).rows
    assert sorted(each.id for each in [*train, *heldout]) == sorted(each.id for each in whole)
    assert 0.13 < len(heldout) / len(whole) < 0.27


def test_rows_that_are_added_and_another_order_move_no_problem(tmp_path):
    found = [row for row in rows(300) if row["id"].startswith("p") and not row["problem"].endswith("Now?")]
    before = {each.id for each in load(write(tmp_path, found[:200]), "heldout")}
    after = {each.id for each in load(write(tmp_path, found[::-1]), "heldout")}
    assert before == after & {row["id"] for row in found[:200]}


def test_another_seed_holds_out_others_and_traces_of_the_same_problems_go_with_them(tmp_path):
    found = [{**row, "completion": "<think>so</think> 1"} for row in rows(200)]
    write(tmp_path, found)
    heldout = {each.problem for each in load(tmp_path, "heldout")}
    other = ProblemsSource(path="mine.jsonl", split={"heldout": 0.2, "seed": 1, "part": "heldout"})
    assert heldout != {each.problem for each in load_problems(other, tmp_path, None).rows}
    traces = TracesSource(path="mine.jsonl", split={"heldout": 0.2, "seed": 0})
    assert not heldout & {each.problem for each in load_traces(traces, tmp_path, None).rows}


def test_neither_side_of_a_few_problems_is_empty():
    few = [Problem(problem=f"What is {n} plus 2?", answer=str(n + 2)) for n in range(2)]
    for seed in range(20):
        partition = Partition(0.01, seed, few)
        assert sorted(map(partition.holds_out, few)) == [False, True]


def test_a_single_problem_cannot_be_parted(tmp_path):
    write(tmp_path, [{"problem": "What is 1 plus 2?", "answer": 3}] * 3)
    parts = {
        part: ProblemsSource(path="mine.jsonl", split={"heldout": 0.2, "part": part}) for part in ("train", "heldout")
    }
    with pytest.raises(DataError, match="held-out 20%"):
        [load_problems(source, tmp_path, None) for source in parts.values()]
