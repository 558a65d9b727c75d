"""The machine at hand: processes, devices, memory, versions. Light to import.

What a launcher says of a process is read here and nowhere else, as are the words for a device and the packages whose
versions a result depends on.
"""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, NamedTuple

from magistral_recipe import __version__

GIB = 2**30
"""Bytes of a gibibyte."""

# ------------------------------------------------------------------------------------------------- processes

RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE = "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"
LAUNCH_VARIABLES = (RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, "MASTER_ADDR", "MASTER_PORT")
"""What a launcher (Accelerate's, torchrun) leaves in the environment of each of its processes."""


@dataclass(frozen=True)
class World:
    """The processes this one belongs to.

    Attributes:
        rank: this process's number, from 0.
        size: how many there are.
        launched: whether a launcher started this process.
        local_rank: its number among those of this machine, which is the number of its GPU.
        local_size: how many of them are on this machine.
    """

    rank: int = 0
    size: int = 1
    launched: bool = False
    local_rank: int = 0
    local_size: int = 1

    @classmethod
    def from_environment(cls) -> World:
        """Read what the launcher says, before the processes have found one another."""
        return cls(
            rank=_number(RANK, 0),
            size=_number(WORLD_SIZE, 1) or 1,
            launched="ACCELERATE_MIXED_PRECISION" in os.environ or "TORCHELASTIC_RUN_ID" in os.environ,
            local_rank=_number(LOCAL_RANK, 0),
            local_size=_number(LOCAL_WORLD_SIZE, 1) or 1,
        )

    @classmethod
    def joined(cls) -> World:
        """Ask torch which processes have found one another: inside training, where a launch may join fewer."""
        import torch

        if torch.distributed.is_available() and torch.distributed.is_initialized():
            rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
            return replace(cls.from_environment(), rank=rank, size=size)
        return cls()

    @property
    def first(self) -> bool:
        """Whether this process writes and says what all share."""
        return self.rank == 0


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() else default


# --------------------------------------------------------------------------------------------------- devices


def best_device() -> str:
    """This process's GPU, else the CPU."""
    import torch

    if torch.cuda.is_available():
        return f"cuda:{World.from_environment().local_rank}"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def computes_bfloat16() -> bool:
    """Whether the GPUs have bfloat16 in their hardware; ``False`` without a GPU that PyTorch's CUDA can use."""
    import torch

    # Cards from before 2020 (T4, V100) emulate it, many times slower than their float32.
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def describe_device() -> str:
    """The device that stages will run on, in words."""
    import torch

    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        return ", ".join(f"{card.name} ({card.total_memory / GIB:.0f} GiB)" for card in cards)
    if torch.backends.mps.is_available():
        return "Apple GPU"
    return f"CPU, {os.cpu_count()} cores (no GPU found)"


def device_name(kind: str) -> str:
    """The name of one device: what the samples that it computed are comparable by.

    Args:
        kind: torch's: `cuda`, `mps`, `cpu`.

    Returns:
        The GPU's name, or the kind where it has none.
    """
    import torch

    return torch.cuda.get_device_name() if kind == "cuda" and torch.cuda.is_available() else kind


def has_gpu() -> bool:
    """Whether torch finds a GPU."""
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()


class Memory(NamedTuple):
    """Memory in bytes: what this process's container may have of it, and what of that is free."""

    total: int
    free: int


def memory() -> Memory:
    """Measure the machine's memory, or the container's share of it."""
    import psutil

    found = psutil.virtual_memory()
    total = min([found.total, *_container_limits()])
    return Memory(total, min(found.available, total))


def _container_limits(root: Path = Path("/sys/fs/cgroup")) -> Iterable[int]:
    for path in (root / "memory.max", root / "memory" / "memory.limit_in_bytes"):
        try:
            yield int(path.read_text("ascii"))
        except (OSError, ValueError):  # no such file, or "max"
            continue


@functools.cache
def hardware() -> dict[str, Any]:
    """Processor, cores, memory and GPUs of this machine."""
    import torch

    found: dict[str, Any] = {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()}
    found["memory_gib"] = round(memory().total / GIB, 1)
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


# -------------------------------------------------------------------------------------------------- versions

PACKAGES = (
    *("torch", "transformers", "trl", "peft", "accelerate", "datasets", "bitsandbytes", "vllm", "math-verify"),
    "reasoning-gym",
)
"""Packages whose versions decide what a run gives."""


def version_of(package: str) -> str | None:
    """The version of an installed package; ``None`` where it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def wanted_by(package: str, other: str) -> str | None:
    """The versions of another package that an installed one asks for, be it in an extra, as its metadata say.

    Args:
        package: the installed one.
        other: what it needs.

    Returns:
        A specifier such as ``<=0.31.0,>=0.22.0``; ``None`` where it isn't installed or doesn't say.
    """
    try:
        lines = requires(package) or ()
    except PackageNotFoundError:
        return None
    from packaging.requirements import Requirement

    for requirement in map(Requirement, lines):
        if requirement.name == other and requirement.specifier:
            return str(requirement.specifier)
    return None


def version_suits(version: str, specifier: str) -> bool:
    """Whether a version is among those that a specifier takes; what stands behind a plus sign says how it was built."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    return SpecifierSet(specifier).contains(Version(version).public, prereleases=True)


VLLM_FOUR_BITS = "<0.28"
"""Versions of vLLM that load bitsandbytes' 4-bit weights; 0.28 took the loader out (vllm-project/vllm issue 39583)."""


def vllm_four_bits_mistake() -> str | None:
    """Say that the installed vLLM no longer loads 4-bit weights; ``None`` where it does, or is missing."""
    installed = version_of("vllm")
    if installed is None or version_suits(installed, VLLM_FOUR_BITS):
        return None
    return f"vLLM {installed} is installed, which loads no 4-bit weights any more: pip install 'vllm{VLLM_FOUR_BITS}'"


def versions() -> dict[str, str]:
    """The versions of this package, of Python, and of the packages that matter, those that are installed."""
    found = {"magistral-recipe": __version__, "python": platform.python_version()}
    return found | {name: installed for name in PACKAGES if (installed := version_of(name)) is not None}
