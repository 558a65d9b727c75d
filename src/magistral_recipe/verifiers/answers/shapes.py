r"""Shapes of answers, and the reader from text to shape.

An answer is a quantity (a number or expression, perhaps with a unit), a list (bare, tuple, set, interval),
a union of those, a matrix, a relation (equation, inequality), words, or opaque: a text that is compared as
it stands, and by SymPy where both sides are mathematics. Reading is strict and total: it never guesses a
number out of a text, and never raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from magistral_recipe.verifiers.answers import units
from magistral_recipe.verifiers.answers.expressions import Node, UnreadableError, contains, parse, with_signs
from magistral_recipe.verifiers.answers.text import (
    MAX_LENGTH,
    THOUSANDS,
    Token,
    clean,
    is_word,
    join_thousands,
    split_runs,
    tokens,
    word_set,
    words_of,
)


@dataclass(frozen=True)
class Shape:
    """Base of all shapes; ``text`` is the answer in clean notation without spaces."""

    text: str


@dataclass(frozen=True)
class Quantity(Shape):
    """A number or an expression, perhaps with a unit.

    ``value`` is its exact value where it is written as a number (an integer, a decimal, one fraction, a mixed
    number, in powers of ten), else ``None``; ``fraction`` says that it is written as a fraction; ``places`` counts
    the decimal places of a decimal.
    """

    node: Node
    unit: str | None = None
    value: Fraction | None = None
    fraction: bool = False
    places: int | None = None


@dataclass(frozen=True)
class Listing(Shape):
    """Several answers: ``brackets`` is ``""``, ``{}``, ``:`` for a ratio, or a pair of ``( [`` and ``) ]``."""

    brackets: str
    items: tuple[Shape, ...]


@dataclass(frozen=True)
class Union(Shape):
    """Intervals and sets joined by cups."""

    parts: tuple[Shape, ...]


@dataclass(frozen=True)
class Matrix(Shape):
    """Rows of entries."""

    rows: tuple[tuple[Shape, ...], ...]


@dataclass(frozen=True)
class Relation(Shape):
    """``sides[0] op sides[1] ...``; ``label`` names the left side of an equation that only gives a value its name."""

    ops: tuple[str, ...]
    sides: tuple[Shape, ...]
    label: str | None = None


@dataclass(frozen=True)
class Words(Shape):
    """Prose, or the letter of a choice with what follows it."""

    words: str
    rest: str = ""


@dataclass(frozen=True)
class Opaque(Shape):
    """What has no other shape.

    ``why`` is ``unread`` (perhaps SymPy knows), ``exact`` (compared as it stands), ``unevaluated`` (an integral, a
    sum ...), ``hedge``, or ``broken``.
    """

    why: str = "unread"


_UNEVALUATED = word_set(
    "int iint oint sum prod lim limsup liminf det gcd lcm max min sup inf bmod pmod mod operatorname"
)
_HEDGES = word_set(
    "not maybe perhaps probably about approximately approx roughly around nearly almost either neither possibly "
    "likely unless except but so guess unsure unknown any all every some whichever depends ish"
)
_RELATIONS = {
    "=": "=",
    "<": "<",
    ">": ">",
    "leq": "<=",
    "geq": ">=",
    "neq": "!=",
    "approx": "~",
    "in": "in",
    "equiv": "mod",
}
_OPEN = frozenset({"(", "[", "{", "\\{", "lfloor", "lceil", "langle"})
_CLOSE = frozenset({")", "]", "}", "\\}", "rfloor", "rceil", "rangle"})
_CHOICE = re.compile(r"\(?([A-Z])\)?[.):]?")
_CHOICE_WITH_VALUE = re.compile(r"\(([A-Z])\)[.:]?\s*(\S.*)", re.DOTALL)
_MATRIX = re.compile(
    r"\\begin ?\{ ?([pbBvV]?)(matrix|smallmatrix|array) ?\}(?: ?\{[lcr| ]*\})?(.*)\\end ?\{ ?\1\2 ?\}", re.DOTALL
)
_INDEX_SET = re.compile(  # the integers that a family of solutions runs over
    r"\s*[,;]?\s*(?:\\text\{(?:where|for|with)?\s*\})?\s*\(?[a-z] ?\\in ?\\mathbb ?\{?[ZN]\}?(?:\^?\+)?\)?$"
)
_SYSTEM = re.compile(
    r"(?:\\\{)?\s*\\begin ?\{(?:cases|array|aligned|gathered)\}(?:\s*\{[lcr| ]*\})?"
    r"((?:(?!\\begin|\\text|\\quad|\bif\b).)*=(?:(?!\\begin|\\text|\bif\b).)*)"
    r"\\end ?\{(?:cases|array|aligned|gathered)\}",
    re.DOTALL,
)
_LETTERS = re.compile(r"(?:[A-Z]|\([A-Z]\))(?:(?:\s*,\s*|\s*,?\s+and\s+)(?:[A-Z]|\([A-Z]\)))+")
_BASED = re.compile(r"\(?([0-9A-Z]+)\)?_(?:\{(\w+)\}|(\w)|\{?\\text\{(\w+)\}\}?)")
_BASES = {"two": "2", "three": "3", "five": "5", "eight": "8", "ten": "10", "twelve": "12", "sixteen": "16"}
_TIME = re.compile(r"\d{1,2}:\d\d(?!\d)")


def read(text: str) -> Shape:
    """Read an answer, remembering recent ones.

    Args:
        text: the content of a box, or a reference.

    Returns:
        Its shape; `Opaque` where there is nothing better.
    """
    if len(text) > MAX_LENGTH:
        return Opaque(re.sub(r"\s+", " ", text.strip()), "unread")
    return _read(text)


@lru_cache(maxsize=4096)
def _read(text: str) -> Shape:
    cleaned = clean(text)
    if not balanced(cleaned):
        return Opaque(_compact(cleaned), "broken")
    try:
        return _read_clean(cleaned)
    except RecursionError:
        return Opaque(_compact(cleaned), "unread")


def readings(text: str) -> list[Shape]:
    """Return all readings of an answer: ``100,200`` is one number, but also a list of two."""
    if len(text) > MAX_LENGTH:
        return [read(text)]
    first = read(text)
    cleaned = clean(text)
    if THOUSANDS.search(cleaned) and balanced(cleaned):
        second = _read_clean(cleaned, thousands=isinstance(first, Listing) and bool(first.brackets))
        if second != first:
            return [first, second]
    return [first]


def balanced(text: str) -> bool:
    """Whether braces match, and nothing ends in a backslash."""
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        depth += (match.group() == "{") - (match.group() == "}")
        if depth < 0:
            return False
    return depth == 0 and not re.search(r"(?<!\\)(?:\\\\)*\\$", text)


def _compact(text: str) -> str:
    """Without spaces, but those between letters and digits: ``4 2`` is not 42."""
    text = re.sub(r"\\text\{\s*\}", "", text)
    text = re.sub(r"\s+(?=\W)|(?<=\W)\s+", "", text)
    return re.sub(r"\{(\w)\}", r"\1", re.sub(r"(?<=[a-zA-Z])\{(\w)\}", r" \1", text))


_SPEED = re.compile(r"(?<=\d) ?((?:m|g|l|J|N|L|kg|km|cm|mi|ft|mol) ?/ ?(?:s|h|min|mol|L|l|m|kg|hr)(?:\^\{?[23]\}?)?)$")


def _read_clean(text: str, thousands: bool | None = None) -> Shape:
    compact = _compact(text)
    if (based := _BASED.fullmatch(compact)) and based[1][0].isdigit():
        base = (based[2] or based[3] or based[4]).lower()
        return Opaque(f"{based[1]}_{_BASES.get(base, base)}", "exact")
    if prose := _prose(text, compact):
        return prose
    text = _INDEX_SET.sub("", text)
    if system := _SYSTEM.fullmatch(text):
        rows = [row.strip(" ,") for row in re.split(r"\\\\|\\ ", system[1].replace("&", ""))]
        text = ", ".join(row for row in rows if row)
    if matrix := _matrix(text, compact):
        return matrix
    # Inside brackets a comma before three digits separates, unless other commas there are followed by a space.
    if thousands if thousands is not None else not re.match(r"[(\[]|\\\{", text) or ", " in text:
        text = join_thousands(text)
    text = _SPEED.sub(r"\\text{\1}", text)
    return _read_tokens(split_runs(tokens(text)), compact)


def _prose(text: str, compact: str) -> Shape | None:
    """Words alone, or the letter of a choice."""
    plain = re.sub(r"\\text\{([^{}]*)\}", r"\1", text).strip()
    if (match := _CHOICE.fullmatch(plain)) and (plain != match[1] or match[1] in "ABCDE"):
        return Words(compact, match[1])
    if _LETTERS.fullmatch(plain):
        return Listing(compact, "", tuple(Words(letter, letter) for letter in re.findall("[A-Z]", plain)))
    if match := _CHOICE_WITH_VALUE.fullmatch(plain):
        return Words(compact, match[1], match[2])
    if _TIME.match(plain) and re.search(r"[^\W\d_]", plain) and "\\" not in plain:
        return Words(compact, words_of(re.sub(r"(?<=\d)(?=[^\W\d_])", " ", plain)))
    if re.search(r"[\\{}^_=<>+*/|¤€£¥%]", plain) or not re.search(r"[^\W\d_]{2}", plain):
        return None
    runs = re.findall(r"[^\W\d_]+", plain)
    whole = re.fullmatch(r"[^\W\d_]{3,}", plain) or (len(plain) == 2 and plain.isupper())
    if whole and plain.lower() not in ("sin", "cos", "tan"):
        return Words(compact, words_of(plain) if len(plain) > 2 else plain)
    if re.match(r"[-+(\[]*[\d.]", plain):
        return None  # a number, and what follows it
    if any(run.lower() in ("or", "and") for run in runs) and _separable(text):
        return None
    if all(is_word(run) or len(run) > 1 for run in runs) or "\\text" in text:
        return Words(compact, words_of(plain))
    return None


def _separable(text: str) -> bool:
    """Whether ``and`` or ``or`` stands between mathematics rather than in a sentence."""
    parts = re.split(r"\\text\{\s*(?:and|or)\s*\}|\b(?:and|or)\b", text)
    return all(not re.search(r"[^\W\d_]{4}", re.sub(r"\\[a-zA-Z]+", "", part)) for part in parts)


def _matrix(text: str, compact: str) -> Shape | None:
    match = _MATRIX.fullmatch(text)
    if match is None:
        return Opaque(compact, "unread") if "\\begin" in text else None
    if match[1] in ("v", "V"):
        return Opaque(compact, "unevaluated")
    if "\\begin" in match[3]:
        return Opaque(compact, "unread")
    body = match[3].strip()
    body = body[:-2] if body.endswith("\\\\") else body
    rows = tuple(tuple(read(entry) for entry in row.split("&")) for row in body.split("\\\\"))
    return Matrix(compact, rows) if len({len(row) for row in rows}) == 1 else Opaque(compact, "unread")


def _read_tokens(raw: list[Token], compact: str) -> Shape:
    if not raw:
        return Opaque(compact, "broken")
    if interval := _outward_interval(raw, compact):
        return interval
    if not _paired(raw):
        return Opaque(compact, "broken")
    hedge = _hedge(raw)
    if hedge:
        return Opaque(compact, "hedge")
    parts = _split(raw, _is_separator)
    if len(parts) > 1:
        parts = [part for part in parts if part]
        return Listing(compact, "", tuple(_read_tokens(part, _text_of(part)) for part in parts))
    if relation := _relation(raw, compact):
        return relation
    if len(cups := _split(raw, lambda token: token == ("cmd", "cup"))) > 1:
        return Union(compact, tuple(_read_tokens(part, _text_of(part)) for part in cups))
    if bracketed := _bracketed(raw, compact):
        return bracketed
    return _quantity(raw, compact)


def _text_of(raw: list[Token]) -> str:
    return "".join(f"\\{token.value}" if token.kind == "cmd" else token.value for token in raw)


def _paired(raw: list[Token]) -> bool:
    depth = 0
    for token in raw:
        if token.kind in ("op", "cmd"):
            depth += (token.value in _OPEN) - (token.value in _CLOSE)
            if depth < 0:
                return False
    return depth == 0


def _hedge(raw: list[Token]) -> bool:
    for index, token in enumerate(raw):
        if token.kind in ("word", "text") and any(word in _HEDGES for word in re.findall(r"\w+", token.value.lower())):
            return True
        if token == ("op", "?"):
            return True
        # Digits inside prose beside a number: "4 \text{ apples, not 5}", "4 \text{ (maybe 5)}".
        if token.kind == "text" and index and re.search(r"\d", token.value) and not units.known(token.value):
            return True
    return False


def _is_separator(token: Token) -> bool:
    if token.kind == "op":
        return token.value in (",", ";")
    return token.kind in ("word", "text") and words_of(token.value) in ("and", "or", "")


def _split(raw: list[Token], is_separator: object) -> list[list[Token]]:
    """Split at the separators outside all brackets."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in raw:
        if token.kind in ("op", "cmd"):
            depth += (token.value in _OPEN) - (token.value in _CLOSE)
        if depth == 0 and is_separator(token):  # type: ignore[operator]
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _outward_interval(raw: list[Token], compact: str) -> Shape | None:
    """``]0,1[`` and ``[0,1[``, as French and German write open ends; also ``[0,1)``, whose brackets do not pair."""
    first, last = raw[0], raw[-1]
    if len(raw) < 4 or first.kind != "op" or last.kind != "op":
        return None
    if first.value not in "[](" or last.value not in "[])":
        return None
    inner = raw[1:-1]
    if not _paired(inner):
        return None
    parts = _split(inner, lambda token: token.kind == "op" and token.value in (",", ";"))
    if len(parts) != 2 or not all(parts):
        return None
    opening = "[" if first.value == "[" else "("
    closing = "]" if last.value == "]" else ")"
    if first.value == last.value and first.value not in "[]":
        return None
    return Listing(compact, opening + closing, tuple(_read_tokens(part, _text_of(part)) for part in parts))


