"""vLLM as RL's sampler, without harm: TRL's `VLLMGeneration`, but for how weights reach it.

TRL merges an adapter into the weights it is trained on and subtracts it again at every hand-over. In bfloat16 that is
no round trip and wears the base away. Here

- `adapter` hands over the adapter alone: a folder that vLLM loads under a name and number never used before (blocks of
  its prefix cache are known by the adapter's name), the last one taken off first. The weights under it never change, so
  that vLLM sleeps at level 1, which keeps them; level 2 would throw away a base that nobody sends again.
- `merged` hands over W + s·B·A, made a weight at a time beside W; also full weights, as TRL does.

The tokens that end a completion always go along, and a server that does not answer ends the run instead of holding it.
Written against the source of vLLM 0.22 to 0.31; tested against a stand-in, which proves calls and not numbers: the gap
of sampler against trainer is measured on every batch before it trains.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NoReturn

import torch
from accelerate.utils import DistributedType, is_peft_model
from torch import Tensor
from trl.generation.vllm_generation import VLLMGeneration, empty_cache
from trl.trainer import grpo_trainer
from trl.trainer.utils import ensure_master_addr_port

from magistral_recipe import lora
from magistral_recipe.errors import RunError, first_line
from magistral_recipe.machine import LOCAL_RANK, RANK, WORLD_SIZE, vllm_four_bits_mistake
from magistral_recipe.training.handing_over import (
    adapter_folder,
    adapter_mistake,
    merge_mistake,
    merged_weights,
)

logger = logging.getLogger(__name__)

Sync = Literal["adapter", "merged"]

HUNG = 70
"""Exit code of a process whose server did not answer in time."""


class Engine:
    """A `vllm.LLM` as TRL calls it, speaking with the newest adapter and sleeping as deep as it may.

    Args:
        llm: the engine.
        level: 1 keeps the weights in the machine's memory, 2 drops them.

    Attributes:
        adapter: the `LoRARequest` that requests go out with; ``None`` for the weights alone.
    """

    def __init__(self, llm: Any, level: int) -> None:
        self._llm = llm
        self._level = level
        self.adapter: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._llm, name)

    def generate(self, prompts: Any, sampling_params: Any, use_tqdm: bool) -> Any:
        """Complete prompts."""
        return self._llm.generate(
            prompts, sampling_params=sampling_params, use_tqdm=use_tqdm, lora_request=self.adapter
        )

    def sleep(self, level: int) -> None:
        """Give the card's memory back; how deep is not TRL's to say."""
        self._llm.sleep(level=self._level)

    def wake_up(self, tags: list[str]) -> None:
        """Take memory again, after what PyTorch keeps for later has been given back."""
        empty_cache()
        self._llm.wake_up(tags=tags)

    def reset_prefix_cache(self) -> None:
        """Forget keys and values of earlier weights.

        Raises:
            RunError: if some are in use, so that a completion could begin with them.
        """
        if not self._llm.reset_prefix_cache():
            raise RunError("vLLM would not drop the keys and values of earlier weights: some are still in use")

    def replace_adapter(self, request: Any) -> None:
        """Load an adapter in the place of the last one.

        Args:
            request: its `LoRARequest`.

        Raises:
            RunError: if vLLM can't take it, or holds another one afterwards.
        """
        engine = self._llm.llm_engine
        if self.adapter is not None:
            engine.remove_lora(self.adapter.lora_int_id)
        try:
            engine.add_lora(request)
        except Exception as error:  # vLLM raises whatever its worker raised
            raise RunError(
                f"vLLM can't load the adapter: {first_line(error)}; set rollouts: {{sync: merged}}"
            ) from error
        if set(engine.list_loras()) != {request.lora_int_id}:
            raise RunError(f"vLLM holds the adapters {sorted(engine.list_loras())}, not {request.lora_int_id}")
        self.adapter = request


class VLLMRollouts(VLLMGeneration):
    """TRL's `VLLMGeneration`, handing over weights without touching them.

    Args:
        sync: what is handed over; by default the adapter alone where there is one that vLLM takes as it is.
        step_seconds: longest that a server may take for one batch or one hand-over; 0 for as long as it likes.
        **arguments: TRL's.

    Raises:
        ValueError: if the weights can't be handed over as is asked.
        RunError: if vLLM can't start.
    """

    generation_kwargs: dict[str, Any]

    def __init__(self, *, sync: Sync | None = None, step_seconds: float = 0.0, **arguments: Any) -> None:
        self.sync = _chosen(sync, arguments["model"], arguments["accelerator"], arguments["mode"])
        self._step_seconds = step_seconds
        self._adapters = 0
        super().__init__(**arguments)

    def stop_on(self, stop_ids: Sequence[int]) -> None:
        """End completions on these tokens, whatever the model's own generation config says."""
        also = self.generation_kwargs.get("stop_token_ids") or []
        self.generation_kwargs = {**self.generation_kwargs, "stop_token_ids": sorted({*stop_ids, *also})}

    def _init_vllm(self) -> None:
        if self.mode != "colocate":
            with self._in_time("connecting"):
                super()._init_vllm()
            return
        try:
            from vllm import LLM
        except ImportError as error:
            raise RunError("vLLM isn't installed: pip install 'magistral-recipe[vllm]'") from error
        if getattr(_base(self.model), "is_loaded_in_4bit", False) and (mistake := vllm_four_bits_mistake()):
            raise RunError(mistake)
        self._join_ranks()
        empty_cache()  # vLLM measures what is free
        try:
            llm = LLM(**self._engine_options())
        except Exception as error:  # vLLM's engine raises whatever its worker died of
            raise RunError(f"vLLM can't start on {self.model.name_or_path}: {first_line(error)}") from error
        self.llm = Engine(llm, level=1 if self.sync == "adapter" else 2)
        if self.enable_sleep_mode:
            self.llm.sleep(level=2)
        self._llm_weights_sleeping = self.enable_sleep_mode
        self.accelerator.wait_for_everyone()

    def _join_ranks(self) -> None:
        """Tell vLLM of this process's place among the trainer's, as TRL does."""
        accelerator, width = self.accelerator, self.tensor_parallel_size
        if accelerator.num_processes % width:
            raise ValueError(
                f"vllm_tensor_parallel_size={width} does not divide the {accelerator.num_processes} processes"
            )
        if width > 1:
            groups = [list(range(first, first + width)) for first in range(0, accelerator.num_processes, width)]
            self.tp_group, _ = torch.distributed.new_subgroups_by_enumeration(groups)
        os.environ[RANK] = str(accelerator.process_index)
        os.environ[LOCAL_RANK] = str(accelerator.local_process_index)
        os.environ[WORLD_SIZE] = str(accelerator.num_processes)
        ensure_master_addr_port()

    def _engine_options(self) -> dict[str, Any]:
        """What `vllm.LLM` is started with: TRL's choices, and the very weights that are trained."""
        base = _base(self.model)
        options: dict[str, Any] = {
            "model": base.name_or_path,
            "revision": getattr(base.config, "_commit_hash", None),
            "dtype": str(_computed_in(base, self.accelerator)).removeprefix("torch."),
            "quantization": "bitsandbytes" if getattr(base, "is_loaded_in_4bit", False) else None,
            "tensor_parallel_size": self.tensor_parallel_size,
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "max_model_len": self.max_model_length,
            "max_num_seqs": self.max_num_seqs,
            "enable_sleep_mode": self.enable_sleep_mode,
            "model_impl": self.model_impl,
            "distributed_executor_backend": "external_launcher",
            # All workers of one engine must draw alike.
            "seed": self.accelerator.process_index // self.tensor_parallel_size,
            # vLLM's default of 32,768 makes its memory profiler think that there is too little.
            "max_num_batched_tokens": 4096,
            # After the temperature, so that they are those of the distribution that was drawn from.
            "logprobs_mode": "processed_logprobs",
            "trust_remote_code": self.trust_remote_code,
        }
        if self.sync == "adapter":
            (name,) = self.model.active_adapters
            rank = lora.engine_rank(self.model.peft_config[name].r)
            options |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": rank}
        return options

    def sync_weights(self) -> None:
        """Hand over what has been trained; the weights that are trained stay as they are."""
        if self.sync == "merged":
            with self._in_time("taking weights"):
                super().sync_weights()
            return
        from vllm.lora.request import LoRARequest

        self._wake()
        self._adapters += 1
        number = self._adapters
        with adapter_folder(self.model, _computed_in(_base(self.model), self.accelerator)) as folder:
            request = LoRARequest(lora_name=f"adapter-{number}", lora_int_id=number, lora_path=str(folder))
            self.llm.replace_adapter(request)
        self.llm.reset_prefix_cache()

    def generate(
        self,
        prompts: list[list[int]],
        images: list[list[Any] | None] | None,
        num_generations: int,
        profiler: Any = None,
    ) -> tuple[Any, ...]:
        """Complete prompts; see TRL's."""
        if self.sync == "adapter":
            self._wake()  # TRL would send all weights again; at level 1 they are still there
        with self._in_time("generating"):
            return super().generate(prompts, images, num_generations, profiler)

    def _wake(self) -> None:
        if self._llm_weights_sleeping:
            self.llm.wake_up(tags=["weights"])
            self._llm_weights_sleeping = False

    def _iter_named_params(self) -> Iterator[tuple[str, Tensor]]:
        if not is_peft_model(self.model):
            yield from super()._iter_named_params()
            return
        for name, value in merged_weights(self.model):
            yield self._fix_param_name_to_vllm(name), value

    def _in_time(self, doing: str) -> contextlib.AbstractContextManager[None]:
        if self.mode != "server":
            return contextlib.nullcontext()
        return deadline(self._step_seconds, f"vLLM's server, {doing},")


