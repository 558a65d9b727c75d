"""Format: one pair of thinking tags, thoughts, and an answer part that can be graded (Magistral §2.2.1).

The gate of the recipe: where it fails nothing else is graded. It says nothing about whether the answer
is right. Stricter than the paper in two points: neither thoughts nor answer may be blank, and the box or
the code block must be closed and not empty.
"""

from __future__ import annotations

from magistral_recipe.rewards.base import Batch, Grade, Reason, Reward
from magistral_recipe.rewards.container import Container, ContainerSpec
from magistral_recipe.rewards.decoding import Tokenizer
from magistral_recipe.writing.fences import first_block
from magistral_recipe.writing.thinking import Thinking

_DEFAULT_THINKING = Thinking()


class FormatReward(Reward):
    r"""1.0 for a completion that keeps the format of its kind of problem, else 0.0 (Magistral §2.2.1).

    Mathematics need a closed, non-empty ``\boxed{}`` (or another container) in the answer part, code a closed,
    non-empty fenced block in the language asked for, text any answer.

    Args:
        thinking: the tags; ``None`` asks for none and looks at the whole text.
        name: how logs call this instance.
        container: where a mathematical answer stands: ``"boxed"``, a pair of tags, or ``"text"`` for none.
        tokenizer: the model's, where the tags are special tokens that a trainer drops from the text: completions are
            then read from `completion_ids`.
        strict: make values of a column ``kind`` that are none errors.

    Example:
        >>> FormatReward()(completions=["<think>2+2=4</think>It is \\boxed{4}.", "It is \\boxed{4}."])
        [1.0, 0.0]
    """

    default_name = "format_reward"
    part = "format"
    pays_perfect = True

    def __init__(
        self,
        thinking: Thinking | None = _DEFAULT_THINKING,
        name: str | None = None,
        container: ContainerSpec = "boxed",
        tokenizer: Tokenizer | None = None,
        strict: bool = False,
    ) -> None:
        super().__init__(name, thinking, tokenizer, strict)
        self.container = Container(container)

    def must_pay_perfect(self, kind: str) -> bool:
        """Whether a perfect answer must earn the maximum: those that the wiring proof makes stand in boxes."""
        return kind != "math" or self.container.boxed

    def grade(self, batch: Batch) -> list[Grade]:
        """Grade each completion; columns ``kind`` (``math`` if missing) and ``programming_language``."""
        kinds = batch.kinds(default="math")
        languages = batch.optional_column("programming_language") or [None] * len(batch)
        texts = batch.texts(self.thinking)
        reasons = [
            self.check(text, kind or "math", language)
            for text, kind, language in zip(texts, kinds, languages, strict=True)
        ]
        return [Grade(float(reason is Reason.WELL_FORMED), reason) for reason in reasons]

    def check(self, text: str, kind: str = "math", language: str | None = None) -> Reason:
        """Say what is wrong with the format of one completion, `Reason.WELL_FORMED` if nothing.

        Args:
            text: the completion with its tags.
            kind: ``math``, ``code`` or ``text``.
            language: of a code block; any will do where it is ``None``.

        Returns:
            The first thing missing.
        """
        answer: str | None = text
        if self.thinking is not None:
            thoughts, answer = self.thinking.split(text)
            if answer is None:
                return Reason.MALFORMED
            if not thoughts.strip():
                return Reason.BLANK_THOUGHTS
        if not answer or not answer.strip():
            return Reason.BLANK_ANSWER
        if kind == "math" and not any(found.strip() for found in self.container.find(answer)):
            return Reason.NO_BOX
        if kind == "code" and first_block(answer, language) is None:
            return Reason.NO_CODE
        return Reason.WELL_FORMED


format_reward = FormatReward()
