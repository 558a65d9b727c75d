"""What really trains is the objective: gradients of real steps against the formula, row by row, without padding."""

from __future__ import annotations

import math

import pytest
import torch
from given_completions import rollouts, sampler_logps, scored_rollouts
from tiny_policy import letters_reward, logged, policy, problems, settings, starts_with_a, tokenizer, trainer, weights
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from magistral_recipe.training.grpo import MagistralGRPOTrainer


class Recorder(TrainerCallback):
    """Keeps each optimizer step's minibatch, the gradient, the weights it was taken at and those that generated."""

    def __init__(self):
        self.steps = []
        self.generating = None

    def on_step_begin(self, args, state, control, **kwargs):
        if self.trainer._memory._at_boundary():
            self.generating = weights(self.trainer.model)

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        gradient = {n: p.grad.clone() for n, p in self.trainer.model.named_parameters() if p.grad is not None}
        self.steps.append((self.trainer._minibatch, gradient, weights(self.trainer.model), self.generating))


def recorded(folder, reward, **changes):
    recorder = Recorder()
    run = trainer(folder, reward, callbacks=[recorder], max_grad_norm=0.0, **changes)
    recorder.trainer = run
    run.train()
    return run, recorder.steps


def logps_by_definition(model, row):
    """One row, no padding, no fused head: the plain log-softmax of the plain logits."""
    ids = torch.cat([row.prompt_ids, row.completion_ids])
    logits = model(input_ids=ids.unsqueeze(0)).logits[0, len(row.prompt_ids) - 1 : -1]
    return logits.log_softmax(-1).gather(1, row.completion_ids.unsqueeze(1)).squeeze(1)


def at(state):
    model = policy().train()
    model.load_state_dict(state, strict=False)
    return model


def normalized_by_definition(values):
    mean = sum(values) / len(values)
    std = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
    return [(v - mean) / std for v in values]


def loss_by_definition(minibatch, now, then, low, high, beta=0.0, reference=None, per_group=False, weigh=None):
    """Sum of Magistral §2.1 over the rows, from rewards and ids alone; `weigh` makes the tokens' weights, if any."""
    groups = [range(start, start + 4) for start in range(0, len(minibatch.rollouts), 4)]
    assert all(len({minibatch.rollouts[place].problem["prompt"] for place in group}) == 1 for group in groups)
    rewards = [rollout.reward for rollout in minibatch.rollouts]
    centred = {p: rewards[p] - sum(rewards[q] for q in ps) / len(ps) for ps in groups for p in ps}
    order = sorted(centred)
    advantages = dict(zip(order, normalized_by_definition([centred[p] for p in order]), strict=True))
    rows = minibatch.sequences(order)
    tokens = {p: len(rows[p].completion_ids) for p in order}
    total = torch.zeros(())
    for members in groups:
        divisor = len(groups) * sum(tokens[p] for p in members) if per_group else sum(tokens.values())
        for p in members:
            logps = logps_by_definition(now, rows[p])
            with torch.no_grad():
                old = logps_by_definition(then, rows[p])
            ratio = torch.exp(logps - old)
            surrogate = torch.min(ratio * advantages[p], ratio.clamp(1 - low, 1 + high) * advantages[p])
            if beta:
                with torch.no_grad():
                    far = logps_by_definition(reference, rows[p])
                surrogate = surrogate - beta * ratio * (torch.exp(far - logps) - (far - logps) - 1)
            if weigh is not None:
                surrogate = surrogate * weigh(old, torch.tensor(sampler_logps(rows[p].completion_ids.tolist())))
            total = total - surrogate.sum() / divisor
    return total


def distance(left, right):
    """Relative difference of two gradients."""
    apart = math.sqrt(sum(float((left[n] - right[n]).square().sum()) for n in right))
    return apart / math.sqrt(sum(float(g.square().sum()) for g in right.values()))


