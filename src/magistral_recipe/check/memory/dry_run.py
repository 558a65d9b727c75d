"""A dry run of a training pass: real model, adapters, checkpointing, autocast and fused head on tensors without data.

Under `FakeTensorMode` every operation gives tensors of the right shape and type that take no memory; `LiveStorages`
counts what they would take. What depends on depth is measured at two depths and extended to the whole: layers are
alike, so each moment of a pass grows by one layer's share a layer. On a GPU the head's tiles are folded by Triton
kernels, which make no tensors: here they are left out, as are temporaries of float32 sums, which CUDA does not need.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from magistral_recipe.check.memory.live import LiveStorages
from magistral_recipe.check.memory.optimizer import TrainedTensor
from magistral_recipe.check.memory.quantized import quantize_layers
from magistral_recipe.check.memory.stand_ins import LOGPROBS, counted_head, quiet, readable, without_packing
from magistral_recipe.models.architecture import freeze_other_parts
from magistral_recipe.models.config import LoraSettings
from magistral_recipe.models.load import add_lora
from magistral_recipe.models.precision import Dtype, adapter_dtype
from magistral_recipe.models.shape import empty_model

WEIGHTS, ADAPTERS, GRADIENTS = "weights", "adapters", "gradients"
ACTIVATIONS = "activations"
DEPTHS = (2, 3)
"""Layers of the two models that are run. Two is the least that has a top layer and others below it."""


@dataclass(frozen=True)
class Trained:
    """A model as a trainer has it: all that decides its memory but the pass.

    Attributes:
        shape: its transformers config.
        key: the config as text, by which runs are remembered.
        dtype: of the weights.
        quantization: `none`, `int8`, `nf4`.
        lora: adapters as JSON; ``None`` where all weights are trained, or none.
        autocast: the type that matrix products are computed in; ``None`` for the weights' own.
        checkpointing: whether activations are recomputed.
        reentrant: the older way of doing so.
        head_float32: TRL's `cast_lm_head_to_fp32`.
        reference_adapter: a frozen copy of the adapters is kept, for the KL term.
        gpu: whether it runs on one.
        eager: attention without a fused kernel.
    """

    shape: Any = field(compare=False, repr=False)
    key: str
    dtype: Dtype
    quantization: str = "none"
    lora: str | None = None
    autocast: Dtype | None = None
    checkpointing: bool = True
    reentrant: bool = False
    head_float32: bool = False
    reference_adapter: bool = False
    gpu: bool = True
    eager: bool = False

    @property
    def layers(self) -> int:
        """How many layers the model has."""
        return int(self.shape.get_text_config().num_hidden_layers)


@dataclass(frozen=True)
class Pass:
    """One forward and backward pass.

    Attributes:
        rows: sequences.
        width: tokens of each, padding included.
        dense_mask: attention is given a mask `[rows, 1, width, width]`: padded or packed rows without FlashAttention.
        outputs: what the fused head computes besides log-probabilities.
        accumulates: gradients of an earlier pass of the same step are there already.
    """

    rows: int
    width: int
    dense_mask: bool = False
    outputs: tuple[str, ...] = ("log_probs", "entropy")
    accumulates: bool = True

    @property
    def tokens(self) -> int:
        """Tokens of the pass, padding included."""
        return self.rows * self.width


@dataclass(frozen=True)
class Measured:
    """What one pass took at one depth, in bytes.

    Attributes:
        layers: the depth.
        held: weights and adapters.
        trained: each trained tensor.
        peaks: for each phase of the pass what was alive at its highest point, by label.
    """

    layers: int
    held: Mapping[str, int]
    trained: tuple[TrainedTensor, ...]
    peaks: Mapping[str, Mapping[str, int]]

    @property
    def gradients(self) -> int:
        """Bytes of all gradients, which have the type of what is trained."""
        return sum(tensor.numbers * tensor.itemsize for tensor in self.trained)


@dataclass(frozen=True)
class DryRun:
    """A pass at two depths (or at the model's own), and what follows for the whole model.

    Attributes:
        runs: one or two depths.
        layers: the whole model's.
    """

    runs: tuple[Measured, ...]
    layers: int

    def whole(self, value: Callable[[Measured], float]) -> float:
        """Extend a quantity that grows by the same amount a layer to the whole model."""
        first, last = self.runs[0], self.runs[-1]
        low, high = value(first), value(last)
        return (
            high if first is last else low + (self.layers - first.layers) * (high - low) / (last.layers - first.layers)
        )

    def phases(self) -> dict[str, dict[str, float]]:
        """What is alive at the highest point of each phase, by label, without the optimizer's states."""
        labels = sorted({label for run in self.runs for peak in run.peaks.values() for label in peak})
        return {phase: {label: self.whole(_at(phase, label)) for label in labels} for phase in self.runs[-1].peaks}

    def peak(self) -> dict[str, float]:
        """What is alive at the pass's highest point, by label, without the optimizer's states."""
        return max(self.phases().values(), key=lambda parts: sum(parts.values()))

    def chunk(self) -> float:
        """What the fused head makes at most, in bytes; it need not be alive at the highest point."""
        return max(parts.get(LOGPROBS, 0.0) for parts in self.phases().values())


def _at(phase: str, label: str) -> Callable[[Measured], float]:
    return lambda run: run.peaks.get(phase, {}).get(label, 0)


def dry_run(trained: Trained, spec: Pass, depths: tuple[int, ...] | None = None) -> DryRun:
    """Run a training pass on tensors without data.

    Args:
        trained: the model.
        spec: the pass.
        depths: layers of the models that are run; by default two, or the model's own where its layers differ.

    Returns:
        What it takes.
    """
    chosen = depths or depths_of(trained.shape)
    return DryRun(tuple(_measured(trained, spec, layers) for layers in chosen), trained.layers)


def depths_of(shape: Any) -> tuple[int, ...]:
    """The depths to run a model at: its own where it is shallow or its layers are not alike."""
    text = shape.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ("same",))
    mixed = (
        len(kinds) > 1
        or bool(getattr(text, "mlp_only_layers", None))
        or bool(getattr(text, "first_k_dense_replace", 0))
    )
    return (text.num_hidden_layers,) if mixed or text.num_hidden_layers <= DEPTHS[-1] else DEPTHS


