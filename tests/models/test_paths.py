from __future__ import annotations

from pathlib import Path

import pytest

from magistral_recipe.errors import DataError
from magistral_recipe.files import folder_atomically
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.load import load_model, load_tokenizer
from magistral_recipe.models.paths import ModelSource, find_model, hub_id, lasting_path, missing_model


def model_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_folders_files_and_hub_ids_are_told_apart(tmp_path):
    folder = model_folder(tmp_path / "model")
    (folder / "weights.Q4_1.gguf").touch()
    assert find_model(folder) == ModelSource(str(folder))
    assert find_model(folder / "weights.Q4_1.gguf") == ModelSource(str(folder), gguf_file="weights.Q4_1.gguf")
    assert find_model("Qwen/Qwen3-1.7B-Base") == ModelSource("Qwen/Qwen3-1.7B-Base")
    assert find_model("owner/name/file.gguf") == ModelSource("owner/name", gguf_file="file.gguf")


def test_the_old_model_is_found_where_a_kill_left_it(tmp_path):
    """`folder_atomically` was killed between its two renames: nothing bears the folder's own name."""
    old = model_folder(tmp_path / ".model.old")
    model_folder(tmp_path / ".model.tmp")
    assert find_model(tmp_path / "model") == find_model(str(tmp_path / "model")) == ModelSource(str(old))
    with folder_atomically(tmp_path / "model") as temporary:
        (temporary / "config.json").write_text("{}")
    assert find_model(tmp_path / "model") == ModelSource(str(tmp_path / "model"))


def test_a_path_lasts_in_another_working_folder(tmp_path, monkeypatch):
    model_folder(tmp_path / "recipe" / "models" / "mine")
    model_folder(tmp_path / "recipe" / "tiny")  # the name of the embedded model, whatever lies there
    model_folder(tmp_path / "home" / "mine")
    (tmp_path / "blob").touch()
    (tmp_path / "recipe" / "linked.gguf").symlink_to(tmp_path / "blob")  # as the hub's cache does
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for base in (tmp_path / "recipe", Path("recipe")):
        assert lasting_path("models/mine", base) == str(tmp_path / "recipe" / "models" / "mine")
        assert lasting_path("~/mine", base) == str(tmp_path / "home" / "mine")
        assert lasting_path("linked.gguf", base) == str(tmp_path / "recipe" / "linked.gguf")
        for unchanged in ("tiny", "owner/name", "~/nowhere", "package:some/file.gguf", str(tmp_path / "home" / "mine")):
            assert lasting_path(unchanged, base) == unchanged
    (tmp_path / "recipe" / "linked.gguf").unlink()


def test_only_a_model_of_the_hub_has_an_id_there(tmp_path):
    assert hub_id("owner/name") == "owner/name"
    assert hub_id("owner/name/file.gguf") == "owner/name"
    local = model_folder(tmp_path / "models" / "mine")
    for path in ("tiny", str(local), str(tmp_path / "moved" / "away"), "package:not_there/small.gguf"):
        assert hub_id(path) is None


def test_an_adapter_is_found_in_a_stages_folder_and_alone(tmp_path):
    adapter = tmp_path / "model" / "adapter"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text("{}")
    assert find_model(tmp_path / "model") == ModelSource(str(tmp_path / "model"), adapter=adapter)
    assert find_model(adapter) == ModelSource(str(adapter), adapter=adapter)


def test_a_file_inside_an_installed_package(tmp_path, monkeypatch):
    (tmp_path / "model_in_a_package").mkdir()
    (tmp_path / "model_in_a_package" / "__init__.py").touch()
    (tmp_path / "model_in_a_package" / "small.gguf").touch()
    monkeypatch.syspath_prepend(tmp_path)
    found = find_model("package:model_in_a_package/small.gguf")
    assert found == ModelSource(str(tmp_path / "model_in_a_package"), gguf_file="small.gguf")
    with pytest.raises(DataError, match=r"it holds small\.gguf"):
        find_model("package:model_in_a_package/large.gguf")
    with pytest.raises(DataError, match="no Python package 'not_there'"):
        find_model("package:not_there/small.gguf")


