"""What a configuration and a plan know of the backends, who import no more than this."""

from __future__ import annotations

from typing import Literal, get_args

Backend = Literal["auto", "generate", "compiled", "continuous"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
Source = Literal[Backend, "vllm"]

Weights = Literal["copy", "trained"]
WEIGHTS: tuple[Weights, ...] = get_args(Weights)
"""What is sampled from without vLLM."""

KEPT_SHARE = 16
"""Between rounds `compiled` keeps a cache of at most this part of a GPU's memory, and the graphs that point into it."""
