"""What a generation batch holds: groups without signal out, others in their place, tags kept, chunks, bad input."""

from __future__ import annotations

import json
import math
import threading

import pytest
import torch
from datasets import Dataset
from tiny_policy import letters_reward, logged, policy, problems, settings, starts_with_a, tokenizer, trainer, weights
from transformers import TrainerCallback

from magistral_recipe.errors import DataError, RunError
from magistral_recipe.jsonlines import append_lines
from magistral_recipe.training.grpo import MagistralGRPOTrainer


def rollouts(folder):
    return [json.loads(line) for line in (folder / "rollouts.jsonl").read_text().splitlines()]


def groups_of(records, dropped=False):
    groups = {}
    records = [record for record in records if bool(record.get("dropped")) == dropped]
    for record in records:
        groups.setdefault((record["step"], record["group"]), []).append(record["reward"])
    return list(groups.values())


def test_only_groups_with_signal_train_and_others_take_their_place(tmp_path):
    run = trainer(tmp_path, starts_with_a, max_refill_rounds=60, max_steps=4, rollouts_every=1)
    run.train()
    groups = groups_of(rollouts(tmp_path))
    assert len(groups) == 8
    assert all(len(group) == 4 and len(set(group)) > 1 for group in groups)
    dropped = groups_of(rollouts(tmp_path), dropped=True)  # what they replaced is kept to look at
    assert dropped
    assert all(group == [0.0] * 4 for group in dropped)
    assert logged(run, "groups/trained") == [4, 4]
    assert min(logged(run, "groups/refill_rounds")) >= 1
    assert len(logged(run, "groups/uninformative")) == len(logged(run, "groups/extra_tokens")) == 2
    assert all(0 < share < 1 for share in logged(run, "groups/uninformative"))
    assert logged(run, "groups/uninformative") == logged(run, "groups/all_wrong")
    assert all(extra > 0 for extra in logged(run, "groups/extra_tokens"))


def test_rollouts_say_by_which_rules_they_were_graded(tmp_path):
    class Graded:
        """A reward of the package's kind, which knows the version of its rules."""

        __name__ = "graded"
        version = "5eed"

        def __call__(self, completions, **_):
            return [float(text.startswith("a")) for text in completions]

    for folder, reward, expected in (("own", Graded(), "5eed"), ("foreign", starts_with_a, None)):
        run = trainer(tmp_path / folder, reward, max_steps=2, rollouts_every=1)
        run.train()
        written = rollouts(tmp_path / folder)
        assert len(written) >= 8
        assert {record["grader"] for record in written} == {expected}


def test_refill_is_bounded_and_the_smaller_batch_trains(tmp_path):
    run = trainer(tmp_path, starts_with_a, max_refill_rounds=0, prompts_per_batch=8, max_steps=4)
    run.train()
    assert len(logged(run, "groups/trained")) == 2
    assert all(0 < n < 8 for n in logged(run, "groups/trained"))
    assert logged(run, "groups/refill_rounds") == [0, 0]


def test_uninformative_groups_can_be_kept(tmp_path):
    run = trainer(tmp_path, starts_with_a, keep_uninformative_groups=True)
    run.train()
    assert logged(run, "groups/trained") == [4, 4]
    assert logged(run, "groups/refill_rounds") == [0, 0]


def test_the_signal_may_be_one_reward_or_a_logged_column(tmp_path):
    for signal in ("starts_with_a", "letters"):
        rewards, changes = [letters_reward, starts_with_a], {"max_refill_rounds": 60, "max_steps": 2}
        run = trainer(tmp_path / signal, rewards, signal=signal, rollouts_every=1, **changes)
        run.train()
        records = [record for record in rollouts(tmp_path / signal) if not record.get("dropped")]
        assert len(records) == 16
        for start in range(0, 16, 4):
            group = records[start : start + 4]
            source = "rewards" if signal == "starts_with_a" else "parts"
            assert len({record[source][signal] for record in group}) > 1


