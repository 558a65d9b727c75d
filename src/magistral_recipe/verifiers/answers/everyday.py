r"""Everyday writing with one meaning, in LaTeX's: ``all real numbers except 2``, ``2h30min``, ``9 cm2``, ``Rs. 5``."""

from __future__ import annotations

import re
from itertools import pairwise

_REALS = re.compile(
    r"(?:the set of )?(?:(?:all|any|every|the) )*(?:(positive|negative|non-?negative) )?"
    r"(?:reals|real numbers?)(?: [a-z](?= |$))?"
    r"(?: ?,? ?(?:except|other than|excluding|but|apart from|not equal to|besides)(?: for)?(?: when)? ?(.+))?",
    re.IGNORECASE,
)
_HALVES = {"positive": "_{>0}", "negative": "_{<0}", "nonnegative": r"_{\geq 0}"}
_LEFT_OUT = re.compile(r"(?:[a-z] ?(?:=|\\neq) ?)?((?:[^a-zA-Z]|\\(?:frac|sqrt|pi|pm)(?![a-zA-Z]))+)")
_TIMES = re.compile(r"(?:\d+(?:\.\d+)? ?[a-z]+\.? ?){2,3}", re.IGNORECASE)
_HOURS_ALONE = re.compile(r"(\d+) ?h ?([0-5]\d)")
_TIME = re.compile(r"(\d+(?:\.\d+)?) ?([a-z]+)", re.IGNORECASE)
_SPELLINGS = ("d day days", "h hr hrs hour hours", "m min mins minute minutes", "s sec secs second seconds")
_CLOCK_UNITS = {unit: rank for rank, units in enumerate(_SPELLINGS) for unit in units.split()}
_NAMES = ("day", "h", "min", "s")
_POWER = re.compile(r"(?<=\d) ?(cm|mm|dm|km|ft|yd|mi)([23])(?!\w)")
_RUPEES = re.compile(
    r"(?:\\text\{ ?)?(?:Rs ?\.?|INR) ?\}? ?(-?\d(?:[\d,. ]*\d)?)( (?:lakhs?|crores?|million|thousand))?(?: ?/ ?-)? ?\}?"
)
_INDIAN = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?")  # 12,34,567


def formal(text: str) -> str:
    """Rewrite an answer of everyday writing.

    Args:
        text: an answer in clean notation.

    Returns:
        The same in LaTeX; the text itself where it is nothing of the kind.
    """
    if "eal" in text and (reals := _reals(text)) is not None:
        return reals
    if rupees := _RUPEES.fullmatch(text):
        number = rupees[1].replace(",", "") if _INDIAN.fullmatch(rupees[1]) else rupees[1]
        return rf"{number}\text{{{rupees[2] or ''} rupees}}"
    if text[:1].isdigit() and (time := _time(text)) is not None:
        return time
    return _POWER.sub(r"\\text{ \1^\2}", text)


def _reals(text: str) -> str | None:
    """``all real numbers``, perhaps except some."""
    match = _REALS.fullmatch(re.sub(r"\s+", " ", re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text)).strip())
    if match is None:
        return None
    reals = r"\mathbb{R}" + (_HALVES[match[1].lower().replace("-", "")] if match[1] else "")
    if match[2] is None:
        return reals
    left_out = _LEFT_OUT.fullmatch(re.sub(r" (?:and|or) ", ", ", match[2].strip()))
    if left_out is None or not re.search(r"[\d}]", left_out[1]):
        return None
    return rf"{reals}\setminus\{{{left_out[1].strip()}\}}"


def _time(text: str) -> str | None:
    """``2h30min``, ``1h05``, ``3 min 20 s``; ``m`` is minutes behind hours alone."""
    if hours := _HOURS_ALONE.fullmatch(text):
        return rf"{hours[1]}\text{{ h }}{hours[2]}\text{{ min}}"
    if not _TIMES.fullmatch(text):
        return None
    parts = _TIME.findall(text)
    ranks = [_CLOCK_UNITS.get(unit.lower(), -1) for _, unit in parts]
    if ranks[0] < 0 or parts[0][1] == "m" or any(later != earlier + 1 for earlier, later in pairwise(ranks)):
        return None
    return "".join(rf"{number}\text{{ {_NAMES[rank]} }}" for (number, _), rank in zip(parts, ranks, strict=True))
