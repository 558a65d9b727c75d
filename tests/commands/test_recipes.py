"""`magistral-recipe recipes`: what is listed, what is copied, what is refused."""

from __future__ import annotations

from typer.testing import CliRunner

from magistral_recipe.cli import app
from magistral_recipe.recipe.ready import ready_recipes


def invoke(*words: str):
    return CliRunner().invoke(app, ["recipes", *words])


def test_the_list_names_each_recipe_with_its_card_and_how_to_take_one():
    done = invoke()
    assert done.exit_code == 0
    names = [line.split()[0] for line in done.output.splitlines() if line[:1].strip() and not line.startswith("`")]
    assert names == [recipe.name for recipe in ready_recipes()]
    assert "one RTX 4090" in done.output
    assert "recipes copy NAME" in done.output


def test_a_copy_says_what_it_wrote_and_what_comes_next(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = invoke("copy", "my_data")
    assert done.output.splitlines() == [
        "wrote my_data.yaml",
        "wrote data/problems.jsonl",
        "wrote data/traces.jsonl",
        "next:  magistral-recipe check my_data.yaml",
        "       magistral-recipe run my_data.yaml",
    ]
    assert (tmp_path / "my_data.yaml").is_file()


def test_an_unknown_name_is_a_mistake(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = invoke("copy", "qwen3_1.7b")
    assert done.exit_code == 2
    assert done.stderr.startswith("no ready recipe 'qwen3_1.7b'. Did you mean")
    assert list(tmp_path.iterdir()) == []