def test_an_unknown_signal_names_the_nearest(tmp_path):
    with pytest.raises(RunError, match="Did you mean 'letters_reward'"):
        trainer(tmp_path, signal="leters_reward").train()


def test_several_rewards_are_weighed_and_none_stays_out(tmp_path):
    def sometimes(completions, **_):
        return [None if len(text) % 2 else 1.0 for text in completions]

    run = trainer(tmp_path, [letters_reward, sometimes], reward_weights=[2.0, 0.5], max_steps=2, rollouts_every=1)
    run.train()
    assert len(rollouts(tmp_path)) == 16
    for record in rollouts(tmp_path):
        parts = [0 if v is None or math.isnan(v) else v for v in record["rewards"].values()]
        assert record["reward"] == pytest.approx(2 * parts[0] + 0.5 * parts[1])


def test_a_completion_that_nothing_scored_does_not_train(tmp_path):
    def odd_ones_only(completions, **_):
        return [None if len(text) % 2 else len(text) / 12 for text in completions]

    run = trainer(tmp_path, odd_ones_only, max_steps=2, max_refill_rounds=10)
    run.train()
    assert sum(logged(run, "groups/unscored_rows")) > 0
    assert len(logged(run, "loss")) == 2
    assert all(not math.isnan(loss) for loss in logged(run, "loss"))


def test_batches_without_signal_stop_the_run_and_say_why(tmp_path):
    def flat(completions, **_):
        return [1.0] * len(completions)

    with pytest.raises(RunError, match=r"3 generation batches in a row.*all right 100%"):
        trainer(tmp_path, flat, max_empty_batches=3, max_refill_rounds=1, max_steps=40).train()


def test_a_run_without_one_update_is_a_failure(tmp_path):
    def flat(completions, **_):
        return [1.0] * len(completions)

    with pytest.raises(RunError) as caught:
        trainer(tmp_path, flat, max_empty_batches=9, max_refill_rounds=0, max_steps=2, rollouts_every=0).train()
    assert str(caught.value) == (
        "2 steps went by and none had anything to train on: in the last batch every one of 16 completions earned 1.00, "
        "all right: there is nothing left to learn here; choose harder problems. Its samples are in "
        f"{tmp_path / 'rollouts.jsonl'}"
    )
    records = rollouts(tmp_path)  # the evidence is kept even where no rollouts were asked for
    assert {record["dropped"] for record in records} == {"all right"}
    assert {record["step"] for record in records} == {0}


def test_an_empty_batch_leaves_the_weights_alone(tmp_path):
    def once(completions, trainer_state, **_):
        return [1.0] * len(completions) if trainer_state.global_step else letters_reward(completions)

    seen = []

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            seen.append(weights(kwargs["model"]))

    trainer(tmp_path, once, max_refill_rounds=0, max_steps=4, callbacks=[Watch()], weight_decay=0.5).train()
    assert all(torch.equal(seen[1][name], seen[3][name]) for name in seen[1])
    assert any(not torch.equal(seen[0][name], seen[1][name]) for name in seen[0])


def test_rewards_are_told_the_limits_when_they_change(tmp_path):
    class Limited:
        __name__ = "limited"

        def __init__(self):
            self.limits = []

        def set_limits(self, max_length, cache):
            self.limits.append((max_length, cache))

        def __call__(self, completions, **_):
            return letters_reward(completions)

    reward = Limited()
    schedule = [{"from_step": 2, "overlong_cache": 5}, {"from_step": 6, "max_completion_length": 20}]
    run = trainer(tmp_path, reward, overlong_cache=4, max_steps=8, schedule=schedule)
    run.train()
    assert reward.limits == [(12, 4), (12, 5), (20, 5)]
    assert max(logged(run, "completions/max_length")[:3]) <= 12 < logged(run, "completions/max_length")[3]


