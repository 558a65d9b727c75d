"""The whole plan: every stage, as plain data and as a person sees it; disk, the machine's memory, hours."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from magistral_recipe.check.memory import probe as probing
from magistral_recipe.check.memory.devices import DEVICES, device_here, find_device
from magistral_recipe.check.memory.hours import LAUNCH_SECONDS, PASS_SHARE, segments
from magistral_recipe.check.memory.lengths import Lengths
from magistral_recipe.check.memory.moments import PARTS, TRAINING
from magistral_recipe.check.memory.plan import plan_recipe
from magistral_recipe.check.memory.table import render
from magistral_recipe.check.plan import check_recipe
from magistral_recipe.check.proof import words_of
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.data.sources import load_problems
from magistral_recipe.machine import GIB

RECIPE = """\
name: r
model: {path: Qwen/Qwen3-0.6B-Base, dtype: bfloat16, lora: {r: 16, alpha: 32}}
problems: {p: {tiny: train, count: 64}}
stages:
  - sft:
      traces: {tiny: true, count: 100}
      trainer: {max_steps: 200, max_length: 2048, packing: true, per_device_train_batch_size: 2}
      evaluate: {every: 100, problems: p, count: 8, max_new_tokens: 1000}
  - grpo:
      problems: p
      trainer:
        {max_steps: 100, prompts_per_batch: 8, max_completion_length: 1024, max_tokens_per_microbatch: 8192}
  - evaluate: {problems: p, max_new_tokens: 1024}
  - export: {}
