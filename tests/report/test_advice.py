"""Each warning: a run that deserves it, and one like it that doesn't."""

from __future__ import annotations

import random

import pytest
from fabricated import stage_of

from magistral_recipe.data.overlap import Shared
from magistral_recipe.evaluation.statistics import mean_interval
from magistral_recipe.report.advice import CHECKS, findings
from magistral_recipe.report.collect import Evaluation, Run, Stage
from magistral_recipe.report.seen import Seen
from magistral_recipe.writing.thinking import Thinking

STEPS = 40


def falling(start, end):
    return [start + (end - start) * step / (STEPS - 1) for step in range(STEPS)]


def flat(value):
    return [value] * STEPS


def run_of(tmp_path, *stages):
    return Run(tmp_path, "trial", {}, "", list(stages), Thinking(), [])


def told(run):
    return {finding.id for finding in findings(run)}


HEALTHY = {
    "reward": falling(0.5, 0.9),
    "entropy": falling(0.5, 0.4),
    "completions/clipped_ratio": flat(0.02),
    "magistral_reward/format": falling(0.8, 0.98),
    "magistral_reward/correctness": falling(0.3, 0.7),
    "magistral_reward/language": falling(0.6, 0.95),
    "groups/uninformative": flat(0.3),
    "groups/all_right": flat(0.2),
    "groups/all_wrong": flat(0.1),
    "clip_ratio/high_mean": flat(0.002),
    "clip_ratio/low_mean": flat(0.001),
    "sampling/gap": flat(0.004),
}


def test_a_healthy_run_has_no_warnings(tmp_path):
    assert told(run_of(tmp_path, stage_of(**HEALTHY))) == set()


@pytest.mark.parametrize(
    ("id_", "deserving", "like_it"),
    [
        ("entropy", {"entropy": falling(0.5, 0.02)}, {"entropy": falling(0.5, 0.2)}),
        ("entropy", {"entropy": falling(0.02, 0.006)}, {"entropy": falling(0.02, 0.02)}),
        ("falling", {"reward": falling(0.49, 0.21)}, {"reward": falling(0.21, 0.49)}),
        (
            "falling",
            {"reward": flat(0.6), "magistral_reward/correctness": falling(0.5, 0.3)},
            {"reward": flat(0.6), "magistral_reward/correctness": flat(0.5)},
        ),
        ("length", {"completions/clipped_ratio": falling(0.0, 0.4)}, {"completions/clipped_ratio": falling(0.4, 0.0)}),
        ("saturated", {"magistral_reward/format": flat(0.998)}, {"magistral_reward/format": falling(0.6, 1.0)}),
        (
            "never-paid",
            {"magistral_reward/correctness": flat(0.0)},
            {"magistral_reward/correctness": falling(0.0, 0.2)},
        ),
        (
            "hacking",
            {"reward": falling(0.1, 0.3), "magistral_reward/correctness": flat(0.03)},
            {"reward": falling(0.1, 0.3), "magistral_reward/correctness": falling(0.03, 0.2)},
        ),
        (
            "hacking",
            {"reward": falling(0.5, 1.2), "magistral_reward/correctness": flat(0.4)},
            {"reward": falling(0.5, 0.55), "magistral_reward/correctness": flat(0.4)},
        ),
        (
            "language",
            {"magistral_reward/language": falling(0.95, 0.6)},
            {"magistral_reward/language": falling(0.95, 0.93)},
        ),
        ("groups", {"groups/uninformative": falling(0.2, 0.9)}, {"groups/uninformative": falling(0.9, 0.2)}),
        (
            "clipping",
            {"clip_ratio/high_mean": flat(0.0), "clip_ratio/low_mean": flat(0.0)},
            {"clip_ratio/high_mean": flat(0.0), "clip_ratio/low_mean": [*flat(0.0)[1:], 1e-4]},
        ),
        ("sampler", {"sampling/gap": flat(0.2)}, {"sampling/gap": flat(0.02)}),
        ("sampler", {"sampling/gap": [*flat(0.01)[1:], 0.9]}, {"sampling/gap": [*flat(0.01)[1:], 0.1]}),
    ],
)
def test_a_curve_deserves_its_warning(tmp_path, id_, deserving, like_it):
    assert id_ in told(run_of(tmp_path, stage_of(**HEALTHY | deserving)))
    assert id_ not in told(run_of(tmp_path, stage_of(**HEALTHY | like_it)))


