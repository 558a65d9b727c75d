r"""From what stands in a box to tokens: Unicode, spacing, fonts and separators brought to one form.

Nothing here decides what an answer means. `clean` rewrites notation that means the same everywhere
(``１２`` and ``12``, ``½`` and ``\frac{1}{2}``, ``\dfrac`` and ``\frac``), `tokens` cuts the result up.
All of it is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

MAX_LENGTH = 1000
"""Characters beyond which a box is no answer but a text."""


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text as a set: tables of words stay readable as prose."""
    return frozenset(text.split())


_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "0123456789+-=()ni", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₓₙₖₘ", "0123456789+-=()aexnkm", strict=True))
_SIGNS = {
    "−": "-", "–": "-", "—": "-", "‒": "-", "‐": "-", "‑": "-", "﹣": "-", "－": "-",
    "×": r"\times ", "✕": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "•": r"\cdot ", "÷": "/",
    "⁄": "/",
    "∕": "/", "≤": r"\leq ", "⩽": r"\leq ", "≦": r"\leq ", "≥": r"\geq ", "⩾": r"\geq ", "≧": r"\geq ", "≠": r"\neq ",
    "≈": r"\approx ", "≃": r"\approx ", "≡": r"\equiv ", "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
    "∉": r"\notin ", "∅": r"\emptyset ", "±": r"\pm ", "∓": r"\mp ", "°": r"^{\circ}", "º": r"^{\circ}",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}", "∣": "|", "′": "'", "’": "'", "…": r"\ldots ", "⋯": r"\ldots ", "‰": r"\permil ", "∶": ":",
    "∫": r"\int ", "∑": r"\sum ", "∏": r"\prod ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "∠": r"\angle ", "△": r"\triangle ", "→": r"\to ", "∖": r"\setminus ", "٫": ".", "٬": ",", "،": ",", "，": ",",
    "；": ";", "。": ".", "、": ",", "⟨": r"\langle ", "⟩": r"\rangle ",
}  # fmt: skip
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "φ": "phi", "ϕ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Δ": "Delta", "Ω": "Omega", "Σ": "Sigma", "Φ": "Phi",
    "Γ": "Gamma", "Λ": "Lambda", "Π": "Pi", "Θ": "Theta", "Ψ": "Psi",
}  # fmt: skip
_ROOTS = {"√": "", "∛": "[3]", "∜": "[4]"}
_RENAMED = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "sfrac": "frac", "nicefrac": "frac", "dbinom": "binom",
    "tbinom": "binom", "le": "leq", "leqslant": "leq", "leqq": "leq", "ge": "geq", "geqslant": "geq", "geqq": "geq",
    "ne": "neq", "infin": "infty", "varnothing": "emptyset", "lbrace": "{", "rbrace": "}", "ast": "*", "div": "/",
    "varphi": "phi", "vartheta": "theta", "varepsilon": "epsilon", "arcsin": "arcsin", "lparen": "(", "rparen": ")",
    "lbrack": "[", "rbrack": "]", "tg": "tan", "ctg": "cot", "cosec": "csc", "arctg": "arctan", "lg": "log",
    "backslash": "setminus", "dots": "ldots", "cdots": "ldots", "simeq": "approx", "doteq": "approx",
    "euro": "€", "pounds": "£", "textsterling": "£", "yen": "¥", "textdollar": "¤dollar", "degree": "circ",
    "thickapprox": "approx", "percent": "%", "lt": "<", "gt": ">", "vert": "|", "lvert": "|", "rvert": "|", "mid": "|",
    "lVert": "|", "rVert": "|", "Vert": "|", "colon": ":", "imath": "i", "jmath": "j", "prime": "'",
}  # fmt: skip
_DROPPED = word_set(
    "left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr displaystyle textstyle "
    "scriptstyle limits nolimits mathstrut strut hfill bf it sf tt boldmath unboldmath cal allowbreak nobreak"
)
_SPACES = word_set("quad qquad thinspace medspace thickspace enspace space nobreakspace hspace hskip")
_FONTS = word_set(
    "mathbf boldsymbol bm mathsf mathtt mathit mathnormal mathcal mathscr bold pmb boxed fbox framebox emph "
    "underline ensuremath displaylines phantom cancel"
)
_COLORS = frozenset({"color", "textcolor"})
_TEXTS = word_set("text mbox hbox textbf textrm textit textnormal textsf texttt textup textsc mathrm operatorname")
_COMMAND = re.compile(r"\\([a-zA-Z]+)\*?|\\(.)", re.DOTALL)
_PLAIN_EXPONENT = re.compile(r"(?<![\w.\\])(\d+(?:\.\d+)?)[eE]([+-]?\d{1,3})(?!\w)")
_NUMBER_IN_TEXT = re.compile(r"([-+]?\d[\d.,]*)\s*([^\W\d_][^\d]*)")  # \textbf{3 cm}
_REPEATING = re.compile(r"(\d*)\.(\d*)\\(?:overline|dot|bar|overbar) ?\{(\d+)\}")
_EULER_OR_I = frozenset({"e", "i", "j", "d"})
_UNIT_VECTORS = {"i": "uniti", "j": "unitj", "k": "unitk", r"\imath": "uniti", r"\jmath": "unitj"}
_ARROWS = word_set("mathbf vec hat boldsymbol bm bold overrightarrow pmb")
_ROMAN = re.compile(r"\{ ?\\rm ?([^{}\\]*)\}|\\rm ?\{([^{}\\]*)\}")  # {\rm cm}
_IN_UNITS = {"Omega": "Ω", "mu": "µ", "circ": "°", "degree": "°", "cdot": "·", "times": "·", "%": "%"}
_MARKED = re.compile(r"(\*\*|__|`+|\*|\"|“)\s*([^*`\"“”]+?)\s*(\*\*|__|`+|\*|\"|”)")  # **3**, `3`


