"""Times of day as on a clock of 24 hours: "4:30 p.m.", "16.30 Uhr", "下午4点半" are 16:30, "8 AM" and "8:00" are 8."""

from __future__ import annotations

import re

_HALF_DAY = re.compile(
    r"(?<![\d.,:])(1[0-2]|0?[1-9])(?:[:.]([0-5]\d))?\s?(?:o'clock\s)?(?:([ap])\.?\s?m\b\.?|"
    r"(?:in the|at) (morning|afternoon|evening|night)\b|(noon|midnight)\b)",
    re.IGNORECASE,
)
_ENDS = re.compile(r"\s*$|\s+[A-Z]")
_NAMED = re.compile(
    r"(?<![^\W_])(?:at |until |till |from |by |before |after |and )(noon|midday|midnight)(?![^\W_])", re.IGNORECASE
)
_O_CLOCK = re.compile(r"(?<![\d.,:])(\d{1,2})(?::00)? o'?clock\b", re.IGNORECASE)
_WHOLE = re.compile(r"(?<![\d.,:])0?(\d{1,2}):00(?![\d:])(?! ?:)")
_EARLY = re.compile(r"(?<![\d.,:])0(\d):([0-5]\d)(?![\d:])")
_FRENCH = re.compile(r"(?<![\d.,:])(\d{1,2}) ?h ?([0-5]\d)(?!\d)")
_AT = re.compile(r"(?<=\bà )(\d{1,2}) ?h(?:eures?)?\b(?! ?\d)|(?<=\ba las )(\d{1,2}) ?h(?:oras)?\b|"
                 r"(?<=\bàs )(\d{1,2}) ?h(?:oras)?\b|"
                 r"(?<=\balle )(?:ore )?(\d{1,2})(?![\d.,:])")  # fmt: skip
_POINT = re.compile(
    r"(?<=\balle )(?:ore )?(\d{1,2})[.:](\d\d)(?!\d)|(?<=\bum )(\d{1,2})\.(\d\d)(?= Uhr)|"
    r"(?<=\ba las )(\d{1,2})\.(\d\d)(?!\d)|"
    r"(?<=\bв )(\d{1,2})\.(\d\d)(?= (?:утра|часов|вечера|дня)|[.,;]|$)|(?<=\b(?:bis|von) )(\d{1,2})\.(\d\d)(?= Uhr)"
)
_PART_OF_DAY = re.compile(
    r"(?<![\d.,:])(\d{1,2})(?::([0-5]\d))?(?: Uhr| hours| часа?| часов| heures?| h)?"
    r"(?: (morgens|vormittags|nachmittags|abends|утра|дня|вечера)| (?:de la|da|della|di|du|del) "
    r"(mañana|tarde|noche|manhã|noite|mattina|mattino|pomeriggio|sera|matin|soir|l'après-midi))(?![^\W_])",
    re.IGNORECASE,
)
_LATE = frozenset((
    "nachmittags", "abends", "дня", "вечера", "tarde", "noche", "noite", "pomeriggio", "sera", "soir", "l'après-midi",
    "afternoon", "evening", "night", "p",
))  # fmt: skip
_HAN = re.compile(r"(上午|下午|晚上|早上|早晨|午前|午後)\s?(\d{1,2})\s?(?:[点點时時:])\s?(?:(\d{1,2})分?|(半))?")
_HAN_LATE = frozenset(("下午", "晚上", "午後"))


def on_24_hours(text: str, language: str) -> str:
    """Write times of day in one way.

    Args:
        text: with its numbers in digits.
        language: as `stems.language_of` tells it.

    Returns:
        Whole hours as a number, others as 16:30; without "a.m." and "o'clock".
    """
    if language == "en":
        text = _NAMED.sub(_at_noon, _HALF_DAY.sub(_english, text))
        text = _O_CLOCK.sub(r"\1:00", text)
    else:
        text = _POINT.sub(lambda found: ":".join(part for part in found.groups() if part), text)
        text = _AT.sub(lambda found: next(filter(None, found.groups())), _FRENCH.sub(r"\1:\2", text))
        text = _PART_OF_DAY.sub(_foreign, text)
    if not text.isascii():
        text = _HAN.sub(_han, text)
    if ":" in text:
        text = _EARLY.sub(r"\1:\2", _WHOLE.sub(lambda found: str(int(found[1])), text))
    return text


def _written(hour: int, minute: str | None, late: bool) -> str:
    hour = hour % 12 + 12 * late if hour <= 12 else hour
    return f"{hour}:{minute}" if minute and minute != "00" else str(hour)


def _english(found: re.Match[str]) -> str:
    hour, minute, half, part, named = found.groups()
    ends = "." if half and found[0].endswith(".") and _ENDS.match(found.string, found.end()) else ""
    if named:
        return ("12" if named.lower() == "noon" else "0") if hour == "12" else found[0]
    late = (half or "").lower() == "p" or (part or "").lower() in _LATE
    if (part or "").lower() == "night" and int(hour) in (12, 1, 2, 3, 4):
        late = False
    return _written(int(hour), minute, late) + ends


def _at_noon(found: re.Match[str]) -> str:
    whole = found[0]
    return f"{whole[: -len(found[1])]}{'0' if found[1].lower() == 'midnight' else '12'}"


def _foreign(found: re.Match[str]) -> str:
    part = (found[3] or found[4]).lower()
    return _written(int(found[1]), found[2], part in _LATE) + (" Uhr" if "Uhr" in found[0] else "")


def _han(found: re.Match[str]) -> str:
    minute = "30" if found[4] else found[3].zfill(2) if found[3] else None
    return _written(int(found[2]), minute, found[1] in _HAN_LATE)
