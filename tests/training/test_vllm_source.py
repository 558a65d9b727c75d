"""The stand-in's names and arguments are vLLM's own, read from its source; nothing of it is run.

vLLM is not among the test programs (its wheel is 300 MB and wants a GPU), so that this is skipped where neither it nor
its source is there. To run it:

    pip download --no-deps --dest wheel vllm==0.26.0 && unzip -q wheel/vllm-*.whl 'vllm/*.py' -d source
    VLLM_SOURCE=source pytest tests/training/test_vllm_source.py
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
from pathlib import Path

import pytest
import vllm_stand_in

from magistral_recipe.lora import _MORE, RANKS


def source() -> Path | None:
    if "VLLM_SOURCE" in os.environ:
        return Path(os.environ["VLLM_SOURCE"]) / "vllm"
    spec = importlib.util.find_spec("vllm")
    return Path(spec.origin).parent if spec and spec.origin else None


pytestmark = pytest.mark.skipif(source() is None, reason="needs vLLM or its source; see the module's docstring")


def tree(path: str) -> ast.Module:
    return ast.parse((source() / path).read_text(encoding="utf-8"))


def class_of(path: str, name: str) -> ast.ClassDef:
    (found,) = [node for node in tree(path).body if isinstance(node, ast.ClassDef) and node.name == name]
    return found


def arguments(owner: ast.ClassDef, method: str) -> list[str]:
    found = [node for node in owner.body if isinstance(node, ast.FunctionDef) and node.name == method]
    spec = found[-1].args
    return [each.arg for each in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]


def fields(owner: ast.ClassDef) -> list[str]:
    return [node.target.id for node in owner.body if isinstance(node, ast.AnnAssign)]


def spelled(function) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "kwargs"]


@pytest.mark.parametrize("method", ["generate", "enqueue", "sleep", "wake_up", "reset_prefix_cache"])
def test_the_engines_methods_are_spelled_as_vllms(method):
    theirs, ours = arguments(class_of("entrypoints/llm.py", "LLM"), method), spelled(vars(vllm_stand_in.LLM)[method])
    assert [name for name in theirs if name in ours] == ours


@pytest.mark.parametrize(
    "method", ["add_lora", "remove_lora", "list_loras", "step", "has_unfinished_requests", "abort_request"]
)
def test_the_inner_engines_methods_are_spelled_as_vllms(method):
    ours = spelled(vars(vllm_stand_in.Engine)[method])
    assert arguments(class_of("v1/engine/llm_engine.py", "LLMEngine"), method) == ours


def test_an_engine_takes_the_options_it_is_started_with():
    own = set(arguments(class_of("entrypoints/llm.py", "LLM"), "__init__"))
    rest = set(fields(class_of("engine/arg_utils.py", "EngineArgs")))
    options = vllm_stand_in.LLM("model", **dict.fromkeys(vllm_stand_in.OPTIONS)).options
    assert set(options) <= own | rest, set(options) - own - rest
    assert set(spelled(vllm_stand_in.LLM.__init__)) <= own


def test_requests_are_made_of_vllms_own_fields():
    assert fields(class_of("lora/request.py", "LoRARequest"))[:3] == spelled(vllm_stand_in.LoRARequest)
    theirs = set(fields(class_of("sampling_params.py", "SamplingParams")))
    assert set(spelled(vllm_stand_in.SamplingParams)) <= theirs


def test_ranks_are_those_of_vllms_kernels():
    (literal,) = [
        node.value.slice
        for node in tree("config/lora.py").body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "MaxLoRARanks"
    ]
    assert tuple(ast.literal_eval(literal)) == RANKS


def test_what_is_refused_of_an_adapter_is_what_vllm_leaves_out():
    """vLLM reads an adapter's config by these fields and drops the others; of those it knows, two must be empty."""
    read = set(fields(class_of("lora/peft_helper.py", "PEFTHelper")))
    assert {"r", "lora_alpha", "use_rslora"} <= read
    assert set(_MORE) & read == {"modules_to_save", "use_dora"}


def test_an_adapters_name_is_part_of_what_a_cached_block_is_known_by():
    text = (source() / "v1/core/kv_cache_utils.py").read_text(encoding="utf-8")
    assert "lora_request.lora_name" in text[text.index("def _gen_lora_extra_hash_keys") :][:900]


def test_level_1_keeps_the_weights_and_level_2_does_not():
    backend = source() / "device_allocator/sleep_mode_backend.py"
    file = backend if backend.exists() else source() / "v1/worker/gpu_worker.py"
    assert 'offload_tags=("weights",) if level == 1 else tuple()' in file.read_text(encoding="utf-8")


def test_4_bit_weights_are_quantized_as_for_training():
    """Blocks of 64 with nested constants in nf4: what `models/quantization.py` asks transformers for; until 0.28."""
    loader = "model_executor/model_loader/bitsandbytes_loader.py"
    methods = (source() / "model_executor/layers/quantization/__init__.py").read_text(encoding="utf-8")
    assert ('"bitsandbytes"' in methods) == (source() / loader).exists()
    if not (source() / loader).exists():
        pytest.skip("this vLLM loads no 4-bit weights; see machine.VLLM_FOUR_BITS")
    calls = [
        node
        for node in ast.walk(tree(loader))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "quantize_4bit"
    ]
    assert calls
    for call in calls:
        given = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
        assert given == {"compress_statistics": True, "quant_type": "nf4"}
