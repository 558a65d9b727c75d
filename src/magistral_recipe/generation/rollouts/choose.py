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
from magistral_recipe.generation.rollouts.generate import GenerateSampler
from magistral_recipe.generation.rollouts.interface import Drawing, Sampler
from magistral_recipe.generation.rollouts.names import Backend

logger = logging.getLogger(__name__)

_GAPS = {torch.float32: 1e-3, torch.float64: 1e-3}
_ROUGH_GAP = 0.1
"""Mean distance in nats a token between a backend and a plain forward pass: rounding in float32, and in 16 bits."""


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
    if wanted == "generate":
        return GenerateSampler(model, drawing, context, token_budget)
    obstacle = _compiled_obstacle(model, drawing, context)
    if obstacle is None:
        logger.info("rollouts: compiled%s", "" if wanted == "compiled" else ", the fastest that was measured")
        return CompiledSampler(model, drawing, context, token_budget)
    if wanted == "compiled":
        raise RunError(f"rollouts.backend: compiled does not work with this model: {obstacle}; generate does")
    logger.warning("rollouts: generate, since compiled does not work with this model: %s", obstacle)
    return GenerateSampler(model, drawing, context, token_budget)


def _compiled_obstacle(model: Any, drawing: Drawing, context: Callable[[], AbstractContextManager[Any]]) -> str | None:
    if drawing.others:
        return f"it has no {', '.join(drawing.others)}"
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return compiled_obstacle(base) or disagreement(CompiledSampler(model, drawing, context))


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
    gaps = []
    try:
        for sample in [done for batch in sampler.sample(prompts, limits, seed=0) for done in batch]:
            prompt = prompts[sample.row]
            ids = torch.tensor([[*prompt, *sample.ids]], device=base.device)
            with sampler.reading():
                logits = base(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
            logps = (logits / (sampler.drawing.temperature or 1.0)).log_softmax(-1)
            known = logps.gather(1, ids[0, len(prompt) :, None]).squeeze(1).tolist()
            gaps += [abs(one - other) for one, other in zip(known, sample.logps, strict=True)]
        sampler.close()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever an architecture does that a static cache does not know
        return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0]}"
    gap = sum(gaps) / len(gaps)
    if not gap <= _GAPS.get(base.dtype, _ROUGH_GAP):
        return f"its log-probabilities are {gap:.3g} nats a token away from the model's own"
    return None
