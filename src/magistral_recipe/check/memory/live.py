"""Which tensor storages are alive, and what they add up to: the allocator's view of a computation, made of any tensors.

Works on real and on fake tensors alike, so that a dry run can be held against a real one.
"""

from __future__ import annotations

import weakref
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack
from torch.utils._pytree import tree_leaves

_BLOCK = 512
"""PyTorch's CUDA allocator hands out memory in multiples of it."""


class LiveStorages(TorchDispatchMode):
    """Counts the bytes of every storage that an operation makes, from its making until nothing refers to it any more.

    Attributes:
        live: bytes alive now, by label.
        peaks: for each phase what was alive at its highest point, by label.
        label: under which new storages are counted.
        phase: to which the highest point now belongs.
    """

    def __init__(self, label: str = "activations", phase: str = "start") -> None:
        super().__init__()
        self.label, self._phase = label, phase
        self.live: Counter[str] = Counter()
        self.peaks: dict[str, dict[str, int]] = {}
        self._total = 0
        self._highest: dict[str, int] = defaultdict(int)
        self._known: dict[int, tuple[weakref.ref, str, int]] = {}

    @property
    def total(self) -> int:
        """Bytes alive now."""
        return self._total

    @property
    def phase(self) -> str:
        """Where in the computation we are."""
        return self._phase

    @phase.setter
    def phase(self, name: str) -> None:
        self._phase = name
        self._look()

    @contextmanager
    def counted_as(self, label: str, phase: str | None = None) -> Iterator[None]:
        """Count what is made inside under another label, as a phase of its own where one is named."""
        outer = self.label, self._phase
        self.label = label
        if phase is not None:
            self.phase = phase
        try:
            yield
        finally:
            self.label = outer[0]
            self.phase = outer[1]

    def count(self, tensor: Tensor, label: str | None = None) -> None:
        """Count a tensor that was not made under this mode, or give one that was another label."""
        storage = tensor.untyped_storage()
        key = id(storage)
        known = self._known.get(key)
        if known is None:
            self._add(key, storage, label or self.label)
        elif label is not None and known[1] != label:
            reference, old, size = known
            self.live[old] -= size
            self.live[label] += size
            self._known[key] = reference, label, size

    def _add(self, key: int, storage: Any, label: str) -> None:
        size = -(-storage.nbytes() // _BLOCK) * _BLOCK
        self._known[key] = weakref.ref(storage, lambda _: self._drop(key)), label, size
        self.live[label] += size
        self._total += size
        self._look()

    def _drop(self, key: int) -> None:
        _, label, size = self._known.pop(key)
        self.live[label] -= size
        self._total -= size

    def _look(self) -> None:
        if self._total > self._highest[self._phase]:
            self._highest[self._phase] = self._total
            self.peaks[self._phase] = {label: size for label, size in self.live.items() if size}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it made."""
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and leaf.layout is torch.strided:
                self.count(leaf)
        return out


@contextmanager
def counted_as(label: str) -> Iterator[None]:
    """Count what is made inside under a label, in the counting mode that is on, if one is."""
    modes = [mode for mode in _get_current_dispatch_mode_stack() if isinstance(mode, LiveStorages)]
    if not modes:
        yield
        return
    with modes[-1].counted_as(label):
        yield
