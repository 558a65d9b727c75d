"""Whether the installed TRL is still the one that the trainer was written against.

TRL promises stability for its public API only, and the trainer wraps methods whose names start with an
underscore. Tested with TRL 1.16; `pyproject.toml` allows no other minor version, and this probe says in one line
what moved if one is installed all the same.
"""

from __future__ import annotations

import inspect
import sys

import trl

from magistral_recipe.errors import RunError

TESTED = "1.16"

SIGNATURES: dict[str, tuple[str, ...]] = {
    "training_step": ("self", "model", "inputs", "num_items_in_batch"),
    "_prepare_inputs": ("self", "generation_batch"),
    "_generate_and_score_completions": ("self", "inputs"),
    "_generate": ("self", "prompts"),
    "_generate_single_turn": (
        "self", "prompt_ids", "images", "multimodal_fields", "num_generations", "has_tool_images",
    ),
    "_calculate_rewards": ("self", "inputs", "prompts", "completions", "completion_ids_list"),
    "_compute_loss": ("self", "model", "inputs"),
    "get_train_dataloader": ("self",),
    "_load_rng_state": ("self", "checkpoint"),
    "log": ("self", "logs", "start_time"),
}  # fmt: skip
SAMPLER: dict[str, tuple[str, ...]] = {
    "_init_vllm": ("self",),
    "_iter_named_params": ("self",),
    "sync_weights": ("self",),
    "generate": ("self", "prompts", "images", "num_generations", "profiler"),
}
"""The same of the class that talks to vLLM."""
LOGPS_ARGUMENTS = (
    "self",
    "model",
    "input_ids",
    "attention_mask",
    "logits_to_keep",
    "batch_size",
    "compute_entropy",
    "compute_aux_loss",
)
SCORED_KEYS = frozenset(
    {"prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "advantages", "num_items_in_batch"}
)
OPTIONAL_KEYS = frozenset(
    {
        "old_per_token_logps",
        "ref_per_token_logps",
        "sampling_per_token_logps",
        "tool_mask",
    }
)
GENERATED = 8
"""Parts of what `_generate` returns; the fourth are the completions."""


def check_trl(trainer: type) -> None:
    """Hold the methods that the trainer wraps against what they were when it was tested.

    Args:
        trainer: `trl.GRPOTrainer`.

    Raises:
        RunError: naming what moved, the installed and the tested version.
    """
    moved = []
    for name, expected in SIGNATURES.items():
        actual = _arguments(trainer, name)
        if actual != expected:
            moved.append(f"{name}{actual}" if actual else f"{name} (gone)")
    if _arguments(trainer, "_get_per_token_logps_and_entropies")[: len(LOGPS_ARGUMENTS)] != LOGPS_ARGUMENTS:
        moved.append("_get_per_token_logps_and_entropies")
    sampler = getattr(sys.modules[trainer.__module__], "VLLMGeneration", None)
    if sampler is None:
        moved.append("VLLMGeneration (gone)")
    else:
        changed = (name for name, expected in SAMPLER.items() if _arguments(sampler, name) != expected)
        moved += [f"VLLMGeneration.{name}" for name in changed]
    if moved:
        raise RunError(f"TRL {trl.__version__} is installed, tested is {TESTED}: moved are {', '.join(moved)}")


def check_scored(keys: set[str]) -> None:
    """Hold the keys of a scored batch against those known.

    Args:
        keys: of what `_generate_and_score_completions` returned.

    Raises:
        RunError: if a key is missing or unknown, since rows could then be carried along incompletely.
    """
    missing, unknown = SCORED_KEYS - keys, keys - SCORED_KEYS - OPTIONAL_KEYS
    if missing or unknown:
        raise RunError(
            f"TRL {trl.__version__} is installed, tested is {TESTED}: a scored batch "
            f"lacks {sorted(missing) or 'nothing'} and has unknown {sorted(unknown) or 'nothing'}"
        )


def _arguments(trainer: type, name: str) -> tuple[str, ...]:
    method = getattr(trainer, name, None)
    return tuple(inspect.signature(method).parameters) if method else ()
