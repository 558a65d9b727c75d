"""A stand-in for vLLM: the names that are used of it, with vLLM's own arguments, and engines whose answers are known.

It proves calls, never vLLM's numbers. Arguments are spelled as in vLLM 0.22 to 0.31 (`test_vllm_source.py` holds them
against its source), calls out of order fail as they would there, and memory that sleeps is really gone: `Policy`
answers with a model of transformers whose weights are NaN after a sleep at level 2.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

OPTIONS = frozenset(
    {
        *("max_model_len", "max_num_seqs", "enable_sleep_mode", "model_impl", "distributed_executor_backend"),
        *("max_num_batched_tokens", "logprobs_mode", "enable_lora", "max_loras", "max_lora_rank"),
    }
)
"""What an engine may be started with beside the arguments that `LLM` names."""


class SamplingParams:
    """vLLM's, as far as it is used; its arguments are checked by name."""

    def __init__(
        self,
        *,
        n=1,
        repetition_penalty=1.0,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        min_p=0.0,
        seed=None,
        stop_token_ids=None,
        max_tokens=16,
        logprobs=None,
        detokenize=True,
        skip_special_tokens=True,
    ):
        vars(self).update({name: value for name, value in locals().items() if name != "self"})


class LoRARequest:
    """vLLM's."""

    def __init__(self, lora_name, lora_int_id, lora_path=""):
        assert lora_int_id >= 1
        assert lora_path
        self.lora_name, self.lora_int_id, self.lora_path = lora_name, lora_int_id, lora_path


class LLM:
    """The engine and its ledger; a kind says what is answered.

    Attributes:
        options: what it was started with.
        calls: prompts and parameters of each call of `generate` or `enqueue`.
        ledger: what else was asked of it, in order.
        dies_at: the call, or the step, from 1, at which it dies.
    """

    def __init__(
        self,
        model,
        *,
        trust_remote_code=False,
        tensor_parallel_size=1,
        dtype="auto",
        quantization=None,
        revision=None,
        seed=0,
        gpu_memory_utilization=0.92,
        **kwargs,
    ):
        self.options = {name: value for name, value in locals().items() if name not in ("self", "kwargs")} | kwargs
        assert set(kwargs) <= OPTIONS
        self.calls, self.ledger, self.dies_at, self.steps = [], [], None, 0
        self.loras, self.asleep, self.queue, self.count = {}, set(), [], 0
        self.llm_engine = Engine(self)

    def generate(self, prompts, sampling_params=None, *, use_tqdm=True, lora_request=None):
        self._take(prompts, sampling_params, lora_request)
        finished = []
        while self.llm_engine.has_unfinished_requests():
            finished += self.llm_engine.step()
        return sorted(finished, key=lambda output: int(output.request_id))

    def enqueue(self, prompts, sampling_params=None, lora_request=None, priority=None, use_tqdm=True):
        return self._take(prompts, sampling_params, lora_request)

    def _take(self, prompts, sampling_params, lora_request):
        assert not self.asleep, f"asleep: {self.asleep}"
        shared = not isinstance(sampling_params, list)
        params = [sampling_params] * len(prompts) if shared else sampling_params
        self.calls.append((prompts, params))
        if lora_request is not None:
            assert self.options.get("enable_lora")
            if lora_request.lora_int_id not in self.loras:
                self.llm_engine.add_lora(lora_request)
        ids = []
        for prompt, param in zip(prompts, params, strict=True):
            self.queue.append((str(self.count), prompt, param, lora_request))
            ids.append(f"{self.count}-ab12cd34")  # vLLM makes them unique inside
            self.count += 1
        return ids

    def sleep(self, level=1, mode="abort"):
        assert self.options.get("enable_sleep_mode")
        self.ledger.append(("sleep", level))
        self.asleep = {"weights", "kv_cache"}

    def wake_up(self, tags=None):
        self.ledger.append(("wake_up", tags))
        assert self.asleep.issuperset(tags or ())
        self.asleep -= set(self.asleep if tags is None else tags)

    def reset_prefix_cache(self, reset_running_requests=False, reset_connector=False):
        self.ledger.append(("reset_prefix_cache",))
        return True

    def answer(self, prompt, param, lora_request):
        """Ids, and log-probabilities where they are asked for."""
        raise NotImplementedError

    def load_weights(self, weights):
        raise NotImplementedError

    def put_on(self, number, folder):
        """Take an adapter."""