class Token(NamedTuple):
    """One piece: ``num``, ``cmd`` (without its backslash), ``var``, ``text``, ``word``, ``matrix`` or ``op``."""

    kind: str
    value: str


@lru_cache(maxsize=4096)
def clean(text: str) -> str:
    r"""Rewrite an answer in one notation.

    Args:
        text: what stands in a box, or a reference.

    Returns:
        The same answer in ASCII LaTeX as far as possible, spaces single, prose in ``\text{}``.
    """
    text = _latex(_plain_notation(_math_delimiters(_unicode(text))))
    text = _other_notation(re.sub(r"\s+", " ", text).strip())
    while text and text[-1] in ".,;" and not text.endswith("\\"):
        text = text[:-1].rstrip()
    text = _REPEATING.sub(_repeating_decimal, re.sub(r"\{([:=<>])\}", r"\1", text))
    text = _BINOMIAL.sub(r"\\binom{\1}{\2}", text)
    text = _PLAIN_EXPONENT.sub(r"\1 \\times 10^{\2}", _decimal_commas(text))
    return _without_outer_braces(text)


def tokens(text: str) -> list[Token]:
    """Cut a cleaned answer into tokens; spaces are gone."""
    return [token for match in _TOKEN.finditer(text) if (token := _token(match)) is not None]


FUNCTIONS = word_set(
    "sin cos tan cot sec csc arcsin arccos arctan arccot arcsec arccsc sinh cosh tanh coth arsinh arcosh artanh "
    "ln log exp asin acos atan abs cis"
)
# Letters without a backslash that are a name all the same.
_SPELLED = {"inf": "infty", "infinity": "infty", "oo": "infty", "Infinity": "infty", "Inf": "infty", "Abs": "abs"}
PLAIN_COMMANDS = FUNCTIONS | set(_SPELLED) | {"sqrt", "pi", "infty", "theta", "alpha", "beta", "gamma", "lambda"}
SHORT_WORDS = word_set(
    "or and not if is to cm mm km kg mg ml dm ft mi hr hrs min sec lb oz deg rad in by mph kmh kph usd eur no yes "
    "dne the for cm² kw kwh mhz hz am pm all any one two six ten sq cu per pct odd cc red"
)
_TOKEN = re.compile(
    r"(?P<matrix>\\begin ?\{[^{}]*\}(?:(?!\\begin|\\end).)*\\end ?\{[^{}]*\})"
    r"|\\text\{(?P<text>[^{}]*)\}|\\(?P<cmd>[a-zA-Z]+)|\\(?P<escaped>.)|(?P<num>\d+(?:\.\d+)?|\.\d+)|(?P<run>[^\W\d_]+)"
    r"|(?P<op>[^\s])",
    re.DOTALL,
)


