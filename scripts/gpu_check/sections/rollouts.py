"""Rollouts by every backend that the package has: tokens a second, memory, and how far sampler and trainer differ."""

from __future__ import annotations

import math
import typing

from gpu_check import stage
from gpu_check.bench import GIB, Bench
from gpu_check.outcome import Findings
from gpu_check.sections.training import LORA
from magistral_recipe.training.checks import GAP_LIMIT


def backends(bench: Bench, found: Findings) -> None:
    """Each in turn on the same model; vLLM has sections of its own."""
    from magistral_recipe.stages.grpo import RolloutsConfig

    every = typing.get_args(RolloutsConfig.model_fields["backend"].annotation)
    names = [name for name in every if name not in ("auto", "vllm")]  # `auto` is one of the others
    found.figures["backends"] = {}
    peaks = []
    for name in names:
        # Two batches: the first warms up, and captures what the backend captures.
        section = stage.grpo(bench, {"backend": name}, max_steps=4)
        try:
            ran = stage.run(bench, f"rollouts-{name}", stage.recipe(bench, "0.6b", LORA, section), plan=False)
        except Exception as error:  # noqa: BLE001 - the others are looked at all the same
            found.mark(False, f"{name}: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}")
            continue
        steps = [record for record in ran.records if "grad_norm" in record]
        speed = next((r["tokens_per_second/generated"] for r in reversed(steps) if _generated(r)), math.nan)
        gaps = [record["sampling/gap"] for record in steps if "sampling/gap" in record]
        peaks.append(ran.peak.device / GIB)
        found.figures["backends"][name] = {"tokens_per_second": speed, "gaps": gaps, "peak_gib": peaks[-1]}
        text = f"{name}: {speed:,.0f} tokens a second, {peaks[-1]:.1f} GiB"
        told = f"gap {max(gaps):.4f} nats" if gaps else "gap not measured"  # each is to record what it draws by
        found.mark(speed > 0 and bool(gaps) and max(gaps) <= GAP_LIMIT, f"{text}, {told}")
    found.figures["peak_gib"] = max(peaks, default=None)


def _generated(record: dict) -> bool:
    return record.get("tokens_per_second/generated", 0) > 0