# ---- generation in chunks


def test_a_group_is_verified_while_others_are_still_being_written(tmp_path):
    begun, seen = threading.Event(), []

    def noted(completions, **_):
        seen.append((len(completions), threading.current_thread().name))
        begun.set()
        return letters_reward(completions)

    run = trainer(tmp_path, noted, max_steps=2, probe_rewards=False)
    source = run._source = run._make_source()

    class Waiting:
        """Writes on only once a reward has been called for what has ended."""

        sampler, exact = source.sampler, source.exact

        def sample(self, *arguments):
            ended = [sample for batch in source.sample(*arguments) for sample in batch]
            yield [sample for sample in ended if sample.row < 8]
            assert begun.wait(30)
            yield [sample for sample in ended if sample.row >= 8]

    run._source = Waiting()
    run.train()
    assert [count for count, _ in seen] == [8, 8]
    assert all(name.startswith("verification") for _, name in seen)


def test_chunks_give_every_completion_its_own_reward(tmp_path):
    run = trainer(tmp_path, max_tokens_per_generation=90, max_steps=2, rollouts_every=1)
    run.train()
    assert len(rollouts(tmp_path)) == 16
    for record in rollouts(tmp_path):
        text = record["completion"]
        assert record["reward"] == pytest.approx(sum(c.isalpha() for c in text) / max(len(text), 1))
        assert record["parts"]["letters"] == sum(c.isalpha() for c in text)


# ---- bad input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompts_per_batch": 5}, "5 does not divide into 2 minibatches; 4 would"),
        ({"num_generations": 1}, "a group of 1 has no advantages"),
        ({"per_device_train_batch_size": 3}, "disagrees with the batch's settings, from which follows 8"),
        ({"loss_type": "grpo"}, "loss_type='grpo' is not available here"),
        ({"scale_rewards": "group"}, "use `advantage_normalization`"),
        ({"max_completion_length": 100}, "max_tokens_per_microbatch=64 is below the longest completion, 100"),
        ({"overlong_cache": 12}, "overlong_cache=12 must be at least 0 and below max_completion_length=12"),
        ({"schedule": [{"from_step": 1, "prompts_per_batch": 3}]}, r"schedule\[0\]: prompts_per_batch=3 does not"),
        ({"advantage_normalization": "batch"}, "is not one of minibatch, group, none"),
        ({"ignore_data_skip": True}, "an exact resume needs it off"),
        ({"top_p": 0.9}, r"top_p=0\.9 does not go with RL: completions are drawn from the whole distribution"),
        ({"top_k": 20}, "top_k=20 does not go with RL"),
        ({"min_p": 0.05}, r"min_p=0\.05 does not go with RL"),
        ({"repetition_penalty": 1.1}, r"repetition_penalty=1\.1 does not go with RL"),
        ({"generation_kwargs": {"top_k": 20}}, "top_k=20 does not go with RL"),
        ({"generation_kwargs": {"typical_p": 0.9}}, r"typical_p=0\.9 does not go with RL"),
        ({"generation_kwargs": {"min_tokens": 4}}, "min_tokens=4 does not go with RL"),
        ({"generation_kwargs": {"temperature": 0.5}}, r"temperature=0\.5 is another one than trains, 1\.0"),
        ({"vllm_importance_sampling_correction": True}, "use `sampler_correction`, in a recipe `rollouts"),
        ({"sampler_correction": "sequence"}, "is not one of token_truncate, token_mask, sequence_truncate"),
        ({"vllm_sync": "inplace"}, "is not one of None, adapter, merged"),
        ({"vllm_step_seconds": -1}, "vllm_step_seconds must be at least 0"),
        ({"sampler_gap_limit": 0.0}, "sampler_gap_limit must be above 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        settings(tmp_path, **changes)


def test_several_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"(?s)epsilon must be.*loss_type"):
        settings(tmp_path, epsilon=2.0, loss_type="bnpo")