def _relation(raw: list[Token], compact: str) -> Shape | None:
    ops = [_RELATIONS[token.value] for token in _outside(raw) if _is_relation(token)]
    if not ops:
        parts = _split(raw, lambda token: token == ("op", ":"))
        if len(parts) > 1 and all(parts):
            return Listing(compact, ":", tuple(_read_tokens(part, _text_of(part)) for part in parts))
        return None
    parts = _split(raw, _is_relation)
    if ops[0] == "~" and not parts[0] and len(ops) == 1 and parts[1]:
        return _read_tokens(parts[1], compact)
    if not all(parts) or "mod" in ops:
        return Opaque(compact, "exact")
    if ops == ["in"]:
        return _read_tokens(parts[1], compact)
    label = _label(parts[0]) if ops == ["="] else None
    left = Opaque(_text_of(parts[0]), "label") if label else _read_tokens(parts[0], _text_of(parts[0]))
    sides = (left, *(_read_tokens(part, _text_of(part)) for part in parts[1:]))
    return Relation(compact, tuple(ops), sides, label)


def _outside(raw: list[Token]) -> list[Token]:
    depth, found = 0, []
    for token in raw:
        if token.kind in ("op", "cmd"):
            depth += (token.value in _OPEN) - (token.value in _CLOSE)
        if depth == 0:
            found.append(token)
    return found


