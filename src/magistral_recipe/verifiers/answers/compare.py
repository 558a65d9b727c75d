r"""Is this answer the reference? The order of the rules, one for each pair of shapes, without SymPy.

The guards are where most attempts to game a maths reward end: what still has to be computed is no answer
where the reference is a number, brackets and units count, a chain of equations or a choice of answers
is none. What neither side's rules decide is left ``undecided`` for SymPy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from magistral_recipe.verifiers.answers import values
from magistral_recipe.verifiers.answers.choices import letters_of
from magistral_recipe.verifiers.answers.clock import same_time
from magistral_recipe.verifiers.answers.domains import describes_a_set, domain_of, same_domain
from magistral_recipe.verifiers.answers.expressions import Node, contains, variables
from magistral_recipe.verifiers.answers.listings import as_set, choice_letters, groups_of, in_order, listings
from magistral_recipe.verifiers.answers.matrices import nested
from magistral_recipe.verifiers.answers.quantities import quantities
from magistral_recipe.verifiers.answers.ratios import is_ratio, ratios
from magistral_recipe.verifiers.answers.reading import read, readings, reference_readings
from magistral_recipe.verifiers.answers.relations import relations, renamed
from magistral_recipe.verifiers.answers.shapes import (
    Clock,
    Congruence,
    Difference,
    Listing,
    Matrix,
    Opaque,
    Quantity,
    Relation,
    Shape,
    Union,
    Words,
)
from magistral_recipe.verifiers.answers.text import word_set
from magistral_recipe.verifiers.answers.verdicts import (
    HEDGE,
    RESTATED,
    RIGHT,
    UNDECIDED,
    UNREADABLE,
    WRONG,
    Rules,
    Verdict,
)

_DEFAULT = Rules()


def compare(reference: str, answer: str, rules: Rules = _DEFAULT) -> Verdict:
    """Compare an answer with a reference.

    Args:
        reference: a readable one (see `readable`).
        answer: what stands in a box.
        rules: conventions on which users differ.

    Returns:
        The verdict; undecided where only SymPy can tell.
    """
    if answer.strip() in (reference.strip(), reference.strip().replace(",", "{,}")):
        return RIGHT
    comparison = _Comparison(rules)
    first: Verdict | None = None
    for wanted in reference_readings(reference):
        for found in readings(answer):
            verdict = comparison.answers(wanted, found)
            if verdict.right:
                return verdict
            first = first or verdict
    assert first is not None
    return first


@dataclass(frozen=True)
class _Comparison:
    """The rules' way to compare parts of what they compare; see `Compare`."""

    rules: Rules

    def answers(self, wanted: Shape, found: Shape) -> Verdict:
        """Compare two whole answers, also by another name of what the answers call arbitrary."""
        verdict = self(wanted, found)
        if verdict.right is not True and (names := _arbitrary_names(wanted, found)):
            by_name = self(wanted, renamed(found, names))
            return by_name if by_name.right else verdict
        return verdict

    def __call__(self, wanted: Shape, found: Shape) -> Verdict:
        """Compare two shapes; a `TooBigError` value is no answer."""
        if wanted.text == found.text and not isinstance(found, (Words, Opaque)):
            return RIGHT
        try:
            return self._rules(wanted, found)
        except (values.TooBigError, RecursionError):
            return UNREADABLE

    def _rules(self, wanted: Shape, found: Shape) -> Verdict:
        if isinstance(found, Opaque) and found.why in ("hedge", "broken"):
            return HEDGE if found.why == "hedge" else UNREADABLE
        if wanted.text == found.text and isinstance(found, Opaque):
            return RIGHT
        if isinstance(wanted, Words) or isinstance(found, Words):
            return self._words(wanted, found)
        if any(isinstance(side, Opaque) and side.why == "exact" for side in (wanted, found)):
            return WRONG
        if isinstance(found, Opaque) and found.why == "unevaluated":
            return RESTATED
        if isinstance(wanted, Congruence) or isinstance(found, Congruence):
            return _congruences(wanted, found)
        if isinstance(wanted, Clock) or isinstance(found, Clock):
            return self._times(wanted, found)
        if (verdict := self._sets(wanted, found)) is not None:
            return verdict
        return self._of_kind(wanted, found)

    def _of_kind(self, wanted: Shape, found: Shape) -> Verdict:
        sides = (wanted, found)
        if any(isinstance(side, Relation) for side in sides):
            lists = [isinstance(side, Listing) and groups_of(side) is not None for side in sides]
            groups = [groups_of(side) for side in sides]
            if any(lists) or all(groups) or (any(groups) and any(isinstance(side, Listing) for side in sides)):
                return listings(wanted, found, self)
            return relations(wanted, found, self)
        if any(isinstance(side, Opaque) for side in sides):
            return _opaque(wanted, found)
        if any(isinstance(side, Matrix) for side in sides):
            return self._matrices(wanted, found)
        if any(isinstance(side, (Union, Difference)) for side in sides):
            return self._unions(wanted, found)
        if any(is_ratio(side) for side in sides):
            return ratios(wanted, found, self)
        if any(isinstance(side, Listing) for side in sides):
            return listings(wanted, found, self)
        if isinstance(wanted, Quantity) and isinstance(found, Quantity):
            return quantities(wanted, found, self.rules)
        return WRONG

    def _words(self, wanted: Shape, found: Shape) -> Verdict:
        if isinstance(wanted, Words) and isinstance(found, Words):
            return self._two_words(wanted, found)
        words, other = (wanted, found) if isinstance(wanted, Words) else (found, wanted)
        assert isinstance(words, Words)
        if isinstance(other, Relation) and other.label and len(other.sides) == 2 and other.ops == ("=",):
            return self(words, other.sides[1]) if words is wanted else self(other.sides[1], words)
        if isinstance(other, Quantity) and words.product is not None and other.unit is None:
            return RIGHT if variables(other.node) and values.same_value(words.product, other.node) else WRONG
        if isinstance(other, Listing) and (letters := choice_letters(other)):
            return RIGHT if letters == letters_of(words.words) else HEDGE if other is found else WRONG
        if words is wanted and words.rest:
            return self(read(words.rest), found)
        if _says_the_same(words.words, other):
            return RIGHT
        return HEDGE if isinstance(found, Listing) else WRONG

    def _two_words(self, wanted: Words, found: Words) -> Verdict:
        if wanted.words != found.words:
            return WRONG
        # (B) 12 for B is right, but (B) 12 is not (B) 13.
        both = wanted.rest and found.rest
        return RIGHT if not both or self(read(wanted.rest), read(found.rest)).right else WRONG

    def _times(self, wanted: Shape, found: Shape) -> Verdict:
        if isinstance(wanted, Clock) and isinstance(found, Clock):
            return RIGHT if same_time(wanted, found) else WRONG
        if any(isinstance(side, Clock) and side.half for side in (wanted, found)):
            return WRONG
        return ratios(wanted, found, self)

    def _sets(self, wanted: Shape, found: Shape) -> Verdict | None:
        """Compare as sets on the line, where either side is more than a list; ``None`` where that is not known."""
        if not describes_a_set(wanted) and not describes_a_set(found):
            return None
        domains = [domain_of(side) for side in (wanted, found)]
        if domains[0] is None or domains[1] is None:
            return None
        return RIGHT if same_domain(domains[0], domains[1]) else WRONG

    def _unions(self, wanted: Shape, found: Shape) -> Verdict:
        if not isinstance(wanted, Union) or not isinstance(found, Union):
            return (
                UNDECIDED if all(isinstance(side, (Union, Listing, Difference)) for side in (wanted, found)) else WRONG
            )
        if any(isinstance(part, Opaque) for part in found.parts):
            return UNREADABLE
        verdict = as_set(wanted.parts, found.parts, self)
        return verdict if verdict.right else UNDECIDED

    def _matrices(self, wanted: Shape, found: Shape) -> Verdict:
        wanted, found = (nested(side) or side for side in (wanted, found))
        if not isinstance(wanted, Matrix) or not isinstance(found, Matrix):
            vectors = [_vector(side) for side in (wanted, found)]
            return WRONG if vectors[0] is None or vectors[1] is None else in_order(vectors[0], vectors[1], self)
        if len(wanted.rows) != len(found.rows) or len(wanted.rows[0]) != len(found.rows[0]):
            return WRONG
        entries = [[entry for row in matrix.rows for entry in row] for matrix in (wanted, found)]
        return in_order(entries[0], entries[1], self)


