"""RL with vLLM against a stand-in that draws from a real model: what is handed over is what is trained, and no more.

The stand-in has only the weights and adapters that it was handed, and forgets what sleeps; that sampler and trainer
agree to rounding on every batch is the proof that the newest ones reached it.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import preloaded
import pytest
import torch
import vllm_stand_in
from peft import LoraConfig, get_peft_model
from tiny_policy import letters_reward, logged, policy, problems, settings, tokenizer, weights
from trl.generation import vllm_generation
from vllm_stand_in import Policy, put_in_place

from magistral_recipe.errors import RunError
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import load_model, load_tokenizer
from magistral_recipe.training.grpo import MagistralGRPOTrainer
from magistral_recipe.training.vllm import HUNG

LORA = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj", "down_proj"], "task_type": "CAUSAL_LM"}


@pytest.fixture(autouse=True)
def vllm(monkeypatch):
    return put_in_place(monkeypatch, Policy)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "base"
    policy().to(torch.bfloat16).save_pretrained(folder)
    return folder


def model_of(base, dtype=torch.bfloat16, **lora):
    model = policy().to(dtype)
    model.name_or_path = str(base)
    torch.manual_seed(0)
    return get_peft_model(model, LoraConfig(**{**LORA, **lora})) if lora is not None else model


def run(folder, model, processing_class=None, **changes):
    chosen = {"use_vllm": True, "vllm_mode": "colocate", "learning_rate": 0.05}
    arguments = settings(folder, **{**chosen, **changes})
    with pytest.MonkeyPatch.context() as environment:
        for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
            environment.setenv(name, "0")  # vLLM is told its place by them; the next trainer must not find them
        return MagistralGRPOTrainer(
            model, letters_reward, arguments, problems(), processing_class=processing_class or tokenizer()
        )


def of(made, kind):
    return [entry[1:] for entry in made.vllm_generation.llm.ledger if entry[0] == kind]


@pytest.mark.parametrize("sleeps", [False, True])
@pytest.mark.parametrize("sync", [None, "merged"])
def test_the_newest_weights_reach_the_sampler_and_the_base_stays(tmp_path, base, sync, sleeps):
    made = run(tmp_path, model_of(base), vllm_sync=sync, vllm_enable_sleep_mode=sleeps, max_steps=6)
    before = weights(made.model)
    made.train()
    after = weights(made.model)
    gaps = logged(made, "sampling/gap")
    assert len(gaps) == 3
    assert max(gaps) < 0.03  # bfloat16 on both sides
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved
    assert all("lora_" in name for name in moved)
    loaded, added = of(made, "load_weights"), of(made, "add_lora")
    assert (bool(loaded), bool(added)) == (sync == "merged", sync is None)
    assert {level for (level,) in of(made, "sleep")} == ({2 if sync else 1} if sleeps else set())


def test_each_hand_over_of_an_adapter_is_a_new_one_and_the_old_one_goes(tmp_path, base):
    made = run(tmp_path, model_of(base), vllm_enable_sleep_mode=True, max_steps=4)
    options = made.vllm_generation.llm.options
    assert {name: options[name] for name in ("enable_lora", "max_loras", "max_lora_rank", "dtype")} == {
        "enable_lora": True, "max_loras": 1, "max_lora_rank": 8, "dtype": "bfloat16",
    }  # fmt: skip
    assert (options["model"], options["logprobs_mode"]) == (str(base), "processed_logprobs")
    made.train()
    steps = [entry[:3] for entry in made.vllm_generation.llm.ledger]
    assert steps[:7] == [
        ("sleep", 1), ("wake_up", ["weights"]), ("add_lora", "adapter-1", 1), ("reset_prefix_cache",),
        ("wake_up", ["kv_cache"]), ("sleep", 1), ("wake_up", ["weights"]),
    ]  # fmt: skip
    handed = [step for step in steps if "lora" in step[0]]
    assert handed[1:] == [("remove_lora", 1), ("add_lora", "adapter-2", 2)]
    assert not any(Path(folder).exists() for _, _, folder in of(made, "add_lora"))


def test_weights_that_stay_behind_stop_the_run_before_they_train(tmp_path, base):
    made = run(tmp_path, model_of(base), max_steps=8, learning_rate=0.2)
    hand_over, calls = made.vllm_generation.sync_weights, []

    def once():
        calls.append(1)
        if len(calls) == 1:
            hand_over()

    made.vllm_generation.sync_weights = once
    with pytest.raises(RunError, match=r"step 2: sampler and trainer differ by .* nothing was trained on it; likely"):
        made.train()
    assert made.state.global_step == 2


def test_full_weights_are_handed_over_after_each_batch(tmp_path, base):
    model = policy().to(torch.bfloat16)
    model.name_or_path = str(base)
    made = run(tmp_path, model, vllm_enable_sleep_mode=True, learning_rate=0.01, max_steps=4)
    made.train()
    assert max(logged(made, "sampling/gap")) < 0.03
    assert {level for (level,) in of(made, "sleep")} == {2}


def test_completions_end_on_every_stop_token_of_the_trainer(tmp_path, base):
    """The model's own generation config knows none of them, and the recipe adds one."""
    model = model_of(base)
    model.generation_config.eos_token_id = None
    made = run(tmp_path, model, max_steps=2, generation_kwargs={"stop_token_ids": [9]})
    made.train()
    assert {tuple(param.stop_token_ids) for _, params in made.vllm_generation.llm.calls for param in params} == {(1, 9)}


