"""The kinds of stage: one module each, with its `Stage` class, and one line in the table below.

A stage's class is declared in `recipe/sections.py`, and run by `chain/run.py`. `work.py` has what they share: taking
up a model, loading problems, leaving a model; `training.py` what those that train share.
"""

from __future__ import annotations

import importlib

from magistral_recipe.recipe.sections import Stage

STAGES: dict[str, str] = {
    "curate": "magistral_recipe.stages.curate:CurateStage",
    "sft": "magistral_recipe.stages.sft:SftStage",
    "grpo": "magistral_recipe.stages.grpo:GrpoStage",
    "traces": "magistral_recipe.stages.traces:TracesStage",
    "evaluate": "magistral_recipe.stages.evaluate:EvaluateStage",
    "export": "magistral_recipe.stages.export:ExportStage",
}
"""Names of recipes to classes, as ``module:class``, so that listing imports nothing."""


def stage_class(kind: str) -> type[Stage]:
    """Import the class of a kind of stage (light: no torch).

    Args:
        kind: a key of `STAGES`.

    Returns:
        The class.
    """
    module, _, name = STAGES[kind].partition(":")
    found: type[Stage] = getattr(importlib.import_module(module), name)
    return found
