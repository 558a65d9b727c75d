"""A recipe run from Python: from a mapping, on rows in memory, with the report where it is looked at."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import magistral_recipe
from magistral_recipe.chain import from_python
from magistral_recipe.errors import DataError, RecipeError

ROWS = [{"q": f"{i}+1?", "a": str(i + 1)} for i in range(12)]
TRACES = [
    {"problem": f"{i}+1?", "thoughts": f"One more than {i}.", "response": f"\\boxed{{{i + 1}}}"} for i in range(12)
]


def recipe() -> dict:
    return {
        "name": "by-hand",
        "model": {"path": "tiny"},
        "thinking": {"system_prompt": "none"},
        "problems": {"train": {"columns": {"problem": "q", "answer": "a"}}},
        "stages": [
            {"sft": {"trainer": {"max_steps": 2, "logging_steps": 1}}},
            {"evaluate": {"problems": "train", "samples": 1, "max_new_tokens": 8}},
        ],
    }


class Frame:
    """What is asked of a pandas frame."""

    columns = ("q", "a")

    def itertuples(self, index: bool, name: str | None):
        assert (index, name) == (False, None)
        return (tuple(row.values()) for row in ROWS)


class PolarsFrame:
    """What is asked of a frame of polars."""

    def to_dicts(self):
        return ROWS


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """What reaches the chain, in place of running it."""
    monkeypatch.chdir(tmp_path)
    found = []
    monkeypatch.setattr(from_python, "run_recipe", lambda loaded, options: found.append(loaded) or options.output)
    return found


def test_rows_in_memory_become_the_sets_that_the_recipe_speaks_of(loaded, tmp_path):
    from datasets import Dataset

    for rows in (ROWS, Frame(), PolarsFrame(), Dataset.from_list(ROWS), {"train": ROWS}):
        given = recipe()
        magistral_recipe.run_recipe(given, problems=rows, traces=TRACES)
        assert given == recipe()  # the person's own mapping stays
        source = loaded[-1].recipe.problems["train"]
        assert source.columns == {"problem": "q", "answer": "a"}
        assert Path(source.path).read_text() == (tmp_path / "runs/by-hand/data/train.jsonl").read_text()
        written = [json.loads(line)["q"] for line in Path(source.path).read_text().splitlines()]
        assert written == [row["q"] for row in ROWS]
    made = recipe()
    made["problems"]["train"] |= {
        "tiny": "train",
        "count": 3,
    }  # a ready recipe's own set, in whose place these rows are
    magistral_recipe.run_recipe(made, problems=ROWS, traces=TRACES)
    assert (loaded[-1].recipe.problems["train"].tiny, loaded[-1].recipe.problems["train"].count) == (None, None)
    before = Path(source.path).stat().st_mtime_ns
    magistral_recipe.run_recipe(recipe(), problems=ROWS, traces=TRACES)
    assert Path(source.path).stat().st_mtime_ns == before  # what is equal is not written again, so that stages are kept


def test_mistakes_are_told_as_those_of_a_file(loaded):
    wrong = recipe() | {"sed": 3}
    with pytest.raises(RecipeError, match=r"sed: unknown key\. Did you mean 'seed'"):
        magistral_recipe.run_recipe(wrong, problems=ROWS, traces=TRACES)
    with pytest.raises(DataError, match="row 1 is a int"):
        magistral_recipe.run_recipe(recipe(), problems=[1])
    with pytest.raises(DataError, match="no rows were given"):
        magistral_recipe.run_recipe(recipe(), problems=[])
    with pytest.raises(RecipeError, match="no `sft` stage"):
        magistral_recipe.run_recipe({**recipe(), "stages": []}, traces=TRACES)


@pytest.mark.slow
def test_a_recipe_runs_from_python_and_its_report_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = magistral_recipe.run_recipe(recipe(), problems=ROWS, traces=TRACES, changes=["seed=3"])
    assert run.folder == Path("runs/by-hand")
    assert run.results["sft"]["steps"] == 2
    assert [record["step"] for record in run.metrics("sft")][:2] == [1, 2]
    assert (run.model("sft") / "config.json").is_file()
    assert run._repr_html_().startswith('<iframe srcdoc="&lt;!')
    with pytest.raises(DataError, match="no stage 'grpo'; it has sft, evaluate"):
        run.model("grpo")
    again = magistral_recipe.run_recipe(recipe(), problems=ROWS, traces=TRACES, changes=["seed=3"])
    assert again.results["sft"] == run.results["sft"]


def test_the_readmes_trainer_runs_as_it_stands_and_leaves_what_a_report_is_made_of(tmp_path, monkeypatch):
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    section = text.partition("## The trainer in your own script")[2]
    code = re.search(r"```python\n(.*?)```", section, re.S)[1]
    assert code.count("MagistralGRPOTrainer(") == 1
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    from magistral_recipe.report.build import build_report
    from magistral_recipe.report.collect import collect

    (stage,) = collect(Path("out")).stages
    assert (stage.kind, stage.status) == ("grpo", "complete")
    assert [step for step, _ in stage.curve("reward")] == [1, 3]  # one a generation batch of two minibatches
    assert stage.rollouts
    assert "metrics.jsonl" not in " ".join(collect(Path("out")).missing)
    assert "reward" in build_report(Path("out")).read_text()
