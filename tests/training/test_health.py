"""Is a run getting worse? Curves that are, curves that only look so, and the step from which on they are."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from transformers import TrainerState

from magistral_recipe.jsonlines import read_lines
from magistral_recipe.rewards import MagistralReward, MathCorrectness
from magistral_recipe.training import health
from magistral_recipe.training.watch import HealthWatch, reward_metrics

RECORDED = Path(__file__).parents[1] / "cases" / "curves"


def curve(*values, first=1):
    return [(step, value) for step, value in enumerate(values, first)]


def line(start, end, count):
    return [start + (end - start) * i / (count - 1) for i in range(count)]


def test_a_fall_is_dated_from_the_last_window_that_was_as_good_as_the_start():
    trouble = health.fallen(curve(*[0.5] * 10, *[0.2] * 10), "reward")
    assert trouble is not None
    # Windows of three, and a noise of 0.049 by the one step among 19: the first mean below
    # 0.5 - 3.5·0.049·√(2/3) = 0.36 is that of 0.5 0.2 0.2, which begins at step 10.
    assert trouble.since == 10
    assert trouble.seen == "it began at 0.50 and is at 0.20"
    assert trouble.line().startswith("The reward is falling since step 10: it began at 0.50 and is at 0.20. Lower the")


def test_what_fell_and_rose_again_is_no_trouble():
    assert health.fallen(curve(*[0.5] * 8, *[0.1] * 8, *[0.5] * 8), "reward") is None


@pytest.mark.parametrize(("count", "found"), [(12, 100), (60, 225), (400, 300)])
def test_chance_is_no_fall_and_a_fall_no_chance(count, found):
    """Batches of 64 binary rewards around 0.5 that stay, and that lose half of it."""

    def alarms(end, seed):
        rng = random.Random(seed)
        rates = line(0.5, end, count)
        return health.fallen(curve(*[sum(rng.random() < rate for _ in range(64)) / 64 for rate in rates]), "reward")

    assert sum(alarms(0.5, seed) is not None for seed in range(300)) <= 3
    assert sum(alarms(0.25, seed) is not None for seed in range(300)) >= found


def test_a_run_that_is_looked_at_after_every_step_is_not_cried_wolf_over():
    rng = random.Random(0)
    alarmed = 0
    for _ in range(40):
        values = [sum(rng.random() < 0.5 for _ in range(64)) / 64 for _ in range(200)]
        alarmed += any(health.fallen(curve(*values[:seen]), "reward") for seen in range(health.FEW, 201, 4))
    assert alarmed <= 4


@pytest.mark.parametrize("lasting", [0.5, 0.8])
def test_noise_that_lasts_for_some_steps_is_no_fall(lasting):
    """A reward that stays where it is, around which an autoregression of standard deviation 0.06 wanders."""
    alarmed = 0
    for seed in range(40):
        rng, away, values = random.Random(seed), 0.0, []
        for _ in range(200):
            away = lasting * away + (1 - lasting**2) ** 0.5 * rng.gauss(0, 0.06)
            values.append(0.5 + away)
        alarmed += any(health.fallen(curve(*values[:seen]), "reward") for seen in range(health.FEW, 201, 4))
    assert alarmed <= 8  # by the steps between neighbours alone: 19 and 33


def test_what_rose_and_then_fell_is_held_against_its_best():
    rng = random.Random(0)
    rates = [*line(0.3, 0.7, 100), *line(0.7, 0.4, 60)]
    values = [sum(rng.random() < rate for _ in range(256)) / 256 for rate in rates]
    assert health.fallen(curve(*values[:100]), "reward") is None
    trouble = health.fallen(curve(*values), "reward")
    assert trouble is not None
    assert 100 <= trouble.since <= 140
    assert trouble.seen.startswith("it was at 0.6")
    assert trouble.seen.endswith("and is at 0.44")


@pytest.mark.parametrize("rates", [line(0.3, 0.35, 300), [*line(0.3, 0.7, 30), *[0.7] * 200], [0.02] * 200])
def test_a_slow_rise_a_plateau_and_a_reward_that_is_rarely_paid_are_no_falls(rates):
    rng = random.Random(1)
    for _ in range(20):
        values = [sum(rng.random() < rate for _ in range(64)) / 64 for rate in rates]
        assert not any(health.fallen(curve(*values[:seen]), "reward") for seen in range(health.FEW, len(values), 10))


def test_a_reward_is_not_held_against_what_easier_problems_paid():
    reward = curve(*[0.8] * 20, *[0.4] * 20)
    entries = [(step, float(step > 20)) for step, _ in reward]
    assert health.fallen_reward({"reward": reward}, {}) is not None
    assert health.fallen_reward({"reward": reward, health.SCHEDULE: entries}, {}) is None
    worse = curve(*[0.8] * 20, *[0.4] * 10, *[0.1] * 10)
    trouble = health.fallen_reward({"reward": worse, health.SCHEDULE: entries}, {})
    assert trouble is not None
    assert trouble.seen == "it began at 0.40 and is at 0.10"


def test_a_policy_that_is_nearly_always_right_may_be_sure_of_itself():
    entropy = curve(*[0.4] * 20, *[0.05] * 10)
    assert health.entropy_gone(entropy, curve(*line(0.4, 0.97, 30))) is None
    assert health.entropy_gone(entropy, curve(*line(0.4, 0.7, 30))) is not None


@pytest.mark.parametrize(
    ("scores", "problems", "since"),
    [
        (curve(0.5, 0.5, 0.2, first=0), 64, 1),
        (curve(0.5, 0.6, 0.3, 0.2, first=0), 64, 1),
        (curve(0.5, 0.4), 64, None),
        (curve(0.5, 0.4), 4000, 1),
        (curve(0.5), 64, None),
        (curve(0.0, 0.0), 64, None),
        (curve(1.0, 0.98), 64, None),
        (curve(0.3, 0.8, 0.35), 256, 2),
        (curve(0.3, 0.5, 0.4), 256, None),
    ],
)
def test_a_held_out_score_falls_by_more_than_chance(scores, problems, since):
    trouble = health.evaluation_fallen(scores, problems)
    assert (trouble and trouble.since) == since


def test_entropy_groups_and_parts_are_dated_too():
    gone = health.entropy_gone(curve(*[0.4] * 20, *[0.05] * 10))
    assert gone is not None
    assert 18 <= gone.since <= 21
    flat = health.flat_groups(curve(*[0.2] * 20, *[0.9] * 10), curve(*[0.1] * 30), curve(*[0.6] * 30))
    assert flat is not None
    assert "easier problems" in flat.advice
    assert 18 <= flat.since <= 21
    nobody = health.unpaid(curve(*[0.0] * 20, first=5), "language")
    assert nobody is not None
    assert nobody.since == 5
    assert health.unpaid(curve(*[0.0] * 19, 0.5), "language") is None


def test_short_curves_are_not_judged():
    few = health.FEW - 1
    assert health.fallen(curve(*line(1, 0, few)), "reward") is None
    assert health.entropy_gone(curve(*line(1, 0, few))) is None
    assert health.flat_groups(curve(*[1.0] * few)) is None
    assert health.unpaid(curve(*[0.0] * few), "format") is None


def test_each_axis_of_the_rewards_is_found_by_its_metric():
    def own(completions, **kwargs):
        return [0.0] * len(completions)

    rewards = [MagistralReward(), MathCorrectness(), own]
    names = [rewards[0].name, rewards[1].name, "own"]
    assert reward_metrics(rewards, names) == {
        "magistral_reward/format": "format",
        "magistral_reward/correctness": "correctness",
        "magistral_reward/length": "length",
        "magistral_reward/language": "language",
        "rewards/math_correctness/mean": "correctness",
    }


def recorded(name):
    """The curves of a real run: `recipes/quickstart.yaml` at the learning rate in the file's name."""
    assert (RECORDED / name).is_file()
    curves: dict[str, list[tuple[float, float]]] = {}
    for _, record in read_lines(RECORDED / name):
        for key, value in record.items():
            if key not in ("step", "time"):
                curves.setdefault(key, []).append((record["step"], value))
    return curves


