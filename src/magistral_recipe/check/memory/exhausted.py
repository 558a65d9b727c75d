"""What to say when a device's memory has run out: what was done, the plan's largest part then, and the key to lower."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any

from magistral_recipe.check.memory.case import Case
from magistral_recipe.check.memory.devices import Device, device_here
from magistral_recipe.check.memory.dry_run import WEIGHTS
from magistral_recipe.check.memory.moments import EVALUATION, ROLLOUTS, TRAINING, Moment, stage_memory
from magistral_recipe.check.memory.plan import case_of, drawn_of
from magistral_recipe.check.memory.remedy import Change, lower
from magistral_recipe.check.memory.verdict import worst
from magistral_recipe.errors import DataError
from magistral_recipe.machine import GIB
from magistral_recipe.models.shape import find_shape
from magistral_recipe.recipe.sections import LoadedRecipe, keys_of
from magistral_recipe.stages.training import base_model_config

_SIGNS = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "can't allocate memory", "not enough memory")
"""How torch, bitsandbytes, vLLM and CUDA's libraries say it where it is no `torch.OutOfMemoryError`."""
_LOADING = "loading"
_WORDS = {
    TRAINING: "training",
    ROLLOUTS: "generating rollouts",
    EVALUATION: "evaluating",
    _LOADING: "the model was loaded",
}
_LOOK = "`magistral-recipe check` shows what each stage takes"
_GOES_ON = "it goes on from the last whole checkpoint"
_ANEW = "with that the stage begins anew"


def is_exhaustion(error: BaseException) -> bool:
    """Whether an error is a device's memory that has run out."""
    import torch

    return any(
        isinstance(cause, torch.OutOfMemoryError)
        or (isinstance(cause, RuntimeError) and any(sign in str(cause) for sign in _SIGNS))
        for cause in _causes(error)
    )


def exhaustion(error: BaseException, loaded: LoadedRecipe, index: int) -> str:
    """Say in one line what ran out of memory, what was largest there, and which key to lower.

    Args:
        error: what was raised.
        loaded: the recipe.
        index: the stage's place in the chain, from 0.

    Returns:
        The line, with how the run goes on.
    """
    doing = _doing(error)
    first = str(next(_causes(error))).strip().partition("\n")[0].partition(". ")[0]
    told = f"out of memory while {_WORDS[doing]} ({first[:120]})"
    stage = loaded.recipe.stages[index]
    try:
        shape = find_shape(base_model_config(loaded.recipe, loaded.folder))
        if shape is None:
            return f"{told}; {_LOOK}"
        case, drawn = case_of(loaded, stage, shape, _ours(device_here())), drawn_of(stage, loaded)
        moment = _moment(case, drawn, doing)
        if moment is None:
            return f"{told}; {_LOOK}"
        change = lower(case, moment, drawn, "model." if doing == _LOADING else "")
    except (DataError, OSError, ValueError, RuntimeError):  # what failed matters more than its plan
        return f"{told}; {_LOOK}"
    part, size = max(moment.parts.items(), key=lambda item: item[1])
    if doing == _LOADING:
        told += f"; its weights alone are planned with {_size(moment.parts.get(WEIGHTS, 0.0))}"
    else:
        told += f"; the plan's largest part there is {part}, {_size(size)} of {_size(moment.allocated + moment.share)}"
    if change is None:
        return f"{told}; no key tried here makes it less: a smaller model or a larger card"
    return f"{told}; set {change}, and run again: {_GOES_ON if _only_costs(change, case) else _ANEW}"


def _ours(device: Device) -> Device:
    """The device with what this process holds of it given back."""
    if not device.gpu:
        return device
    import torch

    return replace(device, free=device.free + torch.cuda.memory_reserved())


def _moment(case: Case, drawn: Mapping[str, Any], doing: str) -> Moment | None:
    memory = stage_memory(case, drawn)
    moments = memory.moments if memory is not None else ()
    alike = [moment for moment in moments if moment.name == doing or doing == _LOADING]
    return alike[0] if alike else worst(tuple(moments), case.device)[0] if moments else None


def _only_costs(change: Change, case: Case) -> bool:
    """Whether a stage goes on where it stopped with the change made."""
    changed = change.apply(case)
    return changed.model == case.model and changed.stage.as_begun(keys_of(case.stage)) == case.stage


def _size(size: float) -> str:
    return f"{size / GIB:.2f} GiB" if size >= GIB / 10 else f"{size / 2**20:.0f} MiB"


def _doing(error: BaseException) -> str:
    """What was done as it was raised, by the modules on the way there."""
    modules = [module for cause in _causes(error) for module in _modules(cause.__traceback__)]
    if any(module.startswith(("transformers.generation", "vllm", "magistral_recipe.generation")) for module in modules):
        evaluating = any(module.startswith("magistral_recipe.evaluation") for module in modules)
        return EVALUATION if evaluating else ROLLOUTS
    if any(module.startswith("transformers.trainer") for module in modules):
        return TRAINING
    return _LOADING


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _modules(trace: TracebackType | None) -> Iterator[str]:
    while trace is not None:
        yield str(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
