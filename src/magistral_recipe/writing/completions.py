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
THOUGHT_KEYS = ("reasoning_content", "thinking", "reasoning", "reasoning_details")
_THOUGHT_BLOCKS = frozenset({"thinking", "reasoning", "reasoning.text", "reasoning.summary", "summary_text"})
_UNSEEN_BLOCKS = frozenset({"redacted_thinking", "reasoning.encrypted"})

# Tokens that end a turn in the common families. A model's generation config may stop on one that its tokenizer does
# not name (Llama 3 stops on <|eot_id|> and <|eom_id|> beside its eos token), and none of them is text.
TURN_ENDS = frozenset(
    {
        *("<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|EOT|>", "[EOS]"),
        *("<|end|>", "<|return|>", "<end_of_turn>", "<|end_of_turn|>", "<eos>", "</s>", "<｜end▁of▁sentence｜>"),
        *("<pad>", "<|pad|>", "[PAD]", "<|finetune_right_pad_id|>"),
    }
)
_LAST_SIGNS = frozenset(end[-1] for end in TURN_ENDS)


def completion_texts(completions: Sequence[Any], thinking: Thinking | None) -> list[str]:
    """Return the text of each completion, thinking tags included.

    Args:
        completions: strings or lists of messages; of the messages the last of the assistant counts. Arrays of either do
            as well.
        thinking: the tags to write around thoughts that a parser took out; ``None`` leaves them out.

    Returns:
        One string a completion, without the tokens that end a turn; empty where the assistant said nothing.

    Raises:
        ValueError: for any other shape, naming the row.
    """
    completions = _listed(completions)
    if isinstance(completions, (str, Mapping)) or not isinstance(completions, Sequence):
        raise ValueError(f"completions must be a list with one item a completion, not {type(completions).__name__}")
    return [without_turn_ends(_completion_text(each, row, thinking)) for row, each in enumerate(completions)]


def without_turn_ends(text: str) -> str:
    """Return a text without the tokens at its end that end a turn (`TURN_ENDS`), and the white space among them."""
    if text.rstrip()[-1:] not in _LAST_SIGNS:
        return text
    end, kept = len(text), len(text)
    while True:
        while kept and text[kept - 1].isspace():
            kept -= 1
        last = next((token for token in TURN_ENDS if text.endswith(token, 0, kept)), None)
        if last is None:
            return text if end == len(text) else text[:kept]
        end = kept = kept - len(last)


def _listed(value: Any) -> Any:
    """Return an array as the list that it holds, anything else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


def prompt_text(prompt: Any) -> str | None:
    """Return what the user asked last: the last user message, or a plain prompt itself.

    Args:
        prompt: a string or a list of messages.

    Returns:
        The text, or ``None`` where the prompt holds none.
    """
    prompt = _listed(prompt)
    if isinstance(prompt, str):
        return prompt
    if not isinstance(prompt, Sequence):
        return None
    for message in reversed(prompt):
        if isinstance(message, Mapping) and message.get("role") == "user":
            content = _listed(message.get("content"))
            if isinstance(content, str):
                return content
            if isinstance(content, Sequence):
                return "".join(_block_text(block) or "" for block in content)
    return None


def _completion_text(completion: Any, row: int, thinking: Thinking | None) -> str:
    completion = _listed(completion)
    if isinstance(completion, str):
        return completion
    if isinstance(completion, Mapping) or not isinstance(completion, Sequence):
        raise ValueError(
            f"completions[{row}]: expected a string or a list of messages, not {type(completion).__name__}"
        )
    message = _last_assistant_message(completion, row)
    if message is None:  # a turn of tools alone, or nothing: the policy's doing, not the caller's
        return ""
    thoughts, content = message_parts(message, f"completions[{row}]")
    if thoughts is None or thinking is None:
        return content or ""
    lead = "" if thinking.opened_by_prompt else thinking.open
    # Without content the parser met no closing tag: the thoughts were cut, and must stay malformed.
    return lead + thoughts if content is None else lead + thoughts + thinking.close + content


def _last_assistant_message(messages: Sequence[Any], row: int) -> Mapping[str, Any] | None:
    for message in reversed(messages):
        if not isinstance(message, Mapping):
            raise ValueError(f"completions[{row}]: expected messages, found {type(message).__name__}")
        # Many callers leave the role out; what stands in a completion is then the assistant's.
        if message.get("role", "assistant") == "assistant":
            return message
    return None


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
    thoughts: str | None = None
    for key in THOUGHT_KEYS:
        value = _listed(message.get(key))
        if value is not None and value != "" and value != []:
            thoughts = _thoughts(value, where)
            break
    content = _listed(message.get("content"))
    if content is None or isinstance(content, str):
        return thoughts, content
    if isinstance(content, Mapping) or not isinstance(content, Sequence):
        raise ValueError(f"{where}: expected content as text or blocks, not {type(content).__name__}")
    texts: list[str] = []
    for block in content:
        kind = block.get("type") if isinstance(block, Mapping) else None
        if kind in _UNSEEN_BLOCKS:
            continue
        if kind in _THOUGHT_BLOCKS:
            thoughts = (thoughts or "") + _thoughts([block], where)
            continue
        text = _block_text(block)
        if text is None:
            raise ValueError(f"{where}: only text blocks can be read, not {kind or type(block).__name__!r}")
        texts.append(text)
    return thoughts, "".join(texts) if texts or thoughts is None else None


def _thoughts(value: Any, where: str) -> str:
    """Read thoughts that a parser set apart: a string, or blocks as the clients of several servers write them."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) or not isinstance(value, Sequence):
        raise ValueError(f"{where}: expected thoughts as a string or blocks, not {type(value).__name__}")
    return "".join(_thought_block(block, where) for block in value)


def _thought_block(block: Any, where: str) -> str:
    if isinstance(block, Mapping) and block.get("type") in _UNSEEN_BLOCKS:
        return ""
    # Anthropic has `thinking`, Mistral text blocks in it, LangChain `reasoning`, OpenAI's responses `summary` or
    # `content`, OpenRouter `text` or `summary`.
    keys = ("thinking", "reasoning", "text", "content", "summary")
    held = [block.get(key) for key in keys] if isinstance(block, Mapping) else [block]
    inner = next((_listed(each) for each in held if each), "" if any(each == "" for each in held) else None)
    if isinstance(inner, str):
        return inner
    if isinstance(inner, Sequence):
        return "".join(_thought_block(part, where) for part in inner)
    raise ValueError(f"{where}: a thinking block without text")


def _block_text(block: Any) -> str | None:
    if isinstance(block, str):
        return block
    if isinstance(block, Mapping) and block.get("type", "text") in ("text", "output_text"):
        text = block.get("text")
        return text if isinstance(text, str) else None
    return None
