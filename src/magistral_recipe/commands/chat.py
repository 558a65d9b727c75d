"""`magistral-recipe chat`: ask a trained model something, watch its thoughts stream, then its answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from magistral_recipe.errors import DataError
from magistral_recipe.models.load import ModelConfig
from magistral_recipe.models.paths import ADAPTER_FOLDER, find_model
from magistral_recipe.terminal.console import quieten_libraries, told_errors
from magistral_recipe.writing.chat_format import SYSTEM_PROMPTS, TOKENIZER_TEMPLATE, ChatFormat
from magistral_recipe.writing.thinking import Thinking

if TYPE_CHECKING:
    from rich.console import Console
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

RECIPE_FILE = "recipe.yaml"


@dataclass(frozen=True)
class ChatTarget:
    """A model to talk to, and how it was taught to talk.

    Attributes:
        path: of the model, for `load_model`.
        config: how to load it.
        chat: tags, system prompt and template; the template is the one that was saved with the model.
    """

    path: str
    config: ModelConfig
    chat: ChatFormat


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="chat")(chat)


def chat(
    model: Annotated[
        str,
        typer.Argument(
            help="A run folder (its last model), a model folder, a hub id, or `tiny`.",
            metavar="RUN_OR_MODEL",
            show_default=False,
        ),
    ],
    prompt: Annotated[str | None, typer.Option(help="Ask this and leave.", show_default=False)] = None,
    temperature: Annotated[float, typer.Option(min=0, help="0 is greedy decoding.")] = 0.7,
    top_p: Annotated[float, typer.Option(min=0.01, max=1, help="Nucleus sampling.")] = 0.95,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Where an answer is cut.")] = 4096,
    seed: Annotated[int | None, typer.Option(help="The same words every time.", show_default=False)] = None,
) -> None:
    """Ask a trained model something: its thoughts stream by dimmed, then its answer.

    Every question stands alone, as in training. Questions come from the terminal, or one a line from standard input.
    """
    from rich.console import Console

    with told_errors():
        quieten_libraries()
        console = Console(highlight=False, soft_wrap=True)
        target = find_target(model)
        loaded, tokenizer, chat_format = load_target(target)
        console.print(f"[dim]{target.path}; temperature {temperature:g}[/dim]")
        for question in _questions(prompt, console):
            _answer(console, loaded, tokenizer, chat_format, question, temperature, top_p, max_new_tokens, seed)


def _questions(prompt: str | None, console: Console) -> Iterator[str]:
    if prompt is not None:
        yield prompt
        return
    asking = sys.stdin.isatty()
    if asking:
        console.print("[dim]Ask something; an empty line or Ctrl-D leaves.[/dim]")
    while True:
        try:
            line = console.input("[bold]> [/bold]") if asking else sys.stdin.readline()
        except (EOFError, KeyboardInterrupt):
            return
        if not line or (asking and not line.strip()):
            return
        if line.strip():
            yield line.strip()


def _answer(
    console: Console,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    chat_format: ChatFormat,
    question: str,
    temperature: float,
    top_p: float,
    max_new_tokens: int,
    seed: int | None,
) -> None:
    from rich.text import Text

    from magistral_recipe.generation.stream import Part, stream_answer

    def show(part: Part, piece: str) -> None:
        console.print(Text(piece, style="dim italic" if part is Part.THOUGHTS else ""), end="")

    try:
        stream_answer(model, tokenizer, chat_format, question, show, temperature, top_p, max_new_tokens, seed)
    except KeyboardInterrupt:  # stops this answer, not the conversation
        console.print("[dim] (stopped)[/dim]", end="")
    console.print()


# ---------------------------------------------------------------------------------------------------- target


def find_target(path: str) -> ChatTarget:
    """Find the model that a person means, and the format that it was trained with.

    Args:
        path: a run folder (the last stage that left a model), a stage's folder, or anything `find_model` takes. A
            folder inside a run is read with the run's `recipe.yaml`.

    Returns:
        The target.

    Raises:
        DataError: if there is no model.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        place = _model_folder(place)
        recipe = _recipe_above(place)
        return ChatTarget(str(place), _model_config(place, recipe), _chat_format(recipe))
    find_model(path)
    return ChatTarget(path, ModelConfig(path=path), ChatFormat(template=TOKENIZER_TEMPLATE))


def _model_folder(place: Path) -> Path:
    """The folder itself, a stage's model, or a run's last one."""
    if (place / "model").is_dir():
        return place / "model"
    models = [folder / "model" for folder in place.glob("[0-9]*-*") if _holds_model(folder / "model")]
    if models:
        return max(models, key=lambda folder: int(folder.parent.name.partition("-")[0]))
    if (place / RECIPE_FILE).is_file():
        raise DataError(f"{place}: no stage of this run has left a model yet")
    return place


def _holds_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() or (folder / ADAPTER_FOLDER / "adapter_config.json").is_file()


def _recipe_above(place: Path) -> dict[str, Any]:
    """The recipe of the run that a model folder lies in; empty where it lies in none.

    Read leniently: a run made by another version, or half moved, can still be talked to.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    for folder in (place, *list(place.resolve().parents)[:3]):
        file = folder / RECIPE_FILE
        if file.is_file():
            try:
                data = YAML(typ="safe").load(file.read_text("utf-8"))
            except (YAMLError, OSError, UnicodeDecodeError):
                return {}
            return data if isinstance(data, dict) else {}
    return {}


def _chat_format(recipe: dict[str, Any]) -> ChatFormat:
    section = recipe.get("thinking")
    given = section if isinstance(section, dict) else {}
    defaults = Thinking()
    thinking = Thinking(str(given.get("open", defaults.open)), str(given.get("close", defaults.close)))
    prompt = given.get("system_prompt", "magistral" if recipe else None)
    if prompt == "none" or (isinstance(prompt, str) and " " not in prompt and prompt not in SYSTEM_PROMPTS):
        prompt = None
    return ChatFormat(thinking, prompt, TOKENIZER_TEMPLATE)


def _model_config(place: Path, recipe: dict[str, Any]) -> ModelConfig:
    """How to load it: as the recipe says; an adapter stands on the base that it names itself."""
    section = recipe.get("model")
    try:
        config = ModelConfig.model_validate(section)
    except ValidationError:
        config = ModelConfig(path=str(place))
    adapter = place / ADAPTER_FOLDER if (place / ADAPTER_FOLDER).is_dir() else place
    file = adapter / "adapter_config.json"
    if file.is_file() and not (place / "config.json").is_file():
        base = json.loads(file.read_text("utf-8")).get("base_model_name_or_path")
        return config.model_copy(update={"path": str(base or config.path)})
    return config


def load_target(target: ChatTarget) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, ChatFormat]:
    """Load a target for generation, on a GPU where there is one.

    Args:
        target: from `find_target`.

    Returns:
        Model, tokenizer, and the format as the tokenizer's template makes it.
    """
    import torch
    from transformers.utils import logging

    from magistral_recipe.models.load import load_model, load_tokenizer
    from magistral_recipe.models.quantization import is_quantized

    logging.disable_progress_bar()
    tokenizer = load_tokenizer(target.path, None, target.config)
    # A base model has no template of its own, and then the package's is the likeliest to be understood.
    chat_format = (
        target.chat if tokenizer.chat_template else ChatFormat(target.chat.thinking, target.chat.system_prompt)
    )
    chat_format = chat_format.install(tokenizer)
    model = load_model(target.config, target.path)
    if not is_quantized(model):
        model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    return model.eval(), tokenizer, chat_format