@pytest.mark.parametrize(
    ("reward", "changes", "formula"),
    [
        pytest.param(letters_reward, {}, {}, id="paper"),
        pytest.param(starts_with_a, {"max_refill_rounds": 8, "max_steps": 6}, {}, id="refill"),
        pytest.param(letters_reward, {"max_tokens_per_microbatch": 20}, {}, id="small budget"),
        pytest.param(letters_reward, {"epsilon_high": None}, {"high": 0.2}, id="symmetric clip"),
        pytest.param(letters_reward, {"loss_normalization": "group"}, {"per_group": True}, id="each group by its own"),
        pytest.param(letters_reward, {"num_iterations": 2, "max_steps": 8}, {}, id="two iterations"),
    ],
)
def test_gradients_of_real_steps_are_the_formulas(tmp_path, reward, changes, formula):
    run, steps = recorded(tmp_path, reward, **changes)
    losses = logged(run, "loss")
    assert len(steps) == len(losses) == changes.get("max_steps", 4)
    for (minibatch, gradient, now, then), logged_loss in zip(steps, losses, strict=True):
        assert minibatch.rollouts
        model = at(now)
        loss = loss_by_definition(minibatch, model, at(then), **{"low": 0.2, "high": 0.28, **formula})
        loss.backward()
        expected = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        assert loss.item() == pytest.approx(logged_loss, abs=2e-5)
        assert distance(gradient, expected) < 2e-5
    assert max(logged(run, "clip_ratio/region_mean")) > 0.05  # the second minibatch is off-policy


@pytest.mark.parametrize(
    ("how", "weigh"),
    [
        ("token_truncate", lambda old, drawn: (old - drawn).exp().clamp(max=2.0)),
        ("token_mask", lambda old, drawn: torch.where(old - drawn > math.log(2.0), 0.0, (old - drawn).exp())),
        ("sequence_truncate", lambda old, drawn: (old - drawn).sum().exp().clamp(max=2.0)),
        ("none", None),
    ],
)
def test_gradients_are_weighed_by_the_correction_for_the_sampler(tmp_path, how, weigh):
    """In float64, from the ids: what the sampler said of a token is a function of its id and place."""
    changes = {"sampler_correction": how, "vllm_importance_sampling_clip_max": 2.0, "sampler_gap_limit": 100.0}
    run, steps = recorded(tmp_path, letters_reward, rollout_func=scored_rollouts, **changes)
    assert len(steps) == 4
    for minibatch, gradient, now, then in steps:
        model = at(now).double()
        loss_by_definition(minibatch, model, at(then).double(), 0.2, 0.28, weigh=weigh).backward()
        expected = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        assert distance(gradient, expected) < 2e-5
    assert len(logged(run, "sampling/gap")) == 2
    if how == "token_truncate":
        assert all(0.1 < share < 0.9 for share in logged(run, "sampling/cut_share"))


def test_the_kl_term_pulls_as_its_formula_says(tmp_path):
    policy().save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    recorder = Recorder()
    run = trainer(
        tmp_path, model=str(tmp_path / "model"), callbacks=[recorder], max_grad_norm=0.0, beta=0.5, learning_rate=0.05
    )
    recorder.trainer = run
    run.train()
    minibatch, gradient, now, then = recorder.steps[-1]
    model = at(now)
    loss = loss_by_definition(minibatch, model, at(then), 0.2, 0.28, beta=0.5, reference=policy().train())
    loss.backward()
    assert distance(gradient, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}) < 5e-5
    assert logged(run, "kl")[-1] > 0.01


def test_splitting_a_minibatch_changes_its_gradient_by_rounding_only(tmp_path):
    gradients = []
    for budget in (10_000, 60, 20):
        _, steps = recorded(tmp_path, letters_reward, max_tokens_per_microbatch=budget, max_steps=2, learning_rate=0.0)
        gradients.append([gradient for _, gradient, _, _ in steps])
        pieces = [len(minibatch.shares[0].bins) for minibatch, *_ in steps]
        assert pieces == [1, 1] if budget == 10_000 else min(pieces) > 2
    for whole, split, finer in zip(*gradients, strict=True):
        assert distance(split, whole) < 1e-5
        assert distance(finer, whole) < 1e-5


