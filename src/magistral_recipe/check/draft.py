"""A recipe for somebody's own file and model: what can be seen of both, written down with a word on each choice.

The file's first rows say which columns hold what, where the answer stands and which rewards apply; the model's shape
and the card say what of it can be trained. A draft, to be read and changed: `check` says whether it holds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from magistral_recipe.check.draft_data import Seen, look
from magistral_recipe.check.memory.devices import Device, device_here, find_device
from magistral_recipe.check.memory.moments import parameter_count
from magistral_recipe.check.memory.plan import plan_recipe
from magistral_recipe.check.recipe_file import recipe_of
from magistral_recipe.errors import DataError, RecipeError
from magistral_recipe.machine import GIB
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.paths import TINY, lasting_path, missing_model
from magistral_recipe.models.shape import find_shape
from magistral_recipe.recipe.document import to_yaml
from magistral_recipe.writing.thinking import Thinking
from magistral_recipe.yamltext import parse_yaml


@dataclass(frozen=True)
class Draft:
    """A recipe that was put together.

    Attributes:
        text: the recipe, YAML with comments.
        notes: what was seen, a line each.
    """

    text: str
    notes: tuple[str, ...]


def draft_recipe(
    data: Path | None,
    model: str,
    card: str | None,
    folder: Path,
    traces: Path | None = None,
    name: str = "mine",
    columns: Mapping[str, str] | None = None,
    test: Path | None = None,
) -> Draft:
    """Put a recipe together.

    Args:
        data: a file or folder of problems, or of traces; ``None`` takes the embedded problems.
        model: as in a recipe, from the working folder.
        card: to train on, by name or size; by default what is at hand.
        folder: where the recipe will lie.
        traces: a file of traces for SFT.
        name: the recipe's.
        columns: field to column of the problems (or traces), where a person says so.
        test: a file of problems to be tested by; without one a fifth of the problems is held out.

    Returns:
        The draft.

    Raises:
        DataError: if there is no such file, model or card, or nothing in the file can be used.
    """
    path = _model_path(model, folder)
    device = _device(card)
    seen = [] if data is None else look(data, folder, Thinking(), "problems" if traces else None, columns)
    seen += [] if traces is None else look(traces, folder, Thinking(), "traces", columns if data is None else None)
    problems = next((each for each in seen if each.use == "problems"), None)
    imitated = next((each for each in seen if each.use == "traces"), None)
    if problems is not None and test is not None:
        problems.test = _tested(test, folder, columns)
        problems.keys.pop("split", None)
    if problems is not None and imitated is not None and "split" in problems.keys and problems.words & imitated.words:
        imitated.keys["split"] = problems.keys["split"]  # traces of problems that are held out are no training data
    cold = imitated.keys if imitated is not None else {"tiny": True, "count": 400} if path == TINY else None
    sizes = _sizes(path, device, folder)

    def text() -> str:
        return "\n".join(_lines(name, path, sizes, problems, cold, alone=data is None and traces is None)) + "\n"

    if device.gpu and path != TINY:
        _fit(sizes, text(), device, folder)
    return Draft(text(), (*(each.note for each in seen), *sizes.notes))


def _fit(sizes: _Sizes, text: str, device: Device, folder: Path) -> None:
    """Change the keys that a plan of the draft says to change, so that each stage fits the card."""
    try:
        plan = plan_recipe(recipe_of(parse_yaml(text, "safe"), folder), device)
    except (RecipeError, DataError):  # whoever loads it is told
        return
    sections = {"model": sizes.model, "sft.trainer": sizes.sft, "grpo.trainer": sizes.grpo, "evaluate": sizes.evaluate}
    for change in (change for stage in (plan.stages if plan else ()) for change in stage.remedy or ()):
        for key, value in change.settings.items():
            section, _, name = key.rpartition(".")
            if section in sections:
                sections[section][name] = value


def _tested(test: Path, folder: Path, columns: Mapping[str, str] | None) -> dict[str, Any]:
    """The keys of a set to be tested by, whose columns need not have the names of the other file's."""
    try:
        seen = look(test, folder, Thinking(), "problems", columns)[0]
    except DataError:
        if not columns:
            raise
        seen = look(test, folder, Thinking(), "problems")[0]
    return {key: value for key, value in seen.keys.items() if key != "split"}


# ------------------------------------------------------------------------------------------- model and sizes


@dataclass
class _Sizes:
    """What the model and the card allow."""

    model: dict[str, Any]
    sft: dict[str, Any]
    grpo: dict[str, Any]
    system_prompt: str
    answer_tokens: int
    notes: list[str]
    evaluate: dict[str, Any] = field(default_factory=dict)


def _model_path(model: str, folder: Path) -> str:
    if Path(model).expanduser().exists() and model != TINY:
        return Path(os.path.relpath(Path(model).expanduser().absolute(), folder.absolute())).as_posix()
    if wrong := missing_model(model, folder):
        raise DataError(f"--model {model}: {wrong}")
    return model


def _device(card: str | None) -> Device:
    if card is None:
        return device_here()
    try:
        return find_device(card)
    except ValueError as error:
        raise DataError(f"--card: {error}") from None