def test_correction_is_by_token_unless_the_recipe_says_otherwise(tmp_path, base):
    weighed = {}
    for how in ("token_truncate", "sequence_mask", "none"):
        made = run(tmp_path / how, model_of(base), sampler_correction=how, max_steps=2)
        rows, begin = [], made._correct

        def correct(minibatches, begin=begin, rows=rows):
            begin(minibatches)
            rows.extend(rollout.sequence for minibatch in minibatches for rollout in minibatch.rollouts)

        made._correct = correct
        made.train()
        weighed[how] = rows
        assert ("sampling/cut_share" in made.state.log_history[0]) == (how != "none")
    assert all(row.weight is None for row in weighed["none"])
    for row in weighed["token_truncate"]:
        expected = (row.old_logps.double() - row.sampler_logps.double()).exp().clamp(max=3.0)
        assert torch.allclose(row.weight.double(), expected, atol=1e-6)
    assert all(len(set(row.weight.tolist())) == 1 for row in weighed["sequence_mask"])


def test_a_share_that_is_cut_too_often_is_told_once(tmp_path, base):
    made = run(tmp_path, model_of(base), vllm_importance_sampling_clip_max=1.0, max_steps=4)
    told = []
    made.health.tell = told.append
    made.train()
    assert len([line for line in told if "cuts the importance weights" in line]) == 1