def _opaque(wanted: Shape, found: Shape) -> Verdict:
    # A number is wanted and the answer could not be read as one: SymPy's leniency would only invite games. So it would
    # where the answer has words or stray marks, which Math-Verify drops.
    if isinstance(wanted, Quantity) and wanted.value is not None:
        return UNREADABLE
    if isinstance(found, Opaque) and not _beyond_the_rules(found.text):
        return UNREADABLE
    return UNDECIDED


_ELEMENTARY = word_set(
    "frac sqrt pi cdot times pm mp infty left right alpha beta gamma theta lambda sin cos tan ln log exp circ ldots "
    "text cup cap setminus in leq geq neq approx equiv mathbb binom triangle angle overline vec begin end quad "
    "uniti unitj unitk"
)


def _beyond_the_rules(text: str) -> bool:
    r"""Whether a text that the rules don't read is mathematics all the same: it has a command that they don't know."""
    commands = set(re.findall(r"\\([a-zA-Z]+)", text))
    plain = re.sub(r"\\[a-zA-Z]+", " ", text)
    return bool(commands - _ELEMENTARY) and not re.search(r"[^\W\d_]{3}|['?;~\"`]|[^\x00-\x7f]|\d_|\\text", plain)


def _says_the_same(words: str, other: Shape) -> bool:
    """``no solution`` is the empty set; ``infinitely many`` is infinity."""
    if words == "no solution":
        return isinstance(other, Listing) and other.brackets == "{}" and not other.items
    if words in ("infinitely many", "infinity"):
        return isinstance(other, Quantity) and other.node == Node("const", value="inf")
    return False


