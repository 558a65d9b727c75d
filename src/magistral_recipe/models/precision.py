"""In what precision weights are kept, computed with and trained: all rules of it stand here. Light to import.

| weights (`model.dtype`)            | what is trained                | GPU with bfloat16  | other GPU, CPU |
| ---------------------------------- | ------------------------------ | ------------------ | -------------- |
| float32                            | all weights, kept in float32   | bfloat16 autocast  | float32        |
| bfloat16, float16                  | all weights                    | refused            | refused        |
| float32, bfloat16, float16, `lora` | adapters, in float32           | bfloat16 autocast  | as they are    |
| quantized, `lora`                  | adapters, in bfloat16 (by TRL) | bfloat16 autocast  | as they are    |

Under autocast matrix products are computed in bfloat16, whatever the weights' own type; the optimizer adds its
updates to weights that keep theirs. A recipe's own `trainer: {bf16: …}` or `{fp16: …}` wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from magistral_recipe.machine import computes_bfloat16

Dtype = Literal["float32", "bfloat16", "float16"]
"""Types that weights can have."""

BYTES: dict[Dtype, float] = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
"""Bytes a number takes."""

_WAYS_OUT = (
    "set dtype: float32 (a GPU with bfloat16 computes in it all the same), or keep these weights as they are and train "
    "adapters: add `lora:`"
)


def autocast_arguments(trainer: Mapping[str, Any]) -> dict[str, bool]:
    """Say whether a trainer computes under bfloat16 autocast.

    Without a GPU autocast only costs time. A GPU without bfloat16 trains in the weights' own type: float16 autocast
    would need a loss scale, which skips steps and can't unscale adapters that TRL has cast to bfloat16.

    Args:
        trainer: a stage's `trainer:` section; where it asks for `fp16`, autocast is its own business.

    Returns:
        The trainer's argument `bf16`.
    """
    return {"bf16": computes_bfloat16() and not trainer.get("fp16")}


def full_training_mistake(dtype: Dtype) -> str | None:
    """Say why weights of a type can't all be trained.

    bfloat16 has 8 significant bits: to a weight w it can add nothing smaller than about 2^-8·|w|. An optimizer's
    update is about as large as the learning rate, in RL 1e-6, beside weights of 1e-2: training would run and change
    nothing. float16 rounds less, but its gradients are 0 below 6e-8, and torch's GradScaler, which is there to
    prevent that, does not unscale gradients of float16 weights.

    Args:
        dtype: of the weights.

    Returns:
        The mistake and the ways out of it; ``None`` for float32.
    """
    if dtype == "bfloat16":
        return (
            "bfloat16 weights can't all be trained: an update below 2^-8 of a weight is rounded away, and at RL's "
            f"learning rates that is nearly every one; {_WAYS_OUT}"
        )
    if dtype == "float16":
        return (
            "float16 weights can't all be trained: their small gradients and updates are rounded away, and gradients "
            f"that are float16 themselves can't be scaled against it; {_WAYS_OUT}"
        )
    return None


def adapter_dtype(quantized: bool) -> Dtype:
    """The type of adapters' weights: PEFT's float32, which TRL casts to bfloat16 on quantized weights."""
    return "bfloat16" if quantized else "float32"
