"""Words as they come out of a model: told apart into thoughts and answer, and drawn token by token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from magistral_recipe.writing.chat_format import ChatFormat, decode_completion, stop_token_ids
from magistral_recipe.writing.thinking import Thinking

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_UNFINISHED = "\ufffd"
"""What a decoder writes for the first bytes of a character whose last ones are still to come."""


class Part(StrEnum):
    """Which part of a completion a piece of text belongs to."""

    THOUGHTS = "thoughts"
    ANSWER = "answer"


class PartSplitter:
    """Splits a completion into thoughts and answer while it is being written.

    `Thinking.split` needs the whole text; this needs only what has come so far, and holds back what may be the
    beginning of a tag. A completion that never opens its thoughts is all answer.

    Args:
        thinking: the tags, which are taken out.
    """

    def __init__(self, thinking: Thinking) -> None:
        self._thinking = thinking
        self._part = Part.THOUGHTS if thinking.opened_by_prompt else Part.ANSWER
        self._held = ""

    def feed(self, text: str) -> Iterator[tuple[Part, str]]:
        """Take the next piece of text.

        Args:
            text: of any length, tags cut anywhere.

        Yields:
            Pieces whose part is certain.
        """
        self._held += text
        while True:
            tag = self._thinking.close if self._part is Part.THOUGHTS else self._thinking.open
            at = self._held.find(tag)
            if at < 0:
                break
            yield from self._emit(self._held[:at])
            self._held = self._held[at + len(tag) :]
            self._part = Part.ANSWER if self._part is Part.THOUGHTS else Part.THOUGHTS
        kept = next((size for size in range(len(tag) - 1, 0, -1) if self._held.endswith(tag[:size])), 0)
        sure, self._held = self._held[: len(self._held) - kept], self._held[len(self._held) - kept :]
        yield from self._emit(sure)

    def close(self) -> Iterator[tuple[Part, str]]:
        """Say that nothing more comes.

        Yields:
            What was held back.
        """
        yield from self._emit(self._held)
        self._held = ""

    def _emit(self, text: str) -> Iterator[tuple[Part, str]]:
        if text:
            yield self._part, text


class IncrementalDecoder:
    """Turns token ids into text piece by piece; the pieces together are what `decode_completion` gives.

    Args:
        tokenizer: the model's.
        stop_ids: tokens that end a completion and are no text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop_ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._stop_ids = list(stop_ids)
        self._ids: list[int] = []
        self._told = 0

    def feed(self, token: int) -> str:
        """Take one token.

        Args:
            token: its id.

        Returns:
            The text that has become certain, often one word, sometimes nothing.
        """
        self._ids.append(token)
        text = decode_completion(self._tokenizer, self._ids, self._stop_ids)
        if text.endswith(_UNFINISHED):
            return ""
        new, self._told = text[self._told :], len(text)
        if text.endswith("\n"):  # a line that is finished need not be decoded again with every token after it
            self._ids, self._told = [], 0
        return new


def stream_answer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    chat: ChatFormat,
    question: str,
    show: Callable[[Part, str], None],
    temperature: float = 0.7,
    top_p: float = 0.95,
    max_new_tokens: int = 4096,
    seed: int | None = None,
) -> str:
    """Ask a model and hand on its words as they come.

    Args:
        model: on its device.
        tokenizer: with its chat template.
        chat: the format that it was trained with.
        question: of the user.
        show: called with each piece of text.
        temperature: 0 for greedy decoding.
        top_p: nucleus sampling.
        max_new_tokens: where the completion is cut, in tokens; the model's context cuts it earlier.
        seed: of the sampling; ``None`` leaves torch's random state as it is.

    Returns:
        The whole completion with its tags.
    """
    import torch
    from transformers.generation.streamers import BaseStreamer

    stops = stop_token_ids(tokenizer, model)
    decoder, splitter = IncrementalDecoder(tokenizer, stops), PartSplitter(chat.thinking)

    class Streamer(BaseStreamer):
        """Receives the prompt first, then every new token."""

        def __init__(self) -> None:
            self.prompt_seen = False

        def put(self, value: Any) -> None:
            if not self.prompt_seen:
                self.prompt_seen = True
                return
            for token in value.reshape(-1).tolist():
                for part, piece in splitter.feed(decoder.feed(token)):
                    show(part, piece)

        def end(self) -> None:
            for part, piece in splitter.close():
                show(part, piece)

    prompt = torch.tensor([chat.prompt_ids(tokenizer, question)], device=model.device)
    if seed is not None:
        torch.manual_seed(seed)
    sampling: dict[str, Any] = {"do_sample": temperature > 0}
    if temperature > 0:
        sampling |= {"temperature": temperature, "top_p": top_p}
    with torch.inference_mode():
        output = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=_room(model, prompt.shape[1], max_new_tokens),
            eos_token_id=stops or None,
            pad_token_id=tokenizer.pad_token_id,
            streamer=Streamer(),
            **sampling,
        )
    return decode_completion(tokenizer, output[0, prompt.shape[1] :].tolist(), stops)


def _room(model: PreTrainedModel, used: int, wanted: int) -> int:
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return wanted if context is None else max(1, min(wanted, context - used))
