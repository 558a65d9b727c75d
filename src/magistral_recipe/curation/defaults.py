"""The numbers that recipes of curation fall back on, where importing them costs nothing."""

from __future__ import annotations

from typing import Literal

MultipleChoice = Literal["rewrite", "drop", "keep"]
"""What becomes of multiple choice: ask for the value at the right letter, drop it, or leave it."""

MIN_LIKENESS = 0.7
"""Share of the shingles of two problems that duplicates have in common."""

MIN_CONTAINED = 0.7
"""Share of an evaluation problem's shingles that a disguised copy holds."""

MIN_NGRAM_SHARE = 0.5
"""Share of an evaluation problem's word runs that makes a leak."""

SAMPLES_A_PROBLEM = 16
"""The paper's number, in both passes (§4)."""

TRANSLATED_SHARE = 0.1
"""Share of the English problems that is translated (Magistral §2.2.4)."""

LANGUAGE_NAMES = {
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "de": "German",
    "zh": "Chinese",
    "ru": "Russian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "uk": "Ukrainian",
    "ja": "Japanese",
    "ko": "Korean",
    "ar": "Arabic",
    "fa": "Persian",
    "hi": "Hindi",
    "tr": "Turkish",
    "pl": "Polish",
}
"""Languages that problems can be translated into: those that fastText tells apart here."""
