r"""The reader from an answer's text to its shape.

Reading is strict and total: it never guesses a number out of a text, and never raises.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from magistral_recipe.verifiers.answers import units
from magistral_recipe.verifiers.answers.brackets import outside, paired, split
from magistral_recipe.verifiers.answers.clock import read_clock
from magistral_recipe.verifiers.answers.compounds import read_compound
from magistral_recipe.verifiers.answers.everyday import formal
from magistral_recipe.verifiers.answers.expressions import (
    Node,
    UnreadableError,
    contains,
    parse,
    variables,
    with_signs,
)
from magistral_recipe.verifiers.answers.labels import label_of
from magistral_recipe.verifiers.answers.literals import literal
from magistral_recipe.verifiers.answers.matrices import read_matrix
from magistral_recipe.verifiers.answers.qualifiers import without_clauses
from magistral_recipe.verifiers.answers.sets import outward_interval, read_reals, set_difference, set_of
from magistral_recipe.verifiers.answers.shapes import (
    Congruence,
    Listing,
    Opaque,
    Quantity,
    Relation,
    Shape,
    Union,
    Words,
)
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
from magistral_recipe.verifiers.answers.values import TooBigError
from magistral_recipe.verifiers.answers.vectors import read_vector
from magistral_recipe.verifiers.answers.worded import read_prose, without_lead

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
    "notin": "not in",
    "equiv": "mod",
}
_SYSTEM = re.compile(
    r"(?:\\\{)?\s*\\begin ?\{(?:cases|array|aligned|gathered)\}(?:\s*\{[lcr| ]*\})?"
    r"((?:(?!\\begin|\\text|\\quad|\bif\b).)*=(?:(?!\\begin|\\text|\bif\b).)*)"
    r"\\end ?\{(?:cases|array|aligned|gathered)\}",
    re.DOTALL,
)
_BASED = re.compile(
    r"\(?([0-9][0-9A-Z]*)\)?(?:_(?:\{?\(?(\w+)\)?\}?|\{?\\text\{(?:base ?)?(\w+)\}(\d*)\}?)"
    r"|(?:\\text\{)?\(?(?:in )?base ?\}? ?(\d+|two|eight|ten)\)?\}?)"
)
_DIGITS = re.compile(r"(?:\\text\{)?(\d[\dA-F]*[A-F][\dA-F]*\d[\dA-F]*|\d[\dA-F]*\d[A-F]+)\}?")
_BASES = {"two": "2", "three": "3", "five": "5", "eight": "8", "ten": "10", "twelve": "12", "sixteen": "16"}
_ORDINAL = re.compile(r"(\d+) ?\^? ?\{? ?(?:\\text\{ ?)?(?:st|nd|rd|th)(?: ?\}){0,2}")
_CONGRUENCE = re.compile(
    r"(?:(?P<subject>[a-zA-Z](?:_\w)?)\\equiv)?(?P<residues>-?\d+(?:,-?\d+)*)"
    r"\(?\\?(?:pmod|bmod|mod)[{(]?(?P<modulus>[1-9]\d*)[})]*"
)
_UNIT_IN_BRACES = re.compile(r"(?<=\d) ?\{ ?([a-zA-Z]{1,4}|\\text\{[^{}]*\}) ?\}(?=\^|$)")
_UNIT_BEHIND = re.compile(r"(-?\d[\d.,]*|\\frac ?\{-?\d+\} ?\{\d+\}) ([mshgLlJNWVAKCFTH])(?:(?: ?\^ ?\{?)?([23])\}?)?")
_ENDS = frozenset("mshgLlJNWVAKCFTH23} ")
_PLAIN_NUMBER = re.compile(r"(-?)(\d{1,30}(?:\.\d{1,30})?)")
_OR = word_set("or oder ou o или 或 或者 أو ou, ou bien")
_AND = word_set("and et und y e и 和 و 与 &")


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
    if match := _PLAIN_NUMBER.fullmatch(text):
        return _plain_number(match)
    cleaned = clean(text)
    if not balanced(cleaned):
        return Opaque(_compact(cleaned), "broken")
    try:
        return _read_clean(cleaned)
    except (RecursionError, TooBigError):
        return Opaque(_compact(cleaned), "unread")


def readings(text: str) -> list[Shape]:
    """Return all readings of an answer: ``100,200`` is one number, but also a list of two; ``5 m`` a length too."""
    first = read(text)
    return [first, *(shape for shape in (_as_thousands(text, first), _as_length(text)) if shape not in (None, first))]  # type: ignore[list-item]


def reference_readings(text: str) -> list[Shape]:
    """Return the readings of a reference: ``5 m`` as a product, and as a length."""
    first = read(text)
    return [first, *(shape for shape in (_as_length(text),) if shape is not None)]


def _plain_number(match: re.Match[str]) -> Quantity:
    """What most answers are, an integer or a decimal, without the reader's many steps."""
    sign, digits = match[1], match[2]
    value = Fraction(digits)
    node = Node("num", value=value)
    if sign:
        node, value = Node("neg", (node,)), -value
    places = len(digits.partition(".")[2])
    return Quantity(match[0], node, None, value, False, places, len(digits.replace(".", "").lstrip("0")))