def _chosen(sync: Sync | None, model: Any, accelerator: Any, mode: str) -> Sync:
    """Settle what is handed over, and refuse what can't be."""
    if not is_peft_model(model):
        if sync == "adapter":
            raise ValueError("sync: adapter needs an adapter; all weights are trained here")
        return "merged"
    sharded = accelerator.distributed_type == DistributedType.FSDP
    alone = "a server is handed weights, no adapters" if mode != "colocate" else None
    alone = alone or ("FSDP has sharded it" if sharded else adapter_mistake(model))
    if alone is None and _computed_in(_base(model), accelerator) == torch.float32:
        alone = "vLLM's kernels for adapters compute in 16 bits, and this model in float32"
    if alone is None and sync != "merged":
        return "adapter"
    if sync == "adapter":
        raise ValueError(f"sync: adapter: the adapter can't be handed over by itself: {alone}")
    merged = merge_mistake(model)
    if merged is None and sharded and not getattr(accelerator, "is_fsdp2", False):
        merged = "FSDP 1 has sharded weights and adapter alike; use FSDP 2"
    if merged is not None:
        also = f"; nor by itself: {alone}" if alone else "; leave sync: merged out"
        raise ValueError(f"the adapter can't be handed over merged: {merged}{also}")
    if sync is None:
        logger.warning("vLLM is handed merged weights, since the adapter can't be handed over by itself: %s", alone)
    return "merged"


