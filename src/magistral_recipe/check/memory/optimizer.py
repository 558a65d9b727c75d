"""What an optimizer keeps of each trained tensor, by transformers' name for it, and where. Light to import."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple


class TrainedTensor(NamedTuple):
    """A tensor that is trained.

    Attributes:
        shape: its sizes.
        itemsize: bytes of each of its numbers.
        embedding: it is an embedding table, of which transformers has bitsandbytes keep states of 32 bits.
    """

    shape: tuple[int, ...]
    itemsize: int
    embedding: bool = False

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


_SMALL = 4096
"""bitsandbytes keeps the states of tensors with fewer numbers in 32 bits (`min_8bit_size`)."""
_BLOCK = 256
"""Numbers that share one constant in bitsandbytes' 8-bit states (arXiv 2110.02861 §2.1)."""
_PAGED_FROM = 100_000
"""bitsandbytes pages the states of tensors with as many numbers or more."""


class OptimizerBytes(NamedTuple):
    """What an optimizer takes, in bytes.

    Attributes:
        gpu: states in the device's memory.
        host: states in memory that both can reach; the driver moves them to the device while they are used.
        step: what a step makes and drops again.
    """

    gpu: float
    host: float
    step: float


@dataclass(frozen=True)
class _Kind:
    states: int
    """Numbers kept for each trained one."""
    bits: Literal["own", "8", "32"] = "own"
    """As wide as what is trained, or quantized to 8 bits, or 32 bits whatever is trained."""
    paged: bool = False
    foreach: int = 0
    """Copies of what is trained that a step makes; a fused step makes none."""


_KINDS: dict[str, _Kind] = {
    "adamw_torch": _Kind(2, foreach=1),  # torch's `_foreach_sqrt` of the second moment
    "adamw_torch_fused": _Kind(2),
    "adamw_bnb_8bit": _Kind(2, "8"),
    "adamw_8bit": _Kind(2, "8"),
    "paged_adamw_8bit": _Kind(2, "8", paged=True),
    "paged_adamw_32bit": _Kind(2, "32", paged=True),
    "paged_adamw": _Kind(2, "32", paged=True),
    "ademamix": _Kind(3, "32"),
    "ademamix_8bit": _Kind(3, "8"),
    "paged_ademamix_32bit": _Kind(3, "32", paged=True),
    "paged_ademamix_8bit": _Kind(3, "8", paged=True),
    "lion_32bit": _Kind(1, "32"),
    "lion_8bit": _Kind(1, "8"),
    "paged_lion_32bit": _Kind(1, "32", paged=True),
    "paged_lion_8bit": _Kind(1, "8", paged=True),
    "rmsprop": _Kind(1, foreach=1),
    "rmsprop_bnb": _Kind(1, "32"),
    "rmsprop_bnb_8bit": _Kind(1, "8"),
    "rmsprop_bnb_32bit": _Kind(1, "32"),
    "adagrad": _Kind(1, foreach=1),
    "sgd": _Kind(0, foreach=1),
}


def known_optimizer(name: str) -> bool:
    """Whether an optimizer's states are known here; others are counted as AdamW's."""
    return name in _KINDS or name == "adafactor"


def optimizer_bytes(name: str, tensors: Sequence[TrainedTensor]) -> OptimizerBytes:
    """Count an optimizer's states.

    Args:
        name: `trainer.optim`.
        tensors: what is trained.

    Returns:
        The bytes of its states, and what a step takes besides.
    """
    if name == "adafactor":
        largest = max((tensor.numbers for tensor in tensors), default=0)
        return OptimizerBytes(sum(map(_factored, tensors)), 0, 2 * 4 * largest)  # a step makes the update, in float32
    kind = _KINDS.get(name, _Kind(2, foreach=1))
    gpu = host = 0.0
    for tensor in tensors:
        kept, constants = _state_bytes(kind, tensor)
        paged = kind.paged and tensor.numbers >= _PAGED_FROM
        host += kind.states * kept * paged
        gpu += kind.states * (constants + kept * (not paged))
    return OptimizerBytes(gpu, host, kind.foreach * sum(tensor.numbers * tensor.itemsize for tensor in tensors))


def _factored(tensor: TrainedTensor) -> int:
    """Means over rows and columns of the squared gradients (arXiv 1804.04235 §3), without a first moment."""
    shape = tensor.shape
    return 4 * (math.prod(shape[:-1]) + math.prod((*shape[:-2], shape[-1])) if len(shape) > 1 else tensor.numbers)


def _state_bytes(kind: _Kind, tensor: TrainedTensor) -> tuple[int, int]:
    """Bytes of one state of one tensor: its numbers, and the constants that scale them."""
    if kind.bits == "own":
        return tensor.numbers * tensor.itemsize, 0
    if kind.bits == "8" and tensor.numbers >= _SMALL and not tensor.embedding:
        return tensor.numbers, 4 * math.ceil(tensor.numbers / _BLOCK)
    return 4 * tensor.numbers, 0
