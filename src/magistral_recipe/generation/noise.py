"""Sampling noise that belongs to a token, not to a process.

One uniform number decides one token. It is a function of (seed, problem id, sample number, position) and of
nothing else, so that a sample comes out the same in any batch, on any shard, after any restart, and no global
random state is read or moved.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray

_BYTES = 8


def uniforms(seed: int, id: str, sample: int, count: int) -> NDArray[np.float64]:
    """Return the first ``count`` numbers of a sample's noise.

    SHAKE-256 is a stream: asking for more positions never changes the earlier ones.

    Args:
        seed: the run's seed.
        id: the problem's id.
        sample: the sample's number.
        count: positions wanted, one a token.

    Returns:
        Shape ``[count]``, in [0, 1), with 53 random bits each.
    """
    # The id stands last because it alone may contain the separator.
    stream = hashlib.shake_256(f"{seed}\0{sample}\0{id}".encode()).digest(count * _BYTES)
    return (np.frombuffer(stream, dtype="<u8") >> np.uint64(11)).astype(np.float64) * 2.0**-53


def pick(logits: torch.Tensor, noise: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """Draw one token a row by inverting the cumulated distribution.

    Args:
        logits: shape ``[B, V]``, float.
        noise: shape ``[B]``, uniform in [0, 1), float64.
        temperature: above 0.
        top_p: the nucleus kept before drawing; the most likely token always stays.

    Returns:
        Token ids, shape ``[B, 1]``.

    B = batch, V = vocabulary.
    """
    probabilities = torch.softmax(logits.float() / temperature, dim=-1)
    if top_p < 1:
        ordered, order = probabilities.sort(dim=-1, descending=True)
        # A token leaves the nucleus when those before it already hold the share.
        outside = ordered.cumsum(dim=-1) - ordered >= top_p
        probabilities = probabilities.scatter(1, order, ordered.masked_fill(outside, 0.0))
    cumulated = probabilities.to(noise.dtype).cumsum(dim=-1)
    # right=True finds the first strictly larger sum, which a token of probability 0 can never be.
    chosen = torch.searchsorted(cumulated, noise[:, None] * cumulated[:, -1:], right=True)
    return chosen.clamp_max(logits.shape[-1] - 1)