PARTS = {f"magistral_reward/{part}": part for part in ("format", "correctness", "length", "language")}


def test_the_recorded_run_that_learnt_is_in_good_health():
    assert list(health.troubles(recorded("rate_4e-4.jsonl"), PARTS)) == []


def test_the_recorded_run_that_fell_is_told_as_early_as_it_fell():
    curves = recorded("rate_4e-3.jsonl")
    troubles = {trouble.id: trouble for trouble in health.troubles(curves, PARTS)}
    assert "falling" in troubles
    reward = dict(curves["reward"])
    early = [value for step, value in reward.items() if step < troubles["falling"].since]
    assert min(early) > max(list(reward.values())[-3:])


def test_the_watch_tells_each_trouble_once_and_reads_what_was_logged_before_a_resume():
    told: list[str] = []
    watch = HealthWatch(PARTS, told.append)
    history = json.loads(json.dumps([{"step": s, "reward": r} for s, r in curve(*[0.5] * 10, *[0.2] * 10)]))
    state = TrainerState()
    for seen in range(1, len(history) + 1):
        state.log_history = history[:seen]
        watch.on_log(None, state, None)
    assert len(told) == 1
    assert told[0].startswith("The reward is falling since step 10")
    again: list[str] = []
    HealthWatch(PARTS, again.append).on_log(None, state, None)  # one that begins with all of it, as after a resume
    assert len(again) == 1
