"""The cards that a plan can be made for: their memory as PyTorch reports it, and what they can do. Light to import."""

from __future__ import annotations

import re
from dataclasses import dataclass

from magistral_recipe.machine import GIB, World, memory
from magistral_recipe.suggest import did_you_mean


@dataclass(frozen=True)
class Device:
    """Where a stage would run.

    Attributes:
        name: in words.
        total: its memory in bytes, as `torch.cuda.get_device_properties` gives it (a little below what is on the box).
        free: what of that is free; all of it on a card that is not at hand.
        gpu: whether it is one.
        bfloat16: whether it computes in it.
        tflops: dense matrix products a second in 16 bits with float32 sums, in 10^12; ``None`` where not known.
        bandwidth: of its memory, in 10^9 bytes a second; ``None`` where not known.
        at_hand: whether it is in this machine.
    """

    name: str
    total: float
    free: float
    gpu: bool = True
    bfloat16: bool = True
    tflops: float | None = None
    bandwidth: float | None = None
    at_hand: bool = False


def _card(name: str, gib: float, tflops: float, bandwidth: float, bfloat16: bool = True) -> Device:
    return Device(name, gib * GIB, gib * GIB, True, bfloat16, tflops, bandwidth)


DEVICES: dict[str, Device] = {
    "rtx3090": _card("RTX 3090", 23.7, 71, 936),
    "rtx4090": _card("RTX 4090", 23.6, 165, 1008),
    "rtx5090": _card("RTX 5090", 31.4, 209, 1792),
    "t4": _card("T4", 14.6, 65, 320, bfloat16=False),
    "l4": _card("L4", 22.0, 121, 300),
    "a10": _card("A10", 22.0, 125, 600),
    "l40s": _card("L40S", 44.4, 362, 864),
    "a100-40": _card("A100 40 GB", 39.4, 312, 1555),
    "a100-80": _card("A100 80 GB", 79.1, 312, 2039),
    "h100": _card("H100 80 GB", 79.1, 989, 3350),
    "h200": _card("H200", 139.8, 989, 4800),
}
"""Cards by the name that `--device` takes. Speeds are NVIDIA's data sheets', dense; memory is what PyTorch reports."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*gi?b", re.IGNORECASE)


def find_device(name: str) -> Device:
    """Find a card by name, or make one up of a size.

    Args:
        name: a key of `DEVICES`, spelled loosely (`RTX 4090`), or a size such as `24GiB`.

    Returns:
        The card, all of its memory free.

    Raises:
        ValueError: if there is none, naming the nearest.
    """
    size = _SIZE.fullmatch(name.strip())
    if size and float(size[1]) > 0:
        total = float(size[1]) * GIB
        return Device(f"a GPU of {float(size[1]):g} GiB", total, total)
    plain = re.sub(r"[\s_]+", "", name.lower()).removeprefix("nvidia").removeprefix("geforce").removesuffix("gb")
    found = {key.replace("-", ""): key for key in DEVICES}.get(plain.replace("-", ""))
    if found is None:
        hint = did_you_mean(plain, DEVICES)
        raise ValueError(f"no device {name!r}: one of {', '.join(DEVICES)}, or a size such as 24GiB.{hint}")
    return DEVICES[found]


def device_here() -> Device:
    """The device that stages would run on here: this process's GPU with what is free of it, else the CPU's memory."""
    import torch

    if torch.cuda.is_available():
        index = World.from_environment().local_rank
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        known = next((card for card in DEVICES.values() if card.name.removesuffix(" GB").lower() in name.lower()), None)
        bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        speed = (known.tflops, known.bandwidth) if known else (None, None)
        return Device(name, total, free, True, bfloat16, *speed, at_hand=True)
    whole = memory()
    return Device("this machine's CPU", whole.total, whole.free, gpu=False, bfloat16=False, at_hand=True)
