"""The wiring proof of a recipe: what it needs of model and data, gathered once, and what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console

from magistral_recipe.check.data import ROWS, LookedAt, hub_data
from magistral_recipe.check.hub import HubLooks
from magistral_recipe.check.trainers import check_trainers, training_stages, vllm_mistakes
from magistral_recipe.check.wiring_report import WiringReport
from magistral_recipe.data.problems import Trace
from magistral_recipe.errors import RecipeError
from magistral_recipe.models.gguf import header_read_once
from magistral_recipe.models.paths import hub_id
from magistral_recipe.recipe.sections import LoadedRecipe
from magistral_recipe.stages.training import base_model_config, chat_format
from magistral_recipe.writing.template import ChatTemplateError

if TYPE_CHECKING:
    from magistral_recipe.writing.chat_format import ChatFormat


@dataclass(frozen=True)
class Words:
    """What is needed of a model's words.

    Attributes:
        tokenizer: the model's, the recipe's chat template installed.
        chat: the recipe's format, as that template has it.
        stops: tokens on which the model's generation stops.
    """

    tokenizer: Any
    chat: ChatFormat
    stops: Sequence[int]


def words_of(loaded: LoadedRecipe) -> Words:
    """Load a model's tokenizer and the tokens on which its generation stops; the hub's, where the model is there.

    Args:
        loaded: the recipe.

    Raises:
        RecipeError: the chat template can't serve the recipe's format.
        DataError: there is no such tokenizer.
    """
    from magistral_recipe.models.load import generation_stop_ids, load_tokenizer

    config = base_model_config(loaded.recipe, loaded.folder)
    tokenizer = load_tokenizer(config.path, None, config)
    try:
        chat = chat_format(loaded.recipe, loaded.folder).install(tokenizer)
    except ChatTemplateError as error:
        raise RecipeError([loaded.mistake(("thinking", error.key), text) for text in error.problems]) from error
    return Words(tokenizer, chat, generation_stop_ids(config.path, tokenizer, config))


def prove_recipe(loaded: LoadedRecipe, console: Console) -> None:
    """Check trainer sections and vLLM, and prove that a perfect answer earns what the rewards promise.

    Args:
        loaded: the recipe.
        console: shows the proof.

    Raises:
        RecipeError: a trainer section is wrong, vLLM, or the wiring: the message says which part was lost where.
        DataError: the model's tokenizer or the data cannot be loaded.
    """
    config = base_model_config(loaded.recipe, loaded.folder)
    looks = HubLooks(needed=bool(hub_id(config.path) or hub_data(loaded)))
    with looks.as_reached(), header_read_once(config.is_gguf):  # else the hub's clients try for minutes, file by file
        check_trainers(loaded)
        if wrong := [*vllm_mistakes(loaded)]:
            raise RecipeError(wrong)
        if training_stages(loaded):
            prove_wiring_of(loaded, console, words_of(loaded))


def prove_wiring_of(
    loaded: LoadedRecipe,
    console: Console,
    words: Words,
    data: LookedAt | None = None,
    told: list[str] | None = None,
) -> None:
    """Run the wiring proof on the base model's own words and the first rows of the recipe's data.

    Args:
        loaded: the recipe.
        console: shows each RL stage's proof, or the SFT stage's where there is no RL.
        words: the model's.
        data: the first rows, where they are loaded already; a stage whose rows are not among them is passed over.
        told: takes what was shown, a line a finding.

    Raises:
        RecipeError: the wiring is broken.
        DataError: the data cannot be loaded.
    """
    from magistral_recipe.check.wiring import prove_wiring
    from magistral_recipe.stages.grpo import GrpoStage, require_sandboxes
    from magistral_recipe.stages.sft import SftStage

    stages, chat = training_stages(loaded), words.chat
    traces = tuple[Trace, ...]()
    for index, stage in stages:
        if data is not None and isinstance(stage, SftStage) and stage.traces.stage is None:
            rows = data.traces.get(index)
        else:
            rows = stage.proof_traces(loaded.folder, chat.thinking, ROWS)
        traces = traces or tuple(rows or ())
    proofs: list[WiringReport] = []
    for _, stage in stages:
        if data is not None and isinstance(stage, GrpoStage):
            problems = data.problems.get(loaded.recipe.origin_of(stage.problems))
        else:
            problems = stage.proof_problems(loaded.recipe, loaded.folder, ROWS)
        if problems is not None:
            rewards = stage.build_rewards(chat.thinking, loaded.folder)
            require_sandboxes(rewards, problems)
            proofs.append(prove_wiring(words.tokenizer, chat, rewards, problems, traces, words.stops))
            _show(proofs[-1], console, told)
    if not proofs and traces:
        _show(prove_wiring(words.tokenizer, chat, [], [], traces, words.stops), console, told)


def _show(report: WiringReport, console: Console, told: list[str] | None) -> None:
    console.print(report.render())
    if told is not None:
        told += report.lines()
    report.require()
