"""What a completion says, in every shape that a trainer or a server hands it over.

Plain text, chat messages, text blocks, and messages whose parser moved the thoughts into a field of
their own: all become one string *with* its thinking tags, which is what the rewards grade. A shape that
is not known here is the caller's mistake and raises; what stands *in* a completion never does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from magistral_recipe.writing.thinking import Thinking

# TRL's response parsers and vLLM's write the first, Ollama's and Anthropic's the second.
_THOUGHT_KEYS = ("reasoning_content", "thinking", "reasoning")


def completion_texts(completions: Sequence[Any], thinking: Thinking | None) -> list[str]:
    """Return the text of each completion, thinking tags included.

    Args:
        completions: strings or lists of messages; of the messages the last of the assistant counts.
        thinking: the tags to write around thoughts that a parser took out; ``None`` leaves them out.

    Returns:
        One string a completion.

    Raises:
        ValueError: for any other shape, naming the row.
    """
    if isinstance(completions, (str, Mapping)) or not isinstance(completions, Sequence):
        raise ValueError(f"completions must be a list with one item a completion, not {type(completions).__name__}")
    return [_completion_text(completion, row, thinking) for row, completion in enumerate(completions)]


def prompt_text(prompt: Any) -> str | None:
    """Return what the user asked last: the last user message, or a plain prompt itself.

    Args:
        prompt: a string or a list of messages.

    Returns:
        The text, or ``None`` where the prompt holds none.
    """
    if isinstance(prompt, str):
        return prompt
    if not isinstance(prompt, Sequence):
        return None
    for message in reversed(prompt):
        if isinstance(message, Mapping) and message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            if isinstance(content, Sequence):
                return "".join(_block_text(block) or "" for block in content)
    return None


def _completion_text(completion: Any, row: int, thinking: Thinking | None) -> str:
    if isinstance(completion, str):
        return completion
    if isinstance(completion, Mapping) or not isinstance(completion, Sequence):
        raise ValueError(
            f"completions[{row}]: expected a string or a list of messages, not {type(completion).__name__}"
        )
    message = _last_assistant_message(completion, row)
    thoughts, content = message_parts(message, f"completions[{row}]")
    if thoughts is None or thinking is None:
        return content or ""
    lead = "" if thinking.opened_by_prompt else thinking.open
    # Without content the parser met no closing tag: the thoughts were cut, and must stay malformed.
    return lead + thoughts if content is None else lead + thoughts + thinking.close + content


def _last_assistant_message(messages: Sequence[Any], row: int) -> Mapping[str, Any]:
    for message in reversed(messages):
        if not isinstance(message, Mapping):
            raise ValueError(f"completions[{row}]: expected messages, found {type(message).__name__}")
        # Many callers leave the role out; what stands in a completion is then the assistant's.
        if message.get("role", "assistant") == "assistant":
            return message
    raise ValueError(f"completions[{row}]: no message of the assistant among {len(messages)}")


def message_parts(message: Mapping[str, Any], where: str) -> tuple[str | None, str | None]:
    """Take a chat message apart.

    Args:
        message: with a string or blocks of text and thoughts as its content.
        where: names the message in an error.

    Returns:
        Thoughts (``None`` where no parser moved them) and content (``None`` where there is none).

    Raises:
        ValueError: for any other shape.
    """
    thoughts = next((value for key in _THOUGHT_KEYS if (value := message.get(key))), None)
    if thoughts is not None and not isinstance(thoughts, str):
        raise ValueError(f"{where}: expected thoughts as a string, not {type(thoughts).__name__}")
    content = message.get("content")
    if content is None or isinstance(content, str):
        return thoughts, content
    if isinstance(content, Mapping) or not isinstance(content, Sequence):
        raise ValueError(f"{where}: expected content as text or blocks, not {type(content).__name__}")
    texts: list[str] = []
    for block in content:
        if isinstance(block, Mapping) and block.get("type") == "thinking":
            thoughts = (thoughts or "") + _thinking_block(block, where)
            continue
        text = _block_text(block)
        if text is None:
            kind = block.get("type") if isinstance(block, Mapping) else type(block).__name__
            raise ValueError(f"{where}: only text blocks can be read, not {kind!r}")
        texts.append(text)
    return thoughts, "".join(texts) if texts or thoughts is None else None


def _block_text(block: Any) -> str | None:
    if isinstance(block, str):
        return block
    if isinstance(block, Mapping) and block.get("type", "text") in ("text", "output_text"):
        text = block.get("text")
        return text if isinstance(text, str) else None
    return None


def _thinking_block(block: Mapping[str, Any], where: str) -> str:
    # Mistral's API nests text blocks here, Anthropic's has a string.
    inner = block.get("thinking")
    if isinstance(inner, str):
        return inner
    texts = [_block_text(part) for part in inner] if isinstance(inner, Sequence) else [None]
    if any(text is None for text in texts):
        raise ValueError(f"{where}: a thinking block without text")
    return "".join(text for text in texts if text is not None)
