"""A kind of stage in one file: it counts the words of a set of problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from magistral_recipe.recipe.sections import Inputs, Recipe, Stage, StageContext
from magistral_recipe.stages.work import problem_rows


class CountStage(Stage):
    """The `count` stage."""

    kind = "count"

    problems: str
    """Name of the set of problems."""
    longest: int = 100
    """Words that a problem may have to be counted."""

    def inputs(self, start: str) -> Inputs:
        return Inputs(problems=(self.problems,))

    def describe(self, recipe: Recipe) -> str:
        return f"the words of '{self.problems}'"

    def run(self, context: StageContext) -> dict[str, Any]:
        words = [len(problem.problem.split()) for problem in problem_rows(context, self.problems)]
        kept = [count for count in words if count <= self.longest]
        Path(context.folder / "words.txt").write_text("\n".join(map(str, kept)))
        return {"words": sum(kept), "summary": f"{sum(kept)} words"}