def _is_relation(token: Token) -> bool:
    return (
        token.kind in ("op", "cmd") and token.value in _RELATIONS and not (token.kind == "op" and token.value == "in")
    )


_LABEL = re.compile(
    r"(?:\\(?:angle|triangle|overline|overrightarrow|vec|hat|bar|mathbb|measuredangle|Delta|alpha|beta|gamma|theta|lambda|mu|"
    r"sigma|phi|omega|delta|rho|tau|kappa|eta|xi|psi|varphi)|[A-Za-z]|_(?:\{\w+\}|\w)|'|\{|\})+"
    r"(?:\([\w,'\\]*\))?"
    r"|\((?:[a-zA-Z](?:_\w+)?,)+[a-zA-Z](?:_\w+)?\)"
)


def _label(raw: list[Token]) -> str | None:
    """The name that an equation's left side is, if it is nothing but a name: ``x``, ``f(2)``, ``AB``, ``Area``."""
    if all(token.kind in ("text", "word") for token in raw):
        name = " ".join(token.value for token in raw)
        return words_of(name) if not re.search(r"\d", name) else None
    if any(token.kind in ("text", "word") for token in raw) or len(raw) > 12:
        return None
    text = _text_of(raw)
    if not _LABEL.fullmatch(text) or text in ("e", "i"):
        return None
    if _function_application(raw) or all(token.kind != "op" or token.value in "_{}'(),|" for token in raw):
        return text
    return None