def _as_thousands(text: str, first: Shape) -> Shape | None:
    if len(text) > MAX_LENGTH or "," not in text:
        return None
    cleaned = clean(text)
    if not THOUSANDS.search(cleaned) or not balanced(cleaned):
        return None
    try:
        return _read_clean(cleaned, thousands=isinstance(first, Listing) and bool(first.brackets))
    except (RecursionError, TooBigError):
        return None


def _as_length(text: str) -> Shape | None:
    """A number, a space and one letter that is a unit's symbol, which may also be a variable."""
    if len(text) > 40 or text[-1:] not in _ENDS or (match := _UNIT_BEHIND.fullmatch(clean(text))) is None:
        return None
    unit = match[2] + (f"^{match[3]}" if match[3] else "")
    return _read_clean(rf"{match[1]}\text{{{unit}}}")


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
    text = without_lead(formal(text))
    compact = _compact(text)
    if shape := _read_form(text, compact):
        return shape
    shorter, bound = without_clauses(text)
    if shorter != text:
        return replace(_read_clean(shorter, thousands), bound=bound)
    if system := _SYSTEM.fullmatch(text):
        rows = [row.strip(" ,") for row in re.split(r"\\\\|\\ ", system[1].replace("&", ""))]
        text = ", ".join(row for row in rows if row)
    # Inside brackets a comma before three digits separates, unless other commas there are followed by a space.
    if thousands if thousands is not None else not re.match(r"[(\[]|\\\{", text) or ", " in text:
        text = join_thousands(text)
    text = _UNIT_IN_BRACES.sub(_unit_in_braces, _SPEED.sub(r"\\text{\1}", text))
    return _read_tokens(split_runs(tokens(text)), compact)


def _read_form(text: str, compact: str) -> Shape | None:
    """Read what is told by its form as a whole: digits of a base, times, ordinals, congruences, prose."""
    if (based := _BASED.fullmatch(compact)) and not (based[2] or "").isalpha() | (based[2] in _BASES):
        base = (based[2] or based[4] or based[3] or based[5]).lower()
        base = _BASES.get(base, base)
        return read(based[1]) if base == "10" and based[1].isdigit() else Opaque(f"{based[1]}_{base}", "exact")
    if digits := _DIGITS.fullmatch(compact):
        return Opaque(digits[1], "exact")
    if time := read_clock(text):
        return time
    if ordinal := _ORDINAL.fullmatch(text):
        return _read_clean(ordinal[1])
    if "mod" in compact and (
        match := _CONGRUENCE.fullmatch(re.sub(r"\\text\{([^{}]*)\}| ", r"\1", text).replace(" ", ""))
    ):
        residues = tuple(int(residue[:300]) for residue in match["residues"].split(","))
        return Congruence(compact, match["subject"] or "", residues, int(match["modulus"][:300]))
    return read_prose(text, compact)


def _unit_in_braces(match: re.Match[str]) -> str:
    inner = match[1]
    return (
        inner if inner[0] == "\\" else rf"\text{{{inner}}}" if units.measure(units.canonical(inner) or "") else match[0]
    )


