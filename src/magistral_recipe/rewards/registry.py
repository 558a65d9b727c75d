"""Rewards by name: a table of dotted paths, so that listing them imports none.

A recipe names a reward by a name of the table, by ``my_rewards.py:name`` or ``package.module:name`` (`own_code` says
where those are looked for), or by an entry point of the group ``magistral_recipe.rewards`` that an installed package
declares.

A recipe can name code, and importing a module runs it. What is no reward is refused before it is called: one takes
`completions`, and none is the standard library's.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

from magistral_recipe import own_code
from magistral_recipe.errors import RunError
from magistral_recipe.foreign import guarded, only_names
from magistral_recipe.rewards.base import Reward
from magistral_recipe.writing.thinking import Thinking

RewardFunction = Callable[..., Sequence[float | None]]
ENTRY_POINTS = "magistral_recipe.rewards"

GIVEN_BY_TRAINER = ("prompts", "completions", "completion_ids", "trainer_state", "log_extra", "log_metric")
"""What every trainer calls a reward with, beside its columns."""
_WEIGHTS = {"weight", "reward_weight", "weights", "coefficient", "scale"}


class Registered(NamedTuple):
    """A reward of the table: where its class is, what it measures, which columns it reads."""

    path: str
    summary: str
    columns: str


TABLE: dict[str, Registered] = {
    "magistral": Registered(
        "magistral_recipe.rewards.magistral:MagistralReward",
        "the paper's sum: format as a gate, then correctness, length, language",
        "answer or tests; kind, programming_language, language, problem",
    ),
    "format": Registered(
        "magistral_recipe.rewards.format:FormatReward",
        "one pair of thinking tags, thoughts, and a boxed answer or a code block",
        "kind, programming_language",
    ),
    "math": Registered(
        "magistral_recipe.rewards.math:MathCorrectness", "the boxed answer equals the reference", "answer; kind"
    ),
    "code": Registered(
        "magistral_recipe.rewards.code:CodeCorrectness",
        "the program passes its tests in a sandbox",
        "tests, programming_language; kind, time_limit, memory_mb, tolerance",
    ),
    "length": Registered(
        "magistral_recipe.rewards.length:OverlongPenalty", "soft penalty near the limit of tokens", "completion_ids"
    ),
    "language": Registered(
        "magistral_recipe.rewards.language:LanguageConsistency",
        "problem, thoughts and answer are in one language",
        "language, problem, or the prompt",
    ),
    "reasoning_language": Registered(
        "magistral_recipe.rewards.language:ReasoningLanguage", "the thoughts are in a given language", ""
    ),
    "repetition": Registered(
        "magistral_recipe.rewards.repetition:RepetitionPenalty", "penalty on repeated n-grams", ""
    ),
}


def names() -> list[str]:
    """Return the names of the table, then those of installed entry points; imports no reward."""
    return [*TABLE, *sorted(_entry_points())]


def build(
    name: str,
    options: Mapping[str, Any] | None = None,
    thinking: Thinking | None = None,
    folder: Path | None = None,
) -> RewardFunction:
    """Make the reward of a name.

    Args:
        name: of the table or of an entry point, or ``my_rewards.py:name``, or ``package.module:name``.
        options: keyword arguments of a class's constructor, or to be fixed for a function.
        thinking: the tags, for classes that take a ``thinking`` argument and were not given one in `options`.
        folder: the recipe's, where own files are looked for first.

    Returns:
        A callable with TRL's signature.

    Raises:
        ValueError: for an unknown name, an import that fails, what is no reward, or options that it does not take.
    """
    target = locate(name, folder)
    options = dict(options or {})
    if not isinstance(target, type):
        return _bind(name, target, options)
    parameters = inspect.signature(target).parameters
    if thinking is not None and "thinking" in parameters:
        options.setdefault("thinking", thinking)
    if "strict" in parameters and issubclass(target, Reward):
        options.setdefault("strict", True)  # a recipe's columns are ours
    _check_options(name, target, options)
    with _told(name, "its constructor"):
        return target(**options)


def mistake(
    name: str,
    options: Mapping[str, Any] | None = None,
    folder: Path | None = None,
    columns: Sequence[str] | None = None,
) -> str | None:
    """Say what is wrong with a reward that a recipe names: it is made, or, within `foreign.naming_only`, looked up.

    Args:
        name: as for `build`.
        options: as for `build`.
        folder: as for `build`.
        columns: the columns that it will be called with; a function that needs others could never be called.
    """
    try:
        if not (only_names() and name not in TABLE):
            built = build(name, options, Thinking(), folder)
            return None if columns is None else _uncallable(name, built, options or {}, columns)
        if is_own(name):
            _require_name(name)
            module = own_code.split_name(name).module
            if missing := own_code.why_no_file(module, folder):
                raise ValueError(f"reward {name!r}: {missing}")
            if own_code.file_of(module, folder) is None:
                _refuse_library(name, module)
        elif name not in _entry_points():
            raise ValueError(_unknown(name))
    except (ValueError, TypeError) as error:
        return str(error)
    return None


def _uncallable(name: str, reward: Any, options: Mapping[str, Any], columns: Sequence[str]) -> str | None:
    """What of a function's arguments nobody gives, or a column would take the place of."""
    inner = reward.func if isinstance(reward, functools.partial) else reward
    if not inspect.isfunction(inner):
        return None
    if hidden := [option for option in options if option in columns]:
        return f"reward {name!r}: the data have a column {hidden[0]!r}, which goes before the option; call it otherwise"
    missing = own_code.missing_arguments(inner, [*GIVEN_BY_TRAINER, *columns, *options])
    if not missing:
        return None
    wanted = ", ".join(missing)
    return (
        f"reward {name!r} needs {wanted}, and nothing gives it: there is no such column (columns: "
        f"{', '.join(columns)}); give it as an option, or a default"
    )


