from __future__ import annotations

import families
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistral_recipe.generation.stream import IncrementalDecoder, Part, PartSplitter
from magistral_recipe.writing.chat_format import decode_completion
from magistral_recipe.writing.thinking import Thinking


def parts(thinking: Thinking, pieces: list[str]) -> dict[Part, str]:
    """What a terminal would have shown in each style."""
    splitter = PartSplitter(thinking)
    told = [pair for piece in pieces for pair in splitter.feed(piece)] + list(splitter.close())
    return {part: "".join(text for which, text in told if which is part) for part in Part}


@given(st.text("<>/think abc", max_size=40), st.text("<>/think abc", max_size=40), st.integers(1, 7), st.booleans())
def test_the_parts_are_the_splitters_however_the_text_is_cut(thoughts, answer, step, opened):
    thinking = Thinking(opened_by_prompt=opened)
    text = ("" if opened else "<think>") + thoughts + "</think>" + answer
    split = thinking.split(text)
    if split.well_formed:
        pieces = [text[start : start + step] for start in range(0, len(text), step)]
        assert parts(thinking, pieces) == {Part.THOUGHTS: split.thoughts, Part.ANSWER: split.answer}


def test_words_are_told_as_soon_as_they_cannot_be_a_tag():
    splitter = PartSplitter(Thinking())
    assert list(splitter.feed("<thi")) == []
    assert list(splitter.feed("nk>Let me see <")) == [(Part.THOUGHTS, "Let me see ")]
    assert list(splitter.feed("3 and")) == [(Part.THOUGHTS, "<3 and")]
    assert list(splitter.feed("</think>4")) == [(Part.ANSWER, "4")]


def test_a_completion_that_never_thinks_is_all_answer():
    assert parts(Thinking(), ["It is ", "4."]) == {Part.THOUGHTS: "", Part.ANSWER: "It is 4."}


@pytest.mark.parametrize("family", ["qwen3", "mistral"])
def test_pieces_add_up_to_the_decoded_completion(family):
    tokenizer = getattr(families, family)()
    text = "<think>\nÉtape 1 : 三, puis 🙂\n\n</think>\nRéponse : 4 ."
    ids = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
    decoder = IncrementalDecoder(tokenizer, [tokenizer.eos_token_id])
    pieces = [decoder.feed(token) for token in ids]
    assert "".join(pieces) == decode_completion(tokenizer, ids) == text
    assert sum(map(bool, pieces)) > 5
    assert all("\ufffd" not in piece for piece in pieces)
