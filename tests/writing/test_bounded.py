"""Chat templates that loop or build giant strings end with the process that tries them."""

from __future__ import annotations

import os
import time

import families
import psutil
import pytest
from tests.helpers.odd_files import KINDS, odd_file

from magistral_recipe.errors import DataError
from magistral_recipe.writing import bounded
from magistral_recipe.writing.bounded import why_unbounded
from magistral_recipe.writing.chat_format import ChatFormat
from magistral_recipe.writing.template import check_system_turn, inspect_template, template_text
from magistral_recipe.writing.thinking import Thinking

LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
END = "{% endfor %}{% endfor %}{% endfor %}"
ATTACKS = {
    "a loop": LOOP + END,
    "a loop that writes": LOOP + "xxxxxxxx" + END,
    "a recursive macro": "{% macro m(n) %}{{ m(n + 1) }}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    "a macro that doubles": (
        "{% macro m(n) %}{% if n < 60 %}{{ m(n + 1) }}{{ m(n + 1) }}{% endif %}{% endmacro %}{{ m(0) }}"
    ),
    "a product": "{{ 'a' * 10000000000 }}",
    "a product that varies": "{{ messages[0].content * 10000000000 }}",
    "doubled": (
        "{% set ns = namespace(t='ab') %}{% for a in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}"
    ),
    "a list": "{{ ([1] * 9999999999) | length }}",
    "a join": "{{ (range(99999) | list * 99999) | join }}",
    "a power": "{{ 9 ** (9 ** (9 ** 9)) }}",
    "a wide text": "{{ '%1000000000d' % 1 }}",
    "a centred text": "{{ 'x' | center(9999999999) }}",
    "replaced": "{{ ('a' * 90000) | replace('', 'b' * 90000) }}",
    "long": "{{ 'a' * 1000000 }}",
    "indented": "{{ ('a\\n' * 90000) | indent(90000) }}",
    "only for an answer": "{% if messages | length > 1 %}" + LOOP + END + "{% endif %}",
    "only for a system turn": "{% if messages[0].role == 'system' %}{{ 'a' * 10000000000 }}{% endif %}",
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(bounded, "SECONDS", 1)
    monkeypatch.setattr(bounded, "_known", {})


@pytest.mark.parametrize("name", ATTACKS)
def test_a_template_without_end_is_one_line(name):
    tokenizer = families.llama()
    tokenizer.chat_template = ATTACKS[name] + tokenizer.chat_template
    started = time.monotonic()
    for action in (
        lambda: inspect_template(tokenizer, Thinking()),
        lambda: check_system_turn(tokenizer, "Be kind."),
        lambda: ChatFormat(template="tokenizer").install(tokenizer),
    ):
        with pytest.raises(DataError, match="chat template") as raised:
            action()
        assert "\n" not in str(raised.value)
        assert "package's own" in str(raised.value)
    assert time.monotonic() - started < 30  # tried once, remembered


def test_an_attack_leaves_no_process_and_nothing_open():
    tokenizer = families.llama()
    before, children = set(os.listdir("/proc/self/fd")), psutil.Process().children(recursive=True)
    tokenizer.chat_template = LOOP + END
    assert "does not end" in str(why_unbounded(tokenizer))
    assert psutil.Process().children(recursive=True) == children
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("family", ["qwen3", "deepseek_distill", "qwq", "llama", "mistral"])
def test_real_templates_are_bounded(family):
    tokenizer = getattr(families, family)()
    assert why_unbounded(tokenizer) is None
    tokenizer.chat_template = template_text(None)
    assert why_unbounded(tokenizer) is None


def test_what_raises_is_left_to_who_renders_it():
    tokenizer = families.llama()
    tokenizer.chat_template = "{{ raise_exception('tools only') }}"
    assert why_unbounded(tokenizer) is None
    tokenizer.chat_template = "{% for %}"
    assert why_unbounded(tokenizer) is None
    with pytest.raises(DataError, match="can't render"):
        inspect_template(tokenizer, Thinking())


@pytest.mark.parametrize(
    "text", ["{{ 1 / 0 }}", "{{ [][0].x }}", "{{ 'a' + 1 }}", "{{ 'x' | int.y() }}", "{{ '%d' % 'x' }}", "{{ x.y.z }}"]
)
def test_a_template_that_fails_is_one_line(text):
    tokenizer = families.llama()
    tokenizer.chat_template = text
    with pytest.raises(DataError, match="can't render") as raised:
        inspect_template(tokenizer, Thinking())
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_file_that_is_none_is_not_waited_for(tmp_path, kind):
    with pytest.raises(DataError, match="expected a file"):
        template_text(str(odd_file(tmp_path / "t.jinja", kind)))


def test_a_template_file_beyond_all_size_is_refused(tmp_path):
    (tmp_path / "t.jinja").write_text("x" * 300_000)
    with pytest.raises(DataError, match="larger than"):
        template_text(str(tmp_path / "t.jinja"))
