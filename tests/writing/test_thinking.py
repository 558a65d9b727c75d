"""The one splitter of thoughts and answer."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistral_recipe.writing.thinking import Split, Thinking

WELL_FORMED = [
    ("<think>a</think>b", "a", "b"),
    ("\n <think>a</think>b", "a", "b"),
    ("<think></think>", "", ""),
    ("<think>a<b></think>c", "a<b>", "c"),
]
MALFORMED = [
    "", "b", "<think>a", "a</think>b", "x<think>a</think>b", "<think>a</think>b</think>", "<think><think>a</think>b",
    "</think>a<think>b", "<think>a</think><think>b</think>c", "<THINK>a</THINK>b", "< think>a</think>b",
]  # fmt: skip


@pytest.mark.parametrize(("text", "thoughts", "answer"), WELL_FORMED)
def test_one_pair_at_the_start(text, thoughts, answer):
    assert Thinking().split(text) == Split(thoughts, answer)
    assert Thinking().split(text).well_formed


@pytest.mark.parametrize("text", MALFORMED)
def test_anything_else_has_no_answer(text):
    assert Thinking().split(text) == Split(text, None)


@pytest.mark.parametrize(
    ("text", "answer"), [("a</think>b", "b"), ("<think>a</think>b", None), ("a", None), ("a</think>b</think>c", None)]
)
def test_where_the_prompt_opened_the_thoughts(text, answer):
    assert Thinking(opened_by_prompt=True).split(text).answer == answer


def test_other_tags():
    assert Thinking("[THINK]", "[/THINK]").split("[THINK]a[/THINK]b") == Split("a", "b")


@pytest.mark.parametrize(("opening", "closing"), [("", "x"), ("x", " "), ("<t>", "<t>"), ("a", "ab")])
def test_tags_that_cannot_be_told_apart(opening, closing):
    with pytest.raises(ValueError, match="thinking tags"):
        Thinking(opening, closing)


@given(st.text().map(str.strip), st.text().map(str.strip), st.booleans())
def test_joining_is_undone_by_splitting(thoughts, answer, opened):
    thinking = Thinking(opened_by_prompt=opened)
    if any(tag in part for tag in (thinking.open, thinking.close) for part in (thoughts, answer)):
        return
    split = thinking.split(thinking.join(thoughts, answer))
    assert (split.thoughts.strip(), (split.answer or "").strip()) == (thoughts, answer)


def test_pickles():
    assert pickle.loads(pickle.dumps(Thinking())) == Thinking()
