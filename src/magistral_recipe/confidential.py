"""Secrets, told by their names and by their looks: they belong into the environment, never into what is copied about.

A recipe is copied into its run, its report, its card and its pull requests. What a key calls a token, key, secret or
password, and what looks like one wherever it stands, is therefore refused there and masked where it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MASK = "(withheld)"

_ALWAYS = frozenset(
    {
        *("password", "passwd", "passphrase", "pwd", "secret", "secrets", "credential", "credentials", "apikey"),
        *("bearer", "authorization", "cred", "creds", "cookie", "cookies", "passcode", "jwt", "accesskey", "secretkey"),
        *("privatekey", "authkey", "hftoken", "hubtoken", "accesstoken", "authtoken", "apitoken", "refreshtoken"),
    }
)
# What a model's tokens are called: none of these is a secret's name.
_SPECIAL_TOKENS = frozenset(
    {
        *("eos", "pad", "bos", "unk", "cls", "sep", "mask", "stop", "start", "end", "begin", "open", "close", "image"),
        *("audio", "video", "vision", "boi", "eoi", "special", "per", "first", "last", "next", "new", "tool", "think"),
        *("thinking", "prompt", "system", "user", "assistant", "decoder", "forced", "suppress"),
    }
)
_OF_KEYS = frozenset(
    {
        *("api", "access", "private", "auth", "ssh", "account", "encryption", "signing", "service", "client", "hub"),
        *("hf", "wandb", "aws"),
    }
)
_WORDS = re.compile(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]+")
_LOOKS = re.compile(
    r"hf_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"
    r"|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{16,}|nvapi-[\w-]{16,}|r8_[A-Za-z0-9]{30,}|gsk_[A-Za-z0-9]{20,}|ya29\.[\w-]{20,}"
    r"|ASIA[0-9A-Z]{16}|dop_v1_[0-9a-f]{32,}|(?<=hooks\.slack\.com/services/)[\w/]{20,}"
    r"|(?<=Bearer )[\w.~+/=-]{16,}|(?<=Basic )[A-Za-z0-9+/]{16,}=*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----|(?<=://)(?:[^/\s:@]+:[^/\s:@]+|[^/\s:@]{8,})(?=@)"
)
_GIVEN = re.compile(r"(?<![\w-])(?P<name>[A-Za-z][\w-]*)=(?P<value>[^\s&;,\"'<>{}]{8,})")
"""A value given by a name inside a text, as in an address's query or in `optim_args`."""
_ENVIRONMENT = {
    "wandb": "WANDB_API_KEY",
    "aws": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "openai": "OPENAI_API_KEY",
}


def is_secret_name(name: str, strict: bool = True) -> bool:
    """Whether a key's name says that its value is a secret.

    Args:
        name: such as ``hub_token``; ``eos_token``, ``max_tokens`` and ``top_k`` are none.
        strict: also what may be something else in code of one's own, such as ``token`` by itself.
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words:
        return False
    if _ALWAYS & set(words):
        return True
    if "key" in words or "keys" in words:
        return bool(_OF_KEYS & set(words)) or (strict and words[-1] == "key" and len(words) > 1)
    if words[-1] == "auth":
        return strict or len(words) > 1
    if words[-1] == "tokens":  # a number of tokens, but for those of services
        return len(words) > 1 and words[-2] in _OF_KEYS
    if words[-1] != "token":
        return False
    before = words[:-1]
    return strict if not before else not _SPECIAL_TOKENS & set(before)


def looks_secret(value: object) -> bool:
    """Whether a text holds what services give out as tokens and keys, or an address with a password."""
    if not isinstance(value, str):
        return False
    if _LOOKS.search(value) is not None:
        return True
    return any(_gives_secret(match) for match in _GIVEN.finditer(value))


def _gives_secret(match: re.Match[str]) -> bool:
    return is_secret_name(match["name"]) or match["name"] == "sig"


def way_out(name: str) -> str:
    """Say where a secret belongs instead, by the name of its key."""
    variable = next((variable for word, variable in _ENVIRONMENT.items() if word in name.lower()), None)
    if variable is None and re.search(r"hub|hf|token", name.lower()):
        variable = "HF_TOKEN, or log in with `hf auth login`"
    place = f"the environment ({variable})" if variable else "the environment"
    return f"a secret has no place in a recipe, which is copied into runs, reports and cards: leave it to {place}"


def secrets_in(data: Any, lenient: tuple[str, ...] = ("rewards",)) -> Iterator[tuple[str | int, ...]]:
    """Find the secrets of plain data.

    Args:
        data: mappings, lists and scalars.
        lenient: keys below which names are those of somebody's own code (`is_secret_name` without `strict`).

    Yields:
        The path of each value that is a secret by its key or by its looks.
    """
    pending: list[tuple[tuple[str | int, ...], Any, bool]] = [((), data, True)]
    while pending:
        path, value, strict = pending.pop()
        if isinstance(value, Mapping):
            for key, item in value.items():
                named = is_secret_name(str(key), strict) and item is not None and not isinstance(item, (bool, float))
                if named or looks_secret(str(key)):
                    yield (*path, key)
                else:
                    pending.append(((*path, key), item, strict and key not in lenient))
        elif isinstance(value, list):
            pending += [((*path, index), item, strict) for index, item in enumerate(value)]
        elif looks_secret(value):
            yield path


def masked_data(data: Any) -> Any:
    """Return plain data with its secrets masked."""
    found = set(secrets_in(data))

    def copy(value: Any, path: tuple[str | int, ...]) -> Any:
        if path in found:
            return MASK
        if isinstance(value, Mapping):
            return {key: copy(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [copy(item, (*path, index)) for index, item in enumerate(value)]
        return value

    return copy(data, ())


_PAIR = re.compile(
    r"""(?<![\w-])(?P<name>[\w-]+)(?P<between>["']?\s*[:=]\s*)"""
    r"""(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s,{}\[\]#][^,}\]\n#]*)"""
)
_NO_SECRETS = frozenset({"", "null", "~", "true", "false", MASK})


def masked_text(text: str) -> str:
    """Return a text (YAML, a command, a log) with what it holds of secrets masked, by name and by looks."""

    def of_name(match: re.Match[str]) -> str:
        if not is_secret_name(match["name"]) or match["value"].strip("\"' ") in _NO_SECRETS:
            return match[0]
        return match["name"] + match["between"] + MASK

    def given(match: re.Match[str]) -> str:
        return f"{match['name']}={MASK}" if _gives_secret(match) else match[0]

    return _GIVEN.sub(given, _LOOKS.sub(MASK, _PAIR.sub(of_name, text)))
