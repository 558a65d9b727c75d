"""Every layout on rows in its published schema: what they become, by hand; and what is said where they don't fit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from published_rows import PUBLISHED, Published

from magistral_recipe.data.layouts import catalogue
from magistral_recipe.data.problems import Problem, Trace
from magistral_recipe.data.sources import ProblemsSource, TracesSource, load_problems, load_traces, stream_problems
from magistral_recipe.errors import DataError
from magistral_recipe.writing.thinking import Thinking

TAGS = Thinking("[THINK]", "[/THINK]")


def test_every_layout_has_rows_here():
    assert list(catalogue.names()) == sorted(PUBLISHED)
    assert len(PUBLISHED) == 22


def write(folder: Path, rows: list[dict[str, Any]], ending: str) -> str:
    path = folder / f"rows.{ending}"
    if ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.name


def fields(row: Problem | Trace, with_id: bool) -> dict[str, Any]:
    found = row.model_dump(exclude_defaults=True)
    return found if with_id else {key: value for key, value in found.items() if key != "id"}


def check_and_load(folder: Path, name: str, use: str, published: Published, ending: str, named: bool) -> Any:
    keys = {"path": write(folder, published.rows, ending), **({"layout": name} if named else {})}
    aside = folder / "aside.jsonl"
    if use == "problems":
        source = ProblemsSource(**keys)
        assert source.check(folder) == []
        return load_problems(source, folder, aside)
    traces = TracesSource(**keys)
    assert traces.check(folder, TAGS) == []
    return load_traces(traces, folder, aside, TAGS)


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize("use", ["problems", "traces"])
@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_rows_as_published_become_what_they_are(tmp_path, name, use, ending):
    published = PUBLISHED[name]
    expected = published.problems if use == "problems" else published.traces
    assert catalogue.find(name).serves(use) is (expected is not None)
    if expected is None:
        return
    with_id = "id" in catalogue.find(name).columns
    for named in (True,) if published.named_only else (False, True):
        result = check_and_load(tmp_path, name, use, published, ending, named)
        kept = [row for row in expected if row is not None]
        assert [fields(row, with_id) for row in result.rows] == kept
        assert result.layout == name
        assert result.passed_over == published.passed_over
        assert result.set_aside == len(expected) - len(kept)
        assert result.summary().startswith(f"rows.{ending} (layout {name}): {len(kept)} rows")


@pytest.mark.parametrize("name", [name for name in sorted(PUBLISHED) if PUBLISHED[name].traces])
def test_thoughts_and_response_stand_between_the_recipes_tags(tmp_path, name):
    expected = [row for row in PUBLISHED[name].traces or [] if row]
    path = write(tmp_path, PUBLISHED[name].rows, "jsonl")
    for tags in (TAGS, Thinking(), Thinking(opened_by_prompt=True)):
        result = load_traces(TracesSource(path=path), tmp_path, None, tags)
        for row, wanted in zip(result.rows, expected, strict=True):
            split = tags.split(row.text(tags))
            assert split.well_formed
            assert (split.thoughts.strip(), (split.answer or "").strip()) == (wanted["thoughts"], wanted["response"])


def renamed(rows: list[dict[str, Any]], column: str) -> list[dict[str, Any]]:
    head, _, rest = column.partition(".")
    found = []
    for row in rows:
        row = dict(row)
        if rest:
            row[head] = {f"{key}_x" if key == rest else key: value for key, value in row[head].items()}
        else:
            row[f"{head}_x"] = row.pop(head)
        found.append(row)
    return found


@pytest.mark.parametrize(
    ("name", "column"), [(name, column) for name in sorted(PUBLISHED) for column in catalogue.find(name).known_by]
)
def test_a_named_layout_says_which_column_is_not_there(tmp_path, name, column):
    use = "traces" if PUBLISHED[name].traces else "problems"
    path = write(tmp_path, renamed(PUBLISHED[name].rows, column), "jsonl")
    source = (TracesSource if use == "traces" else ProblemsSource)(path=path, layout=name)
    ((key, message),) = source.check(tmp_path)
    assert key == "layout"
    assert message.startswith(f"'{name}' needs the columns '{column}'; its columns: ")
    load = load_traces if use == "traces" else load_problems
    with pytest.raises(DataError, match=re.escape(f"rows.jsonl: layout: {message}")):
        load(source, tmp_path, None)


def test_an_unknown_layout_is_a_mistake_with_the_nearest_name(tmp_path):
    path = write(tmp_path, PUBLISHED["gsm8k"].rows, "jsonl")
    said = [("layout", "no such layout. Did you mean 'openthoughts'?")]
    assert ProblemsSource(path=path, layout="openthought").check(tmp_path) == said
    assert TracesSource(path="open-thoughts/OpenThoughts-114k", layout="openthought").check(tmp_path) == said
    both = ProblemsSource(path=path, layout="openthought", where={"anwser": "1"})
    assert both.check(tmp_path) == [*said, ("where.anwser", "no column 'anwser'. Did you mean 'answer'?")]
    with pytest.raises(DataError, match=r"rows\.jsonl: layout: no such layout\. Did you mean 'openthoughts'\?"):
        load_problems(ProblemsSource(path=path, layout="openthought"), tmp_path, None)
    assert ProblemsSource(tiny="train", count=1, layout="gsm8k").check(tmp_path) == [
        ("layout", "goes with 'path' only")
    ]
    assert ProblemsSource(benchmark="gsm8k", layout="gsm8k").check(tmp_path) == [
        ("layout", "doesn't go with 'benchmark', whose columns are known")
    ]


@pytest.mark.parametrize("name", [name for name in sorted(PUBLISHED) if not PUBLISHED[name].problems])
def test_a_layout_without_answers_is_no_source_of_problems(tmp_path, name):
    path = write(tmp_path, PUBLISHED[name].rows, "jsonl")
    message = f"the layout '{name}' of these rows has no 'answer' or 'tests': it is for traces"
    assert ProblemsSource(path=path).check(tmp_path) == [("path", message)]
    assert ProblemsSource(path=path, layout=name).check(tmp_path) == [("layout", message)]
    assert ProblemsSource(path=path, kind="text").check(tmp_path) == []


def test_a_layout_without_thoughts_is_no_source_of_traces(tmp_path):
    path = write(tmp_path, PUBLISHED["gsm8k"].rows, "jsonl")
    message = "the layout 'gsm8k' of these rows has no 'completion' or 'response' or 'messages': it is for problems"
    assert TracesSource(path=path).check(tmp_path) == [("path", message)]


# ------------------------------------------------------------------------------------ whose columns go first


def test_a_file_in_our_own_schema_is_read_as_ever(tmp_path):
    rows = [{"problem": "p", "answer": "1", "solution": "s", "source": "mine", "id": 1}]
    result = load_problems(ProblemsSource(path=write(tmp_path, rows, "jsonl")), tmp_path, None)
    assert (result.layout, result.summary()) == (None, "rows.jsonl: 1 rows")
    assert result.rows[0].language is None
    rows = [
        {"problem": "p", "solution": "\\boxed{1}", "source": "mine", "messages": [], "completion": "<think>t</think>a"}
    ]
    traces = load_traces(TracesSource(path=write(tmp_path, rows, "jsonl")), tmp_path, None, Thinking())
    assert (traces.layout, traces.rows[0].completion) == (None, "<think>t</think>a")


def test_questions_and_answers_without_the_sets_mark_are_nobodys_layout(tmp_path):
    rows = [{"question": "1+1?", "answer": "2"}, {"question": "2+2?", "answer": "4"}]
    path = write(tmp_path, rows, "jsonl")
    for source in (ProblemsSource(path=path), ProblemsSource(path=path, columns={"problem": "question"})):
        assert source.check(tmp_path) == []
        loaded = load_problems(source, tmp_path, None)
        assert loaded.layout is None
        assert [row.answer for row in loaded.rows] == ["2", "4"]


def test_what_the_user_maps_goes_before_the_layout(tmp_path):
    path = write(tmp_path, PUBLISHED["gsm8k_106"].rows[:2], "jsonl")
    mapped = ProblemsSource(path=path, columns={"answer": "answer_number", "source": "split", "solution": None})
    assert mapped.check(tmp_path) == []
    result = load_problems(mapped, tmp_path, None)
    assert result.layout == "gsm8k_106"
    assert [(row.answer, row.source, row.solution) for row in result.rows] == [
        ("72", "train", None),
        ("6", "train", None),
    ]

    rows = PUBLISHED["openr1_math"].rows[:1]
    own = TracesSource(path=write(tmp_path, rows, "parquet"), columns={"completion": "messages.x"})
    assert own.check(tmp_path) == [("columns.completion", "no column 'messages.x'. Did you mean 'messages'?")]
    rows = [{**row, "mine": "<think>m</think>n"} for row in rows]
    own = TracesSource(path=write(tmp_path, rows, "parquet"), columns={"completion": "mine"})
    (trace,) = load_traces(own, tmp_path, None, TAGS).rows
    assert (trace.thoughts, trace.response, trace.answer) == ("m", "n", "4")


def test_the_documented_mapping_of_gsm8k_still_reads_it(tmp_path):
    path = write(tmp_path, PUBLISHED["gsm8k"].rows, "jsonl")
    for keys in ({"answer_in": "hashes"}, {}, {"columns": {"problem": "question", "answer": "answer"}}):
        source = ProblemsSource(path=path, **{"columns": {"problem": "question"}, **keys})
        assert source.check(tmp_path) == []
        assert [row.answer for row in load_problems(source, tmp_path, None).rows] == ["72", "1,210"]


def test_a_data_set_of_the_hub_is_recognised_by_its_name_where_its_columns_are_our_own(tmp_path, monkeypatch):
    def load_dataset(name, *_, **__):
        return iter(PUBLISHED["numinamath_cot" if "CoT" in name else "deepscaler"].rows)

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    found = load_problems(ProblemsSource(path="agentica-org/DeepScaleR-Preview-Dataset"), tmp_path, None)
    assert (found.layout, [row.language for row in found.rows]) == ("deepscaler", ["en", "en"])
    assert load_problems(ProblemsSource(path="somebody/else"), tmp_path, None).layout is None
    cot = load_problems(ProblemsSource(path="AI-MO/NuminaMath-CoT"), tmp_path, None)
    assert [row.answer for row in cot.rows] == ["4", "6"]


# -------------------------------------------------------------------------------------- layouts of one's own


def test_a_layout_of_ones_own_is_named_by_its_file(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        """
title: Mine
about: my set
known_by: [ask, reply]
columns: {problem: ask, completion: reply}
tags: ["<<", ">>"]
answer_tags: ["[", "]"]
around_problem: {before: ["Please solve:"], after: ["Thank   you."]}
documented_at: nowhere
licence: mine
"""
    )
    rows = [
        {"ask": "Please\\nsolve: 1+1? Thank you.".replace("\\n", "\n"), "reply": "<<two>>[2]"},
        {"ask": "x", "reply": "y"},
    ]
    source = TracesSource(path=write(tmp_path, rows, "jsonl"), layout="mine.yaml")
    assert source.inputs(tmp_path) == [tmp_path / "rows.jsonl", tmp_path / "mine.yaml"]
    assert source.check(tmp_path, TAGS) == []
    result = load_traces(source, tmp_path, None, TAGS)
    assert [(row.problem, row.thoughts, row.response) for row in result.rows] == [("1+1?", "two", "2")]
    assert result.summary().startswith("rows.jsonl (layout mine.yaml): 1 rows; 1 of 2 set aside (1 bad thinking tags)")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("colums: {problem: ask}", "colums: unknown key. Did you mean 'columns'?"),
        ("columns: {problm: ask}", "columns.problm: no such field. Did you mean 'problem'?"),
        ("columns: {problem: ask}\nread: {problem: levle}", "read.problem: no reader 'levle'. Did you mean 'level'?"),
        ("columns: {problem: ask}\nread: {answer: level}", "read.answer: has no column in `columns`"),
        ("columns: {problem: ask}\ntags: [a]", "tags: expected two, an opening and a closing one"),
        ("columns: {problem: ask}\nanswer_in: box", "answer_in: Input should be 'whole', 'boxed' or 'hashes'"),
        ("columns: [", "not a layout that can be read"),
    ],
)
def test_a_wrong_layout_says_what_is_wrong_with_it(tmp_path, change, said):
    (tmp_path / "rows.jsonl").write_text('{"ask": "x"}\n')
    text = f"title: a\nabout: b\nknown_by: [ask]\n{change}\ndocumented_at: c\nlicence: d\n"
    (tmp_path / "mine.yaml").write_text(text)
    mistakes = ProblemsSource(path="rows.jsonl", layout="mine.yaml").check(tmp_path)
    assert any(key == "layout" and said in message for key, message in mistakes), mistakes


def test_the_layouts_say_what_their_columns_are():
    for name in catalogue.names():
        layout = catalogue.find(name)
        assert set(layout.known_by) <= set(layout.published), name
        used = {*layout.columns.values(), *layout.passed_over, *layout.marks, *layout.tests_beside}
        if layout.pick:
            used |= {*layout.pick.all_of, *layout.pick.first_of}
        # What only the sisters of a set have beside its own columns.
        extra = {"starter_code"} if layout.starter_code else set()
        nested = {column.partition(".")[0] for column in layout.published}
        assert used <= {*layout.published, *nested, *extra}, name
        assert layout.hub, name
        assert layout.documented_at == f"https://huggingface.co/datasets/{layout.hub[0]}"


def test_a_trace_keeps_its_thoughts_whatever_becomes_of_its_answer(tmp_path):
    path = write(tmp_path, PUBLISHED["openthoughts_metadata"].rows, "jsonl")
    for keys in ({}, {"answer_in": "boxed"}):
        result = load_traces(TracesSource(path=path, **keys), tmp_path, None, TAGS)
        assert [row.answer for row in result.rows] == ["4", None, None, None, None]
    hashes = load_traces(TracesSource(path=path, answer_in="hashes"), tmp_path, None, TAGS)
    assert [row.answer for row in hashes.rows] == [None] * 5


def test_the_summary_of_a_stage_says_which_layout_was_taken(tmp_path):
    from types import SimpleNamespace

    from magistral_recipe.stages.work import report_set_aside

    said: list[dict[str, str]] = []
    for name in ("math", "numinamath_1_5", "numinamath_cot"):
        source = ProblemsSource(path=write(tmp_path, PUBLISHED[name].rows, "jsonl"))
        report_set_aside(SimpleNamespace(emit=said.append), name, load_problems(source, tmp_path, None))  # type: ignore[arg-type]
    assert [(event["type"], event["text"]) for event in said] == [
        ("note", "math: rows.jsonl (layout math): 3 rows"),
        ("note", "numinamath_1_5: rows.jsonl (layout numinamath_1_5): 2 rows; 3 passed over"),
        ("warning", "numinamath_cot: rows.jsonl (layout numinamath_cot): 2 rows; 1 of 3 set aside (1 bad value)"),
    ]


# ------------------------------------------------------------------------------------- sets that somebody changed


def test_columns_with_our_names_that_somebody_added_to_a_set_are_read(tmp_path):
    row = {"question": "1+1?", "answer": "Two.\n#### 2"}
    path = write(tmp_path, [{**row, "language": "fr", "id": "a", "category": "sums"}], "jsonl")
    (problem,) = load_problems(ProblemsSource(path=path), tmp_path, None).rows
    assert (problem.problem, problem.answer, problem.language) == ("1+1?", "2", "fr")
    assert (problem.id, problem.category) == ("a", "sums")
    path = write(tmp_path, [{**row, "completion": "<think>t</think>2"}], "jsonl")
    source = TracesSource(path=path, columns={"problem": "question"})
    assert source.check(tmp_path, TAGS) == []
    (trace,) = load_traces(source, tmp_path, None, TAGS).rows
    assert (trace.problem, trace.thoughts, trace.response) == ("1+1?", "t", "2")


def test_columns_that_the_set_has_and_no_field_wants_are_not_read(tmp_path):
    rows = PUBLISHED["apps"].rows  # its difficulty is a word
    assert load_problems(ProblemsSource(path=write(tmp_path, rows, "jsonl")), tmp_path, None).rows[0].difficulty is None
    s1 = [{**row, "messages": [{"role": "user", "content": "x"}]} for row in PUBLISHED["s1k"].rows]
    traces = load_traces(TracesSource(path=write(tmp_path, s1, "jsonl")), tmp_path, None, TAGS)
    assert [row.thoughts for row in traces.rows] == ["Doubling.", "Hm.", "Two twos."]


def test_our_own_columns_go_before_a_layout_that_cannot_give_them(tmp_path):
    row = PUBLISHED["openthoughts"].rows[0]
    path = write(tmp_path, [{**row, "problem": "mine", "answer": "1"}], "jsonl")
    result = load_problems(ProblemsSource(path=path), tmp_path, None)
    assert (result.layout, result.rows[0].problem) == (None, "mine")
    path = write(tmp_path, [{**PUBLISHED["big_math"].rows[0], "completion": "<think>t</think>a"}], "jsonl")
    traces = load_traces(TracesSource(path=path), tmp_path, None, Thinking())
    assert (traces.layout, traces.rows[0].completion) == (None, "<think>t</think>a")


def test_a_set_without_one_of_its_columns_is_told_which_layout_it_nearly_has(tmp_path):
    rows = renamed(PUBLISHED["openthoughts_metadata"].rows, "deepseek_solution")
    ((key, message),) = TracesSource(path=write(tmp_path, rows, "jsonl")).check(tmp_path)
    assert key == "columns"
    assert message == (
        "no column 'completion' or 'response' or 'messages', and none is mapped to it; its columns: problem, "
        "deepseek_reasoning, ground_truth_solution, domain, source, test_cases, starter_code, deepseek_solution_x. "
        "The layout 'openthoughts_metadata' would fit if there were 'deepseek_solution'"
    )
    mapped = TracesSource(
        path="rows.jsonl", columns={"thoughts": "deepseek_reasoning", "response": "deepseek_solution_x"}
    )
    assert mapped.check(tmp_path, TAGS) == []
    rows = renamed(PUBLISHED["math"].rows, "solution")
    ((_, message),) = ProblemsSource(path=write(tmp_path, rows, "jsonl")).check(tmp_path)
    assert message.endswith("The layout 'math' would fit if there were 'solution'")


@pytest.mark.parametrize(
    ("name", "solutions"),
    [
        ("apps", [("python", "print(1)")]),
        ("deepcoder", [("python", "print(1)"), ("python", "print(2)")]),
        ("code_contests", [("cpp", "int main() {}")]),
    ],
)
def test_solutions_come_with_problems_where_somebody_asks_for_them(tmp_path, name, solutions):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in PUBLISHED[name].rows))
    source = ProblemsSource(path="rows.jsonl")
    first = next(iter(stream_problems(source, tmp_path, None, solutions=True)))
    assert [(program.language, program.source) for program in first.solutions] == solutions
    assert next(iter(stream_problems(source, tmp_path, None))).solutions is None
