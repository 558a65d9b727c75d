"""The stages that make data: what a recipe may say of them, and a chain of them through the public command."""

from __future__ import annotations

import json

import pytest
from whole_runs import kill_when, run, start

from magistral_recipe.chain import run as chain_run
from magistral_recipe.chain.own import run_id, sweep_temporary
from magistral_recipe.chain.run_folder import RunFolder
from magistral_recipe.chain.stage_process import run_stage, silent
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.errors import RecipeError, RunError
from magistral_recipe.stages import STAGES
from magistral_recipe.stages.curate import CurateStage

HEAD = """\
name: curated
seed: 3
model: {path: tiny}
thinking: {system_prompt: none}
problems:
  raw: {path: raw.jsonl}
  heldout: {tiny: heldout, count: 6}
stages:
"""
CHAIN = """\
  - traces: {name: shown, sets: [{tiny: true, count: 300}]}
  - sft:
      traces: shown
      trainer: {max_steps: 2, per_device_train_batch_size: 8}
  - curate:
      problems: raw
      difficulty: {samples: 4, max_new_tokens: 60, above: null, at_most: 1.0}
  - evaluate: {problems: heldout, samples: 1, max_new_tokens: 8, greedy: false}
"""


def written(tmp_path, stages):
    rows = [{"id": f"p{n}", "problem": f"Calculate {n} + 2.", "answer": str(n + 2)} for n in range(40)]
    rows += [
        {"id": "twice", "problem": "calculate 3 + 2", "answer": "5"},
        {"id": "proof", "problem": "Prove that 3 + 2 is 5.", "answer": "5"},
        {"id": "bad", "problem": "What is it?"},
    ]
    (tmp_path / "raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = tmp_path / "recipe.yaml"
    file.write_text(HEAD + stages)
    return file


def mistakes(tmp_path, stages):
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(tmp_path, stages))
    return str(caught.value)


def test_the_evaluation_sets_are_kept_out_unless_told_otherwise(tmp_path):
    stages = load_recipe(written(tmp_path, CHAIN)).recipe.stages
    curate = next(stage for stage in stages if isinstance(stage, CurateStage))
    assert curate.kept_out() == ["heldout"]
    none = load_recipe(
        written(tmp_path, CHAIN.replace("problems: raw", "problems: raw\n      leaks: null"))
    ).recipe.stages
    assert next(stage for stage in none if isinstance(stage, CurateStage)).kept_out() == []


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("  - curate: {problems: rew}\n", "no set of problems 'rew'. Did you mean 'raw'?"),
        ("  - curate: {}\n", "missing: the set to curate, or `again:`"),
        ("  - curate: {problems: raw, again: curate}\n", "goes without `problems`"),
        ("  - curate: {again: curat}\n", "no curate stage 'curat'"),
        ("  - curate: {problems: raw, name: raw}\n", "makes a set named 'raw', and there is one"),
        ("  - curate: {problems: raw, difficulty: {above: 0.5, at_most: 0.5}}\n", "nothing could be left"),
        ("  - curate: {problems: raw, difficulty: null, labels: {agreement: 0.8}}\n", "needs `difficulty`"),
        (
            "  - grpo: {problems: later}\n  - curate: {problems: raw, name: later}\n",
            "only a later stage makes",
        ),
        ("  - traces: {}\n", "expected either `sets`, traces that exist, or `problems`"),
        ("  - traces: {sets: [{tiny: true}], samples: 4}\n", "goes with `problems`, which a model solves"),
        (
            "  - sft: {traces: trace}\n  - traces: {problems: raw}\n",
            "no `traces` stage 'trace'",
        ),
        ("  - curate: {problems: raw, leaks: {problems: [held]}}\n", "no set of problems 'held'"),
    ],
)
def test_mistakes_are_named(tmp_path, stages, message):
    assert message in " ".join(mistakes(tmp_path, stages).split())


def curated(folder):
    """What a curate stage left, but for the order in which batches were written."""
    stage = folder / "03-curate"
    samples = sorted((stage / "ratings" / "samples.jsonl").read_bytes().splitlines())
    return (stage / "problems.jsonl").read_bytes(), json.loads((stage / "funnel.json").read_text()), samples


