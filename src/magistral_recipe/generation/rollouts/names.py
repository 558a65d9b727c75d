"""The backends' names, for configurations, which import no more than these."""

from __future__ import annotations

from typing import Literal, get_args

Backend = Literal["auto", "generate", "compiled", "continuous"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