def _read_tokens(raw: list[Token], compact: str) -> Shape:
    raw = [piece for token in raw for piece in _joints_apart(token)]
    if not raw:
        return Opaque(compact, "broken")
    if interval := outward_interval(raw, compact, _read_tokens):
        return interval
    if not paired(raw):
        return Opaque(compact, "broken")
    if _hedge(raw):
        return Opaque(compact, "hedge")
    if compound := read_compound(raw, compact):
        return compound
    parts = split(raw, _is_separator)
    if len(parts) > 1:
        items = tuple(_read_tokens(part, text_of(part)) for part in parts if part)
        return Listing(compact, "", items, _joint(raw))
    if relation := _relation(raw, compact):
        return relation
    if len(cups := split(raw, lambda token: token == ("cmd", "cup"))) > 1:
        return Union(compact, tuple(_read_tokens(part, text_of(part)) for part in cups))
    if difference := set_difference(raw, compact, _read_tokens):
        return difference
    if matrix := read_matrix(raw, compact, _read_entry):
        return matrix
    if bracketed := _bracketed(raw, compact):
        return bracketed
    return _quantity(raw, compact)


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
        return token.value in (",", ";", "&")
    return token.kind in ("word", "text") and (not (word := words_of(token.value)) or word in _OR or word in _AND)


def _joints_apart(token: Token) -> list[Token]:
    """Prose that ends in ``and`` or ``or``, or begins with it, as two pieces: ``\\text{ cows and }``."""
    if token.kind != "text" or " " not in token.value:
        return [token]
    first, _, rest = token.value.partition(" ")
    rest_of, _, last = token.value.rpartition(" ")
    if words_of(last) in _OR | _AND and len(last) > 1:
        return [Token("text", rest_of.rstrip(" ,")), Token("text", last)]
    if words_of(first) in _OR | _AND and len(first) > 1:
        return [Token("text", first), Token("text", rest)]
    return [token]


def _joint(raw: list[Token]) -> str:
    """The word that joins a list: ``or`` outweighs ``and``, that outweighs a comma."""
    words = {words_of(token.value) for token in outside(raw) if token.kind in ("word", "text")}
    return "or" if words & _OR else "and" if words & _AND else ","


def _read_entry(text: str) -> Shape:
    """Read the entry of a matrix, already clean."""
    return _read_clean(text.strip())


def _relation(raw: list[Token], compact: str) -> Shape | None:
    ops = [_RELATIONS[token.value] for token in outside(raw) if _is_relation(token)]
    if not ops:
        parts = split(
            raw, lambda token: token == ("op", ":") or (token.kind in ("text", "word") and token.value == "to")
        )
        if len(parts) > 1 and all(parts):
            return Listing(compact, ":", tuple(_read_tokens(part, text_of(part)) for part in parts))
        return None
    parts = split(raw, _is_relation)
    if ops[0] == "~" and not parts[0] and len(ops) == 1 and parts[1]:
        return _read_tokens(parts[1], compact)
    if not all(parts) or "not in" in ops:
        return Opaque(compact, "exact")
    labels = [label_of(part) for part in parts]
    if "mod" in ops:
        if ops != ["mod"] or labels[0] is None or any(token.value in ("pmod", "bmod", "mod") for token in raw):
            return Opaque(compact, "exact")
        ops = ["="]  # f \equiv 0
    sides = [_read_tokens(part, text_of(part)) for part in parts]
    if ops == ["in"]:
        return Relation(compact, ("in",), tuple(sides), labels[0]) if labels[0] else Opaque(compact, "exact")
    if not set(ops) <= {"=", "~"}:
        return Relation(compact, tuple(ops), tuple(sides))
    if (
        len(parts) == 2
        and not labels[0]
        and re.fullmatch(r"[a-zA-Z](?:_\w+)?", labels[1] or "")
        and _constant(sides[0])
    ):
        labels, sides = labels[::-1], sides[::-1]  # 7 = n
    names = [label for label in labels[:-1] if label]
    names = names[: next((index for index, label in enumerate(labels[:-1]) if not label), len(names))]
    skipped = max(len(names) - 1, 0)
    return Relation(compact, tuple(ops[skipped:]), tuple(sides[skipped:]), names[0] if names else None, tuple(names))


def _constant(shape: Shape) -> bool:
    return isinstance(shape, Quantity) and not variables(shape.node)


def _is_relation(token: Token) -> bool:
    return (
        token.kind in ("op", "cmd") and token.value in _RELATIONS and not (token.kind == "op" and token.value == "in")
    )


