"""What a stage leaves of a QLoRA model: the 4-bit weights as numbers, the adapter added, as transformers loads it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from gpu_check import stage
from gpu_check.bench import Bench, need
from gpu_check.made import model_folder
from gpu_check.outcome import Findings
from gpu_check.rounding import beyond_rounding
from gpu_check.sections.training import QLORA

LIMIT = 0.5
"""Nats by which quantizing the sum again may move a token's log-probability."""


def quantized(bench: Bench, found: Findings) -> None:
    """SFT of a few steps at a high rate, then every adapted weight against its definition."""
    need("bitsandbytes")
    merged = {**QLORA, "lora": {**QLORA["lora"], "handover": "merge"}}
    given = stage.recipe(bench, "0.6b", merged, stage.sft(bench, learning_rate=1e-3, max_steps=4))
    ran = stage.run(bench, "handover", given)
    stage.judge_memory(bench, found, ran)
    off, moved, count = _against_definition(bench, ran.folder, model_folder(bench, "0.6b"))
    found.figures |= {"share_off": off, "weights_moved": moved, "notes": ran.notes}
    text = f"{count} merged weights are dequantize(W) + s·B·A (beyond rounding in {off:.2%}), {moved:.0%} moved by it"
    found.mark(count > 0 and off == 0.0 and moved > 0.01, text)
    gaps = [note for note in ran.notes if "merging changed" in note]
    nats = [float(note.partition("up to ")[2].split()[0]) for note in gaps]
    found.mark(len(nats) == 1 and nats[0] <= LIMIT, f"quantized again: up to {nats[0] if nats else 'unknown'} nats")
    found.mark(_loads(ran.folder / "model", bench), "plain transformers loads it, with finite logits")
    shutil.rmtree(ran.folder, ignore_errors=True)


def _against_definition(bench: Bench, folder: Path, base: Path) -> tuple[float, float, int]:
    """Share of merged weights that are off, share that the adapter has moved, and how many layers there were."""
    from bitsandbytes import functional
    from safetensors.torch import load_file

    plain = _tensors(base)
    merged = _tensors(folder / "model")
    adapter = load_file(next(folder.rglob("adapter_model.safetensors")))
    config = json.loads(next(folder.rglob("adapter_config.json")).read_text())
    scale = config["lora_alpha"] / config["r"]
    wrong = moved = total = count = 0
    for key in (name for name in adapter if name.endswith("lora_A.weight")):
        name = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        down, up = adapter[key], adapter[key.replace("lora_A", "lora_B")]
        weight = plain[f"{name}.weight"].to(bench.device)
        packed, state = functional.quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
        numbers = functional.dequantize_4bit(packed, state).double()
        exact = numbers + scale * (up.to(bench.device).double() @ down.to(bench.device).double())
        given = merged[f"{name}.weight"].to(bench.device).double()
        wrong += beyond_rounding(given, exact)
        moved += int((given != numbers).sum())
        total += exact.numel()
        count += 1
    return wrong / max(total, 1), moved / max(total, 1), count


def _tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {name: value for file in sorted(folder.glob("*.safetensors")) for name, value in load_file(file).items()}


def _loads(folder: Path, bench: Bench) -> bool:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype="bfloat16").to(bench.device)
    with torch.no_grad():
        logits = model(input_ids=torch.arange(3, 35, device=bench.device)[None]).logits
    return bool(torch.isfinite(logits).all())
