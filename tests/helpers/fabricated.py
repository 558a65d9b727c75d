"""A run folder as a run leaves it, made up: believable curves, scores and samples, without a model."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from magistral_recipe.evaluation.samples import Sample, SampleWriter, read_samples
from magistral_recipe.evaluation.scores import compute_scores
from magistral_recipe.recipe.sections import Role
from magistral_recipe.report.collect import Stage

QUESTIONS = {
    "en": "Anna has {a} apples and gets {b} more. How many apples does she have?",
    "fr": "Trouve la somme de {a} et de {b}.",
    "de": "Wie viel ergibt {a} plus {b}?",
    "ar": "ما هو مجموع {a} و {b}؟",
}
MATHS = [
    r"<think>Half: $\frac{1}{2}$, and \(x^2\).</think>"
    r"\[\sum_i i\] It costs $5 and $6. $$\sqrt{2}$$ \boxed{42} $\frac{$",
]
RATES = {"base": 0.0, "sft": 0.45, "grpo": 0.87}
SETTINGS = {
    "samples": 4,
    "temperature": 0.7,
    "top_p": 1.0,
    "max_new_tokens": 80,
    "thinking": {"open": "<think>", "close": "</think>", "opened_by_prompt": False},
}
CLEAN = {"training": "'train'", "problems": 40, "shared": 0, "ids": 0, "texts": 0, "alike": 0, "examples": []}
ABOUT = {"settings": SETTINGS, "shared_with_training": [CLEAN]}


def stage_of(role: Role = "reinforcement", **curves: Sequence[float]) -> Stage:
    """A training stage of a made-up kind that logged the given values at steps 1, 2, …"""
    longest = max(map(len, curves.values()))
    records = [
        {"step": step + 1} | {key: values[step] for key, values in curves.items() if step < len(values)}
        for step in range(longest)
    ]
    return Stage("grpo", "made-up", role, "complete", metrics=records)


def make_run(
    folder: Path,
    problems: int = 40,
    completions: Sequence[str] = (),
    rates: Mapping[str, float] = RATES,
    seed: int = 0,
) -> Path:
    """Fill a folder with a finished run.

    Args:
        folder: where.
        problems: held-out problems.
        completions: what the models wrote, by turns, for hostile texts; by default something sensible.
        rates: how often each evaluated model is right.
        seed: of all that is made up.

    Returns:
        The folder.
    """
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    stages = []
    for number, (name, seconds) in enumerate([("sft", 68.4), ("grpo", 251.0), ("evaluate", 42.5)], 1):
        (folder / f"{number:02d}-{name}").mkdir(exist_ok=True)
        entry = {"name": name, "kind": name, "folder": f"{number:02d}-{name}", "status": "complete", "seconds": seconds}
        stages.append({**entry, "results": {"summary": f"{name} is done"}})
    manifest = {
        "format": 1,
        "name": "quickstart",
        "description": "A tiny base model learns to reason in five languages.",
        "recipe_file": "quickstart.yaml",
        "seed": 42,
        "created": "2026-01-02T03:04:05+0000",
        "versions": {"magistral-recipe": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu", "trl": "1.16.0"},
        "hardware": {"system": "Linux", "processor": "AMD EPYC", "cores": 2, "memory_gib": 23.5},
        "stages": stages,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "recipe.yaml").write_text("name: quickstart\nseed: 42\nstages:\n- sft: {}\n- grpo: {}\n- evaluate: {}\n")
    _write_lines(folder / "01-sft" / "metrics.jsonl", [_sft_metrics(step, rng) for step in range(5, 225, 5)])
    _write_lines(folder / "02-grpo" / "metrics.jsonl", [_grpo_metrics(step, rng) for step in range(1, 91)])
    _write_lines(folder / "02-grpo" / "rollouts.jsonl", _rollouts(completions))
    for label, rate in rates.items():
        samples = [s for i in range(problems) for s in _samples(i, label, rate, rng, completions)]
        target = folder / "03-evaluate" / label
        SampleWriter(target / "samples.jsonl").write(samples)
        scores = compute_scores(read_samples(target / "samples.jsonl"), ABOUT).to_json()
        (target / "scores.json").write_text(json.dumps(scores))
    return folder


def keep_greedy(run: Path) -> None:
    """Make a run's evaluations ones that decoded greedily and sampled nothing."""
    for folder in [run / "03-evaluate" / label for label in RATES]:
        kept = [sample for sample in read_samples(folder / "samples.jsonl") if sample.greedy]
        _write_lines(folder / "samples.jsonl", [asdict(sample) for sample in kept])
        scores = compute_scores(kept, {**ABOUT, "settings": {**SETTINGS, "samples": 0}}).to_json()
        (folder / "scores.json").write_text(json.dumps(scores))


