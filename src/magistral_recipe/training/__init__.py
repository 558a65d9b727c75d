"""Training: the paper's objective, the trainer on top of TRL, and what makes any trainer's checkpoints safe.

One step of RL, from prompts to weights. `grpo.py` takes it from the top (`training_step`), the others in this order:

    a generation batch, once every `minibatches_per_batch` steps
      schedule.py        the limits and the difficulty band in force
      collector.py       draws, generates, drops groups without signal, draws again until the batch is full
        prompt_stream.py   which prompts come next
        generating.py      completions of all ranks; from padded tensors to rollouts that every rank knows
        sampling.py        where they come from without vLLM: a copy of the weights (generation/rollouts/)
        vllm.py            where they come from with it; handing_over.py: what it is handed after a step
        scoring.py         the rewards, called while others are still being written
        roll_call.py       all processes have come so far, or the late one's name
        rounds.py          which groups have a signal, and what the batch was like
      assembly.py        from groups to minibatches: advantages, normalizers, which rank trains what
      forward.py         log-probabilities under the weights that generated
      correction.py      what completions weigh whose sampler was not quite the trainer
      rollouts.py        what a rollout is, and its line in rollouts.jsonl

    an optimizer step, once a minibatch
      batching.py        microbatches of a token budget, and their tensors
      forward.py         log-probabilities under the weights that train
      objective.py       the loss: all of the paper's formulas stand there
      metrics.py         the step's figures, summed over microbatches and ranks

    beside the steps
      config.py          the settings; checks.py, contract.py: what is refused before the first step
      health.py          is it getting worse? watch.py says so while it trains, the report afterwards
      evidence.py        what a batch without signal showed, for the error that ends the run
      memory.py          what a checkpoint must keep; checkpoints.py, best.py: when one counts, and which is kept

The rows of a step are `Rollout`s throughout. `docs/trainer.md` says what a user sees of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from magistral_recipe.training.best import KeepBest as KeepBest
    from magistral_recipe.training.checkpoints import CheckpointGuard as CheckpointGuard
    from magistral_recipe.training.checkpoints import latest_complete_checkpoint as latest_complete_checkpoint
    from magistral_recipe.training.checkpoints import sweep as sweep
    from magistral_recipe.training.config import MagistralGRPOConfig as MagistralGRPOConfig
    from magistral_recipe.training.grpo import MagistralGRPOTrainer as MagistralGRPOTrainer
    from magistral_recipe.training.metrics import MetricsWriter as MetricsWriter
    from magistral_recipe.training.prompt_stream import PromptStream as PromptStream

_HOME = {
    "CheckpointGuard": "checkpoints",
    "KeepBest": "best",
    "MagistralGRPOConfig": "config",
    "MagistralGRPOTrainer": "grpo",
    "MetricsWriter": "metrics",
    "PromptStream": "prompt_stream",
    "latest_complete_checkpoint": "checkpoints",
    "sweep": "checkpoints",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)  # TRL takes seconds to import: only when needed
