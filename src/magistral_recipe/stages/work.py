"""The work that stages share: taking up a model, loading problems, training to the end and leaving a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magistral_recipe import layout
from magistral_recipe.data.benchmarks.catalogue import prompt_of
from magistral_recipe.data.sources import LoadResult, load_problems
from magistral_recipe.errors import RunError
from magistral_recipe.files import folder_atomically
from magistral_recipe.models.loaded import LoadedModel, load_ready
from magistral_recipe.recipe.sections import StageContext
from magistral_recipe.sharded import gather_into, in_parts
from magistral_recipe.stages.held_out import is_clean
from magistral_recipe.stages.training import TrainingStage, base_model_config, chat_format
from magistral_recipe.writing.chat_format import stop_token_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel, Trainer, TrainerCallback

    from magistral_recipe.data.problems import Problem
    from magistral_recipe.data.sources import ProblemsSource
    from magistral_recipe.evaluation.request import Backend, EvaluationRequest
    from magistral_recipe.evaluation.settings import EvaluationSettings


def problem_rows(context: StageContext, name: str) -> list[Problem]:
    """Load a named set of problems, and say which layout they have and how many rows were set aside."""
    loaded = load_problems(context.recipe.problems[name], context.base, context.quarantine(name))
    report_set_aside(context, f"problems '{name}'", loaded)
    return loaded.rows


def report_set_aside(context: StageContext, what: str, loaded: LoadResult) -> None:
    """Tell how many rows did not fit, why, and where they are; and by which layout they were read."""
    if loaded.set_aside or loaded.layout or loaded.passed_over:
        kind = "warning" if loaded.set_aside else "note"
        context.emit({"type": kind, "text": f"{what}: {loaded.summary()}"})
    if loaded.shape:
        context.emit({"type": "note", "text": f"{what}: {loaded.source}: read as {loaded.shape}"})
    for note in loaded.warnings():
        context.emit({"type": "note", "text": f"{what}: {note}"})


def request_for(
    context: StageContext, name: str, problems: ProblemsSource, settings: EvaluationSettings, backend: Backend
) -> EvaluationRequest:
    """Ask for samples of one of the chain's models.

    Args:
        context: the stage's.
        name: of the model: a stage's, or `base`.
        problems: where the problems come from.
        settings: what is drawn.
        backend: what generates.

    Returns:
        The request, enough to repeat the run.
    """
    from magistral_recipe.evaluation.request import EvaluationRequest

    chat, folder = chat_format(context.recipe, context.base), context.models[name]
    return EvaluationRequest(
        model=base_model_config(context.recipe, context.base),
        weights=str(folder) if folder else None,
        thinking=(chat.thinking.open, chat.thinking.close),
        system_prompt=chat.system_prompt,
        template=chat.template,
        problems=problems,
        base=str(context.base),
        settings=settings,
        backend=backend,
    )


def load_start(context: StageContext) -> LoadedModel:
    """Load the model that a stage starts from, ready to be trained.

    Args:
        context: the stage's.

    Returns:
        Model, tokenizer and format.
    """
    start = load_ready(
        base_model_config(context.recipe, context.base),
        chat_format(context.recipe, context.base),
        context.models[context.start_model],
        train_seed=context.recipe.seed,
    )
    # Where a turn ends on another token than a text does, as in Qwen's base models, trainers are to stop on it too.
    start.model.generation_config.eos_token_id = stop_token_ids(start.tokenizer, start.model)
    context.emit({"type": "note", "text": f"chat template: {start.chat.told}"})
    return start


def best_keeper(
    stage: TrainingStage, context: StageContext, start: LoadedModel, shared: Mapping[str, Any]
) -> list[TrainerCallback]:
    """The callbacks of a stage's `evaluate` section; none without one.

    Args:
        stage: the stage.
        context: where it runs.
        start: what it starts from.
        shared: what its rows share with the sets of problems (`held_out.compare_with_evaluations`).
    """
    settings = stage.evaluate
    if settings is None:
        return []
    from magistral_recipe.evaluation.evaluate import quick_score
    from magistral_recipe.training.best import KeepBest
    from magistral_recipe.training.health import evaluation_fallen

    problems = problem_rows(context, settings.problems)[: settings.count]
    prompt = prompt_of(context.recipe.problems[settings.problems].benchmark, context.base)

    def score(model: PreTrainedModel) -> float:
        return quick_score(
            model,
            start.tokenizer,
            problems,
            start.chat,
            samples=settings.samples,
            temperature=settings.temperature,
            max_new_tokens=settings.max_new_tokens,
            seed=context.recipe.seed,
            prompt=prompt,
        )

    name = "held-out score" if is_clean(shared, settings.problems) else f"score on '{settings.problems}'"

    def told(step: int, value: float) -> None:
        context.emit({"type": "note", "text": f"step {step}: {name} {value:.3f}"})
        if trouble := evaluation_fallen(keeper.scores, len(problems), name):
            context.emit({"type": "warning", "text": trouble.line()})

    restore = settings.keep == "best"
    keeper = KeepBest(
        score,
        settings.every,
        context.folder / layout.BEST,
        restore=restore,
        on_score=told,
        problems=len(problems),
    )
    return [keeper]


def train_and_save(trainer: Trainer, context: StageContext, start: LoadedModel) -> dict[str, Any]:
    """Train from the last whole checkpoint, if there is one, and leave the model in the stage's folder.

    Args:
        trainer: ready to train.
        context: the stage's.
        start: what it started from.

    Returns:
        Steps, last metrics and a summary.
    """
    from transformers import PrinterCallback

    from magistral_recipe.training.checkpoints import (
        CheckpointGuard,
        latest_complete_checkpoint,
        only_what_is_left,
        sweep,
    )
    from magistral_recipe.training.metrics import MetricsWriter

    _require_launch(trainer, context)
    checkpoints = context.folder / layout.CHECKPOINTS
    if trainer.is_world_process_zero() and sweep(checkpoints) and latest_complete_checkpoint(checkpoints) is None:
        context.emit({"type": "warning", "text": "no checkpoint can be gone on from: training begins anew"})
    trainer.accelerator.wait_for_everyone()
    metrics = MetricsWriter(context.folder / layout.METRICS, context.emit)
    trainer.remove_callback(PrinterCallback)  # what it prints stands in metrics.jsonl
    trainer.add_callback(metrics)
    if not any(isinstance(callback, CheckpointGuard) for callback in trainer.callback_handler.callbacks):
        trainer.add_callback(CheckpointGuard())
    context.confirm()
    only_what_is_left(trainer)
    checkpoint = latest_complete_checkpoint(checkpoints)
    if checkpoint is not None:
        _require_kind(trainer, checkpoint)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.accelerator.wait_for_everyone()
    model = trainer.accelerator.unwrap_model(trainer.model)
    release_training_state(trainer)
    first = trainer.is_world_process_zero()
    sharded = sum(map(in_parts, model.parameters()))
    if sharded:
        model = _gathered(model, context, start, first)
    if first:
        _hand_over(model, context, start)
    trainer.accelerator.wait_for_everyone()
    return {
        "steps": trainer.state.global_step,
        "processes": trainer.accelerator.num_processes,
        **({"sharded_weights": sharded} if sharded else {}),
        "metrics": metrics.last,
        "summary": ", ".join([f"{trainer.state.global_step} steps", *summary_of(metrics.last)]),
    }


def _require_launch(trainer: Trainer, context: StageContext) -> None:
    """See that the processes are those that the recipe asks for: a launch that goes wrong often says nothing.

    Raises:
        RunError: they are others, or share nothing where the launch's config has them share the model.
    """
    import os

    from accelerate.utils import DistributedType

    accelerator = trainer.accelerator
    if accelerator.num_processes != context.processes:
        raise RunError(
            f"the recipe asks for {context.processes} processes, but this one is among {accelerator.num_processes}"
        )
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        raise RunError("DeepSpeed was never run here: use DDP, or FSDP2 (recipes/accelerate)")
    asked = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    if asked and context.processes > 1 and accelerator.distributed_type != DistributedType.FSDP:
        raise RunError(
            "launch.config_file asks for FSDP, which Accelerate offers on GPUs alone: these processes would each train "
            "the whole model. Leave config_file out"
        )
    if asked and accelerator.distributed_type == DistributedType.FSDP and not accelerator.is_fsdp2:
        raise RunError("launch.config_file asks for FSDP 1: set fsdp_version: 2, whose parts can be put together again")


def _require_kind(trainer: Trainer, checkpoint: Path) -> None:
    """See that a checkpoint is of the kind that the launch reads: sharing a model out has files of its own.

    Raises:
        RunError: it is of the other.
    """
    from accelerate.utils import DistributedType
    from accelerate.utils.constants import FSDP_MODEL_NAME

    was = any(checkpoint.glob(f"{FSDP_MODEL_NAME}*"))
    if was != (trainer.accelerator.distributed_type == DistributedType.FSDP):
        told = "shared its model out (FSDP), and this one does not" if was else "did not share its model out (FSDP)"
        raise RunError(
            f"{checkpoint} is of a run that {told}: go on as it began (launch.num_processes may be another), or delete "
            f"{checkpoint.parent} to begin anew"
        )


def _gathered(sharded: PreTrainedModel, context: StageContext, start: LoadedModel, first: bool) -> PreTrainedModel:
    """Put a sharded model together on the CPU of the first process; the others keep what they have.

    It is loaded as it was before training, adapters and all, and its weights are replaced: so it is saved, merged and
    measured as a model of one process is.
    """
    from magistral_recipe.models.load import load_model

    plain = load_model(start.config, context.models[context.start_model], trainable=True) if first else None
    gather_into(plain, sharded)
    if plain is None:
        return sharded
    _take_tokens(plain, sharded)
    return plain


def _take_tokens(plain: PreTrainedModel, trained: PreTrainedModel) -> None:
    """Name a model's special tokens as the trainer has: by the tokenizer, before its first step."""
    from magistral_recipe.models.quantization import is_adapter

    base, source = (model.get_base_model() if is_adapter(model) else model for model in (plain, trained))
    base.generation_config = source.generation_config
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(base.config.get_text_config(), name, getattr(source.config.get_text_config(), name))


