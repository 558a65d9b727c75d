"""Secrets are a class: refused in a recipe wherever they stand, and shown nowhere."""

from __future__ import annotations

import dataclasses
import time

import pytest
from accelerate.commands.config.config_args import BaseConfig, ClusterConfig, SageMakerConfig
from accelerate.commands.launch import launch_command_parser
from trl import GRPOConfig, SFTConfig

from magistral_recipe.check.plan import load_telling_all
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.check.trainer_fields import trainer_mistakes
from magistral_recipe.confidential import MASK, is_secret_name, looks_secret, masked_data, masked_text, secrets_in
from magistral_recipe.errors import RecipeError
from magistral_recipe.recipe.document import read_document
from magistral_recipe.report.collect import collect, resolved_recipe
from magistral_recipe.training.config import MagistralGRPOConfig

TOKEN = "hf_" + "aBcDeFgH" * 4


def test_every_setting_whose_name_says_so_is_one():
    names = {
        item.name
        for config in (GRPOConfig, SFTConfig, MagistralGRPOConfig, BaseConfig, ClusterConfig, SageMakerConfig)
        for item in dataclasses.fields(config)
    }
    names |= {action.dest for action in launch_command_parser()._actions}
    assert len(names) > 350
    assert {name for name in names if is_secret_name(name)} == {
        "hub_token", "aws_access_key_id", "aws_secret_access_key"
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["hub_token", "push_to_hub_token", "HF_TOKEN", "hfToken", "token", "use_auth_token", "access-token", "api_key",
     "apiKey", "OPENAI_API_KEY", "wandb_key", "password", "db_passwd", "client_secret", "aws_secret_access_key",
     "aws_access_key_id", "private_key", "ssh_key", "credentials", "encryption_keys", "Authorization", "bearer",
     "hftoken", "accesskey", "hub_tokens", "basic_auth", "creds", "session_cookie", "jwt"],
)  # fmt: skip
def test_names_that_say_so(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["eos_token", "pad_token", "think_open_token", "max_tokens", "max_completion_length", "top_k", "keys",
     "average_tokens_across_devices", "include_num_input_tokens_seen", "tokenizer", "tokenizer_name", "keep", "monkey",
     "stop_token_ids", "per_token", "key", "secretary", "max_tokens_per_microbatch", "added_tokens", "author",
     "keyword", "answer", "", "1"],
)  # fmt: skip
def test_names_that_do_not(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "value",
    [TOKEN, f"say {TOKEN} aloud", "sk-" + "a1" * 20, "ghp_" + "a1" * 18, "github_pat_" + "a1" * 20,
     "AKIA" + "A1" * 8, "xoxb-1234567890-abc", "https://me:pass@host/x", "-----BEGIN RSA PRIVATE KEY-----",
     "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijk", "https://host/x?api_key=abcdefgh1234&y=1",
     "lr=1,token=abcdefgh1234", "Bearer abcdefgh12345678", "Basic dXNlcjpwYXNzd29yZDEyMw==", "https://abcdefgh1234@host/x",
     "npm_" + "a1" * 18, "pypi-" + "a1" * 20, "ASIA" + "A1" * 8, "https://hooks.slack.com/services/T0/B0/" + "a1" * 12],
)  # fmt: skip
def test_values_that_look_like_one(value):
    assert looks_secret(value)
    assert value not in masked_text(f"path: {value}")


@pytest.mark.parametrize(
    "value",
    [
        "hf_model",
        "https://huggingface.co/x",
        "sk-learn",
        "0123456789abcdef" * 4,
        "Qwen/Qwen3-1.7B",
        5,
        None,
        "ssh://git@host/x",
        "say token=x",
        "sort_by=abcdefgh1234",
        "max_tokens=123456789",
        "eos_token=<|im_end|>",
    ],
)
def test_values_that_do_not(value):
    assert not looks_secret(value)


RECIPE = """name: x
model: {{path: tiny}}
stages:
  - sft:
      traces: {{tiny: true, count: 9}}
      trainer: {{max_steps: 1{trainer}}}
  - grpo:
      problems: train
      rewards: [{reward}]
      trainer: {{max_steps: 1}}
problems:
  train: {{tiny: train, count: 9}}
{more}
"""
PLACES = {
    "trainer": {"trainer": ", hub_token: SECRET"},
    "trainer, an old name": {"trainer": ", push_to_hub_token: SECRET"},
    "trainer, no such field": {"trainer": ", my_password: SECRET"},
    "trainer, nested": {"trainer": ", optim_args: {a: {api_key: SECRET}}"},
    "trainer, in a list": {"trainer": ", gradient_checkpointing_kwargs: {a: [{secret: SECRET}]}"},
    "trainer, by its looks": {"trainer": f", run_name: '{TOKEN}'"},
    "trainer, a list of secrets": {"trainer": ", hub_token: [SECRET]"},
    "a reward": {"reward": "{my.module:judge: {api_key: SECRET}}"},
    "a reward, by its looks": {"reward": f"{{my.module:judge: {{token: {TOKEN}}}}}"},
    "launch": {"more": "launch: {aws_secret_access_key: SECRET}"},
    "top": {"more": "hf_token: SECRET"},
    "description": {"more": f"description: my token is {TOKEN}"},
    "a mapping's key": {"more": f"launch: {{{TOKEN}: 1}}"},
    "an address": {"more": "thinking: {template: 'https://me:SECRETSECRET@host/t.jinja'}"},
}


