"""Traces: verified, few a problem, hard ones more often, general data in its share."""

from __future__ import annotations

from collections import Counter

from magistral_recipe.curation import traces
from magistral_recipe.curation.rows import Dropped, Row
from magistral_recipe.curation.traces import (
    few_a_problem,
    from_samples,
    general_count,
    row_of_trace,
    upsampled,
    verified,
)
from magistral_recipe.data.problems import Problem, Trace
from magistral_recipe.evaluation.samples import Sample, SampleWriter
from magistral_recipe.evaluation.scoring import Scorer
from magistral_recipe.writing.thinking import Thinking

PROBLEM = Problem(id="p", problem="What is 2 + 2?", answer="4", language="en")

FRENCH = "Deux et deux font quatre, et c'est facile à voir pour tout le monde."


def completion(answer, thoughts="Two and two together make four, which is easy to see."):
    return f"<think>{thoughts}</think> The answer to this question is \\boxed{{{answer}}}, as we have seen above."


def trace(text, **fields):
    return row_of_trace(Trace(problem=PROBLEM.problem, completion=text, **fields), Thinking())


def test_short_traces_that_exist_are_left_out_too():
    rows = [trace(completion(4), answer="4"), trace(completion(4, "Four." * 9), answer="4")]
    found = list(verified(rows, Scorer(Thinking()), 20, lambda text: len(text.split())))
    assert [each.reason if isinstance(each, Dropped) else None for each in found] == [None, traces.SHORT]


def test_existing_traces_are_held_against_our_own_rewards():
    rows = [
        trace(completion(4), answer="4", language="en"),
        trace(completion(5), answer="4", language="en"),
        trace("\\boxed{4}", answer="4", language="en"),
        trace(
            completion(4, "Deux et deux font quatre, et c'est facile à voir pour tout le monde."),
            answer="4",
            language="en",
        ),
        trace(completion("whatever")),
    ]
    found = list(verified(rows, Scorer(Thinking())))
    assert [each.reason if isinstance(each, Dropped) else None for each in found] == [
        None,
        traces.WRONG,
        traces.FORMAT,
        traces.LANGUAGE,
        None,  # nothing but its form can be verified
    ]


def test_a_trace_in_another_language_goes_though_its_row_names_none():
    asked = "What is the sum of the two numbers two and two, if we add them together?"
    rows = [
        row_of_trace(Trace(problem=asked, completion=completion(4, thoughts), answer="4"), Thinking())
        for thoughts in ("Two and two together make four, which is easy to see.", FRENCH)
    ]
    # "2 + 2 = ?" may be in any language, and thoughts of formulas in none.
    rows.append(row_of_trace(Trace(problem="$2+2=$", completion=completion(4, FRENCH), answer="4"), Thinking()))
    rows.append(row_of_trace(Trace(problem=asked, completion=completion(4, "$2+2=4$"), answer="4"), Thinking()))
    found = list(verified(rows, Scorer(Thinking())))
    assert [each.reason if isinstance(each, Dropped) else None for each in found] == [None, traces.LANGUAGE, None, None]


def sample(number, right=True, **fields):
    verdicts = {"format": {"value": 1.0}, "correctness": {"value": float(right)}, "language": {"value": 1.0}}
    known = {"tokens": 10, "truncated": False, "verdicts": verdicts, "language": "en"} | fields
    return Sample("p", number, False, "?", completion(4 if right else 5, f"Number {number}."), **known)


def test_samples_become_traces_with_the_problems_pass_rate(tmp_path):
    drawn = [sample(0), sample(1, right=False), sample(2, truncated=True), sample(3, tokens=3), sample(9)]
    SampleWriter(tmp_path / "samples.jsonl").write([*drawn, sample(0)])  # one that was written twice
    found = list(from_samples(tmp_path, {"p": PROBLEM}, samples=8, least_tokens=5))
    reasons = [each.reason if isinstance(each, Dropped) else None for each in found]
    assert reasons == [None, traces.WRONG, traces.CUT, traces.SHORT]
    assert found[0].notes == {"sample": 0, "tokens": 10, "pass_rate": 0.75, "completion": drawn[0].completion}
    assert "completion" not in found[1].row.notes, "the text stays in the samples' file"


def test_few_a_problem_are_drawn_by_the_seed_and_one_trace_counts_once():
    texts = [completion(4, f"Way {number}.") for number in range(6)]
    rows = [Row(PROBLEM, {"completion": text}) for text in [*texts, texts[0]]]
    found = list(few_a_problem(rows, 2, seed=1))
    assert len(found) == 7
    reasons = Counter(each.reason if isinstance(each, Dropped) else "kept" for each in found)
    assert reasons == {"kept": 2, traces.MANY: 4, traces.TWICE: 1}
    kept = [
        {each.notes["completion"] for each in few_a_problem(rows, 2, seed) if isinstance(each, Row)}
        for seed in (1, 1, 2, 3)
    ]
    assert kept[0] == kept[1]
    assert len({frozenset(each) for each in kept}) > 1


def test_hard_problems_are_repeated():
    rows = [Row(PROBLEM, {"pass_rate": rate}) for rate in (0.1, 0.25, 0.3, None)]
    assert [row.notes["pass_rate"] for row in upsampled(rows, 0.25, 3)] == [0.1] * 3 + [0.25] * 3 + [0.3, None]


def test_the_share_of_general_data():
    for count, share in ((90, 0.1), (1000, 0.25), (7, 0.5)):
        general = general_count(count, share)
        assert abs(general / (count + general) - share) < 0.05
    assert general_count(90, 0.1) == 10
