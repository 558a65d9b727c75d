"""What rollouts without vLLM hold beside the weights that train: their copy, and the cache that is kept."""

from __future__ import annotations

import functools
from typing import Any

from magistral_recipe import lora
from magistral_recipe.check.memory.case import Case, rollout_batch
from magistral_recipe.check.memory.dry_run import Trained
from magistral_recipe.check.memory.generation import cache_bytes_a_token
from magistral_recipe.generation.rollouts.names import KEPT_SHARE
from magistral_recipe.models.config import LoraSettings
from magistral_recipe.models.load import add_lora
from magistral_recipe.models.precision import BYTES
from magistral_recipe.models.shape import empty_model
from magistral_recipe.stages.grpo import GrpoStage


def samples_itself(case: Case) -> bool:
    """Whether a stage samples its rollouts, not vLLM."""
    return isinstance(case.stage, GrpoStage) and not case.arguments.get("use_vllm") and case.sharding is None


def copy_bytes(case: Case) -> float:
    """Bytes of the rollout copy: what has another type than in training, and what an adapter is folded into."""
    copied = case.model.quantization == "none" and case.arguments.get("rollout_weights", "copy") == "copy"
    if not samples_itself(case) or not copied:
        return 0.0
    trained = case.trained()
    sampled = trained.autocast if case.device.gpu and trained.autocast else trained.dtype
    whole, adapted = _numbers(trained)
    return BYTES[sampled] * (whole if sampled != trained.dtype else adapted)


def kept_cache_bytes(case: Case) -> float:
    """Bytes of keys and values that the compiled backend keeps from round to round, for its captured graphs."""
    if not samples_itself(case) or not case.device.gpu:
        return 0.0
    if case.arguments.get("rollout_backend", "auto") not in ("auto", "compiled"):
        return 0.0
    cache = cache_bytes_a_token(case.trained()) * rollout_batch(case).tokens
    return cache if cache * KEPT_SHARE <= case.device.total else case.device.total / KEPT_SHARE


@functools.lru_cache(maxsize=32)
def _numbers(trained: Trained) -> tuple[int, int]:
    """How many weights a model has, and how many of them an adapter is on."""
    model: Any = empty_model(trained.shape)
    whole = sum(parameter.numel() for parameter in model.parameters())
    if trained.lora is None:
        return whole, 0
    adapted = add_lora(model, LoraSettings.model_validate_json(trained.lora)).get_base_model()
    return whole, sum(layer.get_base_layer().weight.numel() for layer in lora.layers(adapted))
