"""What the base model does on RL's problems, for `check --probe`: whether RL has anything to learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from magistral_recipe.check.outcome import Outcome
from magistral_recipe.recipe.sections import LoadedRecipe
from magistral_recipe.stages.before_rl import told
from magistral_recipe.stages.grpo import GrpoStage
from magistral_recipe.stages.training import base_model_config, chat_format
from magistral_recipe.terminal.screen import plain

if TYPE_CHECKING:
    from magistral_recipe.data.problems import Problem

_TOKENS_ON_A_CPU = 256
"""Most tokens of a sample where no GPU is at hand."""


def probe_baseline(
    loaded: LoadedRecipe, problems: Mapping[str, Sequence[Problem]], console: Console, outcome: Outcome
) -> None:
    """Draw a few samples of the model that RL starts from, where that is the base, and say what they show.

    Args:
        loaded: the recipe.
        problems: the first rows of its sets.
        console: shows it.
        outcome: takes what is worth a warning.
    """
    found = next(((index, stage) for index, stage in enumerate(loaded.recipe.stages) if stage.makes_model), None)
    if found is None or not any(isinstance(each, GrpoStage) for each in loaded.recipe.stages):
        return
    index, stage = found
    if not isinstance(stage, GrpoStage):
        text = f"RL starts from the model of '{stage.name}', which is not there yet: it is sampled when RL starts"
        console.print(plain(f"baseline: {text}", "dim"))
        return
    rows = problems.get(loaded.recipe.origin_of(stage.problems), ())
    if not rows:
        text = f"the problems '{stage.problems}' could not be looked at: the model is sampled when RL starts"
        console.print(plain(f"baseline: {text}", "dim"))
        return
    import torch

    from magistral_recipe.evaluation.baseline import draw_baseline
    from magistral_recipe.models.loaded import load_ready

    start = load_ready(base_model_config(loaded.recipe, loaded.folder), chat_format(loaded.recipe, loaded.folder))
    limit = int(stage.trainer.get("max_completion_length") or _TOKENS_ON_A_CPU)
    baseline = draw_baseline(
        start.model,
        start.tokenizer,
        rows,
        start.chat,
        max_new_tokens=limit if torch.cuda.is_available() else min(limit, _TOKENS_ON_A_CPU),
        temperature=float(stage.trainer.get("temperature", 1.0)),
        seed=loaded.recipe.seed,
    )

    def emit(event: Mapping[str, Any]) -> None:
        if event["type"] == "warning":
            outcome.warnings.append(loaded.mistake(("stages", index, stage.kind), str(event["text"])))
        else:
            console.print(plain(f"baseline: {event['text']}"))

    told(baseline, emit)
