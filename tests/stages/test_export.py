from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.data.overlap import Shared
from magistral_recipe.errors import RecipeError
from magistral_recipe.models.card import CardFacts, model_card
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import load_model, load_tokenizer, merge_gap, save_model
from magistral_recipe.models.quantization import is_quantized
from magistral_recipe.recipe.sections import StageContext
from magistral_recipe.report.evaluations import latest_scores
from magistral_recipe.stages.export import ExportStage, export_model, with_default_system
from magistral_recipe.writing.chat_format import ChatFormat

RECIPE = "name: trial\nmodel: {path: tiny}\n"
PROMPT = 'Pense dans la langue de l\'énoncé, entre {open} et {close}.\n"Encadre" \\boxed{} 🙂.'
IDS = torch.randint(0, 500, (1, 24), generator=torch.Generator().manual_seed(3))


def scores(mean: float, problems: int = 256) -> dict:
    interval = {"mean": mean, "low": mean - 0.05, "high": None}
    return {"problems": problems, "overall": {"tokens": {"mean": 49.1, "low": 48.0, "high": 50.25}, "pass@1": interval}}


def adapted(tmp_path: Path, quantization: str = "none") -> tuple[ModelConfig, Path, torch.nn.Module]:
    """A tiny model with an adapter that is carried on, as a stage leaves it."""
    config = ModelConfig(path="tiny", quantization=quantization, lora=LoraSettings(r=4, handover="carry"))
    torch.manual_seed(0)
    model = load_model(config, trainable=True)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(0, 0.05)
    folder = save_model(model, load_tokenizer("tiny", ChatFormat()), tmp_path / "01-sft" / "model", config)
    return config, folder, model


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_an_adapter_is_exported_as_merged_weights_with_everything_beside_them(tmp_path, quantization):
    config, folder, trained = adapted(tmp_path, quantization)
    output = export_model(
        folder, tmp_path / "out", RECIPE, {"sft": scores(0.5)}, config=config, chat=ChatFormat(), title="Trial"
    )
    files = {file.name for file in output.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja", "README.md"} <= files
    plain = AutoModelForCausalLM.from_pretrained(output)
    assert not is_quantized(plain)
    if quantization == "nf4":
        # bitsandbytes' CPU kernels round to bfloat16 as they go: hold the export to the same weights in float32.
        trained = PeftModel.from_pretrained(load_model(config).dequantize(), folder / "adapter")
    assert merge_gap(trained, plain, IDS) < 1e-4
    assert AutoTokenizer.from_pretrained(output).eos_token_id in plain.generation_config.eos_token_id


def test_the_weights_have_the_precision_that_was_asked_for(tmp_path):
    config = ModelConfig(path="tiny", dtype="bfloat16")
    output = export_model("tiny", tmp_path / "out", RECIPE, config=config, chat=ChatFormat(), title="Trial")
    assert AutoModelForCausalLM.from_pretrained(output, dtype="auto").dtype == torch.bfloat16


def test_full_weights_are_not_quantized_on_their_way_out(tmp_path):
    config = ModelConfig(path="tiny", quantization="nf4", lora=LoraSettings())
    output = export_model("tiny", tmp_path / "out", RECIPE, config=config, chat=ChatFormat(), title="Trial")
    original = load_model(ModelConfig(path="tiny"))
    assert merge_gap(original, AutoModelForCausalLM.from_pretrained(output), IDS) == 0.0


def test_the_template_gives_the_system_prompt_where_a_conversation_brings_none(tmp_path):
    chat = ChatFormat(system_prompt=PROMPT)
    config = ModelConfig(path="tiny")
    output = export_model("tiny", tmp_path / "out", RECIPE, config=config, chat=chat, title="Trial")
    tokenizer = AutoTokenizer.from_pretrained(output)
    assert chat.system_text is not None
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "7+8 ?"}], tokenize=False)
    as_trained = load_tokenizer("tiny", chat).apply_chat_template(chat.messages("7+8 ?"), tokenize=False)
    assert asked == as_trained
    assert chat.system_text in asked
    own = [{"role": "system", "content": "Sois bref."}, {"role": "user", "content": "7+8 ?"}]
    assert chat.system_text not in tokenizer.apply_chat_template(own, tokenize=False)


def test_a_template_without_messages_still_renders():
    assert "content" in with_default_system("{{ messages[0].content }}", "Think.")


def test_the_card_tells_use_scores_and_recipe():
    chat = ChatFormat(system_prompt="Think in a ```fence```, please.")
    facts = CardFacts("Trial", "owner/base", chat, RECIPE, {"base": scores(0.1), "grpo": scores(0.8)}, False)
    card = model_card(facts)
    assert "Shares in percent, with 95% intervals, on problems." in card
    assert "| model | problems | pass@1 | tokens |" in card
    assert "| base | 256 | 10.0 | 49.1 [48.0, 50.2] |" in card
    assert "| grpo | 256 | 80.0 |" in card
    assert f"```yaml\n{RECIPE}```" in card
    assert "````text\nThink in a ```fence```, please.\n````" in card
    assert '"role": "system", "content": SYSTEM' in card
    compared = {"grpo": scores(0.8) | {"shared_with_training": [Shared("'mine'", 256, 0, 0, 0, 0).as_dict()]}}
    assert "95% intervals, on held-out problems." in parsed(scores=compared).text
    compared["grpo"]["shared_with_training"] = [Shared("'mine'", 256, 9, 0, 9, 0).as_dict()]
    assert "**Not held out**: 9 of 256 problems of the evaluation are in 'mine', too" in parsed(scores=compared).text
    assert "Not evaluated." in model_card(CardFacts("Trial", "./base", chat, RECIPE, {}, True))


