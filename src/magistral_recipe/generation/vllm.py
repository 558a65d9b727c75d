"""Generation with vLLM, where it is installed: the fast backend on a GPU.

Every request carries a seed of its own, a hash of (seed, problem id, sample number), so that a sample doesn't depend on
what else is asked for. Unlike transformers on a CPU, vLLM does not promise the same bits in another batch: its kernels
sum in another order there. Written against vLLM's public interface (`LLM.generate`, `SamplingParams`); the requests are
tested, a GPU to run them on was not at hand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from magistral_recipe.errors import DataError, RunError
from magistral_recipe.generation.backend import Backend, Encoded
from magistral_recipe.generation.interface import Completion, Request, Sampling
from magistral_recipe.writing.chat_format import stop_token_ids

_CHUNK = 256
"""Requests handed over at once: vLLM batches them by itself, and what is finished reaches the disk between chunks."""


def request_seed(seed: int, request: Request) -> int:
    """The seed of one sample: 63 bits, as vLLM takes them.

    Args:
        seed: the run's.
        request: whose id and sample number key the noise.

    Returns:
        A number from 0 to 2**63 - 1.
    """
    key = f"{seed}\0{request.sample}\0{request.id}".encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "little") >> 1


class VLLMGenerator(Backend):
    """Generates with a vLLM engine in this process.

    Args:
        engine: a ``vllm.LLM``.
        tokenizer: the model's, chat template installed.
        stop_ids: tokens on which a completion ends; by default the tokenizer's end token.
        chunk: requests handed over at once.
    """

    def __init__(
        self, engine: Any, tokenizer: Any, *, stop_ids: Sequence[int] | None = None, chunk: int = _CHUNK
    ) -> None:
        super().__init__(tokenizer, stop_token_ids(tokenizer) if stop_ids is None else stop_ids)
        self.engine = engine
        self.chunk = chunk

    @classmethod
    def load(
        cls,
        path: str,
        tokenizer: Any,
        *,
        dtype: str = "bfloat16",
        revision: str | None = None,
        trust_remote_code: bool = False,
        max_model_len: int | None = None,
        stop_ids: Sequence[int] | None = None,
    ) -> VLLMGenerator:
        """Start an engine.

        Args:
            path: a model folder or a hub id.
            tokenizer: the model's, chat template installed.
            dtype: of the weights.
            revision: of a model on the hub.
            trust_remote_code: run Python code that comes with the model.
            max_model_len: longest prompt and completion together, in tokens; the model's own by default.
            stop_ids: see the class.

        Returns:
            The generator.

        Raises:
            DataError: where vLLM isn't installed.
            RunError: where its engine can't start.
        """
        try:
            from vllm import LLM
        except ImportError as error:
            raise DataError(
                "backend vllm: vLLM isn't installed; pip install 'magistral-recipe[vllm]', or leave --backend out"
            ) from error
        try:
            engine = LLM(
                model=path,
                dtype=dtype,
                revision=revision,
                trust_remote_code=trust_remote_code,
                max_model_len=max_model_len,
            )
        except Exception as error:  # vLLM's engine raises whatever its worker died of
            raise RunError(f"vLLM can't start on {path}: {_first_line(error)}") from error
        return cls(engine, tokenizer, stop_ids=stop_ids)

    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Completion]]:
        """Yield completions chunk by chunk, requests of similar length together.

        Args:
            requests: what to complete, ids and sample numbers unique together.
            sampling: how.

        Yields:
            The completions of one chunk.

        Raises:
            RunError: where the engine dies; what was yielded before is finished.
        """
        encoded = sorted(self.encode(requests), key=lambda row: -len(row.ids))
        for start in range(0, len(encoded), self.chunk):
            yield self._complete(encoded[start : start + self.chunk], sampling)

    def _complete(self, chunk: list[Encoded], sampling: Sampling) -> list[Completion]:
        prompts = [{"prompt_token_ids": row.ids} for row in chunk]
        params = [self._params(row.request, sampling) for row in chunk]
        try:
            outputs = self.engine.generate(prompts, params, use_tqdm=False)
        except Exception as error:  # an engine that died raises errors of many classes; none is the samples' fault
            raise RunError(
                f"vLLM stopped: {_first_line(error)}; what is finished is kept, the same command goes on"
            ) from error
        return [self.finish(row, list(output.outputs[0].token_ids)) for row, output in zip(chunk, outputs, strict=True)]

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


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
