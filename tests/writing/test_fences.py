"""Fenced blocks: which are read, in which language, and with what left of their indentation."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.writing.fences import Block, canonical_language, first_block, read_blocks


@pytest.mark.parametrize(
    "tag",
    [
        *("python", "Python", "py", "Python3", "python 3", "python3.11", "Python 3.11", "py3", "ipython", "ipython3"),
        *("{.python}", "{python}", "{.python .numberLines}", 'python title="x"', "python:main.py", "python {1,3}"),
        *("python,linenos", "language-python", "PyPy 3-64", "pypy3", "cpython", "{code-cell} ipython3", "python="),
    ],
)
def test_spellings_of_python(tag):
    assert canonical_language(tag) == "python"


@pytest.mark.parametrize(
    "tag",
    [
        *("cpp", "C++", "c++23", "gnu++17", "cpp17", "C++ 20", "GNU C++17", "GNU C++20 (64)", "cxx", "cc", "hpp"),
        *("{.cpp}", "g++", "cplusplus", "c++ (gcc 13)", "MS C++", "clang++17", "C++17-64", "c++2a"),
    ],
)
def test_spellings_of_cpp(tag):
    assert canonical_language(tag) == "cpp"


@pytest.mark.parametrize(
    "tag", ["", "pythonic", "cython", "c", "c#", "objective-c++", "cppcheck", "json", "python2", "pycon", "text"]
)
def test_other_languages_stay_what_they_are(tag):
    assert canonical_language(tag.upper()) == tag


def test_attributes_and_further_words_count_for_nothing():
    assert canonical_language("javascript {1,3}") == "javascript"
    assert canonical_language("Rust python") == "rust"
    assert canonical_language("json:a.json") == "json"


def test_python_2_is_another_language():
    for tag in ("python2", "Python 2", "python 2.7", "py2", "pypy 2"):
        assert first_block(f"```{tag}\nprint 1\n```", "python") is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```py\na\n```", "a"),
        ("  ```py\n  a\n   b\n  ```", "a\n b"),
        ("   ```py\na\n```", "a"),
        ("~~~py\n```\na\n~~~", "```\na"),
        ("````py\n```\n````", "```"),
        ("```py\na\n``````", "a"),
        ("1. x\n\n    ```py\n    a\n      b\n    ```", "a\n  b"),
        ("1. ```py\n   a\n     b\n   ```", "a\n  b"),
        ("- x\n\n\t```py\n\ta\n\t\tb\n\t```", "a\n    b"),
        ("```py\na```", "a"),
        ("```py\na```\n```sh\nb\n```", "a"),
        ("```py\na\n    ```\nb\n```", "a\n    ```\nb"),
        ("So: ```py\na\n```", "a"),
        ("```\nx\n```\n```py\na\n```", "a"),
        ("```py\n\n```\n```py\na\n```", "a"),
        ("```py\r\na\r\n```\r\n", "a\r"),
    ],
)
def test_what_is_read(text, code):
    assert first_block(text, "python") == code


@pytest.mark.parametrize(
    "text",
    [
        "```py\na",
        "````py\na\n```",
        "```py\na\n~~~",
        "```\na\n```",
        "```py\n \n```",
        "    ```py\n    a\n    ```",
        "- x\n\ny\n\n    ```py\n    a\n    ```",
        "Use ```py``` here.\na\n```",
        "So: ```text\na\n```",
        "py\na",
        "",
    ],
)
def test_what_is_no_block(text):
    assert first_block(text, "python") is None


def test_blocks_come_in_their_order_and_any_named_one_will_do():
    text = "```\nx\n```\n```json\n{}\n```\n```C++\nint\n```\n```py\na\n```"
    assert list(read_blocks(text)) == [Block("json", "{}"), Block("cpp", "int"), Block("python", "a")]
    assert first_block(text) == "{}"
    assert first_block(text, "c++") == "int"


@pytest.mark.parametrize(
    "piece", ["```", "`", "~~~\n", "```py\n", "a```\n", " ", "\t", "- ", "1. ```py\n", "```py `", "x ```py\n"]
)
def test_a_megabyte_takes_less_than_three_seconds(piece):
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    first_block(text, "cpp")
    assert time.process_time() - started < 3  # quadratic, it would be hours


PIECES = st.sampled_from(("```", "~~~", "````", "python", "c++", "\n", " ", "    ", "- ", "1. ", "\t", "print(1)", "x"))


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.text(max_size=4), max_size=30).map("".join))
def test_every_block_is_made_of_the_texts_own_lines(text):
    lines = {line.strip().rstrip("`~").strip() for line in text.split("\n")}
    for block in read_blocks(text):
        assert block.language
        assert block.code.strip()
        assert {line.strip().rstrip("`~").strip() for line in block.code.split("\n")} <= lines
