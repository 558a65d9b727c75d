"""Reading recipe files: YAML 1.2, lines, `extends:`, `--set`."""

from __future__ import annotations

from pathlib import Path

import pytest

from magistral_recipe.errors import RecipeError
from magistral_recipe.recipe.document import key_text, read_document, to_yaml


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_numbers_are_yaml_1_2(tmp_path):
    file = write(tmp_path, "a.yaml", "rate: 2e-6\nother: 1.0e-5\ncount: 0o10\nword: no\nclock: 12:30\nflag: true\n")
    data = read_document(file).data
    assert data == {"rate": 2e-6, "other": 1e-5, "count": 8, "word": "no", "clock": "12:30", "flag": True}
    assert type(data["rate"]) is float
    assert type(data["flag"]) is bool


def test_each_key_knows_its_line(tmp_path):
    file = write(
        tmp_path, "a.yaml", "name: x\nmodel:\n  path: tiny\nstages:\n  - sft:\n      trainer: {a: 1,\n  b: 2}\n"
    )
    document = read_document(file)
    assert document.place(("model", "path")) == f"{file}:3"
    assert document.place(("stages", 0, "sft", "trainer", "b")) == f"{file}:7"
    assert document.place(("model", "missing")) == f"{file}:2"


def test_extends_merges_mappings_and_replaces_lists(tmp_path):
    write(tmp_path, "base/base.yaml", "name: base\nmodel: {path: a, dtype: b}\nstages: [one, two]\n")
    file = write(tmp_path, "child.yaml", "extends: base/base.yaml\nname: child\nmodel: {path: c}\nstages: [three]\n")
    document = read_document(file)
    assert document.data == {"name": "child", "model": {"path": "c", "dtype": "b"}, "stages": ["three"]}
    assert document.place(("model", "path")) == f"{file}:3"
    assert document.place(("model", "dtype")).endswith("base.yaml:2")
    assert document.place(("stages", 0)) == f"{file}:4"


def test_extends_in_a_circle_is_refused(tmp_path):
    write(tmp_path, "a.yaml", "extends: b.yaml\n")
    write(tmp_path, "b.yaml", "extends: a.yaml\n")
    with pytest.raises(RecipeError, match=r"circle: a\.yaml -> b\.yaml -> a\.yaml"):
        read_document(tmp_path / "a.yaml")


RECIPE = (
    "name: x\nstages:\n  - sft: {trainer: {max_steps: 3}}\n  - grpo: {name: rl}\n  - grpo: {name: rl-2}\n  - export\n"
)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("name=y", ("name",), "y"),
        ("stages.sft.trainer.max_steps=2e1", ("stages", 0, "sft", "trainer", "max_steps"), 20.0),
        ("stages.rl.trainer.learning_rate=2e-6", ("stages", 1, "grpo", "trainer", "learning_rate"), 2e-6),
        ("stages[2].trainer.beta=0.1", ("stages", 2, "grpo", "trainer", "beta"), 0.1),
        ("stages.2.grpo.trainer.beta=0.1", ("stages", 2, "grpo", "trainer", "beta"), 0.1),
        ("sft.trainer.max_steps=5", ("stages", 0, "sft", "trainer", "max_steps"), 5),
        ("rl-2.trainer.beta=0.1", ("stages", 2, "grpo", "trainer", "beta"), 0.1),
        ("stages.export.name=final", ("stages", 3, "export", "name"), "final"),
        ("model.lora={r: 4}", ("model", "lora"), {"r": 4}),
        ("thinking.system_prompt=none", ("thinking", "system_prompt"), "none"),
    ],
)
def test_set_reaches_any_key(tmp_path, override, path, value):
    document = read_document(write(tmp_path, "a.yaml", RECIPE), [override])
    found = document.data
    for part in path:
        found = found[part]
    assert found == value
    assert document.place(path) == f"--set {override}"


def test_a_key_made_by_set_is_told_where_it_was_made(tmp_path):
    document = read_document(write(tmp_path, "a.yaml", RECIPE), ["nowhere.at.all=1"])
    assert document.place(("nowhere",)) == document.place(("nowhere", "at")) == "--set nowhere.at.all=1"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("name", "expected key.path=value"),
        ("stages.grpo.x=1", "no such stage.*rl"),
        ("stages.sft=1", "name a key of the stage"),
        ("name.deep.er=1", "has no keys below it"),
        ("model=[1", "not valid YAML"),
    ],
)
def test_an_override_that_fits_nowhere_is_refused(tmp_path, override, message):
    with pytest.raises(RecipeError, match=message):
        read_document(write(tmp_path, "a.yaml", RECIPE), [override])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [1,\n", r"a\.yaml:\d+: not valid YAML"),
        ("name: a\nname: b\n", r"a\.yaml:2: .*each key may stand once"),
        ("- a\n", r"a\.yaml:1: expected a recipe"),
        ("", r"a\.yaml:1: expected a recipe .* found nothing"),
        ("extends: gone.yaml\n", r"a\.yaml:1: extends: no such file"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(RecipeError, match=message):
        read_document(write(tmp_path, "a.yaml", text))


def test_a_missing_file_suggests_its_neighbour(tmp_path):
    write(tmp_path, "quickstart.yaml", "name: x\n")
    with pytest.raises(RecipeError, match=r"no such recipe file. Did you mean 'quickstart\.yaml'"):
        read_document(tmp_path / "quickstat.yaml")


def test_written_yaml_reads_back_the_same(tmp_path):
    data = read_document(write(tmp_path, "a.yaml", RECIPE + "note: 'no: 1'\nrate: 1.0e-7\n")).data
    assert read_document(write(tmp_path, "b.yaml", to_yaml(data))).data == data


def test_key_text():
    assert key_text(("stages", 2, "grpo", "trainer", "beta")) == "stages[2].grpo.trainer.beta"
