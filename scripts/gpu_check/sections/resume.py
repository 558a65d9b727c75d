"""A run that goes on from a checkpoint takes no more memory than one that was never stopped."""

from __future__ import annotations

import shutil

from gpu_check import stage
from gpu_check.bench import GIB, Bench
from gpu_check.outcome import Findings
from gpu_check.sections.training import FULL


def resume(bench: Bench, found: Findings) -> None:
    """All weights, with the optimizer's states: the largest checkpoint that there is for a model."""
    section = stage.grpo(bench, max_steps=4, save_strategy="steps", save_steps=2, learning_rate=1e-5)
    given = stage.recipe(bench, "0.2b", FULL, section)
    fresh = stage.run(bench, "resume", given)
    whole = _weights(fresh)
    # What a kill after the third step leaves: the checkpoint of the second, and no model.
    for name in ("model", "checkpoints/checkpoint-4"):
        shutil.rmtree(fresh.folder / name)
    resumed = stage.run(bench, "resume", given, again=True, plan=False)
    steps = [int(record["step"]) for record in resumed.records if "grad_norm" in record]
    found.mark(steps == [1, 2, 3, 4], f"went on behind step 2 (steps in its records: {steps})")
    stage.judge_memory(bench, found, fresh)
    found.figures |= {"fresh_gib": fresh.peak.device / GIB, "resumed_gib": resumed.peak.device / GIB}
    # Allocated: what the allocator reserves beyond it hangs on the order in which the same tensors are made.
    peaks = [ran.peak.allocated if bench.gpu else ran.peak.device for ran in (resumed, fresh)]
    text = f"peak {peaks[0] / GIB:.2f} GiB resumed, {peaks[1] / GIB:.2f} fresh"
    if bench.gpu:
        found.mark(peaks[0] <= 1.02 * peaks[1] + 0.05 * GIB, text)
    else:
        found.told.append(text)
    again = _weights(resumed)
    moved = max(float((whole[name] - again[name]).abs().max()) for name in whole)
    found.figures["largest_difference_of_a_weight"] = moved
    text = f"weights differ by at most {moved:.1e}"
    if bench.gpu:  # where sums are taken in another order each time, and other tokens are drawn for it
        found.told.append(text)
    else:
        found.mark(moved == 0.0, text)
    shutil.rmtree(fresh.folder, ignore_errors=True)


def _weights(ran: stage.StageRun) -> dict:
    from safetensors.torch import load_file

    files = sorted((ran.folder / "model").glob("*.safetensors"))
    assert files
    return {name: value.float() for file in files for name, value in load_file(file).items()}
