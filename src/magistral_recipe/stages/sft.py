"""Cold-start SFT: the model learns to think by imitating reasoning traces (Magistral §5).

The loss is taken on the completion alone, thoughts included, and no trace is ever cut: one that does not fit is
left out and counted, or refused. Rows are rendered and masked by `ChatFormat.training_row`, the same function that
the wiring proof shows, and go to TRL's `SFTTrainer` as token ids and labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator

from magistral_recipe import layout
from magistral_recipe.data.sources import TracesSource, first_rows, load_traces
from magistral_recipe.errors import DataError
from magistral_recipe.recipe.sections import Inputs, Mistakes, Recipe, StageContext
from magistral_recipe.sharded import read_head_whole
from magistral_recipe.stages.held_out import compare_with_evaluations
from magistral_recipe.stages.training import TrainingStage, run_arguments
from magistral_recipe.stages.work import best_keeper, load_start, report_set_aside, train_and_save
from magistral_recipe.suggest import did_you_mean
from magistral_recipe.writing.template import AUTO_TEMPLATE, PACKAGE_TEMPLATE
from magistral_recipe.writing.thinking import Thinking

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from magistral_recipe.data.problems import Trace
    from magistral_recipe.writing.chat_format import ChatFormat

IGNORED = -100
"""The label on which transformers takes no loss."""


def _named_stage(value: object) -> object:
    return {"stage": value} if isinstance(value, str) else value


class SftStage(TrainingStage):
    """The `sft` stage."""

    kind = "sft"
    role = "imitation"
    libraries = ("trl.trainer.sft_trainer",)
    trainer_choices: ClassVar[Mapping[str, tuple[object, ...]]] = {"loss_type": ("nll", "dft", "chunked_nll")}

    traces: Annotated[TracesSource, BeforeValidator(_named_stage, json_schema_input_type=TracesSource | str)]
    """The reasoning traces to imitate: where they are, or the name of a `traces` stage before this one."""
    overlong: Literal["drop", "refuse"] = "drop"
    """What becomes of traces longer than `trainer.max_length` tokens (by default the model's context): left out and
    counted, or an error. They are never cut."""

    def mistakes(self, recipe: Recipe, models: Sequence[str], folder: Path) -> Mistakes:
        """Mistakes that need the rest of the recipe or the disk."""
        if self.traces.stage is not None:
            makers = [stage.name for stage in recipe.stages if stage and stage.makes_traces]
            if self.traces.stage not in makers:
                wrong = f"no `traces` stage '{self.traces.stage}'.{did_you_mean(self.traces.stage, makers)}"
                yield ("traces",), f"{wrong} A file is given as `{{path: FILE}}`"
        else:
            for key, message in self.traces.check(folder, _own_tags(recipe)):
                yield ("traces", *key.split(".")) if key else ("traces",), message
        yield from super().mistakes(recipe, models, folder)

    def inputs(self, start: str) -> Inputs:
        """What flows into the stage."""
        if self.traces.stage is not None:
            return Inputs((start,), (self.traces.stage, *self.watched()), named=self.named())
        paths = tuple(path for path in (self.traces.path, self.traces.layout) if path)
        transforms = (self.traces.transform,) if self.traces.transform else ()
        return Inputs((start,), self.watched(), paths, named=self.named(), transforms=transforms)

    def learns_from(self, recipe: Recipe) -> tuple[str, TracesSource | None]:
        """Its traces."""
        return f"the traces of '{self.name}'", None if self.traces.stage else self.traces

    def describe(self, recipe: Recipe) -> str:
        """The stage in a few words, for the plan."""
        steps = self.trainer.get("max_steps")
        much = f"{steps} steps" if steps else f"{self.trainer.get('num_train_epochs', 3)} epochs"
        return f"{much} on {self.traces.describe()}"

    def trainer_class(self) -> type:
        """The class that `trainer:` goes to."""
        from trl import SFTConfig

        return SFTConfig

    def arguments(self, given: dict[str, Any]) -> dict[str, Any]:
        """The trainer's arguments: what the run decides, this stage's defaults, and the recipe's own."""
        defaults = {"logging_steps": 5, "packing": False, "max_length": None}
        return {**given, **defaults, **self.trainer}

    def as_begun(self, began: Mapping[str, Any], processes: int = 1) -> Self:
        """Return this stage with its `costs` as they were, and a batch as large cut into the passes that it was."""
        stage = super().as_begun(began, processes)
        if not self.same_in(began, processes):
            return stage
        kept = {name: value for name, value in stage.trainer.items() if name not in _CUT}
        kept |= {name: value for name, value in _trainer(began).items() if name in _CUT}
        return stage.model_copy(update={"trainer": kept})

    def same_in(self, began: Mapping[str, Any], processes: int) -> bool:
        """Whether so many processes take a batch of as many traces."""
        now, before = (
            math.prod(keys.get(name, default) for name, default in _CUT.items())
            for keys in (self.trainer, _trainer(began))
        )
        return now * processes == before * began.get("num_processes", processes)

    def proof_traces(self, base: Path, thinking: Thinking, count: int) -> Sequence[Trace]:
        """Load its first traces; what cannot be used is counted and kept by the stage when it trains."""
        if self.traces.stage is not None:
            return ()  # the run makes them
        return load_traces(first_rows(self.traces, count), base, None, thinking).rows

    def run(self, context: StageContext) -> dict[str, Any]:
        """Train on the traces.

        Args:
            context: where it runs.

        Returns:
            Steps, losses, how many traces were used and left out.
        """
        from trl import SFTConfig, SFTTrainer

        args = self.arguments(run_arguments(context.folder / layout.CHECKPOINTS, context.recipe, self.trainer))
        # First: under FSDP, processes that know one another read the weights once.
        config = SFTConfig(**args)
        start = load_start(context)
        thinking = start.chat.thinking
        traces = load_traces(context.traces(self.traces), context.base, context.quarantine("traces"), thinking)
        report_set_aside(context, "traces", traces)
        shared = compare_with_evaluations(self, context, traces.rows)
        limit = args["max_length"] or start.context_length
        dataset, dropped = tokenized(traces.rows, start.chat, start.tokenizer, limit)
        if dropped:
            text = f"{dropped} of {len(traces.rows)} traces are longer than {limit} tokens"
            if self.overlong == "refuse":
                raise DataError(f"{text}; raise trainer.max_length or set overlong: drop")
            context.emit({"type": "warning", "text": f"{text} and left out: a trace is never cut"})
        if not len(dataset):
            raise DataError(f"no trace fits into {limit} tokens; raise trainer.max_length")
        trainer = SFTTrainer(
            model=start.model,
            args=config,
            train_dataset=dataset,
            processing_class=start.tokenizer,
            callbacks=best_keeper(self, context, start, shared),
        )
        read_head_whole(trainer.model)
        results = train_and_save(trainer, context, start)
        return {**results, "traces": len(dataset), "overlong": dropped, "set_aside": traces.set_aside, **shared}


_CUT = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1}
"""What a batch is made of, with transformers' defaults."""


