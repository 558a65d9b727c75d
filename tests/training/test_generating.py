"""A round of generation: from TRL's padded tensors to rollouts, each with its own tokens, text, reward and limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_policy import letters_reward, policy, problems, tokenizer, trainer

from magistral_recipe.errors import RunError
from magistral_recipe.training import generating
from magistral_recipe.writing.chat_format import decode_completion


def a_round(folder, rewards=letters_reward, count=4, **changes):
    run = trainer(folder, rewards, probe_rewards=False, **changes)
    run.model.train()
    data = [dict(row) for row in problems().select(range(count))]
    torch.manual_seed(3)
    return run, data, run.generate_round(data)


def text_of(ids):
    """The letters, one a token, without padding and stop."""
    return "".join(tokenizer().convert_ids_to_tokens([i for i in ids if i > 1]))


def test_every_rollout_has_the_tokens_text_and_reward_of_its_own_completion(tmp_path):
    _, data, round_ = a_round(tmp_path)
    assert [group[0].problem for group in round_.groups] == data
    assert (len(round_.rollouts), round_.group_size) == (16, 4)
    assert all(rollout.problem is group[0].problem for group in round_.groups for rollout in group)
    for rollout in round_.rollouts:
        sequence = rollout.sequence
        prompt, completion = sequence.prompt_ids.tolist(), sequence.completion_ids.tolist()
        assert prompt == tokenizer()(rollout.problem["prompt"])["input_ids"]
        assert rollout.text == text_of(completion)
        assert (rollout.length, rollout.completion_length) == (len(prompt) + len(completion), len(completion))
        assert rollout.truncated == (completion[-1] not in (0, 1))
        assert rollout.counted == len(completion) == int(sequence.mask.sum())
        assert rollout.reward == pytest.approx(letters_reward([rollout.text])[0])
        assert rollout.parts == {"letters": sum(c.isalpha() for c in rollout.text)}
    assert {rollout.truncated for rollout in round_.rollouts} == {True, False}
    assert (round_.rollouts[0].centred, round_.rollouts[0].advantage) == (0.0, 0.0)  # not worked out yet


def test_completing_outside_of_a_round_changes_no_round(tmp_path):
    _, data, undisturbed = a_round(tmp_path / "undisturbed")
    run = trainer(tmp_path / "disturbed", letters_reward, probe_rewards=False)
    run.model.train()
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    prompts = [tokenizer()(row["prompt"])["input_ids"] for row in data]
    completed = run.complete(prompts, 5, seed=1)
    assert completed == run.complete(prompts, 5, seed=1)
    assert completed != run.complete(prompts, 5, seed=2)
    assert all(1 <= len(ids) <= 5 for ids in completed)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert run.model.training
    round_ = run.generate_round(data)
    assert [rollout.text for rollout in round_.rollouts] == [rollout.text for rollout in undisturbed.rollouts]


def test_truncated_completions_that_are_masked_have_no_token_that_counts(tmp_path):
    _, _, round_ = a_round(tmp_path, mask_truncated_completions=True)
    for rollout in round_.rollouts:
        assert rollout.counted == (0 if rollout.truncated else rollout.completion_length)
    assert any(rollout.truncated for rollout in round_.rollouts)


def test_the_total_weighs_the_rewards_that_apply(tmp_path):
    def even(completions, **_):
        return [None if len(text) % 2 else 1.0 for text in completions]

    def never(completions, **_):
        return [None] * len(completions)

    _, _, round_ = a_round(tmp_path / "some", [letters_reward, even, never], reward_weights=[2.0, 0.5, 9.0])
    table = np.array([list(rollout.rewards.values()) for rollout in round_.rollouts], dtype=np.float64)
    assert list(round_.rollouts[0].rewards) == ["letters_reward", "even", "never"]
    assert 0 < np.isnan(table[:, 1]).sum() < 16
    expected = np.nansum(table * [2.0, 0.5, 9.0], axis=1)
    np.testing.assert_allclose([rollout.reward for rollout in round_.rollouts], expected, rtol=1e-6)
    _, _, unscored = a_round(tmp_path / "none", never)
    assert np.isnan([rollout.reward for rollout in unscored.rollouts]).all()


def test_in_chunks_each_completion_keeps_its_own_reward_and_figures(tmp_path):
    calls = []

    def noted(completions, log_extra, log_metric, **_):
        calls.append(list(completions))
        log_extra("text", list(completions))
        log_metric("longest", float(max(map(len, completions))))
        return [float(len(text)) for text in completions]

    _, _, round_ = a_round(tmp_path, noted, max_tokens_per_generation=90)
    assert len(calls) > 1
    texts = [rollout.text for rollout in round_.rollouts]
    assert [text for chunk in calls for text in chunk] == texts
    assert [rollout.parts["text"] for rollout in round_.rollouts] == texts
    assert [rollout.reward for rollout in round_.rollouts] == [len(text) for text in texts]
    weighted = sum(len(chunk) * max(map(len, chunk)) for chunk in calls) / 16
    assert round_.figures["longest"] == [pytest.approx(weighted)]


@pytest.mark.parametrize("budget", [None, 90])
def test_each_completion_is_decoded_once_however_early_it_is_scored(tmp_path, monkeypatch, budget):
    decoded = []

    def noted(tokenizer, ids, stop_ids):
        decoded.append(tuple(ids))
        return decode_completion(tokenizer, ids, stop_ids)

    monkeypatch.setattr(generating, "decode_completion", noted)
    _, _, round_ = a_round(tmp_path, max_tokens_per_generation=budget)
    assert sorted(decoded) == sorted(tuple(rollout.sequence.completion_ids.tolist()) for rollout in round_.rollouts)


def test_an_evaluation_after_a_round_that_was_scored_early_has_texts_of_its_own(tmp_path):
    run, data, round_ = a_round(tmp_path, max_tokens_per_generation=90)
    assert len(run._stash.early) == 16
    run.model.eval()
    *_, completions = run._generate([row["prompt"] for row in data])[:4]
    assert run._stash.texts == completions
    assert len(completions) == 4
    assert completions != [rollout.text for rollout in round_.rollouts[:4]]


def test_what_a_round_logs_stays_out_of_the_trainers_metrics(tmp_path):
    run, _, round_ = a_round(tmp_path)
    assert "completions/mean_length" in round_.figures
    assert not run._metrics["train"]
    assert run._seconds["generating"] > 0


def test_a_failing_round_leaves_the_trainers_metrics_in_place(tmp_path):
    def broken(completions, **_):
        raise ZeroDivisionError

    run = trainer(tmp_path, broken, probe_rewards=False)
    run.model.train()
    run._metrics["train"]["kept"].append(1.0)
    with pytest.raises(RunError, match="reward 'broken' raised ZeroDivisionError"):
        run.generate_round([dict(problems()[0])])
    assert run._metrics["train"] == {"kept": [1.0]}
    assert run._skip_logps is False


@torch.no_grad()
def test_log_probabilities_of_the_reference_are_each_tokens_own(tmp_path):
    policy().save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    _, _, round_ = a_round(tmp_path, model=str(tmp_path / "model"), beta=0.1, max_tokens_per_microbatch=40)
    for rollout in round_.rollouts:
        sequence = rollout.sequence
        ids = torch.cat([sequence.prompt_ids, sequence.completion_ids]).unsqueeze(0)
        logits = policy().eval()(input_ids=ids).logits[0, len(sequence.prompt_ids) - 1 : -1].double()
        expected = logits.log_softmax(-1).gather(1, sequence.completion_ids.unsqueeze(1)).squeeze(1)
        torch.testing.assert_close(sequence.ref_logps.double(), expected, atol=1e-4, rtol=1e-4)
        assert sequence.old_logps is None  # only rows that train need them, later
