"""What a copy of a text does to its letters and marks: quotes, dashes, ligatures, broken lines, contractions, "w/o".

Nothing here touches numbers or formulas.
"""

from __future__ import annotations

import re

from magistral_recipe.curation.alternation import either

_WIDE_MARKS = str.maketrans({"：": ": ", "；": "; ", "？": "? ", "！": "! ", "，": ", "})
_LOST = str.maketrans(
    dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff\u200e\u200f", "")
    | {
        "œ": "oe",
        "Œ": "Oe",
        "æ": "ae",
        "Æ": "Ae",
        "ø": "o",
        "ł": "l",
        "ı": "i",
        "ẞ": "ß",
        "\u00a0": " ",
        "\u202f": " ",
        "−": "-",
        "‑": "-",
        "‐": "-",
    }
)
_MARKS = str.maketrans(
    {
        "△": " triangle ", "∠": " angle ", "⁄": "/", "⋅": "×", "∙": "×", "·": "×", "÷": "/", "−": "-", "‑": "-",
        "‐": "-", "′": "'", "’": "'", "‘": "'", "`": "'", "ʼ": "'", "´": "'", "“": '"', "”": '"', "«": '"', "»": '"',
        "„": '"', "‹": '"', "›": '"', "⟨": "(", "⟩": ")", "〈": "(", "〉": ")",
    }
)  # fmt: skip
_BROKEN_LINE = re.compile(r"(?<=[a-zäöüß]{2})-\n(?=[a-zäöüß]{2})")
_REPEATED = re.compile(r"\?[?!]+|(?<!!)!+\?+[?!]*|(?<=[^\W\d_]{2})!!+")
_ZERO = re.compile(r"(?<=\d)O(?=\d)")
# A dash between words or clauses; between numbers and letters it is a sign.
_RANGE = re.compile(r"(?<=[\d)])\s*[–—]\s*(?=[\d(])")
_MINUS = re.compile(r"(?<![0-9A-Za-z)\]])[–—](?=\d)")
_JOINED = re.compile(r"(?<=[a-zà-ÿа-я]{3})[–](?=[^\W_])|(?<=[a-z]{3})-(?=\d+(?![\d,.]*[^\s\w,.;:?!)])|[a-z](?![^\W_]))")
_DASH = re.compile(r"(?:—|–|(?<!-)--+)\s*|(?<=[^\W\d_]{2})\s+[-−]\s+(?=[^\W\d_]{2})")
_LETTER_JOINED = re.compile(r"(?<![\w-])([a-z])-(?=[a-z]{3})|(?<=[a-z]{3})-\s(?=[a-z](?![^\W_]))")
_COMPOUND = re.compile(r"(?<=\d)-(?=[^\W\d_]{2})")
_EXCLAIMED = re.compile(r"((?:^|[.?!…]\s)[^.?!=]*?[^\W\d_]{2} \d+)!(?=\s+[A-ZА-ЯÄÖÜ¿¡\"][^\W\d_]|\s*\n)")
_COMPUTES = re.compile(
    r"\b(?:what|find|how|compute|evaluate|factorial|divides?|divisors?|zeros|zeroes|value|of|by|for|does|in|until|n)\b(?=[^!]{0,40}!)",
    re.IGNORECASE,
)
_NOT = re.compile(r"(?<=[a-z])n't\b|(?<=\bcan)not\b", re.IGNORECASE)
_WILL_NOT = re.compile(r"\bwon't\b|\bshan't\b", re.IGNORECASE)
_LOST_APOSTROPHE = re.compile(
    r"\b(do|does|did|is|are|was|were|has|have|could|would|should)nt\b|\bcant\b", re.IGNORECASE
)
_CONTRACTED = re.compile(
    r"(?<=[^\W\d_])'(ll|re|ve|m|d|s)\b|(?<![^\W\d_])(what|who|where|how|when|there|it|that|here|he|she)'s\b",
    re.IGNORECASE,
)
_VERBS = {"ll": " will", "re": " are", "ve": " have", "m": " am", "d": " would", "s": ""}
_INVERTED = re.compile(r"-t(?=-(?:ils?|elles?|on)\b)", re.IGNORECASE)
_ELIDED = re.compile(r"(?<![^\W_])(?:[cdjlmnst]|qu|dell|all|nell|sull|dall|un)'(?=[^\W\d_])", re.IGNORECASE)
_TITLE = re.compile(
    r"(?<=\b(?:Mr|Ms|Dr|Sr|St|No|Mx))\.(?=\s)|(?<=\b(?:Mrs|Sra))\.(?=\s)|(?<=\bProf)\.(?=\s)", re.IGNORECASE
)
_ENGLISH = {
    "w/o": "without", "w/out": "without", "w/": "with", "b/c": "because", "b/w": "between", "btwn": "between",
    "# of": "number of", "no. of": "number of", "nr. of": "number of", "approx.": "approximately", "avg.": "average",
    "avg": "average", "prob.": "probability", "vs.": "versus", "vs": "versus", "resp.": "respectively",
    "max.": "maximum",
    "min. of": "minimum of", "ppl": "people", "thru": "through", "doz.": "dozen", "doz": "dozen", "pcs.": "pieces",
    "pcs": "pieces", "pkg.": "package", "qty.": "quantity", "ea.": "each", "wt.": "weight", "ht.": "height",
    "one another": "each other", "mon.": "Monday", "tue.": "Tuesday", "tues.": "Tuesday", "wed.": "Wednesday",
    "thu.": "Thursday", "thurs.": "Thursday", "fri.": "Friday", "jan.": "January", "feb.": "February",
    "aug.": "August", "sept.": "September", "oct.": "October", "nov.": "November", "dec.": "December",
    "pos.": "positive", "neg.": "negative", "int.": "integer", "ints": "integers", "eqn.": "equation",
    "eqn": "equation", "prob": "probability", "rect.": "rectangle", "pts": "points",
}  # fmt: skip
_OTHERS = {
    "qtas": "quantas", "qtos": "quantos", "qts": "quantos", "qdo": "quando", "tb": "também", "cdas": "cuántas",
    "c/u": "cada uno", "p/": "para", "c/": "com", "bzw.": "beziehungsweise", "z.b.": "zum Beispiel",
    "z. b.": "zum Beispiel", "d.h.": "das heißt", "d. h.": "das heißt", "ggf.": "gegebenenfalls", "u.": "und",
    "stk.": "Stück", "qqs": "quelques", "pdt": "pendant", "bcp": "beaucoup", "шт.": "штук", "кол-во": "количество",
    "т.е.": "то есть", "т. е.": "то есть", "т.к.": "так как", "др.": "других", "тыс.": "тысяч", "млн": "миллионов",
}  # fmt: skip