def test_the_gap_has_trls_name_too(tmp_path):
    curves = {name: values for name, values in HEALTHY.items() if name != "sampling/gap"}
    named = curves | {"sampling/sampling_logp_difference/mean": flat(0.2)}
    assert "sampler" in told(run_of(tmp_path, stage_of(**named)))
    assert "sampler" not in told(run_of(tmp_path, stage_of(**curves)))


def test_rewards_of_their_own_are_judged_as_parts_are(tmp_path):
    curves = {name: values for name, values in HEALTHY.items() if "/format" not in name and "/correctness" not in name}
    alone = {"rewards/format_reward/mean": falling(0.5, 0.98), "rewards/math_correctness/mean": flat(0.0)}
    assert {"never-paid", "hacking"} <= told(run_of(tmp_path, stage_of(**curves | alone)))
    alone["rewards/math_correctness/mean"] = falling(0.2, 0.6)
    assert told(run_of(tmp_path, stage_of(**curves | alone))) == set()


def test_advice_fits_the_kind_of_flat_groups(tmp_path):
    hard = HEALTHY | {"groups/uninformative": flat(0.8), "groups/all_wrong": flat(0.7)}
    (finding,) = findings(run_of(tmp_path, stage_of(**hard)))
    assert "Choose easier problems" in finding.advice
    assert "80%" in finding.seen


@pytest.mark.parametrize(("batch", "steps"), [(64, 30), (32, 20)])
def test_noise_is_no_drift_and_hides_none(tmp_path, batch, steps):
    def alarms(last, seed):
        rng = random.Random(seed)
        rates = [0.9 + (last - 0.9) * step / (steps - 1) for step in range(steps)]
        curve = [sum(rng.random() < rate for _ in range(batch)) / batch for rate in rates]
        return "language" in told(run_of(tmp_path, stage_of(**{"magistral_reward/language": curve})))

    assert sum(alarms(0.9, seed) for seed in range(100)) <= 5
    assert sum(alarms(0.5, seed) for seed in range(100)) >= 95


@pytest.mark.parametrize(
    ("rewards", "advice"),
    [
        ({"rewards/accuracy_reward/mean": flat(0.05)}, "Choose easier problems"),
        ({"rewards/accuracy_reward/mean": flat(0.95)}, "Choose harder problems"),
        ({}, "Choose problems that are solved now and then"),
    ],
)
def test_flat_groups_of_stock_trl_are_judged_by_what_is_right(tmp_path, rewards, advice):
    (finding,) = findings(run_of(tmp_path, stage_of(**{"frac_reward_zero_std": flat(0.8), **rewards})))
    assert advice in finding.advice


def test_short_runs_are_not_judged(tmp_path):
    few = {name: values[:5] for name, values in (HEALTHY | {"entropy": falling(0.5, 0.01)}).items()}
    assert told(run_of(tmp_path, stage_of(**few))) == set()


def evaluation(label, rights, tmp_path, **scores):
    """A model whose problem i was right `rights[i]` times of four."""
    values = [[1.0] * count + [0.0] * (4 - count) for count in rights]
    interval = mean_interval(values)._asdict()
    samples = [
        Seen(0, f"p{i}", number, right=bool(value))
        for i, problem in enumerate(values)
        for number, value in enumerate(problem)
    ]
    overall = {"pass@1": interval, **scores.pop("overall", {})}
    return Evaluation(label, {"overall": overall, "samples": len(samples), **scores}, samples, tmp_path)


def evaluated(tmp_path, *evaluations):
    return run_of(tmp_path, Stage("evaluate", "made-up", "evaluation", "complete", evaluations=list(evaluations)))


def test_a_difference_that_could_be_chance_is_said(tmp_path):
    before, after = [2, 1, 3, 2, 0, 4, 2, 1] * 2, [2, 2, 3, 1, 1, 4, 2, 2] * 2
    run = evaluated(tmp_path, evaluation("sft", before, tmp_path), evaluation("grpo", after, tmp_path))
    (finding,) = findings(run)
    assert finding.id == "intervals"
    assert "16 problems" in finding.seen
    assert "takes about" in finding.advice
    better = evaluated(tmp_path, evaluation("sft", [1] * 60, tmp_path), evaluation("grpo", [3] * 60, tmp_path))
    assert told(better) == set()


def test_a_single_model_needs_a_narrow_interval_too(tmp_path):
    assert told(evaluated(tmp_path, evaluation("grpo", [0, 4, 2, 1], tmp_path))) == {"intervals"}
    assert told(evaluated(tmp_path, evaluation("grpo", [0, 4, 2, 1] * 100, tmp_path))) == set()


