"""Where the thoughts end and the answer begins: the one splitter of the whole package.

Rewards, evaluation, chat and the report all call `Thinking.split`, so that a completion which trained
as well-formed is also graded, counted and shown as well-formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Split(NamedTuple):
    """A completion taken apart.

    Attributes:
        thoughts: the text between the tags; for a malformed completion the whole text.
        answer: the text after the closing tag; ``None`` when the completion is malformed.
    """

    thoughts: str
    answer: str | None

    @property
    def well_formed(self) -> bool:
        """Whether there was exactly one pair of tags, in order, at the start."""
        return self.answer is not None


@dataclass(frozen=True)
class Thinking:
    """The pair of tags around a model's thoughts (Magistral §2.2.1).

    Args:
        open: the opening tag.
        close: the closing tag.
        opened_by_prompt: the chat template ends the prompt with the opening tag, so that a completion
            starts inside the thoughts and must not repeat it.

    Raises:
        ValueError: if a tag is blank, or one contains the other.

    Example:
        >>> Thinking().split("<think>2+2 is 4</think>The answer is 4.")
        Split(thoughts='2+2 is 4', answer='The answer is 4.')
    """

    open: str = "<think>"
    close: str = "</think>"
    opened_by_prompt: bool = False

    def __post_init__(self) -> None:
        if not self.open.strip() or not self.close.strip():
            raise ValueError("thinking tags must not be blank")
        if self.open in self.close or self.close in self.open:
            raise ValueError(f"thinking tags must not contain one another: {self.open!r}, {self.close!r}")

    def split(self, text: str) -> Split:
        """Split a completion into thoughts and answer.

        Malformed, and so without an answer part: no pair, more than one, text before the opening tag, tags
        in the wrong order, or the opening tag repeated where the prompt opened it. White space before the
        opening tag is allowed.

        Args:
            text: what the policy wrote, tags included.

        Returns:
            The thoughts and the answer, neither stripped; the answer is ``None`` when malformed.
        """
        malformed = Split(text, None)
        if text.count(self.close) != 1:
            return malformed
        if self.opened_by_prompt:
            if self.open in text:
                return malformed
            start = 0
        else:
            lead = text[: len(text) - len(text.lstrip())]
            if text.count(self.open) != 1 or not text.startswith(self.open, len(lead)):
                return malformed
            start = len(lead) + len(self.open)
        end = text.find(self.close)
        if end < start:
            return malformed
        return Split(text[start:end], text[end + len(self.close) :])

    def join(self, thoughts: str, answer: str) -> str:
        """Write a completion as the policy should: the inverse of `split`, on lines of their own.

        Args:
            thoughts: the inner monologue.
            answer: what follows it.

        Returns:
            The completion; without the opening tag where the prompt gives it.
        """
        lead = "" if self.opened_by_prompt else f"{self.open}\n"
        return f"{lead}{thoughts.strip()}\n{self.close}\n{answer.strip()}"
