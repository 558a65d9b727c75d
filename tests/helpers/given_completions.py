"""A run on given completions, for `torchrun`: the same global batch whatever the number of processes.

Completions, their ragged lengths and their rewards depend on prompt, place in the group and step alone.
"""

from __future__ import annotations

import json
import math
import os
import random
import sys
from pathlib import Path

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import pytest
import torch
from peft import LoraConfig, get_peft_model
from preloaded import join
from tiny_policy import LETTERS, policy, problems, settings, tokenizer
from vllm_stand_in import Policy, put_in_place

from magistral_recipe.sharded import whole
from magistral_recipe.training.grpo import MagistralGRPOTrainer


def rollouts(prompts, trainer):
    """TRL's `rollout_func`: one completion an entry; groups may lie across processes."""
    first = trainer.accelerator.process_index * len(prompts)
    prompt_ids, completion_ids = [], []
    for i, prompt in enumerate(prompts):
        place = (first + i) % trainer.num_generations
        noise = random.Random(f"{prompt} {place} {trainer.state.global_step}")
        length = min(int(noise.lognormvariate(1.6, 0.8)) + 1, 30)
        text = "".join(noise.choice(LETTERS) for _ in range(length))
        prompt_ids.append(tokenizer()(prompt)["input_ids"])
        completion_ids.append([*tokenizer()(text)["input_ids"], 1])
    return {"prompt_ids": prompt_ids, "completion_ids": completion_ids, "logprobs": None}


def sampler_logps(ids):
    """What a sampler that is not the trainer says of each token it drew: some number, by its id and place."""
    return [-2.5 + 1.5 * math.sin(7 * token + 3 * place) for place, token in enumerate(ids)]


def scored_rollouts(prompts, trainer):
    """`rollouts`, with the sampler's own log-probabilities."""
    found = rollouts(prompts, trainer)
    return {**found, "logprobs": [sampler_logps(ids) for ids in found["completion_ids"]]}


def reward(prompts, completions, **_):
    """Flat for some prompts, so that groups are refilled, and None for some completions."""
    values = []
    for prompt, text in zip(prompts, completions, strict=True):
        if "3" in prompt or "5" in prompt:
            values.append(0.0)
        else:
            values.append(None if text.endswith("h") else sum(c.isalpha() for c in text) / max(len(text), 1))
    return values


def let_vllm_stand_in() -> None:
    """Put a stand-in where vLLM is looked for, which draws from what it is handed, at first from the named model."""

    class Whole(Policy):
        def __init__(self, model, **options):
            with pytest.MonkeyPatch.context() as environment:
                environment.delenv("ACCELERATE_USE_FSDP", raising=False)  # else the first process alone reads weights
                super().__init__(model, **options)

    put_in_place(pytest.MonkeyPatch(), Whole)


def adapted(model: torch.nn.Module) -> torch.nn.Module:
    """Adapters on the policy, and its head trained whole beside them."""
    torch.manual_seed(0)
    targets = ["q_proj", "down_proj"]
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=targets, modules_to_save=["lm_head"], task_type="CAUSAL_LM")
    return get_peft_model(model, lora)


def main(folder: Path, changes: dict, *words: str) -> None:
    """Train, and leave weights and logs of the first process in the folder.

    Args:
        folder: of the run.
        changes: to the settings.
        words: `resume`; `fsdp`, with which all parameters must be DTensors; `scored` for completions with a sampler's
            log-probabilities, `drawn` for the trainer's own completions, `vllm` for a stand-in's that begins with the
            model in `base`; with an `adapter`.
    """
    model = policy()
    if "vllm" in words:
        let_vllm_stand_in()
        model.name_or_path = str(folder / "base")
        changes = {**changes, "use_vllm": True, "vllm_mode": "colocate", "vllm_enable_sleep_mode": True}
    args = settings(
        folder,
        optim="sgd",
        optim_args="momentum=0.5",  # something for a checkpoint to keep
        learning_rate=0.05,
        max_completion_length=31,
        probe_rewards=False,
        **changes,
    )
    given = scored_rollouts if "scored" in words else rollouts
    trainer = MagistralGRPOTrainer(
        model=adapted(model) if "adapter" in words else model,
        reward_funcs=reward,
        args=args,
        train_dataset=problems(),
        processing_class=tokenizer(),
        rollout_func=None if {"drawn", "vllm"} & {*words} else given,
    )
    trainer.train(resume_from_checkpoint="resume" in words)
    world = trainer.accelerator.num_processes
    assert world == int(os.environ.get("WORLD_SIZE", "1")), f"{world} process(es) found each other"
    named = trainer.accelerator.unwrap_model(trainer.model).named_parameters()
    assert all(isinstance(p, torch.distributed.tensor.DTensor) == ("fsdp" in words) for p in trainer.model.parameters())
    weights = {name: whole(parameter.detach()).clone() for name, parameter in named}
    if trainer.accelerator.is_main_process:
        log = [{**entry, "world": world} for entry in trainer.state.log_history]
        if "vllm" in words:
            (folder / "ledger.json").write_text(json.dumps(trainer.vllm_generation.llm.ledger))
        torch.save(weights, folder / "weights.pt")
        (folder / "log.json").write_text(json.dumps(log))
    trainer.accelerator.wait_for_everyone()
    if torch.distributed.is_initialized():  # a process that leaves early aborts the others
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    join()
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), *sys.argv[3:])
