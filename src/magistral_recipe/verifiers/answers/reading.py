r"""The reader from an answer's text to its shape.

Reading is strict and total: it never guesses a number out of a text, and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from magistral_recipe.verifiers.answers import units
from magistral_recipe.verifiers.answers.expressions import Node, UnreadableError, contains, parse, with_signs
from magistral_recipe.verifiers.answers.labels import label_of
from magistral_recipe.verifiers.answers.literals import literal
from magistral_recipe.verifiers.answers.shapes import Listing, Matrix, Opaque, Quantity, Relation, Shape, Union, Words
from magistral_recipe.verifiers.answers.text import (
    MAX_LENGTH,
    THOUSANDS,
    Token,
    clean,
    join_thousands,
    split_runs,
    text_of,
    tokens,
    word_set,
    words_of,
)
from magistral_recipe.verifiers.answers.worded import read_prose

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
_BASED = re.compile(r"\(?([0-9A-Z]+)\)?_(?:\{(\w+)\}|(\w)|\{?\\text\{(\w+)\}\}?)")
_BASES = {"two": "2", "three": "3", "five": "5", "eight": "8", "ten": "10", "twelve": "12", "sixteen": "16"}


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
    if prose := read_prose(text, compact):
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
        return Listing(compact, "", tuple(_read_tokens(part, text_of(part)) for part in parts))
    if relation := _relation(raw, compact):
        return relation
    if len(cups := _split(raw, lambda token: token == ("cmd", "cup"))) > 1:
        return Union(compact, tuple(_read_tokens(part, text_of(part)) for part in cups))
    if bracketed := _bracketed(raw, compact):
        return bracketed
    return _quantity(raw, compact)


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


def _split(raw: list[Token], is_separator: Callable[[Token], bool]) -> list[list[Token]]:
    """Split at the separators outside all brackets."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in raw:
        if token.kind in ("op", "cmd"):
            depth += (token.value in _OPEN) - (token.value in _CLOSE)
        if depth == 0 and is_separator(token):
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
    return Listing(compact, opening + closing, tuple(_read_tokens(part, text_of(part)) for part in parts))


def _relation(raw: list[Token], compact: str) -> Shape | None:
    ops = [_RELATIONS[token.value] for token in _outside(raw) if _is_relation(token)]
    if not ops:
        parts = _split(raw, lambda token: token == ("op", ":"))
        if len(parts) > 1 and all(parts):
            return Listing(compact, ":", tuple(_read_tokens(part, text_of(part)) for part in parts))
        return None
    parts = _split(raw, _is_relation)
    if ops[0] == "~" and not parts[0] and len(ops) == 1 and parts[1]:
        return _read_tokens(parts[1], compact)
    if not all(parts) or "mod" in ops:
        return Opaque(compact, "exact")
    if ops == ["in"]:
        return _read_tokens(parts[1], compact)
    label = label_of(parts[0]) if ops == ["="] else None
    left = Opaque(text_of(parts[0]), "label") if label else _read_tokens(parts[0], text_of(parts[0]))
    sides = (left, *(_read_tokens(part, text_of(part)) for part in parts[1:]))
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
        return Listing(compact, pair, tuple(_read_tokens(part, text_of(part)) for part in parts))
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
