"""Holding a recipe's `trainer:` section against the trainer's own config class.

TRL accepts any string where it means one of five, and finds out in the first step. Here every key is held
against the class's fields, every value against its annotation and, where TRL takes any text, against a table
of choices; then the class itself is constructed, so that its own checks speak before a model is loaded.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from magistral_recipe.confidential import is_secret_name, way_out
from magistral_recipe.machine import LAUNCH_VARIABLES
from magistral_recipe.schema import wants_number
from magistral_recipe.suggest import did_you_mean

CHOICES: dict[str, tuple[object, ...]] = {
    "loss_type": ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"),
    "scale_rewards": (True, False, "group", "batch", "none"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    "importance_sampling_level": ("token", "sequence"),
    "vllm_mode": ("server", "colocate"),
    "packing_strategy": ("bfd", "bfd_split", "wrapped"),
    "advantage_normalization": ("minibatch", "group", "none"),
    "loss_normalization": ("minibatch", "group"),
}
"""Values of fields whose annotation is plain text in TRL."""

ENUMS: dict[str, str] = {
    "optim": "OptimizerNames",
    "lr_scheduler_type": "SchedulerType",
    "logging_strategy": "IntervalStrategy",
}
"""Fields that transformers turns into one of its enumerations."""

MAY_BE_NEGATIVE = frozenset({"max_steps", "top_k", "entropy_coef", "entropy_coef_min"})
"""Numbers for which below 0 means something: no limit, or, for a coefficient, the opposite."""

ABOVE_ZERO = frozenset(
    {
        *("temperature", "top_p", "repetition_penalty", "per_device_train_batch_size", "gradient_accumulation_steps"),
        *("num_generations", "max_completion_length", "max_length"),
    }
)
"""Numbers by which is divided, or of which nothing would be left."""

AT_MOST_ONE = frozenset({"top_p", "min_p", "adam_beta1", "adam_beta2", "label_smoothing_factor"})
"""Shares and probabilities."""

TRACKING = ("tensorboard", "wandb", "trackio")
"""What the extra `tracking` installs."""

RESERVED: dict[str, str] = {
    "output_dir": "the run folder decides it",
    "seed": "the recipe's `seed` decides it",
    "data_seed": "the recipe's `seed` decides it",
    "model_init_kwargs": "the recipe's `model` section decides it",
    "resume_from_checkpoint": "a run resumes by itself",
    "ignore_data_skip": "an exact resume needs it off",
    "overwrite_output_dir": "use `--fresh`",
    "push_to_hub": "nothing is pushed by itself: `hf upload OWNER/NAME runs/…/model` when you have looked at it",
    "do_train": "a stage trains",
    "do_eval": "use the stage's `evaluate`",
    "do_predict": "use an `evaluate` stage",
    "eval_strategy": "use the stage's `evaluate`",
    "load_best_model_at_end": "use the stage's `evaluate: {keep: best}`",
    "save_strategy": "use `save_steps`; a resume needs checkpoints by steps",
    "chat_template_path": "the recipe's `thinking.template` decides it",
    "local_rank": "the launcher decides it",
}


def trainer_mistakes(
    config_class: type,
    trainer: Mapping[str, Any],
    given: Mapping[str, Any],
    choices: Mapping[str, tuple[object, ...]] | None = None,
) -> Iterator[tuple[str | None, str]]:
    """Find what a trainer section gets wrong.

    Args:
        config_class: the dataclass that the section goes to.
        trainer: the section.
        given: the arguments that the stage adds by itself, for the trial construction.
        choices: where this class's choices are others than those of `CHOICES`.

    Yields:
        Pairs of a key (``None`` for the section as a whole) and a message.
    """
    fields = {item.name: item for item in dataclasses.fields(config_class) if item.init}
    hints = typing.get_type_hints(config_class)
    allowed = {**CHOICES, **(choices or {})}
    clean = True
    for key, value in trainer.items():
        for message in _value_mistakes(key, value, fields, hints, allowed):
            clean = False
            yield key, message
    if clean:
        try:
            with _outside_the_launch():
                config_class(**{**given, **trainer})
        except (ValueError, TypeError, NotImplementedError, ImportError) as error:
            yield _key_in(str(error), trainer), " ".join(str(error).split())


@contextlib.contextmanager
def _outside_the_launch() -> Iterator[None]:
    """Construct a config as if nobody had launched this process.

    TRL's config classes join the launch's process group as they are made, and would wait here for ranks that wait for
    this check. What Accelerate remembers of it is forgotten again, so that the stages find the real launch.
    """
    from accelerate.state import AcceleratorState

    saved = {name: os.environ.pop(name) for name in LAUNCH_VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(saved)
        AcceleratorState._reset_state(reset_partial_state=True)


def _value_mistakes(
    key: str,
    value: object,
    fields: Mapping[str, Any],
    hints: Mapping[str, Any],
    allowed: Mapping[str, tuple[object, ...]],
) -> Iterator[str]:
    if is_secret_name(key) and not isinstance(value, (bool, float, type(None))):
        yield way_out(key)
    elif key in RESERVED:
        yield f"is not for recipes: {RESERVED[key]}"
    elif key not in fields:
        yield f"unknown key.{did_you_mean(key, [name for name in fields if name not in RESERVED])}"
    elif key == "report_to":
        yield from _tracker_mistakes(value)
    else:
        choices = _choices(key, allowed)
        if choices and not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
            names = [str(choice) for choice in choices]
            hint = did_you_mean(str(value), names, list_all_below=0)
            listed = f"one of {', '.join(names)}" if len(names) <= 12 else f"one of {len(names)} names"
            yield f"expected {listed}, found {value!r}.{hint}"
        elif not choices:
            yield from _number_mistakes(key, value, hints[key]) or _type_mistakes(value, hints[key])


def _tracker_mistakes(value: object) -> Iterator[str]:
    """Trackers that transformers does not know, or that are not installed: it would say so once the model is loaded."""
    from transformers.integrations import integration_utils

    known = integration_utils.INTEGRATION_TO_CALLBACK
    for name in value if isinstance(value, list) else [value]:
        if name in ("none", "all"):
            continue
        if not isinstance(name, str) or name not in known:
            yield f"expected one of none, {', '.join(known)}, found {name!r}.{did_you_mean(str(name), list(known))}"
        elif not getattr(integration_utils, f"is_{name}_available", lambda: True)():
            yield f"{name} is not installed: pip install '{'magistral-recipe[tracking]' if name in TRACKING else name}'"


def _choices(key: str, allowed: Mapping[str, tuple[object, ...]]) -> tuple[object, ...] | None:
    if key in ENUMS:
        from transformers import training_args

        return tuple(member.value for member in getattr(training_args, ENUMS[key]))
    return allowed.get(key)


def _number_mistakes(key: str, value: object, annotation: Any) -> list[str]:
    """What a type alone lets pass: true for 1, NaN, infinities, rates below 0."""
    if isinstance(value, bool):
        return [f"expected a number, found {str(value).lower()}"] if wants_number(annotation) else []
    if _not_finite(value):
        return [
            f"expected finite numbers, found {value!r}"
            if isinstance(value, (list, dict))
            else f"expected a finite number, found {value!r}"
        ]
    if not isinstance(value, (int, float)) or not wants_number(annotation):
        return []
    if value < 0 and key not in MAY_BE_NEGATIVE:
        return [f"must not be negative, found {value!r}"]
    if value <= 0 and key in ABOVE_ZERO:
        return [f"must be above 0, found {value!r}"]
    if value > 1 and key in AT_MOST_ONE:
        return [f"must be at most 1, found {value!r}"]
    return []


def _not_finite(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_not_finite, value.values()))
    if isinstance(value, list):
        return any(map(_not_finite, value))
    return isinstance(value, float) and not math.isfinite(value)


def _type_mistakes(value: object, annotation: Any) -> Iterator[str]:
    try:
        adapter = TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except Exception:  # noqa: BLE001 - an annotation that pydantic can't read proves nothing about the value
        return
    if isinstance(value, str) and _takes_no_text(annotation):
        yield f"expected {_readable(annotation)}, found the text {value!r}"
        return
    try:
        adapter.validate_python(value)
    except ValidationError:
        yield f"expected {_readable(annotation)}, found {value!r}"


def _takes_no_text(annotation: Any) -> bool:
    """Whether text cannot be meant: lax validation would take "5" for 5 and "yes" for true."""
    arms = set(typing.get_args(annotation)) or {annotation}
    return arms <= {int, float, bool, type(None)}


def _readable(annotation: Any) -> str:
    arms = [arm for arm in (typing.get_args(annotation) or (annotation,)) if arm is not type(None)]
    if typing.get_origin(annotation) not in (None, typing.Union, types.UnionType):
        arms = [annotation]
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text", dict: "a mapping"}
    return " or ".join(names.get(arm, str(getattr(arm, "__name__", arm)).replace("typing.", "")) for arm in arms)


def _key_in(message: str, trainer: Mapping[str, Any]) -> str | None:
    """The longest key of the section that an error message speaks of."""
    named = [key for key in trainer if key in message]
    return max(named, key=len) if named else None
