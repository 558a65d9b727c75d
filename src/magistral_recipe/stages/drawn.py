"""The keys by which a stage that makes data has a model draw samples."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from magistral_recipe.schema import StrictModel


class SamplingKeys(StrictModel):
    """How samples are drawn of each problem."""

    samples: int = Field(8, ge=1)
    """Completions a problem."""
    temperature: float = Field(0.7, ge=0)
    """Sampling temperature."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus sampling."""
    max_new_tokens: int = Field(32_768, ge=1)
    """Where a completion is cut, in tokens."""
    tokens_per_batch: int = Field(65_536, ge=1)
    """Prompt and completion tokens generated at once: what the memory holds."""
    backend: Literal["hf", "vllm"] = "hf"
    """What generates: transformers, or vLLM where it is installed."""
