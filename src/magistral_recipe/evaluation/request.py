"""All that an evaluation was asked for, as the result file keeps it: enough to repeat the run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from magistral_recipe.data.sources import ProblemsSource
from magistral_recipe.evaluation.evaluate import EvaluationSettings
from magistral_recipe.models.load import ModelConfig
from magistral_recipe.schema import StrictModel
from magistral_recipe.writing.chat_format import ChatFormat
from magistral_recipe.writing.thinking import Thinking

Backend = Literal["hf", "vllm"]


class EvaluationRequest(StrictModel):
    """One model, one set of problems, one way of drawing."""

    model: ModelConfig
    """The model, or the base that it was made from."""
    weights: str | None = None
    """The folder of a model that a stage made from it."""
    thinking: tuple[str, str] = ("<think>", "</think>")
    """The tags between thoughts and answer."""
    system_prompt: str | None = None
    """A named system prompt or a text; none by default."""
    template: str | None = None
    """The chat template: the package's, `tokenizer`, or a file."""
    problems: ProblemsSource
    """Where the problems come from."""
    base: str = "."
    """The folder that relative paths start from."""
    settings: EvaluationSettings = Field(default_factory=EvaluationSettings)
    """What is drawn, and how."""
    backend: Backend = "hf"
    """What generates."""

    @property
    def model_path(self) -> str:
        """Where the weights are."""
        return self.weights or self.model.path

    @property
    def chat(self) -> ChatFormat:
        """How problems are put to the model."""
        return ChatFormat(Thinking(*self.thinking), self.system_prompt, self.template)