@functools.lru_cache(maxsize=256)
def _measured(trained: Trained, spec: Pass, layers: int) -> Measured:
    with quiet(), readable():
        model = build(trained, layers)
        with FakeTensorMode(), without_packing(), LiveStorages() as live:
            materialize(model)
            return measure_pass(model, trained, spec, live, layers)


# ------------------------------------------------------------------------------------------------------- the model


def build(trained: Trained, layers: int) -> Any:
    """Build a model as the trainer gets it, on the meta device.

    Args:
        trained: the model.
        layers: its depth.

    Returns:
        A transformers model, or a `PeftModel` around one.
    """
    shape = cut(trained.shape, layers)
    model = empty_model(shape, trained.dtype, attn_implementation="eager" if trained.eager else "sdpa")
    if trained.quantization != "none":
        quantize_layers(model, trained.quantization, getattr(torch, trained.dtype))
    if trained.head_float32:
        model.get_output_embeddings().float()
    if trained.lora is None:
        freeze_other_parts(model)
        return model
    wrapped = add_lora(model, LoraSettings.model_validate_json(trained.lora))
    if trained.reference_adapter:
        wrapped.add_adapter("ref", wrapped.peft_config["default"])
        wrapped.set_adapter("default")
    if trained.quantization != "none":
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(getattr(torch, adapter_dtype(quantized=True)))
    return wrapped


def cut(shape: Any, layers: int) -> Any:
    """Copy a transformers config with another depth of its language model."""
    shorter = copy.deepcopy(shape)
    text = shorter.get_text_config()
    text.num_hidden_layers = layers
    if getattr(text, "layer_types", None):
        text.layer_types = list(text.layer_types[:layers])
    return shorter


def materialize(model: nn.Module, device: str = "cpu") -> None:
    """Give a meta model's parameters and buffers storages of the mode that is on; tied ones stay tied."""
    made: dict[int, Tensor] = {}

    def new(old: Tensor) -> Tensor:
        if id(old) not in made:
            tensor: Tensor = torch.empty(old.shape, dtype=old.dtype, device=device)
            is_parameter = isinstance(old, nn.Parameter)
            made[id(old)] = nn.Parameter(tensor, requires_grad=old.requires_grad) if is_parameter else tensor
        return made[id(old)]

    kept = []  # an id is an object's own only while it lives
    for module in model.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    kept.append(tensor)
                    held[name] = new(tensor)  # type: ignore[assignment]


