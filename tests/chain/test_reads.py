"""All that a stage reads has a fingerprint, and what differs is named: a complete one reruns, a half-done one stops.

The chain runs in this process, on stages that only read; what they are made of is a training stage's.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from toy_stage import CountStage

import magistral_recipe
from magistral_recipe.chain import run as chain_run
from magistral_recipe.chain.code_files import code_files
from magistral_recipe.chain.reads import confirm, files_read
from magistral_recipe.chain.run import RunOptions, run_recipe
from magistral_recipe.chain.run_folder import RunFolder, places_of
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.errors import RecipeError, RunError
from magistral_recipe.files import read_json, write_json
from magistral_recipe.foreign import naming_only
from magistral_recipe.rewards import registry
from magistral_recipe.stages import STAGES

RECIPE = """\
name: read
seed: 7
model: {path: models/base}
thinking: {template: chat.jinja}
launch: {config_file: launch.yaml}
problems:
  mine: {path: mine.jsonl}
  bench: {benchmark: bench.yaml}
stages:
  - sft: {traces: {path: traces.jsonl}, trainer: {accelerator_config: accel.json}}
  - grpo: {problems: mine, rewards: ["reads_rewards:pays", format]}
  - evaluate: {problems: bench}
"""
ROW = '{"problem": "1+1", "answer": "2"}\n'
FILES = {
    "models/base/config.json": "{}",
    "chat.jinja": "{{ messages }}",
    "launch.yaml": "mixed_precision: 'no'\n",
    "mine.jsonl": ROW,
    "bench.jsonl": ROW,
    "traces.jsonl": '{"problem": "1+1", "completion": "<think>two</think>2"}\n',
    "accel.json": "{}",
    "reads_rewards.py": (
        "from reads_helper import worth\n\n\ndef pays(completions, **_):\n    return [worth(c) for c in completions]\n"
    ),
    "reads_helper.py": "def worth(completion):\n    return 1.0\n",
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with a recipe and everything that it reads."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "bench.yaml").write_text(_bench_row())
    (tmp_path / "read.yaml").write_text(RECIPE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("reads_rewards", "reads_helper"):
        sys.modules.pop(name, None)


def _bench_row() -> str:
    """A shipped row, whose data are a file of one's own."""
    shipped = Path(magistral_recipe.__file__).parent / "data" / "benchmarks" / "file.yaml"
    return shipped.read_text().replace("{path: FILE}", "{path: bench.jsonl}")


def run_folder(home: Path, *overrides: str) -> RunFolder:
    run = RunFolder(home / "run", load_recipe(home / "read.yaml", list(overrides)))
    run.path.mkdir(exist_ok=True)
    return run


def finish(run: RunFolder, running: int | None = None) -> None:
    """Complete every stage, but for one that is half done."""
    for plan in run.stage_plans():
        run.prepare(plan, "code")
        (plan.folder / "model").mkdir(exist_ok=True)
        (plan.folder / "model" / "weights").write_text("w")
        if plan.index != running:
            run.complete(plan, {}, 1.0, "code")


def test_every_file_that_a_stage_reads_is_listed(home):
    loaded = load_recipe(home / "read.yaml")
    read = [sorted(files_read(loaded, p.stage, p.start_model)) for p in places_of(loaded.recipe, home / "run")]
    assert read[0] == ["accel.json", "chat.jinja", "launch.yaml", "models/base", "traces.jsonl"]
    code = ["reads_helper (code)", "reads_rewards (code)"]
    assert read[1] == ["chat.jinja", "launch.yaml", "mine.jsonl", *code]
    assert read[2][:2] == ["bench.jsonl", "bench.yaml"]
    assert "chat.jinja" in read[2]
    assert "launch.yaml" not in read[2]  # it is started as one process, without it


