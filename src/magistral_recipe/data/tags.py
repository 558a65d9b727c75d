"""Traces with the thinking tags of their data set: taken apart, to be joined with the recipe's.

Known by the pairs that published sets and models use. A text that has the recipe's own tags is never touched.
"""

from __future__ import annotations

from magistral_recipe.data.problems import Trace
from magistral_recipe.writing.thinking import Split, Thinking

KNOWN: tuple[Thinking, ...] = (
    Thinking("<think>", "</think>"),  # DeepSeek-R1, Qwen3 and what was drawn from them
    Thinking("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThoughts, Sky-T1
    Thinking("[THINK]", "[/THINK]"),  # Magistral 1.1 and later
    Thinking("<thinking>", "</thinking>"),
    Thinking("<thought>", "</thought>"),
    Thinking("<reasoning>", "</reasoning>"),
    Thinking("◁think▷", "◁/think▷"),  # Kimi
)
"""Pairs of thinking tags in published data."""

_AROUND_ANSWERS = (
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<answer>", "</answer>"),
    ("<solution>", "</solution>"),
)


def retagged(trace: Trace, thinking: Thinking) -> Trace:
    """Take a trace with well-known tags apart.

    Args:
        trace: as its file gave it.
        thinking: the recipe's tags.

    Returns:
        The trace with thoughts and response of their own, or as it was: where it has the recipe's tags, or not exactly
        one pair of others, in front, with thoughts and an answer.
    """
    text = trace.completion
    if text is None or thinking.open in text or thinking.close in text:
        return trace
    for tags in KNOWN:
        split = tags.split(text)
        if split.answer is not None and split.thoughts.strip() and split.answer.strip():
            parts = {"completion": None, "thoughts": split.thoughts.strip(), "response": _response(split)}
            return trace.model_copy(update=parts)
    return trace


def _response(split: Split) -> str:
    """The answer without the marks that some sets put around it."""
    answer = (split.answer or "").strip()
    for opening, closing in _AROUND_ANSWERS:
        inner = answer.removeprefix(opening).removesuffix(closing)
        if len(inner) == len(answer) - len(opening) - len(closing) and opening not in inner and inner.strip():
            return inner.strip()
    return answer
