"""What FSDP shares out, held against torch's own `fully_shard` in a world of sixteen ranks that is made up."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from shapes import qwen3, trained
from torch.distributed.fsdp import fully_shard

from magistral_recipe.check.memory.devices import find_device
from magistral_recipe.check.memory.dry_run import ADAPTERS, GRADIENTS, WEIGHTS, Pass, build, dry_run, materialize
from magistral_recipe.check.memory.moments import OPTIMIZER
from magistral_recipe.check.memory.optimizer import optimizer_bytes
from magistral_recipe.check.memory.plan import plan_recipe
from magistral_recipe.check.memory.sharding import GATHERED, MASTER, Sharding, read_sharding, shares
from magistral_recipe.check.recipe_file import load_recipe

RECIPES = Path(__file__).parents[3] / "recipes"
RANKS = 16


@pytest.fixture
def ranks():
    from torch.testing._internal.distributed.fake_pg import FakeStore

    torch.distributed.init_process_group("fake", rank=0, world_size=RANKS, store=FakeStore())
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("r", [None, 16])
def test_one_ranks_part_is_what_fsdp_leaves_it(ranks, r):
    """Of sizes that sixteen divides, so that no part is padded; small tensors are counted as CUDA's allocator does."""
    shape = qwen3(vocab_size=4096, hidden_size=256, intermediate_size=1024)
    stored = "float32" if r is None else "bfloat16"
    model = build(trained(shape, dtype=stored, r=r), 5)
    materialize(model)
    for parameter in model.parameters():
        if parameter.requires_grad:  # as Accelerate does
            parameter.data = parameter.data.float()
    base = model.get_base_model() if r else model
    for layer in base.model.layers:
        fully_shard(layer)
    fully_shard(model)
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.grad = torch.zeros_like(parameter)
    optimizer = torch.optim.AdamW(learned, fused=False)
    optimizer.step()
    local = {"weights": 0, "adapters": 0}
    for name, parameter in model.named_parameters():
        local["adapters" if "lora_" in name else "weights"] += parameter.to_local().nbytes
    gradients = sum(parameter.grad.to_local().nbytes for parameter in learned)
    states = sum(
        value.to_local().nbytes for state in optimizer.state.values() for value in state.values() if value.ndim
    )

    run = dry_run(trained(shape, dtype="bfloat16", r=r), Pass(1, 32))
    part = shares(run, Sharding(RANKS, compute="bfloat16"), stored, full=r is None)
    assert part.weights == pytest.approx(local["weights"], rel=0.01)
    assert part.adapters == pytest.approx(local["adapters"], rel=0.01)
    assert part.gradients == gradients
    counted = run.whole(lambda m: optimizer_bytes("adamw_torch", [t._replace(itemsize=MASTER) for t in m.trained]).gpu)
    assert counted / RANKS == states
    # Embeddings (tied here) and norm, and two layers, in bfloat16; trained whole, one layer's gradients and theirs.
    layer = sum(p.numel() for name, p in model.named_parameters() if ".layers.0." in name and "lora_" not in name)
    ends = (4096 * 256 + 256) * 2
    assert part.gathered == pytest.approx(ends + 2 * layer * 2 + (ends + layer * 2 if r is None else 0), rel=0.01)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("distributed_type: MULTI_GPU\n", None),
        ("distributed_type: FSDP\nfsdp_config: {fsdp_sharding_strategy: NO_SHARD}\n", None),
        ("distributed_type: FSDP\nmixed_precision: 'no'\n", Sharding(4)),
        (
            "distributed_type: FSDP\nmixed_precision: bf16\nfsdp_config: {fsdp_reshard_after_forward: false}\n",
            Sharding(4, weights=False, compute="bfloat16"),
        ),
        ("- no mapping\n", None),
        (": no YAML [\n", None),
    ],
)
def test_a_launchs_config_says_what_is_shared(tmp_path, text, expected):
    (tmp_path / "fsdp.yaml").write_text(text)
    assert read_sharding(tmp_path / "fsdp.yaml", 4) == expected
    assert read_sharding(tmp_path / "fsdp.yaml", 1) is None
    assert read_sharding(tmp_path / "nowhere.yaml", 4) is None


def test_the_papers_recipes_are_planned_for_one_of_their_sixteen_cards():
    file = RECIPES / "accelerate" / "fsdp2_16gpu.yaml"
    assert read_sharding(file, RANKS) == Sharding(RANKS, compute="bfloat16")
    loaded = load_recipe(RECIPES / "magistral_medium_paper.yaml")
    plan = plan_recipe(loaded, find_device("h200"))
    stage = plan.stages[0]
    parts = stage.memory.moments[0].parts
    numbers = plan.parameters  # float32: weights and, but for the vision tower, gradients and two moments
    assert parts[WEIGHTS] == pytest.approx(4 * numbers / RANKS, rel=0.001)
    assert parts[GRADIENTS] == pytest.approx(4 * numbers / RANKS, rel=0.03)
    assert parts[OPTIMIZER] == pytest.approx(2 * parts[GRADIENTS])
    assert parts[GATHERED] > 2 * 2 * 131_072 * 5_120  # embeddings and head at least, in bfloat16
    assert not parts.get(ADAPTERS)
    assert plan.fits
    assert any("FSDP shares weights, gradients and optimizer out over 16 cards" in note for note in stage.notes)
