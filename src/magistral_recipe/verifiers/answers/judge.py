r"""From the boxes of a completion and a reference to one verdict.

Several boxes that differ are no answer, unless all equal the reference, or the reference has several parts
and the boxes together are those parts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

from magistral_recipe.verifiers.answers.compare import compare
from magistral_recipe.verifiers.answers.effort import OutOfTimeError, limited_effort
from magistral_recipe.verifiers.answers.golds import GROUND_TRUTH, final_answer
from magistral_recipe.verifiers.answers.reading import read
from magistral_recipe.verifiers.answers.shapes import Listing, Opaque
from magistral_recipe.verifiers.answers.verdicts import UNREADABLE, Verdict

MAX_BOXES = 20
NO_BOX = Verdict(False, "no_box")
SEVERAL = Verdict(False, "several_boxes")
OUT_OF_TIME = Verdict(False, "timeout")


def references_of(reference: Any) -> list[str]:
    """Return the readable texts of a reference, any one of which is right.

    Args:
        reference: a string (an answer, or a gold text that holds one, see `final_answer`), a number, verl's
            ``{"ground_truth": …}``, or a list of them.

    Returns:
        Their texts, each the answer alone; empty where none is readable.
    """
    if hasattr(reference, "tolist"):  # NumPy's numbers and arrays
        reference = reference.tolist()
    if isinstance(reference, Mapping):
        return references_of(reference.get(GROUND_TRUTH))
    if isinstance(reference, (list, tuple)):
        return [text for each in reference for text in references_of(each)]
    if isinstance(reference, bool) or reference is None:
        return []
    if isinstance(reference, Decimal):
        return [f"{reference:f}"] if reference.is_finite() else []
    if isinstance(reference, Real):
        try:
            number = float(reference)
        except OverflowError:  # an integer beyond what a float holds
            return [str(reference)]
        return _written(reference, number) if math.isfinite(number) else []
    if not isinstance(reference, str) or not reference.strip():
        return []
    if (wrapped := _unwrapped(reference)) is not None:
        return references_of(wrapped)
    answer = final_answer(reference)
    if answer is None:
        return []
    shape = read(answer)
    return [] if isinstance(shape, Opaque) and shape.why == "broken" else [answer]


def _written(reference: Real, number: float) -> list[str]:
    """Return a number as it is written; where 0.1 + 0.2 brought a machine's last digits with it, without them too."""
    if not isinstance(reference, float):
        return [str(reference)]
    short = float(f"{number:.12g}")
    same = math.isclose(short, number, rel_tol=1e-15)
    return list(dict.fromkeys(f"{Decimal(repr(each)):f}" for each in ((short, number) if same else (number,))))


def _unwrapped(text: str) -> Mapping[str, Any] | None:
    """Return what a text of JSON wraps as verl does, ``None`` for any other text."""
    if not text.lstrip().startswith("{") or f'"{GROUND_TRUTH}"' not in text:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) and GROUND_TRUTH in found else None


def judge(
    references: Sequence[str], boxes: Sequence[str], comparison: Callable[[str, str], Verdict] = compare
) -> Verdict:
    """Grade the boxes of one answer part.

    Args:
        references: readable references (see `references_of`), any one of which is right.
        boxes: the contents of all boxes, in order.
        comparison: what compares one reference with one box.

    Returns:
        The verdict; undecided where the comparison of some pair is and no other decides, `OUT_OF_TIME` where
        comparing all of them takes the rules too long.
    """
    distinct = list(dict.fromkeys(box.strip() for box in boxes if box.strip()))
    if not distinct:
        return NO_BOX
    if len(distinct) > MAX_BOXES:
        return SEVERAL
    try:
        with limited_effort():
            verdicts = [_judge_one(reference, distinct, comparison) for reference in references]
    except OutOfTimeError:
        return OUT_OF_TIME
    for right in (True, None):
        if found := next((verdict for verdict in verdicts if verdict.right is right), None):
            return found
    return verdicts[0]


def _judge_one(reference: str, boxes: Sequence[str], comparison: Callable[[str, str], Verdict]) -> Verdict:
    if len(boxes) == 1:
        return comparison(reference, boxes[0])
    verdicts = [comparison(reference, box) for box in boxes]
    if all(verdict.right for verdict in verdicts):
        return verdicts[0]
    shape = read(reference)
    if isinstance(shape, Listing) and shape.brackets in ("", "{}") and len(shape.items) > 1:
        union = comparison(reference, ", ".join(boxes))
        return union if union.right is not False else SEVERAL
    if any(verdict.right is False for verdict in verdicts) or UNREADABLE in verdicts:
        return SEVERAL
    return Verdict(None, "undecided")