@pytest.mark.parametrize("place", PLACES)
def test_a_recipe_with_one_is_refused_and_does_not_say_it(tmp_path, place):
    file = tmp_path / "a.yaml"
    parts = {"trainer": "", "reward": "magistral", "more": "", **PLACES[place]}
    file.write_text(RECIPE.format(**parts).replace("SECRET", "s3cr3t-value"), encoding="utf-8")
    with pytest.raises(RecipeError) as raised:
        load_recipe(file)
    told = str(raised.value)
    assert "the environment" in told
    assert "s3cr3t" not in told
    assert TOKEN not in told.replace(f"launch.{TOKEN}", "") or place == "a mapping's key"
    line = next(line for line in raised.value.problems if "the environment" in line)
    assert line.startswith(f"{file}:")
    partial = raised.value.partial
    assert "s3cr3t" not in repr(partial.recipe) + repr(partial.document.data)


@pytest.mark.parametrize(
    "override",
    ["stages.sft.trainer.hub_token=s3cr3t-value", "stages[0].trainer.hub_token=s3cr3t", f"name={TOKEN}",
     "stages.sft.trainer={hub_token: s3cr3t}", "stages.nothing.hub_token=s3cr3t", "hub_token=[s3cr3t",
     "a.password=s3cr3t"],
)  # fmt: skip
def test_an_override_with_one_is_refused_and_does_not_say_it(tmp_path, override):
    file = tmp_path / "a.yaml"
    file.write_text(RECIPE.format(trainer="", reward="magistral", more=""), encoding="utf-8")
    with pytest.raises(RecipeError) as raised:
        load_recipe(file, [override])
    assert "s3cr3t" not in str(raised.value)
    assert TOKEN not in str(raised.value)


def test_a_recipe_without_one_is_loaded_as_it_is(tmp_path):
    file = tmp_path / "a.yaml"
    trainer = ", hub_token: null, eos_token: '<|im_end|>', average_tokens_across_devices: true"
    file.write_text(RECIPE.format(trainer=trainer, reward="magistral", more=""), encoding="utf-8")
    loaded = load_recipe(file)
    assert loaded.document.data == read_document(file).data
    assert list(secrets_in(loaded.document.data)) == []


@pytest.mark.parametrize("config", [SFTConfig, GRPOConfig, MagistralGRPOConfig])
@pytest.mark.parametrize("name", ["hub_token", "push_to_hub_token", "api_key", "my_password"])
def test_the_trainers_check_refuses_it_too(config, name):
    ((key, message),) = trainer_mistakes(config, {name: "s3cr3t"}, {})
    assert key == name
    assert "the environment" in message
    assert "s3cr3t" not in message


def test_the_way_out_names_the_variable(tmp_path):
    ((_, message),) = trainer_mistakes(SFTConfig, {"hub_token": TOKEN}, {})
    assert "HF_TOKEN" in message


def test_masks_leave_everything_else():
    data = {"a": [{"api_key": "x", "b": TOKEN, "c": 1}], "rewards": [{"m:j": {"token": "</think>", "password": "y"}}]}
    assert masked_data(data) == {
        "a": [{"api_key": MASK, "b": MASK, "c": 1}], "rewards": [{"m:j": {"token": "</think>", "password": MASK}}]
    }  # fmt: skip
    text = "eos_token: '<|im_end|>'\nhub_token: abc # mine\nx: {api_key: 'a b', top_k: 5}\npassword: null\n"
    assert masked_text(text) == (
        f"eos_token: '<|im_end|>'\nhub_token: {MASK}# mine\nx: {{api_key: {MASK}, top_k: 5}}\npassword: null\n"
    )
    assert masked_text(masked_text(text)) == masked_text(text)


@pytest.mark.parametrize("absolute", [True, False])
def test_a_run_whose_recipe_is_a_link_elsewhere_does_not_show_it(tmp_path, absolute):
    run, elsewhere = tmp_path / "run", tmp_path / "private.txt"
    run.mkdir()
    elsewhere.write_text("name: private\nsecret words\n")
    (run / "manifest.json").write_text("{}")
    (run / "recipe.yaml").symlink_to(elsewhere if absolute else "../private.txt")
    found = collect(run)
    assert found.recipe == ""
    assert any("lies elsewhere" in line for line in found.missing)
    assert resolved_recipe(run) == {}


def test_a_run_folder_that_is_a_link_itself_shows_its_recipe(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").write_text(f"name: x\nhub_token: abc\npath: {TOKEN}\n")
    (tmp_path / "link").symlink_to("run")
    shown = collect(tmp_path / "link").recipe
    assert "name: x" in shown
    assert "abc" not in shown
    assert TOKEN not in shown


def test_check_says_it_once(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(RECIPE.format(trainer=", hub_token: s3cr3t", reward="magistral", more=""), encoding="utf-8")
    with pytest.raises(RecipeError) as raised:
        load_telling_all(file, [])
    assert len(raised.value.problems) == 1
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize(
    "text", ["a", "eyJaaaaaaaaaaa", "a ", "://a:", "aB", "-----BEGIN A ", "Bearer ", "a:'", "sk-", "a=a"]
)
def test_a_long_text_is_looked_through_in_its_length(text):
    long = text * (256 * 1024 // len(text))
    before = time.process_time()
    looks_secret(long)
    masked_text(long)
    is_secret_name(long)
    assert time.process_time() - before < 5