def test_what_is_no_model_says_what_is_there_instead(tmp_path):
    model_folder(tmp_path / "run" / "01-sft" / "model")
    with pytest.raises(DataError, match=r"looks like a run folder: name one of its models \(01-sft/model\)"):
        find_model(tmp_path / "run")
    (tmp_path / "ggufs").mkdir()
    (tmp_path / "ggufs" / "a.gguf").touch()
    with pytest.raises(DataError, match=r"name the GGUF file in it \(a\.gguf\)"):
        find_model(tmp_path / "ggufs")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.md").touch()
    with pytest.raises(DataError, match=r"no config\.json; it holds notes\.md"):
        find_model(tmp_path / "text")
    with pytest.raises(DataError, match="is a file"):
        find_model(tmp_path / "text" / "notes.md")
    with pytest.raises(DataError, match="no such file or folder"):
        find_model(tmp_path / "missing")
    with pytest.raises(DataError, match="no such file or folder"):
        find_model("./missing")
    with pytest.raises(DataError, match=r"OWNER/NAME/FILE\.gguf"):
        find_model("missing.gguf")


def test_a_folder_that_is_meant_and_missing_is_told_before_the_hub_is_asked(tmp_path, monkeypatch):
    model_folder(tmp_path / "models" / "my-sft")
    for path, told in {
        "models/my-sf": "Did you mean 'my-sft'?; if the model of that name on the hub is meant, say so with revision",
        "./my-sft": "no such file or folder: ",
        "a/b/c/d": "There is no folder",
        "not/a hub id": "paths start at the recipe's folder",
        str(tmp_path / "models" / "mine"): "no such file or folder",
    }.items():
        assert told in (missing_model(path, tmp_path) or ""), path
    for path in ("tiny", "models/my-sft", "Qwen/Qwen3-0.6B", "gpt2", "owner/name/file.gguf"):
        assert missing_model(path, tmp_path) is None, path
    assert missing_model("models/my-sf", tmp_path, revision="main") is None
    elsewhere = tmp_path / "recipes"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    assert "the working folder's is ../models/my-sft" in (missing_model("models/my-sft", elsewhere) or "")


def test_a_trainers_output_folder_names_the_models_in_it(tmp_path):
    model_folder(tmp_path / "out" / "checkpoint-500")
    with pytest.raises(DataError, match=r"name one of the models in it \(checkpoint-500\)"):
        find_model(tmp_path / "out")


def test_a_hub_id_that_cannot_be_fetched_says_how_to(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for load in (
        lambda: load_model(ModelConfig(path="no-one/no-such-model")),
        lambda: load_tokenizer("no-one/no-such-model"),
    ):
        with pytest.raises(DataError) as caught:
            load()
        assert "hf download no-one/no-such-model" in str(caught.value)
        assert len(caught.value.problems) == 1


def test_damaged_weights_are_named(tmp_path):
    folder = model_folder(tmp_path / "model")
    (folder / "config.json").write_text('{"model_type": "llama", "hidden_size": 8, "num_attention_heads": 2}')
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(DataError, match="its weights are damaged"):
        load_model(ModelConfig(path=str(folder)))


def test_a_config_that_names_no_architecture(tmp_path):
    with pytest.raises(DataError, match="can't be loaded"):
        load_model(ModelConfig(path=str(model_folder(tmp_path / "model"))))


def test_a_folder_without_a_tokenizer_says_so_to_the_end(tmp_path):
    folder = model_folder(tmp_path / "model")
    (folder / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(DataError, match=r"can't be loaded: .*: \(1\) a `tokenizers` library") as caught:
        load_tokenizer(folder)
    assert len(str(caught.value).splitlines()) == 1