def test_what_was_only_decoded_greedily_is_judged_too(tmp_path):
    share = {name: mean_interval([[value]] * 200)._asdict() for name, value in (("lost", 0.0), ("kept", 1.0))}
    wide = mean_interval([[0.0], [1.0]] * 4)._asdict()

    def greedy(label, **overall):
        return Evaluation(label, {"overall": {"greedy_pass@1": share["kept"]} | overall, "samples": 0}, [], tmp_path)

    assert told(evaluated(tmp_path, greedy("grpo"))) == set()
    assert told(evaluated(tmp_path, greedy("grpo", **{"greedy_pass@1": wide}))) == {"intervals"}
    assert told(evaluated(tmp_path, greedy("grpo", greedy_truncation_rate=share["kept"]))) == {"length-evaluated"}
    drift = [greedy(label, greedy_language_fidelity=share[kind]) for label, kind in (("sft", "kept"), ("grpo", "lost"))]
    assert told(evaluated(tmp_path, *drift)) == {"language"}


def test_a_model_that_got_worse_is_said(tmp_path):
    worse = evaluated(tmp_path, evaluation("sft", [3] * 60, tmp_path), evaluation("grpo", [1] * 60, tmp_path))
    assert told(worse) == {"worse"}


def test_scores_of_cut_or_undecided_samples_are_said(tmp_path):
    rights = [0, 4, 2, 1] * 100
    cut = {"mean": 0.4, "low": 0.35, "high": 0.45}
    assert told(evaluated(tmp_path, evaluation("grpo", rights, tmp_path, overall={"truncation_rate": cut}))) == {
        "length-evaluated"
    }
    assert told(evaluated(tmp_path, evaluation("grpo", rights, tmp_path, undecided=100))) == {"undecided"}
    assert told(evaluated(tmp_path, evaluation("grpo", rights, tmp_path, undecided=3))) == set()


def test_languages_lost_between_models_are_said(tmp_path):
    def model(label, mean):
        kept = {"language_fidelity": {"mean": mean, "low": mean - 0.03, "high": mean + 0.03}}
        return evaluation(label, [1 if label == "sft" else 3] * 60, tmp_path, overall=kept)

    assert told(evaluated(tmp_path, model("sft", 0.95), model("grpo", 0.7))) == {"language"}
    assert told(evaluated(tmp_path, model("sft", 0.95), model("grpo", 0.93))) == set()


def test_an_evaluation_on_what_was_trained_on_is_said(tmp_path):
    def model(shared):
        found = evaluation("grpo", [0, 4, 2, 1] * 100, tmp_path)
        found.scores["shared_with_training"] = [Shared("'mine'", 400, shared, 0, shared, 0).as_dict()]
        return found

    (finding,) = findings(evaluated(tmp_path, model(12)))
    assert (finding.id, finding.level) == ("overlap", "serious")
    assert finding.seen.startswith("12 of 400 problems of 'evaluate' are in 'mine', too (12 word for word).")
    assert told(evaluated(tmp_path, model(0))) == set()


def test_every_check_is_in_the_table_and_says_what_to_try(tmp_path):
    assert len(CHECKS) == 14
    bad = HEALTHY | {"entropy": falling(0.5, 0.01), "sampling/gap": flat(0.3), "clip_ratio/high_mean": flat(0.0)}
    bad["clip_ratio/low_mean"] = flat(0.0)
    found = findings(run_of(tmp_path, stage_of(**bad)))
    assert [finding.level for finding in found] == ["serious", "warning", "note"]  # the worst first
    assert all(finding.advice and finding.seen.startswith("RL: ") for finding in found)


def test_a_held_out_score_that_fell_while_training_is_told_with_the_step(tmp_path):
    def run(*scores, problems=64):
        stage = stage_of(**HEALTHY)
        stage.heldout = [(10.0 * (i + 1), score) for i, score in enumerate(scores)]
        stage.heldout_problems = problems
        return run_of(tmp_path, stage)

    (warning,) = findings(run(0.5, 0.6, 0.3, 0.2))
    assert (warning.id, warning.level) == ("held-out", "serious")
    assert "it began at 50.0% and is at 20.0% of 64 problems, since step 20" in warning.seen
    assert "held-out" not in told(run(0.5, 0.45))
    assert "held-out" not in told(run(0.5, 0.2, problems=0))  # a run of an earlier version, whose noise is not known