def _write_lines(path: Path, records: list[dict]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def _sft_metrics(step: int, rng: random.Random) -> dict:
    loss = 0.45 + 2.6 * math.exp(-step / 40) + rng.gauss(0, 0.02)
    rate = 2e-3 * (1 - step / 225)
    return {"step": step, "loss": loss, "mean_token_accuracy": 1 - loss / 4, "learning_rate": rate, "grad_norm": 0.8}


def _grpo_metrics(step: int, rng: random.Random) -> dict:
    learnt = 1 - math.exp(-step / 25)
    record = {
        "step": step,
        "reward": 0.6 + 1.1 * learnt + rng.gauss(0, 0.06),
        "reward_std": 0.5 - 0.3 * learnt,
        "magistral_reward/format": min(1, 0.92 + 0.08 * learnt),
        "magistral_reward/correctness": min(1, 0.45 + 0.42 * learnt + rng.gauss(0, 0.03)),
        "magistral_reward/language": min(1, 0.64 + 0.35 * learnt + rng.gauss(0, 0.02)),
        "completions/mean_length": 49 - 2 * learnt + rng.gauss(0, 0.5),
        "completions/p95_length": 58,
        "max_completion_length": 80,
        "completions/clipped_ratio": max(0, 0.03 - 0.03 * learnt),
        "clip_ratio/high_mean": abs(rng.gauss(0.004, 0.002)),
        "clip_ratio/low_mean": abs(rng.gauss(0.002, 0.001)),
        "groups/uninformative": 0.1 + 0.4 * learnt,
        "groups/all_right": 0.05 + 0.4 * learnt,
        "groups/all_wrong": 0.05,
        "entropy": 0.42 - 0.25 * learnt,
        "grad_norm": 0.4 + rng.random() * 0.2,
        "seconds/generating": 1.4 + rng.random() * 0.1,
        "seconds/training": 0.9,
        "seconds/verifying": 0.02,
    }
    return record if step % 2 else {key: record[key] for key in ("step", "entropy", "grad_norm")}


def _written(right: bool, a: int, b: int, language: str = "en") -> str:
    start = {"fr": "Je commence par les unités", "de": "Ich beginne mit den Einern"}.get(
        language, "I start with the units"
    )
    total = a + b if right else a + b - 10
    return f"<think>\n{start}: {a % 10}+{b % 10}={a % 10 + b % 10}. Then the tens.\n</think>\n= \\boxed{{{total}}}."


def _rollouts(completions: Sequence[str]) -> list[dict]:
    records = []
    for step in (0, 80):
        for number in range(8):
            right = number < (2 if step == 0 else 7)
            parts = {"magistral_reward/reason": "right" if right else "wrong", "magistral_reward/language": 1.0}
            row = {"step": step, "group": 0, "id": "p", "problem": "27 + 38?", "answer": "65", "language": "en"}
            text = completions[number % len(completions)] if completions else _written(right, 27, 38)
            row |= {"completion": text, "tokens": 44, "truncated": False}
            records.append(row | {"reward": 2.0 if right else 1.1, "parts": parts, "advantage": 1.2 if right else -0.4})
    return records


def _samples(index: int, label: str, rate: float, rng: random.Random, completions: Sequence[str]) -> list[Sample]:
    language = list(QUESTIONS)[index % len(QUESTIONS)]
    a, b = 10 + 7 * index % 83, 11 + 13 * index % 79
    hard = index % 5 == 0
    found = []
    for number in range(5):
        right = rng.random() < (0.6 * rate if hard else rate)
        same = rng.random() < {"base": 0.0, "sft": 0.65, "grpo": 0.98}[label]
        form = 0.0 if label == "base" else 1.0
        reason = "malformed" if not form else "right" if right else "wrong"
        verdicts = {
            "format": {"value": form, "reason": "well_formed" if form else "malformed"},
            "correctness": {"value": float(right and form), "reason": reason},
            "language": {"value": float(same), "reason": "same_language" if same else "wrong_language"},
        }
        text = _written(right, a, b, language) if form else f"- {a}+{b}={a + b}. So {a + b}"
        if completions:
            text = completions[(index + number) % len(completions)]
        found.append(
            Sample(
                problem=f"{language}/{index:03d}",
                sample=max(0, number - 1),
                greedy=number == 0,
                prompt=QUESTIONS[language].format(a=a, b=b),
                completion=text,
                tokens=40 + rng.randrange(15),
                truncated=rng.random() < 0.02,
                answer=str(a + b if right else a + b - 10) if form else None,
                verdicts=verdicts,
                reward=1.0,
                question=QUESTIONS[language].format(a=a, b=b),
                reference=str(a + b),
                language=language,
                category="three numbers" if hard else "addition",
                difficulty=2.0 if hard else 1.0,
                source="made up",
            )
        )
    return found
