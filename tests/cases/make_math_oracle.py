r"""Write tests/cases/math_oracle.jsonl: pairs of reference and boxed answer, labelled by an oracle.

The oracle is SymPy or exact rational arithmetic on the *objects* from which both texts are printed, never
a grader on the texts: a pair is labelled 1 because both sides print the same object (in another form or
notation), 0 because the oracle proves the objects different. Nothing of this package is imported.

    python tests/cases/make_math_oracle.py     # writes the file beside this script; the same bytes each time
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import sympy as sp

Pair = tuple[str, str, int]
rng = random.Random(20250612)
x, y, n = sp.symbols("x y n")


def choose(*options: object):  # a short name for the many places that print one of several notations
    return rng.choice(options)


def frac(value: Fraction) -> str:
    sign = "-" if value < 0 else ""
    top, bottom = abs(value.numerator), value.denominator
    if bottom == 1:
        return f"{sign}{top}"
    return sign + choose(
        rf"\frac{{{top}}}{{{bottom}}}",
        rf"\dfrac{{{top}}}{{{bottom}}}",
        rf"\tfrac{{{top}}}{{{bottom}}}",
        f"{top}/{bottom}",
    )


def rational() -> Fraction:
    while True:
        value = Fraction(rng.randint(-60, 60), rng.randint(2, 24))
        if value.denominator > 1:
            return value


def integers() -> Iterator[Pair]:
    for _ in range(8):
        value = rng.randint(-9999, 9999)
        yield str(value), str(value), 1
        yield str(value), str(value + choose(-10, -1, 1, 10, 100)), 0
    for _ in range(3):
        value = rng.randint(2, 900)
        yield str(value), str(-value), 0


def fractions() -> Iterator[Pair]:
    for _ in range(12):
        value = rational()
        yield frac(value), frac(value), 1
        factor = rng.randint(2, 5)
        sign = "-" if value < 0 else ""
        unreduced = rf"{sign}\frac{{{abs(value.numerator) * factor}}}{{{value.denominator * factor}}}"
        yield frac(value), unreduced, 1
        other = choose(
            1 / value,
            -value,
            Fraction(value.numerator + 1, value.denominator),
            Fraction(value.numerator, value.denominator + 1),
        )
        yield frac(value), frac(other), int(other == value)


def decimals() -> Iterator[Pair]:
    for _ in range(10):
        places = rng.randint(1, 4)
        digits = rng.randint(1, 9999) * 2 + 1
        value = Fraction(digits, 10**places)
        text = f"{digits // 10**places}.{digits % 10**places:0{places}d}"
        yield text, frac(value), 1
        yield frac(value), text, 1
        yield text, text + "0", 1
        wrong = Fraction(digits + 1, 10**places)
        yield text, frac(wrong), 0
        yield text, f"{digits // 10 ** (places + 1)}.{digits % 10 ** (places + 1):0{places + 1}d}", 0


def mixed_numbers() -> Iterator[Pair]:
    for _ in range(8):
        whole, bottom = rng.randint(1, 20), rng.randint(3, 12)
        top = rng.randint(1, bottom - 1)
        value = whole + Fraction(top, bottom)
        text = choose(rf"{whole}\frac{{{top}}}{{{bottom}}}", rf"{whole} \dfrac{{{top}}}{{{bottom}}}")
        yield text, frac(value), 1
        yield frac(value), text, 1
        yield text, frac(whole * Fraction(top, bottom)), 0  # not the product


def thousands() -> Iterator[Pair]:
    for _ in range(8):
        value = rng.randint(1000, 99_999_999)
        grouped = f"{value:,}"
        separator = choose(",", "{,}", r"\,", r"\ ", " ", ",\\!", "\u202f")
        yield str(value), grouped.replace(",", separator), 1
        yield grouped, str(value), 1
        yield grouped, str(value // 10), 0


def percentages() -> Iterator[Pair]:
    for _ in range(6):
        value = Fraction(rng.randint(1, 999), 10)
        text = f"{float(value):g}"
        yield rf"{text}\%", f"{text}%", 1
        yield rf"{text}\%", frac(value / 100), 1
        yield rf"{text}\%", f"{float(value / 10):g}\\%", 0
        yield text, f"{float(value / 100):g}", 0


def radicals() -> Iterator[Pair]:
    for _ in range(14):
        outer, inner = rng.randint(2, 9), choose(2, 3, 5, 6, 7, 10, 11)
        value = outer * sp.sqrt(inner)
        yield sp.latex(value), rf"\sqrt{{{outer**2 * inner}}}", 1
        yield sp.latex(value), choose(rf"{outer}\sqrt{inner}" if inner < 10 else rf"{outer} \sqrt{{{inner}}}"), 1
        other = choose((outer + 1) * sp.sqrt(inner), outer * sp.sqrt(inner + 1), sp.Integer(outer * inner))
        yield sp.latex(value), sp.latex(other), 0
    for _ in range(8):
        a, b, c = rng.randint(1, 9), choose(2, 3, 5, 7), rng.randint(2, 7)
        value = a / (sp.sqrt(b) + c)
        rational_form = sp.radsimp(value)
        yield sp.latex(rational_form), rf"\frac{{{a}}}{{\sqrt{{{b}}}+{c}}}", 1
        yield sp.latex(value), sp.latex(sp.radsimp(a / (sp.sqrt(b) - c))), 0
    for _ in range(4):
        base, k = choose(2, 3, 5, 6), choose(3, 4, 5)
        yield rf"\sqrt[{k}]{{{base}}}", rf"{base}^{{1/{k}}}", 1
        yield rf"\sqrt[{k}]{{{base}}}", rf"{k}\sqrt{{{base}}}", 0


def powers() -> Iterator[Pair]:
    for _ in range(5):
        base, exponent = rng.randint(2, 7), rng.randint(20, 99)
        yield rf"{base}^{{{exponent}}}", str(base**exponent), 1
        yield rf"{base}^{{{exponent}}}", rf"{base}^{{{exponent + 1}}}", 0
        yield rf"\frac{{1}}{{{base}^{{{exponent}}}}}", rf"{base}^{{-{exponent}}}", 1
        yield rf"\frac{{1}}{{{base}^{{{exponent}}}}}", rf"\frac{{1}}{{{base}^{{{exponent - 1}}}}}", 0
    for _ in range(4):
        mantissa, exponent = rng.randint(11, 99), rng.randint(3, 9)
        value = mantissa * 10 ** (exponent - 1)
        yield str(value), rf"{mantissa // 10}.{mantissa % 10} \times 10^{{{exponent}}}", 1
        yield str(value), rf"{mantissa // 10}.{mantissa % 10} \times 10^{{{exponent - 1}}}", 0


def constants() -> Iterator[Pair]:
    for _ in range(8):
        value = sp.Rational(rng.randint(1, 20), rng.randint(2, 12)) * choose(sp.pi, sp.E)
        p, q = sp.fraction(value)
        yield sp.latex(value), rf"{sp.latex(p)}/{q}" if q != 1 else sp.latex(p), 1
        yield sp.latex(value), sp.latex(value + choose(1, sp.pi / 6)), 0
    for a, b in ((8, 2), (27, 3), (32, 2), (81, 3)):
        yield rf"\log_{{{b}}} {a}", str(sp.log(a, b)), 1
        yield rf"\log_{{{b}}} {a}", str(sp.log(a, b) + 1), 0
    for k in (6, 4, 3):
        yield sp.latex(sp.sin(sp.pi / k)), rf"\sin\frac{{\pi}}{{{k}}}", int(k != 6)  # a number stays to be computed
        yield rf"\cos\frac{{\pi}}{{{k}}}", sp.latex(sp.cos(sp.pi / k)), 1
        yield rf"\cos\frac{{\pi}}{{{k}}}", sp.latex(-sp.cos(sp.pi / k)), 0


def polynomials() -> Iterator[Pair]:
    for _ in range(12):
        roots = [rng.randint(-6, 6) for _ in range(rng.randint(2, 3))]
        factored = sp.Mul(*[x - root for root in roots])
        expanded = sp.expand(factored)
        yield sp.latex(expanded), sp.latex(factored), 1
        terms = list(sp.Add.make_args(expanded))
        rng.shuffle(terms)
        shuffled = sp.latex(terms[0]) + "".join(
            (" " if sp.latex(term).startswith("-") else " + ") + sp.latex(term) for term in terms[1:]
        )
        yield sp.latex(factored), shuffled, 1
        yield sp.latex(expanded), sp.latex(sp.expand(expanded + choose(1, -1, x, -x, 2 * x**2))), 0


def rational_functions() -> Iterator[Pair]:
    for _ in range(6):
        a, b, c = (rng.randint(1, 7) for _ in range(3))
        value = a / (x + b) + c / (x - b)
        together = sp.together(value)
        yield sp.latex(value), sp.latex(sp.factor(together)), 1
        yield sp.latex(value), sp.latex(a / (x + b) - c / (x - b)), 0


def trigonometry() -> Iterator[Pair]:
    yield r"\sin(2x)", r"2\sin x\cos x", 1
    yield r"\cos 2x", r"1-2\sin^2 x", 1
    yield r"\cos 2x", r"2\sin^2 x-1", 0
    yield r"\tan x", r"\frac{\sin x}{\cos x}", 1
    yield r"\tan x", r"\frac{\cos x}{\sin x}", 0
    yield r"e^{2x}", r"(e^x)^2", 1
    yield r"e^{2x}", r"e^{x^2}", 0
    yield r"\ln 8", r"3\ln 2", 1
    yield r"\ln 8", r"2\ln 3", 0


def bracket(interval: sp.Interval) -> str:
    left = "(" if interval.left_open else "["
    right = ")" if interval.right_open else "]"
    return f"{left}{sp.latex(interval.start)}, {sp.latex(interval.end)}{right}"


def intervals() -> Iterator[Pair]:
    for _ in range(8):
        start = sp.Rational(rng.randint(-9, 9), choose(1, 1, 2, 3))
        stop = start + rng.randint(1, 9)
        left, right = choose(True, False), choose(True, False)
        value = sp.Interval(start, stop, left, right)
        yield bracket(value), rf"\left{bracket(value)[:-1]}\right{bracket(value)[-1]}", 1
        yield bracket(value), bracket(sp.Interval(start, stop, not left, right)), 0
        yield bracket(value), bracket(sp.Interval(start, stop + 1, left, right)), 0
        below, above = "<" if left else r"\le", "<" if right else r"\leq"
        yield bracket(value), rf"{sp.latex(start)} {below} x {above} {sp.latex(stop)}", 1
    for _ in range(4):
        cut = rng.randint(-9, 9)
        yield rf"({cut}, \infty)", f"x > {cut}", 1
        yield rf"({cut}, \infty)", rf"x \geq {cut}", 0
        yield rf"(-\infty, {cut}] \cup [{cut + 3}, \infty)", rf"(-\infty, {cut}] \cup [{cut + 3}, +\infty)", 1
        yield rf"(-\infty, {cut}] \cup [{cut + 3}, \infty)", rf"(-\infty, {cut}) \cup [{cut + 3}, \infty)", 0


def sets() -> Iterator[Pair]:
    for _ in range(8):
        members = rng.sample(range(-12, 13), rng.randint(2, 4))
        shuffled = rng.sample(members, len(members))
        text = r"\{" + ", ".join(map(str, members)) + r"\}"
        yield text, r"\{" + ",".join(map(str, shuffled)) + r"\}", 1
        yield text, ", ".join(map(str, shuffled)), 1
        yield text, r"\{" + ", ".join(map(str, members[:-1])) + r"\}", 0
        yield text, r"\left\{" + ", ".join(map(str, [*members, 99])) + r"\right\}", 0


def tuples() -> Iterator[Pair]:
    for _ in range(7):
        a, b = rng.sample(range(-20, 20), 2)
        half = Fraction(a, 7)
        yield f"({a}, {b})", f"({a},{b})", 1
        yield f"({a}, {b})", f"({b}, {a})", 0
        yield f"({a}, {b})", rf"\{{{a}, {b}\}}", 0
        yield f"({frac(half)}, {b})", rf"\left({frac(half)}, {b}\right)", 1


def matrices() -> Iterator[Pair]:
    for _ in range(5):
        rows = [[rng.randint(-9, 9) for _ in range(2)] for _ in range(2)]
        text = r" \\ ".join(" & ".join(map(str, row)) for row in rows)
        turned = r" \\ ".join(" & ".join(map(str, row)) for row in zip(*rows, strict=True))
        tight = r"\\".join("&".join(map(str, row)) for row in rows)
        yield rf"\begin{{pmatrix}} {text} \end{{pmatrix}}", rf"\begin{{bmatrix}}{tight}\end{{bmatrix}}", 1
        same = rows[0][1] == rows[1][0]
        yield rf"\begin{{pmatrix}} {text} \end{{pmatrix}}", rf"\begin{{pmatrix}} {turned} \end{{pmatrix}}", int(same)


def complex_numbers() -> Iterator[Pair]:
    for _ in range(7):
        a, b = rng.randint(-9, 9) or 1, rng.randint(1, 9)
        value = a + b * sp.I
        imaginary = "i" if b == 1 else f"{b}i"
        yield f"{a}+{imaginary}", f"{imaginary}+{a}" if a > 0 else f"{imaginary}{a}", 1
        yield f"{a}+{imaginary}", f"{a}-{imaginary}", 0
        squared = sp.expand(value**2)
        yield sp.latex(squared), f"({a}+{imaginary})^2", 1
    yield r"\frac{1}{2}+\frac{\sqrt{3}}{2}i", r"e^{i\pi/3}", 1
    yield r"\frac{1}{2}+\frac{\sqrt{3}}{2}i", r"e^{2i\pi/3}", 0


def equations() -> Iterator[Pair]:
    for _ in range(7):
        a, b = rng.randint(2, 9), rng.randint(1, 9)
        yield str(a), f"x = {a}", 1
        yield f"x={a}", str(a), 1
        yield f"x={a}", f"x={a + 1}", 0
        yield f"y = {a}x + {b}", f"y={b}+{a}x", 1
        yield f"y = {a}x + {b}", f"{a}x - y + {b} = 0", 1
        yield f"y = {a}x + {b}", f"y={a}x-{b}", 0
        yield str(a + b), f"{a}+{b}", 0  # unevaluated
        yield str(a * b), rf"{a} \cdot {b} = {a * b}", 0  # a chain


GROUPS: list[Callable[[], Iterator[Pair]]] = [
    integers, fractions, decimals, mixed_numbers, thousands, percentages, radicals, powers, constants, polynomials,
    rational_functions, trigonometry, intervals, sets, tuples, matrices, complex_numbers, equations,
]  # fmt: skip


def main() -> None:
    """Write the cases, one JSON object a line, without repeating a pair."""
    seen: set[tuple[str, str]] = set()
    lines = []
    for group in GROUPS:
        for answer, box, expected in group():
            if (answer, box) in seen:
                continue
            seen.add((answer, box))
            case = {"id": f"oracle-{len(lines):03d}", "group": group.__name__, "answer": answer, "box": box}
            lines.append(json.dumps({**case, "expected": expected}, ensure_ascii=False))
    path = Path(__file__).with_name("math_oracle.jsonl")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
