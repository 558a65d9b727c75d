"""A model that a stage has draw samples: one of the chain's, loaded here, or one behind an endpoint."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from magistral_recipe import layout
from magistral_recipe.data.problems import Trace
from magistral_recipe.data.sources import ProblemsSource
from magistral_recipe.data.tags import retagged
from magistral_recipe.evaluation.settings import EvaluationSettings
from magistral_recipe.evaluation.shards import shard_files
from magistral_recipe.generation.endpoint.config import EndpointConfig
from magistral_recipe.generation.interface import Generator
from magistral_recipe.recipe.sections import StageContext
from magistral_recipe.stages.training import chat_format
from magistral_recipe.stages.work import request_for
from magistral_recipe.writing.chat_format import NO_SYSTEM_PROMPT, ChatFormat
from magistral_recipe.writing.thinking import Thinking


class Asked(NamedTuple):
    """Whom a stage asks.

    Attributes:
        generator: what generates.
        chat: how problems are put to it.
    """

    generator: Generator
    chat: ChatFormat


@contextmanager
def asked(
    context: StageContext,
    model: str | EndpointConfig | None,
    settings: EvaluationSettings,
    backend: Literal["hf", "vllm"] = "hf",
    folder: Path | None = None,
) -> Iterator[Asked]:
    """Take up a model, and let go of it at the end.

    Args:
        context: the stage's.
        model: a name of the chain's, or an endpoint; by default the one that the stage starts from.
        settings: what is drawn.
        backend: what generates, of a model of the chain's.
        folder: where what it wrote is kept, and lies of earlier starts.

    Yields:
        Whom to ask.
    """
    if isinstance(model, EndpointConfig):
        yield from _endpoint(context, model, folder)
        return
    from magistral_recipe.evaluation.evaluate import own_generator
    from magistral_recipe.evaluation.request import load_for

    request = request_for(context, model or context.start_model, ProblemsSource(), settings, backend)
    subject = load_for(request)
    yield Asked(subject.generator or own_generator(subject.model, subject.tokenizer, settings), subject.chat)
    del subject
    gc.collect()  # a stage may go on with another model


def _endpoint(context: StageContext, config: EndpointConfig, folder: Path | None) -> Iterator[Asked]:
    from magistral_recipe.generation.endpoint.generator import EndpointGenerator

    chat = chat_format(context.recipe, context.base)
    if config.system_prompt is not None:
        own = None if config.system_prompt == NO_SYSTEM_PROMPT else config.system_prompt
        chat = replace(chat, system_prompt=own)
    generator = EndpointGenerator(
        config,
        chat.thinking,
        tell=lambda text: context.emit({"type": "warning", "text": text}),
        retag=partial(with_tags, thinking=chat.thinking),
        finished=_lines_in(folder) if folder is not None else 0,
    )
    try:
        yield Asked(generator, chat)
    finally:
        if generator.budget.requests:
            context.emit({"type": "note", "text": f"{config}: {generator.budget.line()}"})


def _lines_in(folder: Path) -> int:
    """How many lines earlier starts left there, whoever wrote them."""
    count = 0
    for file in (folder / layout.SAMPLES, *shard_files(folder)):
        if file.is_file():
            with file.open("rb") as stream:
                count += sum(1 for _ in stream)
    return count


def with_tags(text: str, thinking: Thinking) -> str:
    """Give a completion the recipe's tags where it has well-known others.

    Args:
        text: as a model wrote it that doesn't know the recipe's tags.
        thinking: the recipe's.

    Returns:
        The completion; as it was where it has the recipe's tags, or not exactly one pair of others.
    """
    found = retagged(Trace(problem="-", completion=text), thinking) if text.strip() else None
    if found is None or found.completion is not None:
        return text
    return found.text(thinking)


def model_named(context: StageContext, model: str | EndpointConfig | None) -> str:
    """A model in a few words, for people."""
    return str(model) if isinstance(model, EndpointConfig) else f"'{model or context.start_model}'"


def progress_of(context: StageContext, activity: str) -> Callable[[int, int], None]:
    """What tells how far a stage's sampling is."""

    def progress(done: int, total: int) -> None:
        context.emit({"type": "progress", "activity": activity, "step": done, "total": total})

    return progress
