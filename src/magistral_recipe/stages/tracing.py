"""The work of a `traces` stage: completions drawn or read, verified, few a problem, with general data among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from magistral_recipe import layout
from magistral_recipe.curation.funnel import Funnel
from magistral_recipe.curation.rows import Outcome, Row
from magistral_recipe.curation.traces import (
    few_a_problem,
    from_samples,
    general_count,
    mixed,
    row_of_trace,
    upsampled,
    verified,
)
from magistral_recipe.data.problems import Problem, Trace
from magistral_recipe.data.sources import LoadResult, TracesSource, load_traces
from magistral_recipe.evaluation.scoring import Scorer
from magistral_recipe.evaluation.shards import Shard
from magistral_recipe.recipe.sections import StageContext
from magistral_recipe.stages.asked import model_named
from magistral_recipe.stages.sampled import leave, require_rows, results_of, sampled, tell
from magistral_recipe.stages.training import base_model_config, chat_format
from magistral_recipe.stages.work import problem_rows, report_set_aside

if TYPE_CHECKING:
    from magistral_recipe.stages.traces import TracesStage


class Tracing:
    """One run of the stage.

    Args:
        stage: its keys.
        context: where it runs.
    """

    def __init__(self, stage: TracesStage, context: StageContext) -> None:
        self.stage = stage
        self.context = context
        self.thinking = chat_format(context.recipe, context.base).thinking
        self.shard = Shard.here()
        self.funnel = Funnel(context.folder / layout.STEPS, lambda count, before: tell(context, count, before))

    def run(self) -> dict[str, Any]:
        """Make the traces, and leave them in the stage's folder.

        Returns:
            For the manifest.
        """
        problems: list[Problem] = []
        if self.stage.problems:
            problems = problem_rows(self.context, self.stage.problems)
            self.context.confirm()
            sampled(self.context, self.stage, self.stage.model, problems, "solving")
        if self.shard.first:
            self._choose(problems)
        self.shard.wait()
        return results_of(self.funnel.counts, "traces")

    def _choose(self, problems: list[Problem]) -> None:
        stage, funnel = self.stage, self.funnel
        if problems:
            by_id = {problem.id: problem for problem in problems}
            folder = self.context.folder / layout.RATINGS
            funnel.start(
                "verified",
                from_samples(folder, by_id, stage.samples, stage.min_tokens),
                f"{stage.samples} samples a problem by {model_named(self.context, stage.model)}",
            )
        else:
            funnel.start("loaded", self._loaded(), ", ".join(source.describe() for source in stage.sets))
            self.context.confirm()
            scorer = Scorer(self.thinking)
            funnel.run("verified", lambda rows: verified(rows, scorer, stage.min_tokens, self._counter()))
        require_rows(funnel)
        seed = self.context.recipe.seed
        funnel.run("few a problem", lambda rows: few_a_problem(rows, stage.per_problem, seed))
        if (hard := stage.hard) and problems:
            note = f"pass rates up to {hard.pass_rate:g} count {hard.times} times"
            funnel.run("hard ones", lambda rows: upsampled(rows, hard.pass_rate, hard.times), note)
        if general := stage.general:
            count = general_count(funnel.counts[-1].rows_out, general.share)
            funnel.run(
                "general data",
                lambda rows: mixed(rows, self._general(general.traces, count)),
                f"{general.traces.describe()}, {general.share:.0%} of the whole",
            )
        leave(funnel, self.context.folder, layout.TRACES)

    def _counter(self) -> Callable[[str], int]:
        """What counts the tokens of a trace; nothing is loaded where nobody asks for a least number."""
        if not self.stage.min_tokens:
            return lambda text: 0
        from magistral_recipe.models.load import load_tokenizer

        config = base_model_config(self.context.recipe, self.context.base)
        tokenizer = load_tokenizer(config.path, None, config)
        return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])

    def _loaded(self) -> Iterator[Outcome]:
        for number, source in enumerate(self.stage.sets):
            loaded = self._read(source, f"sets-{number}")
            for trace in loaded.rows:
                yield row_of_trace(trace, self.thinking)

    def _read(self, source: TracesSource, name: str) -> LoadResult[Trace]:
        loaded = load_traces(source, self.context.base, self.context.quarantine(name), self.thinking)
        report_set_aside(self.context, name, loaded)
        return loaded

    def _general(self, source: TracesSource, count: int) -> list[Row]:
        """Draw general rows; fewer where there are not as many."""
        seeded = source.model_copy(update={"seed": source.seed or self.context.recipe.seed, "malformed": "keep"})
        rows = load_traces(seeded, self.context.base, self.context.quarantine("general"), self.thinking).rows[:count]
        if len(rows) < count:
            text = f"general data: {len(rows):,} rows where {count:,} would be the share asked for"
            self.context.emit({"type": "warning", "text": text})
        return [row.noted(general=True) for row in (row_of_trace(trace, self.thinking) for trace in rows)]
