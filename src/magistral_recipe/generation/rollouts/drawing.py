"""One token a row from its logits: the row's own noise decides, so that neither batch nor backend does.

The noise is that of `generation.noise`: a function of (seed, row, position). The token is the one at which the
cumulated distribution passes the noise. To find it, the vocabulary is summed in blocks first; only the block that is
hit is summed token by token, in float64, so that a vocabulary of 150,000 costs no more than reading it once.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from magistral_recipe.generation.noise import uniforms

_BLOCK = 256


class Draw:
    """Draws tokens, and says how likely each was.

    Args:
        temperature: divides the logits; 0 takes the likeliest token.
    """

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def __call__(self, logits: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Draw one token a row.

        Args:
            logits: `[B, V]`.
            noise: `[B]`, uniform in [0, 1); not read where the temperature is 0.

        Returns:
            Token ids and their log-probabilities, each `[B]`. No call waits for the device.

        B = batch, V = vocabulary.
        """
        scores = logits.float() / self.temperature if self.temperature else logits.float()
        logps = scores.log_softmax(-1)
        tokens = invert(logps.exp(), noise) if self.temperature else scores.argmax(-1)
        return tokens, logps.gather(1, tokens[:, None]).squeeze(1)


def invert(probabilities: Tensor, noise: Tensor) -> Tensor:
    """Find where the cumulated distribution passes the noise.

    Args:
        probabilities: `[B, V]`, float32, at least one above 0 in each row; they need not add up to 1.
        noise: `[B]`, uniform in [0, 1).

    Returns:
        Token ids, `[B]`, none with probability 0.
    """
    size = probabilities.shape[1]
    blocks = functional.pad(probabilities, (0, -size % _BLOCK)) if size % _BLOCK else probabilities
    blocks = blocks.view(len(blocks), -1, _BLOCK)
    sums = blocks.sum(-1, dtype=noise.dtype)
    cumulated = sums.cumsum(-1)
    target = noise[:, None] * cumulated[:, -1:]
    # right=True finds the first strictly larger sum, which a block or token of probability 0 can never be.
    block = torch.searchsorted(cumulated, target, right=True).clamp_max(sums.shape[1] - 1)
    inside = blocks.gather(1, block[:, :, None].expand(-1, 1, _BLOCK)).squeeze(1).to(noise.dtype).cumsum(-1)
    # The two sums of a block may differ in their last bits: what is left must lie inside it.
    left = target - (cumulated.gather(1, block) - sums.gather(1, block))
    left = torch.minimum(left, inside[:, -1:] * (1 - 4 * torch.finfo(noise.dtype).eps))
    token = block * _BLOCK + torch.searchsorted(inside, left, right=True)
    return token.squeeze(1).clamp_max(size - 1)


def noise_table(seed: int, limits: list[int], rows: list[int], device: torch.device) -> Tensor:
    """The noise of a round.

    Args:
        seed: the round's.
        limits: most tokens of each row.
        rows: each one's place in the round, over all processes.
        device: where it goes.

    Returns:
        `[len(rows), max(limits)]`, float64, on Apple's GPUs float32; beyond a row's own limit 0.
    """
    table = np.zeros((len(rows), max(limits)))
    for place, (row, limit) in enumerate(zip(rows, limits, strict=True)):
        table[place, :limit] = uniforms(seed, "", row, limit)
    precise = torch.float32 if device.type == "mps" else torch.float64
    return torch.from_numpy(table).to(device=device, dtype=precise)