def test_the_first_minibatch_is_on_policy_and_one_alone_cannot_clip(tmp_path, caplog):
    run = trainer(tmp_path, minibatches_per_batch=1, max_steps=3)
    assert "cannot act" in caplog.text
    run.train()
    assert logged(run, "clip_ratio/region_mean") == [0, 0, 0]


def token_reward(completion_ids, **_):
    """Of tokens, not text: stock TRL drops special tokens from the text that rewards see, this trainer does not."""
    return [sum(token % 7 for token in ids) / len(ids) for ids in completion_ids]


def test_group_normalisation_without_filter_is_stock_grpo(tmp_path):
    """The ablation is TRL's own algorithm: one step of it gives the same weights."""
    common = {
        "output_dir": str(tmp_path),
        "use_cpu": True,
        "bf16": False,
        "max_completion_length": 12,
        "num_generations": 4,
        "max_steps": 1,
        "learning_rate": 1e-2,
        "report_to": "none",
        "save_strategy": "no",
        "shuffle_dataset": False,
        "disable_tqdm": True,
        "epsilon_high": 0.28,
        "lr_scheduler_type": "constant",
        "optim": "sgd",
    }
    stock = GRPOTrainer(
        model=policy(),
        reward_funcs=token_reward,
        args=GRPOConfig(per_device_train_batch_size=16, loss_type="dapo", scale_rewards="group", **common),
        train_dataset=problems(4),
        processing_class=tokenizer(),
        rollout_func=rollouts,
    )
    stock.train()
    own = {"minibatches_per_batch": 1, "keep_uninformative_groups": True, "advantage_normalization": "group"}
    ours = MagistralGRPOTrainer(
        policy(),
        token_reward,
        settings(tmp_path, **own, **{k: v for k, v in common.items() if k != "output_dir"}),
        problems(4),
        processing_class=tokenizer(),
        rollout_func=rollouts,
    )
    ours.train()
    assert logged(ours, "completions/mean_length") == logged(stock, "completions/mean_length")
    before = weights(policy())
    moved = {n: w - before[n] for n, w in weights(stock.model).items()}
    assert distance({n: w - before[n] for n, w in weights(ours.model).items()}, moved) < 1e-4


@pytest.mark.parametrize("kind", ["minibatch", "group", "none"])
def test_advantages_are_normalised_as_asked(tmp_path, kind):
    _, steps = recorded(tmp_path, letters_reward, advantage_normalization=kind, max_steps=2)
    assert len(steps) == 2
    for minibatch, *_ in steps:
        rewards = [[r.reward for r in minibatch.rollouts[i : i + 4]] for i in range(0, 8, 4)]
        centred = [r - sum(g) / 4 for g in rewards for r in g]
        if kind == "minibatch":
            expected = normalized_by_definition(centred)
        elif kind == "group":
            stds = [math.sqrt(sum((r - sum(g) / 4) ** 2 for r in g) / 3) for g in rewards]
            expected = [c / (stds[i // 4] + 1e-4) for i, c in enumerate(centred)]
        else:
            expected = centred
        assert minibatch.advantages == pytest.approx(expected, abs=1e-4)


def test_truncated_completions_can_be_kept_out_of_the_loss(tmp_path):
    run, steps = recorded(tmp_path, letters_reward, mask_truncated_completions=True, max_steps=2)
    assert len(steps) == 2
    for minibatch, *_ in steps:
        assert minibatch.rollouts
        assert not any(rollout.truncated for rollout in minibatch.rollouts)
        sequences = minibatch.sequences(range(len(minibatch.rollouts)))
        assert minibatch.tokens == sum(len(sequence.completion_ids) for sequence in sequences)
    assert logged(run, "completions/clipped_ratio")[0] > 0


def test_settings_derive_what_trl_wants_to_know(tmp_path):
    args = settings(tmp_path, prompts_per_batch=8, num_generations=4, minibatches_per_batch=2)
    assert (args.per_device_train_batch_size, args.gradient_accumulation_steps) == (16, 1)
    assert (args.steps_per_generation, args.generation_batch_size) == (2, 32)
    assert "8 prompts x 4 completions" in args.describe()
