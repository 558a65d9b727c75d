"""Which backend samples a run's rollouts: the one asked for, or the fastest of those that this model works with.

Measured (`benchmarks/rollouts.py`): `compiled` is the fastest wherever it works, on a CPU too; on a GPU `continuous`
is next. A backend is believed once it has shown, on a few tokens, that the log-probabilities it draws by are the
model's own: an architecture that does something else with a cache than others do is found before the first batch, not
in the gauge.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from magistral_recipe.errors import RunError
from magistral_recipe.generation.rollouts.compiled import CompiledSampler, compiled_obstacle
from magistral_recipe.generation.rollouts.continuous import ContinuousSampler
from magistral_recipe.generation.rollouts.generate import GenerateSampler
from magistral_recipe.generation.rollouts.interface import Drawing, Sampler
from magistral_recipe.generation.rollouts.names import Backend
from magistral_recipe.sharded import is_sharded

logger = logging.getLogger(__name__)

_GAPS = {torch.float32: 1e-3, torch.float64: 1e-3}
_ROUGH_GAP = 0.1
"""Mean distance in nats a token between a backend and a plain forward pass: rounding in float32, and in 16 bits."""


_KINDS: dict[str, type[Sampler]] = {
    "compiled": CompiledSampler,
    "continuous": ContinuousSampler,
    "generate": GenerateSampler,
}
"""The fastest first."""


def choose_sampler(
    wanted: Backend,
    model: Any,
    drawing: Drawing,
    context: Callable[[], AbstractContextManager[Any]] = nullcontext,
    token_budget: int | None = None,
) -> Sampler:
    """Make a run's sampler.

    Args:
        wanted: a backend's name, or `auto`.
        model: what is sampled from, on its device.
        drawing: how tokens are drawn.
        context: see `Sampler`.
        token_budget: most tokens of keys and values at once; ``None`` for as many as there are.

    Returns:
        The sampler. What was chosen is logged, and why not something faster.

    Raises:
        RunError: if the backend asked for does not work with this model.
    """
    names = [wanted] if wanted != "auto" else ["compiled", "generate"]
    if wanted == "auto" and _base(model).device.type == "cuda":
        names.insert(1, "continuous")
    refused: list[str] = []
    for name in names:
        kind = _KINDS[name]
        obstacle = None if name == "generate" else _obstacle(kind, model, drawing, context)
        if obstacle is None:
            why = "as asked for" if wanted != "auto" else "the fastest that was measured of what works with this model"
            logger.info("rollouts are sampled by %s, %s", name, why)
            if refused:
                logger.warning("rollouts are sampled by %s, since %s", name, "; ".join(refused))
            return kind(model, drawing, context, token_budget)
        refused.append(f"{name} does not work with this model: {obstacle}")
    raise RunError(f"rollouts.backend: {refused[0]}; generate does")


def _base(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _obstacle(
    kind: type[Sampler], model: Any, drawing: Drawing, context: Callable[[], AbstractContextManager[Any]]
) -> str | None:
    if is_sharded(_base(model)):
        return "its weights are shared out (FSDP)"
    if drawing.others:
        return f"it has no {', '.join(drawing.others)}"
    if kind is CompiledSampler and (found := compiled_obstacle(_base(model))):
        return found
    return disagreement(kind(model, drawing, context))


def disagreement(sampler: Sampler) -> str | None:
    """Hold a sampler's log-probabilities against a plain forward pass over what it wrote.

    Args:
        sampler: used up.

    Returns:
        What is wrong with them; ``None`` where they agree.
    """
    base = sampler.base
    vocabulary = base.get_input_embeddings().num_embeddings
    prompts = [[(7 * place + 3 * length + 1) % vocabulary for place in range(length)] for length in (1, 6, 11, 6)]
    limits = [5, 4, 6, 1]
    allowed = _GAPS.get(base.dtype, _ROUGH_GAP)
    gaps = []
    try:
        for sample in [done for batch in sampler.sample(prompts, limits, seed=0) for done in batch]:
            prompt = prompts[sample.row]
            ids = torch.tensor([[*prompt, *sample.ids]], device=base.device)
            with sampler.reading():
                logits = base(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
                if torch.is_autocast_enabled(base.device.type):
                    allowed = _ROUGH_GAP
            logps = (logits / (sampler.drawing.temperature or 1.0)).log_softmax(-1)
            known = logps.gather(1, ids[0, len(prompt) :, None]).squeeze(1).tolist()
            gaps += [abs(one - other) for one, other in zip(known, sample.logps, strict=True)]
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever an architecture does that a static cache does not know
        return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0]}"
    finally:
        sampler.close()
    gap = sum(gaps) / max(len(gaps), 1)
    if not gap <= allowed:
        return f"its log-probabilities are {gap:.3g} nats a token away from the model's own"
    return None
