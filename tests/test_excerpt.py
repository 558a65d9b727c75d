"""The beginning of a text."""

from __future__ import annotations

from magistral_recipe.excerpt import excerpt


def test_a_text_is_one_line_and_as_wide_as_it_may_be():
    assert excerpt("a\n  b") == "a b"
    assert excerpt("x" * 60) == "x" * 60
    assert excerpt("x" * 61) == "x" * 59 + "…"
    assert excerpt("one two", 4) == "one…"