@pytest.mark.parametrize(
    ("file", "label", "stages"),
    [
        ("chat.jinja", "chat.jinja", ["sft", "grpo", "evaluate"]),
        ("launch.yaml", "launch.yaml", ["sft", "grpo", "evaluate"]),
        ("accel.json", "accel.json", ["sft", "grpo", "evaluate"]),
        ("reads_rewards.py", "reads_rewards (code)", ["grpo", "evaluate"]),
        ("reads_helper.py", "reads_helper (code)", ["grpo", "evaluate"]),
        ("bench.yaml", "bench.yaml", ["evaluate"]),
        ("bench.jsonl", "bench.jsonl", ["evaluate"]),
        ("mine.jsonl", "mine.jsonl", ["grpo", "evaluate"]),
        ("traces.jsonl", "traces.jsonl", ["sft", "grpo", "evaluate"]),
        ("models/base/config.json", "models/base", ["sft", "grpo", "evaluate"]),
    ],
)
def test_a_file_that_changes_makes_complete_stages_run_again_and_is_named(home, file, label, stages):
    finish(run_folder(home))
    assert [plan.decision for plan in run_folder(home).stage_plans()] == ["skip"] * 3
    before = (home / file).read_text()
    (home / file).write_text(before + ("\n" if file.endswith(("yaml", "py", "jinja")) else " "))
    plans = run_folder(home).stage_plans()
    assert [plan.stage.name for plan in plans if plan.decision == "restart"] == stages
    first = next(plan for plan in plans if plan.decision == "restart")
    assert f"{label} has changed" in first.why
    assert not first.refused
    (home / file).write_text(before)
    assert [plan.decision for plan in run_folder(home).stage_plans()] == ["skip"] * 3


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("name", ["default_config.yaml", "default_config.json"])
def test_the_config_that_accelerate_takes_unasked_is_read_where_it_takes_it(home, monkeypatch, gpu, name):
    monkeypatch.setattr("magistral_recipe.chain.launch._has_gpu", lambda: gpu)
    monkeypatch.setenv("HF_HOME", str(home / "cache"))
    (home / "cache" / "accelerate").mkdir(parents=True)
    (home / "cache" / "accelerate" / name).write_text("{}")
    (home / "read.yaml").write_text(RECIPE.replace("launch: {config_file: launch.yaml}\n", ""))
    loaded = load_recipe(home / "read.yaml")
    read = files_read(loaded, loaded.recipe.stages[0], "base")
    assert ("Accelerate's default config" in read) is gpu


@pytest.mark.parametrize("file", ["chat.jinja", "launch.yaml", "reads_helper.py", "mine.jsonl"])
def test_a_half_done_stage_is_not_gone_on_with_and_started_anew_by_a_persons_word_alone(home, file):
    finish(run_folder(home), running=1)
    assert run_folder(home).stage_plans()[1].decision == "resume"
    (home / file).write_text(FILES[file] + "\n")
    plan = run_folder(home).stage_plans()[1]
    assert plan.refused
    with pytest.raises(RecipeError, match=r"stage 'grpo' is half done, and since it began .* has changed.*--restart"):
        chain_run._refuse_mixtures([plan])
    word = run_folder(home).stage_plans(restart=True)[1]
    assert (word.decision, word.refused) == ("restart", False)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("seed=8", "seed: 7 -> 8"),
        ("stages.grpo.trainer.learning_rate=2e-6", "trainer.learning_rate: not given -> 2e-06"),
        ("thinking.system_prompt=none", "thinking.system_prompt: magistral -> none"),
    ],
)
def test_a_key_that_differs_at_a_resume_is_named_and_is_a_persons_word(home, override, told):
    finish(run_folder(home), running=1)
    plan = run_folder(home, override).stage_plans()[1]
    assert plan.decision == "restart"
    assert not plan.refused
    assert told in plan.why


def test_another_number_of_processes_goes_on_where_a_batch_is_as_large(home):
    finish(run_folder(home), running=1)
    twice = ("launch.num_processes=2",)
    sft, grpo, evaluate = run_folder(home, *twice).stage_plans()
    assert (sft.decision, sft.why) == ("restart", ("num_processes: 1 -> 2",))  # twice as many traces a step
    sft, grpo, evaluate = run_folder(home, *twice, "sft.trainer.per_device_train_batch_size=4").stage_plans()
    assert (sft.decision, grpo.decision) == ("skip", "resume")
    assert grpo.why == ("num_processes: 1 -> 2",)
    assert (evaluate.decision, evaluate.why) == ("restart", ("num_processes: 1 -> 2",))

    finish(run_folder(home), running=0)
    sft = run_folder(home, *twice, "sft.trainer.per_device_train_batch_size=4").stage_plans()[0]
    assert sft.decision == "resume"
    assert set(sft.why) == {"num_processes: 1 -> 2", "trainer.per_device_train_batch_size: not given -> 4"}


