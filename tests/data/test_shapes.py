"""The common shapes of people's own files, each on a small file: read by themselves, and what is left over is said."""

from __future__ import annotations

import json

import pytest

from magistral_recipe.data.shapes import common_shape
from magistral_recipe.data.sources import (
    ProblemsSource,
    TracesSource,
    load_problems,
    load_traces,
    problems_of,
    traces_of,
)
from magistral_recipe.errors import DataError
from magistral_recipe.writing.thinking import Thinking

WRITTEN = "<think>\nHalf of 8.\n</think>\n\nIt is \\boxed{4}."
TERSE = {"role": "system", "content": "You are terse."}
ASKED = {"role": "user", "content": "Half of 8?"}
PARTS = [{"type": "thinking", "thinking": "Half of 8."}, {"type": "text", "text": "It is \\boxed{4}."}]


def said(**more):
    return {"role": "assistant", "content": "It is \\boxed{4}.", **more}


TRACES = {
    "ShareGPT": (
        {
            "conversations": [
                {"from": "system", "value": "You are terse."},
                {"from": "human", "value": "Half of 8?"},
                {"from": "gpt", "value": WRITTEN},
            ]
        },
        "You are terse.",
    ),
    "reasoning_content": ({"messages": [TERSE, ASKED, said(reasoning_content="Half of 8.")]}, "You are terse."),
    "reasoning": ({"messages": [ASKED, said(reasoning="Half of 8.")]}, None),
    "content parts": ({"messages": [ASKED, said(content=PARTS)]}, None),
    "columns of thoughts": ({"question": "Half of 8?", "reasoning": "Half of 8.", "output": "It is \\boxed{4}."}, None),
    "TRL, plain": ({"prompt": "Half of 8?", "completion": WRITTEN}, None),
    "TRL, conversational": ({"prompt": [TERSE, ASKED], "completion": [said(content=WRITTEN)]}, "You are terse."),
    "TRL, conversational, thoughts apart": (
        {"prompt": [ASKED], "completion": [said(reasoning_content="Half of 8.")]},
        None,
    ),
    "R1, no opening tag": ({"question": "Half of 8?", "response": WRITTEN.removeprefix("<think>\n")}, None),
    "a system column": ({"system": "You are terse.", "prompt": "Half of 8?", "completion": WRITTEN}, "You are terse."),
}


@pytest.mark.parametrize(("row", "system"), TRACES.values(), ids=TRACES)
def test_traces_of_common_shapes_are_read_by_themselves(tmp_path, row, system):
    (tmp_path / "mine.jsonl").write_text(json.dumps(row) + "\n")
    source = TracesSource(path="mine.jsonl")
    assert source.check(tmp_path, Thinking()) == []
    loaded = load_traces(source, tmp_path, None, Thinking())
    (trace,) = loaded.rows
    assert loaded.unused == ()
    assert (trace.problem, trace.system) == ("Half of 8?", system)
    split = Thinking().split(trace.text(Thinking()))
    assert (split.thoughts.strip(), split.answer.strip()) == ("Half of 8.", "It is \\boxed{4}.")
    assert [row.model_dump() for row in traces_of([row], Thinking()).rows] == [trace.model_dump()]


def test_a_system_turn_within_the_messages_is_left_out_where_one_says_so_and_never_dropped_unsaid():
    ours = {"system": None}
    for name in ("ShareGPT", "reasoning_content", "TRL, conversational", "a system column"):
        assert traces_of([TRACES[name][0]], Thinking(), columns=ours).rows[0].system is None, name
    asked = {"prompt": [TERSE, ASKED], "gold": "4"}
    for columns in ({"answer": "gold"}, {"problem": "prompt", "answer": "gold"}):
        assert problems_of([asked], columns=columns).rows[0].system == "You are terse."
        assert problems_of([asked], columns={**columns, **ours}).rows[0].system is None


CHOSEN = "Half of 8?\n\nA. 2\nB. 4\nC. 6"
STDIO = {"inputs": ["1\n"], "outputs": ["1\n"]}
PROBLEMS = {
    "question and answer": ({"question": "Half of 8?", "answer": 4}, "Half of 8?", "4"),
    "Alpaca": ({"instruction": "Halve it.", "input": "8", "output": "4"}, "Halve it.\n\n8", "4"),
    "Alpaca without input": ({"instruction": "Half of 8?", "input": "", "output": "4"}, "Half of 8?", "4"),
    "TRL": ({"prompt": [TERSE, ASKED], "solution": "$4$"}, "Half of 8?", "$4$"),
    "verl": ({"prompt": [ASKED], "reward_model": {"ground_truth": "4"}}, "Half of 8?", "4"),
    "messages": ({"messages": [ASKED], "answer": "4"}, "Half of 8?", "4"),
    "MMLU": ({"question": "Half of 8?", "choices": ["2", "4", "6"], "answer": 1}, CHOSEN, ["B", "4"]),
    "letters": ({"question": "Half of 8?", "options": ["2", "4", "6"], "answer": "(B)"}, CHOSEN, ["B", "4"]),
    "the text": ({"question": "Half of 8?", "choices": ["2", "4", "6"], "answer": "4"}, CHOSEN, ["B", "4"]),
    "ARC": (
        {"question": "Half of 8?", "choices": {"text": ["2", "4", "6"], "label": ["1", "2", "3"]}, "answerKey": "2"},
        CHOSEN,
        ["B", "4"],
    ),
    "BoolQ": ({"question": "Is 8 even?", "answer": True}, "Is 8 even?", ["yes", "true"]),
    "a mapping": (
        {"question": "Half of 8?", "options": {"A": "2", "B": "4", "C": "6"}, "answer": "B"},
        CHOSEN,
        ["B", "4"],
    ),
}


