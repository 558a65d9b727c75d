"""`magistral-recipe keys`: searched by a word, as a page, as a JSON Schema."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from magistral_recipe.check.keys import keys_page
from magistral_recipe.cli import app


def invoke(*words: str):
    return CliRunner().invoke(app, ["keys", *words])


def test_a_word_finds_keys_of_ours_and_of_trls():
    done = invoke("learning_rate")
    assert done.exit_code == 0
    assert "sft.trainer.learning_rate  number, default 2e-05" in done.output
    assert "penalty zone" not in done.output
    assert "grpo.trainer.overlong_cache  whole number, default null" in invoke("overlong").output


def test_a_word_that_is_nowhere_is_told():
    done = invoke("qqq")
    assert (done.exit_code, done.stderr) == (2, "no key has 'qqq' in its name or meaning\n")


def test_the_page_and_the_schema_are_printed_alone():
    assert invoke("--page").output == keys_page()
    assert json.loads(invoke("--json-schema").stdout)["title"] == "Recipe"
