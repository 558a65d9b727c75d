"""Every data set of the hub that a shipped recipe names has a layout, and the recipe's keys go with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from published_rows import PUBLISHED

from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.data.layouts import catalogue
from magistral_recipe.data.readers import is_hub_id
from magistral_recipe.data.sources import ProblemsSource, TracesSource

FOLDER = Path(__file__).parents[3] / "recipes"
RECIPES = sorted(file for file in FOLDER.rglob("*.yaml") if file.parent.name != "accelerate")


def sources(file: Path) -> Iterator[tuple[str, ProblemsSource | TracesSource]]:
    recipe = load_recipe(file).recipe
    yield from recipe.problems.items()
    for stage in recipe.stages:
        if isinstance(traces := getattr(stage, "traces", None), TracesSource):
            yield "traces", traces


def on_the_hub(file: Path) -> list[tuple[str, ProblemsSource | TracesSource]]:
    return [
        (name, source)
        for name, source in sources(file)
        if source.path is not None and source.local(file.parent) is None and getattr(source, "benchmark", None) is None
    ]


def mistakes(source: ProblemsSource | TracesSource) -> list[str]:
    """What is wrong with a source of the hub, told from the layouts alone."""
    assert source.path is not None
    if not is_hub_id(source.path):
        return [f"{source.path} is no data set of the hub"]
    use = "problems" if isinstance(source, ProblemsSource) else "traces"
    listed = {name: layout for name, layout in catalogue.of_hub(source.path).items() if layout.serves(use)}
    if not listed:
        return [f"no layout for {use} lists {source.path}"]
    told: dict[str, list[str]] = {}
    for name, layout in listed.items():
        found = told.setdefault(name, [])
        subset = source.subset or "default"
        if layout.subsets and subset not in layout.subsets:
            found.append(f"subset {subset}: there are {layout.subsets}")
        if (source.split or "train") not in layout.splits:
            found.append(f"split {source.split}: there are {layout.splits}")
        if source.layout not in (None, name):
            found.append(f"layout {source.layout}: it has {name}")
        asked = {*(column for column in source.columns.values() if column), *source.where}
        found += [f"no column {column}" for column in sorted(asked - set(layout.published))]
        if source.answer_in and source.answer_in != layout.answer_in:
            found.append(f"answer_in {source.answer_in}: it has {layout.answer_in}")
        if source.kind and source.kind != layout.defaults.get("kind", source.kind):
            found.append(f"kind {source.kind}: it has {layout.defaults['kind']}")
        if source.language and source.language != layout.defaults.get("language", source.language):
            found.append(f"language {source.language}: it has {layout.defaults['language']}")
    return [] if any(not found for found in told.values()) else [f"{name}: {found}" for name, found in told.items()]


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_the_sources_of_a_shipped_recipe_fit_their_layouts(file):
    for name, source in on_the_hub(file):
        assert mistakes(source) == [], name


def test_there_are_recipes_with_such_sources():
    assert {source.path for file in RECIPES for _, source in on_the_hub(file)} >= {
        "open-thoughts/OpenThoughts-114k",
        "agentica-org/DeepScaleR-Preview-Dataset",
    }


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_rows_in_the_published_schema_pass_the_check_of_a_shipped_recipes_source(file, tmp_path):
    from magistral_recipe.data.readers import Place, RawRow
    from magistral_recipe.writing.thinking import Thinking

    section = load_recipe(file).recipe.thinking
    for _, source in on_the_hub(file):
        use = "problems" if isinstance(source, ProblemsSource) else "traces"
        for name, layout in catalogue.of_hub(str(source.path)).items():
            if not layout.serves(use) or (layout.subsets and (source.subset or "default") not in layout.subsets):
                continue
            # Enough of what a recipe's `where` may ask for is in the rows that are made up here.
            rows = [RawRow(Place("hub", "row", n), row) for n, row in enumerate(PUBLISHED[name].rows, start=1)]
            if isinstance(source, TracesSource):
                assert source.check_rows(rows, tmp_path, Thinking(section.open, section.close)) == []
            else:
                assert source.check_rows(rows, tmp_path) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (ProblemsSource(path="nobody/set"), "no layout for problems lists nobody/set"),
        (ProblemsSource(path="open-thoughts/OpenThoughts3-1.2M"), "no layout for problems lists open-thoughts/"),
        (ProblemsSource(path="openai/gsm8k"), "subset default: there are ['main', 'socratic']"),
        (ProblemsSource(path="openai/gsm8k", subset="main", split="dev"), "split dev"),
        (ProblemsSource(path="openai/gsm8k", subset="main", answer_in="boxed"), "answer_in boxed: it has hashes"),
        (ProblemsSource(path="openai/gsm8k", subset="main", kind="code"), "kind code: it has math"),
        (ProblemsSource(path="openai/gsm8k", subset="main", layout="math"), "layout math: it has gsm8k"),
        (ProblemsSource(path="openai/gsm8k", subset="main", columns={"problem": "q"}), "no column q"),
        (ProblemsSource(path="open-multilang/gsm8k-106", where={"lang": "fr"}), "no column lang"),
    ],
)
def test_a_source_that_does_not_fit_would_be_found(source, said):
    assert any(said in line for line in mistakes(source)), mistakes(source)
