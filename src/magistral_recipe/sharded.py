"""Models that several processes hold in parts (FSDP 2): a weight whole, all of them in a plain model, and back.

What is whole is gathered, a step that every process must take: each function here is called by all of them, and goes
through the weights in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from magistral_recipe.errors import RunError

if TYPE_CHECKING:
    from torch import Tensor, nn

_WRAPPERS = ("_orig_mod.", "_checkpoint_wrapped_module.")
"""What `torch.compile` and FSDP's own activation checkpointing put into the names of weights."""


def is_sharded(model: nn.Module) -> bool:
    """Whether a process holds a part of a model's weights alone, as under FSDP."""
    return any(map(in_parts, model.parameters()))


def in_parts(value: Tensor) -> bool:
    """Whether a process holds a part of a tensor alone: it is a DTensor."""
    return hasattr(value, "full_tensor")


def whole(value: Tensor) -> Tensor:
    """A tensor as it is on one device: gathered where FSDP has sharded it."""
    gathered: Tensor = value.full_tensor() if in_parts(value) else value  # type: ignore[attr-defined]
    return gathered


def put(value: Tensor, parameter: Tensor) -> None:
    """Copy a whole tensor into a weight; into each process's part of one that is sharded."""
    import torch

    value = value.to(parameter.device, parameter.dtype)
    if in_parts(parameter):
        from torch.distributed.tensor import distribute_tensor

        # All have the value: nothing is sent.
        value = distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)
    with torch.no_grad():
        parameter.copy_(value)


def gather_into(plain: nn.Module | None, model: nn.Module) -> None:
    """Copy a sharded model's weights into a plain one, a tensor at a time.

    Args:
        plain: of the same shape, on any device; ``None`` in the processes that only send their parts.
        model: the sharded one.

    Raises:
        RunError: the two have other weights.
    """
    own = dict(_named(plain)) if plain is not None else {}
    left = set(own)
    for name, tensor in _named(model):
        value = whole(tensor.detach())
        if plain is None:
            continue
        if name not in own or own[name].shape != value.shape:
            raise RunError(f"a sharded weight has no place in the model that is to take it: {name}")
        own[name].data.copy_(value)
        left.discard(name)
    if left:
        raise RunError(f"the sharded model has no weight {min(left)} ({len(left)} in all)")


def generate_in_step(model: nn.Module) -> None:
    """Let a sharded model's `generate` go on in each process until all have ended: every token takes all of them.

    transformers does so for the models that it shards itself, and knows none of Accelerate's.
    """
    for module in model.modules():
        if hasattr(type(module), "generate"):
            module._is_fsdp_managed_module = True  # type: ignore[assignment]


def read_head_whole(model: nn.Module) -> None:
    """Have a model's output head gathered whenever its layers have run; call it before FSDP shares the model out.

    FSDP gathers weights when their module is called, and takes the mean of the processes' gradients of what it has
    gathered. TRL reads the head's weight without a call (`add_fused_lm_head`). Accelerate gathers the head along with
    the last norm, where it finds one: not in an image-text model, nor below an adapter. TRL then gathers the weight
    itself, and each process is left with its own gradient of its part, not the mean.

    Args:
        model: of transformers, or a `PeftModel` around one; nothing changes in one that is never shared out.
    """
    base: Any = model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]

    def gather(*_: Any) -> None:
        head = base.get_output_embeddings()
        if hasattr(head, "unshard"):
            head.unshard()

    base.base_model.register_forward_hook(gather)


def least(number: int) -> int:
    """The smallest of the processes' numbers."""
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return number
    numbers: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(numbers, number)
    return min(numbers)


def _named(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Weights, tied ones once, and the buffers that are saved with them."""
    for name, parameter in model.named_parameters():
        yield _plain_name(name), parameter
    kept = model.state_dict().keys()
    for name, buffer in model.named_buffers():
        if name in kept:
            yield _plain_name(name), buffer


def _plain_name(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    return name
