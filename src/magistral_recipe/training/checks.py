"""What can be known to be wrong, most of it before the first completion is generated, each as one clear line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets import Dataset, IterableDataset

from magistral_recipe.errors import DataError, RunError
from magistral_recipe.training.config import MagistralGRPOConfig
from magistral_recipe.training.scoring import Scorer

GAP_LIMIT = 0.05
"""Nats a token that sampler and trainer may differ by: vLLM's kernels against this trainer's measured 0.007 to 0.008 in
bfloat16 on an H100, an adapter one batch old 0.287."""
QUANTIZED_GAP_LIMIT = 0.15
"""The same with 4-bit weights on both sides. `benchmarks/quantized_gap.py`, SmolLM2-135M on a CPU: the same weights in
other arithmetic 0.050, an adapter left out 0.247, weights that were not quantized 0.557."""
MOST_CUT = 0.05
"""Share of the tokens whose importance weight may be cut before it is worth a warning."""

_LOOKED_AT = 200  # prompts that are rendered to find the longest: all of a small data set, else the longest texts


def check_dataset(dataset: Any) -> None:
    """Refuse data that cannot train.

    Args:
        dataset: what the user gave as training data.

    Raises:
        DataError: if there is none, it is empty, has no `prompt` column, or holds images.
    """
    if dataset is None:
        raise DataError("no training data: pass `train_dataset`")
    if not isinstance(dataset, (Dataset, IterableDataset)):
        raise DataError(
            f"train_dataset must be a `datasets.Dataset` or `IterableDataset`, not {type(dataset).__name__}"
        )
    if isinstance(dataset, Dataset) and len(dataset) == 0:
        raise DataError("the training data set is empty")
    columns = dataset.column_names
    if columns is None:
        return
    if "prompt" not in columns:
        raise DataError(f"the training data set has no `prompt` column, only {', '.join(columns)}")
    if {"image", "images"} & set(columns):
        raise DataError("images are not supported yet: remove the `image`/`images` column")


def steps_of(config: MagistralGRPOConfig, dataset: Any) -> int:
    """Optimizer steps of the run: `max_steps`, or what `num_train_epochs` passes over the data come to.

    Args:
        config: the trainer's settings.
        dataset: the training data.

    Returns:
        The number, refills not foreseen.

    Raises:
        DataError: if neither gives a number.
    """
    if config.max_steps > 0:
        return int(config.max_steps)
    if not isinstance(dataset, Dataset):
        raise DataError("an iterable data set has no length: set `max_steps`")
    batches = math.ceil(config.num_train_epochs * len(dataset) / config.prompts_per_batch)
    return max(batches, 1) * config.minibatches_per_batch * config.num_iterations


def first_row(dataset: Any) -> dict[str, Any]:
    """Return the first row, and refuse an iterable data set that turns out to have none, or none with a prompt.

    Args:
        dataset: the training data.

    Returns:
        A copy of the row.

    Raises:
        DataError: if there is no row or no prompt in it.
    """
    row = next(iter(dataset), None)
    if row is None:
        raise DataError("the training data set is empty")
    if "prompt" not in row:
        raise DataError(f"the training data set has no `prompt` column, only {', '.join(row)}")
    _check_kind(0, row["prompt"])
    return dict(row)


def check_lengths(
    dataset: Any,
    prompt_length: Callable[[Any], int],
    context: int | None,
    new_tokens: int,
    budgets: Mapping[str, int | None] | None = None,
) -> None:
    """Refuse prompts that are none, that leave no room for a completion, or that no budget of tokens would hold.

    Args:
        dataset: the training data; an iterable one is not looked at.
        prompt_length: tokens of a rendered prompt.
        context: most tokens that the model, or the server, takes; ``None`` if unknown.
        new_tokens: most tokens of a completion.
        budgets: most tokens of a pass, by the setting's name; ``None`` for one without bound.

    Raises:
        DataError: naming the row.
    """
    if not isinstance(dataset, Dataset):
        return
    prompts = list(dataset["prompt"])
    for row, prompt in enumerate(prompts):
        _check_kind(row, prompt)
    rows: Sequence[int] = range(len(prompts))
    if len(rows) > _LOOKED_AT:
        rows = sorted(rows, key=lambda row: len(str(prompts[row])), reverse=True)[:_LOOKED_AT]
    for row in rows:
        length = prompt_length(prompts[row])
        if length == 0:
            raise DataError(f"row {row} of the training data set: the prompt renders to no token at all")
        if context is not None and length + new_tokens > context:
            raise DataError(
                f"row {row} of the training data set: a prompt of {length} tokens and a completion of up to "
                f"{new_tokens} do not fit the context of {context}; lower max_completion_length or drop long prompts"
            )
        for name, budget in (budgets or {}).items():
            if budget is not None and length >= budget:
                raise DataError(
                    f"row {row} of the training data set: a prompt of {length} tokens leaves no room in "
                    f"{name}={budget}; raise it or drop long prompts"
                )


def _check_kind(row: int, prompt: Any) -> None:
    messages = isinstance(prompt, list) and prompt and all(isinstance(message, dict) for message in prompt)
    if not (isinstance(prompt, str) or messages):
        raise DataError(
            f"row {row} of the training data set: a prompt must be text or a list of messages, not {prompt!r:.60}"
        )


def probe_rewards(
    scorer: Scorer, row: dict[str, Any], count: int, eos_id: int, trainer_state: Any, loop: Any = None
) -> None:
    """Call every reward function once on empty completions, so that a broken one is found before the first batch.

    Args:
        scorer: the rewards.
        row: a row of the training data.
        count: completions to try.
        eos_id: the one token of an empty completion.
        trainer_state: TRL hands it to rewards.
        loop: the event loop of rewards that are coroutines.

    Raises:
        RunError: if a reward raises or returns the wrong length.
    """
    conversational = isinstance(row["prompt"], list)
    completion: Any = [{"role": "assistant", "content": ""}] if conversational else ""
    arguments = reward_arguments([row] * count, [completion] * count, [[eos_id]] * count, {eos_id}, trainer_state)
    scorer.probe(count, arguments, loop)


def gap_limit(model: Any) -> float:
    """The gap between sampler and trainer that stops a run where none is set, in nats a token.

    Args:
        model: what trains.

    Returns:
        `GAP_LIMIT`, on quantized weights `QUANTIZED_GAP_LIMIT`.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    quantized = getattr(base, "is_loaded_in_4bit", False) or getattr(base, "is_loaded_in_8bit", False)
    return QUANTIZED_GAP_LIMIT if quantized else GAP_LIMIT


