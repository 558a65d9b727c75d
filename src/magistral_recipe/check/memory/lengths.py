"""How long a recipe's prompts and traces are, and how many: of the first rows, where they could be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from magistral_recipe.data.problems import Problem, Trace
    from magistral_recipe.writing.chat_format import ChatFormat

ASSUMED_PROMPT = 512
"""Tokens of the longest prompt where none could be measured."""
MEASURED_ROWS = 128
"""Rows of each set that are measured."""
_STEP = 64
"""Lengths are rounded up to a multiple of it: later rows may be somewhat longer."""


@dataclass(frozen=True)
class Lengths:
    """Lengths in tokens, rounded up.

    Attributes:
        prompt: of the longest prompt that was seen; ``None`` where none was.
        row: of the longest trace with its prompt; ``None`` where none was.
        counts: how many problems each set has, and how many traces each stage, by name, where they were counted.
    """

    prompt: int | None = None
    row: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """What a plan is counted with, in words."""
        if self.prompt is None:
            told = f"prompts up to {ASSUMED_PROMPT:,} tokens (assumed)"
        else:
            told = f"prompts up to {self.prompt:,} tokens (the longest of the first {MEASURED_ROWS})"
        return told if self.row is None else f"{told}, traces up to {self.row:,} where there is no max_length"


def measure_lengths(
    tokenizer: PreTrainedTokenizerBase,
    chat: ChatFormat,
    problems: Iterable[Problem],
    traces: Iterable[Trace],
    counts: Mapping[str, int],
) -> Lengths:
    """Measure prompts and traces.

    Args:
        tokenizer: the model's, the chat template installed.
        chat: the recipe's format.
        problems: the first of each set.
        traces: the first of each stage.
        counts: as `Lengths` has them.

    Returns:
        The lengths; without those that there are no rows for.
    """
    prompts = [_tokens(tokenizer, chat.messages(problem.problem, problem.system)) for problem in problems]
    rows = [
        len(chat.training_row(tokenizer, trace.problem, trace.text(chat.thinking), trace.system).ids)
        for trace in traces
    ]
    return Lengths(_rounded(prompts), _rounded(rows), counts)


def _tokens(tokenizer: Any, messages: Any) -> int:
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def _rounded(lengths: list[int]) -> int | None:
    return -(-max(lengths) // _STEP) * _STEP if lengths else None
