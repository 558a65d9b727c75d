"""The work of a `curate` stage: its steps in order over files, the sampling shared by all processes.

The first process alone runs what is cheap; the others wait, then draw their share of the samples. Each step is kept, so
that a killed stage goes on behind the last one that was finished, and with the samples that were drawn.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magistral_recipe import layout
from magistral_recipe.curation.clean import clean
from magistral_recipe.curation.duplicates import deduplicate
from magistral_recipe.curation.funnel import Funnel
from magistral_recipe.curation.leaks import Heldout, Leaks, drop_leaks
from magistral_recipe.curation.programs import EXAMPLES, verify_programs
from magistral_recipe.curation.ratings import Tally, drop_by_difficulty, drop_wrong_labels
from magistral_recipe.curation.rows import Outcome, Row, RowFile
from magistral_recipe.data.sources import stream_problems
from magistral_recipe.errors import DataError
from magistral_recipe.evaluation.shards import Shard
from magistral_recipe.recipe.sections import StageContext
from magistral_recipe.stages.asked import model_named
from magistral_recipe.stages.sampled import leave, require_rows, results_of, sampled, tell
from magistral_recipe.stages.translating import run_translations
from magistral_recipe.stages.work import problem_rows
from magistral_recipe.verifiers.cores import worker_count
from magistral_recipe.verifiers.programs.runner import Runner

if TYPE_CHECKING:
    from magistral_recipe.stages.curate import CodeOptions, CurateStage

LOADED, LABELS, DIFFICULTY = "loaded", "labels", "difficulty"
BEFORE_RATING = CLEAN, DUPLICATES, LEAKS, CODE = "clean", "duplicates", "leaks", "code"
"""Steps that need no model, in their order."""

SET_ASIDE = "set aside in loading: "


class Curation:
    """One run of the stage.

    Args:
        stage: its keys.
        context: where it runs.
    """

    def __init__(self, stage: CurateStage, context: StageContext) -> None:
        self.stage = stage
        self.context = context
        self.shard = Shard.here()
        self.funnel = Funnel(context.folder / layout.STEPS, lambda count, before: tell(context, count, before))

    def run(self) -> dict[str, Any]:
        """Curate, and leave the set in the stage's folder.

        Returns:
            For the manifest.
        """
        if self.shard.first:
            self._cheap_steps()
        self.shard.wait()
        if self.stage.difficulty is not None:
            self._rate()
        if self.stage.translate is not None:
            run_translations(self.stage, self.context, self.shard, self.funnel)
        if self.shard.first:
            leave(self.funnel, self.context.folder, layout.PROBLEMS)
        self.shard.wait()
        return results_of(self.funnel.counts, "problems")

    # ------------------------------------------------------------------------------------------------ steps

    def _cheap_steps(self) -> None:
        """All that needs no model."""
        stage, funnel, workers = self.stage, self.funnel, worker_count()
        for left in self.context.folder.glob("signatures-*"):  # of an attempt that was killed
            shutil.rmtree(left, ignore_errors=True)
        if stage.again is not None:
            cleaned = RowFile(_cleaned(self.context.made[stage.again].parent / layout.STEPS))
            funnel.start(LOADED, cleaned, f"what '{stage.again}' had cleaned")
            self.context.confirm()
            return
        loading = stream_problems(
            self.context.recipe.problems[stage.problems],
            self.context.base,
            self.context.quarantine(stage.problems),
            solutions=stage.code is not None,
        )
        funnel.start(
            LOADED,
            map(Row, loading),
            f"'{stage.problems}'",
            aside=lambda: {f"{SET_ASIDE}{reason}": count for reason, count in loading.aside.reasons.items()},
        )
        if options := stage.clean:
            funnel.run(CLEAN, lambda rows: clean(rows, multiple_choice=options.multiple_choice, workers=workers))
        if twice := stage.duplicates:
            place = self.context.folder
            funnel.run(
                DUPLICATES,
                lambda rows: deduplicate(rows, min_likeness=twice.min_likeness, folder=place, workers=workers),
            )
        names = stage.kept_out()
        if names:
            funnel.run(LEAKS, self._without_leaks, ", ".join(names))
        elif stage.leaks is not None:
            text = "the recipe evaluates on no set: nothing to keep out (`leaks.problems` names sets)"
            self.context.emit({"type": "note", "text": text})
        self.context.confirm()
        require_rows(funnel)
        if stage.code is not None and _any_code(funnel.rows.path):
            self._run_programs(stage.code)

    def _run_programs(self, options: CodeOptions) -> None:
        """Hold tests against solutions; each problem's verdict is kept until all are there."""
        remembered, totals = self.context.folder / layout.PROGRAMS, Counter[str]()
        runner = Runner(options.sandbox)
        rules = options.rules(self.context.recipe.seed)
        self.funnel.run(
            CODE,
            lambda rows: verify_programs(rows, rules, runner, remembered, totals),
            also=lambda: totals,
            shown=EXAMPLES,
        )
        remembered.unlink(missing_ok=True)
        require_rows(self.funnel)

    def _without_leaks(self, rows: RowFile) -> Iterator[Outcome]:
        options = self.stage.leaks
        assert options is not None
        heldout = [
            Heldout(problem.id, problem.problem, name)
            for name in self.stage.kept_out()
            for problem in problem_rows(self.context, name)
        ]
        leaks = Leaks(
            heldout,
            min_contained=options.min_contained,
            ngram=options.ngram,
            min_ngram_share=options.min_ngram_share,
        )
        return drop_leaks(rows, leaks, worker_count())

    def _rate(self) -> None:
        """Draw the samples, all processes together; then the first judges by them."""
        options, steps = self.stage.difficulty, self.context.folder / layout.STEPS
        assert options is not None
        tallies: dict[str, Tally] = {}
        judged = [DIFFICULTY, LABELS] if self.stage.labels else [DIFFICULTY]
        if not all(self.funnel.holds(step) for step in judged):
            tallies = sampled(
                self.context, options, options.model, [row.problem for row in RowFile(_cleaned(steps))], "rating"
            )
        if not self.shard.first:
            return
        if labels := self.stage.labels:
            agreement = labels.agreement
            self.funnel.run(LABELS, lambda rows: drop_wrong_labels(rows, tallies, agreement=agreement), self._by())
        self.funnel.run(
            DIFFICULTY,
            lambda rows: drop_by_difficulty(rows, tallies, above=options.above, at_most=options.at_most),
            self._by(),
        )

    def _by(self) -> str:
        options = self.stage.difficulty
        assert options is not None
        return f"{options.samples} samples a problem by {model_named(self.context, options.model)}"


def _any_code(file: Path) -> bool:
    """Whether a file of rows may have a programming problem; nothing is parsed."""
    with file.open("rb") as stream:
        return any(b'"kind": "code"' in line for line in stream)


def _cleaned(steps: Path) -> Path:
    """The file of the rows in front of the ratings: the last one of the steps that need no model."""
    found = [path for path in steps.glob("??-*.jsonl") if path.stem[3:] in (LOADED, *BEFORE_RATING)]
    if not found:
        raise DataError(f"{steps}: no cleaned problems are left of this stage; run it again")
    return max(found)
