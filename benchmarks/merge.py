"""What merging an adapter into quantized weights takes: seconds, RAM, GPU memory, beside what is said beforehand.

A model of random weights in the shape of Qwen3-1.7B (or wider, deeper) is written as bfloat16, loaded in 4 or 8 bits,
given an adapter of rank 64 on every layer, and saved merged by `models.merge.save_merged`.

    python benchmarks/merge.py                                                   # Qwen3-1.7B, nf4
    python benchmarks/merge.py --hidden 4096 --intermediate 12288 --layers 36    # Qwen3-8B
"""

from __future__ import annotations

import argparse
import ctypes
import tempfile
import time
from pathlib import Path

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from magistral_recipe.machine import GIB
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import load_model
from magistral_recipe.models.merge import merge_ram, save_merged

STATUS = Path("/proc/self/status")


def memory(key: str) -> int:
    """A figure of this process, in bytes: `VmRSS` now, `VmHWM` at its peak."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def write_base(folder: Path, shape: Qwen3Config) -> tuple[int, int]:
    """Write random weights; returns how many numbers the largest weight and all of them hold."""
    with torch.device("meta"):
        model = Qwen3ForCausalLM(shape).to(torch.bfloat16)
    model = model.to_empty(device="cpu")
    model.tie_weights()
    for weight in model.parameters():
        weight.data.normal_(0, 0.02)
    model.save_pretrained(folder, max_shard_size="2GB")
    sizes = [weight.numel() for weight in model.parameters()]
    return max(sizes), sum(sizes)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=2048)
    parser.add_argument("--intermediate", type=int, default=6144)
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--quantization", choices=("nf4", "int8"), default="nf4")
    given = parser.parse_args()
    shape = Qwen3Config(
        vocab_size=151_936, hidden_size=given.hidden, intermediate_size=given.intermediate, head_dim=128,
        num_hidden_layers=given.layers, num_attention_heads=given.heads, num_key_value_heads=8,
        tie_word_embeddings=True,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / "base"
        largest, total = write_base(base, shape)
        config = ModelConfig(path=str(base), dtype="bfloat16", quantization=given.quantization, lora=LoraSettings(r=64))
        model = load_model(config, trainable=True)
        ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back to the system
        Path("/proc/self/clear_refs").write_text("5")  # the peak is measured anew
        start = memory("VmRSS")
        on_gpu = torch.cuda.memory_allocated() if torch.cuda.is_available() else 0
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        save_merged(model, Path(scratch) / "merged")
        seconds = time.perf_counter() - began
        told = merge_ram(largest, total, "bfloat16")
        print(f"{total / 1e9:.2f}B weights, {given.quantization}, rank 64: {seconds:.0f} s on {model.device}")
        print(f"RAM above the model: {(memory('VmHWM') - start) / GIB:.2f} GiB; told: at most {told / GIB:.2f} GiB")
        if on_gpu:
            print(f"GPU memory above it: {(torch.cuda.max_memory_allocated() - on_gpu) / GIB:.2f} GiB")


if __name__ == "__main__":
    main()