def locate(name: str, folder: Path | None = None) -> Any:
    """Import what a name stands for: a class, a ready instance, or a function; raise ValueError if there is none."""
    if name in TABLE:
        return _import(name, TABLE[name].path)
    if is_own(name):
        _require_name(name)
        return _import(name, name, folder, installed=False)
    installed = _entry_points()
    if name in installed:
        return _import(name, installed[name])
    raise ValueError(_unknown(name))


def module_of(name: str) -> str | None:
    """Name the module of a reward that is not this package's own; ``None`` for one of the table, or an unknown one."""
    if name in TABLE:
        return None
    path = name if is_own(name) else _entry_points().get(name, "")
    return own_code.split_name(path).module or None


def is_own(name: str) -> bool:
    """Whether a name is looked for among a person's own files: one of the table or of an entry point never is."""
    return ":" in name


def _require_name(name: str) -> None:
    if own_code.malformed(name):
        raise ValueError(f"reward {name!r:.200}: expected my_rewards.py:name, or package.module:name")


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, names(), n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"unknown reward {name!r}. {hint}Known: {', '.join(names())}, or my_rewards.py:name, or package.module:name"


def _entry_points() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}


def _import(name: str, path: str, folder: Path | None = None, *, installed: bool = True) -> Any:
    module = own_code.split_name(path).module
    if installed or own_code.file_of(module, folder) is None:
        _refuse_library(name, module)
    try:
        with _told(name, f"the import of {module!r}"):
            target: Any = own_code.import_attribute(path, folder, installed=installed)
    except ImportError as error:
        found = isinstance(error, own_code.NoSuchNameError) or own_code.why_no_file(module, folder)
        told = str(error) if found else f"cannot import {module!r}: {error}"
        raise ValueError(f"reward {name!r}: {told}") from error
    if not callable(target):
        raise ValueError(f"reward {name!r}: {path} is a {type(target).__name__}, not a function or class")
    _require_reward(name, path, target)
    return target


@contextlib.contextmanager
def _told(name: str, what: str) -> Iterator[None]:
    """What a person's code raises while it is imported or made, as a mistake of his."""
    try:
        with guarded(what):
            yield
    except (ImportError, ValueError, TypeError):
        raise
    except Exception as error:
        told = str(error) if isinstance(error, RunError) else own_code.told_failure(what, error)
        raise ValueError(f"reward {name!r}: {told}") from error


def _refuse_library(name: str, module: str) -> None:
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise ValueError(f"reward {name!r}: {module!r} is the standard library's, which has no rewards")


def _require_reward(name: str, path: str, target: Any) -> None:
    """Refuse what is no reward, without calling it.

    A class's instances are called, so that its `__call__` is looked at; of a partial, what it fixes.
    """
    inner = target
    while isinstance(inner, functools.partial):
        inner = inner.func
    own = inner if isinstance(inner, type) or inspect.isroutine(inner) else type(inner)
    _refuse_library(name, str(getattr(own, "__module__", None) or "builtins"))
    called = _static_call(inner) if isinstance(inner, type) else target
    try:
        parameters = inspect.signature(called).parameters if called is not None else {}
    except (ValueError, TypeError):
        parameters = {}
    wanted = parameters.get("completions")
    if wanted is None or wanted.kind in (wanted.POSITIONAL_ONLY, wanted.VAR_POSITIONAL, wanted.VAR_KEYWORD):
        what = f"{path} is a class whose instances take" if isinstance(inner, type) else f"{path} takes"
        raise ValueError(f"reward {name!r}: {what} no `completions`, so that it is no reward; it was not called")


def _static_call(kind: type) -> Any:
    """A class's own `__call__`, without asking it for the attribute: a metaclass may answer with anything."""
    found = next((vars(base)["__call__"] for base in kind.__mro__ if "__call__" in vars(base)), None)
    return found if inspect.isfunction(found) else None


def _bind(name: str, function: Any, options: Mapping[str, Any]) -> RewardFunction:
    if not options:
        return function
    if not inspect.isfunction(function):
        raise ValueError(f"reward {name!r} is ready made and takes no options ({', '.join(options)}); name its class")
    _check_options(name, function, options)
    bound = functools.partial(function, **options)
    bound.__name__ = function.__name__  # type: ignore[attr-defined]  # TRL logs rewards under it
    return bound


def _check_options(name: str, target: Any, options: Mapping[str, Any]) -> None:
    wrong = own_code.option_mistake(target, options, GIVEN_BY_TRAINER)
    if wrong is None:
        return
    unknown = next((option for option in options if option in _WEIGHTS and f"no option {option!r}" in wrong), None)
    hint = "" if unknown is None else ". How much a reward counts is the trainer's: reward_weights: [..], one a reward"
    raise ValueError(f"reward {name!r} {wrong}{hint}")
