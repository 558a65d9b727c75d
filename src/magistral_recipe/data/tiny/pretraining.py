"""What the embedded base model is pretrained on and how: shape, data, optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from magistral_recipe.data.tiny.corpus import HARD_SHARE

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Pretraining:
    """Everything that decides what the base becomes."""

    seed: int = 0
    steps: int = 1600
    rows: int = 16
    """Packed rows a step."""
    row_length: int = 256
    """Tokens a row; documents are packed without padding."""
    muon_rate: float = 0.02
    """Learning rate of Muon, which trains the matrices."""
    adam_rate: float = 2e-3
    """Learning rate of AdamW, which trains embeddings and norms."""
    warmup: int = 40
    cooldown: float = 0.5
    """Share of the steps, at the end, over which the rates fall linearly to zero."""
    hard_share: float = HARD_SHARE
    """Share of the hard operation's documents."""
    late_hard_share: float = 2 * HARD_SHARE
    """The same from step `late_from` on: with less, the base never gets one right."""
    late_from: int = 1000
    hidden: int = 192
    layers: int = 3
    heads: int = 6
    feed_forward: int = 512