def _function_application(raw: list[Token]) -> bool:
    return len(raw) > 2 and raw[0].kind == "var" and raw[1] == ("op", "(")


def _bracketed(raw: list[Token], compact: str) -> Shape | None:
    first, last = raw[0], raw[-1]
    pair = {("\\{", "\\}"): "{}", ("(", ")"): "()", ("[", "]"): "[]", ("langle", "rangle"): "()"}.get(
        (first.value, last.value)
    )
    if pair is None or not _paired(raw[1:-1]):
        return Opaque(compact, "unevaluated") if any(t.value in ("setminus", "cap") for t in raw) else None
    inner = raw[1:-1]
    if pair == "{}":
        if not inner:
            return Listing(compact, "{}", ())
        condition = _split(inner, lambda token: token.kind == "op" and token.value in ("|", ":"))
        if len(condition) == 2 and any(_is_relation(token) for token in condition[1]):
            return _read_tokens(condition[1], compact)
    parts = _split(inner, lambda token: token.kind == "op" and token.value in (",", ";"))
    if pair == "{}" or len(parts) > 1:
        if not all(parts):
            return Opaque(compact, "unread")
        return Listing(compact, pair, tuple(_read_tokens(part, _text_of(part)) for part in parts))
    return None


def _quantity(raw: list[Token], compact: str) -> Shape:
    if raw == [Token("cmd", "emptyset")]:
        return Listing(compact, "{}", ())
    if compact in (r"\mathbb R", r"\mathbb{R}"):
        infinite = Node("const", value="inf")
        ends = (Quantity(r"-\infty", Node("neg", (infinite,))), Quantity(r"\infty", infinite))
        return Listing(compact, "()", ends)
    if any(token.kind == "cmd" and token.value in _UNEVALUATED for token in raw):
        return Opaque(compact, "unevaluated")
    bare, unit, scale = units.take(raw)
    try:
        node = parse(list(bare))
    except (UnreadableError, ValueError):
        return _words_or_opaque(raw, compact)
    if contains(node, "pair") or (contains(node, "inf") and not _is_infinity(node)):
        return Opaque(compact, "exact")
    if contains(node, "pm"):
        signs = [with_signs(node, sign) for sign in (1, -1)]
        return Listing(compact, "", tuple(_written(f"{compact}{n}", node, unit, scale) for n, node in enumerate(signs)))
    return _written(compact, node, unit, scale, _places(bare))


