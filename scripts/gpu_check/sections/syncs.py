"""Twenty hand-overs of a moving adapter's merged weights: the base stays bit for bit what it was."""

from __future__ import annotations

from typing import Any

from gpu_check.bench import Bench
from gpu_check.made import model_folder
from gpu_check.outcome import Findings
from gpu_check.rounding import beyond_rounding
from magistral_recipe.training.handing_over import merged_weights

SYNCS = 20


def twenty_syncs(bench: Bench, found: Findings) -> None:
    """This project's merged sync, and beside it PEFT's merge in place, as stock TRL does it."""
    import torch

    model = _adapted(bench)
    base = {name: value for name, value in model.named_parameters() if "lora_" not in name}
    before = {name: value.detach().clone() for name, value in base.items()}
    noise = torch.Generator(bench.device).manual_seed(1)
    with bench.peak() as peak:
        for _ in range(SYNCS):
            _move(model, noise)
            count = sum(1 for _ in merged_weights(model))
    same = all(torch.equal(value, before[name]) for name, value in base.items())
    found.mark(same and count > 0, f"after {SYNCS} syncs the base is {'bit-equal' if same else 'CHANGED'}")
    off = _off(model, dict(merged_weights(model)))
    found.mark(off == 0.0, f"what is handed over is base + adapter (beyond rounding in {off:.2%} of the weights)")
    for _ in range(SYNCS):
        _move(model, noise)
        model.merge_adapter()
        model.unmerge_adapter()
    changed = sum(int((value != before[name]).sum()) for name, value in base.items())
    share = changed / sum(value.numel() for value in base.values())
    found.figures |= {"changed_by_merging_in_place": share, "peak_gib": peak.device / 2**30}
    found.told.append(f"merging in place would have changed {share:.0%} of them")


def _adapted(bench: Bench) -> Any:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(model_folder(bench, "0.2b"), dtype="bfloat16").to(bench.device)
    return get_peft_model(plain, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))


def _move(model: Any, noise: Any) -> None:
    import torch

    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_" in name:
                step = torch.randn(value.shape, generator=noise, device=value.device)
                value.add_((0.002 * step).to(value.dtype))


def _off(model: Any, handed: dict[str, Any]) -> float:
    """Share of the adapted weights further from W + s·B·A, taken in float64, than rounding to their type is."""
    from peft.tuners.lora import LoraLayer

    wrong = total = 0
    for name, layer in model.get_base_model().named_modules():
        if not isinstance(layer, LoraLayer):
            continue
        down, up = (side["default"].weight.detach().double() for side in (layer.lora_A, layer.lora_B))
        exact = layer.get_base_layer().weight.detach().double() + layer.scaling["default"] * (up @ down)
        wrong += beyond_rounding(handed[f"{name}.weight"], exact)
        total += exact.numel()
    return wrong / total
