"""A real pretrained model through the whole chain, to a folder that plain transformers loads."""

from __future__ import annotations

import subprocess
import sys

import pytest
from examples import run_example, statuses

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
