"""A model behind an OpenAI-compatible endpoint, as a recipe names it. Light to import."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag, field_validator

from magistral_recipe.schema import StrictModel

CONCURRENCY = 8
OURS = ("model", "messages", "prompt", "n", "stream")
"""What a request always says by itself."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class EndpointConfig(StrictModel):
    """A model that is asked over HTTP, by the protocol of OpenAI's chat completions (vLLM, SGLang, llama.cpp, …)."""

    endpoint: str
    """Its address up to the version, such as `http://localhost:8000/v1`."""
    name: str = Field(min_length=1)
    """The model's name there."""
    key: str | None = None
    """Name of the environment variable that holds the key; the key itself stands nowhere."""
    concurrency: int = Field(CONCURRENCY, ge=1, le=1024)
    """Requests under way at once, one a sample."""
    max_requests: int | None = Field(None, ge=1)
    """Requests that a start of the stage may send, those that are tried again included; then it stops, and the same
    command goes on with as many more."""
    max_tokens_total: int | None = Field(None, ge=1)
    """Tokens that a start of the stage may take, of prompts and completions, as the endpoint counts them; what is under
    way then is still taken."""
    timeout: float = Field(1800.0, gt=0)
    """Seconds that one request may take from its beginning to the last byte of its answer."""
    retries: int = Field(6, ge=0)
    """How often a request without a usable answer is tried again, after 1, 2, 4, … seconds, or as the endpoint asks."""
    system_prompt: str | None = None
    """A system prompt for this model alone, or `none`; by default the recipe's."""
    body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of each request; null leaves one out, as `{seed: null}` where an endpoint refuses seeds."""

    @field_validator("endpoint")
    @classmethod
    def _address(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            parts.port  # noqa: B018  (raises)
        except ValueError as error:
            raise ValueError(f"not an address: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an address such as http://localhost:8000/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("expected an address alone: a key belongs into the environment (`key` names the variable)")
        return value.rstrip("/").removesuffix("/chat/completions")

    @field_validator("key")
    @classmethod
    def _variable(cls, value: str | None) -> str | None:
        if value is not None and not _VARIABLE.fullmatch(value):
            raise ValueError("expected the name of an environment variable, which holds the key")
        return value

    @field_validator("body")
    @classmethod
    def _no_field_of_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := [name for name in OURS if name in value]:
            raise ValueError(f"{', '.join(taken)}: set by what is asked, not here")
        return value

    def __str__(self) -> str:
        """The model and where it is, for people."""
        return f"{self.name} at {urlsplit(self.endpoint).netloc}"


COSTS = ("endpoint", "key", "concurrency", "max_requests", "max_tokens_total", "timeout", "retries")
"""Keys of an endpoint that change nothing about a completion: where the model is, and what may be spent on it."""


def _kind(value: Any) -> str:
    return "a name" if isinstance(value, str) else "an endpoint"


ModelName = Annotated[
    Annotated[str, Tag("a name")] | Annotated[EndpointConfig, Tag("an endpoint")], Discriminator(_kind)
]
"""A model that samples: the stage that made it, `base`, or an endpoint."""


def name_of(model: str | EndpointConfig | None) -> str | None:
    """The name of a model of the chain; ``None`` for an endpoint, and where none is named."""
    return model if isinstance(model, str) else None