def _congruences(wanted: Shape, found: Shape) -> Verdict:
    """Residues of one modulus; a bare number for the residue that is written, and no other of its class."""
    if isinstance(wanted, Congruence) and isinstance(found, Congruence):
        if wanted.modulus != found.modulus or (wanted.subject and found.subject and wanted.subject != found.subject):
            return WRONG
        classes = [{residue % side.modulus for residue in side.residues} for side in (wanted, found)]
        return RIGHT if classes[0] == classes[1] else WRONG
    if isinstance(found, Congruence) and isinstance(wanted, Quantity) and wanted.value is not None:
        return (
            RIGHT
            if len(found.residues) == 1 and found.residues[0] == wanted.value and 0 <= wanted.value < found.modulus
            else WRONG
        )
    return WRONG


def _vector(shape: Shape) -> list[Shape] | None:
    """The entries of a tuple, or of a matrix of one row or column, which writes the same vector."""
    if isinstance(shape, Listing) and shape.brackets == "()":
        return list(shape.items)
    if isinstance(shape, Matrix) and 1 in (len(shape.rows), len(shape.rows[0])):
        return [entry for row in shape.rows for entry in row]
    return None


_INTEGER_LETTERS = frozenset("kmnlprtjz")
_CONSTANT_LETTERS = frozenset("abcdkmnpqrstABCDK")


def _arbitrary_names(wanted: Shape, found: Shape) -> dict[str, Node] | None:
    """The letter of an answer that is arbitrary there, and may be called as in the reference; ``None`` without one."""
    letters = [_letters(side) for side in (wanted, found)]
    only = [letters[0] - letters[1], letters[1] - letters[0]]
    if len(only[0]) != 1 or len(only[1]) != 1:
        return None
    (old,), (new,) = only[1], only[0]
    declared = new in wanted.bound or old in found.bound
    usual = _INTEGER_LETTERS if new in _INTEGER_LETTERS else _CONSTANT_LETTERS
    if not (new in wanted.bound and old in found.bound) and not (new in usual and old in usual):
        return None
    if not declared and not all(_periodic(side, letter) for side, letter in ((wanted, new), (found, old))):
        return None
    return {old: Node("var", value=new)}


def _letters(shape: Shape) -> frozenset[str]:
    if isinstance(shape, Quantity):
        return frozenset(name for name in variables(shape.node) if re.fullmatch(r"[a-zA-Z]|\\[a-z]+", name))
    parts = {
        Listing: lambda: shape.items, Union: lambda: shape.parts,  # type: ignore[attr-defined]
        Relation: lambda: shape.sides[1:] if shape.label else shape.sides,  # type: ignore[attr-defined]
    }.get(type(shape))  # fmt: skip
    return frozenset().union(*(_letters(part) for part in parts())) if parts else frozenset()


def _periodic(shape: Shape, letter: str) -> bool:
    r"""Whether a letter multiplies a period that is added to a value, wherever it stands: ``\frac{\pi}{4}+k\pi``."""
    if isinstance(shape, Quantity):
        return letter not in variables(shape.node) or _adds_a_period(shape.node, letter)
    if isinstance(shape, Relation):
        return all(_periodic(side, letter) for side in (shape.sides[1:] if shape.label else shape.sides))
    if isinstance(shape, (Listing, Union)):
        return all(_periodic(item, letter) for item in (shape.items if isinstance(shape, Listing) else shape.parts))
    return False


def _adds_a_period(node: Node, letter: str) -> bool:

    terms, stack = [], [node]
    while stack:
        current = stack.pop()
        if current.op == "add":
            stack.extend(current.args)
        else:
            terms.append(current.args[0] if current.op == "neg" else current)
    holding = [term for term in terms if letter in variables(term)]
    if len(terms) < 2 or len(holding) != 1:
        return False
    period = holding[0]
    return variables(period) == {letter} and contains(period, "pi", "deg") and period.op in ("mul", "div")
