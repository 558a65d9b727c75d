"""Adapters on embeddings that are tied to the output head: the one place where merging makes another model.

Where input embeddings and output head are one tensor (`tie_word_embeddings`), an adapter on either is trained on that
side alone; folded in, it changes the shared tensor and so both sides. The next stage would start up to 200 nats away
from what was trained. So it is refused, before a model is loaded where its shape is known, else before it is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from magistral_recipe.models.config import LoraSettings


def tied_mistake(model: Any, lora: LoraSettings) -> str | None:
    """Say what is wrong with adapters on tied embeddings.

    Args:
        model: a transformers model without adapters; one on the meta device will do.
        lora: what the recipe asks for.

    Returns:
        The mistake in `target_modules`, with its way out; ``None`` where there is none.
    """
    if lora.target_modules == "all-linear":  # PEFT leaves out the head, and embeddings are no linear layer
        return None
    names = _tied_modules(model)
    targeted = [name for name in names if _is_targeted(name, lora.target_modules)]
    if not targeted:
        return None
    others = [name for name in names if name not in targeted]
    shared = f" with {others[0]}" if others else ""
    return (
        f"{', '.join(targeted)} shares its weights{shared} in this model (tie_word_embeddings): an adapter is trained "
        "on one side, and merging it would change both, which is another model. Leave it out (target_modules: "
        "all-linear), or save an untied copy of the model first: from_pretrained(..., tie_word_embeddings=False), with "
        "the head's weights copied from the embeddings"
    )


def retied_mistake(model: Any, saved: Sequence[str]) -> str | None:
    """Say why FSDP can't share out a model of which an adapter trains the embeddings or the head whole.

    PEFT trains a copy of them and leaves what is tied as it was; Accelerate ties anew when it has shared a model out.

    Args:
        model: see `tied_mistake`.
        saved: the adapter's `modules_to_save`.

    Returns:
        The cause; ``None`` where the two are apart, or the adapter has neither.
    """
    if not (named := [name for name in _tied_modules(model) if name.endswith(tuple(saved))]):
        return None
    return (
        f"the adapter trains {' and '.join(named)} whole (modules_to_save), apart from what shares its weights in this "
        "model (tie_word_embeddings), and FSDP would tie the two again"
    )


def _tied_modules(model: Any) -> list[str]:
    """Names of the input embeddings and the output head, where they are one tensor."""
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    # The weights tell, not the config: an image-text model's text config may deny what its own config does.
    if None in ends or ends[0].weight is not ends[1].weight:
        return []
    return [name for name, module in model.named_modules() if any(module is end for end in ends)]


def _is_targeted(name: str, targets: str | list[str]) -> bool:
    from peft import LoraConfig
    from peft.tuners.tuners_utils import check_target_module_exists

    return bool(check_target_module_exists(LoraConfig(target_modules=targets), name))
