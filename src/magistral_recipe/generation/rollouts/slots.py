"""A static cache of slots: one row each, at a length of its own, at addresses that stay from round to round.

Every layer has one flat store for keys and one for values. A shape (R rows, L tokens) is a view of its beginning, so
that rows can shrink and lengths grow within the same memory, and one shape always has the same addresses, which a
captured graph needs. Rows stand at the front: one that ends is overwritten by the last. A row's first token stands at
0, so that no row pays for another's prompt; a token is written at the row's own position and what lies behind it is
masked.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class _SlotLayer(CacheLayerMixin):
    """One layer's keys and values, as a model's attention uses a cache while it decodes one token a row."""

    is_compileable = True

    def __init__(self, slots: Slots) -> None:
        super().__init__()
        self._slots = slots
        self._store: list[Tensor] = []
        self._heads: list[tuple[int, int]] = []

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Learn the heads' number and width from what the model makes."""
        self._heads = [(states.shape[1], states.shape[3]) for states in (key_states, value_states)]
        self.dtype, self.device = key_states.dtype, key_states.device
        if torch.is_autocast_enabled(self.device.type):
            # Rotated keys of float32 weights are float32, values are not; attention casts both: kept is what it reads.
            self.dtype = torch.get_autocast_dtype(self.device.type)
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write one token a row, each at its row's position; give back all that may be attended to."""
        slots = self._slots
        keys, values = self.views
        keys[slots.places, :, slots.positions] = key_states[:, :, 0].to(self.dtype)
        values[slots.places, :, slots.positions] = value_states[:, :, 0].to(self.dtype)
        return keys[:, :, : slots.seen], values[:, :, : slots.seen]

    @property
    def views(self) -> list[Tensor]:
        """Keys and values of the current shape, `[R, heads, L, width]`."""
        return [
            store[: self._slots.rows * self._slots.length * heads * width].view(
                self._slots.rows, heads, self._slots.length, width
            )
            for store, (heads, width) in zip(self._store, self._heads, strict=True)
        ]

    def reshape(self, rows: int, length: int, kept: int, filled: int) -> bool:
        """Take another shape, keeping the beginning of the first rows.

        Args:
            rows: of the new shape.
            length: of the new shape, in tokens.
            kept: rows to keep.
            filled: tokens of them to keep.

        Returns:
            Whether the store moved.
        """
        saved = [view[:kept, :, :filled].clone() for view in self.views] if kept and self._store else []
        moved = False
        for place, (heads, width) in enumerate(self._heads):
            wanted = rows * length * heads * width
            if len(self._store) <= place:
                self._store.append(torch.empty(0, dtype=self.dtype, device=self.device))
            if self._store[place].numel() < wanted:
                self._store[place] = torch.empty(0, dtype=self.dtype, device=self.device)  # free before it is replaced
                # Zeros: a masked number is multiplied by 0, which is not 0 for what memory may hold.
                self._store[place] = torch.zeros(wanted, dtype=self.dtype, device=self.device)
                moved = True
        for store, (heads, width), old in zip(self._store, self._heads, saved, strict=bool(saved)):
            new = store[: rows * length * heads * width].view(rows, heads, length, width)
            new[:kept, :, :filled] = old
        return moved

    def free(self) -> None:
        """Give the memory back."""
        self._store = []

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(store.nbytes for store in self._store)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """What transformers would build a mask from; the mask is given."""
        return self._slots.seen, 0

    def get_seq_length(self) -> int:
        """Tokens that may be attended to."""
        return self._slots.seen

    def get_max_length(self) -> int:
        """Tokens that a row can hold."""
        return self._slots.length


class Slots(Cache):
    """The cache, its shape and where each row stands.

    Args:
        layers: of the model.

    Attributes:
        rows: R, of the current shape.
        length: L, tokens that a row can hold.
        seen: tokens that attention reads of each row, at most L.
        places: `[R]`, 0 to R − 1.
        positions: `[R]`, where each row's next token is written.
    """

    def __init__(self, layers: int) -> None:
        super().__init__(layers=[_SlotLayer(self) for _ in range(layers)])
        self.rows = self.length = self.seen = 0
        self.places = self.positions = torch.empty(0, dtype=torch.long)

    @property
    def nbytes(self) -> int:
        """Bytes held by keys and values."""
        return sum(layer.nbytes for layer in self.layers)

    def learn(self, prefilled: Cache) -> None:
        """Learn the heads from a cache that the model has filled, under the autocast of the steps to come."""
        for own, other in zip(self.layers, prefilled.layers, strict=True):
            if not own.is_initialized:
                own.lazy_initialization(other.keys, other.values)

    def reshape(self, rows: int, length: int, kept: int, filled: int) -> bool:
        """Take another shape; see `_SlotLayer.reshape`."""
        if (rows, length) == (self.rows, self.length):
            return False
        if length == self.length and rows < self.rows:  # the front of the same store, nothing to move
            self.rows = rows
            return False
        moved = False
        for layer in self.layers:
            moved |= layer.reshape(rows, length, kept, filled)
        self.rows, self.length = rows, length
        return moved

    def fill(self, prefilled: Cache, sources: Tensor, targets: Tensor) -> None:
        """Copy prompts into slots.

        Args:
            prefilled: a cache that the model has filled, `[U, heads, W, width]` a layer.
            sources: rows of it, one a slot.
            targets: the slots.
        """
        for own, other in zip(self.layers, prefilled.layers, strict=True):
            for view, states in zip(own.views, (other.keys, other.values), strict=True):
                view[targets, :, : states.shape[2]] = states[sources].to(own.dtype)

    def move(self, sources: Tensor, targets: Tensor) -> None:
        """Copy slots over others."""
        for layer in self.layers:
            for view in layer.views:
                view[targets, :, : self.seen] = view[sources, :, : self.seen]

    def free(self) -> None:
        """Give the memory back."""
        for layer in self.layers:
            layer.free()
        self.rows = self.length = self.seen = 0
