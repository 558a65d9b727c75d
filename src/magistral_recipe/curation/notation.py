"""Mathematics in one notation, whether it was written in LaTeX, in HTML or in plain signs.

Fractions become quotients, braces brackets, commands signs or words; layout goes. For comparing texts alone.
"""

from __future__ import annotations

import html
import re
import unicodedata
from fractions import Fraction

from magistral_recipe.curation.conditions import MATRIX, SETS

_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")
_BREAKS = re.compile(r"<(?:br|/p|/div|/li|/tr|/h[1-6])\s*/?>", re.IGNORECASE)
_RAISED = re.compile(r"<(su[pb])>([^<>]{0,200})</\1>", re.IGNORECASE)
# A tag has a name of letters right behind "<", which no comparison of formulas has as well as ">" soon after it.
_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9-]{0,19}(?:\s[^<>]{0,200}=[^<>]{0,200})?\s?/?>")
_TURN = re.compile(r"<\|[a-z_]{1,30}\|>(?:(?:system|user|assistant)\b)?")
_WRITTEN_BREAK = re.compile(r"\\n(?=\\n|\s|[A-Z0-9(¿¡*-]|$)")
_SLANTED = re.compile(r"(?<![\w*])\*([A-Za-z])\*(?![\w*])")
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴-⁹⁺⁻⁽⁾ⁿⁱ]+")
_SUBSCRIPTS = re.compile("[₀-₎ₐₑₒₓₕₖₗₘₙₚₛₜᵢⱼ]+")
_VULGAR = re.compile(" ?([¼½¾⅐-⅞])")
_MIXED = re.compile(r"(?<![\w/.,^*+=-])(\d{1,4})[ -](\d{1,2})/(\d{1,2})(?![\w/.^]|[,]\d)")
_MIXED_TYPESET = re.compile(r"(?<![\w/.,^*+_{(-])(\d{1,4})\s*\\[dt]?frac\s*(?:\{(\d{1,2})\}\{(\d{1,2})\}|(\d)(\d))")
_NUMBER_SET = re.compile(r"\\mathbb\s*(?:\{\s*([ZNQRC])\s*\}|([ZNQRC]))|\\mathbf\s*\{\s*([ZNQR])\s*\}|([ℤℕℚℝℂ])")
_DOUBLE_STAR = re.compile(r"(?<=[\w)])\s?\*\*\s?(?=[(\d]|-\d|[A-Za-z](?![\w*]))")
_CURRENCY = re.compile(r"\$?\\\$\$?")
_DEGREES = re.compile(r"(?:\^\s*\{?\s*|\{\s*)?\\circ\b\s*\}?|\\degree\b|°")
_PIECE = re.compile(
    r"\\(?:begin|end)\s*\{[^{}]{0,40}\}(?:\s*\{[lcr|@\s]{1,40}\})?|\\(?:left|right)\s*\.|\\[A-Za-z]+|\\.|\$\$?|[A-Za-z]+|\d+|.",
    re.DOTALL,
)
_COMPARISONS = {"<=": "≤", ">=": "≥", "⩽": "≤", "⩾": "≥", "≦": "≤", "≧": "≥", "!=": "≠"}
_COMPARED = re.compile(r"(?<![<>=!])(?:[<>]=|!=(?=\s*[\w(-]))(?![<>=])|[⩽⩾≦≧]")
# A matrix in square brackets is the one in round ones.
_MATRIX = re.compile(r"\\(?:left\s*)?(?:\[|\()\s*\\begin\s*\{array\}\s*\{[lcr|\s]{1,40}\}|\\begin\s*\{[bB]matrix\}")
_MATRIX_END = re.compile(r"\\end\s*\{array\}\s*\\(?:right\s*)?(?:\]|\))|\\end\s*\{[bB]matrix\}")
_INDEX = re.compile(r"\s*\[([^\[\]]{1,12})\]")
_MATHEMATICS = ("align", "equation", "gather", "eqnarray", "cases", "array", "displaymath", "math")
# What stands between two dollar signs that are prices.
_PROSE = re.compile(
    r"(?<![\\A-Za-z])(?:[A-Za-z]{2,}\s+[A-Za-z]{2,}\s|(?:and|or|of|for|per|is|the|to|in|at|each|et|und)\s)"
)
_SIGNS = {
    "times": "×", "cdot": "×", "ast": "×", "div": "÷", "le": "≤", "leq": "≤", "leqslant": "≤", "ge": "≥", "geq": "≥",
    "geqslant": "≥", "ne": "≠", "neq": "≠", "lt": "<", "gt": ">", "pm": "±", "mp": "∓", "infty": "∞", "cdots": "…",
    "ldots": "…", "dots": "…", "dotsm": "…", "dotsb": "…", "dotsc": "…", "vdots": "…", "to": "→", "rightarrow": "→",
    "mapsto": "→", "in": "∈", "mid": "|", "vert": "|", "lvert": "|", "rvert": "|", "sum": "∑", "int": "∫", "prod": "∏",
    "lceil": "⌈", "rceil": "⌉", "lfloor": "⌊", "rfloor": "⌋", "prime": "′", "pi": "π", "cup": "∪", "cap": "∩",
    "subset": "⊂", "subseteq": "⊂", "equiv": "≡", "approx": "≈", "sim": "~", "perp": " perpendicular to ",
    "parallel": " parallel to ", "angle": " angle ", "measuredangle": " angle ", "triangle": " triangle ",
    "bmod": " mod ", "mod": " mod ", "pmod": " mod ", "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ",
    "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ", "vartheta": "θ", "kappa": "κ",
    "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ",
    "Psi": "Ψ", "Omega": "Ω",
    "chi": "χ", "psi": "ψ", "omega": "ω", "ell": "l", "item": "\n", "quad": " ", "qquad": " ", "newline": "\n",
    "langle": "(", "rangle": ")", "colon": ": ", "forall": " for all ", "exists": " there exists ", "mathbin": "",
    "lbrace": "(", "rbrace": ")", "lbrack": "[", "rbrack": "]", "implies": " implies ", "land": " and ", "lor": " or ",
    "wedge": " and ", "vee": " or ", "setminus": " without ", "emptyset": " empty set ", "nmid": " does not divide ",
    "notin": "∉", "bullet": "×", "star": "*", "square": " square ", "degree": " degrees ", "colonequals": "=",
    "iff": " if and only if ", ",": " ", ";": " ", ":": " ", " ": " ", "!": "",
}  # fmt: skip
_WORDED = frozenset((
    "sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "lg", "exp", "max", "min", "gcd", "lcm", "lim", "det",
    "arcsin",
    "arccos", "arctan", "mod", "boxed", "binom", "inf", "sup", "deg", "dim", "ker", "arg", "sinh", "cosh", "tanh",
))  # fmt: skip
_PROSAIC = frozenset(("text", "textbf", "textit", "textrm", "mbox", "emph", "underline", "mathrm", "operatorname"))
_ESCAPED = {"{": "(", "}": ")", "%": "%", "&": "&", "#": "#", "_": " ", "|": "|", "\\": "; "}
_PLAIN_ROOT = re.compile(r"(?<![A-Za-z])sqrt\s*(?=[(\d])|\bsquare root of (?=[\d(])")
_ARGUMENTS = {
    "frac": (")) ", "(", ")/", " (("),
    "sqrt": (")", "√("),
    "binom": ("))", "(", "),", " binom(("),
}
"""What is written in front of each argument and behind it, the last first."""


