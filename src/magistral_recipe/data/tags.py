"""Traces with the thinking tags of their data set: taken apart, to be joined with the recipe's.

Known by the pairs that published sets and models use. A text that has the recipe's own tags is never touched.
"""

from __future__ import annotations

from dataclasses import replace

from magistral_recipe.data.problems import Trace
from magistral_recipe.writing.completions import without_turn_ends
from magistral_recipe.writing.thinking import Split, Thinking

KNOWN: tuple[Thinking, ...] = (
    Thinking("<think>", "</think>"),  # DeepSeek-R1, Qwen3 and what was drawn from them
    Thinking("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThoughts, Sky-T1
    Thinking("[THINK]", "[/THINK]"),  # Magistral 1.1 and later
    Thinking("<thinking>", "</thinking>"),
    Thinking("<thought>", "</thought>"),
    Thinking("<reasoning>", "</reasoning>"),
    Thinking("◁think▷", "◁/think▷"),  # Kimi
    Thinking("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),  # gpt-oss
)
"""Pairs of thinking tags in published data."""

_AROUND_ANSWERS = (
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<answer>", "</answer>"),
    ("<solution>", "</solution>"),
    ("<output>", "</output>"),
)
_UNSEEN_IN_FRONT = "\ufeff\u200b\u2060"


def tidied(trace: Trace) -> Trace:
    """Take off what ends a turn in the model that wrote a trace (``<|im_end|>``), and invisible signs in front of it.

    Args:
        trace: as its file gave it.

    Returns:
        The trace; as it was where nothing else would be left.
    """
    texts = {"completion": trace.completion, "response": trace.response}
    bare = {name: without_turn_ends(text).lstrip(_UNSEEN_IN_FRONT) for name, text in texts.items() if text}
    changed = {name: text for name, text in bare.items() if text.strip() and text != texts[name]}
    return trace.model_copy(update=changed) if changed else trace


def retagged(
    trace: Trace, thinking: Thinking, worn: Thinking | None = None, around_answer: tuple[str, ...] = ()
) -> Trace:
    """Take a trace with well-known tags apart.

    Args:
        trace: as its file gave it.
        thinking: the recipe's tags.
        worn: the tags of its data set, where they are known; they go before the well-known ones.
        around_answer: what its data set puts around the response, an opening and a closing mark.

    Returns:
        The trace with thoughts and response of their own, or as it was: where it has the recipe's tags, or not exactly
        one pair of others, in front, with thoughts and an answer. The opening tag may be missing.
    """
    text = trace.completion
    if text is None:
        return trace
    pairs: tuple[Thinking, ...] = (worn, *KNOWN) if worn else KNOWN
    if thinking.close in text and thinking.open not in text and not thinking.opened_by_prompt:
        # DeepSeek-R1's template opens the thoughts for the model, so that its completions only close them.
        pairs = (Thinking(thinking.open, thinking.close),)
    elif thinking.open in text or thinking.close in text:
        # Where the prompt opens the thoughts, the tags of the text are right and its opening one is too many.
        if not (thinking.opened_by_prompt and thinking.open in text):
            return trace
        pairs = (Thinking(thinking.open, thinking.close),)
    for tags in pairs:
        split = tags.split(text)
        if split.answer is None and tags.open not in text:
            split = replace(tags, opened_by_prompt=True).split(text)
        if split.answer is not None and split.thoughts.strip() and split.answer.strip():
            response = _response(split, around_answer)
            return trace.model_copy(
                update={"completion": None, "thoughts": split.thoughts.strip(), "response": response}
            )
    return trace


def _response(split: Split, around: tuple[str, ...]) -> str:
    """The answer without the marks that some sets put around it."""
    answer = (split.answer or "").strip()
    for opening, closing in ((around[0], around[1]), *_AROUND_ANSWERS) if around else _AROUND_ANSWERS:
        inner = answer.removeprefix(opening).removesuffix(closing)
        both = len(inner) == len(answer) - len(opening) - len(closing)
        cut = answer.startswith(opening) and closing not in answer  # the model's last token, or the set, left it out
        if (both or cut) and opening not in inner and inner.strip():
            return inner.strip()
    return answer
