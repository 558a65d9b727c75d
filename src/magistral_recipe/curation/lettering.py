"""Letters of formulas: Latin ones that a keyboard made Cyrillic, and the corners of figures, ABCD, one by one."""

from __future__ import annotations

import re

_LOOK = dict(zip("асхуеркоАВСЕКМОРТХ", "acxyepkoABCEKMOPTX", strict=True))
_CYRILLIC = re.compile(rf"(?<![^\W_])([{''.join(_LOOK)}])(?=\s?(?:[,.;=<>≤≥+*/^)?|-]|$)|_)", re.MULTILINE)
_SIGNED = re.compile(rf"(?<=[=+*/^(|≤≥<>-])(\s?)([{''.join(_LOOK)}])(?![^\W_])")
_FIGURES = (
    "triangles?|angles?|segments?|quadrilaterals?|squares?|rectangles?|parallelograms?|trapezoids?|trapeziums?|rhombus|"
    "pentagons?|hexagons?|octagons?|sides?|lines?|arcs?|chords?|altitudes?|medians?|diagonals?|polygons?|tetrahedron|"
    "pyramids?|rays?|"
    "dreiecks?|vierecks?|rechtecks?|quadrats?|parallelogramms?|trapez(?:es)?|raute|strecken?|seiten?|diagonalen?|winkel|"
    "höhe|"
    "cercles?|carrés?|côtés?|losange|segmento|lados?|lato|lati|triángulos?|triangolo|triângulos?|rectángulo|rettangolo|"
    "retângulo|cuadrado|quadrato|quadrado|rombo|trapecio|trapezio|diagonales?|diagonais|diagonali|droites?|rectas?|"
    r"треугольник\w*|четыр[её]хугольник\w*|прямоугольник\w*|квадрат\w*|параллелограмм\w*|трапеци\w*|отрез\w+|"
    r"сторон\w+|диагонал\w+|уг(?:ол|ла)"
)
_NAMED = re.compile(
    rf"(?<![^\W\d_])(?:{_FIGURES})\s+([A-Z]{{2,6}})(?![^\W_])|[形边線线角]\s?([A-Z]{{2,6}})(?![^\W_])", re.IGNORECASE
)
_CAPITALS = re.compile(r"(?<![^\W_])[A-Z]{2,6}(?![^\W_])")


def corners_apart(text: str) -> tuple[str, frozenset[str]]:
    """Write ABCD as four letters where a figure has this name, and each side of it as two.

    Args:
        text: its mathematics in plain signs.

    Returns:
        The text, and these letters.
    """
    if not _CAPITALS.search(text):
        return text, frozenset()
    names = [name for found in _NAMED.finditer(text) if (name := found[1] or found[2]).isupper()]
    corners = frozenset("".join(names))
    if not corners:
        return text, corners
    return _CAPITALS.sub(lambda found: " ".join(found[0]) if corners.issuperset(found[0]) else found[0], text), corners


def latin_letters(text: str, variables: frozenset[str]) -> str:
    """Write letters of formulas in Latin.

    Args:
        text: a problem whose mathematics is in plain signs.
        variables: letters that its formulas are known to have.

    Returns:
        The text.
    """
    text = _CYRILLIC.sub(lambda found: _latin(found[1], found[0], variables), text)
    return _SIGNED.sub(lambda found: f"{found[1]}{_LOOK[found[2]]}", text)


def _latin(letter: str, whole: str, variables: frozenset[str]) -> str:
    """The Latin letter that a Cyrillic one stands for, where the problem has it."""
    return _LOOK[letter] if _LOOK[letter] in variables else whole
