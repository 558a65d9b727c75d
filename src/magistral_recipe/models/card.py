"""The model card of an exported model: how to use it, how it was trained, what it scored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from magistral_recipe import __version__
from magistral_recipe.machine import versions
from magistral_recipe.models.paths import TINY
from magistral_recipe.writing.chat_format import ChatFormat

_HEADLINES = ("pass@1", "greedy", "maj@", "language_fidelity", "truncated")
"""Metrics that come first, in this order; `maj@` stands for every k."""


@dataclass(frozen=True)
class CardFacts:
    """What a model card tells.

    Attributes:
        title: the model's name.
        base: the base model's path, as the recipe gives it.
        chat: tags and system prompt.
        recipe: the resolved recipe as YAML text.
        scores: for each evaluated model what its `scores.json` holds, in the order of training.
        system_in_template: the chat template gives the system prompt by itself.
    """

    title: str
    base: str
    chat: ChatFormat
    recipe: str
    scores: Mapping[str, Mapping[str, Any]]
    system_in_template: bool


def model_card(facts: CardFacts) -> str:
    """Write the card.

    Args:
        facts: what it tells.

    Returns:
        Markdown with the hub's YAML head.
    """
    return "\n".join([*_head(facts), *_use(facts), *_scores(facts.scores), *_training(facts), ""])


def _head(facts: CardFacts) -> Iterator[str]:
    yield "---"
    yield "library_name: transformers"
    yield "pipeline_tag: text-generation"
    if _is_hub_id(facts.base):
        yield f"base_model: {facts.base}"
    yield "tags: [reasoning, magistral-recipe, trl]"
    yield "---"
    yield ""
    yield f"# {facts.title}"
    yield ""
    base = "the embedded base of magistral-recipe" if facts.base == TINY else f"`{facts.base}`"
    yield (
        f"A reasoning model made from {base} with magistral-recipe {__version__}. It first thinks between "
        f"`{facts.chat.thinking.open}` and `{facts.chat.thinking.close}`, then answers."
    )


def _is_hub_id(path: str) -> bool:
    return path.count("/") == 1 and not path.startswith((".", "/", "~")) and not path.endswith(".gguf")


def _use(facts: CardFacts) -> Iterator[str]:
    system = facts.chat.system_text
    yield "\n## Use\n"
    if system is not None and facts.system_in_template:
        yield "The chat template gives the system prompt below unless the conversation brings its own.\n"
    elif system is not None:
        yield "The model was trained with the system prompt below: give it.\n"
    messages = '[{"role": "user", "content": "What is 17 plus 25?"}]'
    if system is not None and not facts.system_in_template:
        messages = f'[{{"role": "system", "content": SYSTEM}}, {messages[1:]}'
    yield "```python"
    yield "from transformers import pipeline\n"
    if system is not None and not facts.system_in_template:
        yield f"SYSTEM = {json.dumps(system, ensure_ascii=False)}"
    yield 'chat = pipeline("text-generation", "PATH/OF/THIS/FOLDER")'
    yield f'print(chat({messages}, max_new_tokens=1024)[0]["generated_text"][-1]["content"])'
    yield "```"
    if system is not None:
        yield f"\nSystem prompt:\n\n{_fenced(system)}"


def _scores(scores: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "\n## Scores\n"
    rows = {label: data.get("overall", {}) for label, data in scores.items()}
    metrics = _ordered({name for row in rows.values() for name in row})
    if not metrics:
        yield "Not evaluated."
        return
    yield "Shares in percent, with 95% intervals, on held-out problems.\n"
    yield f"| model | problems | {' | '.join(metrics)} |"
    yield f"| --- | --- | {' | '.join('---' for _ in metrics)} |"
    for label, row in rows.items():
        cells = [_cell(row.get(name)) for name in metrics]
        yield f"| {label} | {scores[label].get('problems', '')} | {' | '.join(cells)} |"


def _ordered(names: set[str]) -> list[str]:
    def rank(name: str) -> tuple[int, str]:
        place = next((index for index, head in enumerate(_HEADLINES) if name.startswith(head)), len(_HEADLINES))
        return place, name

    return sorted(names, key=rank)


def _cell(interval: Any) -> str:
    if not isinstance(interval, Mapping) or interval.get("mean") is None:
        return "–"
    mean, low, high = (interval.get(key) for key in ("mean", "low", "high"))
    # Shares are shown in percent; lengths and the like as they are.
    share = all(value is None or -1 <= value <= 1 for value in (mean, low, high))
    unit, digits = (100.0, 1) if share else (1.0, 1)
    if low is None or high is None:
        return f"{unit * float(mean):.{digits}f}"  # type: ignore[arg-type]
    return f"{unit * float(mean):.{digits}f} [{unit * low:.{digits}f}, {unit * high:.{digits}f}]"  # type: ignore[arg-type]


def _training(facts: CardFacts) -> Iterator[str]:
    yield "\n## Training\n"
    told = ", ".join(f"{name} {version}" for name, version in versions().items())
    yield f"Versions: {told}. The whole recipe, as it ran:\n"
    yield _fenced(facts.recipe, "yaml")


def _fenced(text: str, language: str = "text") -> str:
    fence = "```"
    while fence in text:  # a prompt may speak of fences itself
        fence += "`"
    return f"{fence}{language}\n{text.strip()}\n{fence}"