def test_an_earlier_versions_record_is_told_and_nothing_runs_again(home):
    finish(run_folder(home))
    for record in (home / "run").glob("*/stage.json"):
        data = read_json(record)
        for key in ("made_of", "reads", "seen", "hashes", "run"):
            del data[key]
            write_json(record, data)
    plans = run_folder(home).stage_plans()
    assert [plan.decision for plan in plans] == ["skip"] * 3
    assert set(plans[1].untold) == {"chat.jinja", "launch.yaml", "reads_rewards (code)", "reads_helper (code)"}
    (home / "mine.jsonl").write_text(ROW * 2)
    assert [plan.decision for plan in run_folder(home).stage_plans()] == ["skip", "restart", "restart"]


def test_the_manifest_tells_of_what_was_read_and_not_of_what_is_there_now(home):
    from magistral_recipe.chain.manifest import write_manifest

    run = run_folder(home)
    finish(run)
    write_manifest(run, run.stage_plans())
    before = read_json(home / "run" / "manifest.json")
    assert set(before["inputs"]) >= {"mine.jsonl", "chat.jinja", "reads_rewards (code)", "launch.yaml", "models/base"}
    plans = run.stage_plans()
    (home / "mine.jsonl").write_text(ROW * 3)
    write_manifest(run_folder(home), plans)  # as at the end of the run that had it loaded before
    assert read_json(home / "run" / "manifest.json")["inputs"] == before["inputs"]
    assert before["stages"][1]["reads"]["mine.jsonl"] == before["inputs"]["mine.jsonl"]


def test_a_model_is_read_only_while_it_is_what_its_stage_left(home):
    run = run_folder(home)
    finish(run)
    plans = run.stage_plans()
    for plan in plans:
        chain_run._require_intact(run, plan)
    (home / "run" / "01-sft" / "model" / "weights").write_text("x")  # of the same size
    chain_run._require_intact(run, plans[0])
    with pytest.raises(RunError, match=r"it reads 01-sft, of which model/weights is not what was written.*run again"):
        chain_run._require_intact(run, plans[1])
    again = run.stage_plans()
    assert [plan.decision for plan in again] == ["resume", "skip", "skip"]
    assert again[0].why == ("model/weights is not what was written: its hash differs",)
    (home / "run" / "02-grpo" / "model" / "README.md").write_text("words that people write beside it")
    assert run.stage_plans()[1].decision == "skip"


def test_what_is_written_to_between_the_hash_and_the_load_is_refused(home):
    run = run_folder(home)
    plan = run.stage_plans()[1]
    run.prepare(plan)
    files = files_read(run.loaded, plan.stage, plan.start_model)
    confirm(plan.record, files)
    os.utime(home / "mine.jsonl", (1, 1))  # touched, and the same
    confirm(plan.record, files)
    (home / "mine.jsonl").write_text(ROW.replace("2", "3"))
    with pytest.raises(RunError, match=r"written to while the stage was loading: mine\.jsonl; run again"):
        confirm(plan.record, files)


# ------------------------------------------------------------------------------------------ whole chains

COUNTED = """\
name: counted
model: {path: models/base}
problems: {mine: {path: mine.jsonl}}
stages:
  - count: {problems: mine}
  - count: {name: again, problems: mine}
"""


@pytest.fixture
def counted(home, monkeypatch):
    """Run a chain of stages that count words, in this process."""
    monkeypatch.setitem(STAGES, "count", "toy_stage:CountStage")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setattr(chain_run, "_report", lambda path, display: None)
    (home / "read.yaml").write_text(COUNTED)

    def run(**options) -> Path:
        return run_recipe(load_recipe(home / "read.yaml"), RunOptions(output=home / "out", **options))

    return run


def results(folder: Path) -> list[int]:
    return [read_json(file)["results"]["words"] for file in sorted(folder.glob("*/stage.json"))]


