"""Cold-start SFT: the model learns to think by imitating reasoning traces (Magistral §5).

The loss is taken on the completion alone, thoughts included, and no trace is ever cut: one that does not fit is
left out and counted, or refused. Rows are rendered and masked by `ChatFormat.training_row`, the same function that
the wiring proof shows, and go to TRL's `SFTTrainer` as token ids and labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from magistral_recipe.data.sources import TracesSource, load_traces
from magistral_recipe.errors import DataError
from magistral_recipe.stages.base import Inputs, StageContext
from magistral_recipe.stages.training import (
    Mistakes,
    TrainingStageConfig,
    check_evaluate,
    run_arguments,
    training_inputs,
)
from magistral_recipe.stages.work import best_keeper, load_start, report_set_aside, train_and_save

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from magistral_recipe.data.problems import Trace
    from magistral_recipe.writing.chat_format import ChatFormat

IGNORED = -100
"""The label on which transformers takes no loss."""


class Config(TrainingStageConfig):
    """The `sft` stage."""

    traces: TracesSource
    """The reasoning traces to imitate."""
    overlong: Literal["drop", "refuse"] = "drop"
    """What becomes of traces longer than `trainer.max_length` tokens (by default the model's context): left out and
    counted, or an error. They are never cut."""


def check(config: Config, recipe: Any, models: Sequence[str], folder: Path) -> Mistakes:
    """Mistakes that need the rest of the recipe or the disk."""
    for key, message in config.traces.check(folder):
        yield ("traces", *key.split(".")) if key else ("traces",), message
    yield from check_evaluate(config, recipe)


def inputs(config: Config, start: str) -> Inputs:
    """What flows into the stage."""
    return training_inputs(config, start, [], [config.traces.path] if config.traces.path else [])


def describe(config: Config, recipe: Any) -> str:
    """The stage in a few words, for the plan."""
    steps = config.trainer.get("max_steps")
    much = f"{steps} steps" if steps else f"{config.trainer.get('num_train_epochs', 3)} epochs"
    return f"{much} on {config.traces.describe()}"


def trainer_class() -> type:
    """The class that `trainer:` goes to."""
    from trl import SFTConfig

    return SFTConfig


def arguments(config: Config, given: dict[str, Any]) -> dict[str, Any]:
    """The trainer's arguments: what the run decides, this stage's defaults, and the recipe's own."""
    defaults = {"logging_steps": 5, "packing": False, "max_length": None}
    return {**given, **defaults, **config.trainer}


def run(config: Config, context: StageContext) -> dict[str, Any]:
    """Train on the traces.

    Args:
        config: the stage's.
        context: where it runs.

    Returns:
        Steps, losses, how many traces were used and left out.
    """
    from trl import SFTConfig, SFTTrainer

    start = load_start(context)
    thinking = start.chat.thinking
    traces = load_traces(config.traces, context.base, context.quarantine("traces"), thinking)
    report_set_aside(context, "traces", traces)
    args = arguments(config, run_arguments(context.folder / "checkpoints", context.recipe))
    limit = args["max_length"] or start.context_length
    dataset, dropped = tokenized(traces.rows, start.chat, start.tokenizer, limit)
    if dropped:
        text = f"{dropped} of {len(traces.rows)} traces are longer than {limit} tokens"
        if config.overlong == "refuse":
            raise DataError(f"{text}; raise trainer.max_length or set overlong: drop")
        context.emit({"type": "warning", "text": f"{text} and left out: a trace is never cut"})
    if not len(dataset):
        raise DataError(f"no trace fits into {limit} tokens; raise trainer.max_length")
    trainer = SFTTrainer(
        model=start.model,
        args=SFTConfig(**args),
        train_dataset=dataset,
        processing_class=start.tokenizer,
        callbacks=best_keeper(config, context, start),
    )
    results = train_and_save(trainer, context, start)
    return {**results, "traces": len(dataset), "overlong": dropped, "set_aside": traces.set_aside}


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
        ids, mask, _ = chat.training_row(tokenizer, trace.problem, trace.text(chat.thinking))
        if limit is None or len(ids) <= limit:
            labels = [token if trained else IGNORED for token, trained in zip(ids, mask, strict=True)]
            rows.append({"input_ids": ids, "labels": labels})
    return Dataset.from_list(rows), len(traces) - len(rows)