def one_notation(text: str) -> tuple[str, frozenset[str]]:
    """Write a text's mathematics in plain signs.

    Args:
        text: as a data set has it.

    Returns:
        The text, every letter of its formulas a word of its own; and these letters.
    """
    text = _COMPARED.sub(lambda found: _COMPARISONS[found[0]], _without_tags(text))
    letters = frozenset(found[1] for found in _SLANTED.finditer(text)) if "*" in text else frozenset()
    text = _DOUBLE_STAR.sub("^", text) if "**" in text else text
    if "\\math" in text or not text.isascii():
        text = _NUMBER_SET.sub(_set, text)
    if not text.isascii():
        text = _SUPERSCRIPTS.sub(lambda found: f"^({unicodedata.normalize('NFKC', found[0])})", text)
        text = _SUBSCRIPTS.sub(lambda found: f"_({unicodedata.normalize('NFKC', found[0])})", text)
        text = _VULGAR.sub(lambda found: f" {unicodedata.normalize('NFKC', found[1]).replace('⁄', '/')}", text)
        text = unicodedata.normalize("NFKC", text)
    if "/" in text:
        text = _MIXED.sub(_decimal, text)
    if "\\" in text or "$" in text:
        text = _MIXED_TYPESET.sub(_decimal, text) if "frac" in text else text
        text = _MATRIX_END.sub(r"\\end{pmatrix}", _MATRIX.sub(r"\\begin{pmatrix}", text))
        text = _DEGREES.sub(" degrees ", _CURRENCY.sub(" ", _WRITTEN_BREAK.sub("\n", text)))
        text, typeset = _Typeset(text).read()
        letters |= typeset
    else:
        text = (
            text.replace("°", " degrees ").replace("{", "(").replace("}", ")")
            if not text.isascii() or "{" in text
            else text
        )
    return _PLAIN_ROOT.sub("√", text), letters


def _set(found: re.Match[str]) -> str:
    letter = unicodedata.normalize("NFKC", next(filter(None, found.groups())))
    return f" {SETS[letter]} "


def _decimal(found: re.Match[str]) -> str:
    """Two and a half as 2.5, one and two thirds as 5/3."""
    whole, above, below = (int(number) for number in found.groups() if number)
    if not 0 < above < below:
        return found[0]
    value = whole + Fraction(above, below)
    return f"{float(value):g}" if 1000 % value.denominator == 0 else f"{value.numerator}/{value.denominator}"


