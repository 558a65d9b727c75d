"""One stage of a recipe at work in this process, by the command line's own code, with its estimate and its peak."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_check.bench import GIB, Bench, Peak
from gpu_check.made import PROMPT, model_folder, problem_file, trace_file
from gpu_check.outcome import Findings


@dataclass(frozen=True)
class StageRun:
    """A stage that ran to its end.

    Attributes:
        folder: the stage's own.
        records: what it logged, step by step.
        notes: what it told a person.
        peak: the most memory held.
        estimated: bytes that the plan counts for its worst moment; ``None`` where it makes none.
        needed: the same with what is reserved and the context.
    """

    folder: Path
    records: list[dict[str, Any]]
    notes: list[str]
    peak: Peak
    estimated: float | None
    needed: float | None


def recipe(bench: Bench, shape: str, model: Mapping[str, Any], stage: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe of one stage on a model of random weights.

    Args:
        bench: where it will run.
        shape: of `made.SHAPES`.
        model: the model section without its path.
        stage: the stage, as in a recipe.
    """
    return {
        "name": "gpu-check",
        "seed": 1,
        "model": {"path": str(model_folder(bench, shape)), **model},
        "thinking": {"open": "<think>", "close": "</think>", "system_prompt": "none"},
        "problems": {"train": {"path": str(problem_file(bench)), "kind": "math", "language": "en"}},
        "stages": [dict(stage)],
    }


def sft(bench: Bench, **trainer: Any) -> dict[str, Any]:
    """An SFT stage whose passes are as large as its settings say."""
    settings = {
        "max_steps": 3,
        "packing": True,
        "max_length": 256 if bench.tiny else 4096,
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-4,
        "logging_steps": 1,
        "save_strategy": "no",
    }
    return {"sft": {"traces": {"path": str(trace_file(bench))}, "trainer": {**settings, **trainer}}}


def grpo(bench: Bench, rollouts: Mapping[str, Any] | None = None, **trainer: Any) -> dict[str, Any]:
    """An RL stage: 128 completions of 192 tokens (a random model rarely ends one), passes of 8,192 tokens."""
    settings = {
        "max_steps": 2,
        "prompts_per_batch": 4 if bench.tiny else 16,
        "num_generations": 4 if bench.tiny else 8,
        "max_completion_length": 12 if bench.tiny else 192,
        "max_tokens_per_microbatch": 256 if bench.tiny else 8192,
        "learning_rate": 1e-4,
        "keep_uninformative_groups": True,
        "save_strategy": "no",
    }
    section: dict[str, Any] = {"problems": "train", "rewards": ["gpu_check.made:varied"]}
    if rollouts is not None:
        section["rollouts"] = dict(rollouts)
    return {"grpo": {**section, "trainer": {**settings, **trainer}}}


def run(bench: Bench, name: str, given: Mapping[str, Any], *, again: bool = False, plan: bool = True) -> StageRun:
    """Run a recipe's only stage.

    Args:
        bench: where.
        name: of the folder.
        given: from `recipe`.
        again: go on with what lies there.
        plan: estimate its memory, too.

    Returns:
        What came of it.
    """
    from magistral_recipe import layout
    from magistral_recipe.chain.run_folder import places_of
    from magistral_recipe.chain.stage_process import run_stage
    from magistral_recipe.jsonlines import read_lines

    folder = bench.out / "runs" / name
    if not again:
        shutil.rmtree(folder, ignore_errors=True)
    loaded = load(bench, name, given)
    stage_folder = places_of(loaded.recipe, folder)[0].folder
    stage_folder.mkdir(exist_ok=True)
    events: list[Mapping[str, Any]] = []
    estimated, needed = _estimate(bench, name, given) if plan else (None, None)
    with bench.peak() as peak:
        run_stage(loaded, folder, 0, events.append)
    records = [record for _, record in read_lines(stage_folder / layout.METRICS)]
    notes = [event["text"] for event in events if event["type"] in ("note", "warning")]
    return StageRun(stage_folder, records, notes, peak, estimated, needed)


def load(bench: Bench, name: str, given: Mapping[str, Any], *overrides: str) -> Any:
    """Write a recipe to its run's folder, and load it as the public command does.

    Args:
        bench: where.
        name: of the folder.
        given: from `recipe`.
        overrides: `key.path=value`.

    Returns:
        The loaded recipe.

    Raises:
        RecipeError: if there is a mistake in it.
    """
    from magistral_recipe.check.recipe_file import load_recipe

    folder = bench.out / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(json.dumps(given), "utf-8")  # JSON is YAML
    return load_recipe(folder / "recipe.yaml", list(overrides))


def _estimate(bench: Bench, name: str, given: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """What `check` says of the stage on a card of the cap: bytes allocated and needed at its worst moments.

    vLLM's share is one of the whole card, and was made small to stay below the cap: of the pretended card it is larger.
    """
    from magistral_recipe.check.memory.devices import device_here, find_device
    from magistral_recipe.check.memory.lengths import Lengths
    from magistral_recipe.check.memory.plan import plan_recipe
    from magistral_recipe.check.memory.verdict import judge

    ((kind, section),) = given["stages"][0].items()
    share = section["trainer"].get("vllm_gpu_memory_utilization")
    of_cap = [f"{kind}.trainer.vllm_gpu_memory_utilization={share / bench.cap_share:.4f}"] if share else []
    loaded = load(bench, name, given, *of_cap)
    device = find_device(f"{bench.cap / GIB:g}GiB") if bench.gpu else device_here()
    plan = plan_recipe(loaded, device, Lengths(prompt=PROMPT, row=2048))
    memory = plan.stages[0].memory if plan is not None else None
    if memory is None:
        return None, None
    verdicts = [judge(moment, device).needed for moment in memory.moments]
    return max(moment.allocated for moment in memory.moments), max(verdicts)


def judge_memory(bench: Bench, found: Findings, ran: StageRun, *, by_allocator: bool = True) -> None:
    """Mark a stage's memory: within the cap, and not above what `check` foretells; on a GPU alone.

    Args:
        bench: where it ran.
        found: takes figures and marks.
        ran: the stage.
        by_allocator: mark what PyTorch's allocator handed out, too; of vLLM's pool it knows some of it or nothing.
    """
    found.figures["peak_gib"] = ran.peak.device / GIB
    if not bench.gpu:
        return
    found.figures |= {"allocated_gib": ran.peak.allocated / GIB, "left_gib": ran.peak.left / GIB}
    found.mark(ran.peak.device <= bench.cap, f"the device held {ran.peak.device / GIB:.2f} GiB")
    if ran.estimated is None or ran.needed is None:
        found.mark(False, "check has no plan for it")
        return
    found.figures |= {"estimate_gib": ran.needed / GIB, "estimated_allocated_gib": ran.estimated / GIB}
    text = f"allocated {ran.peak.allocated / GIB:.2f} GiB of {ran.estimated / GIB:.2f} estimated"
    if by_allocator:
        found.mark(ran.peak.allocated <= 1.1 * ran.estimated, text)
    own = ran.peak.device - ran.peak.left
    found.mark(own <= 1.1 * ran.needed, f"{ran.needed / GIB:.2f} GiB foretold for the device")