class Engine:
    """vLLM's `LLMEngine`: one request is finished a step, the last first."""

    def __init__(self, llm):
        self.llm = llm
        self.model_config = SimpleNamespace(max_model_len=llm.options.get("max_model_len") or 4096)
        runner = SimpleNamespace(model=SimpleNamespace(load_weights=self.load_weights))
        self.model_executor = SimpleNamespace(driver_worker=SimpleNamespace(model_runner=runner))

    def load_weights(self, weights):
        assert "weights" not in self.llm.asleep
        self.llm.load_weights(weights)

    def has_unfinished_requests(self):
        return bool(self.llm.queue)

    def step(self):
        llm = self.llm
        llm.steps += 1
        if llm.dies_at == llm.steps:
            raise ValueError("EngineCore died\nwith a long story")
        request_id, prompt, param, lora_request = llm.queue.pop()
        ids, logprobs = llm.answer(prompt, param, lora_request)
        rows = [{i: SimpleNamespace(logprob=value, rank=1)} for i, value in zip(ids, logprobs or [], strict=False)]
        output = SimpleNamespace(token_ids=ids, logprobs=rows if param.logprobs is not None else None)
        prompt_ids = prompt["prompt_token_ids"]
        return [SimpleNamespace(request_id=request_id, finished=True, prompt_token_ids=prompt_ids, outputs=[output])]

    def abort_request(self, request_ids, internal=False):
        aborted = {each.partition("-")[0] for each in request_ids}
        self.llm.queue = [row for row in self.llm.queue if row[0] not in aborted]

    def add_lora(self, lora_request):
        llm = self.llm
        assert llm.options.get("enable_lora")
        assert "weights" not in llm.asleep
        folder = Path(lora_request.lora_path)
        config = json.loads((folder / "adapter_config.json").read_text())
        if config["r"] > llm.options["max_lora_rank"]:
            raise ValueError(f"LoRA rank {config['r']} is greater than max_lora_rank {llm.options['max_lora_rank']}.")
        assert len(llm.loras) < llm.options["max_loras"]
        llm.ledger.append(("add_lora", lora_request.lora_name, lora_request.lora_int_id, str(folder)))
        llm.loras[lora_request.lora_int_id] = config
        llm.put_on(lora_request.lora_int_id, str(folder))
        return True

    def remove_lora(self, lora_id):
        self.llm.ledger.append(("remove_lora", lora_id))
        return self.llm.loras.pop(lora_id, None) is not None

    def list_loras(self):
        return set(self.llm.loras)


class Foretold(LLM):
    """Answers each prompt with its length and its seed's last digit, as bytes; cuts where the seed is odd."""

    def answer(self, prompt, param, lora_request):
        ids = [40 + len(prompt["prompt_token_ids"]) % 20, 40 + param.seed % 10]
        return (ids if param.seed % 2 else [*ids, 2]), None


class Policy(LLM):
    """Draws from the model at the path it was given, with the weights and the adapter that it was handed."""

    def __init__(self, model, **options):
        super().__init__(model, **options)
        dtype, extra = getattr(torch, self.options["dtype"]), {}
        if self.options["quantization"] == "bitsandbytes":  # what vLLM's loader asks of bitsandbytes
            nf4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
            nf4.bnb_4bit_compute_dtype = dtype
            extra = {"quantization_config": nf4}
        self.weights = AutoModelForCausalLM.from_pretrained(model, dtype=dtype, **extra).eval()

    def sleep(self, level=1, mode="abort"):
        super().sleep(level, mode)
        if level == 2:
            for weight in self.weights.parameters():
                weight.data.fill_(math.nan)

    def load_weights(self, weights):
        named = dict(self.weights.named_parameters())
        for name, value in weights:
            self.ledger.append(("load_weights", name))
            assert named[name].shape == value.shape
            named[name].data.copy_(value)

    def put_on(self, number, folder):
        """Beside the weights, as vLLM has it: unmerged, by PEFT's own loader."""
        name, options = str(number), {"autocast_adapter_dtype": False}
        if isinstance(self.weights, PeftModel):
            self.weights.load_adapter(folder, name, **options)
        else:
            self.weights = PeftModel.from_pretrained(self.weights, folder, name, **options).eval()

    @torch.no_grad()
    def answer(self, prompt, param, lora_request):
        if lora_request is not None:
            self.weights.set_adapter(str(lora_request.lora_int_id))
        ids, logprobs = list(prompt["prompt_token_ids"]), []
        start = len(ids)
        while len(ids) - start < param.max_tokens:
            logits = self.weights(input_ids=torch.tensor([ids])).logits[0, -1].float()
            logps = (logits / param.temperature).log_softmax(-1)
            ids.append(int(torch.multinomial(logps.exp(), 1)))
            logprobs.append(float(logps[ids[-1]]))
            if ids[-1] in param.stop_token_ids:
                break
        return ids[start:], logprobs


def put_in_place(monkeypatch, engine=Foretold) -> ModuleType:
    """Put the stand-in where this package and TRL look for vLLM."""
    from trl.generation import vllm_generation

    module, request = ModuleType("vllm"), ModuleType("vllm.lora.request")
    module.LLM, module.SamplingParams = engine, SamplingParams
    request.LoRARequest = LoRARequest
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setitem(sys.modules, "vllm.lora", ModuleType("vllm.lora"))
    monkeypatch.setitem(sys.modules, "vllm.lora.request", request)
    monkeypatch.setattr(vllm_generation, "SamplingParams", SamplingParams, raising=False)
    return module