def parsed(**facts) -> ModelCard:
    given = {"title": "Trial: 1", "base": "tiny", "chat": ChatFormat(), "recipe": RECIPE, "scores": {}}
    return ModelCard(model_card(CardFacts(**{**given, "system_in_template": True, **facts})))


def test_the_hub_reads_the_card():
    card = parsed(hub_base="owner/base")
    assert card.data.to_dict() == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "base_model": "owner/base",
        "tags": ["reasoning", "magistral-recipe", "trl"],
    }
    assert card.text.lstrip().startswith("# Trial: 1\n")
    assert "base_model" not in parsed().data.to_dict()


@pytest.mark.parametrize(
    ("problems", "dataset"),
    [
        ({"benchmark": "math500"}, ("HuggingFaceH4/MATH-500", "math500")),
        ({"path": "HuggingFaceH4/MATH-500", "split": "test"}, ("HuggingFaceH4/MATH-500", "HuggingFaceH4/MATH-500")),
        ({"path": "data/heldout.jsonl"}, ("custom", "data/heldout.jsonl")),
        ({"tiny": "heldout", "count": 8}, ("custom", "tiny (heldout)")),
        ({"from_the_future": 1}, ("custom", "problems")),
        (None, ("custom", "problems")),
    ],
)
def test_the_models_own_scores_are_metadata(problems, dataset):
    own = scores(1 / 3) | ({} if problems is None else {"request": {"problems": problems}})
    own["overall"]["maj@4"] = {"mean": None, "low": None, "high": None}
    data = parsed(scores={"base": scores(0.1), "grpo": own}, model="grpo").data
    assert data.model_name == "Trial: 1"
    assert {(result.dataset_type, result.dataset_name) for result in data.eval_results} == {dataset}
    assert {result.task_type for result in data.eval_results} == {"text-generation"}
    assert [(result.metric_type, result.metric_value, result.metric_name) for result in data.eval_results] == [
        ("pass@1", 1 / 3, "pass@1 33.3"),
        ("tokens", 49.1, "tokens 49.1 [48.0, 50.2]"),
    ]


def test_a_model_that_was_not_evaluated_claims_no_scores_of_others():
    for model in ("sft", None):
        assert parsed(scores={"base": scores(0.1)}, model=model).data.eval_results is None


def test_the_cards_module_is_light():
    code = "import magistral_recipe.models.card, sys; print({'torch', 'huggingface_hub'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_an_interval_is_shown_where_both_ends_are_known():
    data = {"overall": {"pass@1": {"mean": 0.75, "low": 0.7, "high": 0.8}}}
    assert "75.0 [70.0, 80.0]" in model_card(CardFacts("T", "tiny", ChatFormat(), RECIPE, {"sft": data}, True))


def test_a_runs_scores_are_those_of_the_last_evaluation(tmp_path):
    for stage, label, mean in (("02-evaluate", "sft", 0.1), ("10-again", "sft", 0.3), ("10-again", "grpo", 0.4)):
        folder = tmp_path / stage / label
        folder.mkdir(parents=True)
        (folder / "scores.json").write_text(json.dumps(scores(mean)))
    found = latest_scores(tmp_path)
    assert {label: data["overall"]["pass@1"]["mean"] for label, data in found.items()} == {"sft": 0.3, "grpo": 0.4}


def test_the_stage_writes_into_its_own_folder(tmp_path):
    config, folder, _ = adapted(tmp_path)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    thinking = SimpleNamespace(open="<think>", close="</think>", system_prompt="none", template="magistral")
    recipe = SimpleNamespace(name="trial", model=config, thinking=thinking, seed=1)
    stage = tmp_path / "02-export"
    stage.mkdir()
    context = StageContext(
        recipe=recipe,
        base=tmp_path,
        folder=stage,
        models={"base": None, "sft": folder},
        start_model="sft",
        emit=lambda event: None,
    )
    results = ExportStage().run(context)
    assert results["model"] == "sft"
    assert results["bytes"] > 1_000_000
    assert results["summary"].startswith("sft in 02-export/model (")
    assert str(tmp_path) not in str(results)
    card = (stage / "model" / "README.md").read_text()
    assert "# trial" in card
    assert "the embedded base of magistral-recipe" in card


def test_a_model_that_no_stage_made_is_a_mistake_told_once(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "name: r\nmodel: {path: tiny}\nstages:\n  - sft: {traces: {tiny: true, count: 8}}\n  - export: {model: sfd}\n"
    )
    with pytest.raises(RecipeError) as found:
        load_recipe(recipe)
    (line,) = found.value.problems
    assert "stages[1].export.model: no model 'sfd' before this stage. Did you mean 'sft'?" in line