def release_training_state(trainer: Trainer) -> None:
    """Free what training needed beside the model: gradients and the optimizer's moments.

    Args:
        trainer: done with training. One that shards its model over processes keeps everything.
    """
    import gc

    import torch
    from accelerate.utils import DistributedType

    if trainer.accelerator.distributed_type in {DistributedType.DEEPSPEED, DistributedType.FSDP}:
        return
    trainer.model.zero_grad(set_to_none=True)
    for holder in (trainer, trainer.callback_handler):
        holder.optimizer = holder.lr_scheduler = None
    trainer.model_wrapped = trainer.model
    trainer.accelerator.free_memory()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _hand_over(model: PreTrainedModel, context: StageContext, start: LoadedModel) -> None:
    """Leave the model for the next stage, and say how far folding an adapter into its weights has moved it.

    Raises:
        RunError: where the weights that were saved are another model than the one that was trained.
    """
    from magistral_recipe.models.load import load_model, save_adapter, save_model, token_logps
    from magistral_recipe.models.merge import fold, release_weights
    from magistral_recipe.models.quantization import is_adapter, is_quantized

    folder, lora = context.folder / layout.MODEL, start.config.lora
    carried = lora is not None and lora.handover == "carry"
    quantized = is_quantized(model)
    if not is_adapter(model) or (quantized and carried):  # what is loaded again is what was saved
        save_model(model, start.tokenizer, folder, start.config)
        return
    ids = start.tokenizer(_GAP_TEXT, return_tensors="pt")["input_ids"]
    if quantized:
        # The adapter first: it is small, and what was trained is safe whatever becomes of gigabytes of weights.
        with folder_atomically(context.folder / layout.ADAPTER) as part:
            save_adapter(model, start.tokenizer, part)
        # Merging reads the weights as they are, so it comes before a forward pass, which may lay them out anew.
        save_model(model, start.tokenizer, folder, start.config)
        before = token_logps(model, ids)
        release_weights(model)  # whoever loads the next one has the memory to himself, as the next stage will
        after = load_model(start.config, folder, trainable=True)
    else:
        before = token_logps(model, ids)
        save_model(model, start.tokenizer, folder, start.config)
        # Saving has merged it in place; a carried one is merged as every later reader will: no copy is made.
        after = fold(model) if carried else model.get_base_model()
    _tell_gap(float((token_logps(after, ids) - before).abs().max()), quantized, context)


