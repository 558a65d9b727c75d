"""Generation with vLLM, where it is installed: the fast backend on a GPU.

Every request carries a seed of its own, a hash of (seed, problem id, sample number), so that a sample doesn't depend on
what else is asked for. Unlike transformers on a CPU, vLLM does not promise the same bits in another batch: its kernels
sum in another order there. Requests are handed over together (`LLM.enqueue`) and the engine is stepped from here, so
that each completion reaches the disk when it is finished, not when the longest of its batch is. Written against vLLM
0.22 to 0.31; the requests are tested, a GPU to run them on was not at hand.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from magistral_recipe import lora
from magistral_recipe.errors import DataError, RunError, first_line
from magistral_recipe.generation.backend import Backend, Encoded
from magistral_recipe.generation.interface import Completion, Request, Sampling, request_seed
from magistral_recipe.machine import vllm_four_bits_mistake
from magistral_recipe.writing.chat_format import stop_token_ids


class VLLMGenerator(Backend):
    """Generates with a vLLM engine in this process.

    Args:
        engine: a ``vllm.LLM``.
        tokenizer: the model's, chat template installed.
        stop_ids: tokens on which a completion ends; by default the tokenizer's end token.
        adapter: vLLM's request for an adapter that stands on the engine's model.
    """

    def __init__(
        self, engine: Any, tokenizer: Any, *, stop_ids: Sequence[int] | None = None, adapter: Any = None
    ) -> None:
        super().__init__(tokenizer, stop_token_ids(tokenizer) if stop_ids is None else stop_ids)
        self.engine = engine
        self.adapter = adapter

    @classmethod
    def load(
        cls,
        path: str,
        tokenizer: Any,
        *,
        dtype: str = "bfloat16",
        quantization: str = "none",
        adapter: Path | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
        max_model_len: int | None = None,
        stop_ids: Sequence[int] | None = None,
    ) -> VLLMGenerator:
        """Start an engine.

        Args:
            path: a model folder or a hub id.
            tokenizer: the model's, chat template installed.
            dtype: of the weights, or of what is computed with 4-bit ones.
            quantization: `none`, or `nf4`, by the same bitsandbytes code as a model is trained on.
            adapter: the folder of an adapter on that model, applied beside its weights.
            revision: of a model on the hub.
            trust_remote_code: run Python code that comes with the model.
            max_model_len: longest prompt and completion together, in tokens; the model's own by default.
            stop_ids: see the class.

        Returns:
            The generator.

        Raises:
            DataError: where vLLM isn't installed, or can't take the model as it is.
            RunError: where its engine can't start.
        """
        options: dict[str, Any] = {"enable_lora": True, "max_loras": 1} if adapter is not None else {}
        if adapter is not None:
            options["max_lora_rank"] = _rank(adapter, dtype)
        if mistake := quantization_mistake(quantization):
            raise DataError(f"backend vllm: {mistake}")
        try:
            from vllm import LLM
            from vllm.lora.request import LoRARequest
        except ImportError as error:
            raise DataError(
                "backend vllm: vLLM isn't installed; pip install 'magistral-recipe[vllm]', or leave --backend out"
            ) from error
        try:
            engine = LLM(
                model=path,
                dtype=dtype,
                quantization="bitsandbytes" if quantization == "nf4" else None,
                revision=revision,
                trust_remote_code=trust_remote_code,
                max_model_len=max_model_len,
                **options,
            )
        except Exception as error:  # vLLM's engine raises whatever its worker died of
            raise RunError(f"vLLM can't start on {path}: {first_line(error)}") from error
        request = None if adapter is None else LoRARequest("adapter", 1, str(adapter))
        return cls(engine, tokenizer, stop_ids=stop_ids, adapter=request)

    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Completion]]:
        """Yield completions as the engine finishes them, the longest prompts first.

        Args:
            requests: what to complete, ids and sample numbers unique together.
            sampling: how.

        Yields:
            What a step of the engine has finished.

        Raises:
            RunError: where the engine dies; what was yielded before is finished.
        """
        waiting: dict[str, Encoded] = {}
        try:
            waiting = self._enqueue(sorted(self.encode(requests), key=lambda row: -len(row.ids)), sampling)
            while waiting:
                finished = [output for output in self._step() if output.finished and output.request_id in waiting]
                done = [(waiting.pop(output.request_id), output.outputs[0].token_ids) for output in finished]
                if done:
                    yield [self.finish(row, list(ids)) for row, ids in done]
        finally:
            if waiting:  # whoever reads has stopped: the next call must not get what is left
                with contextlib.suppress(Exception):  # the engine may be what died
                    self.engine.llm_engine.abort_request(list(waiting))

    def _enqueue(self, encoded: list[Encoded], sampling: Sampling) -> dict[str, Encoded]:
        """Hand requests to the engine, which batches them by itself.

        Returns:
            What was asked, by the name that its output will bear: vLLM returns that name with a suffix of its own.
        """
        if not encoded:
            return {}
        prompts = [{"prompt_token_ids": row.ids} for row in encoded]
        params = [self._params(row.request, sampling) for row in encoded]
        try:
            names = self.engine.enqueue(prompts, params, lora_request=self.adapter, use_tqdm=False)
        except Exception as error:
            raise _stopped(error) from error
        return dict(zip((name.partition("-")[0] for name in names), encoded, strict=True))

    def _step(self) -> Any:
        try:
            return self.engine.llm_engine.step()
        except Exception as error:  # an engine that died raises errors of many classes; none is the samples' fault
            raise _stopped(error) from error

    def _params(self, request: Request, sampling: Sampling) -> Any:
        from vllm import SamplingParams

        return SamplingParams(
            n=1,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_new_tokens,
            seed=request_seed(sampling.seed, request),
            stop_token_ids=self.stop_ids,
            skip_special_tokens=False,
            detokenize=False,  # ids are decoded here, tags kept
        )


def quantization_mistake(quantization: str) -> str | None:
    """Say why vLLM can't load a model as its recipe has it.

    Args:
        quantization: `none`, `int8` or `nf4`.

    Returns:
        Cause and remedy; ``None`` where it can.
    """
    if quantization != "int8":
        return vllm_four_bits_mistake() if quantization == "nf4" else None
    return "vLLM quantizes what it loads to 4 bits, not to 8: use model.quantization: nf4, or backend hf"


def _rank(adapter: Path, dtype: str) -> int:
    """The rank that vLLM's kernels must be made for."""
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    mistake = lora.engine_mistake(config)
    if mistake is None and dtype == "float32":
        mistake = "vLLM's kernels for adapters compute in 16 bits: set model.dtype: bfloat16"
    if mistake is not None:
        raise DataError(f"backend vllm: adapter {adapter}: {mistake}; or leave --backend out")
    return lora.engine_rank(config["r"])


def _stopped(error: Exception) -> RunError:
    return RunError(f"vLLM stopped: {first_line(error)}; what is finished is kept, the same command goes on")
