"""What this machine has for training: facts that are looked up, and what each of them means for a person.

The two are apart, so that what a machine without a card can't show can be told of facts that are made up.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from magistral_recipe.machine import GIB, Memory, computes_bfloat16, memory, version_of, version_suits, wanted_by

State = Literal["ok", "weak", "missing"]

DRIVERS = {11: "450", 12: "525", 13: "580"}
"""CUDA's major version to the oldest driver that runs it (NVIDIA's "minor version compatibility")."""
VLLM_REMEDY = "pip install 'magistral-recipe[vllm]' (Linux with a GPU)"
_HELD = 2 * GIB
"""What others may hold of a card before it is said: a desktop takes about one, our own context half of one."""
_SHM = GIB
"""The least /dev/shm: a container's usual 64 MiB is too little for NCCL and for vLLM's processes."""
_RAM, _DISK = 8 * GIB, 50 * GIB
"""Free memory and disk below which most of the ready recipes have trouble."""


class Diagnosis(NamedTuple):
    """One line of the table.

    Attributes:
        subject: what was looked at.
        state: whether it is there, there in part, or missing.
        found: what was found.
        remedy: how to get what is missing.
    """

    subject: str
    state: State
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Card:
    """A GPU.

    Attributes:
        name: as the driver says it.
        memory: all of it, and what is free now.
        bfloat16: whether it computes in it.
    """

    name: str
    memory: Memory
    bfloat16: bool


@dataclass(frozen=True)
class Facts:
    """A machine.

    Attributes:
        ram: its memory, or the container's share.
        torch: the version that can be imported; ``None`` without one.
        torch_cuda: the CUDA that torch was built for; ``None`` for a build without.
        trouble: why torch can't be imported.
        driver: version of NVIDIA's driver.
        driver_cuda: the newest CUDA that the driver runs, major and minor.
        cards: those that torch finds.
        peers: whether each reads the others' memory, where there are several.
        apple: whether torch finds Apple's GPU.
        hidden: what `CUDA_VISIBLE_DEVICES` says.
        vllm: its version.
        vllm_torch: the torch that it requires, as its metadata say.
        trl_vllm: the versions of vLLM that TRL takes, as its metadata say.
        shm: `/dev/shm`.
        disks: room by what it is for.
    """

    ram: Memory
    torch: str | None = None
    torch_cuda: str | None = None
    trouble: str = ""
    driver: str | None = None
    driver_cuda: tuple[int, int] | None = None
    cards: tuple[Card, ...] = ()
    peers: bool | None = None
    apple: bool = False
    hidden: str | None = None
    vllm: str | None = None
    vllm_torch: str | None = None
    trl_vllm: str | None = None
    shm: Memory | None = None
    disks: Mapping[str, Memory] = field(default_factory=dict)


def findings(facts: Facts) -> Iterator[Diagnosis]:
    """Say what a machine's facts mean for training.

    Args:
        facts: the machine.

    Yields:
        A line for driver, each card, vLLM, memory, shared memory and disk.
    """
    if not facts.apple:
        yield _driver(facts)
    yield from _cards(facts)
    if facts.peers is not None:
        yield _peers(facts.peers)
    yield _vllm(facts)
    yield _ram(facts.ram)
    if facts.shm is not None:
        yield _shm(facts.shm)
    for what, room in facts.disks.items():
        yield _disk(what, room)


def vllm_mistake(vllm: str, trl_vllm: str | None, torch: str | None, vllm_torch: str | None) -> str | None:
    """Say why an installed vLLM can't be used.

    Args:
        vllm: its version.
        trl_vllm: the versions that TRL takes.
        torch: torch's version.
        vllm_torch: the torch that vLLM requires.

    Returns:
        The reason, or ``None``.
    """
    if trl_vllm is not None and not version_suits(vllm, trl_vllm):
        return f"vLLM {vllm} is installed, and TRL {version_of('trl')} takes {trl_vllm}"
    if torch is not None and vllm_torch and not version_suits(torch, vllm_torch):
        return f"vLLM {vllm} is built for torch{vllm_torch}, and torch {torch} is installed"
    return None


def _driver(facts: Facts) -> Diagnosis:
    told = f"NVIDIA {facts.driver or '(version unknown)'}"
    if facts.driver is None and facts.driver_cuda is None:
        remedy = "NVIDIA's driver; in a container `--gpus all` besides. Without a card the tiny model trains on the CPU"
        return Diagnosis("driver", "missing", "no NVIDIA driver", remedy)
    if facts.torch_cuda is None:
        why = f"{told}; torch {facts.torch} is a build without CUDA" if facts.torch else told
        return Diagnosis("driver", "weak", why, "a CUDA build of PyTorch (pytorch.org has the command)")
    major, minor = (int(part) for part in facts.torch_cuda.split(".")[:2])
    if facts.driver_cuda is None:
        return Diagnosis("driver", "ok", f"{told}; torch is built for CUDA {facts.torch_cuda}")
    runs = (
        f"{told} runs CUDA up to {facts.driver_cuda[0]}.{facts.driver_cuda[1]}, torch is built for {facts.torch_cuda}"
    )
    if facts.driver_cuda[0] < major:
        least = DRIVERS.get(major)
        newer = f"a driver from {least} on" if least else "a newer driver"
        remedy = f"{newer}, or a build of PyTorch for CUDA {facts.driver_cuda[0]} (pytorch.org has the command)"
        return Diagnosis("driver", "missing", runs, remedy)
    if facts.driver_cuda < (major, minor):
        remedy = (
            "a newer driver, should a kernel fail with an unsupported PTX version (those that are compiled on the way)"
        )
        return Diagnosis("driver", "weak", runs, remedy)
    return Diagnosis("driver", "ok", runs)


def _cards(facts: Facts) -> Iterator[Diagnosis]:
    if facts.torch is None:
        why = facts.trouble or "torch is not installed"
        yield Diagnosis("GPU", "missing", why, "pip install 'magistral-recipe[train]'")
    elif facts.apple:
        yield Diagnosis("GPU", "weak", "Apple's, through MPS: slower than CUDA, no 4-bit models, no vLLM")
    elif not facts.cards:
        hidden = f"CUDA_VISIBLE_DEVICES={facts.hidden!r} may hide it; " if facts.hidden is not None else ""
        seen = "see the driver's line" if facts.torch_cuda is None or facts.driver is None else "`nvidia-smi` says why"
        yield Diagnosis("GPU", "missing", "none that PyTorch can use", f"{hidden}{seen}; the tiny model needs none")
    for card in facts.cards:
        free, total = card.memory.free / GIB, card.memory.total / GIB
        found = f"{card.name}, {free:.1f} of {total:.1f} GiB free"
        if not card.bfloat16:
            yield Diagnosis("GPU", "weak", f"{found}, without bfloat16", "`dtype: float16` with `lora:`, or float32")
        elif card.memory.total - card.memory.free > _HELD:
            remedy = (
                "other programs hold the rest (a desktop, another run: `nvidia-smi` lists them); close them, or plan "
                "with what is free, as `check` does"
            )
            yield Diagnosis("GPU", "weak", f"{found}, with bfloat16", remedy)
        else:
            yield Diagnosis("GPU", "ok", f"{found}, with bfloat16")


def _peers(peers: bool) -> Diagnosis:
    if peers:
        return Diagnosis("between GPUs", "ok", "each card reads the others' memory (P2P)")
    found = (
        "no P2P, as between GeForce cards (RTX 3090, 4090, 5090): what processes exchange goes through the machine's"
    )
    remedy = (
        "LoRA under DDP exchanges little; for all weights take cards with it. Should a run hang at its first step: "
        "NCCL_P2P_DISABLE=1 NCCL_IB_DISABLE=1, in a container with little /dev/shm NCCL_SHM_DISABLE=1 too"
    )
    return Diagnosis("between GPUs", "weak", f"{found} memory", remedy)


def _vllm(facts: Facts) -> Diagnosis:
    if facts.vllm is None:
        takes = f"; TRL takes {facts.trl_vllm}" if facts.trl_vllm else ""
        return Diagnosis("vllm", "missing", f"not installed (fast generation on GPUs){takes}", VLLM_REMEDY)
    mistake = vllm_mistake(facts.vllm, facts.trl_vllm, facts.torch, facts.vllm_torch)
    if mistake is not None:
        return Diagnosis("vllm", "weak", mistake, f"{VLLM_REMEDY}: brings both in versions that go together")
    wants = f", for torch{facts.vllm_torch}" if facts.vllm_torch else ""
    return Diagnosis("vllm", "ok", f"{facts.vllm}{wants}")


def _ram(ram: Memory) -> Diagnosis:
    found = f"{ram.total / GIB:.0f} GiB, {ram.free / GIB:.0f} GiB of it free"
    remedy = "a model is loaded through it: `check` says how much a recipe takes (its line 'memory of the machine')"
    return _enough("memory", found, ram, _RAM, remedy)


def _shm(shm: Memory) -> Diagnosis:
    found = f"{_size(shm.total)}, {_size(shm.free)} of it free"
    remedy = "several processes and vLLM need more: `docker run --shm-size=8g` (or `--ipc=host`)"
    return _enough("/dev/shm", found, shm, _SHM, remedy)


def _disk(what: str, room: Memory) -> Diagnosis:
    found = f"{_size(room.free)} free of {_size(room.total)}, {what}"
    remedy = "the ready recipes take 10 to 70 GiB: `HF_HOME` moves the hub's cache, `run --output` the run"
    return _enough("disk", found, room, _DISK, remedy)


def _enough(subject: str, found: str, room: Memory, least: float, remedy: str) -> Diagnosis:
    return Diagnosis(subject, "ok", found) if room.free >= least else Diagnosis(subject, "weak", found, remedy)


def _size(size: float) -> str:
    return f"{size / GIB:.0f} GiB" if size >= GIB else f"{size / 2**20:.0f} MiB"


# ------------------------------------------------------------------------------------------------------ this machine


def facts_here() -> Facts:
    """Look this machine up."""
    version, cuda, trouble, cards, apple, peers = None, None, "", tuple[Card, ...](), False, None
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a CUDA library that does not load
        trouble = f"torch can't be imported: {error}" if version_of("torch") else ""
    else:
        version, cuda, apple = str(torch.__version__), torch.version.cuda, torch.backends.mps.is_available()
        if torch.cuda.is_available():
            cards = tuple(map(_card, range(torch.cuda.device_count())))
            pairs = [*itertools.permutations(range(len(cards)), 2)]
            peers = all(torch.cuda.can_device_access_peer(*pair) for pair in pairs) if pairs else None
    driver, driver_cuda = _driver_here()
    return Facts(
        ram=memory(),
        torch=version,
        torch_cuda=cuda,
        trouble=trouble,
        driver=driver,
        driver_cuda=driver_cuda,
        cards=cards,
        peers=peers,
        apple=apple,
        hidden=os.environ.get("CUDA_VISIBLE_DEVICES"),
        vllm=version_of("vllm"),
        vllm_torch=wanted_by("vllm", "torch"),
        trl_vllm=wanted_by("trl", "vllm"),
        shm=_room(Path("/dev/shm")) if sys.platform == "linux" else None,
        disks=_disks(),
    )


def _card(index: int) -> Card:
    import torch

    free, total = torch.cuda.mem_get_info(index)
    return Card(torch.cuda.get_device_name(index), Memory(total, free), computes_bfloat16())


def _driver_here() -> tuple[str | None, tuple[int, int] | None]:
    """Ask NVIDIA's driver what it is, and which CUDA it runs; torch says neither where they don't fit."""
    version = None
    with contextlib.suppress(OSError):
        found = re.search(
            r"Kernel Module(?: for \S+)?\s+([\d.]+)", Path("/proc/driver/nvidia/version").read_text("utf-8")
        )
        version = found[1] if found else None
    number = ctypes.c_int()
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        failed = library.cuDriverGetVersion(ctypes.byref(number))
    except (OSError, AttributeError):
        return version, None
    return version, None if failed else (number.value // 1000, number.value % 1000 // 10)


def _disks() -> dict[str, Memory]:
    places = {"for runs (this folder)": Path.cwd()}
    with contextlib.suppress(ImportError):
        from huggingface_hub import constants

        places["for the hub's cache"] = Path(constants.HF_HUB_CACHE)
    rooms = {what: room for what, path in places.items() if (room := _room(path)) is not None}
    if len({(room.total, room.free // GIB) for room in rooms.values()}) == 1:
        return {"for runs and the hub's cache": next(iter(rooms.values()))}
    return rooms


def _room(path: Path) -> Memory | None:
    for place in (path, *path.parents):  # a cache that isn't there yet
        with contextlib.suppress(OSError):
            room = shutil.disk_usage(place)
            return Memory(room.total, room.free)
    return None