def _trainer(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("trainer."): value for name, value in keys.items() if name.startswith("trainer.")}


def tokenized(
    traces: Sequence[Trace], chat: ChatFormat, tokenizer: PreTrainedTokenizerBase, limit: int | None
) -> tuple[Dataset, int]:
    """Render traces to token ids and labels.

    Args:
        traces: what to imitate.
        chat: the run's format, installed in the tokenizer.
        tokenizer: the model's.
        limit: longest row in tokens, prompt included; ``None`` for no limit.

    Returns:
        A dataset with `input_ids` and `labels`, and how many traces were too long for it.
    """
    from datasets import Dataset

    rows = []
    for trace in traces:
        ids, mask, _ = chat.training_row(tokenizer, trace.problem, trace.text(chat.thinking), trace.system)
        if limit is None or len(ids) <= limit:
            labels = [token if trained else IGNORED for token, trained in zip(ids, mask, strict=True)]
            rows.append({"input_ids": ids, "labels": labels})
    return Dataset.from_list(rows), len(traces) - len(rows)


def _own_tags(recipe: Recipe) -> Thinking | None:
    """The recipe's tags, where they are known without the model: a template of its own may open the thoughts.

    One that is chosen by itself may too; where it does, a trace without an opening tag is no mistake of this list.
    """
    section = recipe.thinking
    if section is None or section.template not in (PACKAGE_TEMPLATE, AUTO_TEMPLATE):
        return None
    try:
        return Thinking(section.open, section.close)
    except ValueError:  # told where the section is checked
        return None
