r"""Matrices: every environment, wrapped in brackets, scaled, transposed, as ``\operatorname{diag}`` or nested lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from magistral_recipe.verifiers.answers.expressions import Node, UnreadableError, parse
from magistral_recipe.verifiers.answers.shapes import Listing, Matrix, Opaque, Quantity, Shape
from magistral_recipe.verifiers.answers.text import Token, text_of
from magistral_recipe.verifiers.answers.values import exact

_ENVIRONMENT = re.compile(
    r"\\begin ?\{ ?([pbBvV]?)(matrix|smallmatrix|array)\*? ?\}(?: ?\{[lcr| ]*\})?(.*)\\end ?\{[^{}]*\}", re.DOTALL
)
_PAIRS = {"(": ")", "[": "]", "{": "}", "\\{": "\\}"}
_TRANSPOSED = ("T", "top", "intercal", "t")

Reader = Callable[[str], Shape]


def is_matrix(shape: Shape) -> bool:
    """Whether a shape is a matrix, or a list of lists of one length."""
    return isinstance(shape, Matrix) or nested(shape) is not None


def read_matrix(raw: list[Token], compact: str, read: Reader) -> Shape | None:
    """Read a matrix with what stands around it.

    Args:
        raw: the tokens of an answer.
        compact: its text without spaces.
        read: reads the text of an entry.

    Returns:
        The matrix; opaque for a determinant or what else is done to one; ``None`` where there is none.
    """
    raw = _unwrapped(raw)
    if diagonal := _diagonal(raw, compact, read):
        return diagonal
    if raw and raw[0] == ("op", "(") and (transposed := _transposed_tuple(raw, compact, read)):
        return transposed
    places = [index for index, token in enumerate(raw) if token.kind == "matrix"]
    if not places:
        return None
    if len(places) > 1:
        return Opaque(compact, "unread")
    before, behind = raw[: places[0]], raw[places[0] + 1 :]
    matrix = _environment(raw[places[0]].value, compact, read)
    while before and behind and _PAIRS.get(before[-1].value) == behind[0].value:
        before, behind = before[:-1], behind[1:]
    if before[-1:] == [Token("op", "|")] and behind[:1] == [Token("op", "|")]:
        return Opaque(compact, "unevaluated")
    if isinstance(matrix, Matrix) and behind and _is_transpose(behind):
        matrix, behind = _transposed(matrix), []
    if not isinstance(matrix, Matrix) or not before:
        return Opaque(compact, "unevaluated") if behind and isinstance(matrix, Matrix) else matrix
    return Opaque(compact, "unevaluated") if behind else _scaled(before, matrix)


def nested(shape: Shape) -> Matrix | None:
    """Return ``[[1,2],[3,4]]`` as the matrix that it writes."""
    if not isinstance(shape, Listing) or shape.brackets not in ("[]", "()") or len(shape.items) < 2:
        return None
    rows = [item.items for item in shape.items if isinstance(item, Listing) and item.brackets == "[]"]
    if len(rows) != len(shape.items) or len({len(row) for row in rows}) != 1:
        return None
    return Matrix(shape.text, tuple(tuple(row) for row in rows))


def _environment(text: str, compact: str, read: Reader) -> Shape:
    match = _ENVIRONMENT.fullmatch(text)
    if match is None:
        return Opaque(compact, "unread")
    if match[1] in ("v", "V"):
        return Opaque(compact, "unevaluated")
    body = re.sub(r"\\hline ?", "", match[3]).strip()
    body = body[:-2] if body.endswith("\\\\") else body
    rows = tuple(
        tuple(read(entry) for entry in row.split("&")) for row in re.split(r"\\\\(?: ?\[[\w.]*\])?|\\cr\b", body)
    )
    if len({len(row) for row in rows}) != 1:
        return Opaque(compact, "unread")
    lone = len(rows) == len(rows[0]) == 1 and match[2] == "array"
    return rows[0][0] if lone else Matrix(compact, rows)


def _unwrapped(raw: list[Token]) -> list[Token]:
    """Without brackets around the whole, where a matrix is all that they hold."""
    while len(raw) == 3 and raw[1].kind == "matrix" and _PAIRS.get(raw[0].value) == raw[2].value:
        raw = raw[1:-1]
    return raw


def _diagonal(raw: list[Token], compact: str, read: Reader) -> Shape | None:
    if (
        len(raw) < 4
        or raw[0].value.lower() != "diag"
        or raw[1].value not in _PAIRS
        or raw[-1].value != _PAIRS[raw[1].value]
    ):
        return None
    entries = [read(part) for part in _parts(raw[2:-1])]
    zero = read("0")
    size = range(len(entries))
    return Matrix(compact, tuple(tuple(entries[row] if row == column else zero for column in size) for row in size))


def _parts(raw: list[Token]) -> list[str]:
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in raw:
        depth += (token.value in _PAIRS) - (token.value in _PAIRS.values())
        if depth == 0 and token.value in (",", ";"):
            parts.append([])
        else:
            parts[-1].append(token)
    return [text_of(part) for part in parts]


def _is_transpose(behind: list[Token]) -> bool:
    values = [token.value for token in behind if token.value not in ("{", "}")]
    return len(values) == 2 and values[0] == "^" and values[1] in _TRANSPOSED


def _transposed(matrix: Matrix) -> Matrix:
    return Matrix(matrix.text + "^T", tuple(zip(*matrix.rows, strict=True)))


def _transposed_tuple(raw: list[Token], compact: str, read: Reader) -> Shape | None:
    for width in (2, 4):
        if len(raw) > width + 2 and raw[-width - 1] == ("op", ")") and _is_transpose(raw[-width:]):
            entries = [read(part) for part in _parts(raw[1 : -width - 1])]
            return Matrix(compact, tuple((entry,) for entry in entries)) if len(entries) > 1 else None
    return None


def _scaled(factor: list[Token], matrix: Matrix) -> Shape:
    while factor and factor[-1].value in ("cdot", "times", "*"):
        factor = factor[:-1]
    try:
        scalar = Node("neg", (Node("num", value=Fraction(1)),)) if text_of(factor) == "-" else parse(list(factor))
    except (UnreadableError, ValueError):
        return Opaque(matrix.text, "unread")
    rows = []
    for row in matrix.rows:
        if not all(isinstance(entry, Quantity) and entry.unit is None for entry in row):
            return Opaque(matrix.text, "unread")
        rows.append(tuple(_times(scalar, entry) for entry in row if isinstance(entry, Quantity)))
    return Matrix(matrix.text, tuple(rows))


def _times(scalar: Node, entry: Quantity) -> Quantity:
    node = Node("mul", (scalar, entry.node))
    value = exact(node)
    return Quantity(f"({scalar})*{entry.text}", node, None, value)
