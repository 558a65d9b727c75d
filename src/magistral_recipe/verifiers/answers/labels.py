"""Names of values: what may stand on the left of an equation that only says what its answer is called."""

from __future__ import annotations

import re

from magistral_recipe.verifiers.answers.text import Token, text_of, words_of

_LABEL = re.compile(
    r"(?:\\(?:angle|triangle|overline|overrightarrow|vec|hat|bar|mathbb|measuredangle|Delta|alpha|beta|gamma|theta|lambda|mu|"
    r"sigma|phi|omega|delta|rho|tau|kappa|eta|xi|psi|varphi)|[A-Za-z]|_(?:\{\w+\}|\w)|'|\{|\})+"
    r"(?:\([\w,'\\]*\))?"
    r"|\((?:[a-zA-Z](?:_\w+)?,)+[a-zA-Z](?:_\w+)?\)"
)


def label_of(raw: list[Token]) -> str | None:
    """Return the name that an equation's left side is, if it is nothing but a name: ``x``, ``f(2)``, ``AB``, ``Area``.

    Args:
        raw: the tokens of that side.

    Returns:
        The name, ``None`` for an expression that is more than that.
    """
    if all(token.kind in ("text", "word") for token in raw):
        name = " ".join(token.value for token in raw)
        return words_of(name) if not re.search(r"\d", name) else None
    if any(token.kind in ("text", "word") for token in raw) or len(raw) > 12:
        return None
    text = text_of(raw)
    if not _LABEL.fullmatch(text) or text in ("e", "i"):
        return None
    if _function_application(raw) or all(token.kind != "op" or token.value in "_{}'(),|" for token in raw):
        return text
    return None


def _function_application(raw: list[Token]) -> bool:
    return len(raw) > 2 and raw[0].kind == "var" and raw[1] == ("op", "(")
