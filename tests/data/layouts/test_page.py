"""docs/data.md's table of layouts says what the YAML says."""

from __future__ import annotations

from pathlib import Path

from magistral_recipe.data.layouts import catalogue

PAGE = Path(__file__).parents[3] / "docs" / "data.md"
HEAD = ["| layout | set | for | subsets | about |", "| --- | --- | --- | --- | --- |"]


def table() -> list[str]:
    lines = list(HEAD)
    for name in catalogue.names():
        layout = catalogue.find(name)
        hub = ", ".join(f"[{path}](https://huggingface.co/datasets/{path})" for path in layout.hub)
        uses = " and ".join(use for use in ("problems", "traces") if layout.serves(use))
        lines.append(f"| `{name}` | {hub} | {uses} | {', '.join(layout.subsets)} | {layout.about} |")
    return lines


def test_the_page_has_the_table_of_the_layouts():
    page = PAGE.read_text(encoding="utf-8").splitlines()
    start = page.index(HEAD[0])
    end = next(at for at in range(start, len(page)) if not page[at].startswith("|"))
    assert page[start:end] == table(), "\n".join(table())


def test_the_page_names_every_key_of_a_layout():
    page = PAGE.read_text(encoding="utf-8")
    assert [key for key in catalogue.Layout.model_fields if f"`{key}`" not in page] == []