def _is_infinity(node: Node) -> bool:
    return node.op == "const" or (node.op == "neg" and node.args[0].op == "const")


def _places(raw: list[Token]) -> int | None:
    numbers = [token.value for token in raw if token.kind == "num"]
    if len(numbers) == 1 and all(token.kind == "num" or token.value in ("-", "+", "(", ")", "{", "}") for token in raw):
        return len(numbers[0].partition(".")[2])
    return None


def _words_or_opaque(raw: list[Token], compact: str) -> Shape:
    prose = all(token.kind in ("word", "text", "num") or token.value in ".,:-'()" for token in raw)
    if prose and any(token.kind in ("word", "text") for token in raw):
        return Words(compact, words_of(" ".join(token.value for token in raw)))
    return Opaque(compact, "unread")


def _written(compact: str, node: Node, unit: str | None, scale: int, places: int | None = None) -> Quantity:
    if node.op == "deg":
        node, unit = node.args[0], unit or "deg"
    value, fraction = literal(node)
    if scale != 1:
        node = Node("mul", (node, Node("num", value=Fraction(scale))))
        value = value * scale if value is not None else None
    return Quantity(compact, node, unit, value, fraction, places)


def literal(node: Node) -> tuple[Fraction | None, bool]:
    """Return the value of what is written as a number, and whether it is written as a fraction of integers.

    Integers, decimals, a fraction of two such, mixed numbers, and powers of ten with or without a factor are
    numbers; sums, products, roots and other powers still have to be computed, and are not.
    """
    if node.op == "num":
        return node.value, False
    if node.op == "neg" and node.args[0].op != "neg":
        value, fraction = literal(node.args[0])
        return (None if value is None else -value), fraction
    if node.op == "mixed":
        whole, (part, _) = node.args[0].value, literal(node.args[1])
        return (None if part is None else whole + part), False
    if node.op == "div":
        top, bottom = (_signed_number(part) for part in node.args)
        return (top / bottom, True) if top is not None and bottom else (None, False)
    if node.op == "mul" and node.args[0].op in ("num", "neg"):
        factor, (power, _) = _signed_number(node.args[0]), _power_of_ten(node.args[1])
        return (factor * power, False) if factor is not None and power is not None else (None, False)
    return _power_of_ten(node)


def _signed_number(node: Node) -> Fraction | None:
    if node.op == "neg" and node.args[0].op == "num":
        return -node.args[0].value
    return node.value if node.op == "num" else None


def _power_of_ten(node: Node) -> tuple[Fraction | None, bool]:
    if node.op != "pow" or node.args[0] != Node("num", value=Fraction(10)):
        return None, False
    exponent = _signed_number(node.args[1])
    if exponent is None or exponent.denominator != 1 or abs(exponent) > 1000:
        return None, False
    return Fraction(10) ** int(exponent), False