@pytest.mark.parametrize(
    ("lora", "why"),
    [
        ({"use_dora": True}, "vLLM does not know LoRA with use_dora"),
        ({"rank_pattern": {"q_proj": 2}}, "vLLM does not know LoRA with rank_pattern"),
        ({"modules_to_save": ["norm"]}, "vLLM does not know LoRA with modules_to_save"),
        ({"bias": "lora_only"}, "vLLM does not know LoRA with bias"),
        ({"target_modules": ["q_proj", "embed_tokens"]}, "model.embed_tokens spans the vocabulary"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights: pissa changes the weights"),
        ({"r": 513}, "rank 513 is above vLLM's highest, 512"),
    ],
)
def test_an_adapter_that_vllm_would_apply_otherwise_is_not_handed_over_by_itself(tmp_path, base, lora, why):
    model = model_of(base, torch.float32 if "init_lora_weights" in lora else torch.bfloat16, **lora)
    with pytest.raises(ValueError, match=f"sync: adapter: the adapter can't be handed over by itself: .*{why}"):
        run(tmp_path, model, vllm_sync="adapter")


def test_what_can_be_handed_over_neither_way_is_refused(tmp_path, base):
    with pytest.raises(ValueError, match=r"handed over merged: .*DoraLinearVariant; nor by itself: .*use_dora"):
        run(tmp_path, model_of(base, use_dora=True))


def test_modules_trained_beside_the_adapter_are_handed_over_merged(tmp_path, base):
    made = run(tmp_path, model_of(base, modules_to_save=["norm"]), max_steps=4)
    made.train()
    assert ("model.norm.weight",) in of(made, "load_weights")
    assert max(logged(made, "sampling/gap")) < 0.03


def test_an_adapter_in_float32_is_merged(tmp_path, base, caplog):
    made = run(tmp_path, model_of(base, torch.float32), max_steps=4)
    assert "vLLM's kernels for adapters compute in 16 bits" in caplog.text
    made.train()
    assert max(logged(made, "sampling/gap")) < 1e-5


def test_a_prefix_cache_that_is_not_dropped_stops_the_run(tmp_path, base):
    made = run(tmp_path, model_of(base), max_steps=2)
    made.vllm_generation.llm._llm.reset_prefix_cache = lambda: False
    with pytest.raises(RunError, match="would not drop the keys and values of earlier weights"):
        made.train()


def test_without_vllm_the_package_is_named(tmp_path, base, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(RunError, match=r"pip install 'magistral-recipe\[vllm\]'"):
        run(tmp_path, model_of(base))


@pytest.mark.filterwarnings("ignore")
def test_qlora_hands_its_adapter_to_a_base_that_is_quantized_alike(tmp_path):
    """Both sides are bitsandbytes' own 4-bit layers here; what is left between them is the adapter's rounding."""
    config = ModelConfig(path="tiny", dtype="bfloat16", quantization="nf4", lora=LoraSettings(r=4, alpha=8))
    model = load_model(config, trainable=True)
    made = run(
        tmp_path, model, processing_class=load_tokenizer("tiny"), vllm_enable_sleep_mode=True, max_steps=4,
        max_tokens_per_microbatch=256, probe_rewards=False,
    )  # fmt: skip
    options = made.vllm_generation.llm.options
    assert (options["quantization"], options["dtype"], options["enable_lora"]) == ("bitsandbytes", "bfloat16", True)
    packed = {name: value for name, value in weights(made.model).items() if value.dtype == torch.uint8}
    assert packed
    made.train()
    assert max(logged(made, "sampling/gap")) < 0.05
    assert {level for (level,) in of(made, "sleep")} == {1}
    assert [name for name, _, _ in of(made, "add_lora")] == ["adapter-1", "adapter-2"]
    after = weights(made.model)
    assert all(torch.equal(after[name], value) for name, value in packed.items())


class SilentClient:
    """TRL's client of a server that takes a request and never answers it."""

    def __init__(self, base_url, group_port, connection_timeout):
        self.asked = []

    def init_communicator(self, device):
        pass

    def get_server_info(self):
        return {"model_config": {"logprobs_mode": "processed_logprobs"}}

    def update_named_params(self, metadata, named_params):
        self.asked.append([name for name, _ in named_params])

    def reset_prefix_cache(self):
        pass

    def generate(self, prompts, features, **sampling):
        self.asked.append(sampling)
        threading.Event().wait()


SERVED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_vllm import SilentClient, model_of, run
from trl.generation import vllm_generation
vllm_generation.is_vllm_available = lambda: True
vllm_generation.VLLMClient = SilentClient
made = run(sys.argv[1], model_of(Path(sys.argv[2])), vllm_mode="server", vllm_step_seconds=1)
made.train()
"""


def test_a_server_that_does_not_answer_ends_the_run(tmp_path, base):
    """In a process of its own, which sits in a wait that no exception reaches."""
    script = tmp_path / "served.py"
    script.write_text(SERVED)
    path = os.pathsep.join([str(Path(vllm_stand_in.__file__).parent), *sys.path])
    words = [str(script), str(tmp_path), str(base), str(Path(__file__).parent)]
    process = preloaded.start(words, {**os.environ, "PYTHONPATH": path})
    told, _ = process.communicate(timeout=240)
    assert process.returncode == HUNG, told
    assert "vLLM's server, generating, has not answered for 1 s: the run ends; start it again to go on" in told


def test_a_server_is_handed_merged_weights_and_the_stop_tokens(tmp_path, base, monkeypatch):
    class Client(SilentClient):
        def generate(self, prompts, features, n, **sampling):
            self.asked.append(sampling)
            ids = [[5, 1] for _ in prompts for _ in range(n)]
            return {"prompt_ids": prompts, "completion_ids": ids, "logprobs": [[[-1.0], [-1.0]] for _ in ids]}

    monkeypatch.setattr(vllm_generation, "is_vllm_available", lambda: True)
    monkeypatch.setattr(vllm_generation, "VLLMClient", Client)
    made = run(tmp_path, model_of(base), vllm_mode="server").vllm_generation
    made.sync_weights()
    assert made.generate([[3, 4]] * 4, None, 4)[1] == [[5, 1]] * 4
    handed, sampling = made.vllm_client.asked
    assert handed == [name for name, _ in policy().named_parameters()]
    assert sampling["generation_kwargs"] == {"stop_token_ids": [1]}
    with pytest.raises(ValueError, match="a server is handed weights, no adapters"):
        run(tmp_path, model_of(base), vllm_mode="server", vllm_sync="adapter")
