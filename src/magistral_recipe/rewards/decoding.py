"""Reading completions from their token ids, for trainers that lose thinking tags on the way to text.

TRL's trainers decode with ``skip_special_tokens=True``. Where a tokenizer holds the thinking tags as special tokens
(Mistral's ``[THINK]``), no reward ever sees one, and every format reward is silently 0. The ids still have them. The
recipe's own trainer decodes so by itself and needs none of this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from magistral_recipe.writing.chat_format import decode_completion
from magistral_recipe.writing.thinking import Thinking


class Tokenizer(Protocol):
    """What a reward asks of a tokenizer; those of transformers have it, and so have processors around one."""

    def decode(self, *args: Any, **kwargs: Any) -> Any:
        """Return the text of token ids, special tokens kept where ``skip_special_tokens=False``."""
        ...


def tokenizer_of(tokenizer: Tokenizer | None) -> Tokenizer | None:
    """Return the tokenizer itself, taken out of a processor; raise ValueError for what can't decode."""
    inner = getattr(tokenizer, "tokenizer", None)
    # Mistral's tokenizer class keeps another library's under this name; a processor has no end token of its own.
    found = inner if inner is not None and not hasattr(tokenizer, "eos_token_id") else tokenizer
    if found is not None and not callable(getattr(found, "decode", None)):
        raise ValueError(
            f"tokenizer: expected the model's tokenizer, an object with decode(), not {type(found).__name__} {found!r}"
        )
    return found


def decoded(
    completions: Sequence[Any], completion_ids: Sequence[Sequence[int]], tokenizer: Tokenizer, thinking: Thinking | None
) -> list[Any]:
    """Write completions anew from their token ids, each in the shape that it had.

    A conversation of several messages (tools were called) stays as it is: its ids hold the tools' words too.

    Args:
        completions: strings or lists of messages.
        completion_ids: of each completion, with or without stop and padding tokens.
        tokenizer: the policy's.
        thinking: the tags, which are text even where they are special tokens.

    Returns:
        One completion each, special tokens kept, stop and padding tokens dropped.
    """
    special = _special_ids(tokenizer)
    tags = () if thinking is None else (thinking.open.strip(), thinking.close.strip())
    shaped: list[Any] = []
    for completion, ids in zip(completions, completion_ids, strict=True):
        text = isinstance(completion, str)
        if not text and not (isinstance(completion, Sequence) and len(completion) == 1):
            shaped.append(completion)
            continue
        written = decode_completion(tokenizer, _without_stop([int(i) for i in ids], tokenizer, special, tags))
        shaped.append(written if text else [{"role": "assistant", "content": written}])
    return shaped


def _special_ids(tokenizer: Tokenizer) -> set[int]:
    added = getattr(tokenizer, "added_tokens_decoder", None)
    marked = [index for index, token in added.items() if token.special] if isinstance(added, Mapping) else []
    return {int(index) for index in (*marked, *(getattr(tokenizer, "all_special_ids", None) or ()))}


def _without_stop(ids: list[int], tokenizer: Tokenizer, special: set[int], tags: tuple[str, ...]) -> list[int]:
    """Drop the token that generation stopped on, where its tokenizer doesn't name it as an end (GLM's ``<|user|>``)."""
    if ids and ids[-1] in special and str(tokenizer.decode([ids[-1]], skip_special_tokens=False)).strip() not in tags:
        return ids[:-1]
    return ids
