"""Samples, pass rates and votes: counted by hand, resumed, and judged."""

from __future__ import annotations

import pytest

from magistral_recipe.curation import ratings
from magistral_recipe.curation.ratings import Tally, drop_by_difficulty, drop_wrong_labels, rate_problems
from magistral_recipe.curation.rows import Dropped, Row
from magistral_recipe.data.problems import Problem
from magistral_recipe.evaluation.settings import EvaluationSettings
from magistral_recipe.generation.interface import Completion
from magistral_recipe.writing.chat_format import ChatFormat
from magistral_recipe.writing.thinking import Thinking

PROBLEMS = [Problem(id=name, problem=f"What is {name}?", answer="4") for name in ("easy", "hard", "wrong", "open")]
ANSWERS = {
    "easy": ["4"] * 8,
    "hard": ["4", "5", "6", "7", "8", "9", None, "4"],
    "wrong": ["1/2", "0.5", "\\frac{1}{2}", "0.50", "1/2", "1/2", "3", "4"],  # six say one half
    "open": [None] * 8,
}


class Given:
    """A generator that writes what it is given, and dies after so many batches of two."""

    def __init__(self, batches: int = 1000) -> None:
        self.batches, self.asked = batches, 0

    def stream(self, requests, sampling):
        for start in range(0, len(requests), 2):
            if not self.batches:
                raise KeyboardInterrupt
            self.batches -= 1
            some = requests[start : start + 2]
            self.asked += len(some)
            yield [Completion(each, "?", self.written(each), (1, 2), False) for each in some]

    def written(self, request):
        answer = ANSWERS[request.id][request.sample]
        return "no tags" if answer is None else f"<think>well</think> It is \\boxed{{{answer}}}."


def rated(folder, generator):
    settings = EvaluationSettings(samples=8, greedy=False)
    return rate_problems(PROBLEMS, generator, ChatFormat(Thinking(), None, None), settings, folder)


@pytest.fixture(scope="module")
def tallies(tmp_path_factory):
    return rated(tmp_path_factory.mktemp("ratings"), Given())


def test_tallies(tallies):
    assert {name: (tally.samples, tally.right) for name, tally in tallies.items()} == {
        "easy": (8, 8),
        "hard": (8, 2),
        "wrong": (8, 1),
        "open": (8, 0),
    }
    assert tallies["hard"].rate == 0.25
    assert tallies["wrong"].votes()[0] == ("1/2", 6, False)


def test_an_interrupted_rating_goes_on_and_comes_to_the_same(tmp_path, tallies):
    with pytest.raises(KeyboardInterrupt):
        rated(tmp_path, Given(batches=5))
    generator = Given()
    assert rated(tmp_path, generator) == tallies
    assert generator.asked == 32 - 10
    assert rated(tmp_path, Given(batches=0)) == tallies


def test_wrong_labels_go_with_the_votes(tallies):
    rows = [Row(problem) for problem in PROBLEMS]
    found = list(drop_wrong_labels(rows, tallies, agreement=0.75))
    assert [isinstance(each, Dropped) for each in found] == [False, False, True, False]
    assert found[2].detail["votes"][0] == {"answer": "1/2", "samples": 6, "right": False}
    assert all(isinstance(each, Row) for each in drop_wrong_labels(rows, tallies, agreement=0.76))


def test_difficulty_is_one_minus_the_pass_rate_and_the_sources_own_is_kept(tallies):
    rows = [Row(problem.model_copy(update={"difficulty": 3.0})) for problem in PROBLEMS]
    easy, hard, wrong, opened = drop_by_difficulty(rows, tallies)
    assert (easy.reason, opened.reason) == (ratings.ALWAYS, ratings.NEVER)
    assert hard.problem.difficulty == 0.75
    assert wrong.problem.difficulty == 0.875
    assert hard.notes == {"pass_rate": 0.25, "source_difficulty": 3.0}
    again = next(drop_by_difficulty([hard], {"hard": Tally(samples=4, right=3)}))
    assert again.problem.difficulty == 0.25
    assert again.notes["source_difficulty"] == 3.0, "the second pass does not take the first one's for the source's"


@pytest.mark.parametrize(("right", "stays"), [(0, False), (1, True), (14, True), (15, False), (16, False)])
def test_the_papers_sixteen_samples(right, stays):
    tally = {"easy": Tally(samples=16, right=right)}
    assert isinstance(next(drop_by_difficulty([Row(PROBLEMS[0])], tally)), Row) == stays


def test_undecided_samples_count_for_nothing():
    tally = {"easy": Tally(samples=16, right=0, undecided=16)}
    assert next(drop_by_difficulty([Row(PROBLEMS[0])], tally)).reason == ratings.UNDECIDED
