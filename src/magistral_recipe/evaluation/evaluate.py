"""Evaluating a model on problems: generate, grade, keep every sample, compute the scores (Magistral §5.1).

`evaluate_model` leaves a folder:

    settings.json         what was asked of which model; a folder made for something else is started afresh
    problems.jsonl        the problems, with what decides about an answer, so that samples can be graded again
    samples.jsonl         every sample with its verdicts, written as batches finish; an interrupted evaluation goes on
    scores.json           every figure with its interval, computed from the samples alone, and what repeats the run
    scores.partial.json   the same, of an evaluation that was interrupted and hasn't gone on yet

`quick_score` is the same path without files, for a look during training.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magistral_recipe.data.benchmarks.catalogue import PLACE, Prompt
from magistral_recipe.errors import DataError
from magistral_recipe.evaluation.problem_file import write_problems
from magistral_recipe.evaluation.samples import Sample, SampleWriter, graders, read_samples
from magistral_recipe.evaluation.scores import Scores, compute_scores
from magistral_recipe.evaluation.scoring import Scorer
from magistral_recipe.evaluation.settings import EvaluationSettings as EvaluationSettings
from magistral_recipe.evaluation.shards import Shard, join_shards, only_writer, shard_files, written_samples
from magistral_recipe.evaluation.statistics import mean_interval
from magistral_recipe.files import read_json, write_json
from magistral_recipe.generation.interface import Generator, Request
from magistral_recipe.layout import PARTIAL_SCORES, PROBLEMS, REPLACED, SAMPLES, SCORES, SETTINGS
from magistral_recipe.machine import World, versions
from magistral_recipe.sharded import is_sharded
from magistral_recipe.writing.chat_format import ChatFormat

if TYPE_CHECKING:
    from magistral_recipe.data.problems import Problem

Progress = Callable[[int, int], None]


MOST_TRUNCATED = 0.05
"""Share of cut samples above which a score says less about the model than about the limit."""


def evaluate_model(
    model: Any,
    tokenizer: Any,
    problems: Sequence[Problem],
    chat: ChatFormat,
    settings: EvaluationSettings,
    *,
    output: Path,
    progress: Progress | None = None,
    generator: Generator | None = None,
    weights: str | None = None,
    about: Mapping[str, Any] | None = None,
    earlier: Sequence[Path] = (),
) -> Scores:
    """Evaluate a model; an evaluation that was interrupted goes on where it stopped.

    Under Accelerate's launcher every process must call it; each takes its share of the samples.

    Args:
        model: a causal language model of transformers, or a PEFT one, on its device; ``None`` with a generator.
        tokenizer: its tokenizer, chat template installed.
        problems: ids unique.
        chat: how problems are put to the model, and its thinking tags.
        settings: what is drawn.
        output: the folder to write.
        progress: called with completions done and in all.
        generator: another backend than transformers.
        weights: what tells the model's weights from others; by default `weights_fingerprint` of the model.
        about: what ``scores.json`` shall say beside the figures: the request that repeats the run, the command.
        earlier: folders of other evaluations; samples of one that asked for the same are taken over, the last first.

    Returns:
        The scores, as in ``scores.json``.

    Raises:
        DataError: without problems, or where ids repeat.
        RunError: when the disk is full; what is finished stays.
    """
    started = time.monotonic()
    by_id = _by_id(problems)
    asked = _asked(model, chat, problems, settings, weights)
    total = len(problems) * sum(count for _, count, _ in settings.passes())
    shard = Shard.here()
    with only_writer(output, shard):
        before = _seconds_before(output)
        if shard.first:
            _take_over(output, asked, earlier)
            _take_up(output, asked, problems)
        shard.wait()
        done = read_samples(output / SAMPLES)
        shard.wait()  # nobody appends before all have read

        def facts() -> dict[str, Any]:
            seconds = round(before * bool(done) + time.monotonic() - started, 3)
            known = {"settings": asked, "samples_wanted": total, "processes": shard.size, "seconds": seconds}
            return {**(about or {}), **known}

        backend = generator or own_generator(model, tokenizer, settings)
        batches = drawn_samples(backend, by_id, chat, settings, {sample.key for sample in done}, shard)
        try:
            _write(batches, SampleWriter(shard.samples_file(output)), shard, len(done), total, progress)
        except BaseException:
            if shard.first:
                with contextlib.suppress(OSError, ValueError):  # the reason matters more than these
                    finish(output, written_samples(output), facts(), PARTIAL_SCORES)
            raise
        shard.wait()
        if shard.first:
            scores = finish(output, join_shards(output), facts())
            (output / PARTIAL_SCORES).unlink(missing_ok=True)
        shard.wait()
    return scores if shard.first else compute_scores(read_samples(output / SAMPLES))


def _write(
    batches: Iterator[list[Sample]],
    writer: SampleWriter,
    shard: Shard,
    done: int,
    total: int,
    progress: Progress | None,
) -> None:
    """Put each batch on the disk as it is finished, and say how far that is."""
    new = 0
    for batch in batches:
        writer.write(batch)
        new += len(batch)
        if progress is not None:
            progress(min(total, done + new * shard.size), total)  # of the others as far as this process can know


def finish(output: Path, samples: Sequence[Sample], facts: Mapping[str, Any], name: str = SCORES) -> Scores:
    """Compute the scores of samples and write them down.

    Args:
        output: the evaluation's folder.
        samples: what there is; with fewer than ``samples_wanted`` of the facts, the scores say that they are partial.
        facts: what the file shall say beside the figures.
        name: the file's.

    Returns:
        The scores.
    """
    missing = max(0, int(facts.get("samples_wanted", 0)) - len(samples))
    graded = graders(samples)
    known = {"versions": versions(), "grader": graded[0] if len(graded) == 1 else None}
    scores = compute_scores(samples, {**known, **facts, "partial": missing > 0})
    found = warnings_of(scores, missing)
    if len(graded) > 1:
        names = ", ".join(each or "unknown" for each in graded)
        found.append(f"graded by different rules (versions {names}): `evaluate --rescore` grades all by today's")
    scores = replace(scores, about={**scores.about, "warnings": found})
    write_json(output / name, scores.to_json())
    return scores


def warnings_of(scores: Scores, missing: int = 0) -> list[str]:
    """Say what makes a score less than it seems.

    Args:
        scores: to look at.
        missing: samples that were wanted and aren't there.

    Returns:
        One sentence each.
    """
    found = []
    if missing > 0:
        found.append(f"partial: {missing:,} samples are missing")
    limit = scores.about.get("settings", {}).get("max_new_tokens")
    for name, of in (("truncation_rate", "samples"), ("greedy_truncation_rate", "greedy samples")):
        rate = scores.summary().get(name, 0.0)
        if rate > MOST_TRUNCATED:
            at = f" at {limit:,} tokens" if isinstance(limit, int) else ""
            found.append(f"{rate:.0%} of the {of} were cut{at}: the score is a lower bound; raise max_new_tokens")
    undecided = scores.counts[("all", "all")]["undecided"]
    if undecided:
        found.append(f"{undecided:,} samples are undecided (an unreadable reference, or the machine failed)")
    return found


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
    prompt: Prompt = PLACE,
) -> float:
    """Score a model between training steps: pass@1 on problems, nothing written.

    Neither the global random state nor the model's training mode is changed. Under torch.distributed every process
    must call it; each takes its share of the problems, or all draw all of them where the model is sharded.

    Args:
        model: unwrapped, on its device.
        tokenizer: chat template installed.
        problems: ids unique.
        chat: how problems are put to the model.
        samples: completions a problem; one is enough at temperature 0.
        temperature: 0 decodes greedily.
        max_new_tokens: where a completion is cut, in tokens.
        seed: of the sampling noise.
        prompt: how a problem is put, ``{problem}`` standing for it.

    Returns:
        The mean over problems of the share of right samples; 0 where no verdict could be given.
    """
    settings = EvaluationSettings(samples, temperature, 1.0, max_new_tokens, greedy=False, seed=seed, prompt=prompt)
    # Where each forward pass takes all processes, they draw the same; elsewhere each its share.
    world = World() if is_sharded(model) else World.joined()
    share = _by_id(problems[world.rank :: world.size]) if len(problems) > world.rank else {}
    generator = own_generator(model, tokenizer, settings)
    rows = [sample for batch in drawn_samples(generator, share, chat, settings, set(), Shard()) for sample in batch]
    right: dict[str, list[float]] = {}
    for sample in rows:
        if sample.right is not None:
            right.setdefault(sample.problem, []).append(float(sample.right))
    scores = _gathered(list(right.values()), world.size)
    return mean_interval(scores).mean if scores else 0.0


def sampled(
    model: Any,
    tokenizer: Any,
    problems: Sequence[Problem],
    chat: ChatFormat,
    settings: EvaluationSettings,
    generator: Generator | None = None,
) -> list[Sample]:
    """Draw and grade samples in this process alone, nothing written; see `quick_score` for what stays as it is.

    Args:
        model: unwrapped, on its device.
        tokenizer: chat template installed.
        problems: ids unique.
        chat: how problems are put to the model.
        settings: what is drawn.
        generator: what generates; by default transformers.

    Returns:
        The samples: the first of every problem, then the second ones.
    """
    generator = generator or own_generator(model, tokenizer, settings)
    drawn = drawn_samples(generator, _by_id(problems), chat, settings, set(), Shard())
    place = {problem.id: number for number, problem in enumerate(problems)}
    return sorted((each for batch in drawn for each in batch), key=lambda each: (each.sample, place[each.problem]))


def own_generator(model: Any, tokenizer: Any, settings: EvaluationSettings) -> Generator:
    """Generate with transformers, in batches of the tokens that the settings allow."""
    from magistral_recipe.generation.hf import HFGenerator

    return HFGenerator(model, tokenizer, token_budget=settings.tokens_per_batch)


def drawn_samples(
    generator: Generator,
    problems: Mapping[str, Problem],
    chat: ChatFormat,
    settings: EvaluationSettings,
    done: set[tuple[str, int, bool]],
    shard: Shard,
) -> Iterator[list[Sample]]:
    """Draw and grade what is not done yet.

    Args:
        generator: what generates.
        problems: id → problem; several processes give the same, and each draws its share.
        chat: how problems are put to the model.
        settings: what is drawn.
        done: keys of the samples that are there.
        shard: this process.

    Yields:
        The samples of a batch, as it is finished.
    """
    scorer = Scorer(chat.thinking if settings.tags else None)
    prompts = {id_: settings.put(problem, chat) for id_, problem in problems.items()}
    for sampling, count, greedy in settings.passes():
        requests = [
            Request(id_, number, prompts[id_])
            for id_ in problems
            for number in range(count)
            if (id_, number, greedy) not in done
        ]
        for batch in generator.stream(shard.share(requests), sampling):
            of = [problems[completion.request.id] for completion in batch]
            yield scorer.score(batch, of, greedy, settings.seed)


def _by_id(problems: Sequence[Problem]) -> dict[str, Problem]:
    if not problems:
        raise DataError("no problems to evaluate on")
    found: dict[str, Problem] = {}
    for problem in problems:
        if problem.id in found:
            raise DataError(f"two problems have the id {problem.id!r}: samples are told apart by it")
        found[problem.id] = problem
    return found


def _take_up(output: Path, asked: Mapping[str, Any], problems: Sequence[Problem]) -> None:
    """Keep what an earlier evaluation of the same things left, interrupted or with fewer samples; set aside others."""
    output.mkdir(parents=True, exist_ok=True)
    before, now = read_json(output / SETTINGS), json.loads(json.dumps(asked))
    if before == now or _grows_from(before, now):
        join_shards(output)
    else:
        _set_aside(output)
        write_problems(output / PROBLEMS, problems)
    if before != now:
        for name in (SCORES, PARTIAL_SCORES):  # they speak of what was asked before
            (output / name).unlink(missing_ok=True)
        write_json(output / SETTINGS, asked)


def _take_over(output: Path, asked: Mapping[str, Any], earlier: Sequence[Path]) -> None:
    """Copy the samples of an earlier evaluation of the same weights and problems, where there are none of its own."""
    now = json.loads(json.dumps(asked))
    if (output / SETTINGS).exists():
        return
    for folder in reversed(earlier):
        before = read_json(folder / SETTINGS)
        if (before == now or _grows_from(before, now)) and (folder / SAMPLES).is_file():
            output.mkdir(parents=True, exist_ok=True)
            for name in (PROBLEMS, SAMPLES, SETTINGS):  # the settings last: they say whose samples these are
                shutil.copyfile(folder / name, output / name)
            return


def _grows_from(before: Any, now: dict[str, Any]) -> bool:
    """Whether only more samples are wanted: a sample doesn't depend on how many there are."""
    if not isinstance(before, dict) or not isinstance(before.get("samples"), int):
        return False
    same = {**before, "samples": 0, "greedy": False} == {**now, "samples": 0, "greedy": False}
    return same and before["samples"] <= now["samples"] and bool(before.get("greedy")) <= now["greedy"]