def _token(match: re.Match[str]) -> Token | None:
    kind, value = match.lastgroup or "", match.group(match.lastgroup or 0)
    if kind == "text":
        return Token("text", value.strip()) if value.strip() else None
    if kind == "run":
        return Token("run", value)
    if kind == "escaped":
        return Token("op", "\\" + value)
    return Token(kind, value)


def split_runs(raw: list[Token]) -> list[Token]:
    """Take runs of letters for names, words or products of variables."""
    result: list[Token] = []
    for token in raw:
        if token.kind != "run":
            result.append(token)
        elif token.value in PLAIN_COMMANDS:
            result.append(Token("cmd", _SPELLED.get(token.value, token.value)))
        elif is_word(token.value):
            result.append(Token("word", token.value))
        else:
            result.extend(Token("var", letter) for letter in token.value)
    return result


def is_word(run: str) -> bool:
    """Whether a run of letters is a word rather than a product of variables: four letters, or a known short one."""
    return len(run) >= 4 or run.lower() in SHORT_WORDS or not run.isascii()


def words_of(text: str) -> str:
    """Return prose in one form: case folded, single spaces, without marks at its ends."""
    return re.sub(r"\s+", " ", text.casefold()).strip(" .,;:!\"'`*")


def _unicode(text: str) -> str:
    pieces: list[str] = []
    script = ""  # the kind of small digits that is being collected
    small: list[str] = []

    def flush() -> None:
        nonlocal script
        if small:
            pieces.append(f"{script}{{{''.join(small)}}}")
            small.clear()
        script = ""

    for char in text:
        table = "^" if char in _SUPERSCRIPTS else "_" if char in _SUBSCRIPTS else ""
        if table != script:
            flush()
        if table:
            script = table
            small.append((_SUPERSCRIPTS if table == "^" else _SUBSCRIPTS)[char])
        else:
            pieces.append(char if char.isascii() else _folded(char))
    flush()
    return _roots("".join(pieces))


def _folded(char: str) -> str:
    if char in _SIGNS:
        return _SIGNS[char]
    if char in _GREEK:
        return f"\\{_GREEK[char]} "
    if char in _ROOTS:
        return char
    category = unicodedata.category(char)
    if category in ("Cf", "Mn"):  # zero-width marks, variation selectors
        return "" if category == "Cf" else char
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category == "No":
        # ½ is a number; a circled 2 is a label, not one.
        folded = unicodedata.normalize("NFKC", char)
        top, _, bottom = folded.partition("⁄")
        return rf"\frac{{{top}}}{{{bottom}}}" if bottom.isdigit() and top.isdigit() else char
    if category == "Zs":
        return " "
    folded = unicodedata.normalize("NFKC", char)
    return "".join(_SIGNS.get(part, part) for part in folded) if folded != char else char


def _plain_notation(text: str) -> str:
    """Plain text's own marks: ``**3**`` for bold, ``**`` for powers, ``>=``, ``!=``, three dots."""
    text = re.sub(r"(?<!\\)((?:\\\\)*)\\$", r"\1", text.strip())  # a space cut off: 3 \\
    while (match := _MARKED.fullmatch(text)) and match[1][0] in match[3] + "“":
        text = match[2]
    if "**" in text:
        text = re.sub(r"(?<=[\w)}\]]) ?\*\* ?(?=[\w({\\-])", "^", text)
    text = re.sub(r"(?:\. ?){3,}", r"\\ldots ", text)
    text = re.sub(r"(?<!\d)!=|<>", r"\\neq ", text)
    text = text.replace(">=", r"\geq ").replace("<=", r"\leq ").replace("==", "=")
    return _ROMAN.sub(lambda match: rf"\text{{{match[1] or match[2]}}}", text)


_BINOMIAL = re.compile(r"\{([^{}]{1,9})\\choose ([^{}]{1,9})\}")
_UPPER_LIMIT_FIRST = re.compile(r"\\(int|sum|prod) ?\^ ?(\{[^{}]*\}|\w) ?_ ?(\{[^{}]*\}|\w)")
_COMBINATIONS = re.compile(r"(?:\{ ?\} ?)?[_^] ?\{?(\w{1,4})\}? ?C ?_ ?\{?(\w{1,4})\}?|(?<![\w\\])C ?\((\d+), ?(\d+)\)")


