"""Chat messages as data sets have them: who speaks, and which words are problem, thoughts and response."""

from __future__ import annotations

import json
from collections.abc import Mapping

from magistral_recipe.data import fields
from magistral_recipe.data.fields import Code, Rejection
from magistral_recipe.writing.completions import message_parts

NAMES = ("messages", "conversations", "conversation")
"""Columns that hold a conversation: TRL's and OpenAI's name, and ShareGPT's."""

# ShareGPT's names, Gemma's, OpenAssistant's; a developer's turn is a system prompt.
_ROLES = {
    "human": "user",
    "prompter": "user",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "developer": "system",
}


def question(value: object) -> object:
    """Take the question out of a ``prompt`` that is given as chat messages with one user turn; else leave it."""
    turns = listed(value)
    if isinstance(turns, list):
        users = [message for message in turns if isinstance(message, Mapping) and _role(message) == "user"]
        if len(users) == 1:
            try:
                return message_parts(_with_content(users[0]), "problem")[1]
            except ValueError:
                return value
    return value


def system(value: object) -> str | None:
    """Take the system turn out of chat messages; None where there is none, or no text in it."""
    turns = listed(value)
    for message in turns if isinstance(turns, list) else ():
        if isinstance(message, Mapping) and _role(message) == "system":
            try:
                return (message_parts(_with_content(message), "system")[1] or "").strip() or None
            except ValueError:
                return None
    return None


def exchange(messages: object) -> dict[str, object] | Rejection:
    """Read a conversation of one user and one assistant turn, with the system turn in front where there is one.

    Args:
        messages: ``role`` and ``content``, or ShareGPT's ``from`` and ``value``; contents are texts or blocks of text,
            the assistant's thoughts may stand in a field or a block of their own; a list, or the JSON of one.

    Returns:
        The fields of a trace, or why there are none.
    """
    listed_messages = listed(messages)
    if not isinstance(listed_messages, list) or not all(isinstance(each, Mapping) for each in listed_messages):
        return Rejection(Code.WRONG_TYPE, f"messages: expected a list of messages, got {fields.shown(messages)}")
    spoken = [(_role(message), message) for message in listed_messages if _role(message) != "system"]
    if [role for role, _ in spoken] != ["user", "assistant"]:
        roles = ", ".join(role for role, _ in spoken[:6]) or "none"
        return Rejection(Code.BAD_VALUE, f"messages: expected one user and one assistant turn, got {roles}")
    (_, user), (_, assistant) = spoken
    try:
        problem = message_parts(_with_content(user), "messages: the user's turn")[1]
        thoughts, content = message_parts(_with_content(assistant), "messages: the assistant's turn")
    except ValueError as error:
        return Rejection(Code.WRONG_TYPE, str(error))
    reply = {"thoughts": thoughts, "response": content} if thoughts else {"completion": content}
    said = system(listed_messages)
    return {"problem": problem, **reply, **({"system": said} if said else {})}


def listed(value: object) -> object:
    """Read a list that a CSV cell or a Parquet column holds as JSON."""
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _with_content(message: Mapping[str, object]) -> Mapping[str, object]:
    return message if message.get("content") is not None else {**message, "content": message.get("value")}


def _role(message: Mapping[str, object]) -> str:
    role = str(message.get("role") or message.get("from"))
    return _ROLES.get(role, role)