def _base(model: Any) -> Any:
    return model.get_base_model() if is_peft_model(model) else model


def _computed_in(base: Any, accelerator: Any) -> torch.dtype:
    """The type that the trainer's forward pass computes in."""
    mixed = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(accelerator.mixed_precision)
    return mixed if base.dtype == torch.float32 and mixed is not None else base.dtype


@contextlib.contextmanager
def in_place_of_trls(sync: Sync | None, step_seconds: float) -> Iterator[None]:
    """Let `trl.GRPOTrainer` make `VLLMRollouts` where it makes a `VLLMGeneration`, while it is constructed.

    Args:
        sync: see `VLLMRollouts`.
        step_seconds: see `VLLMRollouts`.
    """

    def make(**arguments: Any) -> VLLMRollouts:
        return VLLMRollouts(sync=sync, step_seconds=step_seconds, **arguments)

    grpo_trainer.VLLMGeneration = make
    try:
        yield
    finally:
        grpo_trainer.VLLMGeneration = VLLMGeneration


@contextlib.contextmanager
def deadline(seconds: float, who: str, end: Callable[[str], None] | None = None) -> Iterator[None]:
    """End this process where what is inside takes too long.

    Nothing else helps: a wait for a server that is gone sits in NCCL or in another thread, where no exception reaches.

    Args:
        seconds: the most; 0 for no limit.
        who: is waited for, as a sentence begins.
        end: what to do then, with the sentence; by default it is logged and the process exits.
    """
    if not seconds:
        yield
        return
    text = f"{who} has not answered for {seconds:g} s: the run ends; start it again to go on from the last checkpoint"
    timer = threading.Timer(seconds, end or _exit, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _exit(text: str) -> NoReturn:
    logger.critical(text)
    logging.shutdown()
    os._exit(HUNG)
