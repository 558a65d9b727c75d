"""What FSDP shares out over the cards of a launch, as its Accelerate config says: one card's part is planned.

Each rank holds its part of every weight, gradient and optimizer state; beside them a layer is whole while it is
computed, as is the next one, which is fetched meanwhile, and the embeddings with the head. Weights that are trained
are kept in float32 (Accelerate makes them so) and gathered in the config's own precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from magistral_recipe.check.launch_file import fsdp_settings, launch_kind, launch_settings
from magistral_recipe.check.memory.dry_run import ADAPTERS, GRADIENTS, WEIGHTS, DryRun
from magistral_recipe.models.precision import BYTES, Dtype

GATHERED = "gathered layers"
"""The label of what is whole on every card for a while."""
_AHEAD = 2
"""Layers that are whole at once: the one that is computed, and the one that is fetched."""
_PRECISIONS: dict[str, Dtype] = {"bf16": "bfloat16", "fp16": "float16"}
MASTER = 4
"""Bytes of a number that is trained."""


@dataclass(frozen=True)
class Sharding:
    """How a launch shares a model out.

    Attributes:
        ranks: cards that share it.
        weights: whether weights are shared out too, and not gradients and optimizer alone.
        compute: the type that weights are gathered in; ``None`` for their own.
    """

    ranks: int
    weights: bool = True
    compute: Dtype | None = None


def read_sharding(config: Path | None, processes: int) -> Sharding | None:
    """Read how an Accelerate config shares a model out.

    Args:
        config: its file.
        processes: how many the launch starts.

    Returns:
        The sharding; ``None`` where each process has a copy of its own, or the file can't be read.
    """
    settings = launch_settings(config)
    if processes < 2 or launch_kind(settings) != "FSDP":
        return None
    section = fsdp_settings(settings)
    strategy = str(
        section.get("fsdp_reshard_after_forward", section.get("fsdp_sharding_strategy", "FULL_SHARD"))
    ).upper()
    if strategy in {"NO_SHARD", "3"}:
        return None
    weights = strategy not in {"FALSE", "SHARD_GRAD_OP", "2"}
    return Sharding(processes, weights, _PRECISIONS.get(str(settings.get("mixed_precision"))))


@dataclass(frozen=True)
class Shares:
    """One card's part of what a pass at whole size takes, in bytes.

    Attributes:
        weights: its part of them.
        adapters: its part of them.
        gathered: what is whole beside it.
        gradients: its part of them.
        peak: what else is alive at the pass's highest point, by label.
    """

    weights: float
    adapters: float
    gathered: float
    gradients: float
    peak: Mapping[str, float]


def shares(run: DryRun, sharding: Sharding, stored: Dtype, full: bool) -> Shares:
    """Share a dry run's bytes out.

    Args:
        run: of a model in the type that it is gathered in.
        sharding: how.
        stored: the type that frozen weights are kept in.
        full: whether all weights are trained.

    Returns:
        One card's part.
    """
    whole = run.whole(lambda depth: depth.held[WEIGHTS])
    first, last = run.runs[0], run.runs[-1]
    grown = last.held[WEIGHTS] - first.held[WEIGHTS]
    layer = grown / (last.layers - first.layers) if grown else whole / run.layers
    ends = whole - run.layers * layer
    gathered = ends + _AHEAD * layer
    itemsize = BYTES[sharding.compute or stored]
    kept = whole / itemsize * (MASTER if full else BYTES[stored])
    if not sharding.weights:
        gathered = whole if full and itemsize != MASTER else 0.0
    gradients = run.whole(lambda depth: sum(tensor.numbers for tensor in depth.trained)) * MASTER / sharding.ranks
    phases = [
        {label: size for label, size in phase.items() if label not in (WEIGHTS, ADAPTERS, GRADIENTS)}
        | ({GRADIENTS: gradients} if phase.get(GRADIENTS) else {})
        for phase in run.phases().values()
    ]
    peak = max(phases, key=lambda parts: sum(parts.values()))
    if full:  # a layer's own gradients, before each card takes its part
        gathered += ends + layer
    held = sharding.ranks if sharding.weights else 1
    adapters = run.whole(lambda depth: depth.held[ADAPTERS])
    return Shares(kept / held, adapters / held, gathered, gradients, peak)