def _sizes(path: str, device: Device, folder: Path) -> _Sizes:
    if path == TINY:
        sft: dict[str, Any] = {"max_steps": 100, "per_device_train_batch_size": 32, "learning_rate": 2.0e-3}
        grpo: dict[str, Any] = {
            "max_steps": 20,
            "prompts_per_batch": 8,
            "num_generations": 8,
            "max_completion_length": 96,
        }
        grpo |= {"overlong_cache": 24, "learning_rate": 2.0e-4}
        return _Sizes({"path": path}, sft, grpo, "none", 96, ["the embedded model: to see that all fits together"])
    config = ModelConfig(path=lasting_path(path, folder))
    shape = find_shape(config)
    count = None if shape is None else parameter_count(shape.config)
    much = "of a size that can't be known from here" if count is None else f"of {count / 1e9:.2g}B weights"
    own = (folder / path / "adapter_config.json").is_file()
    model = {"path": path, **_precision(count, device, own)}
    adapters = own or "lora" in model
    length = 4096 if device.gpu and device.total > 20 * GIB else 2048 if device.gpu else 256
    prompts = 16 if device.gpu else 4
    sft = {"num_train_epochs": 3, "per_device_train_batch_size": 1, "gradient_accumulation_steps": prompts}
    sft |= {"max_length": 2 * length, "learning_rate": 1.0e-4 if adapters else 1.0e-5, "warmup_steps": 0.03}
    grpo = {"max_steps": 200 if device.gpu else 20, "prompts_per_batch": prompts, "num_generations": 8}
    grpo |= {"max_completion_length": length, "overlong_cache": length // 4, "max_tokens_per_microbatch": 2 * length}
    grpo |= {"max_tokens_per_generation": 16 * (length + 512)}
    grpo |= {"learning_rate": 1.0e-5 if adapters else 1.0e-6, "lr_scheduler_type": "constant", "save_steps": 25}
    what = "the adapter goes on" if own else "adapters" if adapters else "all weights"
    note = f"{path} {much} on {device.name} ({device.total / GIB:.0f} GiB): {what}, completions up to {length:,} tokens"
    return _Sizes(model, sft, grpo, "magistral", length, [note])


def _precision(count: int | None, device: Device, own: bool) -> dict[str, Any]:
    """All weights where gradients and moments have room beside them, else adapters, on 4 bits where that is needed.

    An adapter of one's own goes on as it is.
    """
    room = device.total
    if count is not None and 16 * count < 0.5 * room:
        return {"dtype": "float32"}
    dtype = "bfloat16" if device.bfloat16 or not device.gpu else "float16"
    lora: dict[str, Any] = {} if own else {"r": 32, "alpha": 64, "target_modules": "all-linear"}
    if count is not None and device.gpu and 2 * count > 0.5 * room:
        return {"dtype": dtype, "quantization": "nf4", "lora": {**lora, "handover": "carry"}}
    return {"dtype": dtype, **({"lora": lora} if lora else {})}


# --------------------------------------------------------------------------------------------------- the text


def _lines(
    name: str, path: str, sizes: _Sizes, problems: Seen | None, cold: dict[str, Any] | None, alone: bool
) -> Iterator[str]:
    yield f"# Drafted by `magistral-recipe init` for {path}: read it, change it, `magistral-recipe check` it."
    yield "# Every key: `magistral-recipe keys WORD`."
    yield from _block({"name": name})
    yield "# What is trained: all weights in float32, adapters (`lora`) on weights that stay as they are, or an adapter"
    yield "# of your own (`adapter: merge` folds it into the weights first)."
    yield from _block({"model": sizes.model})
    yield "# Tags around the thoughts; the chat template is the model's own where it fits, and `check` says which."
    yield from _block({"thinking": {"open": "<think>", "close": "</think>", "system_prompt": sizes.system_prompt}})
    sets = _problem_sets(problems, embedded=alone)
    if sets:
        if "train_heldout" in sets:
            yield "# A fifth is held out by its words, and is the set train_heldout: nothing is trained and tested on."
        yield from _block({"problems": {name: keys for name, keys in sets.items() if name != "train_heldout"}})
    yield "stages:"
    if cold is not None:
        yield "  # Cold start: the model learns to think, and to write the tags and the box, from traces."
        yield from _item("sft", {"traces": cold, "trainer": sizes.sft})
    else:
        yield "  # A model that has not learnt to write the tags and the box earns nothing by RL: where `check --probe`"
        yield "  # shows one, put SFT first."
        yield "  # - sft: {traces: {path: traces.jsonl}, trainer: {num_train_epochs: 3, learning_rate: 1.0e-5}}"
    if sets:
        yield "  # RL: a batch is prompts_per_batch problems x num_generations completions."
        yield from _item("grpo", {"problems": "train", "rewards": ["magistral"], "trainer": sizes.grpo})
        if tested := [name for name in sets if name != "train"]:
            models = ["base", *(["sft"] if cold is not None else []), "grpo"]
            asked = {"problems": tested[0], "models": models, "samples": 4, "max_new_tokens": sizes.answer_tokens}
            asked |= sizes.evaluate
            yield "  # Every model on problems that none was trained on, with intervals."
            yield from _item("evaluate", asked)


def _problem_sets(problems: Seen | None, embedded: bool) -> dict[str, Any]:
    """The sets of problems: the one to train on, and the one to be tested by, where there is one."""
    if problems is None:
        tiny = {"train": {"tiny": "train", "count": 200}, "heldout": {"tiny": "heldout", "count": 32}}
        return tiny if embedded else {}
    if problems.test is not None:
        return {"train": problems.keys, "test": problems.test}
    parted = isinstance(problems.keys.get("split"), dict)
    return {"train": problems.keys, **({"train_heldout": {}} if parted else {})}


def _block(data: dict[str, Any]) -> list[str]:
    return to_yaml(data).rstrip().splitlines()


def _item(kind: str, keys: dict[str, Any]) -> Iterator[str]:
    first, *rest = _block({kind: keys})
    yield f"  - {first}"
    yield from (f"    {line}" for line in rest)