WITHOUT_A_MODEL = """\
  - curate: {problems: raw, difficulty: null, labels: null}
  - curate: {name: second, again: curate, difficulty: null, labels: null}
  - traces: {sets: [{tiny: true, count: 40}], min_tokens: 20}
  - count: {problems: curate}
"""


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Run what is due of a chain in this process; what was decided of each stage."""
    monkeypatch.setitem(STAGES, "count", "toy_stage:CountStage")
    recipe = written(tmp_path, WITHOUT_A_MODEL)

    def chain():
        folder = RunFolder(tmp_path / "run", load_recipe(recipe))
        folder.path.mkdir(exist_ok=True)
        plans = folder.stage_plans()
        for plan in plans:
            if plan.decision != "skip":
                folder.prepare(plan)
                chain_run._require_intact(folder, plan)
                folder.complete(plan, run_stage(folder.loaded, folder.path, plan.index, silent), 1.0, "code")
        return [plan.decision for plan in plans]

    assert chain() == ["start"] * 4
    assert chain() == ["skip"] * 4
    chain.path = tmp_path / "run"
    return chain


@pytest.mark.parametrize(
    ("file", "anew"),
    [("01-curate/problems.jsonl", 0), ("01-curate/steps/01-clean.jsonl", 0), ("03-traces/traces.jsonl", 2)],
)
@pytest.mark.parametrize("harm", ["edited", "lost"])
def test_a_set_that_is_not_what_was_written_is_made_again_and_what_a_person_changed_is_kept(made, file, anew, harm):
    place = made.path / file
    before = place.read_bytes()
    if harm == "edited":
        place.write_bytes(before.replace(b"2", b"3", 1))
    else:
        place.unlink()
    assert made() == ["resume" if index == anew else "skip" for index in range(4)]
    assert place.read_bytes() == before
    kept = made.path / "replaced" / f"{file.replace('/', '-')}.1"
    assert kept.is_file() == (harm == "edited")
    if harm == "edited":
        assert kept.read_bytes() == before.replace(b"2", b"3", 1)


def test_no_stage_reads_a_set_that_is_not_what_its_stage_left(made):
    folder = RunFolder(made.path, load_recipe(made.path.parent / "recipe.yaml"))
    plans = folder.stage_plans()
    for file, readers in (("problems.jsonl", [1, 3]), ("steps/02-duplicates.jsonl", [1, 3])):
        place = made.path / "01-curate" / file
        before = place.read_bytes()
        place.write_bytes(before.replace(b"2", b"3", 1))
        for index in readers:
            with pytest.raises(RunError, match=rf"it reads 01-curate, of which {file} is not what was written"):
                chain_run._require_intact(folder, plans[index])
        place.write_bytes(before)


def test_fresh_deletes_a_made_set_whole_and_a_kills_leftovers_go(made):
    steps = made.path / "01-curate" / "steps"
    (steps / ".01-clean.jsonl.77.tmp").write_text("half")
    (made.path / "01-curate" / ".problems.jsonl.77.tmp").write_text("half")
    (made.path / "01-curate" / "notes.jsonl.tmp").write_text("a person's")
    sweep_temporary(made.path)
    assert not [*made.path.rglob(".*.tmp")]
    (made.path / "01-curate" / "notes.jsonl.tmp").unlink()
    run_id(made.path)
    RunFolder(made.path, load_recipe(made.path.parent / "recipe.yaml")).start_afresh()
    assert [file.name for file in made.path.glob("*")] == ["04-count"]  # whose words.txt no run is known to write


@pytest.mark.slow
def test_a_chain_that_makes_its_data_and_is_killed_in_the_middle_of_the_filter(tmp_path):
    recipe = written(tmp_path, CHAIN)
    code, text = run(recipe, tmp_path / "whole")
    assert code == 0, text
    shown = " ".join(text.split())
    assert "loaded: 43 → 42 (1 set aside in loading: missing column)" in shown
    assert "clean: 42 → 41 (1 asks for a proof)" in shown
    assert "duplicates: 41 → 40 (1 the same words)" in shown

    killed = tmp_path / "killed"
    samples = killed / "03-curate" / "ratings" / "samples.jsonl"
    kill_when(start(recipe, killed), lambda: samples.exists() and samples.stat().st_size > 0)
    code, text = run(recipe, killed)
    assert code == 0, text
    assert "(done before)" in text
    assert curated(killed) == curated(tmp_path / "whole")
    page = (killed / "report.html").read_text()
    assert "Curation: curate" in page
    assert "Prove that 3 + 2 is 5." in page


SHARED = """\
  - curate:
      problems: raw
      launch: {num_processes: PROCESSES}
      difficulty: {samples: 3, max_new_tokens: 20, tokens_per_batch: 600, above: null, at_most: 1.0}
