"""What an endpoint may cost: requests and tokens, counted as they are spent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Budget:
    """Counts what is spent, and says when nothing more may be begun.

    Attributes:
        max_requests: requests that may be sent; ``None`` for any number.
        max_tokens: tokens of prompts and completions that may be taken.
        requests: sent.
        again: of these, those that were tried again.
        tokens: taken.
    """

    max_requests: int | None = None
    max_tokens: int | None = None
    requests: int = 0
    again: int = 0
    tokens: int = 0

    @property
    def spent(self) -> str | None:
        """Which limit is reached, by its key and number; ``None`` while more may be sent."""
        if self.max_requests is not None and self.requests >= self.max_requests:
            return f"max_requests ({self.max_requests:,})"
        if self.max_tokens is not None and self.tokens >= self.max_tokens:
            return f"max_tokens_total ({self.max_tokens:,})"
        return None

    def line(self) -> str:
        """Say what was spent."""
        tried = f" ({self.again:,} tried again)" if self.again else ""
        return f"{self.requests:,} requests{tried}, {self.tokens:,} tokens"
