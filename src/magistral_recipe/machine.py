"""The machine at hand: processes, devices, versions."""

from __future__ import annotations

import functools
import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


def best_device() -> str:
    """This process's GPU, else the CPU."""
    import torch

    if torch.cuda.is_available():
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@dataclass(frozen=True)
class World:
    """The processes this one belongs to, read from the environment.

    Attributes:
        rank: this process's number.
        size: how many there are.
        launched: whether a launcher (Accelerate's, torchrun) started this process.
    """

    rank: int
    size: int
    launched: bool

    @classmethod
    def from_environment(cls) -> World:
        """Read rank and size as the launchers give them."""
        launched = "ACCELERATE_MIXED_PRECISION" in os.environ or "TORCHELASTIC_RUN_ID" in os.environ
        return cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")), launched)


def describe_device() -> str:
    """The device that stages will run on, in words."""
    import torch

    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        return ", ".join(f"{card.name} ({card.total_memory / 2**30:.0f} GiB)" for card in cards)
    if torch.backends.mps.is_available():
        return "Apple GPU"
    return f"CPU, {os.cpu_count()} cores (no GPU found)"


PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "bitsandbytes", "vllm", "math-verify")
"""Packages whose versions decide what a run gives."""


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that matter, those that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@functools.cache
def hardware() -> dict[str, Any]:
    """Processor, cores, memory and GPUs of this machine."""
    import torch

    found: dict[str, Any] = {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()}
    if hasattr(os, "sysconf"):
        found["memory_gib"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    if torch.cuda.is_available():
        found["gpus"] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
