"""SFT's rows: the loss on the completion alone, its end trained, and no trace ever cut."""

from __future__ import annotations

import pytest

from magistral_recipe.chain.run_folder import RunFolder
from magistral_recipe.chain.stage_process import run_stage
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.data import tiny
from magistral_recipe.data.problems import Trace
from magistral_recipe.errors import DataError
from magistral_recipe.models.load import load_tokenizer
from magistral_recipe.stages.sft import IGNORED, tokenized
from magistral_recipe.writing.chat_format import ChatFormat


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("tiny", ChatFormat())


@pytest.fixture(scope="module")
def traces():
    return [Trace.model_validate(row) for row in tiny.traces(20)]


def test_the_loss_is_taken_on_the_completion_with_its_stop_token_and_nothing_else(tokenizer, traces):
    dataset, dropped = tokenized(traces, ChatFormat(), tokenizer, None)
    assert (len(dataset), dropped) == (20, 0)
    for row, trace in zip(dataset, traces, strict=True):
        trained = [label for label in row["labels"] if label != IGNORED]
        assert trained[0] != tokenizer.eos_token_id
        assert tokenizer.eos_token_id in trained
        assert "<think>" in tokenizer.decode(trained) or "<think>" not in trace.completion
        masked = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label == IGNORED]
        assert trace.problem in tokenizer.decode(masked)
        assert trace.problem not in tokenizer.decode(trained)


def test_a_trace_that_is_too_long_is_left_out_whole_and_counted(tokenizer, traces):
    whole, _ = tokenized(traces, ChatFormat(), tokenizer, None)
    lengths = sorted(len(row["input_ids"]) for row in whole)
    limit = lengths[10]
    dataset, dropped = tokenized(traces, ChatFormat(), tokenizer, limit)
    assert dropped == sum(length > limit for length in lengths) > 0
    assert sorted(len(row["input_ids"]) for row in dataset) == lengths[: len(lengths) - dropped]


@pytest.mark.parametrize(
    ("overlong", "message"),
    [
        ("refuse", "traces are longer than 40 tokens; raise trainer.max_length"),
        ("drop", "no trace fits into 40 tokens"),
    ],
)
def test_overlong_traces_are_refused_where_that_is_asked(tmp_path, overlong, message):
    (tmp_path / "r.yaml").write_text(
        "name: r\nmodel: {path: tiny}\nthinking: {system_prompt: none}\nstages:\n"
        f"  - sft: {{overlong: {overlong}, traces: {{tiny: true, count: 8}}, trainer: {{max_length: 40}}}}\n"
    )
    loaded = load_recipe(tmp_path / "r.yaml")
    run = RunFolder(tmp_path / "run", loaded)
    run.path.mkdir()
    run.prepare(run.stage_plans()[0])
    with pytest.raises(DataError, match=message):
        run_stage(loaded, run.path, 0, [].append)
