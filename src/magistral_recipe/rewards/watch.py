"""What a reward keeps an eye on over its calls: that the machine works, and that completions arrive as written.

Both speak up once. A machine that loses more than 1% of recent completions ends the run; completions that are all
malformed only earn a warning with the likely cause, for a base model may well begin so.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

from magistral_recipe.errors import RunError
from magistral_recipe.rewards.batch import ANSWER_COLUMNS, Batch
from magistral_recipe.rewards.reasons import MACHINE_REASONS, Grade, Reason
from magistral_recipe.writing.completions import THOUGHT_KEYS, prompt_text
from magistral_recipe.writing.thinking import Thinking

logger = logging.getLogger(__name__)

FIRST = 64
"""How many completions, all malformed, are too many to be chance."""


class FailureWatch:
    """Counts reasons, and refuses to go on once the machine loses more than 1% of recent completions.

    Args:
        name: the reward's, for messages.
    """

    window = 1000
    share = 0.01

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: Counter[Reason] = Counter()
        self._recent: deque[bool] = deque(maxlen=self.window)
        self._lock = threading.Lock()

    def record(self, batch: Batch, grades: Sequence[Grade]) -> None:
        """Count a batch's reasons and hold the machine's failures against the limit.

        Raises:
            RunError: once more than 1% of the last 1,000 completions were lost to the machine.
        """
        with self._lock:
            for row, grade in enumerate(grades):
                self._mention_first(batch, row, grade.reason)
                self.counts[grade.reason] += 1
                if grade.reason is not Reason.OTHER_KIND:
                    self._recent.append(grade.reason in MACHINE_REASONS)
            lost = sum(self._recent)
            if lost > self.window * self.share:
                raise RunError(
                    f"{self.name}: {lost} of the last {len(self._recent)} completions could not be graded because "
                    "workers or the sandbox failed; `magistral-recipe doctor` says what this machine lacks"
                )

    def _mention_first(self, batch: Batch, row: int, reason: Reason) -> None:
        if self.counts[reason]:
            return
        if reason in MACHINE_REASONS:
            example = str(batch.completions[row])[-200:]
            logger.warning(
                "%s: %s, completion not graded (further ones are only counted): %r", self.name, reason, example
            )
        elif reason is Reason.UNREADABLE_REFERENCE:
            names = (*ANSWER_COLUMNS, "tests", "language", "problem")
            found = {name: batch.columns[name][row] for name in names if batch.columns.get(name) is not None}
            logger.warning(
                "%s: unreadable reference, row skipped (further ones are only counted): %.300r", self.name, found
            )


class MalformedWatch:
    """Says once that the first `FIRST` completions were all malformed, with an example and the likely cause.

    Args:
        name: the reward's, for messages.
        thinking: the tags looked for.
        decodes: whether the reward reads token ids with a tokenizer, so that no special token can be lost.
    """

    def __init__(self, name: str, thinking: Thinking, decodes: bool) -> None:
        self.name = name
        self.thinking = thinking
        self.decodes = decodes
        self._seen = 0
        self._settled = False

    def look(self, batch: Batch) -> None:
        """Look at a batch, until one completion is well-formed or enough are not; blank ones don't count."""
        if self._settled:
            return
        texts = batch.texts(self.thinking)
        if any(self.thinking.split(text).well_formed for text in texts):
            self._settled = True
            return
        rows = [row for row, text in enumerate(texts) if text.strip()]
        self._seen += len(rows)
        if self._seen >= FIRST and rows:
            self._settled = True
            text, completion = texts[rows[0]], batch.completions[rows[0]]
            prompt = None if batch.prompts is None else batch.prompts[rows[0]]
            logger.warning(
                "%s: the first %d completions are all malformed, so none has an answer to grade (tags: %s %s). %s "
                "One of them: %.300r",
                self.name, self._seen, self.thinking.open, self.thinking.close,
                self._cause(text, completion, prompt), text,
            )  # fmt: skip

    def _cause(self, text: str, completion: Any, prompt: Any) -> str:
        opening, closing = self.thinking.open in text, self.thinking.close in text
        if _stands_in_front(prompt, text, self.thinking.open):
            return "The prompt stands in front: give the reward what the model wrote, without the prompt."
        if closing and not opening and not self.thinking.opened_by_prompt:
            return (
                "Each closes a tag that it does not open: the chat template seems to open it in the prompt; give "
                "`thinking=Thinking(opened_by_prompt=True)`."
            )
        if opening and self.thinking.opened_by_prompt:
            return "They open the tag themselves: leave `opened_by_prompt` out."
        if opening and not closing:
            return "They open the tag and never close it: cut at the limit of tokens, most likely."
        if opening and closing:
            return "They have both tags, but not as one pair at the start; see the example."
        if _thoughts_taken(completion):
            return (
                "Their messages come from a server that takes thoughts out of the text and keeps them from us: hand "
                "its `reasoning_content` over, or turn its reasoning parser off."
            )
        lost = "" if self.decodes else (
            "If they are special tokens of the model's tokenizer, the trainer has dropped them from the text: give the "
            "reward `tokenizer=`, or decode with skip_special_tokens=False. "
        )  # fmt: skip
        return (
            f"None has a tag. {lost}If the model writes other tags, give `thinking=`; if it has not learnt them, SFT "
            "comes first, or this may pass."
        )


def _stands_in_front(prompt: Any, text: str, opening: str) -> bool:
    """Whether a text begins with what was asked, or has it before the thoughts; within them a model may repeat it."""
    asked = (prompt_text(prompt) or "").strip()
    before, tag, _ = text.partition(opening)
    return bool(asked) and (text.lstrip().startswith(asked) or (bool(tag) and asked in before))


def _thoughts_taken(completion: Any) -> bool:
    messages = completion if isinstance(completion, Sequence) and not isinstance(completion, str) else []
    return any(isinstance(each, Mapping) and any(key in each for key in THOUGHT_KEYS) for each in messages)
