"""The model card of an exported model: how to use it, how it was trained, what it scored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magistral_recipe import __version__
from magistral_recipe.data.benchmarks.catalogue import find
from magistral_recipe.data.overlap import is_held_out, told_shared
from magistral_recipe.data.sources import ProblemsSource
from magistral_recipe.errors import DataError
from magistral_recipe.machine import versions
from magistral_recipe.models.paths import TINY
from magistral_recipe.writing.chat_format import ChatFormat

_HEADLINES = ("pass@1", "greedy", "maj@", "language_fidelity", "truncated")
"""Metrics that come first, in this order; `maj@` stands for every k."""
_UNKNOWN = "–"
"""What stands where a figure is not known."""


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
        hub_base: the base model's id on the hub, where it is from there.
        model: this model's name among the scores; its own become metadata.
    """

    title: str
    base: str
    chat: ChatFormat
    recipe: str
    scores: Mapping[str, Mapping[str, Any]]
    system_in_template: bool
    hub_base: str | None = None
    model: str | None = None


def model_card(facts: CardFacts) -> str:
    """Write the card.

    Args:
        facts: what it tells.

    Returns:
        Markdown with the hub's metadata in front.
    """
    body = [*_opening(facts), *_use(facts), *_scores(facts.scores), *_training(facts), ""]
    return "\n".join(["---", _metadata(facts), "---", "", *body])


def _metadata(facts: CardFacts) -> str:
    """What the hub reads, as YAML: the library's own words for base model, tags and scores."""
    from huggingface_hub import EvalResult, ModelCardData

    scores = facts.scores.get(facts.model or "", {})
    overall = scores.get("overall", {})
    dataset_type, dataset_name = _dataset(scores)
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type=dataset_type,
            dataset_name=dataset_name,
            metric_type=name,
            metric_value=overall[name]["mean"],
            metric_name=f"{name} {_cell(overall[name])}",
        )
        for name in _ordered(set(overall))
        if _cell(overall[name]) != _UNKNOWN
    ]
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-generation",
        base_model=facts.hub_base,
        tags=["reasoning", "magistral-recipe", "trl"],
        model_name=facts.title if results else None,
        eval_results=results or None,
    )
    return data.to_yaml()


def _dataset(scores: Mapping[str, Any]) -> tuple[str, str]:
    """The problems that a model was evaluated on: the hub's id where it has one, and a name."""
    request = scores.get("request")
    try:
        source = ProblemsSource.model_validate(request["problems"] if isinstance(request, Mapping) else None)
    except (KeyError, ValueError):  # of another version, or none
        return "custom", "held-out problems" if is_held_out(scores) else "problems"
    path = source.path
    if path is None and source.benchmark is not None:
        try:
            path = find(source.benchmark).row.data.path
        except DataError:  # a row in a file of one's own, which a card can't name
            path = None
    return path if path is not None and _looks_like_hub_id(path) else "custom", source.describe()


def _looks_like_hub_id(path: str) -> bool:
    return path.count("/") == 1 and not Path(path).suffix and not path.startswith((".", "/", "~"))


def _opening(facts: CardFacts) -> Iterator[str]:
    yield f"# {facts.title}"
    yield ""
    base = "the embedded base of magistral-recipe" if facts.base == TINY else f"`{facts.base}`"
    yield (
        f"A reasoning model made from {base} with magistral-recipe {__version__}. It first thinks between "
        f"`{facts.chat.thinking.open}` and `{facts.chat.thinking.close}`, then answers."
    )


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
    held_out = "held-out " if all(is_held_out(data) for data in scores.values()) else ""
    yield f"Shares in percent, with 95% intervals, on {held_out}problems.\n"
    told = dict.fromkeys(line for data in scores.values() for line in told_shared(data, "the evaluation"))
    for line in told:
        yield f"**Not held out**: {line}.\n"
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
        return _UNKNOWN
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
