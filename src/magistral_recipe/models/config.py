"""A model as a recipe names it: path, precision, quantization, adapters. Light to import."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from magistral_recipe.models.precision import Dtype, full_training_mistake
from magistral_recipe.schema import StrictModel, without_unset


class LoraSettings(StrictModel):
    """Low-rank adapters instead of full fine-tuning."""

    r: int = Field(16, ge=1)
    """Rank of the adapters."""
    alpha: int = Field(32, ge=1)
    """Scale of the update: it is multiplied by `alpha / r`."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout on the adapters' input; above 0, RL's ratios are noisy from the first step."""
    target_modules: str | list[str] = "all-linear"
    """Layers that get an adapter: `all-linear` (all but the output head), or names of modules."""
    handover: Literal["merge", "carry"] = "merge"
    """What the next stage gets: `merge` folds the adapter into the weights, `carry` goes on training it. On quantized
    weights a merged model is quantized again, which moves it a little at every stage; `carry` loses nothing."""


class ModelConfig(StrictModel):
    """The base model, its precision, and whether adapters or all weights are trained."""

    path: str = Field(min_length=1)
    """A hub id, a folder (of a model, or of a LoRA adapter), a GGUF file, `package:module/file.gguf`, or `tiny` (the
    embedded model)."""
    adapter: Literal["attach", "merge"] = "attach"
    """Where `path` is the folder of an adapter: `attach` goes on training it, `merge` folds it into its base first, and
    what is trained is a new adapter (`lora`) or all weights."""
    revision: str | None = None
    """Branch, tag or commit on the hub."""
    dtype: Dtype = "float32"
    """Precision of the weights. Full fine-tuning needs float32 (on a GPU with bfloat16 the trainer computes in it by
    itself); frozen weights under LoRA can be bfloat16 or float16. `models/precision.py` has all the rules."""
    quantization: Literal["none", "int8", "nf4"] = "none"
    """bitsandbytes quantization of the frozen weights under LoRA."""
    lora: LoraSettings | None = None
    """Adapters; without it all weights are trained."""
    attn_implementation: str | None = None
    """transformers' attention kernel (`sdpa`, `flash_attention_2`, …); by default its own choice."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model."""

    @model_serializer(mode="wrap")
    def _as_known(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what an earlier version knew as it wrote it: the fingerprints of its runs are made of this."""
        return without_unset(handler(self), {"adapter": "attach"})

    @model_validator(mode="after")
    def _possible(self) -> ModelConfig:
        if self.is_gguf and self.quantization != "none":
            raise ValueError(
                f"a GGUF file can't be loaded with quantization {self.quantization!r}: it is dequantised on loading; "
                "save it as a folder first (`save_model`), or set quantization: none"
            )
        if self.is_gguf and self.lora is not None and self.lora.handover == "carry":
            raise ValueError("PEFT can't load an adapter on top of a GGUF file: set lora.handover: merge")
        return self

    def believed(self, trust_remote_code: bool) -> ModelConfig:
        """This section, as far as it is to be believed where it comes from what is looked at and not from a person.

        Args:
            trust_remote_code: a person's word that code may run; an attention kernel of the hub (`owner/name`) is code.
        """
        kernel = self.attn_implementation
        update = {
            "trust_remote_code": trust_remote_code,
            "attn_implementation": kernel if trust_remote_code or "/" not in (kernel or "") else None,
        }
        return self.model_copy(update=update)

    @property
    def is_gguf(self) -> bool:
        """Whether the path names a GGUF file."""
        return self.path.lower().endswith(".gguf")

    def training_mistakes(self) -> list[tuple[str, str]]:
        """Find what makes this config unfit for training: (key, message) pairs, empty when it is fit."""
        if self.quantization != "none" and self.lora is None:
            return [("quantization", f"{self.quantization} weights can't be trained themselves: add `lora:`")]
        mistake = full_training_mistake(self.dtype) if self.lora is None else None
        return [("dtype", mistake)] if mistake else []