def _other_notation(text: str) -> str:
    """Notations with one meaning: primes as exponents, ``_{10}C_3``."""
    text = re.sub(r"\^ ?\{ ?('(?: ?')*) ?\}|\^ ?(')", lambda match: (match[1] or match[2]).replace(" ", ""), text)
    text = _UPPER_LIMIT_FIRST.sub(r"\\\1_\3^\2", text)
    if "C" in text:
        text = _COMBINATIONS.sub(lambda m: rf"\binom{{{m[1] or m[3]}}}{{{m[2] or m[4]}}}", text)
    return text


def _roots(text: str) -> str:
    if not any(root in text for root in _ROOTS):
        return text
    text = re.sub(r"([√∛∜])\s*(\d+(?:\.\d+)?)", lambda m: rf"\sqrt{_ROOTS[m[1]]}{{{m[2]}}}", text)
    return re.sub(r"[√∛∜]", lambda m: rf"\sqrt{_ROOTS[m[0]]} ", text)


def _math_delimiters(text: str) -> str:
    text = re.sub(r"\\[()\[\]](?!\d*pt)", " ", text)
    text = text.replace(r"\$", "¤dollar ")
    # Dollars come in pairs around mathematics; a single one is money.
    if text.count("$") == 1:
        return text.replace("$", "¤dollar ")
    return text.replace("$", " ")


def _latex(text: str) -> str:
    """One pass over the commands: fonts dropped, prose wrapped, spacing to spaces, synonyms renamed."""
    pieces: list[str] = []
    position = 0
    while match := _COMMAND.search(text, position):
        pieces.append(text[position : match.start()].replace("~", " "))
        position = match.end()
        name, sign = match[1], match[2]
        if sign is not None:
            pieces.append(_escaped(sign))
        elif name in _DROPPED:
            position = _skip_null_delimiter(text, position) if name in ("left", "right") else position
        elif name in _SPACES:
            pieces.append(" ")
        elif name in _COLORS:
            _, position = _argument(text, position)
        elif name in _TEXTS or name in _FONTS or name in _ARROWS:
            content, after = _argument(text, position)
            inner = re.sub(r"\\(?:mathbf|boldsymbol|bm|mathrm|hat|vec) ?\{?|[{}\s]", "", content[:40])
            if name in _ARROWS and inner in _UNIT_VECTORS:
                pieces.append(f"\\{_UNIT_VECTORS[inner]} ")
            elif name in _ARROWS and name not in _FONTS:
                pieces.append(f"\\{name} ")
                continue
            else:
                pieces.append(_font(name, content, behind_a_number=_behind_a_number(pieces)))
            position = after
        elif name in _RENAMED:
            renamed = _RENAMED[name]
            pieces.append(f"\\{renamed} " if renamed.isascii() and (renamed.isalpha() or renamed in "{}") else renamed)
        else:
            pieces.append(f"\\{name} ")
    pieces.append(text[position:].replace("~", " "))
    return re.sub(r"\\([{}]) ", r"\\\1", "".join(pieces))


def _escaped(sign: str) -> str:
    if sign in ",;: \n\t>/":
        return " "
    if sign == "!":
        return "\u200b"  # negative space: joins what stands beside it
    return sign if sign in "%#&_" else f"\\{sign}"


def _skip_null_delimiter(text: str, position: int) -> int:
    return position + 1 if text[position : position + 1] == "." else position


def _argument(text: str, position: int) -> tuple[str, int]:
    """The braced argument that starts at or after a position, else the next character."""
    while position < len(text) and text[position].isspace():
        position += 1
    if text[position : position + 1] != "{":
        return text[position : position + 1], position + 1
    depth, start = 0, position + 1
    while position < len(text):
        char = text[position]
        if char == "\\":
            position += 2
            continue
        depth += (char == "{") - (char == "}")
        position += 1
        if depth == 0:
            return text[start : position - 1], position
    return text[start:], len(text)


def _behind_a_number(pieces: list[str]) -> bool:
    tail = "".join(pieces[-4:])[-16:].rstrip(" }")
    return tail[-1:].isdigit() or tail.endswith(("\\circ", ")", "\\text{")) or tail[-1:] in ("·", "/")