@pytest.mark.parametrize(("row", "problem", "answer"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems_of_common_shapes_are_read_by_themselves(tmp_path, row, problem, answer):
    (tmp_path / "mine.jsonl").write_text(json.dumps(row) + "\n")
    source = ProblemsSource(path="mine.jsonl")
    assert source.check(tmp_path) == []
    loaded = load_problems(source, tmp_path, None)
    (found,) = loaded.rows
    assert loaded.unused == ()
    assert (found.problem, found.answer) == (problem, answer)
    assert problems_of([row]).rows == [found]


def test_programs_as_apps_has_them(tmp_path):
    row = {"question": "Print n.", "input_output": json.dumps(STDIO), "solutions": json.dumps(["print(input())"])}
    (found,) = problems_of([row]).rows
    assert (found.kind, found.solution) == ("code", "print(input())")
    assert json.loads(found.tests)["cases"] == [{"input": "1\n", "output": "1\n"}]


@pytest.mark.parametrize(("numbers", "right"), [((0, 2), ["2", "6"]), ((1, 3), ["2", "6"]), ((1, 2), ["4", "6"])])
def test_numbers_of_choices_count_from_one_where_none_is_0_and_one_is_the_last(numbers, right):
    rows = [{"question": f"{n}?", "choices": ["2", "4", "6"], "answer": n} for n in numbers]
    assert [row.answer[1] for row in problems_of(rows).rows] == right


def test_cells_may_be_parted_by_semicolons(tmp_path):
    (tmp_path / "mine.csv").write_text("question;answer;note\nHalf of 9,0?;4,5;a, b\n", encoding="utf-8")
    loaded = load_problems(ProblemsSource(path="mine.csv"), tmp_path, None)
    assert [(row.problem, row.answer) for row in loaded.rows] == [("Half of 9,0?", "4,5")]
    assert loaded.unused == ("note",)
    (tmp_path / "other.csv").write_text("question,answer\nHalf of 8; say?,4\n", encoding="utf-8")
    assert load_problems(ProblemsSource(path="other.csv"), tmp_path, None).rows[0].problem == "Half of 8; say?"


@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_may_have_the_ending_of_lines(tmp_path, indent):
    rows = [{"question": f"Half of {2 * n}?", "answer": n} for n in range(3)]
    (tmp_path / "mine.jsonl").write_text(json.dumps(rows, indent=indent))
    source = ProblemsSource(path="mine.jsonl")
    assert source.check(tmp_path) == []
    assert [row.answer for row in load_problems(source, tmp_path, None).rows] == ["0", "1", "2"]


def test_frames_and_data_sets_in_memory():
    import datasets

    pandas = pytest.importorskip("pandas")
    rows = [
        {"question": "Half of 8?", "answer": 4, "level": 2.0},
        {"question": "Half of 6?", "answer": 3, "level": None},
    ]
    expected = problems_of(rows, columns={"difficulty": "level"}).rows
    assert [row.difficulty for row in expected] == [2.0, None]
    for data in (pandas.DataFrame(rows), datasets.Dataset.from_list(rows)):
        assert problems_of(data, columns={"difficulty": "level"}).rows == expected
    with pytest.raises(DataError, match="expected a pandas frame, a data set or mappings, got DatasetDict: train"):
        problems_of(datasets.DatasetDict({"train": datasets.Dataset.from_list(rows)}))


def test_what_the_recipe_maps_wins_and_what_is_left_over_is_said(tmp_path):
    row = {"question": "Half of 8?", "prompt": "Answer.", "gold": "5", "answer": "4", "context": "Eight.", "url": "x"}
    loaded = problems_of([row], columns={"answer": "gold"})
    assert [(each.problem, each.answer) for each in loaded.rows] == [("Half of 8?", "5")]
    assert loaded.unused == ("prompt", "answer", "context", "url")
    assert list(loaded.warnings()) == ["data: nothing is used of the columns prompt, answer, context, url"]
    told = list(problems_of([{"system": "Be terse.", "problem": "Half of 8?", "answer": "4"}] * 1).warnings())
    assert told[0].startswith("data: 1 of 1 rows have a system turn of their own, which stands in the place of")


def test_our_own_columns_are_no_shape():
    assert not common_shape(["problem", "answer", "solution", "url"], [], "problems", {})
    assert not common_shape(["messages"], [], "traces", {})
    assert not common_shape(["problem", "thoughts", "response"], [], "traces", {})
