"""What a completion says, in every shape that trainers and servers hand over."""

import time

import numpy as np
import pytest

from magistral_recipe.writing.completions import completion_texts, prompt_text, without_turn_ends
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
        [{"role": "assistant", "content": "b", "reasoning": "a"}],
        [{"role": "assistant", "content": "b", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]}],
        [{"role": "assistant", "content": [{"type": "reasoning", "reasoning": "a"}, {"type": "text", "text": "b"}]}],
        [{"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]}, "b"]}],
        [{"content": [{"type": "redacted_thinking", "data": "x"}, {"type": "thinking", "thinking": "a"}, "b"]}],
        np.array([{"role": "assistant", "content": TEXT}], dtype=object),
        [{"role": "assistant", "content": np.array([{"type": "text", "text": TEXT}], dtype=object)}],
        TEXT + "<|im_end|>",
        TEXT + "<|im_end|>\n<|endoftext|> ",
        [{"role": "assistant", "content": TEXT + "\n</s>"}],
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


@pytest.mark.parametrize(
    "completion", [[], [{"role": "assistant", "content": None}], [{"role": "user", "content": "x"}], np.array([])]
)
def test_an_assistant_that_says_nothing_has_no_text(completion):
    assert completion_texts([completion], THINKING) == [""]


def test_an_array_of_completions():
    assert completion_texts(np.array([TEXT, "c"], dtype=object), THINKING) == [TEXT, "c"]


@pytest.mark.parametrize("text", ["a </s> b", "x < 3 and y>", "[EOS] means the end", "<|im_end", ""])
def test_an_end_of_turn_is_one_at_the_end_alone(text):
    assert without_turn_ends(text) == text


def test_a_megabyte_of_white_space_or_of_ends_costs_no_more_than_reading_it():
    start = time.perf_counter()
    without_turn_ends("a" + " " * 1_000_000 + ">")
    assert without_turn_ends("b\n" + "</s>" * 250_000) == "b"
    without_turn_ends(" </s>" * 200_000 + "b")
    assert time.perf_counter() - start < 1


def test_without_tags_the_thoughts_are_left_out():
    message = {"role": "assistant", "content": "b", "reasoning_content": "a"}
    assert completion_texts([[message]], None) == ["b"]


@pytest.mark.parametrize(
    "completion",
    [
        3, None, {"role": "assistant", "content": "x"}, ["x"],
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
