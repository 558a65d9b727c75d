"""What a completion says, in every shape that trainers and servers hand over."""

import pytest

from magistral_recipe.writing.completions import completion_texts, prompt_text
from magistral_recipe.writing.thinking import Thinking

THINKING = Thinking()
TEXT = "<think>a</think>b"


@pytest.mark.parametrize(
    "completion",
    [
        TEXT,
        [{"role": "assistant", "content": TEXT}],
        [{"content": TEXT}],
        ({"role": "assistant", "content": TEXT},),
        [{"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}, {"content": TEXT}],
        [{"role": "assistant", "content": TEXT}, {"role": "tool", "content": "z"}],
        [{"content": [{"type": "text", "text": "<think>a</think>"}, {"type": "text", "text": "b"}]}],
        [{"role": "assistant", "content": ["<think>a", "</think>b"]}],
        [{"role": "assistant", "content": "b", "reasoning_content": "a"}],
        [{"role": "assistant", "content": "b", "thinking": "a"}],
        [{"role": "assistant", "content": TEXT, "reasoning_content": None}],
        [{"role": "assistant", "content": TEXT, "reasoning_content": ""}],
        [{"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}, "b"]}],
    ],
)  # fmt: skip
def test_shapes_of_one_text(completion):
    assert completion_texts([completion], THINKING) == [TEXT]


def test_thoughts_that_a_parser_cut_off_stay_malformed():
    message = {"role": "assistant", "content": None, "reasoning_content": "a"}
    (text,) = completion_texts([[message]], THINKING)
    assert text == "<think>a"
    assert not THINKING.split(text).well_formed


def test_a_prompt_that_opened_the_thoughts():
    opened = Thinking(opened_by_prompt=True)
    message = {"role": "assistant", "content": "b", "reasoning_content": "a"}
    assert completion_texts([[message]], opened) == ["a</think>b"]


def test_no_content_is_no_text():
    assert completion_texts([[{"role": "assistant", "content": None}]], THINKING) == [""]


def test_without_tags_the_thoughts_are_left_out():
    message = {"role": "assistant", "content": "b", "reasoning_content": "a"}
    assert completion_texts([[message]], None) == ["b"]


@pytest.mark.parametrize(
    "completion",
    [
        3, None, {"role": "assistant", "content": "x"}, [], ["x"], [{"role": "user", "content": "x"}],
        [{"role": "assistant", "content": 3}], [{"role": "assistant", "content": [{"type": "image"}]}],
        [{"role": "assistant", "content": "x", "thinking": 3}],
    ],
)  # fmt: skip
def test_other_shapes_name_their_row(completion):
    with pytest.raises(ValueError, match=r"completions\[1\]"):
        completion_texts(["fine", completion], THINKING)


@pytest.mark.parametrize("completions", ["text", None, {"a": 1}, 3])
def test_completions_must_be_a_list(completions):
    with pytest.raises(ValueError, match="must be a list"):
        completion_texts(completions, THINKING)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("2+2?", "2+2?"),
        ([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}], "u"),
        ([{"role": "user", "content": "a"}, {"role": "assistant"}, {"role": "user", "content": "c"}], "c"),
        ([{"role": "user", "content": [{"type": "text", "text": "u"}]}], "u"),
        ([{"role": "system", "content": "s"}], None),
        (None, None),
    ],
)  # fmt: skip
def test_what_the_user_asked(prompt, text):
    assert prompt_text(prompt) == text
