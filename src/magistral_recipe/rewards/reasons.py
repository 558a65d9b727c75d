"""What a reward says of one completion: a value, or none, and one of a small closed set of reasons."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Why a completion earned what it earned: a small closed set, so that a report can count them."""

    RIGHT = "right"
    WRONG = "wrong"
    PARTLY_RIGHT = "partly_right"
    WELL_FORMED = "well_formed"
    MALFORMED = "malformed"
    BLANK_THOUGHTS = "blank_thoughts"
    BLANK_ANSWER = "blank_answer"
    CUT = "cut"
    NO_BOX = "no_box"
    SEVERAL_BOXES = "several_boxes"
    HEDGE = "hedge"
    RESTATED = "restated"
    UNREADABLE = "unreadable"
    GRADER_ERROR = "grader_error"
    NO_CODE = "no_code"
    COMPILE_ERROR = "compile_error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASHED = "crashed"
    OUTPUT_LIMIT = "output_limit"
    WITHIN_LIMITS = "within_limits"
    OVERLONG = "overlong"
    REPETITIVE = "repetitive"
    SAME_LANGUAGE = "same_language"
    WRONG_LANGUAGE = "wrong_language"
    MIXED_LANGUAGES = "mixed_languages"
    TOO_SHORT = "too_short"
    NO_PROBLEM = "no_problem"
    OTHER_KIND = "other_kind"
    UNREADABLE_REFERENCE = "unreadable_reference"
    WORKER_FAILED = "worker_failed"
    SANDBOX_FAILED = "sandbox_failed"


MACHINE_REASONS = frozenset({Reason.WORKER_FAILED, Reason.SANDBOX_FAILED})
CUTTABLE = frozenset({Reason.MALFORMED, Reason.BLANK_THOUGHTS, Reason.BLANK_ANSWER, Reason.NO_BOX, Reason.NO_CODE})
"""What may only be missing because the completion was cut."""


class Grade(NamedTuple):
    """What one completion earned, ``None`` where the reward does not apply, and why."""

    value: float | None
    reason: Reason


class Score(NamedTuple):
    """What one completion earned, for those who ask for a number whatever happens.

    Attributes:
        value: what it earned; 0.0 where it was not graded.
        graded: whether the reward applies: false for an unreadable reference, a row of another kind, a broken machine.
        reason: why.
        parts: of a sum, each part's value, ``None`` where that part does not apply; of any other reward empty.
    """

    value: float
    graded: bool
    reason: Reason
    parts: Mapping[str, float | None]
