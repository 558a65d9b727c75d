"""How long a recipe's prompts and traces are: of the first rows, where they can be read without a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from magistral_recipe.data.sources import first_rows, load_problems
from magistral_recipe.errors import DataError, RecipeError
from magistral_recipe.recipe.sections import LoadedRecipe
from magistral_recipe.stages.training import TrainingStage, base_model_config, chat_format

ASSUMED_PROMPT = 512
"""Tokens of the longest prompt where none could be measured."""
_ROWS = 128
"""Rows that are looked at."""
_STEP = 64
"""Lengths are rounded up to a multiple of it: later rows may be somewhat longer."""


@dataclass(frozen=True)
class Lengths:
    """Lengths in tokens, rounded up.

    Attributes:
        prompt: of the longest prompt that was seen; ``None`` where none was.
        row: of the longest trace with its prompt; ``None`` where none was.
    """

    prompt: int | None = None
    row: int | None = None

    def __str__(self) -> str:
        """What a plan is counted with, in words."""
        if self.prompt is None:
            told = f"prompts up to {ASSUMED_PROMPT:,} tokens (assumed)"
        else:
            told = f"prompts up to {self.prompt:,} tokens (the longest of the first {_ROWS})"
        return told if self.row is None else f"{told}, traces up to {self.row:,} where there is no max_length"


def measure_lengths(loaded: LoadedRecipe) -> Lengths:
    """Measure a recipe's prompts and traces on its own tokenizer.

    Args:
        loaded: the recipe, its wiring proven: tokenizer and data can be read.

    Returns:
        The lengths; without those that could not be read.
    """
    from magistral_recipe.models.load import load_tokenizer

    recipe, base = loaded.recipe, loaded.folder
    config = base_model_config(recipe, base)
    try:
        tokenizer = load_tokenizer(config.path, None, config)
        chat = chat_format(recipe, base).install(tokenizer)
        prompts = [
            _tokens(tokenizer, chat.messages(problem.problem))
            for source in recipe.problems.values()
            for problem in load_problems(first_rows(source, _ROWS), base, None).rows
        ]
        rows = [
            len(chat.training_row(tokenizer, trace.problem, trace.text(chat.thinking)).ids)
            for stage in recipe.stages
            if isinstance(stage, TrainingStage)
            for trace in stage.proof_traces(base, chat.thinking, _ROWS)
        ]
    except (DataError, RecipeError, ValueError):  # what can't be read here was said by the wiring proof
        return Lengths()
    return Lengths(_rounded(prompts), _rounded(rows))


def _tokens(tokenizer: Any, messages: Any) -> int:
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def _rounded(lengths: list[int]) -> int | None:
    return -(-max(lengths) // _STEP) * _STEP if lengths else None
