"""The whole recipe's plan: every stage's memory, verdict and key to change, its time, the disk. As plain data too."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from magistral_recipe.check.launch_file import launch_settings
from magistral_recipe.check.memory.case import Case, largest_pass
from magistral_recipe.check.memory.devices import Device, device_here
from magistral_recipe.check.memory.dry_run import dry_run
from magistral_recipe.check.memory.hours import Hours, Speed, hours
from magistral_recipe.check.memory.lengths import ASSUMED_PROMPT, Lengths
from magistral_recipe.check.memory.moments import Moment, StageMemory, parameter_count, stage_memory
from magistral_recipe.check.memory.optimizer import known_optimizer
from magistral_recipe.check.memory.remedy import Change, find_remedy
from magistral_recipe.check.memory.sharding import read_sharding
from magistral_recipe.check.memory.storage import Item, disk, host_memory
from magistral_recipe.check.memory.verdict import Fit, Verdict, judge, worst
from magistral_recipe.errors import DataError
from magistral_recipe.machine import GIB
from magistral_recipe.models.paths import hub_id
from magistral_recipe.models.shape import ModelShape, find_shape
from magistral_recipe.recipe.sections import LoadedRecipe, Stage
from magistral_recipe.stages.evaluate import EvaluateStage
from magistral_recipe.stages.grpo import GrpoStage
from magistral_recipe.stages.training import TrainingStage, base_model_config


@dataclass(frozen=True)
class StagePlan:
    """One stage's plan.

    Attributes:
        name: the stage's.
        memory: its moments on the device; ``None`` where it takes nothing of it.
        moment: the one that fits worst.
        verdict: that moment's.
        remedy: keys to change; empty where it fits, ``None`` where none is known that suffices.
        host: what it takes of the machine's memory.
        disk: what it leaves on the disk.
        hours: how long it takes.
        hours_then: how long it would take with the keys changed; ``None`` where nothing changes, or it can't be told.
        notes: what is worth knowing.
    """

    name: str
    memory: StageMemory | None
    moment: Moment | None
    verdict: Verdict | None
    remedy: tuple[Change, ...] | None
    host: tuple[Item, ...]
    disk: tuple[Item, ...]
    hours: Hours | None
    hours_then: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RecipePlan:
    """A recipe's plan.

    Attributes:
        device: what it is made for.
        shape: where the model's shape was read.
        parameters: weights of the model.
        lengths: of the recipe's prompts and traces, as far as they were looked at.
        stages: one plan each.
        download: bytes that the hub's cache will hold.
        disk_free: bytes free on this machine's disk.
    """

    device: Device
    shape: str
    parameters: int
    lengths: Lengths
    stages: tuple[StagePlan, ...]
    download: float
    disk_free: float

    @property
    def fits(self) -> bool:
        """Whether every stage fits, be it tightly."""
        return all(stage.verdict is None or stage.verdict.fit is not Fit.DOES_NOT_FIT for stage in self.stages)

    @property
    def disk(self) -> float:
        """Bytes on the disk in all."""
        return self.download + sum(item.size for stage in self.stages for item in stage.disk)

    @property
    def hours(self) -> float | None:
        """Hours in all; ``None`` where some stage's can't be told."""
        told = [stage.hours.hours for stage in self.stages if stage.hours is not None]
        return sum(hour for hour in told if hour is not None) if None not in told else None

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain data; sizes in bytes."""
        return {
            "device": {"name": self.device.name, "total": self.device.total, "free": self.device.free},
            "model": {"parameters": self.parameters, "shape_from": self.shape},
            "prompt_tokens": {"tokens": self.lengths.prompt or ASSUMED_PROMPT, "assumed": self.lengths.prompt is None},
            "fits": self.fits,
            "disk": {"bytes": self.disk, "download": self.download, "free": self.disk_free},
            "hours": self.hours,
            "stages": [_stage_as_dict(stage, self.device) for stage in self.stages],
        }


def _stage_as_dict(stage: StagePlan, device: Device) -> dict[str, Any]:
    told: dict[str, Any] = {"name": stage.name, "fit": None, "needed": None, "spare": None, "moments": []}
    if stage.verdict is not None and stage.memory is not None:
        told |= {"fit": str(stage.verdict.fit), "needed": stage.verdict.needed, "spare": stage.verdict.spare}
        told["moments"] = [
            {
                "name": moment.name,
                "about": moment.about,
                "parts": dict(moment.parts),
                "allocated": moment.allocated,
                "needed": judge(moment, device).needed,
            }
            for moment in stage.memory.moments
        ]
    changes = [{"key": key, "value": value} for change in stage.remedy or () for key, value in change.settings.items()]
    return told | {
        "change": None if stage.remedy is None else changes,
        "hours_then": stage.hours_then,
        "host_memory": [{"what": item.what, "bytes": item.size} for item in stage.host],
        "disk": [{"what": item.what, "bytes": item.size} for item in stage.disk],
        "hours": None if stage.hours is None else {"hours": stage.hours.hours, "from": stage.hours.how},
        "notes": list(stage.notes),
    }


