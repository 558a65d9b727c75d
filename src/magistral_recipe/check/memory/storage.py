"""What a stage needs beside the device: the machine's memory for loading and handing over, and disk."""

from __future__ import annotations

from dataclasses import dataclass

from magistral_recipe.check.memory.case import Case, longest_completion
from magistral_recipe.check.memory.engine import engine_asleep
from magistral_recipe.check.memory.moments import StageMemory, largest_weight
from magistral_recipe.models.merge import merge_ram
from magistral_recipe.models.precision import BYTES
from magistral_recipe.stages.export import ExportStage
from magistral_recipe.stages.grpo import GrpoStage
from magistral_recipe.stages.training import TrainingStage

_HUB_FILE = 5e9
"""Bytes of a file of weights as the hub has them, at most."""
_CHARACTERS = 4
"""Bytes of text a token, about what English and mathematics take."""


@dataclass(frozen=True)
class Item:
    """Something that takes memory or disk.

    Attributes:
        what: in words.
        size: in bytes.
    """

    what: str
    size: float


def host_memory(case: Case, memory: StageMemory | None, parameters: float) -> tuple[Item, ...]:
    """What a stage takes of the machine's own memory beside what every process takes; on a GPU, its moments are there.

    Args:
        case: the stage.
        memory: its moments on the device.
        parameters: weights of the model.

    Returns:
        The moments of loading and handing over, and what lasts; not their sum.
    """
    whole = parameters * BYTES[case.model.dtype]
    if isinstance(case.stage, ExportStage):
        return (Item("the exported model, on the CPU", parameters * BYTES[case.stage.dtype or case.model.dtype]),)
    quantized = case.model.quantization != "none"
    copies = 1 if case.sharding is not None else case.here  # shared out, the first process alone reads the weights
    each = f" in {copies} processes" if copies > 1 else ""
    loading = 2 * min(whole, _HUB_FILE) if quantized else whole
    items = [Item(f"loading, a file at a time{each}" if quantized else f"loading{each}", copies * loading)]
    if isinstance(case.stage, TrainingStage):
        lora = case.model.lora
        if asleep := engine_asleep(case):
            items.append(Item("vLLM's weights while it sleeps", case.here * asleep))
        if memory is not None and memory.optimizer is not None and memory.optimizer.host:
            items.append(Item("the paged optimizer", case.here * memory.optimizer.host))
        if lora is not None and lora.handover == "carry":
            items.append(Item("hand-over: the adapter alone", memory.trained if memory else 0.0))
        elif lora is not None and quantized:
            ram = merge_ram(largest_weight(case.shape), int(parameters), case.model.dtype)
            items.append(Item("hand-over: merged on the CPU a weight at a time, nothing on the GPU", ram))
        else:
            items.append(Item("hand-over: the model as it is written", whole))
    return tuple(items)


def disk(case: Case, memory: StageMemory | None, parameters: float) -> tuple[Item, ...]:
    """What a stage leaves on the disk, at most.

    Args:
        case: the stage.
        memory: its moments.
        parameters: weights of the model.

    Returns:
        One item a kind of file.
    """
    if isinstance(case.stage, ExportStage):
        return (Item("exported model", parameters * BYTES[case.stage.dtype or case.model.dtype]),)
    if not isinstance(case.stage, TrainingStage) or memory is None or memory.optimizer is None:
        return ()
    lora, values = case.model.lora, case.arguments
    whole = parameters * BYTES[case.model.dtype]
    learned = whole if lora is None else memory.trained
    items = []
    if str(getattr(values.get("save_strategy"), "value", values.get("save_strategy"))) != "no":
        kept = _checkpoints(case)
        states = 0.0 if values.get("save_only_model") else memory.optimizer.gpu + memory.optimizer.host
        items.append(Item(f"{kept} checkpoint{'s' if kept > 1 else ''}", kept * (learned + states)))
    if case.stage.evaluate is not None:
        items.append(Item("best weights", learned))
    carried = lora is not None and lora.handover == "carry"
    items.append(Item("adapter" if carried else "model", memory.trained if carried else whole))
    if isinstance(case.stage, GrpoStage):
        items.append(Item("rollouts, at most", _rollouts(case)))
    return tuple(items)


def _checkpoints(case: Case) -> int:
    """How many checkpoints there are at most: the newest is written before the oldest goes."""
    values = case.arguments
    limit, steps, every = values.get("save_total_limit"), values.get("max_steps"), values.get("save_steps")
    written = -(-int(steps) // int(every)) if steps and steps > 0 and every and every >= 1 else None
    kept = None if limit is None else int(limit) + 1
    return max(min(number for number in (kept, written) if number is not None), 1) if (kept or written) else 1


def _rollouts(case: Case) -> float:
    """Written completions, were each as long as it may be."""
    values = case.arguments
    every = int(values["rollouts_every"])
    steps = int(values.get("max_steps") or 0)
    if every <= 0 or steps <= 0:
        return 0.0
    rows = int(values["rollouts_groups"]) * int(values["num_generations"])
    return -(-steps // every) * rows * (case.prompt + longest_completion(case)) * _CHARACTERS
