"""A recipe for somebody's own file and model: what can be seen of both, written down with a word on each choice.

The file's first rows say which columns hold what, where the answer stands and which rewards apply; the model's shape
and the card say what of it can be trained. A draft, to be read and changed: `check` says whether it holds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from magistral_recipe.check.memory.devices import Device, device_here, find_device
from magistral_recipe.data import peek, readers
from magistral_recipe.data.declared import ProblemsSource, TracesSource
from magistral_recipe.data.problems import AnswerIn
from magistral_recipe.data.readers import RawRow
from magistral_recipe.errors import DataError
from magistral_recipe.machine import GIB
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.paths import TINY, lasting_path, missing_model
from magistral_recipe.models.shape import empty_model, find_shape
from magistral_recipe.recipe.document import to_yaml

_LOOKED_AT = 300  # rows
_PARTED = 20  # rows below which none is held out
_USUAL: dict[str, tuple[str, ...]] = {
    "problem": ("problem", "question", "prompt", "instruction", "query", "input", "task", "exercise", "text", "q"),
    "answer": (
        *("answer", "final_answer", "expected_answer", "ground_truth", "gold", "solution", "target", "output", "label"),
        *("response", "result", "a"),
    ),
    "tests": ("tests", "test_cases", "input_output"),
    "thoughts": ("thoughts", "reasoning", "thinking", "reasoning_content", "chain_of_thought", "cot", "rationale"),
    "response": ("response", "reply", "answer", "output", "solution"),
    "completion": ("completion", "generation", "trace", "text"),
    "id": ("id", "nr", "uid", "idx", "problem_id"),
    "language": ("language", "lang", "locale"),
    "difficulty": ("difficulty", "level"),
    "category": ("category", "topic", "subject"),
}
"""Names that people give to what a field holds, the likeliest first."""

_EXTRAS = ("id", "language", "difficulty", "category")


@dataclass(frozen=True)
class Draft:
    """A recipe that was put together.

    Attributes:
        text: the recipe, YAML with comments.
        notes: what was seen, a line each.
    """

    text: str
    notes: tuple[str, ...]


@dataclass
class _Seen:
    """What a file turned out to be."""

    kind: str = "problems"
    keys: dict[str, Any] = field(default_factory=dict)
    rows: int | None = None
    notes: list[str] = field(default_factory=list)


def draft_recipe(
    data: Path | None, model: str, card: str | None, folder: Path, traces: Path | None = None, name: str = "mine"
) -> Draft:
    """Put a recipe together.

    Args:
        data: a file or folder of problems, or of traces; ``None`` takes the embedded problems.
        model: as in a recipe, from the working folder.
        card: to train on, by name or size; by default what is at hand.
        folder: where the recipe will lie.
        traces: a file of traces for SFT.
        name: the recipe's.

    Returns:
        The draft.

    Raises:
        DataError: if there is no such file, model or card, or nothing in the file can be used.
    """
    path = _model_path(model, folder)
    device = _device(card)
    seen = [_look(file, folder) for file in (data, traces) if file is not None]
    problems = next((each for each in seen if each.kind == "problems"), None)
    imitated = next((each for each in seen if each.kind == "traces"), None)
    sizes = _sizes(path, device, folder)
    notes = [line for each in seen for line in each.notes] + sizes.notes
    text = "\n".join(_lines(name, path, sizes, problems, imitated, alone=data is None)) + "\n"
    return Draft(text, tuple(notes))


# --------------------------------------------------------------------------------------------------- the data


def _look(file: Path, folder: Path) -> _Seen:
    """Find out what a file holds, and the keys that a source of it needs."""
    if not file.exists():
        raise DataError(f"{file}: {peek.missing_file(file)}")
    written = _from(folder, file)
    rows = list(islice(readers.read_rows(file, str(file)), _LOOKED_AT + 1))
    columns = peek.first_columns(rows)
    if not columns:
        raise DataError(f"{file}: no row with columns")
    whole = len(rows) <= _LOOKED_AT
    if tried := _as_traces(written, columns, folder):
        return _Seen("traces", tried, len(rows), [f"{written}: traces, {_told(tried, columns)}"])
    values = [row.value for row in rows if isinstance(row, RawRow) and isinstance(row.value, Mapping)]
    keys = _as_problems(written, columns, values, folder)
    if not whole or len(rows) >= _PARTED:
        keys["split"] = {"heldout": 0.2, "seed": 0}
    return _Seen("problems", keys, len(rows) if whole else None, [f"{written}: problems, {_told(keys, columns)}"])


def _as_traces(path: str, columns: Sequence[str], folder: Path) -> dict[str, Any] | None:
    """The keys of a source of traces; ``None`` where the file is none."""
    if not TracesSource(path=path).check(folder):
        return {"path": path}
    named = {**_mapped(("problem", "completion"), columns), **_mapped(("problem", "thoughts", "response"), columns)}
    if not {"thoughts", "response"} <= set(named) | set(columns):
        return None
    wanted = {key: named[key] for key in ("problem", "thoughts", "response", *_EXTRAS) if key in named}
    keys = {"path": path, "columns": wanted | _mapped(_EXTRAS, columns, taken=wanted.values())}
    return keys if not TracesSource.model_validate(keys).check(folder) else None


def _as_problems(
    path: str, columns: Sequence[str], values: Sequence[Mapping[str, Any]], folder: Path
) -> dict[str, Any]:
    """The keys of a source of problems.

    Raises:
        DataError: if no column can be a problem's or an answer's.
    """
    if not ProblemsSource(path=path).check(folder):
        further = _mapped(_EXTRAS, columns)
        keys: dict[str, Any] = {"path": path, **({"columns": further} if further else {})}
    else:
        named = _mapped(("problem", "tests"), columns)
        named |= _mapped(("answer",), columns, taken=named.values())
        if "tests" in columns or "tests" in named:
            named.pop("answer", None)
        named |= _mapped(_EXTRAS, columns, taken=named.values())
        keys = {"path": path, "columns": named}
        mistakes = ProblemsSource.model_validate(keys).check(folder)
        if mistakes and mistakes[0][0].startswith("columns"):
            wanted = ", ".join(sorted({name for key in ("problem", "answer", "tests") for name in _USUAL[key][:5]}))
            raise DataError(f"{path}: no columns that are known by name ({wanted}); {peek.listed(list(columns))}")
    source = ProblemsSource.model_validate(keys)
    answer = source.columns.get("answer") or _mapped(("answer",), columns).get("answer", "answer")
    if where := _answer_in([str(row.get(answer) or "") for row in values]):
        keys["answer_in"] = where
    if mistakes := ProblemsSource.model_validate(keys).check(folder):
        raise DataError([f"{path}: {key}: {line}" for key, line in mistakes])
    if not any(row.get("kind") for row in values):
        keys["kind"] = "code" if "tests" in columns or "tests" in keys.get("columns", {}) else "math"
    return keys


def _mapped(fields: Sequence[str], columns: Sequence[str], taken: Any = ()) -> dict[str, str]:
    """Fields that stand under another name, by the first usual one that is there."""
    used, found = set(taken), dict[str, str]()
    there = {column.lower(): column for column in reversed(columns)}
    for each in fields:
        name = next((there[usual] for usual in _USUAL[each] if usual in there and there[usual] not in used), None)
        if name is not None:
            used.add(name)
            if name != each:
                found[each] = name
    return found


def _answer_in(answers: Sequence[str]) -> AnswerIn | None:
    """Where the answers stand, where most of them say so; ``None`` for the whole."""
    filled = [answer for answer in answers if answer.strip()]
    for where, pattern in (("hashes", r"####"), ("boxed", r"\\boxed\s*\{")):
        if filled and sum(bool(re.search(pattern, answer)) for answer in filled) > 0.5 * len(filled):
            return where  # type: ignore[return-value]
    return None


def _told(keys: Mapping[str, Any], columns: Sequence[str]) -> str:
    named = ", ".join(f"{key} from '{column}'" for key, column in keys.get("columns", {}).items())
    where = f"; the answer stands {keys['answer_in']}" if "answer_in" in keys else ""
    return (named or f"read as they are ({', '.join(columns[:6])})") + where


def _from(folder: Path, path: Path) -> str:
    """A path as a recipe in a folder writes it."""
    return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()


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


def _model_path(model: str, folder: Path) -> str:
    if Path(model).expanduser().exists() and model != TINY:
        return _from(folder, Path(model).expanduser())
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
    count = None if shape is None else sum(each.numel() for each in empty_model(shape.config).parameters())
    much = "of a size that can't be known from here" if count is None else f"of {count / 1e9:.2g}B weights"
    kept = {**_precision(count, device), "path": path}
    model = {"path": kept.pop("path"), **kept}
    adapters = "lora" in model
    length = 4096 if device.gpu and device.total > 20 * GIB else 2048 if device.gpu else 256
    prompts = 16 if device.gpu else 4
    sft = {"num_train_epochs": 3, "per_device_train_batch_size": 1, "gradient_accumulation_steps": prompts}
    sft |= {"max_length": 2 * length, "learning_rate": 1.0e-4 if adapters else 1.0e-5, "warmup_steps": 0.03}
    grpo = {"max_steps": 200 if device.gpu else 20, "prompts_per_batch": prompts, "num_generations": 8}
    grpo |= {"max_completion_length": length, "overlong_cache": length // 4, "max_tokens_per_microbatch": 2 * length}
    grpo |= {"max_tokens_per_generation": 16 * (length + 512)}
    grpo |= {"learning_rate": 1.0e-5 if adapters else 1.0e-6, "lr_scheduler_type": "constant", "save_steps": 25}
    what = "adapters" if adapters else "all weights"
    note = f"{path} {much} on {device.name} ({device.total / GIB:.0f} GiB): {what}, completions up to {length:,} tokens"
    return _Sizes(model, sft, grpo, "magistral", length, [note])


def _precision(count: int | None, device: Device) -> dict[str, Any]:
    """All weights where gradients and moments have room beside them, else adapters, on 4 bits where that is needed."""
    room = device.total
    if count is not None and 16 * count < 0.5 * room:
        return {"dtype": "float32"}
    dtype = "bfloat16" if device.bfloat16 or not device.gpu else "float16"
    lora = {"r": 32, "alpha": 64, "target_modules": "all-linear"}
    if count is not None and device.gpu and 2 * count > 0.5 * room:
        return {"dtype": dtype, "quantization": "nf4", "lora": {**lora, "handover": "carry"}}
    return {"dtype": dtype, "lora": lora}


# --------------------------------------------------------------------------------------------------- the text


def _lines(
    name: str, path: str, sizes: _Sizes, problems: _Seen | None, traces: _Seen | None, alone: bool
) -> Iterator[str]:
    yield f"# Drafted by `magistral-recipe init` for {path}: read it, change it, `magistral-recipe check` it."
    yield "# Every key: `magistral-recipe keys WORD`."
    yield from _block({"name": name})
    yield "# What is trained: all weights in float32, or adapters (`lora`) on weights that stay as they are."
    yield from _block({"model": sizes.model})
    yield "# Tags around the thoughts; the chat template is the model's own where it fits, and `check` says which."
    yield from _block({"thinking": {"open": "<think>", "close": "</think>", "system_prompt": sizes.system_prompt}})
    held_out, sources = _problem_sets(problems, embedded=alone)
    if sources:
        if problems is not None and "split" in problems.keys:
            yield "# A fifth is held out by its words, and is the set train_heldout: nothing is trained and tested on."
        yield from _block({"problems": sources})
    yield "stages:"
    if traces is not None or alone:
        yield "  # Cold start: the model learns to think, and to write the tags and the box, from traces."
        yield from _item(
            "sft", {"traces": traces.keys if traces else {"tiny": True, "count": 400}, "trainer": sizes.sft}
        )
    else:
        yield "  # A model that has not learnt to write the tags and the box earns nothing by RL: put SFT first."
        yield "  # - sft: {traces: {path: traces.jsonl}, trainer: {num_train_epochs: 3, learning_rate: 1.0e-5}}"
    if sources:
        yield "  # RL: a batch is prompts_per_batch problems x num_generations completions."
        yield from _item("grpo", {"problems": "train", "rewards": ["magistral"], "trainer": sizes.grpo})
        if held_out:
            models = ["base", *(["sft"] if traces is not None or alone else []), "grpo"]
            asked = {"problems": held_out, "models": models, "samples": 4, "max_new_tokens": sizes.answer_tokens}
            yield "  # Every model on problems that none was trained on, with intervals."
            yield from _item("evaluate", asked)


def _problem_sets(problems: _Seen | None, embedded: bool) -> tuple[str | None, dict[str, Any]]:
    """The sets of problems, and the name of the one that is held out."""
    if problems is not None:
        return ("train_heldout" if "split" in problems.keys else None), {"train": problems.keys}
    if not embedded:
        return None, {}
    return "heldout", {"train": {"tiny": "train", "count": 200}, "heldout": {"tiny": "heldout", "count": 32}}


def _block(data: dict[str, Any]) -> list[str]:
    return to_yaml(data).rstrip().splitlines()


def _item(kind: str, keys: dict[str, Any]) -> Iterator[str]:
    first, *rest = _block({kind: keys})
    yield f"  - {first}"
    yield from (f"    {line}" for line in rest)