def _without_tags(text: str) -> str:
    if "&" in text and _ENTITY.search(text):
        text = html.unescape(text)
    if "<" in text:
        text = _RAISED.sub(lambda found: f"{'^' if found[1].lower() == 'sup' else '_'}({found[2]})", text)
        text = _TAG.sub(" ", _BREAKS.sub("\n", _TURN.sub("\n", text)))
    return text


class _Typeset:
    """One pass over LaTeX; what a brace closes lies on a stack, so that nothing is read twice."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.out: list[str] = []
        self.letters: set[str] = set()
        self.closers: list[tuple[str, bool, list[str]]] = []
        self.waiting: list[str] = []
        self.formula, self.prose, self.raised, self.command = False, 0, False, ""
        self.inline = False

    def read(self) -> tuple[str, frozenset[str]]:
        place = 0
        while found := _PIECE.match(self.text, place):
            piece, place = found[0], found.end()
            raised, self.raised = self.raised, False
            if piece[0] == "\\" and len(piece) > 1:
                place = self._command(piece[1:], place)
            elif piece[0] == "$":
                self._dollar(piece, place)
            elif piece == "{":
                self._open(raised)
            elif piece == "}":
                self._close()
            elif piece.isspace():
                self.out.append(piece)
                self.raised = raised
            else:
                self._plain(piece, raised)
            if piece[0] != "\\" and not piece.isspace():
                self.command = ""
        return "".join(self.out), frozenset(self.letters)

    def _dollar(self, piece: str, end: int) -> None:
        if self.formula:
            self.formula = self.inline = False
        elif (close := self.text.find(piece, end, end + 1500)) > 0:
            prose = _PROSE.search(self.text, end, min(close, end + 300))
            self.formula = self.inline = not prose or self.text.find("\\", end, close) > 0
        self.out.append(" ")

    def _command(self, name: str, place: int) -> int:
        if name.startswith(("begin", "end")) and "{" in name:
            if not self.inline:
                self.formula = name.startswith("begin") and any(each in name for each in _MATHEMATICS)
            self.out.append(f" {MATRIX}; " if name.startswith("begin") and "pmatrix" in name else " ; ")
        elif name in ("(", "[", ")", "]"):
            self.formula = name in "(["
            self.out.append(" ")
        elif name in ("frac", "dfrac", "tfrac", "cfrac", "sqrt", "binom", "dbinom", "tbinom"):
            kind = name.lstrip("dtc") if name != "sqrt" else name
            if kind == "sqrt" and (index := _INDEX.match(self.text, place)):
                self.out.append(f" root {index[1]} ")
                place = index.end()
            self.waiting += _ARGUMENTS[kind]
        elif name in _ESCAPED:
            self.out.append(_ESCAPED[name])
        elif name in _PROSAIC or name.startswith("math"):
            self.command = "prose" if name in _PROSAIC else ""
        elif (sign := _SIGNS.get(name, f" {name} " if name in _WORDED else "")) or name == "!":
            if sign.isalpha() and len(sign) == 1 and sign != "π":
                self.letters.add(sign)
            self.out.append(self._argument(sign) if self.waiting and sign else sign)
        elif name.startswith(("left", "right", "big", "Big", "limits", "nolimits", "displaystyle", "textstyle")):
            pass
        else:
            self.out.append(" ")
        return place

    def _open(self, raised: bool) -> None:
        before, after, prose = "", "", self.command == "prose"
        if self.waiting and not prose:
            before, after = self.waiting.pop(), self.waiting.pop()
        elif raised:
            before, after = "(", ")"
        elif prose:
            before, after = " ", " "
        self.prose += prose
        self.out.append(before)
        self.closers.append((after, prose, self.waiting))
        self.waiting = []

    def _close(self) -> None:
        if self.closers:
            text, prose, self.waiting = self.closers.pop()
            self.prose -= prose
            self.out.append(text)

    def _plain(self, piece: str, raised: bool) -> None:
        if piece == "&" and self.formula:
            piece = " "
        self.raised = piece == "^" or (piece == "_" and self.formula)
        while self.waiting and piece:  # arguments without braces
            self.out.append(self._argument(piece[0]))
            self._note(piece[0])
            piece = piece[1:]
        if raised and len(piece) > 1:  # x^23 is x^2 · 3
            self._note(piece[0])
            self.out.append(f"({piece[0]}) ")
            piece = piece[1:]
        if not (self.formula and not self.prose and piece.isalpha() and piece.isascii()):
            self.out.append(piece)
        elif piece in _WORDED or piece == "sqrt" or len(piece) > _LONGEST:
            self.out.append(f" {piece} ")
        else:
            self.letters.update(piece)
            self.out.append(f"{' '.join(piece)} ")

    def _argument(self, text: str) -> str:
        before, after = self.waiting.pop(), self.waiting.pop()
        return before + text + after

    def _note(self, letter: str) -> None:
        if letter.isalpha():
            self.letters.add(letter)


_LONGEST = 5
"""Letters that stand together in a formula without being a word: a hexagon's are six, which are taken for one."""
