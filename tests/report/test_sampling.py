"""Which completions the page shows: within its budget, whole problems and groups, evenly over the steps."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from fabricated import make_run

from magistral_recipe.report.build import build_report
from magistral_recipe.report.collect import collect
from magistral_recipe.report.data import PageData
from magistral_recipe.report.sampling import BUDGET, fill
from magistral_recipe.report.seen import suspicion
from magistral_recipe.writing.thinking import Thinking


def filled(run, budget=BUDGET):
    data = PageData(run.name)
    fill(data, [("", collect(run))], budget)
    return data


def big_run(folder, steps=60, groups=8, size=4, length=1_500):
    """A run with many rollouts: each problem comes back at three steps."""
    make_run(folder, 4)
    with open(folder / "02-grpo" / "rollouts.jsonl", "w") as stream:
        for step in range(steps):
            for group in range(groups):
                for number in range(size):
                    row = {"step": step, "group": group, "id": f"p{step % 20}-{group}", "problem": "?", "answer": "1"}
                    row |= {"completion": f"<think>{number}{'x' * length}</think>1", "tokens": 9, "truncated": False}
                    stream.write(json.dumps(row | {"reward": 1.0, "parts": {}, "advantage": 0.0}) + "\n")
    return folder


@pytest.mark.parametrize(
    ("rewards", "logged", "shown"),
    [
        (
            {"magistral_reward": 1.1},
            {"magistral_reward/format": 1.0, "magistral_reward/correctness": 0.0, "magistral_reward/reason": "no_box"},
            [("format", 1.0, ""), ("correctness", 0.0, ""), ("magistral_reward", 1.1, "no box")],
        ),
        (  # rewards of their own, each with its reason
            {"math_correctness": None, "format_reward": 1.0},
            {"math_correctness/reason": "unreadable_reference", "format_reward/reason": "well_formed"},
            [("math_correctness", None, "unreadable reference"), ("format_reward", 1.0, "well formed")],
        ),
        (  # a reason a part
            {"mine": 0.5},
            {"mine/style": 0.5, "mine/style/reason": "too_long"},
            [("style", 0.5, "too long"), ("mine", 0.5, "")],
        ),
        (  # two parts of one name are told apart
            {"a": 1.0, "b": 0.0},
            {"a/format": 1.0, "b/format": 0.0},
            [("a/format", 1.0, ""), ("b/format", 0.0, ""), ("a", 1.0, ""), ("b", 0.0, "")],
        ),
        (  # words that a reward of one's own logged; a reason without a reward
            {"judge": 0.25},
            {"judge/verdict": "A_1 is better", "other/reason": "skipped", "judge/reason": None},
            [("verdict", None, "A_1 is better"), ("judge", 0.25, ""), ("other", None, "skipped")],
        ),
        ({"r": 1.0}, [1], [("r", 1.0, "")]),
        (3, {"reason": "wrong"}, [("reason", None, "wrong")]),
    ],
)
def test_every_reward_of_a_rollout_has_its_value_and_reason(tmp_path, rewards, logged, shown):
    run = make_run(tmp_path, 2)
    row = {"step": 0, "group": 0, "id": "p", "completion": "<think>x</think>1", "rewards": rewards, "parts": logged}
    (run / "02-grpo" / "rollouts.jsonl").write_text(json.dumps(row) + "\n")
    data = filled(run)
    (completion,) = [each for each in data.completions if data.occasions[each.occasion].kind == "rollouts"]
    assert completion.parts == shown


@pytest.mark.parametrize(
    ("completion", "reason", "mixed"),
    [
        ("no tags", "malformed", False),  # nobody looked at its language
        ("<think>no end", "cut", False),
        ("<think>1</think>2", "too_short", False),
        ("<think>Ich zähle</think>1", "wrong", True),
        ("no tags", "wrong", True),  # judged as a whole, by a reward that asks for no tags
    ],
)
def test_a_language_that_nobody_looked_at_is_not_called_mixed(tmp_path, completion, reason, mixed):
    run = make_run(tmp_path, 1, rates={"grpo": 1.0})
    value = None if reason == "too_short" else 0.0
    parts = {"r/language": value, "r/reason": reason}
    row = {"step": 0, "group": 0, "id": "p", "completion": completion, "parts": parts}
    (run / "02-grpo" / "rollouts.jsonl").write_text(json.dumps(row) + "\n")
    why = "wrong_language" if reason == "wrong" else reason
    verdicts = {"correctness": {"value": 0.0, "reason": reason}, "language": {"value": value, "reason": why}}
    sample = {"problem": "p", "sample": 0, "completion": completion, "verdicts": verdicts}
    (run / "03-evaluate" / "grpo" / "samples.jsonl").write_text(json.dumps(sample) + "\n")
    assert [each.mixed for each in filled(run).completions] == [mixed, mixed]


def test_a_small_run_is_shown_whole(tmp_path):
    data = filled(make_run(tmp_path, 10))
    assert len(data.completions) == data.total == 3 * 10 * 5 + 16
    assert [occasion.name for occasion in data.occasions] == [
        "base",
        "after SFT",
        "RL, step 0",
        "RL, step 80",
        "after RL",
    ]
    assert {occasion.file for occasion in data.occasions} == {
        "02-grpo/rollouts.jsonl", *(f"03-evaluate/{label}/samples.jsonl" for label in ("base", "sft", "grpo"))
    }  # fmt: skip


def test_the_budget_holds_and_groups_stay_whole(tmp_path):
    run = big_run(tmp_path)
    budget = 400_000
    data = filled(run, budget)
    assert data.total == 60 * 8 * 4 + 60
    assert sum(len(c.thoughts) + len(c.answer or "") for c in data.completions) < budget
    groups: dict[tuple[int, int], int] = {}
    for completion in data.completions:
        if completion.group >= 0:
            key = (completion.occasion, completion.group)
            groups[key] = groups.get(key, 0) + 1
    assert set(groups.values()) == {4}
    assert len(groups) > 30


def test_steps_are_covered_evenly_and_problems_that_come_back_are_followed(tmp_path):
    data = filled(big_run(tmp_path), 500_000)
    steps = sorted({occasion.step for occasion in data.occasions if occasion.step is not None})
    assert steps[0] == 0
    assert steps[-1] == 59
    assert max(b - a for a, b in pairwise(steps)) <= 8
    times: dict[int, set[int]] = {}
    for completion in data.completions:
        if completion.group >= 0:
            times.setdefault(completion.problem, set()).add(completion.occasion)
    assert sum(len(occasions) == 3 for occasions in times.values()) > len(times) // 2


def test_a_page_of_a_large_run_stays_below_five_megabytes(tmp_path):
    run = big_run(tmp_path, steps=100, groups=16, size=4, length=3_000)
    assert build_report(run).stat().st_size < 5_000_000


def test_long_completions_lose_their_middle(tmp_path):
    data = filled(make_run(tmp_path, 2, ["<think>" + "a" * 9_000 + "b" * 9_000 + "</think>c"]))
    thoughts = data.completions[0].thoughts
    assert thoughts.startswith("aaaa")
    assert thoughts.endswith("bbbb")
    assert "[… 10000 characters …]" in thoughts


def _right(data, problem, occasion):
    """How many completions of a problem were right on an occasion."""
    shown = [c for c in data.completions if c.problem == problem and data.occasions[c.occasion].name == occasion]
    return sum(completion.right is True for completion in shown)


def test_what_changed_comes_first(tmp_path):
    data = filled(make_run(tmp_path, 40), 30_000)
    shown = len(data.problems)
    assert 3 < shown < 40
    rates = [tuple(_right(data, problem, name) for name in ("after SFT", "after RL")) for problem in range(shown)]
    assert any(before < 3 <= after for before, after in rates)


def test_hints_of_hacked_rewards():
    thinking = Thinking()
    said = {
        r"<think>so it goes</think>\boxed{1} or \boxed{2}": "2 different boxes in the answer",
        r"<think>so it goes</think>\boxed{1}, yes, \boxed{1}": "",
        r"<think>.</think>\boxed{1}": "right without thoughts",
        "<think>" + "again\n" * 30 + r"</think>\boxed{1}": "repeats its lines",
        "<think>" + "\n".join(f"step {i}" for i in range(30)) + r"</think>\boxed{1}": "",
    }
    assert {text: suspicion(text, True, thinking) for text in said} == said
    assert suspicion(r"<think>.</think>\boxed{1}", False, thinking) == ""


def test_wrong_completions_that_are_paid_like_right_ones_are_suspected(tmp_path):
    run = make_run(tmp_path, 2)
    file = run / "02-grpo" / "rollouts.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[5]["reward"] = 1.9  # the right ones earn 2
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rollouts = collect(run).stages[1].rollouts
    assert [seen.suspect for seen in rollouts if seen.suspect] == ["wrong, yet paid like a right one"]
    assert rollouts[5].suspect