"""


@pytest.mark.slow
def test_two_processes_rate_as_one_does(tmp_path):
    left = []
    for processes in (1, 2):
        recipe = written(tmp_path, SHARED.replace("PROCESSES", str(processes)))
        code, text = run(recipe, tmp_path / f"out-{processes}")
        assert code == 0, text
        assert text.count("loaded: 43 → 42") == 1, "one process speaks"
        stage = tmp_path / f"out-{processes}" / "01-curate"
        files = sorted(stage.glob("ratings/samples*.jsonl"))
        assert len(files) == processes, "each process has drawn its share"
        samples = sorted(line for file in files for line in file.read_bytes().splitlines())
        assert len(samples) == 40 * 3
        funnel = json.loads((stage / "funnel.json").read_text())
        left.append(((stage / "problems.jsonl").read_bytes(), funnel, samples))
    assert left[0] == left[1]


SUM = ["n=input();print(sum(map(int,input().split())))", "print(sum(map(int,open(0).read().split()[1:])))"]
IN_CPP = (
    "#include <bits/stdc++.h>\nint main(){long n,s=0,x;std::cin>>n;while(std::cin>>x)s+=x;std::cout<<s<<std::endl;}"
)
CODE = """\
  - curate:
      problems: raw
      labels: null
      difficulty: null
      leaks: null
  - curate: {name: again, again: curate, difficulty: {samples: 2, max_new_tokens: 4, above: null, at_most: 1.0}}
"""


@pytest.mark.slow
@pytest.mark.sandbox
def test_a_chain_in_which_solutions_are_run_on_tests(tmp_path):
    recipe = written(tmp_path, CODE)
    cases = [(f"{n}\n{' '.join(map(str, range(n)))}\n", f"{n * (n - 1) // 2}\n") for n in range(1, 7)]
    cases[2] = (cases[2][0], "99\n")
    tests = {"inputs": [given for given, _ in cases], "outputs": [out for _, out in cases]}
    solutions = [*SUM, {"language": "C++", "source": IN_CPP}, "while True: pass", "print(7)"]
    row = {"problem": "Sum the numbers.", "input_output": tests, "solutions": solutions, "time_limit": 1}
    (tmp_path / "raw.jsonl").write_text(json.dumps(row) + "\n")
    code, text = run(recipe, tmp_path / "out")
    assert code == 0, text
    rows = [json.loads(line) for line in (tmp_path / "out/01-curate/problems.jsonl").read_text().splitlines()]
    assert [(each["programming_language"], each["solution"]) for each in rows] == [("python", SUM[0]), ("cpp", IN_CPP)]
    kept = json.loads(rows[1]["tests"])["cases"]
    assert len(kept) == 20
    for case in kept:
        assert int(case["output"]) == sum(map(int, case["input"].split()[1:]))
    assert rows[0]["programs"]["solutions not believed"] == 2
    assert "corrected tests" in (tmp_path / "out/report.html").read_text()
    again = json.loads((tmp_path / "out/02-again/funnel.json").read_text())
    assert [step["rows_out"] for step in again["steps"]] == [2, 2, 2], "the second pass takes what came of the tests"
