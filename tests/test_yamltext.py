"""YAML of a stranger: whatever it is, one line says so, at once and in little memory."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from tests.helpers.odd_files import KINDS, odd_file

from magistral_recipe.data.benchmarks.catalogue import read_row
from magistral_recipe.errors import DataError, RecipeError
from magistral_recipe.models.target import _recipe_above
from magistral_recipe.recipe.document import read_document
from magistral_recipe.yamltext import MAX_NESTING, YamlTextError, parse_yaml


def doubled(rows: int, line: str) -> str:
    return "a0: &a0 [x, x]\n" + "".join(line.format(n=n, before=n - 1) for n in range(1, rows))


ATTACKS = {
    "a list as a key": "? [[a]]\n: b\n",
    "a mapping as a key": "? {a: b}\n: c\n",
    "an ordered map that names a key twice": "x: !!omap [a: 1, a: 2]\n",
    "an ordered map that is none": "x: !!omap [[a]]\n",
    "a set of lists": "x: !!set {[a]}\n",
    "pairs that are none": "x: !!pairs 5\n",
    "a number that is a list": "x: !!int [1]\n",
    "a time of day that is a mapping": "x: !!timestamp {a: b}\n",
    "a bomb of lists": doubled(40, "a{n}: &a{n} [*a{before}, *a{before}]\n"),
    "a bomb of mappings": doubled(40, "a{n}: &a{n} {{x: *a{before}, y: *a{before}}}\n"),
    "nine laughs": doubled(10, "a{n}: &a{n} [" + ", ".join(["*a{before}"] * 9) + "]\n"),
    "a bomb in block style": "".join(
        f"a{n}: &a{n}\n  - {'x' if n == 0 else f'*a{n - 1}'}\n  - {'x' if n == 0 else f'*a{n - 1}'}\n"
        for n in range(40)
    ),
    "merged bombs": "a0: &a0 {k: [x]}\n"
    + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}, k{n}: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40)),
    "a long value many times": "a: &a '" + "x" * 1000 + "'\nb: [" + "*a, " * 11_000 + "]\n",
    "itself": "a: &a [*a]\n",
    "itself under an old name": "a: &a 1\nb: &a [*a]\n",
    "itself in a mapping": "a: &a {b: {c: *a}}\n",
    "depth": "a: " + "[" * 5000 + "]" * 5000,
    "depth, left open": "a: " + "[" * 100_000,
    "depth of mappings": "a: " + "{a: " * 3000 + "1" + "}" * 3000,
    "depth in block style": "\n".join(" " * n + "a:" for n in range(400)),
    "depth on one line": "a:\n " + "- " * 3000 + "x",
    "depth through aliases": "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 2000)),
    "questions": "? " * 3000 + "x",
    "an integer": "a: " + "9" * 5000,
    "a negative integer": "a: -" + "9" * 5000,
    "a hexadecimal integer": "a: 0x" + "f" * 5000,
    "an octal integer": "a: 0o" + "7" * 5000,
    "an integer with gaps": "a: " + "9_" * 2500 + "9",
    "an integer as a key": "9" * 5000 + ": 1",
    "a tagged integer": "a: !!int '" + "9" * 5000 + "'",
    "a date": "a: 2024-13-45",
    "a time": "a: !!timestamp x",
    "a tag that is code": "a: !!python/object/apply:os.system ['true']",
    "size": "a: " + "x" * 300_000,
    "many values": "a: [" + "1," * 11_000 + "]",
    "two documents": "a: 1\n---\nb: 2\n",
    "an anchor without end": "a: &" + "x" * 100_000,
    "a control character": "a: \x1b[2J",
    "an unknown alias": "a: *b",
    "twice": "a: 1\na: 2\n",
    "binary": "a: !!binary '*'",
    "a set": "!!set {a, b}",
    "not a number": "a: !!float x",
}


def raised(kind, action):
    """The error of a kind that an action raises, if it does."""
    try:
        action()
    except kind as error:
        return error
    return None


@pytest.mark.parametrize("kind", ["rt", "safe"])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_costs_little_and_is_at_most_one_line(name, kind):
    tracemalloc.start()
    started = time.process_time()
    error = raised(YamlTextError, lambda: parse_yaml(ATTACKS[name], kind))
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - started < 10  # traced; a second or less without
    assert held < 100 << 20
    assert error is None or ("\n" not in error.problem and len(error.problem) < 400 and error.line >= 1)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_recipe_and_an_override_say_it_in_one_line(tmp_path, name):
    file, plain = tmp_path / "a.yaml", tmp_path / "b.yaml"
    file.write_text(ATTACKS[name], encoding="utf-8")
    plain.write_text("name: x\n", encoding="utf-8")
    for read in (lambda: read_document(file), lambda: read_document(plain, [f"a={ATTACKS[name]}"])):
        error = raised(RecipeError, read)
        assert error is None or (len(error.problems) == 1 and len(error.problems[0]) < 1000)


BOMBS = [name for name in ATTACKS if name.startswith(("a bomb", "nine", "depth", "itself", "an integer", "size"))]


@pytest.mark.parametrize("name", BOMBS)
def test_every_reader_of_yaml_refuses_it(tmp_path, name):
    (tmp_path / "recipe.yaml").write_text(ATTACKS[name], encoding="utf-8")
    with pytest.raises(RecipeError):
        read_document(tmp_path / "recipe.yaml")
    with pytest.raises(DataError):
        read_row(tmp_path / "recipe.yaml")
    assert _recipe_above(tmp_path) == {}


def test_what_recipes_need_is_read():
    text = "a: &a {x: 1}\nb: [*a, *a]\nc: {<<: *a, y: 2}\nd: 2e-6\ne: 123456789012345678901234567890\n"
    assert parse_yaml(text) == {
        "a": {"x": 1}, "b": [{"x": 1}, {"x": 1}], "c": {"x": 1, "y": 2}, "d": 2e-6, "e": 123456789012345678901234567890
    }  # fmt: skip
    deep = "a: " + "[" * (MAX_NESTING - 4) + "]" * (MAX_NESTING - 4)
    assert parse_yaml(deep)
    with pytest.raises(YamlTextError, match=f"nested more than {MAX_NESTING} levels"):
        parse_yaml("a: " + "[" * MAX_NESTING + "]" * MAX_NESTING)


def test_the_line_is_said():
    for text, line in (("a: 1\nb: " + "9" * 5000, 2), ("a: 1\n\nb: [*c]", 3), ("a: 1\nb: 2\na: 3", 3)):
        with pytest.raises(YamlTextError) as raised:
            parse_yaml(text)
        assert raised.value.line == line


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_that_is_no_file_is_not_waited_for(tmp_path, kind):
    file = odd_file(tmp_path / "a.yaml", kind)
    with pytest.raises(RecipeError, match="expected a file"):
        read_document(file)
    with pytest.raises(DataError, match="expected a file"):
        read_row(file)
