"""The keys by which a stage that makes data has a model draw samples, and what is said of the model itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from magistral_recipe.generation.endpoint.config import COSTS, EndpointConfig
from magistral_recipe.recipe.sections import Draws, Mistakes, Recipe
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

    def drawing(self, problems: str, section: str = "") -> Draws:
        """Say what a model on this machine writes.

        Args:
            problems: the set that it solves.
            section: where these keys stand in their stage; the stage itself by default.
        """
        names = ("samples", "temperature", "top_p", "max_new_tokens")
        sampling = {**{name: getattr(self, name) for name in names}, "greedy": False}
        return Draws(problems, sampling, self.backend, self.tokens_per_batch, section)

    def vllm_mistakes(self, recipe: Recipe, *path: str) -> Mistakes:
        """Find why vLLM can't write with the recipe's model.

        Args:
            recipe: the recipe; its model may not hold itself.
            path: of the section in the stage.
        """
        if self.backend == "vllm" and recipe.model:
            from magistral_recipe.generation.vllm import quantization_mistake

            if mistake := quantization_mistake(recipe.model.quantization):
                yield (*path, "backend"), mistake


def costs_of(section: str = "") -> Iterator[str]:
    """The keys of a sampling section that change no sample: what it takes, and what may be spent.

    Args:
        section: where it stands in its stage, dotted; the stage itself by default.
    """
    lead = f"{section}." if section else ""
    yield f"{lead}tokens_per_batch"
    yield from (f"{lead}model.{name}" for name in COSTS)


def key_warnings(model: str | EndpointConfig | None, *path: str) -> Mistakes:
    """Say that an endpoint's key isn't there yet.

    Args:
        model: what samples.
        path: of its key in the stage.
    """
    if isinstance(model, EndpointConfig) and model.key and not os.environ.get(model.key):
        yield (*path, "key"), f"the environment has no {model.key}: the stage will stop there"