def _bracketed(raw: list[Token], compact: str) -> Shape | None:
    first, last = raw[0], raw[-1]
    if first == ("cmd", "pm") and len(raw) > 2:
        return _both_signs(_bracketed(raw[1:], compact), compact)
    pair = {("\\{", "\\}"): "{}", ("(", ")"): "()", ("[", "]"): "[]", ("langle", "rangle"): "()"}.get(
        (first.value, last.value)
    )
    if first.kind == "var" and first.value.isupper() and raw[1:2] == [Token("op", "(")] and last == ("op", ")"):
        point = _bracketed(raw[1:], compact)  # P(1,2) is the point (1,2)
        return point if isinstance(point, Listing) else None
    if pair is None or not paired(raw[1:-1]):
        return Opaque(compact, "unevaluated") if any(t.value in ("setminus", "cap") for t in raw) else None
    inner = raw[1:-1]
    if pair == "{}":
        if not inner:
            return Listing(compact, "{}", ())
        condition = split(inner, lambda token: token.kind == "op" and token.value in ("|", ":"))
        if len(condition) == 2 and any(_is_relation(token) for token in condition[1]):
            return set_of(condition, compact, _read_tokens)
    parts = split(inner, lambda token: token.kind == "op" and token.value in (",", ";"))
    if pair == "{}" or len(parts) > 1:
        if not all(parts):
            return Opaque(compact, "unread")
        return Listing(compact, pair, tuple(_read_tokens(part, text_of(part)) for part in parts))
    return None


def _both_signs(point: Shape | None, compact: str) -> Shape | None:
    r"""``\pm(1,2)``: two points."""
    if not isinstance(point, Listing) or point.brackets != "()":
        return None
    opposite = []
    for item in point.items:
        if not isinstance(item, Quantity):
            return None
        value = None if item.value is None else -item.value
        opposite.append(replace(item, text=f"-({item.text})", node=Node("neg", (item.node,)), value=value))
    return Listing(compact, "", (point, replace(point, text=f"-{point.text}", items=tuple(opposite))))


def _quantity(raw: list[Token], compact: str) -> Shape:
    if raw == [Token("cmd", "emptyset")]:
        return Listing(compact, "{}", ())
    if reals := read_reals(raw, compact):
        return reals
    if any(raw[index].kind == "num" and raw[index + 1] == ("op", "_") for index in range(len(raw) - 1)):
        return Opaque(compact, "exact")  # the digits of another base within an expression
    if any(token.kind == "cmd" and token.value in _UNEVALUATED for token in raw):
        return Opaque(compact, "unevaluated")
    bare, unit, scale = units.take(raw)
    try:
        node = parse(list(bare))
    except (UnreadableError, ValueError):
        return _words_or_opaque(raw, compact)
    read = read_vector(node, compact)
    if isinstance(read, Shape):
        return read
    node = read
    if contains(node, "pair") or (contains(node, "inf") and not _is_infinity(node)):
        return Opaque(compact, "exact")
    if contains(node, "pm"):
        signs = [with_signs(node, sign) for sign in (1, -1)]
        return Listing(compact, "", tuple(_written(f"{compact}{n}", node, unit, scale) for n, node in enumerate(signs)))
    return _written(compact, node, unit, scale, *_places(bare))


def _is_infinity(node: Node) -> bool:
    return node.op == "const" or (node.op == "neg" and node.args[0].op == "const")


def _places(raw: list[Token]) -> tuple[int | None, int]:
    """The decimal places of a decimal, also one in scientific notation, and how many digits it has."""
    numbers = [token.value for token in raw if token.kind == "num"]
    digits = len(numbers[0].replace(".", "").lstrip("0")) if numbers else 0
    signs = ("-", "+", "(", ")", "{", "}")
    if len(numbers) == 1 and all(token.kind == "num" or token.value in signs for token in raw):
        return len(numbers[0].partition(".")[2]), digits
    written = text_of(raw).replace("{", "").replace("}", "")
    if match := re.fullmatch(r"-?(\d*)\.(\d+)(?:\\times|\\cdot|\*)10\^(-?\d{1,3})", written):
        return len(match[2]) - int(match[3]), digits
    return None, digits


def _words_or_opaque(raw: list[Token], compact: str) -> Shape:
    prose = all(token.kind in ("word", "text", "num") or token.value in ".,:-'()" for token in raw)
    if prose and any(token.kind in ("word", "text") for token in raw):
        return Words(compact, words_of(" ".join(token.value for token in raw)))
    return Opaque(compact, "unread")


def _written(
    compact: str, node: Node, unit: str | None, scale: Fraction, places: int | None = None, digits: int = 0
) -> Quantity:
    if node.op == "deg":
        node, unit = node.args[0], unit or "deg"
    value, fraction = literal(node)
    if scale != 1:
        node, places = Node("mul", (node, Node("num", value=Fraction(scale)))), None
        value = value * scale if value is not None else None
    return Quantity(compact, node, unit, value, fraction, places, digits)
