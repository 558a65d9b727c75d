"""A stand-in for vLLM: the two names that are used of it, and an engine whose answers a test can foretell."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace


class Params(SimpleNamespace):
    """vLLM's `SamplingParams`, whose arguments are checked by name."""

    known = frozenset(
        "n temperature top_p max_tokens seed stop_token_ids skip_special_tokens detokenize".split()  # noqa: SIM905
    )

    def __init__(self, **given):
        assert set(given) <= self.known
        super().__init__(**given)


class Engine:
    """Answers each prompt with its length and its seed's last digit, as bytes; cuts where the seed is odd."""

    def __init__(self, **options):
        self.options = options
        self.calls = []
        self.dies_at = None

    def generate(self, prompts, params, use_tqdm):
        self.calls.append((prompts, params))
        if self.dies_at == len(self.calls):
            raise ValueError("EngineCore died\nwith a long story")
        return [
            SimpleNamespace(outputs=[SimpleNamespace(token_ids=self.answer(prompt, param))])
            for prompt, param in zip(prompts, params, strict=True)
        ]

    def answer(self, prompt, param):
        ids = [40 + len(prompt["prompt_token_ids"]) % 20, 40 + param.seed % 10]
        return ids if param.seed % 2 else [*ids, 2]


def fake_vllm() -> ModuleType:
    """Return a module to put in vLLM's place."""
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = Engine, Params
    return module
