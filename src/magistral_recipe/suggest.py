"""The nearest valid name, for error messages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_USUAL: dict[str, tuple[str, ...]] = {
    "lr": ("learning_rate",),
    "epochs": ("num_train_epochs",),
    "num_epochs": ("num_train_epochs",),
    "steps": ("max_steps", "num_steps"),
    "batch_size": ("per_device_train_batch_size", "prompts_per_batch", "batch_size"),
    "micro_batch_size": ("per_device_train_batch_size",),
    "train_batch_size": ("prompts_per_batch", "per_device_train_batch_size"),
    "rollout_n": ("num_generations",),
    "group_size": ("num_generations",),
    "n_samples": ("num_generations", "samples"),
    "clip_ratio": ("epsilon",),
    "clip_ratio_high": ("epsilon_high",),
    "kl_coef": ("beta",),
    "max_tokens": ("max_new_tokens", "max_completion_length"),
    "max_response_length": ("max_completion_length",),
    "sequence_len": ("max_length",),
    "max_seq_length": ("max_length",),
    "scheduler": ("lr_scheduler_type",),
    "lr_scheduler": ("lr_scheduler_type",),
    "base_model": ("model",),
    "model_name_or_path": ("path",),
    "name_or_path": ("path",),
    "dataset": ("path", "problems"),
    "datasets": ("problems",),
    "question": ("problem",),
    "prompt": ("problem",),
    "reward_funcs": ("rewards",),
    "lora_r": ("r",),
    "lora_alpha": ("alpha",),
    "lora_dropout": ("dropout",),
    "load_in_4bit": ("quantization",),
}
"""What other programs call it, to what a recipe may call it; the first that is allowed is meant."""


def did_you_mean(name: str, allowed: Iterable[str], *, list_all_below: int = 12) -> str:
    """Finish an error line about an unknown name.

    Args:
        name: what was written.
        allowed: the names there are.
        list_all_below: with no near name, list all of them when there are at most this many.

    Returns:
        `` Did you mean 'x'?``, or the allowed names, or nothing; starts with a space where not empty.
    """
    names = sorted(set(allowed))
    close = [known for known in _USUAL.get(name.lower(), ()) if known in names][:1]
    close = close or get_close_matches(name, names, n=1, cutoff=0.6)
    if not close:  # `lr` for `learning_rate`: its first letters
        close = [known for known in names if len(name) > 1 and _initials(known) == name][:1]
    if not close:
        close = [known for known in names if name and (known.startswith(name) or name.startswith(known))][:1]
    if close:
        return f" Did you mean '{close[0]}'?"
    if names and len(names) <= list_all_below:
        return f" Allowed: {', '.join(names)}."
    return ""


def _initials(name: str) -> str:
    return "".join(part[:1] for part in name.split("_"))
