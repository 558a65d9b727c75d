"""What every step of curation must do: each row comes out, in order, or goes for a reason, and the funnel counts so."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.curation.clean import clean
from magistral_recipe.curation.duplicates import deduplicate
from magistral_recipe.curation.funnel import Funnel
from magistral_recipe.curation.leaks import Heldout, Leaks, drop_leaks
from magistral_recipe.curation.ratings import Tally, drop_by_difficulty, drop_wrong_labels
from magistral_recipe.curation.rows import Dropped, Row
from magistral_recipe.curation.traces import COMPLETION, few_a_problem, verified
from magistral_recipe.data.problems import Problem
from magistral_recipe.evaluation.scoring import Scorer
from magistral_recipe.writing.thinking import Thinking

WORDS = (
    "Tom has 3 apples.",
    "How many are left?",
    "Prove that",
    "(a) Find 2 + 2.",
    "(b) Find 3.",
    "A. 1 B. 2 C. 3",
    "e\u0301\u200b",
)
LEAKED = Leaks([Heldout("h", "Tom has 3 apples. How many are left?", "heldout")])
THINKING = Thinking()


def rated(row: Row) -> Tally:
    """A tally that is a function of the row, so that the test needs no second draw."""
    number = int(row.problem.id)
    tally = Tally(samples=4, right=number % 5, undecided=4 if number % 7 == 6 else 0)
    tally.answers = Counter({"1": 3 + number % 2, str(row.problem.answer): number % 3})
    tally.correct = {str(row.problem.answer)}
    return tally


STEPS = {
    "clean": clean,
    "clean, options kept": lambda rows: clean(rows, multiple_choice="keep"),
    "duplicates": deduplicate,
    "leaks": lambda rows: drop_leaks(rows, LEAKED),
    "labels": lambda rows: drop_wrong_labels(rows, {row.problem.id: rated(row) for row in rows}),
    "difficulty": lambda rows: drop_by_difficulty(rows, {row.problem.id: rated(row) for row in rows}),
    "verified": lambda rows: verified(rows, Scorer(THINKING)),
    "few a problem": lambda rows: few_a_problem(rows, 1, seed=1),
}

TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
ANSWERS = st.sampled_from(["1", "2/3", "B", "see above", "it depends on how many of them there are today", "x^2"])
WRITTEN = st.sampled_from(["<think>so</think> \\boxed{1}", "\\boxed{1}", "<think>so</think> It is \\boxed{2/3}.", ""])


@pytest.mark.parametrize("name", STEPS)
@settings(deadline=None, max_examples=25)
@given(plans=st.lists(st.tuples(TEXTS, ANSWERS, WRITTEN), max_size=8))
def test_rows_in_are_rows_out_and_rows_dropped_by_reason(name, plans):
    rows = [
        Row(Problem(id=str(number), problem=text, answer=answer, language="en"), {COMPLETION: written})
        for number, (text, answer, written) in enumerate(plans)
    ]
    found = list(STEPS[name](rows))
    ids = [(each.row if isinstance(each, Dropped) else each).problem.id for each in found]
    assert ids == [row.problem.id for row in rows]
    assert all(each.reason for each in found if isinstance(each, Dropped))
    with tempfile.TemporaryDirectory() as folder:
        funnel = Funnel(Path(folder))
        funnel.start("loaded", rows)
        funnel.run(name, STEPS[name])
        count = funnel.counts[-1]
        gone = Counter(each.reason for each in found if isinstance(each, Dropped))
        assert (count.rows_in, count.dropped, count.added) == (len(rows), dict(gone), 0)
        assert [row.problem for row in funnel.rows] == [each.problem for each in found if isinstance(each, Row)]
