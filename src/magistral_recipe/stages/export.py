"""Exporting a model: merged weights, tokenizer, template and a model card in one folder that needs nothing of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magistral_recipe import layout
from magistral_recipe.confidential import masked_text
from magistral_recipe.models.card import CardFacts, model_card
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.paths import hub_id
from magistral_recipe.models.precision import Dtype
from magistral_recipe.recipe.sections import Inputs, Recipe, Stage, StageContext
from magistral_recipe.report.evaluations import latest_scores
from magistral_recipe.stages.training import base_model_config, chat_format
from magistral_recipe.writing.chat_format import ChatFormat

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class ExportStage(Stage):
    """The `export` stage. The model is written to the stage's folder `model/`."""

    kind = "export"

    model: str | None = None
    """The stage whose model to export, or `base`; by default the last stage that made one."""
    title: str | None = None
    """The model's name on its card; by default the recipe's."""
    dtype: Dtype | None = None
    """Precision of the exported weights; by default the recipe's `model.dtype`."""
    system_prompt_in_template: bool = True
    """Let the chat template give the system prompt where a conversation brings none, as every program does that only
    knows the model's folder."""

    @property
    def asks_for_model(self) -> str | None:
        """The model to export, where the recipe names one."""
        return self.model

    def inputs(self, start: str) -> Inputs:
        """What flows into the stage."""
        return Inputs((self.model or start,))

    def describe(self, recipe: Recipe) -> str:
        """The stage in a few words, for the plan."""
        return f"merged weights in {self.dtype or recipe.model.dtype}, tokenizer, template, model card"

    def run(self, context: StageContext) -> dict[str, Any]:
        """Export the model.

        Args:
            context: where it runs.

        Returns:
            The folder and its size.
        """
        recipe = context.recipe
        name = self.model or context.start_model
        model = base_model_config(recipe, context.base)
        output = export_model(
            context.models[name] or model.path,
            context.folder / layout.MODEL,
            masked_text((context.run_folder / layout.RECIPE).read_text("utf-8")),
            latest_scores(context.run_folder),
            config=model.model_copy(update={"dtype": self.dtype or model.dtype}),
            chat=chat_format(recipe, context.base),
            title=self.title or recipe.name,
            base=recipe.model.path,
            model=name,
            system_prompt_in_template=self.system_prompt_in_template,
        )
        size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
        return {"model": name, "bytes": size, "summary": f"{name} in {output} ({size / 1e6:,.1f} MB)"}


def export_model(
    model_folder: Path | str,
    output: Path,
    recipe_text: str,
    scores: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    config: ModelConfig,
    chat: ChatFormat,
    title: str,
    base: str | None = None,
    model: str | None = None,
    system_prompt_in_template: bool = True,
) -> Path:
    """Write a model that plain transformers (and every program built on it) loads and talks to.

    Args:
        model_folder: a stage's model folder, or anything `find_model` takes.
        output: the folder to write; replaced as a whole.
        recipe_text: the resolved recipe, for the card.
        scores: what each model's `scores.json` holds, for the card.
        config: how to load the model; its dtype is that of the exported weights.
        chat: the format it was trained with. A base model gets its template; a trained one keeps its own.
        title: the model's name on its card.
        base: the base model's name on the card; by default `config.path`.
        model: the exported model's name among the scores.
        system_prompt_in_template: see `ExportStage`.

    Returns:
        The folder.
    """
    from magistral_recipe.models.load import load_tokenizer, save_model

    tokenizer = load_tokenizer(model_folder, None, config)
    chat.install(tokenizer)
    if system_prompt_in_template and chat.system_text is not None:
        tokenizer.chat_template = with_default_system(str(tokenizer.chat_template), chat.system_text)
    facts = CardFacts(
        title,
        base or config.path,
        chat,
        recipe_text,
        scores or {},
        system_prompt_in_template,
        hub_base=hub_id(config.path),
        model=model,
    )
    return save_model(_whole(config, model_folder), tokenizer, output, card=model_card(facts))


def _whole(config: ModelConfig, model_folder: Path | str) -> PreTrainedModel:
    """The model with its adapters merged and its weights plain numbers of the wanted precision."""
    import torch

    from magistral_recipe.models.load import load_model, merged
    from magistral_recipe.models.quantization import is_adapter

    # Full weights on disk stay full: quantization was training's business, and would only cost precision here.
    carried = config if _is_adapter_folder(model_folder) else config.model_copy(update={"quantization": "none"})
    model = load_model(carried, model_folder)
    if is_adapter(model):
        model = merged(model, config)
    return model.to(getattr(torch, config.dtype))


def _is_adapter_folder(model_folder: Path | str) -> bool:
    from magistral_recipe.models.paths import find_model

    return find_model(model_folder).adapter is not None


def with_default_system(template: str, system: str) -> str:
    """Make a chat template give a system prompt where the conversation brings none.

    Args:
        template: Jinja source.
        system: the prompt.

    Returns:
        Jinja source.
    """
    # JSON's string escapes are a subset of Jinja's, but for the surrogate pairs that ASCII would need.
    turn = f"[{{'role': 'system', 'content': {json.dumps(system, ensure_ascii=False)}}}]"
    absent = "not messages or messages[0]['role'] != 'system'"
    return f"{{%- if {absent} -%}}{{%- set messages = {turn} + messages -%}}{{%- endif -%}}\n{template}"
