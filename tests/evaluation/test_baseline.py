"""The baseline before RL: what is counted, and what it advises."""

from __future__ import annotations

import pytest

from magistral_recipe.evaluation.baseline import Baseline
from magistral_recipe.evaluation.samples import Sample
from magistral_recipe.writing.thinking import Thinking

GOOD = "<think>I add.</think>It is \\boxed{4}."
TAGS = "<think>I add.</think>It is 4."


def sample(text: str, right: bool = False, cut: bool = False) -> Sample:
    verdicts = {"format": {"value": 1.0, "reason": ""}, "correctness": {"value": float(right), "reason": ""}}
    return Sample("p", 0, False, "", text, 5, cut, verdicts=verdicts, question="What is 2 plus 2?")


@pytest.mark.parametrize(
    ("samples", "line", "advice"),
    [
        ([sample("It is 4.")] * 16, "tags 0%, boxed 0%, right 0%, cut 0%", "the thinking tags: put SFT first"),
        ([sample(TAGS)] * 16, "tags 100%, boxed 0%, right 0%, cut 0%", "no answer into a box: put SFT first, or ask"),
        ([sample(GOOD)] * 16, "tags 100%, boxed 100%, right 0%, cut 0%", "none is right: put SFT first, or choose"),
        ([sample(GOOD, right=True)] * 16, "tags 100%, boxed 100%, right 100%, cut 0%", "choose harder problems"),
        ([sample("<think>so", cut=True)] * 16, "tags 0%, boxed 0%, right 0%, cut 100%", "raise max_completion_length"),
        # Of those that ended none has tags: a longer limit alone would not help.
        (
            [sample("4")] * 6 + [sample("<think>", cut=True)] * 10,
            "tags 0%, boxed 0%, right 0%, cut 62%",
            "put SFT first",
        ),
        ([sample(GOOD)] * 12 + [sample(GOOD, right=True)] * 4, "tags 100%, boxed 100%, right 25%, cut 0%", None),
    ],
)
def test_what_it_shows_and_what_to_do_first(samples, line, advice):
    baseline = Baseline(samples, 64, Thinking())
    assert baseline.line() == f"{line} of 16 samples before RL (up to 64 tokens)"
    assert advice in baseline.advice() if advice else baseline.advice() is None
    assert "put SFT first" not in str(baseline.advice(after_sft=True))
    assert len(list(baseline.completions())) == 3
    assert next(iter(baseline.completions())).startswith("What is 2 plus 2? → ")
