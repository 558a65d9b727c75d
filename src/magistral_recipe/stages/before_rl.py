"""Before RL: what the model that it starts from does on training problems, told while nothing is lost yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from magistral_recipe import layout
from magistral_recipe.files import write_atomically
from magistral_recipe.jsonlines import lines_text
from magistral_recipe.recipe.sections import BASE, StageContext

if TYPE_CHECKING:
    from magistral_recipe.data.problems import Problem
    from magistral_recipe.evaluation.baseline import Baseline
    from magistral_recipe.generation.interface import Completion, Generator, Request, Sampling
    from magistral_recipe.models.loaded import LoadedModel
    from magistral_recipe.training.grpo import MagistralGRPOTrainer


def tell_baseline(
    trainer: MagistralGRPOTrainer, context: StageContext, start: LoadedModel, problems: Sequence[Problem]
) -> dict[str, Any]:
    """Sample the model that RL starts from, keep the samples, and say what they show.

    Nothing is drawn where RL goes on from a checkpoint, and where the model lies in parts on several processes.

    Args:
        trainer: ready to train; the first process samples.
        context: where the stage runs.
        start: tokenizer and format.
        problems: to train on.

    Returns:
        For the stage's results.
    """
    from accelerate.utils import DistributedType

    from magistral_recipe.evaluation.baseline import draw_baseline
    from magistral_recipe.training.checkpoints import latest_complete_checkpoint

    in_parts = trainer.accelerator.distributed_type in {DistributedType.DEEPSPEED, DistributedType.FSDP}
    begun = latest_complete_checkpoint(context.folder / layout.CHECKPOINTS) is not None
    if begun or in_parts or not trainer.is_world_process_zero():
        return {}
    baseline = draw_baseline(
        trainer.model,
        start.tokenizer,
        problems,
        start.chat,
        max_new_tokens=trainer.args.max_completion_length,
        temperature=trainer.args.temperature,
        seed=context.recipe.seed,
        generator=_as_rollouts(trainer, start),
    )
    write_atomically(context.folder / layout.BASELINE, lines_text(map(asdict, baseline.samples)))
    trained = any(stage.kind == "sft" for stage in context.recipe.stages)
    told(baseline, context.emit, after_sft=trained and context.start_model != BASE)
    return {"baseline": baseline.as_dict()}


def _as_rollouts(trainer: MagistralGRPOTrainer, start: LoadedModel) -> Generator | None:
    """What samples rollouts: it is made anyway, a moment later, and many times faster than transformers' loop."""
    from magistral_recipe.generation.backend import Backend
    from magistral_recipe.writing.chat_format import stop_token_ids

    if trainer.use_vllm:
        return None

    class Rollouts(Backend):
        def stream(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Completion]]:
            rows = self.encode(requests)
            written = trainer.complete([row.ids for row in rows], sampling.max_new_tokens, sampling.seed)
            yield [self.finish(row, ids) for row, ids in zip(rows, written, strict=True)]

    return Rollouts(start.tokenizer, stop_token_ids(start.tokenizer, start.model))


def told(baseline: Baseline, emit: Callable[[Mapping[str, Any]], None], after_sft: bool = False) -> None:
    """Say what a baseline shows, with a few of its completions where there is little to learn from.

    Args:
        baseline: the samples.
        emit: takes events.
        after_sft: whether the model has been through SFT already.
    """
    advice = baseline.advice(after_sft)
    text = f"{baseline.line()}{f': {advice}' if advice else ''}"
    emit({"type": "warning" if advice else "note", "text": text})
    for completion in baseline.completions() if advice else ():
        emit({"type": "note", "text": f"it wrote: {completion}"})
