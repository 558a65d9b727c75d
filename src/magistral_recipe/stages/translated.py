"""The `translate` section of a `curate` stage."""

from __future__ import annotations

from pydantic import Field, field_validator

from magistral_recipe.curation.defaults import LANGUAGE_NAMES, TRANSLATED_SHARE
from magistral_recipe.generation.endpoint.config import ModelName
from magistral_recipe.stages.drawn import SamplingKeys
from magistral_recipe.suggest import did_you_mean


class TranslateOptions(SamplingKeys):
    """English problems in other languages."""

    languages: list[str] = Field(default_factory=lambda: ["fr", "es", "it", "de", "zh", "ru"], min_length=1)
    """Languages that each chosen problem is put into (the paper: these six, §2.2.4)."""
    share: float = Field(TRANSLATED_SHARE, gt=0, le=1)
    """Share of the English problems that is translated."""
    model: ModelName | None = None
    """What translates: a stage whose model it is, `base`, or an endpoint; by default what rates the problems, else the
    last model before this stage."""
    samples: int = Field(1, ge=1)
    """Texts drawn of each problem and language; the first that holds is kept."""
    temperature: float = Field(0.3, ge=0)
    """Sampling temperature."""
    max_new_tokens: int = Field(4096, ge=1)
    """Where a text is cut, in tokens; what is cut is no translation."""
    solve_samples: int | None = Field(None, ge=1)
    """Samples of each translation by `difficulty`'s model, which must solve it once where it solves at least half of as
    many of the original; null leaves it out."""

    @field_validator("languages")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in LANGUAGE_NAMES:
                raise ValueError(f"'{name}' is no language to translate into.{did_you_mean(name, LANGUAGE_NAMES)}")
        if len(set(value)) < len(value):
            raise ValueError("a language stands there twice")
        return value