# -------------------------------------------------------------------------------------------------------- the pass


def measure_pass(model: Any, trained: Trained, spec: Pass, live: LiveStorages, layers: int) -> Measured:
    """Run a pass under a counting mode; works on real tensors as on fake ones.

    Args:
        model: from `build`, its tensors real or fake.
        trained: what it was built from.
        spec: the pass.
        live: the mode, which is on.
        layers: the model's depth.

    Returns:
        What it took.
    """
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        live.count(tensor, ADAPTERS if "lora_" in name else WEIGHTS)
    held = {label: live.live[label] for label in (WEIGHTS, ADAPTERS)}
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.register_post_accumulate_grad_hook(lambda p: live.count(p.grad, GRADIENTS))
        if spec.accumulates:
            parameter.grad = torch.empty_like(parameter)
            live.count(parameter.grad, GRADIENTS)
    with counted_head(live, trained.gpu):
        prepare(model, trained, spec)
        _mark_phases(model, layers, live)
        live.peaks.clear()
        _forward_backward(model, trained, spec, live)
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    tensors = tuple(TrainedTensor(tuple(p.shape), p.element_size(), id(p) in tables) for p in learned)
    return Measured(layers, held, tensors, dict(live.peaks))


def prepare(model: Any, trained: Trained, spec: Pass) -> None:
    """Do what TRL's and transformers' trainers do to a model before they train it."""
    from trl.trainer.utils import add_fused_lm_head

    adapted = trained.lora is not None
    base = model.get_base_model() if adapted else model
    add_fused_lm_head(base, cast_lm_head_to_fp32=trained.head_float32, outputs=spec.outputs)
    model.train()
    if trained.checkpointing:
        base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": trained.reentrant})
        if adapted:
            model.enable_input_require_grads()


def _mark_phases(model: Any, layers: int, live: LiveStorages) -> None:
    """Name the moments of a backward pass that grow differently with depth: the top layer, the others, the end.

    In each of them the highest point lies at its beginning or its end, so that it grows by one amount a layer.
    """
    stack = next(m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == layers and _decodes(m))

    def when_reached(phase: str) -> Callable[[Tensor], None]:
        def reached(_: Tensor) -> None:
            live.phase = phase

        return reached

    def mark(module: nn.Module, args: Any, kwargs: Any) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        if hidden.requires_grad:
            hidden.register_hook(when_reached("backward, end" if module is stack[0] else "backward, below"))

    stack[-1].register_forward_pre_hook(mark, with_kwargs=True)
    stack[0].register_forward_pre_hook(mark, with_kwargs=True)


def _decodes(layers: nn.ModuleList) -> bool:
    return all(hasattr(layer, "self_attn") or hasattr(layer, "mlp") for layer in layers)


def _forward_backward(model: Any, trained: Trained, spec: Pass, live: LiveStorages) -> None:
    live.phase = "forward"
    loss = forward(model, trained, spec)
    live.phase = "backward, top"
    loss.backward()


def forward(model: Any, trained: Trained, spec: Pass, device: str = "cpu") -> Tensor:
    """Run the forward pass of a model with a fused head, as a trainer does.

    Args:
        model: from `prepare`.
        trained: what it was built from.
        spec: the pass.
        device: where the model is.

    Returns:
        A loss.
    """
    ids = torch.zeros(spec.rows, spec.width, dtype=torch.long, device=device)
    mask = None
    if spec.dense_mask:
        mask = torch.ones(spec.rows, 1, spec.width, spec.width, dtype=torch.bool, device=device)
    with autocast(trained, torch.device(device).type):
        outputs = model(input_ids=ids, labels=ids, attention_mask=mask, fused_lm_head=True)
    return -outputs.log_probs.sum()


def autocast(trained: Trained, kind: str = "cpu") -> contextlib.AbstractContextManager[Any]:
    """The context that a trainer computes in, on a kind of device."""
    if trained.autocast is None:
        return contextlib.nullcontext()
    return torch.autocast(kind, dtype=getattr(torch, trained.autocast))