def _set_aside(output: Path) -> None:
    """Nothing that took hours is deleted because an option changed: it moves to `replaced/`."""
    old = [output / name for name in (SAMPLES, SCORES, PARTIAL_SCORES, SETTINGS, PROBLEMS)] + shard_files(output)
    there = [file for file in old if file.exists()]
    settings = read_json(output / SETTINGS)
    ours = isinstance(settings, dict) and "problems_hash" in settings  # else the user has files of these names
    if not there:
        return
    if ours and not any(file.exists() for file in [output / SAMPLES, *shard_files(output)]):
        for file in there:
            file.unlink()
        return
    target = output / REPLACED / f"{1 + len(list(output.glob(f'{REPLACED}/*'))):03d}"
    target.mkdir(parents=True)
    for file in there:
        file.rename(target / file.name)


def _seconds_before(output: Path) -> float:
    known = read_json(output / SCORES) or read_json(output / PARTIAL_SCORES) or {}
    return float(known.get("seconds", 0.0))


def _asked(
    model: Any, chat: ChatFormat, problems: Sequence[Problem], settings: EvaluationSettings, weights: str | None
) -> dict[str, Any]:
    drawn = {name: value for name, value in asdict(settings).items() if name != "tokens_per_batch"}
    return {
        **drawn,
        "system_prompt": chat.system_text,
        "thinking": asdict(chat.thinking),
        "template": chat.template,
        "problems_hash": problems_hash(problems),
        "model": str(getattr(getattr(model, "config", None), "_name_or_path", "")),
        "weights": weights or weights_fingerprint(model),
    }


def problems_hash(problems: Sequence[Problem]) -> str:
    """Hash problems with all that decides about their answers: 16 hexadecimal digits."""
    rows = json.dumps([problem.model_dump(mode="json") for problem in problems], ensure_ascii=True)
    return hashlib.sha256(rows.encode()).hexdigest()[:16]


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


def _gathered(scores: list[list[float]], world: int) -> list[list[float]]:
    if world == 1:
        return scores
    import torch

    shares: list[Any] = [None] * world
    torch.distributed.all_gather_object(shares, scores)
    return [problem for share in shares for problem in share]