def test_data_that_cannot_train_is_refused(tmp_path):
    with pytest.raises(DataError, match="empty"):
        trainer(tmp_path, data=problems().select([]))
    with pytest.raises(DataError, match="no `prompt` column, only question"):
        trainer(tmp_path, data=Dataset.from_dict({"question": ["1"]}))
    with pytest.raises(DataError, match="set `max_steps`"):
        trainer(tmp_path, data=problems().to_iterable_dataset(), max_steps=-1)
    with pytest.raises(DataError, match="no training data"):
        MagistralGRPOTrainer(policy(), letters_reward, settings(tmp_path), processing_class=tokenizer())


def test_a_prompt_that_leaves_no_room_is_named_before_anything_is_generated(tmp_path):
    data = Dataset.from_dict({"prompt": ["ab=", "a" * 120]})
    with pytest.raises(DataError, match=r"row 1 .*120 tokens and a completion of up to 12 .*context of 128"):
        trainer(tmp_path, data=data).train()


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (lambda completions, **_: 1 / 0, "raised ZeroDivisionError"),
        (lambda completions, **_: [1.0], "returned 1 values for 4 completions"),
        (lambda completions, **_: [math.inf] * len(completions), "returned inf for completion 0"),
    ],
)
def test_a_broken_reward_is_found_before_the_first_generation(tmp_path, reward, message):
    reward.__name__ = "mine"
    run = trainer(tmp_path, reward)
    run._make_source = None  # would fail in another way
    with pytest.raises(RunError, match=f"reward 'mine' {message}"):
        run.train()


def test_a_broken_loss_stops_the_run_and_leaves_its_rows(tmp_path):
    run = trainer(tmp_path, max_steps=4)

    class Break(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            with torch.no_grad():
                kwargs["model"].lm_head.weight[3, 0] = math.nan

    run.add_callback(Break())
    before = {}
    with pytest.raises(RunError, match=r"step 1: the loss is nan; .*rows were written to"):
        run.train()
    before.update(weights(run.model))
    lines = (tmp_path / "broken-step-1.jsonl").read_text().splitlines()
    assert len(lines) == 8
    assert set(json.loads(lines[0])) == {"prompt", "completion", "reward", "advantage", "tokens"}
    assert run.state.global_step == 1
    assert int(sum(w.isnan().sum() for w in before.values())) == 1  # nothing but what the test broke


def test_a_broken_gradient_stops_the_run_before_the_step(tmp_path):
    run = trainer(tmp_path, max_steps=2)
    run.model.lm_head.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(RunError, match="step 0: the gradient is"):
        run.train()
    assert all(torch.equal(w, policy().state_dict()[n]) for n, w in weights(run.model).items())


def test_with_fp16_a_step_that_the_scaler_will_skip_is_counted(tmp_path):
    run = trainer(tmp_path)
    run.accelerator.scaler = object()
    for norm in (torch.tensor(math.inf), torch.tensor(0.5)):
        run._get_grad_norm(run.model, norm)
    assert run._metrics["train"]["optimizer/skipped_steps"] == [1.0, 0.0]


def test_speeds_are_tokens_over_seconds(tmp_path):
    run = trainer(tmp_path, starts_with_a, max_steps=2, max_refill_rounds=2)
    run.train()
    first = run.state.log_history[0]
    generated = first["completions/mean_length"] * first["groups/generated"] * 4
    assert first["groups/refill_rounds"] > 0
    assert first["tokens_per_second/generated"] * first["seconds/generating"] == pytest.approx(generated)


def test_half_a_surrogate_pair_is_written_and_read_again(tmp_path):
    append_lines(tmp_path / "a.jsonl", [{"completion": "a\ud800b \\ é"}])
    assert json.loads((tmp_path / "a.jsonl").read_text("utf-8")) == {"completion": "a\ud800b \\ é"}
