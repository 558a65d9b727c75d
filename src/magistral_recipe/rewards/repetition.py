"""Repetition: a penalty on completions that say the same again and again.

Not one of the paper's four axes; models that loop under a long limit are kept in check with it. The share
of repeated n-grams, after Yeo et al. 2025 (arXiv 2502.03373, appendix), over words, or over characters in
scripts that write no spaces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from magistral_recipe.rewards.base import Batch, Grade, Reason, Reward
from magistral_recipe.rewards.decoding import Tokenizer
from magistral_recipe.writing.thinking import Thinking

# A run of word characters outside the scripts without spaces, or one character of those.
_UNIT = re.compile(r"[぀-ヿ㐀-䶿一-鿿]|[^\W぀-ヿ㐀-䶿一-鿿]+|[^\w\s]")
_DEFAULT_THINKING = Thinking()


class RepetitionPenalty(Reward):
    """``max_penalty`` times the share of a completion's n-grams that occurred before in it.

    Args:
        ngram: length of the n-grams, in words (characters in Chinese and Japanese).
        max_penalty: what a completion of nothing but repetition gets; at most 0.
        name: how logs call this instance.
        tokenizer: the model's, where the tags are special tokens that a trainer drops from the text: completions are
            then read from `completion_ids`.
        strict: as every reward takes it; this one reads no column.

    Raises:
        ValueError: if ``ngram < 1`` or ``max_penalty > 0``.

    Example:
        >>> RepetitionPenalty(ngram=2)(completions=["a b a b a b", "a b c d e f"])
        [-0.06, 0.0]
    """

    default_name = "repetition_penalty"
    maximum = 0.0

    expects_thoughts = False

    def __init__(
        self,
        ngram: int = 20,
        max_penalty: float = -0.1,
        name: str | None = None,
        tokenizer: Tokenizer | None = None,
        strict: bool = False,
    ) -> None:
        super().__init__(name, _DEFAULT_THINKING, tokenizer, strict)
        if ngram < 1:
            raise ValueError(f"ngram must be at least 1, not {ngram}")
        if max_penalty > 0:
            raise ValueError(f"max_penalty must not be positive, it is {max_penalty}")
        self.ngram = ngram
        self.max_penalty = max_penalty

    def grade(self, batch: Batch) -> list[Grade]:
        """Grade each completion, thoughts and answer alike."""
        penalties = [self.max_penalty * repeated_share(units(text), self.ngram) for text in batch.texts(self.thinking)]
        return [Grade(value + 0.0, Reason.REPETITIVE if value < 0 else Reason.WITHIN_LIMITS) for value in penalties]


def units(text: str) -> list[str]:
    """Split a text into words, single Chinese or Japanese characters, and signs."""
    return _UNIT.findall(text.lower())


def repeated_share(words: Sequence[str], ngram: int) -> float:
    """Return the share of n-grams that occurred before, in [0, 1); 0 for texts shorter than one n-gram."""
    total = len(words) - ngram + 1
    if total < 1:
        return 0.0
    # Numbers for words: an n-gram of tuples hashes faster, and memory stays bounded on a megabyte of text.
    numbers: dict[str, int] = {}
    coded = [numbers.setdefault(word, len(numbers)) for word in words]
    return 1 - len({tuple(coded[start : start + ngram]) for start in range(total)}) / total


repetition_penalty = RepetitionPenalty()