def _tell_gap(gap: float, quantized: bool, context: StageContext) -> None:
    moved = f"merging changed token log-probabilities by up to {gap:.2g} nats"
    if quantized:
        kind = "note" if gap <= MERGE_GAP_LIMIT else "warning"
        context.emit({"type": kind, "text": f"{moved}: the weights are quantized again"})
    elif gap <= MERGE_GAP_LIMIT:
        context.emit({"type": "note", "text": moved})
    else:
        raise RunError(
            f"{moved}, more than {MERGE_GAP_LIMIT} nat: the model in {context.folder / 'model'} is another one than "
            "was trained. Rounding can't do that; a layer that is shared (tied) and has an adapter can. Other "
            "`model.lora.target_modules` are the way out"
        )


MERGE_GAP_LIMIT = 1.0
"""The largest change of a token's log-probability that a hand-over may bring, in nats.

Folding in float32 moves it by 1e-6 to 1e-4; rounding the sum to bfloat16, of 8 bits, by about what that type's forward
pass leaves uncertain anyway, hundredths to tenths; a fault moves it by tens. Weights that are quantized again may go
beyond 1 by rounding alone, so that there it is a warning. A factor of e in a token's probability lies outside any
clipping range.
"""

_GAP_TEXT = "First, add the units: 7 + 8 = 15, so write 5 and carry 1. Then the tens: 4 + 3 + 1 = 8. The sum is 85."
"""Some text on which the gap of a merge is measured."""


def summary_of(metrics: Mapping[str, float]) -> list[str]:
    """The last metrics of a stage in a few words."""
    shown = {"reward": "reward", "loss": "loss", "completions/mean_length": "length"}
    return [f"{label} {metrics[key]:.3f}" for key, label in shown.items() if key in metrics]
