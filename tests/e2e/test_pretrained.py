"""A real pretrained model through the whole chain, to a folder that plain transformers loads."""

from __future__ import annotations

import subprocess
import sys

import pytest
from examples import run_example, statuses

from magistral_recipe.jsonlines import read_lines

pytestmark = pytest.mark.slow


def test_a_real_pretrained_model_goes_through_the_whole_chain_and_loads_in_plain_transformers(tmp_path):
    run = tmp_path / "run"
    run_example("smollm2_135m_cpu.yaml", run)
    assert set(statuses(run).values()) == {"complete"}
    exported = run / "04-export" / "model"
    code = (
        "import sys; from transformers import AutoModelForCausalLM, AutoTokenizer; "
        f"tokenizer = AutoTokenizer.from_pretrained({str(exported)!r}); "
        f"model = AutoModelForCausalLM.from_pretrained({str(exported)!r}); "
        "prompt = tokenizer.apply_chat_template([{'role': 'user', 'content': 'What is 3 + 4?'}], "
        "add_generation_prompt=True, return_tensors='pt', return_dict=True); "
        "out = model.generate(**prompt, max_new_tokens=8, do_sample=False); "
        "assert out.shape[1] > prompt['input_ids'].shape[1]; "
        "assert 'magistral_recipe' not in sys.modules and 'peft' not in sys.modules; print(type(model).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "LlamaForCausalLM", done.stderr
    card = (exported / "README.md").read_text()
    assert "smollm2-135m-cpu" in card


def test_the_first_steps_of_the_recipe_for_a_gpu(tmp_path):
    """All of `smollm2_135m_gpu.yaml` but its sizes: the pretrained model, the sums, SFT, RL and the evaluation."""
    run = tmp_path / "run"
    sft = {"max_steps": 2, "per_device_train_batch_size": 2, "logging_steps": 1}
    grpo = {"max_steps": 2, "prompts_per_batch": 2, "num_generations": 2, "max_completion_length": 24}
    settings = {f"sft.trainer.{key}": value for key, value in sft.items()}
    settings |= {f"grpo.trainer.{key}": value for key, value in grpo.items()}
    settings |= {"grpo.trainer.overlong_cache": 8, "grpo.trainer.keep_uninformative_groups": "true"}
    settings |= {"grpo.evaluate.count": 2, "grpo.evaluate.max_new_tokens": 8, "problems.heldout.count": 2}
    settings |= {"evaluate.samples": 1, "evaluate.max_new_tokens": 8, "problems.train.count": 8}
    settings |= dict.fromkeys(("problems.train.terms", "problems.heldout.terms", "sft.traces.terms"), "[2, 3]")
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    run_example("../smollm2_135m_gpu.yaml", run, *words)
    assert set(statuses(run).values()) == {"complete"}
    for stage in ("01-sft", "02-grpo"):
        steps = [record for _, record in read_lines(run / stage / "metrics.jsonl") if "grad_norm" in record]
        assert [record["step"] for record in steps] == [1, 2]
        assert all(record["grad_norm"] > 0 for record in steps if stage == "01-sft")
    assert len((run / "02-grpo" / "baseline.jsonl").read_text().splitlines()) == 16
