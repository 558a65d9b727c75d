from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from magistral_recipe.commands.chat import register
from magistral_recipe.data import tiny
from magistral_recipe.errors import DataError
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import load_model, load_tokenizer, save_model
from magistral_recipe.models.loaded import load_ready
from magistral_recipe.models.quantization import is_adapter
from magistral_recipe.models.target import find_target
from magistral_recipe.writing.chat_format import ChatFormat

RECIPE = """\
name: trial
model: {path: tiny}
thinking: {open: "[T]", close: "[/T]", system_prompt: "Think first, inside {open}."}
stages: [{sft: {}}]
"""


@pytest.fixture
def app() -> typer.Typer:
    program = typer.Typer()
    register(program)
    program.callback()(lambda: None)  # as in the real program, the command keeps its name
    return program


def model_folder(folder: Path) -> Path:
    shutil.copytree(tiny.model_path(), folder)
    return folder


@pytest.fixture
def run(tmp_path) -> Path:
    for stage in ("01-sft", "02-grpo", "03-evaluate", "10-late"):
        (tmp_path / "trial" / stage).mkdir(parents=True)
    (tmp_path / "trial" / "recipe.yaml").write_text(RECIPE)
    for stage in ("01-sft", "02-grpo"):
        (tmp_path / "trial" / stage / "model").mkdir()
        (tmp_path / "trial" / stage / "model" / "config.json").write_text("{}")
    (tmp_path / "trial" / "10-late" / "model").mkdir()  # being written when the run was killed
    return tmp_path / "trial"


def test_a_run_means_its_last_model_and_its_recipes_format(run):
    target = find_target(str(run))
    assert target.path == str(run / "02-grpo" / "model")
    assert target.chat == ChatFormat(
        target.chat.thinking, system_prompt="Think first, inside {open}.", template="tokenizer"
    )
    assert (target.chat.thinking.open, target.chat.thinking.close) == ("[T]", "[/T]")
    (run / "10-late" / "model" / "config.json").write_text("{}")
    assert find_target(str(run)).path == str(run / "10-late" / "model")


def test_a_stage_and_a_model_folder_inside_a_run_find_its_recipe(run):
    for place in (run / "01-sft", run / "01-sft" / "model"):
        target = find_target(str(place))
        assert target.path == str(run / "01-sft" / "model")
        assert target.chat.thinking.open == "[T]"


def test_a_model_that_was_being_replaced_when_its_run_was_killed_is_the_old_one(run):
    old = (run / "02-grpo" / "model").rename(run / "02-grpo" / ".model.old")
    for place in (run, run / "02-grpo", run / "02-grpo" / "model"):
        target = find_target(str(place))
        assert target.path == str(old)
        assert target.chat.thinking.open == "[T]"


def test_a_recipe_from_another_version_is_read_as_far_as_it_goes(run):
    (run / "recipe.yaml").write_text("model: {path: tiny, from_the_future: 1}\nthinking: {system_prompt: novel}\n")
    target = find_target(str(run))
    assert target.config == ModelConfig(path=target.path)
    assert target.chat.system_prompt is None
    for prompt, read in (("none", None), ("magistral", "magistral"), ("''", None), ("[a, list]", None)):
        (run / "recipe.yaml").write_text(f"thinking: {{system_prompt: {prompt}}}\n")
        assert find_target(str(run)).chat.system_prompt == read
    (run / "recipe.yaml").write_text("model: [not: yaml")
    assert find_target(str(run)).chat.thinking.open == "<think>"


def test_a_run_without_a_model_and_a_folder_without_anything(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    with pytest.raises(DataError, match="no stage of this run has left a model yet"):
        find_target(str(tmp_path))
    with pytest.raises(DataError, match="no such file or folder"):
        find_target(str(tmp_path / "nowhere"))


def test_models_that_stand_alone():
    assert find_target("tiny").config.path == "tiny"
    assert find_target("owner/name").path == "owner/name"


def test_a_carried_adapter_is_loaded_on_the_base_that_it_names(tmp_path):
    base = model_folder(tmp_path / "base")
    config = ModelConfig(path=str(base), lora=LoraSettings(r=2, handover="carry"))
    adapted = load_model(config, trainable=True)
    tokenizer = load_tokenizer(base, ChatFormat())
    folder = save_model(adapted, tokenizer, tmp_path / "run" / "01-sft" / "model", config)
    (tmp_path / "run" / "recipe.yaml").write_text("name: x\nmodel: {path: moved/away, lora: {handover: carry}}\n")
    target = find_target(str(tmp_path / "run"))
    assert target.path == str(folder)
    assert (
        target.config.path
        == json.loads((folder / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"]
    )
    loaded = load_ready(target.config, target.chat, target.weights)
    assert not is_adapter(loaded.model)  # folded in, for reading
    assert len(loaded.tokenizer) == len(tokenizer)


def test_one_question_is_answered_the_same_way_twice(app):
    arguments = ["chat", "tiny", "--prompt", "What is 17 plus 25?", "--max-new-tokens", "12", "--seed", "3"]
    first, second = (CliRunner().invoke(app, arguments) for _ in range(2))
    assert first.exit_code == 0, first.output
    assert first.stdout == second.stdout
    assert len(first.stdout.splitlines()) >= 2


def test_questions_come_line_by_line_from_standard_input(app):
    arguments = ["chat", "tiny", "--max-new-tokens", "3", "--temperature", "0"]
    result = CliRunner().invoke(app, arguments, input="7+8?\n\n9+4?\n")
    one = CliRunner().invoke(app, arguments, input="7+8?\n")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(one.stdout.rstrip())
    assert len(result.stdout.splitlines()) > len(one.stdout.splitlines())


def test_what_is_no_model_ends_with_a_line_and_code_2(app, tmp_path):
    result = CliRunner().invoke(app, ["chat", str(tmp_path)])
    assert result.exit_code == 2
    assert "not a model folder" in result.output


def test_a_model_that_is_not_what_its_stage_left_is_told(run, capsys):
    from magistral_recipe.intact import written
    from magistral_recipe.terminal.console import say_damage

    model = run / "02-grpo" / "model"
    (model / "model.safetensors").write_bytes(b"weights")
    sizes, hashes = written(model.parent, [model / "config.json", model / "model.safetensors"])
    record = {"status": "complete", "outputs": sizes, "hashes": hashes}
    (model.parent / "stage.json").write_text(json.dumps(record))
    assert find_target(str(run)).damage == ()
    (model / "model.safetensors").write_bytes(b"weighty")
    assert find_target(str(run)).damage == ("model/model.safetensors is not what was written: its hash differs",)
    say_damage(find_target(str(run)).damage)
    assert "warning: model/model.safetensors is not what was written" in capsys.readouterr().err
    (model.parent / "stage.json").write_text(json.dumps({**record, "outputs": [1]}))
    assert find_target(str(run)).damage == ("the note of what was written is damaged itself",)
    (model.parent / "stage.json").write_text("[]")
    assert find_target(str(run)).damage == ()