"""
SFT = RECIPE[: RECIPE.index("      evaluate: {every")]
"""Its first stage alone, which is quick to plan."""
CARD = find_device("rtx4090")


@pytest.fixture
def recipe(tmp_path):
    def make(*overrides, text=RECIPE):
        (tmp_path / "r.yaml").write_text(text)
        return load_recipe(tmp_path / "r.yaml", list(overrides))

    return make


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    file = tmp_path_factory.mktemp("plan") / "r.yaml"
    file.write_text(RECIPE)
    return plan_recipe(load_recipe(file), CARD)


def shown(plan, width=100):
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(render(plan))
    return console.file.getvalue()


def test_every_stage_that_trains_evaluates_or_hands_over_has_its_moments(plan):
    told = {stage.name: [m.name for m in stage.memory.moments] if stage.memory else [] for stage in plan.stages}
    assert told == {
        "sft": ["training", "evaluation"],
        "grpo": ["training", "rollouts"],
        "evaluate": ["evaluation"],
        "export": [],
    }
    assert plan.fits
    for stage in plan.stages:
        for moment in stage.memory.moments if stage.memory else ():
            assert set(moment.parts) <= set(PARTS)
            assert moment.allocated == pytest.approx(sum(moment.parts.values()))


def test_the_plan_is_plain_data(plan):
    data = json.loads(json.dumps(plan.as_dict()))
    assert data["device"]["total"] == CARD.total
    assert data["model"] == {"parameters": 596_049_920, "shape_from": "the shapes shipped with this package"}
    sft, grpo, evaluate, export = data["stages"]
    assert sft["fit"] == grpo["fit"] == evaluate["fit"] == "fits"
    assert export["fit"] is None
    assert sft["moments"][0]["parts"]["weights"] == pytest.approx(596_049_920 * 2, rel=0.01)
    assert sft["moments"][0]["needed"] == pytest.approx(1.2 * sft["moments"][0]["allocated"] + 0.5 * GIB)
    assert data["hours"] == pytest.approx(sum(stage["hours"]["hours"] for stage in (sft, grpo, evaluate)))


def test_what_a_person_sees_fits_into_a_hundred_columns(plan):
    text = shown(plan)
    assert max(len(line) for line in text.splitlines()) <= 100
    for line in (
        "Will it fit? RTX 4090",
        "weights",
        "activations",
        "needed",
        "disk: ",
        "time: about",
        "counted with: ",
    ):
        assert line in text
    for stage in ("sft: fits, ", "grpo: fits, ", "evaluate: fits, "):
        assert stage in text
    assert "change" not in text


def test_many_stages_are_shown_in_several_tables(plan):
    stages = [replace(stage, name=f"a-stage-with-a-long-name-{i}") for i, stage in enumerate(plan.stages * 3)]
    text = shown(replace(plan, stages=tuple(stages)))
    assert max(len(line) for line in text.splitlines()) <= 100
    assert text.count("\nneeded") == 3  # 15 moments
    assert "…" not in text


def test_what_does_not_fit_says_what_to_change(recipe):
    text = shown(plan_recipe(recipe("sft.trainer.per_device_train_batch_size=16", text=SFT), find_device("6GiB")))
    assert "sft: does not fit" in text
    assert "change, and it fits: sft.trainer.per_device_train_batch_size: " in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_packed_rows_without_flash_attention_say_what_their_mask_costs(plan, recipe):
    (note,) = plan.stages[0].notes
    assert note.startswith("packed rows without FlashAttention take a dense mask of 4,096 × 4,096: ")
    assert note.endswith("`model.attn_implementation: flash_attention_2` needs none")
    flash = plan_recipe(recipe("model.attn_implementation=flash_attention_2", text=SFT), CARD).stages[0]
    activations = [stage.memory.moments[0].parts["activations"] for stage in (plan.stages[0], flash)]
    cost = float(note.split(": ")[1].split()[0])
    assert cost == pytest.approx((activations[0] - activations[1]) / GIB, abs=0.02)
    assert not flash.notes


def test_disk_counts_checkpoints_models_and_rollouts(plan):
    sft, grpo, _, export = ({item.what: item.size for item in stage.disk} for stage in plan.stages)
    learned = sft["best weights"]
    assert sft["2 checkpoints"] == 2 * 3 * learned  # with AdamW's two moments; at steps 100 and 200
    assert sft["model"] == grpo["model"] == export["exported model"] == 596_049_920 * 2
    assert grpo["rollouts, at most"] == 10 * 8 * 8 * (512 + 1024) * 4  # steps 0, 10 … 90; groups, completions, tokens
    assert plan.download == 2 * 596_049_920
    assert plan.disk == pytest.approx(plan.download + sum(i.size for s in plan.stages for i in s.disk))


def test_an_adapter_that_is_carried_on_is_all_that_is_left(recipe):
    plan = plan_recipe(recipe("model.lora.handover=carry", text=SFT), CARD)
    kept = {item.what: item.size for item in plan.stages[0].disk}
    assert "model" not in kept
    assert kept["2 checkpoints"] == 2 * 3 * kept["adapter"]


def test_a_quantized_models_hand_over_is_a_file_and_a_weight_of_the_machines_memory_and_nothing_of_the_cards(recipe):
    text = SFT.replace("Qwen3-0.6B-Base, dtype: bfloat16", "Qwen3-8B-Base, dtype: bfloat16, quantization: nf4")
    sft = plan_recipe(recipe(text=text), CARD).stages[0]
    handover = next(item for item in sft.host if "hand-over" in item.what)
    head = 151_936 * 4096  # the largest weight: once in float32, once as it is saved, beside one file
    assert handover.size == 2e9 + head * (4 + 2)
    assert "nothing on the GPU" in handover.what
    assert "hand-over" not in [moment.name for moment in sft.memory.moments]


def test_paged_states_are_the_machines_memory(recipe):
    plain, paged = (
        plan_recipe(recipe(f"sft.trainer.optim={name}", "model.lora.r=64", text=SFT), CARD).stages[0]
        for name in ("adamw_8bit", "paged_adamw_8bit")
    )
    host = next(item.size for item in paged.host if item.what == "the paged optimizer")
    assert not any(item.what == "the paged optimizer" for item in plain.host)
    training = [stage.memory.moments[0].parts["optimizer"] for stage in (plain, paged)]
    assert training[0] == pytest.approx(training[1] + host)


def test_hours_of_passes_are_those_of_their_floating_point_operations(recipe):
    stage = plan_recipe(recipe(text=SFT), CARD).stages[0]
    tokens = 200 * 2 * 2048
    weights, layers, width = 596_049_920, 28, 16 * 128
    # Forward twice, the inputs' gradients, the adapters' own; attention to half of a row of 4,096 tokens.
    flops = 6 * weights + 2 * stage.memory.learned + 4 * 2 * layers * 4096 * width
    assert stage.hours.hours == pytest.approx(tokens * flops / (PASS_SHARE * 165e12) / 3600, rel=0.01)
    assert "nothing measured" in stage.hours.how


def test_hours_of_small_rollouts_are_those_of_launching_kernels(plan):
    decoding = 50 * 1024 * 28 * LAUNCH_SECONDS * 1.5  # batches, steps, layers, with adapters
    grpo = plan.stages[1]
    assert decoding < grpo.hours.hours * 3600 < 1.5 * decoding


def test_a_schedule_is_cut_at_its_steps():
    values = {
        "max_completion_length": 1000,
        "prompts_per_batch": 32,
        "schedule": [{"from_step": 100, "max_completion_length": 2000}, {"when": {}, "prompts_per_batch": 8}],
    }
    assert segments(values, 300) == [(100, 1000, 32), (100, 2000, 32), (100, 2000, 8)]
    assert segments({**values, "schedule": []}, 300) == [(300, 1000, 32)]


def test_what_cannot_be_told_is_said(recipe):
    text = SFT.replace("max_steps: 200, ", "").replace("tiny: true, count: 100", "path: somebody/traces")
    plan = plan_recipe(recipe(text=text), CARD)
    assert plan.stages[0].hours.hours is None
    assert "max_steps" in plan.stages[0].hours.how
    assert plan.hours is None
    assert "time: unknown" in shown(plan)
    assert plan_recipe(recipe(text=text), CARD, Lengths(counts={"sft": 100})).hours > 0  # the rows were counted


def test_a_probe_times_passes_and_steps_of_the_machine_at_hand(recipe):
    loaded = load_recipe_of_tiny(recipe)
    plan = plan_recipe(loaded, probe=True)
    for stage in plan.stages:
        assert stage.hours.hours > 0
        assert "from a probe of" in stage.hours.how
    assert plan_recipe(loaded).hours is None  # no data sheet of a CPU
    assert "data sheet" in plan_recipe(loaded, CARD, probe=True).stages[0].hours.how  # a card that isn't here


def load_recipe_of_tiny(recipe):
    return recipe(
        text="name: t\nmodel: {path: tiny}\nproblems: {p: {tiny: train, count: 16}}\nstages:\n"
        "  - sft: {traces: {tiny: true, count: 8}, trainer: {max_steps: 2, per_device_train_batch_size: 2}}\n"
        "  - grpo: {problems: p, trainer: {max_steps: 2, prompts_per_batch: 2, num_generations: 2,"
        " max_completion_length: 16}}\n"
    )


def test_a_line_through_two_sizes_says_what_the_full_size_takes():
    assert probing._line({8: 1.0, 32: 1.6, 128: 4.0}, 512) == pytest.approx(4.0 + 384 * 2.4 / 96)
    assert probing._line({8: 1.0}, 8) == 1.0
    assert probing._line({8: 1.0, 32: 0.9}, 64) == 0.9  # noise: a larger size never takes less


def test_prompts_and_traces_are_measured_on_the_recipes_own_rows(recipe):
    loaded = load_recipe_of_tiny(recipe)
    found = check_recipe(loaded, Console(quiet=True)).memory["prompt_tokens"]
    assert not found["assumed"]
    words = words_of(loaded)
    problems = load_problems(loaded.recipe.problems["p"], loaded.folder, None).rows
    rendered = [
        words.tokenizer.apply_chat_template(words.chat.messages(p.problem), add_generation_prompt=True)["input_ids"]
        for p in problems
    ]
    longest = max(map(len, rendered))
    assert found["tokens"] == -(-longest // 64) * 64
    assert "the longest of the first 128" in str(Lengths(found["tokens"]))
    assert "assumed" in str(Lengths())


def test_a_model_that_is_nowhere_has_no_plan_and_that_is_said(recipe):
    loaded = recipe(text="name: r\nmodel: {path: nobody/nothing}\nstages: [{sft: {traces: {tiny: true, count: 8}}}]\n")
    assert plan_recipe(loaded, CARD) is None
    console = Console(width=100, file=io.StringIO())
    outcome = check_recipe(loaded, console)
    assert "NOT looked at: the memory plan" in console.file.getvalue()
    assert outcome.exit_code == 3


def test_an_unknown_device_is_one_line_with_the_nearest_name(recipe):
    (line,) = check_recipe(recipe(), Console(quiet=True), device="rtx4099").mistakes
    assert re.match(r"--device: no device 'rtx4099'.* Did you mean 'rtx4090'", line)


def test_processes_add_their_buckets(recipe):
    (one, two) = (
        plan_recipe(recipe(f"launch.num_processes={count}", text=SFT), CARD).stages[0].memory.moments[0]
        for count in (1, 2)
    )
    assert one.name == two.name == TRAINING
    assert two.parts["DDP buckets"] == pytest.approx(two.parts["adapters"], rel=0.01)  # all gradients, in float32
    assert "DDP buckets" not in one.parts


def test_a_full_models_reference_is_a_second_model(recipe):
    text = RECIPE.replace(", dtype: bfloat16, lora: {r: 16, alpha: 32}", "")
    grpo = plan_recipe(recipe("grpo.trainer.beta=0.01", text=text), DEVICES["h100"]).stages[1]
    parts = grpo.memory.moments[0].parts
    assert parts["reference"] == parts["weights"]


def test_check_makes_the_plan_of_what_is_at_hand(recipe):
    outcome = check_recipe(load_recipe_of_tiny(recipe), Console(quiet=True))
    assert outcome.memory["device"]["name"] == device_here().name
    assert outcome.memory["fits"]


SAMPLING = """\
  - curate: {problems: p, difficulty: {samples: 8, max_new_tokens: 1024, tokens_per_batch: 30000}}
  - traces: {problems: curate, samples: 8, max_new_tokens: 1024, tokens_per_batch: 30000}
  - evaluate: {problems: p, samples: 8, max_new_tokens: 1024, tokens_per_batch: 30000, greedy: false}
  - curate: {name: cheap, problems: p, difficulty: null, labels: null}
  - curate: {name: asked, problems: p, difficulty: {model: {endpoint: "http://127.0.0.1:1", name: m}}}
"""


def test_stages_that_sample_are_planned_as_an_evaluation_of_as_many(recipe):
    plan = plan_recipe(recipe(text=RECIPE[: RECIPE.index("  - sft")] + SAMPLING), CARD)
    curate, traces, evaluate, cheap, asked = plan.stages
    for stage in (curate, traces):
        assert [moment.name for moment in stage.memory.moments] == ["sampling"]
        assert stage.memory.moments[0].parts == evaluate.memory.moments[0].parts
        assert stage.hours == evaluate.hours
    assert evaluate.hours.hours > 0
    assert cheap.memory is None
    assert asked.memory is None, "another machine's"
    assert "curate: fits, " in shown(plan)
