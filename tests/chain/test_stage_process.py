"""A stage in its own process: what it needs to know, what it says of its memory and of its failures."""

from __future__ import annotations

import errno
import gc
import subprocess
import sys

import pytest
from toy_stage import CountStage

from magistral_recipe.chain import run_folder
from magistral_recipe.chain.ranks import announce, follow
from magistral_recipe.chain.run_folder import RunFolder, places_of
from magistral_recipe.chain.stage_process import failure_message, load_libraries, run_stage
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.errors import RunError
from magistral_recipe.files import read_json
from magistral_recipe.loading import compiled_when_called
from magistral_recipe.machine import World
from magistral_recipe.stages import STAGES

RECIPE = """\
name: counted
model: {path: models/base}
problems: {mine: {path: mine.jsonl}}
stages:
  - count: {problems: mine}
  - count: {name: again, problems: mine}
  - count: {name: third, problems: mine}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setitem(STAGES, "count", "toy_stage:CountStage")
    (tmp_path / "models" / "base").mkdir(parents=True)
    (tmp_path / "models" / "base" / "weights").write_text("w")
    (tmp_path / "mine.jsonl").write_text('{"problem": "One and one?", "answer": "2"}\n')
    (tmp_path / "counted.yaml").write_text(RECIPE)
    return RunFolder(tmp_path / "run", load_recipe(tmp_path / "counted.yaml"))


@pytest.fixture
def hashed(monkeypatch):
    """The files and folders that are hashed."""
    seen = []
    original = run_folder.hash_of
    monkeypatch.setattr(run_folder, "hash_of", lambda path: seen.append(path.name) or original(path))
    return seen


def test_the_runner_hashes_the_data_and_the_model_once(folder, hashed):
    folder.stage_plans()
    folder.stage_plans()
    assert sorted(hashed) == ["base", "mine.jsonl"]


def test_a_stages_processes_hash_nothing(folder, hashed):
    plans = folder.stage_plans()
    hashed.clear()
    folder.prepare(plans[1])
    for _rank in range(3):
        results = run_stage(folder.loaded, folder.path, 1, lambda event: None)
    assert results["words"] == 3
    assert hashed == []


def test_the_other_ranks_follow_what_was_decided_and_hash_nothing(folder, hashed, monkeypatch):
    ran = []
    monkeypatch.setattr(CountStage, "shares_work", True)
    monkeypatch.setattr(CountStage, "run", lambda self, context: ran.append(self.name) or {})
    plans = folder.stage_plans()
    for plan in plans:
        folder.prepare(plan)
    folder.complete(plans[0], {}, 1.0, "code")
    announce(folder.path, World(0, 2, True), folder.stage_plans())
    hashed.clear()
    monkeypatch.setattr(CountStage, "run", lambda self, context: _finish(folder, plans, self.name, ran))
    follow(folder.path, folder.loaded)
    assert ran == ["again", "third"]
    assert hashed == []


def _finish(folder, plans, name, ran):
    """As rank 0 does beside this rank: the stage is complete when its work is done."""
    ran.append(name)
    (plan,) = [plan for plan in plans if plan.stage.name == name]
    folder.complete(plan, {}, 1.0, "code")
    return {}


def test_one_process_alone_announces_nothing(folder):
    folder.path.mkdir()
    announce(folder.path, World(0, 1, True), folder.stage_plans())
    assert list(folder.path.iterdir()) == []


def test_places_are_those_of_the_plans(folder):
    places = places_of(folder.loaded.recipe, folder.path)
    plans = folder.stage_plans()
    assert len(places) == 3
    assert [(place.folder, place.start_model, place.record) for place in places] == [
        (plan.folder, plan.start_model, plan.record) for plan in plans
    ]
    assert [place.folder.name for place in places] == ["01-count", "02-again", "03-third"]


def test_a_stage_knows_the_results_of_the_earlier_ones(folder, monkeypatch):
    plans = folder.stage_plans()
    folder.prepare(plans[0])
    folder.complete(plans[0], {"words": 3}, 1.0, "code")
    seen = []
    monkeypatch.setattr(CountStage, "run", lambda self, context: seen.append(context) or {})
    run_stage(folder.loaded, folder.path, 1, lambda event: None)
    (context,) = seen
    assert dict(context.results) == {"count": {"words": 3}}
    assert dict(context.models) == {"base": None}
    assert context.folder == plans[1].folder
    assert read_json(plans[0].record)["status"] == "complete"


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_the_peak_is_the_processs_own_and_not_its_parents():
    child = "from magistral_recipe.chain.stage_process import peak_memory; print(peak_memory()['peak_memory_gib'])"
    parent = (
        "import subprocess, sys; held = bytearray(600 << 20); held[::4096] = b'x' * len(held[::4096])\n"
        f"print(subprocess.run([sys.executable, '-c', {child!r}], capture_output=True, text=True, check=True).stdout)"
    )
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True)
    assert 0.01 < float(done.stdout) < 0.3


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EDQUOT, "x"), RuntimeError("… No space left …")],
)
def test_a_full_disk_is_recognised_in_the_words_of_each_library(error, tmp_path):
    assert failure_message(error, tmp_path).startswith(f"the disk is full ({tmp_path})")


def test_another_failure_is_named_by_its_kind(tmp_path):
    assert failure_message(ValueError("no such thing"), tmp_path) == "ValueError: no such thing"
    assert failure_message(ValueError("gone"), tmp_path / "nowhere") == "ValueError: gone"


def test_ranks_that_nobody_tells_anything_end_with_a_reason(folder, monkeypatch):
    from magistral_recipe.chain import ranks

    monkeypatch.setattr(ranks.time, "sleep", lambda seconds: None)
    ticks = iter(range(0, 10_000, 100))
    monkeypatch.setattr(ranks.time, "monotonic", lambda: next(ticks))
    folder.path.mkdir()
    with pytest.raises(RunError, match=r"rank 0 did not write .*\.decisions\.json within 600 s"):
        follow(folder.path, folder.loaded)


def test_libraries_are_loaded_before_a_stage_and_garbage_is_collected_again_after(monkeypatch, tmp_path):
    (tmp_path / "heavy_thing.py").write_text("import gc\ncollected = gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(CountStage, "libraries", ("heavy_thing", "a_library_that_is_not_installed"))
    try:
        load_libraries(CountStage(problems="mine"))
        assert sys.modules["heavy_thing"].collected is False
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        sys.modules.pop("heavy_thing", None)


def test_what_modules_compile_as_they_are_loaded_is_compiled_once_when_it_is_called(monkeypatch):
    import torch

    compiled: list[dict] = []

    def compiling(function, **options):
        compiled.append(options)
        return lambda x: 2 * function(x)

    monkeypatch.setattr(torch, "compile", compiling)
    with compiled_when_called():

        @torch.compile
        def plain(x):
            """Add."""
            return x + 1

        @torch.compile(dynamic=False)
        def told(x):
            return x

    assert torch.compile is compiling
    assert not compiled
    assert plain.__doc__ == "Add."
    assert [plain(1), plain(2), told(1)] == [4, 6, 2]
    assert compiled == [{}, {"dynamic": False}]


@pytest.mark.parametrize(
    "loading",
    [
        "from magistral_recipe.chain.stage_process import load_libraries; from magistral_recipe.stages.sft import "
        "SftStage; load_libraries(SftStage); assert 'trl.trainer.sft_trainer' in sys.modules",
        "from magistral_recipe.check.trainers import section_mistakes; from magistral_recipe.check.recipe_file import "
        "load_recipe; assert not [*section_mistakes(load_recipe('r.yaml'))]; assert 'trl.trainer.sft_config' in "
        "sys.modules",
    ],
)
def test_neither_a_stage_nor_the_check_before_it_loads_a_compiler(loading, tmp_path):
    recipe = "name: r\nmodel: {path: tiny}\nstages: [{sft: {traces: {tiny: true, count: 4}}}]\n"
    (tmp_path / "r.yaml").write_text(recipe)
    code = f"import sys; {loading}; sys.exit('torch._inductor.compile_fx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path).returncode == 0
