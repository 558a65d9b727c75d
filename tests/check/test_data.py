"""What `check` says of data and models that lie on the hub: its first rows are read once, as sources read them."""

from __future__ import annotations

import json

import pytest
from check_document import document
from published_rows import PUBLISHED

from magistral_recipe.data import readers, tiny
from magistral_recipe.data.readers import Place, RawRow

RECIPE = """\
name: x
model: {path: tiny}
thinking: {system_prompt: none}
problems: {train: {path: somebody/problems}}
stages:
  - sft: {traces: {path: somebody/traces}}
  - grpo: {problems: train, rewards: [math], trainer: {max_completion_length: 64}}
"""
TRACES = PUBLISHED["openthoughts"].rows
PROBLEMS = [{"question": f"What is {n} + 1?", "answer": f"{n} + 1 = {n + 1}\n#### {n + 1}"} for n in range(40)]


@pytest.fixture
def hub(monkeypatch):
    """A hub that holds the rows it is given, and counts who reads them."""
    sets: dict[str, list] = {"somebody/problems": PROBLEMS, "somebody/traces": list(TRACES)}
    asked: list[str] = []

    def read(name, **options):
        asked.append(name)
        for number, row in enumerate(sets[name], start=1):
            yield RawRow(Place(name, "row", number), row)

    monkeypatch.setattr(readers, "read_hub", read)
    return sets, asked


def test_sets_of_the_hub_are_read_once_and_by_their_layouts(hub, tmp_path):
    found = document(tmp_path, RECIPE)
    assert found["exit_code"] == 0, found["mistakes"]
    assert hub[1] == ["somebody/problems", "somebody/traces"]
    assert not found["memory"]["prompt_tokens"]["assumed"]


def test_rows_of_the_hub_that_cannot_be_used_are_mistakes_at_their_keys_with_the_way_out(hub, tmp_path):
    sets, _ = hub
    sets["somebody/problems"] = [{"task": "x", "answer": "1"}] * 5
    sets["somebody/traces"] = [{"problem": f"p{n}", "completion": f"<b>mad</b> {n}"} for n in range(9)]
    found = document(tmp_path, RECIPE)
    told = {mistake["key"]: mistake for mistake in found["mistakes"]}
    assert set(told) == {"problems.train.columns", "stages[0].sft.traces.path"}
    assert told["problems.train.columns"]["line"] == 4
    assert "no column 'problem'" in told["problems.train.columns"]["message"]
    assert "9 of the first 9 rows would be set aside" in told["stages[0].sft.traces.path"]["message"]
    assert "malformed: keep" in told["stages[0].sft.traces.path"]["message"]


def test_mistakes_of_trainers_and_of_the_hubs_rows_are_told_together(hub, tmp_path):
    hub[0]["somebody/problems"] = [{"task": "x"}] * 5
    found = document(tmp_path, RECIPE.replace("max_completion_length", "max_completion_lengt"))
    assert {mistake["key"] for mistake in found["mistakes"]} == {
        "problems.train.columns",
        "stages[1].grpo.trainer.max_completion_lengt",
    }


@pytest.mark.parametrize(
    ("record", "quantization", "said"),
    [
        ({"quant_method": "fp8"}, "none", "its weights are FP8 (fp8), which can't be trained: use the bf16 Base"),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
            "none",
            "set model.quantization: nf4",
        ),
    ],
)
def test_weights_that_cannot_be_trained_are_told_from_the_config(tmp_path, record, quantization, said):
    model = tmp_path / "model"
    model.mkdir()
    for file in tiny.model_path().iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "quantization_config": record}))
    recipe = "name: x\nmodel: {path: model, dtype: bfloat16, lora: {r: 4}}\n"
    recipe += "stages: [sft: {traces: {tiny: true, count: 8}}]\n"
    (mistake,) = document(tmp_path, recipe)["mistakes"]
    assert (mistake["key"], mistake["line"]) == ("model.path", 2)
    assert said in mistake["message"]


def spoil_config(model):
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "model_type": "zeppelin"}))


def lose_a_shard(model):
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model-2-of-2.safetensors"}}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda model: [file.unlink() for file in model.glob("*.safetensors")], "model 'model': it has no weights"),
        (lose_a_shard, "model-2-of-2.safetensors, which its index lists, is missing"),
        (spoil_config, "model type `zeppelin`"),
        (lambda model: [file.unlink() for file in model.glob("token*")], "can't be loaded"),
        (lambda model: (model / "config.json").write_text("{"), "config.json"),
    ],
)
def test_a_local_model_that_could_not_be_loaded_is_a_mistake(tmp_path, spoil, said):
    model = tmp_path / "model"
    model.mkdir()
    for file in tiny.model_path().iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    spoil(model)
    recipe = (
        "name: x\nmodel: {path: model}\nproblems: {p: {tiny: train, count: 8}}\nstages: [evaluate: {problems: p}]\n"
    )
    found = document(tmp_path, recipe)
    assert found["exit_code"] == 2
    (mistake,) = found["mistakes"]
    assert (mistake["key"], mistake["line"]) == ("model.path", 2)
    assert said in mistake["message"]


def test_a_small_file_is_read_as_a_whole_once(tmp_path, monkeypatch):
    """Its rows are counted, and held against those of the set that is evaluated, from one reading."""
    text = "".join(json.dumps({"problem": f"What is {n} + 1?", "answer": str(n + 1)}) + "\n" for n in range(400))
    (tmp_path / "mine.jsonl").write_text(text)
    (tmp_path / "theirs.jsonl").write_text(text[: len(text) // 2].rpartition("\n")[0] + "\n")
    recipe = """\
name: x
model: {path: tiny}
thinking: {system_prompt: none}
problems: {mine: {path: mine.jsonl}, theirs: {path: theirs.jsonl}}
stages:
  - grpo: {problems: mine, rewards: [math], trainer: {max_completion_length: 64}}
  - evaluate: {problems: theirs, max_new_tokens: 8}
"""
    read, whole = readers.read_rows, []

    def counted(path, *given):
        yield from read(path, *given)
        whole.append(path.name)

    monkeypatch.setattr(readers, "read_rows", counted)
    found = document(tmp_path, recipe)
    assert any("not held out" in warning["message"] for warning in found["warnings"])
    assert whole.count("mine.jsonl") == 1