def test_a_stage_whose_turn_comes_takes_what_is_there_then_and_says_so(counted, home, monkeypatch, capsys):
    original = CountStage.run

    def edited_meanwhile(self, context):
        found = original(self, context)
        if self.name == "count":
            (home / "mine.jsonl").write_text('{"problem": "one two three", "answer": "2"}\n')
        return found

    monkeypatch.setattr(CountStage, "run", edited_meanwhile)
    assert results(counted()) == [1, 3]
    assert (
        "mine.jsonl has changed since the run began: stage 'again' takes what is there now" in capsys.readouterr().out
    )
    manifest = read_json(home / "out" / "manifest.json")
    first, second = (stage["reads"]["mine.jsonl"] for stage in manifest["stages"])
    assert first != second
    monkeypatch.setattr(CountStage, "run", original)
    assert results(counted()) == [3, 3]  # the first was of other data than there are now
    assert (
        "count: starting anew, the old output is kept in replaced/ (mine.jsonl has changed)" in capsys.readouterr().out
    )


def test_a_format_that_changes_between_two_stages_that_share_a_model_ends_the_run(home):
    run = run_folder(home)
    finish(run, running=1)
    plans = [replace(plan, decision="start") for plan in run.stage_plans()]
    told = []
    display = SimpleNamespace(event=told.append)
    assert chain_run._as_of_now(run, plans[1], display).reads == plans[1].reads
    (home / "chat.jinja").write_text("{{ other }}")
    with pytest.raises(
        RunError, match=r"what an earlier stage read was written to \(chat\.jinja has changed\); run again"
    ):
        chain_run._as_of_now(run, plans[1], display)
    assert told == []


def test_packages_that_changed_are_said_where_a_half_done_stage_goes_on(counted, home, capsys):
    counted()
    manifest = home / "out" / "manifest.json"
    write_json(manifest, {**read_json(manifest), "versions": {**read_json(manifest)["versions"], "torch": "0.1"}})
    record = home / "out" / "02-again" / "stage.json"
    write_json(record, {**read_json(record), "status": "running"})
    capsys.readouterr()
    counted()
    said = capsys.readouterr().out
    assert "warning: torch: 0.1 -> " in said
    assert " since again began, gone on with" in said
    counted()
    assert "torch" not in capsys.readouterr().out


