r"""Names of values: what may stand on the left of an equation that only says what its answer is called.

``x``, ``f(2)``, ``|AB|``, ``P(X=1)``, ``\det A``, ``m+n``, ``\text{Area of } ABC``. A name is read token by
token and has one spelling; names of words start with a quotation mark. ``2x``, ``x^2`` and ``f(3x)`` are no names: an
equation with those is one to be solved.
"""

from __future__ import annotations

import re

from magistral_recipe.verifiers.answers.denials import TAKES_BACK_A_NAME
from magistral_recipe.verifiers.answers.expressions import Cursor
from magistral_recipe.verifiers.answers.text import Token, text_of, word_set, words_of

_GREEK = word_set(
    "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi rho sigma tau phi chi psi omega Delta Omega "
    "Sigma Phi Gamma Lambda Pi Theta Psi ell hbar"
)
_DECORATIONS = word_set(
    "overline overrightarrow vec hat bar widehat tilde widetilde dot ddot underline angle measuredangle triangle "
    "mathbb mathbf odot square mathcal"
)
_OPERATORS = word_set("det dim min max inf sup gcd lcm deg ker Pr arg Re Im")
_TEXT_OPERATORS = word_set(
    "rank tr trace var cov dim det deg ord card vol area perimeter length max min lcm gcd pr re im span order dist e p"
)
_CHANCES = re.compile(r"P|E|Pr|Var|Cov|H|\\?[PE]|var|cov|pr|e|p")
_WITHIN_MAX = 24


class _NoNameError(Exception):
    """What is read is no name."""


def label_of(raw: list[Token]) -> str | None:
    """Return the name that an equation's left side is, in one spelling, if it is nothing but a name.

    Args:
        raw: the tokens of that side.

    Returns:
        The name; ``None`` for an expression that is more than that.
    """
    if not raw or len(raw) > _WITHIN_MAX:
        return None
    if raw[0].kind in ("text", "word") and (words := _words(raw)) is not None:
        return f'"{words}'
    reader = _Reader(raw)
    try:
        name = reader.whole()
    except _NoNameError:
        return None
    return None if name in ("e", "i") else name


def _words(raw: list[Token]) -> str | None:
    """The words of ``\\text{Area of } ABC``; ``None`` where digits or mathematics stand among them."""
    if raw[0].value.lower() in _TEXT_OPERATORS and len(raw) > 1:
        return None
    for token in raw:
        if token.kind not in ("text", "word", "var") and token.value not in (
            "triangle",
            "angle",
            "overline",
            "{",
            "}",
            "(",
            ")",
            ",",
            "'",
        ):
            return None
    text = words_of(" ".join(token.value for token in raw if token.value not in "{}(),"))
    return None if not text or re.search(r"\d", text) or TAKES_BACK_A_NAME & set(text.split()) else text


class _Reader(Cursor):
    def expect(self, *values: str) -> None:
        if not self.take(*values):
            raise _NoNameError

    def whole(self) -> str:
        names = [self.name()]
        if self.peek() in (("cmd", "cap"), ("cmd", "cup")) and re.fullmatch(r"[A-Z](?:_\w+)?", names[0]):
            return names[0] + self.next().value + _Reader(self.tokens[self.position :]).whole()  # of sets
        while self.position < len(self.tokens):
            sign = next((each for each in "+-:" if self.take(each)), None)
            if sign is None:
                raise _NoNameError
            names += [sign, self.name()]
        if ":" in names and not all(re.fullmatch(r"[a-zA-Z]{1,3}(?:_\w+)?|:", name) for name in names):
            raise _NoNameError
        if len(names) > 1 and len(set(names[::2])) < len(names[::2]):
            raise _NoNameError  # x+x is no name
        return "".join(names)

    def name(self) -> str:
        token = self.peek()
        if self.take("|", "\\|"):
            inner = self.name()
            while self.peek().value in ("cup", "cap"):
                inner += self.next().value + self.name()
            self.expect("|", "\\|")
            return inner
        if token == ("op", "("):
            return self.tuple()
        if token == ("op", "["):
            return "[" + self.enclosed("[", "]") + "]"
        if self.take("frac"):
            parts = []
            for _ in range(2):
                self.expect("{")
                parts.append(self.name())
                self.expect("}")
            return "/".join(parts)
        if token.kind == "cmd" and token.value in _OPERATORS:
            return self.operator(self.next().value)
        if token.kind in ("text", "word") and token.value.lower() in _TEXT_OPERATORS:
            return self.operator(self.next().value.lower())
        return self.applied(self.letters())

    def operator(self, name: str) -> str:
        name += self.subscripts()
        if self.peek().kind == "end":
            return name
        if self.peek() in (("op", "("), ("op", "["), ("op", "{")):
            opening = self.peek().value
            inner = self.enclosed(opening, {"(": ")", "[": "]", "{": "}"}[opening])
            if not re.search(r"[a-zA-Z]", inner):
                raise _NoNameError
            return f"{name}({inner})"
        return f"{name}({self.name()})"

    def tuple(self) -> str:
        self.expect("(")
        names = [self.name()]
        while self.take(","):
            names.append(self.name())
        self.expect(")")
        return f"({','.join(names)})" if len(names) > 1 else names[0]

    def letters(self) -> str:
        name = ""
        while True:
            token = self.peek()
            if token.kind == "cmd" and token.value in _DECORATIONS:
                self.next()
                if self.take("{"):
                    name += self.letters()
                    self.expect("}")
            elif token.kind == "var":
                name += self.next().value
            elif not name and self.take("{"):
                name = self.letters()
                self.expect("}")
            elif token.kind == "cmd" and token.value in _GREEK:
                name += "\\" + self.next().value
            else:
                break
            name += self.subscripts()
        if not name or len(name) > 40:
            raise _NoNameError
        if re.fullmatch(r"[a-z]{2,}", name):
            raise _NoNameError  # a product of variables
        return name

    def subscripts(self) -> str:
        found = ""
        while self.peek() in (("op", "_"), ("op", "'"), ("op", "^")):
            sign = self.next().value
            if sign == "'":
                found += "'"
            elif sign == "_":
                inner = self.enclosed("{", "}") if self.peek() == ("op", "{") else self.next().value
                found += "_" + re.sub(r"[\\{} ]|text|mathrm", "", inner)
            else:
                inner = self.enclosed("{", "}") if self.peek() == ("op", "{") else self.next().value
                if inner not in ("-1", "*", "\\circ", "\\prime") and not re.fullmatch(r"\(\w\)|[TC]", inner):
                    raise _NoNameError
                if inner != "\\circ":
                    found += "^" + inner
        return found

    def enclosed(self, opening: str, closing: str) -> str:
        self.expect(opening)
        depth, start = 1, self.position
        while depth:
            token = self.next()
            if token.kind == "end":
                raise _NoNameError
            depth += (token == ("op", opening)) - (token == ("op", closing))
        return text_of(self.tokens[start : self.position - 1])

    def applied(self, name: str) -> str:
        if self.peek() not in (("op", "("), ("op", "[")):
            return name
        opening = self.peek().value
        inner = self.enclosed(opening, ")" if opening == "(" else "]")
        if _CHANCES.fullmatch(name.split("_")[0].strip("\\")) and inner:
            return f"{name}({inner})"
        if opening == "[" or not inner or not all(plain_argument(part) for part in inner.split(",")):
            raise _NoNameError
        return f"{name}({inner})" + self.subscripts()


