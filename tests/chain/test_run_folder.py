"""The run folder: what is skipped, resumed, started anew, and who may work in it."""

from __future__ import annotations

import pytest

from magistral_recipe.chain.manifest import write_manifest
from magistral_recipe.chain.run_folder import RunFolder
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.errors import RunError
from magistral_recipe.files import read_json, write_json

RECIPE = """\
name: r
model: {path: tiny}
problems:
  mine: {path: problems.jsonl}
stages:
  - sft: {traces: {tiny: true, count: 8}}
  - grpo: {problems: mine}
  - evaluate: {problems: mine}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "problems.jsonl").write_text('{"problem": "1+1", "answer": "2"}\n')
    (tmp_path / "r.yaml").write_text(RECIPE)

    def make(*overrides: str) -> RunFolder:
        run = RunFolder(tmp_path / "run", load_recipe(tmp_path / "r.yaml", list(overrides)))
        run.path.mkdir(exist_ok=True)
        return run

    return make


def decisions(run: RunFolder) -> list[str]:
    return [plan.decision for plan in run.stage_plans()]


def finish(run: RunFolder, count: int) -> None:
    for plan in run.stage_plans()[:count]:
        run.prepare(plan)
        (plan.folder / "model").mkdir(exist_ok=True)
        (plan.folder / "model" / "weights").write_text("w")
        run.complete(plan, {"steps": 3}, 1.5, "code")


def test_a_new_run_starts_every_stage(folder):
    assert decisions(folder()) == ["start", "start", "start"]


def test_complete_stages_are_skipped_and_a_half_done_one_resumes(folder):
    run = folder()
    finish(run, 1)
    run.prepare(run.stage_plans()[1])
    assert decisions(folder()) == ["skip", "resume", "start"]


def test_a_changed_key_restarts_its_stage_and_all_that_build_on_it(folder, tmp_path):
    finish(folder(), 3)
    assert decisions(folder()) == ["skip", "skip", "skip"]
    changed = folder("stages.grpo.trainer.learning_rate=2e-6")
    assert decisions(changed) == ["skip", "restart", "restart"]
    assert decisions(folder("stages.sft.trainer.learning_rate=2e-6")) == ["restart", "restart", "restart"]
    assert decisions(folder("seed=43")) == ["restart", "restart", "restart"]
    assert decisions(folder("description=words")) == ["skip", "skip", "skip"]
    changed.prepare(changed.stage_plans()[1])
    assert (tmp_path / "run" / "replaced" / "02-grpo.1" / "model" / "weights").read_text() == "w"


def test_a_key_that_only_decides_what_a_stage_takes_makes_no_other_stage_of_it(folder):
    run = folder()
    finish(run, 1)
    run.prepare(run.stage_plans()[1])
    before = [plan.fingerprint for plan in run.stage_plans()]
    batch = (
        "sft.trainer.per_device_train_batch_size=4",
        "sft.trainer.gradient_accumulation_steps=2",
    )  # 8 and 1, as before
    plans = folder(*batch, "grpo.trainer.max_tokens_per_microbatch=8192").stage_plans()
    assert [plan.decision for plan in plans] == ["skip", "resume", "start"]
    assert plans[1].why == ("trainer.max_tokens_per_microbatch: not given -> 8192",)
    assert plans[1].stage.trainer == {"max_tokens_per_microbatch": 8192}
    assert [plan.fingerprint for plan in plans] == before
    assert decisions(folder(batch[0]))[0] == "restart"  # a batch of another size
    assert decisions(folder("grpo.trainer.max_tokens_per_microbatch=8192", "grpo.trainer.beta=0.1"))[1] == "restart"


def test_changed_data_restart_the_stages_that_read_them(folder, tmp_path):
    finish(folder(), 3)
    (tmp_path / "problems.jsonl").write_text('{"problem": "1+2", "answer": "3"}\n')
    assert decisions(folder()) == ["skip", "restart", "restart"]


def test_lost_output_is_made_again(folder, tmp_path):
    finish(folder(), 3)
    (tmp_path / "run" / "01-sft" / "model" / "weights").unlink()
    assert decisions(folder()) == ["resume", "skip", "skip"]


def test_a_folder_without_a_record_is_not_taken_for_a_stage(folder, tmp_path):
    (tmp_path / "run" / "01-sft").mkdir(parents=True)
    (tmp_path / "run" / "01-sft" / "something").write_text("of the user's")
    assert decisions(folder())[0] == "restart"


def test_fresh_forgets_stages_and_leaves_the_users_own_files(folder, tmp_path):
    run = folder()
    finish(run, 2)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    run.start_afresh()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]
    assert decisions(folder()) == ["start", "start", "start"]


def test_fresh_forgets_everything_that_a_run_writes_and_nothing_else(folder, tmp_path):
    run = folder()
    finish(run, 2)
    finish(folder("stages.grpo.trainer.learning_rate=2e-6"), 2)  # the first one moves to replaced/
    for name in ("manifest.json", "recipe.yaml", "report.html", "report.md", "metrics.json", ".decisions.json"):
        (run.path / name).write_text("{}")
    # What is the user's: a folder named like a stage, one with another program's record, a file beside old stages.
    (run.path / "03-notes").mkdir()
    (run.path / "04-other").mkdir()
    (run.path / "04-other" / "stage.json").write_text('{"name": "curtain", "status": "complete"}')
    (run.path / "replaced" / "why.txt").write_text("mine")
    assert (run.path / "replaced" / "02-grpo.1").is_dir()
    folder().start_afresh()
    left = sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*"))
    assert left == ["03-notes", "04-other", "04-other/stage.json", "replaced", "replaced/why.txt"]
    assert decisions(folder()) == ["start", "start", "start"]


def test_fresh_keeps_a_recipe_that_lives_in_the_folder(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "problems.jsonl").write_text('{"problem": "1+1", "answer": "2"}\n')
    run = RunFolder(tmp_path, load_recipe(tmp_path / "recipe.yaml"))
    finish(run, 1)
    run.start_afresh()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["problems.jsonl", "recipe.yaml"]


def test_only_one_command_works_in_a_folder(folder):
    run = folder()
    with run.locked(), pytest.raises(RunError, match="another command is running in this folder"), folder().locked():
        pass
    with run.locked():
        pass


def test_time_adds_up_over_attempts(folder):
    run = folder()
    plan = run.stage_plans()[0]
    run.prepare(plan)
    run.note_failure(plan, 2.0, None)
    run.prepare(plan)
    run.complete(plan, {}, 3.0, "code")
    record = read_json(plan.record)
    assert (record["seconds"], record["attempts"]) == (5.0, 2)


RECORDS = ['["a", "list"]', '"text"', "7", "null", "{}", "half {", "\x00\x00", "[" * 100_000, '{"status": "complete"}']


@pytest.mark.parametrize("text", RECORDS, ids=range(len(RECORDS)))
@pytest.mark.parametrize("file", ["stage.json", "manifest.json", ".run.json"])
def test_a_record_of_another_type_is_told_in_a_line_and_nothing_is_lost(folder, tmp_path, file, text):
    finish(folder(), 3)
    run = folder()
    write_manifest(run, run.stage_plans())
    place = run.path / "01-sft" / file if file == "stage.json" else run.path / file
    place.write_text(text)
    again = folder()
    plans = again.stage_plans()
    write_manifest(again, plans)
    assert again.stage_plans() == plans
    if file != "stage.json":
        assert [plan.decision for plan in plans] == ["skip", "skip", "skip"]
        return
    assert plans[0].decision == "restart"
    (why,) = plans[0].why
    assert why.startswith("stage.json is no stage's record")
    assert "\n" not in why
    again.prepare(plans[0])
    assert (run.path / "replaced" / "01-sft.1" / "model" / "weights").read_text() == "w"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seconds", "long"), ("attempts", "x"), ("results", []), ("outputs", {"a": "b"}), ("outputs", [1]),
        ("hashes", {"a": 1}), ("fingerprint", 3), ("status", "perhaps"), ("reads", ["x"]), ("made_of", "y"),
    ],
)  # fmt: skip
def test_a_part_of_another_type_is_told_as_the_key_it_is(folder, key, value):
    finish(folder(), 1)
    run = folder()
    record = run.path / "01-sft" / "stage.json"
    write_json(record, {**read_json(record), key: value})
    plan = folder().stage_plans()[0]
    assert plan.decision == "restart"
    assert f"stage.json is no stage's record: {key}" in plan.why[0]


def test_a_changed_layout_of_ones_own_restarts_the_stages_that_read_by_it(folder, tmp_path):
    layout = "title: t\nabout: a\nknown_by: [problem]\ncolumns: {problem: problem, answer: answer}\n"
    layout += "documented_at: here\nlicence: mine\n"
    (tmp_path / "mine.yaml").write_text(layout)
    named = "problems.mine.layout=mine.yaml"
    finish(folder(named), 3)
    assert decisions(folder(named)) == ["skip", "skip", "skip"]
    (tmp_path / "mine.yaml").write_text(layout.replace("licence: mine", "licence: yours"))
    assert decisions(folder(named)) == ["skip", "restart", "restart"]