def test_a_half_done_stage_with_other_data_stops_the_run_before_anything_is_done(counted, home, monkeypatch):
    monkeypatch.setattr(CountStage, "run", lambda self, context: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        counted()
    monkeypatch.undo()
    monkeypatch.setitem(STAGES, "count", "toy_stage:CountStage")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setattr(chain_run, "_report", lambda path, display: None)
    (home / "mine.jsonl").write_text(ROW * 2)
    with pytest.raises(RecipeError, match=r"stage 'count' is half done, and since it began mine\.jsonl has changed"):
        counted()
    assert results(counted(restart=True)) == [1, 1]
    assert (home / "out" / "replaced" / "01-count.1").is_dir()


def test_a_stage_that_does_not_leave_what_it_promised_is_not_complete(counted, home, monkeypatch):
    monkeypatch.setattr(CountStage, "missing", lambda self, folder, start: iter(["words.txt"]))
    with pytest.raises(RunError, match=r"stage 'count' failed: it said it was done and has not left words\.txt"):
        counted()
    assert read_json(home / "out" / "01-count" / "stage.json")["status"] == "running"


def test_a_fork_of_the_runner_does_not_become_a_second_one(counted, home, monkeypatch):
    original, parent, children = CountStage.run, os.getpid(), []

    def forks(self, context):
        child = os.fork()
        if child:
            children.append(child)
        return original(self, context)

    monkeypatch.setattr(CountStage, "run", forks)
    try:
        counted()
    finally:
        if os.getpid() != parent:
            os._exit(77)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    assert [read_json(file)["attempts"] for file in sorted((home / "out").glob("*/stage.json"))] == [1, 1]


def test_package_code_that_changed_is_said_of_complete_and_of_half_done_stages(counted, home, monkeypatch, capsys):
    counted()
    record = home / "out" / "02-again" / "stage.json"
    write_json(record, {**read_json(record), "status": "running", "code": "of another day"})
    first = home / "out" / "01-count" / "stage.json"
    write_json(first, {**read_json(first), "code": "of another day"})
    capsys.readouterr()
    counted()
    said = capsys.readouterr().out
    assert "this package's code changed since these stages ran, kept as they are: count" in said
    assert "this package's code changed since these stages began, gone on with: again" in said


# ------------------------------------------------------------------------------------------------- code


def test_the_code_behind_a_name_is_found_without_running_it(tmp_path, monkeypatch):
    files = {
        "pack/__init__.py": "raise SystemExit('ran')",
        "pack/rewards.py": "from . import shared\nfrom .deep import thing\nimport json, numpy\nimport beside",
        "pack/shared.py": "",
        "pack/deep/__init__.py": "",
        "pack/deep/thing.py": "from ..late import x",
        "pack/late.py": "def f():\n    import beside_late",
        "pack/unused.py": "",
        "beside.py": "import pack.rewards  # a circle",
        "beside_late.py": "half a line (",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    found = code_files("pack.rewards")
    assert sorted(found) == [
        "beside", "beside_late", "pack", "pack.deep", "pack.deep.thing", "pack.late", "pack.rewards", "pack.shared",
    ]  # fmt: skip
    assert found["pack.rewards"] == tmp_path / "pack" / "rewards.py"
    assert code_files("nowhere_at_all") == {}
    assert code_files("json") == {}
    assert set(code_files("trl.rewards")) >= {"trl", "trl.rewards"}  # an installed package: itself, not what it uses
    assert not any(name.startswith(("torch", "transformers")) for name in code_files("trl.rewards"))


def test_what_code_beside_a_recipe_imports_from_the_working_folder_is_found_and_imported(tmp_path, monkeypatch):
    beside, working = tmp_path / "recipes", tmp_path / "project"
    for file, text in {
        beside / "pays_of_reads.py": (
            "from helps_of_reads.deep import worth\n\n\ndef pays(completions):\n    return [worth()]\n"
        ),
        working / "helps_of_reads" / "__init__.py": "",
        working / "helps_of_reads" / "deep.py": "from . import deeper\n\n\ndef worth():\n    return deeper.WORTH\n",
        working / "helps_of_reads" / "deeper.py": "WORTH = 3.0\n",
    }.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.chdir(working)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each not in ("", str(working))])
    found = code_files("pays_of_reads.py", beside)
    assert sorted(found) == ["helps_of_reads", "helps_of_reads.deep", "helps_of_reads.deeper", "pays_of_reads"]
    assert registry.build("pays_of_reads.py:pays", folder=beside)(completions=["a"]) == [3.0]
    for name in [each for each in sys.modules if each.startswith(("pays_of_reads", "helps_of_reads"))]:
        del sys.modules[name]


MADE = """\
name: made
model: {path: models/base}
problems:
  mine: {path: mine.jsonl, layout: own.yaml, transform: "reads_rewards:pays"}
stages:
  - curate: {problems: mine, difficulty: null, labels: null, leaks: null}
  - traces:
      sets: [{path: traces.jsonl, layout: own.yaml, transform: "reads_helper:worth"}]
      general: {traces: {path: general.jsonl, transform: "reads_rewards:pays"}}
"""


def test_so_is_every_file_of_stages_that_make_data(home):
    (home / "read.yaml").write_text(MADE)
    shipped = Path(magistral_recipe.__file__).parent / "data" / "layouts" / "gsm8k.yaml"
    (home / "own.yaml").write_text(shipped.read_text())
    (home / "general.jsonl").write_text(FILES["traces.jsonl"])
    with naming_only():
        loaded = load_recipe(home / "read.yaml")
    read = [sorted(files_read(loaded, p.stage, p.start_model)) for p in places_of(loaded.recipe, home / "run")]
    code = ["reads_helper (code)", "reads_rewards (code)"]
    assert read[0] == ["mine.jsonl", "own.yaml", *code]
    assert read[1] == ["general.jsonl", "own.yaml", *code, "traces.jsonl"]
    assert loaded.recipe.code_named() == ["reads_rewards:pays", "reads_helper:worth"]