def plain_argument(text: str) -> bool:
    """Whether an argument is a letter or a constant: ``f(3x)`` and ``f(x+1)`` name no function."""
    return bool(
        re.fullmatch(
            r"\\?[a-zA-Z]+(?:_\{?\w+\}?)?|[-+\d./\\{}]*(?:\\?pi|\\infty|frac|sqrt|\\frac|\\sqrt|[\d{}./-])*", text
        )
    ) and bool(
        re.fullmatch(r"[a-zA-Z](?:_\{?\w+\}?)?|[A-Z]{2,3}|\\[a-z]+", text)
        or not re.search(r"(?<![a-zA-Z\\])[a-zA-Z](?![a-zA-Z])", text)
    )


def function_of(label: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the name and the arguments of ``f(x,y)``, ``None`` for a name that is no application."""
    match = re.fullmatch(r'([^"()\[\]]+)\(([^()]*)\)', label)
    return (match[1], tuple(match[2].split(","))) if match else None


def names_of(label: str) -> list[str] | None:
    """Return the names in ``(x,y)`` or ``(f(n),g(n))``, ``None`` for a label that is no tuple."""
    if not (label.startswith("(") and label.endswith(")")):
        return None
    names, depth, start = [], 0, 1
    for position, char in enumerate(label[1:-1], 1):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            names.append(label[start:position])
            start = position + 1
    return [*names, label[start:-1]]


def one_unknown(labels: list[str]) -> bool:
    """Whether labels name several values of one unknown: ``x, x`` or ``x_1, x_2``."""
    bases = {re.sub(r"_[{]?\w+[}]?|'", "", label) for label in labels}
    return len(bases) == 1 and not any("(" in base for base in bases)


def agree(wanted: str, found: str) -> bool:
    """Whether two names may stand for one quantity: alike, in words, ``y`` for ``f(x)``, ``V`` for ``V_{max}``."""
    if wanted == found or wanted.startswith('"') or found.startswith('"'):
        return True
    functions = (function_of(wanted), function_of(found))
    if functions[0] and functions[1]:
        (name, arguments), (other, others) = functions[0], functions[1]
        letters = all(re.fullmatch(r"[a-zA-Z]|\\[a-z]+", argument) for argument in arguments + others)
        return name == other and len(arguments) == len(others) and letters and len(set(others)) == len(others)
    for function, label in ((functions[0], found), (functions[1], wanted)):
        if function and all(re.fullmatch(r"[a-zA-Z]|\\[a-z]+", argument) for argument in function[1]):
            return label in ("y", function[0]) and "'" not in function[0]
    plain = re.fullmatch(r"([^_'()]+)_[a-zA-Z]{2,}", wanted) or re.fullmatch(r"([^_'()]+)_[a-zA-Z]{2,}", found)
    return plain is not None and plain[1] in (wanted, found)