def _words(forms: dict[str, str]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w/.-])(?:{either(forms)})(?![\w-])", re.IGNORECASE)


_SHORTENED = {True: (_words(_ENGLISH), _ENGLISH), False: (_words(_OTHERS), _OTHERS)}
_WITH = re.compile(r"(?<![\w/])w/ ?(?=[a-z\d])")
_AND = re.compile(r"(?<=[^\W_]) ?& ?(?=[^\W_])")


def without_damage(text: str) -> str:
    """Mend what copying does to letters, before mathematics is read.

    Args:
        text: as a data set has it.

    Returns:
        The text without invisible characters, ligatures and words that a line's end broke in two.
    """
    if not text.isascii():
        text = _MINUS.sub("-", text.translate(_LOST).translate(_WIDE_MARKS))
    if "-\n" in text:
        text = _BROKEN_LINE.sub("", text)
    if "!" in text or "?" in text:
        text = _REPEATED.sub(lambda found: "?" if "?" in found[0] else "!", text)
        if "!" in text:
            text = _EXCLAIMED.sub(lambda found: found[0] if _COMPUTES.search(found[0]) else f"{found[1]}.", text)
    return _ZERO.sub("0", text)


def in_plain_marks(text: str) -> str:
    """One sign for each of the many quotes, dashes and dots; dashes between clauses are commas.

    Args:
        text: its mathematics in plain signs.

    Returns:
        The text.
    """
    if not text.isascii():
        text = text.translate(_MARKS)
        text = _RANGE.sub(" - ", text)
    if "-" in text or not text.isascii():
        text = _DASH.sub(", ", _JOINED.sub(" ", text))
        text = _COMPOUND.sub(" ", _LETTER_JOINED.sub(lambda found: f"{found[1] or ''} ", text))
    return text.replace("...", " … ") if "..." in text else text


def written_out(text: str, language: str) -> str:
    """Contractions and abbreviations of words as the words.

    Args:
        text: in plain marks.
        language: as `stems.language_of` tells it.

    Returns:
        The text.
    """
    if "&" in text:
        text = _AND.sub(" and ", text)
    text = _TITLE.sub("", text)
    pattern, forms = _SHORTENED[language == "en"]
    text = pattern.sub(lambda found: forms[found[0].lower()], text)
    if language == "en":
        if "w/" in text:
            text = _WITH.sub("with ", text)
        if "n" in text:
            text = _LOST_APOSTROPHE.sub(lambda found: f"{found[1] or 'can'} not", _WILL_NOT.sub("will not", text))
        text = _NOT.sub(" not", text)
        if "'" in text:
            text = _CONTRACTED.sub(_verb, text)
    elif "-t-" in text:
        text = _INVERTED.sub("", text)
    return text


def without_elisions(text: str) -> str:
    """ "l'eau", "dell'acqua" and "d'argent" without the article or preposition, which is run into the word."""
    return _ELIDED.sub(" ", text) if "'" in text else text


def _verb(found: re.Match[str]) -> str:
    return f"{found[2]} is" if found[2] else _VERBS[found[1].lower()]