def plan_recipe(
    loaded: LoadedRecipe,
    device: Device | None = None,
    lengths: Lengths | None = None,
    *,
    shape: ModelShape | None = None,
    probe: bool = False,
) -> RecipePlan | None:
    """Plan a recipe before a model is loaded.

    Args:
        loaded: the recipe.
        device: where it would run; by default what is at hand.
        lengths: of its prompts and traces, where known.
        shape: the model's, where it is found already.
        probe: time a few passes and steps on the machine at hand, where that is the device.

    Returns:
        The plan; ``None`` where the model's shape can't be known without loading it.
    """
    recipe = loaded.recipe
    model = base_model_config(recipe, loaded.folder)
    found = shape or find_shape(model)
    if found is None:
        return None
    device, lengths = device or device_here(), lengths or Lengths()
    parameters = parameter_count(found.config)
    stages = []
    for stage in recipe.stages:
        case = case_of(loaded, stage, found, device, lengths)
        stages.append(_plan_stage(case, loaded, parameters, probe and device.at_hand))
    download = 2.0 * parameters if hub_id(model.path) else 0.0
    free = shutil.disk_usage(Path.cwd()).free
    return RecipePlan(device, found.origin, parameters, lengths, tuple(stages), download, free)


def case_of(
    loaded: LoadedRecipe, stage: Stage, shape: ModelShape, device: Device, lengths: Lengths | None = None
) -> Case:
    """A recipe's stage on a device.

    Args:
        loaded: the recipe.
        stage: of the recipe.
        shape: the model's.
        device: where it would run.
        lengths: of prompts and traces, where known.
    """
    recipe, model = loaded.recipe, base_model_config(loaded.recipe, loaded.folder)
    launch = recipe.started_as(stage)
    config = None if launch.config_file is None else loaded.folder / launch.config_file
    sharding = read_sharding(config, launch.num_processes)
    told = launch_settings(config).get("num_machines", 1)
    machines = told if isinstance(told, int) and told > 0 else 1
    lengths = lengths or Lengths()
    return Case(stage, model, recipe, shape.config, device, lengths, launch.num_processes, sharding, machines)


def _plan_stage(case: Case, loaded: LoadedRecipe, parameters: int, probe: bool) -> StagePlan:
    drawn = drawn_of(case.stage, loaded)
    memory = stage_memory(case, drawn)
    host, left = host_memory(case, memory, parameters), disk(case, memory, parameters)
    if memory is None:
        return StagePlan(case.stage.name, None, None, None, (), host, left, None, None, ())
    moment, verdict = worst(memory.moments, case.device)
    remedy: tuple[Change, ...] | None = () if verdict.fit is Fit.FITS else find_remedy(case, drawn)
    speed = _probed(case, drawn) if probe and verdict.fit is not Fit.DOES_NOT_FIT else None
    time = hours(case, memory, drawn, speed)
    then = _hours_then(case, drawn, remedy) if remedy and speed is None else None
    return StagePlan(case.stage.name, memory, moment, verdict, remedy, host, left, time, then, tuple(_notes(case)))


def _hours_then(case: Case, drawn: dict[str, Any], changes: tuple[Change, ...]) -> float | None:
    for change in changes:
        case = change.apply(case)
    memory = stage_memory(case, drawn)
    assert memory is not None
    return hours(case, memory, drawn, None).hours


def _probed(case: Case, drawn: dict[str, Any]) -> Speed | None:
    from magistral_recipe.check.memory import probe

    return probe.probe(case, drawn)


def drawn_of(stage: Stage, loaded: LoadedRecipe) -> dict[str, Any]:
    """What a stage that evaluates or samples draws, a benchmark's own sampling included; nothing of other stages."""
    if not isinstance(stage, EvaluateStage):
        return dict(stage.draws.sampling) if stage.draws is not None else {}
    try:
        return stage.drawn(loaded.recipe.source_of(stage.problems), loaded.folder)
    except DataError:  # a benchmark in a file that isn't there: `check` has said so
        return stage.model_dump()


def _notes(case: Case) -> Iterator[str]:
    if not isinstance(case.stage, TrainingStage):
        return
    values = case.arguments
    name = str(values.get("optim"))
    if not known_optimizer(name):
        yield f"the states of optim: {name} are not known here and counted as AdamW's"
    if case.model.quantization == "int8":
        yield "int8 layers keep their inputs for the whole pass, which recomputing can't avoid: nf4 takes less"
    if case.sharding is not None:
        what = "weights, gradients and optimizer" if case.sharding.weights else "gradients and optimizer"
        yield f"FSDP shares {what} out over {case.sharding.ranks} cards; the plan is for one of them, not measured"
    elif case.processes > 1:
        yield f"each of {case.processes} cards holds the whole model; the plan is for one of them"
    yield from _mask_note(case)
    if isinstance(case.stage, GrpoStage) and values.get("use_vllm") and values.get("vllm_mode") == "server":
        yield "vLLM's server has a card of its own, which is not in the plan"
    if isinstance(case.stage, GrpoStage) and values.get("vllm_enable_sleep_mode"):
        yield "what vLLM keeps while it sleeps (its CUDA graphs) is not counted"


def _mask_note(case: Case) -> Iterator[str]:
    """Say what it costs that attention without a fused kernel for packed or padded rows is given a mask."""
    spec = largest_pass(case)
    if not spec.dense_mask:
        return
    with_mask, without = (
        sum(dry_run(case.trained(), each).peak().values()) for each in (spec, replace(spec, dense_mask=False))
    )
    rows = "packed rows" if case.arguments.get("packing") else "padded rows"
    yield (
        f"{rows} without FlashAttention take a dense mask of {spec.width:,} × {spec.width:,}: "
        f"{(with_mask - without) / GIB:.2f} GiB more, and attention computes what it masks; "
        "`model.attn_implementation: flash_attention_2` needs none"
    )
