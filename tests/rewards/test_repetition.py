"""Repetition, against counting by hand."""

import pytest

from magistral_recipe.rewards import RepetitionPenalty
from magistral_recipe.rewards.repetition import repeated_share, units


@pytest.mark.parametrize(
    ("words", "ngram", "share"),
    [("a b c d", 2, 0.0), ("a b a b a b", 2, 3 / 5), ("a a a a", 1, 3 / 4), ("a b", 3, 0.0), ("", 1, 0.0)],
)
def test_share_of_repeated_ngrams(words, ngram, share):
    assert repeated_share(words.split(), ngram) == pytest.approx(share)


def test_units_are_words_signs_and_single_han():
    assert units("Let x=2, 你好!") == ["let", "x", "=", "2", ",", "你", "好", "!"]


def test_a_loop_costs_nearly_all_and_prose_nothing():
    loop, prose = "wait " * 1000, " ".join(map(str, range(1000)))
    values = RepetitionPenalty(ngram=5, max_penalty=-1.0)(completions=[loop, prose, "short"])
    assert values == [pytest.approx(-995 / 996), 0.0, 0.0]


@pytest.mark.parametrize("arguments", [{"ngram": 0}, {"max_penalty": 0.1}])
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match=r"ngram|max_penalty"):
        RepetitionPenalty(**arguments)
