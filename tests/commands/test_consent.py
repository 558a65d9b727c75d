"""Python code that comes with a model runs on a person's word alone: never on a folder's own, or a result file's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoModelForCausalLM
from typer.testing import CliRunner

from magistral_recipe.cli import app
from magistral_recipe.data import tiny
from magistral_recipe.errors import DataError
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.load import load_model
from magistral_recipe.models.target import find_target

KIND = "of_its_own_consent"
CODE = """\
open(TRACE, "a").write("ran ")
from transformers import LlamaConfig, LlamaForCausalLM


class Config(LlamaConfig):
    model_type = "of_its_own_consent"


class Model(LlamaForCausalLM):
    config_class = Config
"""


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    """A run folder of a stranger: its recipe trusts its model, whose folder brings code that leaves a trace."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run" / "01-sft" / "model"
    shutil.copytree(tiny.model_path(), folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": KIND, "architectures": ["Model"]}
    config |= {"auto_map": {"AutoConfig": "modeling.Config", "AutoModelForCausalLM": "modeling.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling.py").write_text(CODE.replace("TRACE", repr(str(tmp_path / "trace"))))
    (tmp_path / "run" / "recipe.yaml").write_text(
        "name: stranger\nmodel: {path: tiny, trust_remote_code: true}\nthinking: {system_prompt: none}\n"
    )
    return tmp_path / "run"


def ran(folder: Path) -> bool:
    return (folder / "trace").exists()


ASK = ["--prompt", "1+1?", "--max-new-tokens", "2"]
TRY = ["--benchmark", "tiny", "--count", "1", "--samples", "1", "--max-new-tokens", "2"]


@pytest.mark.parametrize("part", [".", "01-sft", "01-sft/model"])
def test_chat_takes_no_folders_word(run, tmp_path, part):
    result = CliRunner().invoke(app, ["chat", str(run / part), *ASK], input="y\ny\n")
    assert result.exit_code == 2
    assert not ran(tmp_path)
    assert "can't be loaded without running Python code that comes with it" in result.output
    assert "--trust-remote-code" in result.output
    assert len(result.output.splitlines()) == 1


def test_nor_does_evaluate(run, tmp_path):
    result = CliRunner().invoke(app, ["evaluate", "--model", str(run), *TRY], input="y\n")
    assert result.exit_code == 2
    assert not ran(tmp_path)
    assert "--trust-remote-code" in result.output


def test_nor_does_a_repeat_take_a_result_files(run, tmp_path):
    done = CliRunner().invoke(app, ["evaluate", "--model", "tiny", *TRY, "--output", "first"])
    assert done.exit_code == 0, done.output
    (scores,) = (tmp_path / "first").glob("*/scores.json")
    told = json.loads(scores.read_text())
    told["request"]["model"] |= {"path": str(run / "01-sft" / "model"), "trust_remote_code": True}
    scores.write_text(json.dumps(told))
    result = CliRunner().invoke(app, ["evaluate", "--repeat", str(scores)], input="y\n")
    assert result.exit_code == 2
    assert not ran(tmp_path)
    assert "--trust-remote-code" in result.output


def test_a_persons_word_counts(run, tmp_path):
    result = CliRunner().invoke(app, ["chat", str(run), *ASK, "--trust-remote-code"])
    assert result.exit_code == 0, result.output
    assert ran(tmp_path)
    assert find_target(str(run), True).config.trust_remote_code
    assert not find_target(str(run)).config.trust_remote_code
    assert find_target("owner/name", True).config.trust_remote_code
    assert not find_target("owner/name").config.trust_remote_code


@pytest.mark.parametrize(
    ("kernel", "believed"),
    [("sdpa", "sdpa"), ("flash_attention_2", "flash_attention_2"), (None, None), ("owner/kernel", None),
     ("owner/kernel@main:attend", None)],
)  # fmt: skip
def test_a_kernel_of_the_hub_is_code_too(run, kernel, believed):
    section = {"path": "tiny", "attn_implementation": kernel}
    (run / "recipe.yaml").write_text(json.dumps({"name": "x", "model": section}))
    assert find_target(str(run)).config.attn_implementation == believed
    assert find_target(str(run), True).config.attn_implementation == kernel


@pytest.mark.parametrize("trust", [False, True])
def test_transformers_never_asks_whoever_sits_at_the_keyboard(tmp_path, monkeypatch, trust):
    """Left unsaid, it asks, and takes a pipe's `y` for an answer."""
    said = []
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *_, **named: said.append(named) or 1 / 0)
    config = ModelConfig(path="tiny", trust_remote_code=trust)
    for path in (None, tiny.model_path()):
        with pytest.raises(DataError, match="ZeroDivisionError"):
            load_model(config, path)
    assert [named["trust_remote_code"] for named in said] == [trust, trust]
    assert AutoConfig is not None


def test_a_recipes_own_word_counts_where_it_is_run_and_is_said_first(tmp_path, monkeypatch):
    from magistral_recipe.chain.run import _say_consent
    from magistral_recipe.check.recipe_file import load_recipe

    (tmp_path / "r.yaml").write_text(
        "name: r\nmodel: {path: tiny, trust_remote_code: true}\nstages: [{sft: {traces: {tiny: true, count: 8}}}]\n"
    )
    told = []

    class Display:
        event = staticmethod(told.append)

    _say_consent(load_recipe(tmp_path / "r.yaml"), Display)  # type: ignore[arg-type]
    assert [event["text"] for event in told] == [
        "model.trust_remote_code: Python code that comes with tiny is run, as the recipe says"
    ]
    _say_consent(load_recipe(tmp_path / "r.yaml", ["model.trust_remote_code=false"]), Display)  # type: ignore[arg-type]
    assert len(told) == 1
