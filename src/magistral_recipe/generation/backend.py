"""What backends have in common: from a prompt to its tokens, and from the tokens written to a completion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from magistral_recipe.generation.interface import Completion, Prompt, Request, Sampling
from magistral_recipe.writing.chat_format import decode_completion


class Encoded(NamedTuple):
    """A request as a model takes it.

    Attributes:
        request: what is asked.
        text: the rendered prompt.
        ids: its tokens.
    """

    request: Request
    text: str
    ids: list[int]


class Backend(ABC):
    """A generator that renders, tokenizes and decodes with a tokenizer of transformers; a kind gives `stream`.

    Args:
        tokenizer: the model's, chat template installed.
        stop_ids: tokens on which a completion ends.
    """

    def __init__(self, tokenizer: Any, stop_ids: Sequence[int]) -> None:
        self.tokenizer = tokenizer
        self.stop_ids = list(stop_ids)

    @abstractmethod
    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Completion]]:
        """Yield completions batch by batch; see `Generator`."""

    def render(self, prompt: Prompt) -> str:
        """Return the text that the model is given for a prompt."""
        if isinstance(prompt, str):
            return prompt
        return self.tokenizer.apply_chat_template(list(prompt), add_generation_prompt=True, tokenize=False)

    def encode(self, requests: Sequence[Request]) -> list[Encoded]:
        """Render and tokenize requests, each prompt once, however many samples of it are asked for.

        Args:
            requests: what to complete; samples of one problem share their prompt object.

        Returns:
            As many, in order.
        """
        prompts = {id(request.prompt): request.prompt for request in requests}
        done = {}
        for key, prompt in prompts.items():
            text = self.render(prompt)
            # A chat template writes the special tokens that a prompt begins with; raw text has none.
            ids = self.tokenizer(text, add_special_tokens=isinstance(prompt, str))["input_ids"]
            done[key] = text, list(ids)
        return [Encoded(request, *done[id(request.prompt)]) for request in requests]

    def finish(self, encoded: Encoded, ids: list[int]) -> Completion:
        """Make a completion of what was written.

        Args:
            encoded: what was asked.
            ids: the tokens written, which may run on behind the one that stops.

        Returns:
            The completion, cut behind its stop token.
        """
        stops = set(self.stop_ids)
        end = next((position + 1 for position, token in enumerate(ids) if token in stops), None)
        kept = ids[:end]
        text = decode_completion(self.tokenizer, kept, self.stop_ids)
        return Completion(encoded.request, encoded.text, text, tuple(kept), truncated=end is None)
