"""Words that take a value back, bound it, judge it or do something to it: beside a number they belong to the answer."""

from __future__ import annotations

from magistral_recipe.verifiers.answers.text import word_set

TAKEN_BACK = word_set(
    "not no at most least more less than about around approximately approx roughly nearly almost minus negative "
    "plus half twice double triple square root of cube over under below above between up to sum product difference "
    "log maybe perhaps probably possibly likely unless except either neither nor never wrong incorrect false if or "
    "and greater fewer smaller larger within beyond times before after until any every all some factorial nicht pas "
    "non ni без не около menos meno moins"
)
"""No such word stands in what leads up to a value."""

TAKES_BACK_A_NAME = TAKEN_BACK - word_set(
    "of at to between square sum product difference and before after over up root cube"
)
"""Nor in the name of a value, which may well be ``sum of digits``."""