def _font(name: str, content: str, behind_a_number: bool = False) -> str:
    inner = content.replace("~", " ").strip()
    if name in _FONTS:
        return "{" + _latex(content) + "}" if name not in ("boxed", "fbox", "framebox") else _latex(content)
    if (inner in _EULER_OR_I and (name != "text" or inner == content)) or re.fullmatch(
        r"[-+\d.,/\s]*\d[-+\d.,/\s]*", inner
    ):
        return inner
    if name == "mathrm" and len(inner) == 1 and inner.isupper() and not behind_a_number and content[:1] != "~":
        return inner
    if name == "operatorname" and inner.lower() in FUNCTIONS:
        return f"\\{inner.lower()} "
    if "\\" in inner or "{" in inner:
        inner = re.sub(r"\\(Omega|mu|circ|degree|cdot|times|%)(?![a-zA-Z])", lambda match: _IN_UNITS[match[1]], inner)
        inner = re.sub(r"\^ ?\{ ?(-?\d) ?\}", r"^\1", inner)
        inner = re.sub(r"\s+", " ", re.sub(r"[\\{}]", " ", _latex(inner))).strip()
    if match := _NUMBER_IN_TEXT.fullmatch(inner):
        return rf"{match[1]}\text{{{match[2]}}}"
    return rf"\text{{{inner}}}"


def _decimal_commas(text: str) -> str:
    r"""``1{,}000`` and ``1,000`` to 1000, ``3{,}14`` to 3.14, ``12 345`` to 12345; joins over negative space."""
    # One digit is a whole exponent or limit: what follows it, \int_0^1 340x, is no part of its number.
    text = _AFTER_SCRIPT.sub(r"\1\2 ", text)
    text = text.replace(" \u200b", "\u200b").replace("\u200b ", "\u200b")
    text = re.sub(r"(?<![\d.,])([1-9]\d{0,2})((?:,\u200b\d{3})+)(?!\d)", _joined, text).replace("\u200b", "")
    text = re.sub(r"(?<![\d.,}])([1-9]\d{0,2})((?:\{,\}\d{3})+)(?!\d)", _joined, text)
    text = re.sub(r"(\d)\{,\}(\d)", r"\1.\2", text)
    text = _EUROPEAN.sub(_european, text)
    text = re.sub(r"(?<![\d.,^_}])(?<!\d )([1-9]\d{0,2})((?: \d{3})+)(?![\d,/]| \d)", _joined, text)
    return re.sub(r"(?<=\d)\.(?!\d)", "", text)


_AFTER_SCRIPT = re.compile(r"([\^_]) ?(\d)[ \u200b]+(?=\d)")
# 1.234,5 and 1 234,5; 1.234.567: written so, they can be nothing else.
_EUROPEAN = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:(?:\.\d{3})+,\d+|(?: \d{3})+,\d{1,2}|(?:\.\d{3}){2,})(?![\d.,])")


def _european(match: re.Match[str]) -> str:
    return re.sub(r"[. ]", "", match[0]).replace(",", ".")


def _repeating_decimal(match: re.Match[str]) -> str:
    r"""``0.1\overline{6}`` as the fraction that it is."""
    whole, fixed, period = match[1] or "0", match[2], match[3]
    bottom = (10 ** len(period) - 1) * 10 ** len(fixed)
    top = int(whole + fixed + period) - int(whole + fixed)
    return rf"\frac{{{top}}}{{{bottom}}}"


def _joined(match: re.Match[str]) -> str:
    return match[1] + re.sub(r"\D", "", match[2])


THOUSANDS = re.compile(r"(?<![\d.])(?<!\d,)([1-9]\d{0,2})((?:,\d{3})+)(?!\d|,\d)")


def join_thousands(text: str) -> str:
    """Take ``1,234,567`` for one number; where it may be a list of three, the caller knows."""
    return THOUSANDS.sub(_joined, text)


def _without_outer_braces(text: str) -> str:
    while len(text) > 1 and text[0] == "{" and text[-1] == "}" and not text.endswith("\\}"):
        content, end = _argument(text, 0)
        if end != len(text):
            break
        text = content.strip()
    return text


def text_of(raw: Sequence[Token]) -> str:
    """Return the notation that tokens were read from, without spaces."""
    return "".join(f"\\{token.value}" if token.kind == "cmd" else token.value for token in raw)
