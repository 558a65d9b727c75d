"""The sections in the order in which they run: cheapest and most telling first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """One thing that is tried.

    Attributes:
        name: of the section; `--only` takes beginnings of it.
        target: `module:function`, called with a `Bench` and `Findings`.
        limit: seconds after which it is ended and has failed.
        default: whether it runs unasked.
        alone: whether it gets a process of its own.
    """

    name: str
    target: str
    limit: float = 120.0
    default: bool = True
    alone: bool = False


_HERE = "gpu_check.sections"

SECTIONS = (
    Section("doctor", f"{_HERE}.doctor:doctor", 60),
    Section("syncs", f"{_HERE}.syncs:twenty_syncs", 60),
    Section("sft-full", f"{_HERE}.training:sft_full"),
    Section("grpo-full", f"{_HERE}.training:grpo_full"),
    Section("sft-lora", f"{_HERE}.training:sft_lora"),
    Section("grpo-lora", f"{_HERE}.training:grpo_lora"),
    Section("sft-qlora", f"{_HERE}.training:sft_qlora"),
    Section("grpo-qlora", f"{_HERE}.training:grpo_qlora"),
    Section("handover", f"{_HERE}.handover:quantized"),
    Section("update", f"{_HERE}.update:beside_stock", 180),
    Section("resume", f"{_HERE}.resume:resume"),
    Section("rollouts", f"{_HERE}.rollouts:backends", 180),
    Section("quickstart", f"{_HERE}.chains:quickstart", 900, default=False, alone=True),
    Section("vllm-colocate", f"{_HERE}.vllm:merged", 420, default=False, alone=True),
    Section("vllm-adapter", f"{_HERE}.vllm:adapter", 420, default=False, alone=True),
    Section("vllm-evaluate", f"{_HERE}.vllm:evaluation", 600, default=False, alone=True),
    Section("vllm-qlora", f"{_HERE}.vllm:quantized", 420, default=False, alone=True),
    Section("8b-qlora", f"{_HERE}.training:grpo_qlora_8b", 400, default=False, alone=True),
    Section("learning", f"{_HERE}.chains:learning", 5400, default=False, alone=True),
)


def chosen(only: Sequence[str] | None) -> list[Section]:
    """The sections that are asked for.

    Args:
        only: names or beginnings of names; ``None`` for those that run unasked.

    Returns:
        Them, in order.

    Raises:
        ValueError: where a name begins none of them.
    """
    if only is None:
        return [section for section in SECTIONS if section.default]
    for name in only:
        if not any(section.name.startswith(name) for section in SECTIONS):
            raise ValueError(f"no section begins with {name!r}: {', '.join(section.name for section in SECTIONS)}")
    return [section for section in SECTIONS if any(section.name.startswith(name) for name in only)]