def cut_warning(share: float, gap: float, how: str) -> str | None:
    """Say that importance weights leave their bounds too often for the correction to be one.

    Args:
        share: of the tokens that count, those whose weight was cut.
        gap: mean distance of sampler and trainer, in nats a token.
        how: the correction in force.

    Returns:
        One line with the remedy; ``None`` up to 5%.
    """
    if share <= MOST_CUT:
        return None
    remedy = (
        "a product over long completions leaves any bounds: set rollouts: {correction: token_truncate}"
        if how.startswith("sequence")
        else "the sampler is another policy than the trainer's: look for stale weights or another precision"
    )
    return (
        f"{how} cuts the importance weights of {share:.1%} of the tokens, more than {MOST_CUT:.0%}, at a gap of "
        f"{gap:.3f} nats a token; {remedy}"
    )


def check_gap(gap: float, limit: float, step: int) -> None:
    """Stop where sampler and trainer disagree about what was sampled.

    Args:
        gap: mean absolute distance of their log-probabilities, in nats a token.
        limit: the most that is allowed.
        step: optimizer steps done.

    Raises:
        RunError: naming likely causes.
    """
    if not gap <= limit:  # what is not a number is no agreement
        raise RunError(
            f"step {step}: sampler and trainer differ by {gap:.3f} nats a token, more than sampler_gap_limit={limit}: "
            "nothing was trained on it; likely the sampler has stale weights, another temperature or other kernels"
        )


def reward_arguments(
    inputs: Sequence[dict[str, Any]],
    completions: Sequence[Any],
    completion_ids: Sequence[Sequence[int]],
    stop_ids: set[int],
    trainer_state: Any,
) -> dict[str, Any]:
    """Return what a reward is called with: TRL's keyword arguments, and whether a completion was cut off.

    Args:
        inputs: the data set's row of each completion.
        completions: as TRL shapes them, messages or text.
        completion_ids: token ids, stop token included.
        stop_ids: tokens that end a completion.
        trainer_state: TRL hands it to rewards.

    Returns:
        Keyword arguments without the logging functions.
    """
    columns = [key for key in inputs[0] if key not in ("prompt", "completion", "completion_ids")]
    arguments: dict[str, Any] = {"truncated": [not ids or ids[-1] not in stop_ids for ids in completion_ids]}
    arguments.update({key: [row[key] for row in inputs] for key in columns})
    arguments["prompts"] = [row["prompt"] for row in inputs]
    arguments["completions"] = list(completions)
    arguments["completion_ids"] = list(completion_ids)
    arguments["trainer_state"] = trainer_state
    return arguments
