"""Evaluating a model on problems: generate, grade, keep every sample, compute the scores (Magistral §5.1).

`evaluate_model` leaves a folder:

    settings.json   what was asked of which model; a folder made for something else is started afresh
    samples.jsonl   every sample with its verdicts, written as batches finish; an interrupted evaluation goes on
    scores.json     every figure with its interval, computed from the samples alone, and what it takes to repeat it

`quick_score` is the same path without files, for a look during training.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magistral_recipe.data.chat import ChatFormat
from magistral_recipe.errors import DataError
from magistral_recipe.evaluation.samples import Sample, SampleWriter, read_samples
from magistral_recipe.evaluation.scores import Scores, compute_scores
from magistral_recipe.evaluation.scoring import Scorer
from magistral_recipe.evaluation.statistics import mean_interval
from magistral_recipe.files import read_json, write_json
from magistral_recipe.generation.interface import Request, Sampling

if TYPE_CHECKING:
    from magistral_recipe.data.problems import Problem

Progress = Callable[[int, int], None]

SAMPLES, SCORES, SETTINGS = "samples.jsonl", "scores.json", "settings.json"


@dataclass(frozen=True)
class EvaluationSettings:
    """What is drawn, and how.

    Args:
        samples: completions a problem at ``temperature``; pass@1 is their mean.
        temperature: of the samples (the paper: 0.7).
        top_p: nucleus of the samples (the paper: 1.0 for mathematics, 0.95 for code).
        max_new_tokens: where a completion is cut, in tokens.
        greedy: decode every problem once greedily too.
        seed: of the sampling noise.
        tokens_per_batch: prompt and completion tokens generated at once; changes speed and memory, never a sample.
    """

    samples: int = 4
    temperature: float = 0.7
    top_p: float = 1.0
    max_new_tokens: int = 1024
    greedy: bool = True
    seed: int = 0
    tokens_per_batch: int | None = None

    def __post_init__(self) -> None:
        if self.samples < 0 or not (self.samples or self.greedy):
            raise ValueError(f"nothing to draw: samples is {self.samples} and greedy is {self.greedy}")

    def passes(self) -> list[tuple[Sampling, int, bool]]:
        """What is drawn of every problem: how, how often, and whether that is the greedy pass."""
        drawn = Sampling(self.temperature, self.top_p, self.max_new_tokens, self.seed)
        greedy = Sampling(0.0, 1.0, self.max_new_tokens, self.seed)
        return [(greedy, 1, True)] * self.greedy + [(drawn, self.samples, False)] * bool(self.samples)


def evaluate_model(
    model: Any,
    tokenizer: Any,
    problems: Sequence[Problem],
    chat: ChatFormat,
    settings: EvaluationSettings,
    *,
    output: Path,
    progress: Progress | None = None,
) -> Scores:
    """Evaluate a model; an evaluation that was interrupted goes on where it stopped.

    Args:
        model: a causal language model of transformers, or a PEFT one, on its device.
        tokenizer: its tokenizer, chat template installed.
        problems: ids unique.
        chat: how problems are put to the model, and its thinking tags.
        settings: what is drawn.
        output: the folder to write.
        progress: called with completions done and in all.

    Returns:
        The scores, as in ``scores.json``.

    Raises:
        DataError: without problems, or where ids repeat.
        RunError: when the disk is full; what is finished stays.
    """
    started = time.monotonic()
    by_id = _by_id(problems)
    asked = _asked(model, chat, problems, settings)
    samples = _take_up(output, asked)
    before = float((read_json(output / SCORES) or {}).get("seconds", 0.0)) if samples else 0.0
    writer = SampleWriter(output / SAMPLES)
    total = len(problems) * sum(count for _, count, _ in settings.passes())
    done = {sample.key for sample in samples}
    for batch in _sampled(model, tokenizer, by_id, chat, settings, done):
        writer.write(batch)
        samples += batch
        if progress is not None:
            progress(len(samples), total)
    about = {"settings": asked, "versions": _versions(), "seconds": round(before + time.monotonic() - started, 3)}
    scores = compute_scores(samples, about)
    write_json(output / SCORES, scores.to_json())
    return scores


def quick_score(
    model: Any,
    tokenizer: Any,
    problems: Sequence[Problem],
    chat: ChatFormat,
    *,
    samples: int = 1,
    temperature: float = 0.0,
    max_new_tokens: int = 1024,
    seed: int = 0,
) -> float:
    """Score a model between training steps: pass@1 on problems, nothing written.

    Neither the global random state nor the model's training mode is changed. Under torch.distributed every process
    must call it; each takes its share of the problems.

    Args:
        model: unwrapped, on its device.
        tokenizer: chat template installed.
        problems: ids unique.
        chat: how problems are put to the model.
        samples: completions a problem; one is enough at temperature 0.
        temperature: 0 decodes greedily.
        max_new_tokens: where a completion is cut, in tokens.
        seed: of the sampling noise.

    Returns:
        The mean over problems of the share of right samples; 0 where no verdict could be given.
    """
    settings = EvaluationSettings(samples, temperature, 1.0, max_new_tokens, greedy=False, seed=seed)
    rank, world = _place()
    share = _by_id(problems[rank::world]) if len(problems) > rank else {}
    rows = [sample for batch in _sampled(model, tokenizer, share, chat, settings, set()) for sample in batch]
    right: dict[str, list[float]] = {}
    for sample in rows:
        if sample.right is not None:
            right.setdefault(sample.problem, []).append(float(sample.right))
    scores = _gathered(list(right.values()), world)
    return mean_interval(scores).mean if scores else 0.0


def _sampled(
    model: Any,
    tokenizer: Any,
    problems: Mapping[str, Problem],
    chat: ChatFormat,
    settings: EvaluationSettings,
    done: set[tuple[str, int, bool]],
) -> Iterator[list[Sample]]:
    """Draw and grade what is not done yet, batch by batch."""
    from magistral_recipe.generation.hf import HFGenerator

    generator = HFGenerator(model, tokenizer, token_budget=settings.tokens_per_batch)
    scorer = Scorer(chat.thinking)
    prompts = {id_: chat.messages(problem.problem) for id_, problem in problems.items()}
    for sampling, count, greedy in settings.passes():
        requests = [
            Request(id_, number, prompts[id_])
            for id_ in problems
            for number in range(count)
            if (id_, number, greedy) not in done
        ]
        for batch in generator.stream(requests, sampling):
            yield scorer.score(batch, [problems[completion.request.id] for completion in batch], greedy)


def _by_id(problems: Sequence[Problem]) -> dict[str, Problem]:
    if not problems:
        raise DataError("no problems to evaluate on")
    found: dict[str, Problem] = {}
    for problem in problems:
        if problem.id in found:
            raise DataError(f"two problems have the id {problem.id!r}: samples are told apart by it")
        found[problem.id] = problem
    return found


def _take_up(output: Path, asked: Mapping[str, Any]) -> list[Sample]:
    """Return what an earlier, interrupted evaluation of the same things left; forget one of other things."""
    output.mkdir(parents=True, exist_ok=True)
    if read_json(output / SETTINGS) == json.loads(json.dumps(asked)):
        return read_samples(output / SAMPLES)
    for name in (SAMPLES, SCORES, SETTINGS):
        (output / name).unlink(missing_ok=True)
    write_json(output / SETTINGS, asked)
    return []


def _asked(model: Any, chat: ChatFormat, problems: Sequence[Problem], settings: EvaluationSettings) -> dict[str, Any]:
    rows = json.dumps([problem.model_dump(mode="json") for problem in problems], ensure_ascii=True)
    drawn = {name: value for name, value in asdict(settings).items() if name != "tokens_per_batch"}
    return {
        **drawn,
        "system_prompt": chat.system_text,
        "thinking": asdict(chat.thinking),
        "template": chat.template,
        "problems_hash": hashlib.sha256(rows.encode()).hexdigest()[:16],
        "model": str(getattr(model.config, "_name_or_path", "")),
        "weights": weights_fingerprint(model),
    }


def weights_fingerprint(model: Any) -> str:
    """Hash a model's parameters by name, shape and a few of their values: cheap, and training changes it.

    Args:
        model: a torch module.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        flat = parameter.detach().flatten()
        some = flat[:: max(1, flat.numel() // 64)][:64].float().cpu().numpy()
        digest.update(f"{name}{tuple(parameter.shape)}".encode() + some.tobytes())
    return digest.hexdigest()[:16]


def _versions() -> dict[str, str]:
    packages = ("magistral-recipe", "torch", "transformers", "math-verify")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _place() -> tuple[int, int]:
    """This process's number and how many there are."""
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _gathered(scores: list[list[float]], world: int) -> list[list[float]]:
    if world == 1:
        return scores
    import torch

    shares: list[Any] = [None] * world
    torch.distributed.all_gather_object(shares, scores)
    return [problem for share in shares for problem in share]
