r"""Expressions: a parser from tokens to a small tree, for the mathematics that answers are made of.

Numbers, variables, ``+ - * / ^ !``, roots, binomials, absolute value, floor and ceiling, elementary
functions, ``\pi``, ``e``, ``i``. What it does not know raises `UnreadableError` and is left to SymPy. There is no
guessing: either all tokens make one expression, or there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from magistral_recipe.verifiers.answers.text import FUNCTIONS, Token, word_set

MAX_DEPTH = 40
MAX_CHAIN = 120
"""Terms of one sum and factors of one product: their tree is as deep as they are many."""


class UnreadableError(Exception):
    """The tokens are not one expression of the kind read here."""


class Node(NamedTuple):
    """A node of the tree: an operation, its operands, and for leaves a value.

    ``num`` holds a Fraction, ``var`` a name, ``const`` one of pi, e, i, inf; the others have operands:
    ``add mul div pow neg fact abs floor ceil deg pm sqrt root binom mixed call`` (``call`` has a name as value).
    """

    op: str
    args: tuple[Node, ...] = ()
    value: Any = None


_GREEK = word_set(
    "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi rho sigma tau phi chi psi omega Delta "
    "Omega Sigma Phi Gamma Lambda Pi Theta Psi ell hbar"
)
_ALIASES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
_INVERSES = {name: f"arc{name}" for name in ("sin", "cos", "tan", "cot", "sec", "csc")} | {
    "sinh": "arsinh", "cosh": "arcosh", "tanh": "artanh",
}  # fmt: skip
_CLOSING = {"(": ")", "[": "]", "{": "}", "\\{": "\\}"}
_ENDS = frozenset({")", "]", "}", "\\}", "|", ",", ";", "&"})
_MULTIPLY = frozenset({"*", "cdot", "times"})


def parse(tokens: list[Token]) -> Node:
    """Return the expression that all the tokens make.

    Raises:
        UnreadableError: where they make none.
    """
    if not tokens:
        raise UnreadableError("nothing")
    parser = _Parser(tokens)
    node = parser.sum()
    if parser.position != len(tokens):
        raise UnreadableError(f"left over: {tokens[parser.position].value}")
    return node


def variables(node: Node) -> frozenset[str]:
    """Return the names of all variables of a tree."""
    names: set[str] = set()
    stack = [node]
    while stack:
        current = stack.pop()
        if current.op == "var":
            names.add(current.value)
        stack.extend(current.args)
    return frozenset(names)


def contains(node: Node, *ops: str) -> bool:
    """Whether any node of a tree is one of these operations or constants."""
    stack = [node]
    while stack:
        current = stack.pop()
        if current.op in ops or (current.op == "const" and current.value in ops):
            return True
        stack.extend(current.args)
    return False


def substituted(node: Node, values: Mapping[str, Node]) -> Node:
    """Return the tree with variables replaced."""
    if node.op == "var":
        return values.get(node.value, node)
    return node._replace(args=tuple(substituted(arg, values) for arg in node.args)) if node.args else node


def with_signs(node: Node, sign: int) -> Node:
    r"""Return the tree with every ``\pm`` as plus (``sign`` 1) or minus (-1), every ``\mp`` the other way."""
    args = tuple(with_signs(arg, sign) for arg in node.args)
    if node.op != "pm":
        return node._replace(args=args)
    plus = (sign > 0) == (node.value == "pm")
    second = args[-1] if plus else Node("neg", (args[-1],))
    return second if len(args) == 1 else Node("add", (args[0], second))


_END = Token("end", "")


@dataclass
class Cursor:
    """A place among tokens.

    Attributes:
        tokens: all of them.
        position: of the next one.
    """

    tokens: list[Token]
    position: int = 0

    def peek(self, ahead: int = 0) -> Token:
        """The next token, or one behind it; one of kind ``end`` beyond the last."""
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else _END

    def next(self) -> Token:
        """Take the next token, whatever it is."""
        token = self.peek()
        self.position += 1
        return token

    def take(self, *values: str) -> bool:
        """Take the next token if it is one of these signs or commands; whether it was."""
        token = self.peek()
        if token.value in values and token.kind in ("op", "cmd"):
            self.position += 1
            return True
        return False


@dataclass
class _Parser(Cursor):
    depth: int = 0
    bars: int = 0

    def expect(self, value: str) -> None:
        if not self.take(value):
            raise UnreadableError(f"expected {value}, found {self.peek().value!r}")

    # sum := ['+'|'-'|pm] product (('+'|'-'|pm|mp) product)*
    def sum(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnreadableError("nested too deep")
        total, terms = self.signed(), 0
        while (token := self.peek()).value in ("+", "-", "pm", "mp") and token.kind in ("op", "cmd"):
            if (terms := terms + 1) > MAX_CHAIN:
                raise UnreadableError("too many terms")
            negative = self.signs()
            if token.value in ("pm", "mp"):
                total = Node("pm", (total, self.product()), token.value)
            else:
                term = self.product()
                total = Node("add", (total, Node("neg", (term,)) if negative else term))
        self.depth -= 1
        return total

    def signed(self) -> Node:
        token = self.peek()
        if token.kind in ("op", "cmd") and token.value in ("+", "-", "pm", "mp"):
            negative = self.signs()
            term = self.product()
            if token.value in ("pm", "mp"):
                return Node("pm", (term,), token.value)
            return Node("neg", (term,)) if negative else term
        return self.product()

    def signs(self) -> bool:
        """Take a sign, and those that follow a plus or a minus: ``+ -3``, ``--4``; whether they make a minus."""
        if self.next().value in ("pm", "mp"):
            return False
        self.position -= 1
        negative = False
        while self.peek() in (("op", "+"), ("op", "-")):
            negative ^= self.next().value == "-"
        return negative

    def product(self, stop_at_functions: bool = False, divisions: bool = True) -> Node:
        result, factors = self.power(), 0
        while True:
            token = self.peek()
            if (factors := factors + 1) > MAX_CHAIN:
                raise UnreadableError("too many factors")
            if token.kind in ("op", "cmd") and token.value in _MULTIPLY and not stop_at_functions:
                self.next()
                result = Node("mul", (result, self.signed_factor()))
            elif token == ("op", "/") and divisions:
                self.next()
                result = self._divided(result, self.signed_factor())
            elif self._starts_factor(token, stop_at_functions):
                result = self._juxtaposed(result, token)
            else:
                return result

    def signed_factor(self) -> Node:
        if self.take("-"):
            return Node("neg", (self.power(),))
        self.take("+")
        return self.power()

    def _divided(self, top: Node, bottom: Node) -> Node:
        # 1 1/2: an integer, then a fraction of integers
        if top.op == "pair":
            whole, numerator = top.args
            return Node("mixed", (whole, Node("div", (numerator, bottom))))
        return Node("div", (top, bottom))

    def _juxtaposed(self, left: Node, token: Token) -> Node:
        if token.kind == "num":
            # Two numbers side by side are no product; before a slash they are a mixed number.
            following = self.peek(1)
            if _is_whole(left) and token.value.isdigit() and following == ("op", "/") and self.peek(2).kind == "num":
                return Node("pair", (left, self.power()))
            last = left.args[-1] if left.op == "mul" else left
            if (last.op == "pow" and variables(last.args[1])) or last == Node("var", value="..."):
                return Node("mul", (left, self.power()))  # (-1)^n 2^n
            raise UnreadableError("two numbers side by side")
        right = self.power()
        if _is_whole(left) and right.op == "div" and all(_is_whole(part) for part in right.args):
            return Node("mixed", (left, right))
        if right.op == "num":
            raise UnreadableError("two numbers side by side")
        return Node("mul", (left, right))

    def _starts_factor(self, token: Token, stop_at_functions: bool) -> bool:
        if token.kind in ("num", "var"):
            return True
        if token.kind == "cmd":
            if token.value in FUNCTIONS:
                return not stop_at_functions
            return token.value in _STARTERS or token.value in _GREEK
        if token == ("op", "|"):
            return self.bars == 0
        return token.kind == "op" and token.value in ("(", "[", "{")

    # power := postfix ['^' argument]; -x^2 is -(x^2)
    def power(self) -> Node:
        base = self.postfix(self.atom())
        if self.take("^"):
            if self._is_degree():
                base = self.postfix(Node("deg", (base,)))
                return Node("pow", (base, self.exponent())) if self.take("^") else base
            exponent = self.exponent()
            return self.postfix(Node("pow", (base, exponent)))
        return base

    def exponent(self) -> Node:
        if self.take("-"):
            return Node("neg", (self.exponent(),))
        self.take("+")
        token = self.peek()
        if token.kind == "num":  # 10^12 means what it looks like in plain text
            self.next()
            node = Node("num", value=Fraction(token.value))
        else:
            node = self.argument()
        return Node("pow", (node, self.exponent())) if self.take("^") else node

    def _is_degree(self) -> bool:
        if self.peek() == ("cmd", "circ"):
            self.next()
            return True
        if self.peek() == ("op", "{") and self.peek(1) == ("cmd", "circ") and self.peek(2) == ("op", "}"):
            self.position += 3
            return True
        return False

    def postfix(self, node: Node) -> Node:
        while True:
            if self.take("!"):
                if self.peek() == ("op", "!"):
                    raise UnreadableError("double factorial")
                node = Node("fact", (node,))
            elif self.take("circ"):
                node = Node("deg", (node,))
            else:
                return node

    def argument(self) -> Node:
        r"""The argument of a command: a braced group or one token, of a number one digit (``\frac12``)."""
        token = self.peek()
        if token == ("op", "{"):
            return self.group()
        if token.kind == "num":
            if len(token.value) > 1:
                self.tokens[self.position] = Token("num", token.value[1:])
                if token.value[0] == "." or token.value[1] == ".":
                    raise UnreadableError("a decimal without braces")
                return Node("num", value=Fraction(token.value[0]))
            self.next()
            return Node("num", value=Fraction(token.value))
        return self.atom()

    def group(self) -> Node:
        opening = self.next().value
        bars, self.bars = self.bars, 0
        node = self.sum()
        self.bars = bars
        self.expect(_CLOSING[opening])
        return node

    def atom(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnreadableError("nested too deep")
        node = self._atom()
        self.depth -= 1
        return node

    def _atom(self) -> Node:
        token = self.peek()
        if token.kind == "num":
            self.next()
            if self.peek() == ("op", "_"):
                raise UnreadableError("a number in another base")
            return Node("num", value=Fraction(token.value))
        if token.kind == "var":
            self.next()
            return self._variable(token.value)
        if token.kind == "cmd":
            self.next()
            return self._command(token.value)
        if token.kind == "op" and token.value in ("(", "[", "{"):
            return self.group()
        if token == ("op", "|"):
            return self._absolute()
        raise UnreadableError(f"unexpected {token.value!r}")

    def _absolute(self) -> Node:
        self.next()
        self.bars += 1
        node = self.sum()
        self.bars -= 1
        self.expect("|")
        return Node("abs", (node,))

    def _variable(self, name: str) -> Node:
        subscript = ""
        if self.take("_"):
            subscript = "_" + self._subscript()
        while self.peek() == ("op", "'"):
            self.next()
            subscript += "'"
        if not subscript and name in ("e", "i"):
            return Node("const", value=name)
        return Node("var", value=name + subscript)

    def _subscript(self) -> str:
        token = self.next()
        if token.kind in ("num", "var", "text", "word"):
            return token.value
        if token != ("op", "{"):
            raise UnreadableError("a subscript that is no name")
        parts: list[str] = []
        while (token := self.next()) != ("op", "}"):
            if token.kind == "end" or token == ("op", "{"):
                raise UnreadableError("a subscript that is no name")
            parts.append(token.value)
        return "".join(parts)

    def _command(self, name: str) -> Node:
        name = _ALIASES.get(name, name)
        if name in FUNCTIONS:
            return self._function(name)
        if name in ("uniti", "unitj", "unitk"):
            return Node("var", value=name)
        if name == "ldots":
            return Node("var", value="...")
        if name in ("pi", "infty"):
            return Node("const", value="inf" if name == "infty" else name)
        if name in _GREEK:
            return self._variable(f"\\{name}")
        if name in ("frac", "binom"):
            return Node("div" if name == "frac" else "binom", (self.argument(), self.argument()))
        if name == "sqrt":
            return self._root()
        if name in ("lfloor", "lceil"):
            bars, self.bars = self.bars, 0
            node = self.sum()
            self.bars = bars
            self.expect("rfloor" if name == "lfloor" else "rceil")
            return Node("floor" if name == "lfloor" else "ceil", (node,))
        raise UnreadableError(f"unknown command {name}")

    def _root(self) -> Node:
        index: Node | None = None
        if self.take("["):
            index = self.sum()
            self.expect("]")
        radicand = self.argument() if self.peek() != ("op", "(") else self.group()
        return Node("sqrt", (radicand,)) if index is None else Node("root", (radicand, index))

    def _function(self, name: str) -> Node:
        base: Node | None = None
        power: Node | None = None
        for _ in range(2):
            if name == "log" and base is None and self.take("_"):
                base = self.argument()
            elif power is None and self.take("^"):
                power = self.exponent()
        if power is not None and power == Node("neg", (Node("num", value=Fraction(1)),)) and name in _INVERSES:
            name, power = _INVERSES[name], None
        if self.peek() in (("op", "("), ("op", "{"), ("op", "[")):
            argument = self.postfix(self.group())
        else:
            argument = self.product(stop_at_functions=True)
        if name == "abs" and base is None:
            return Node("abs", (argument,)) if power is None else Node("pow", (Node("abs", (argument,)), power))
        node = Node("call", (argument,) if base is None else (argument, base), name)
        return node if power is None else Node("pow", (node, power))


_STARTERS = frozenset({"frac", "binom", "sqrt", "pi", "infty", "lfloor", "lceil", "uniti", "unitj", "unitk", "ldots"})


def _is_whole(node: Node) -> bool:
    return node.op == "num" and node.value.denominator == 1
