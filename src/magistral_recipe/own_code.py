"""Python that a person has beside a recipe: found by `file.py:name` or `module:name`, imported as it stands there.

Looked for beside the recipe, then in the working folder, then among what is installed; so it is the same code by every
way in: `run`, `check`, `rewards`, a stage's own process, `accelerate launch`, a notebook. What a file imports from its
own folder is found as well. Importing runs code: whoever wants names alone (`foreign.naming_only`) calls `file_of` and
no more.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from magistral_recipe.foreign import guarded
from magistral_recipe.suggest import did_you_mean

_PACKAGE = Path(__file__).parent
_INSTALLED = ("site-packages", "dist-packages")
_SEARCHING = 10.0  # seconds in which the row of a failure is looked for


class Named(NamedTuple):
    """What stands before and behind the last colon of a name."""

    module: str
    attribute: str


class NoSuchNameError(ImportError):
    """A module is there, and what a name stands for is not in it."""


def split_name(name: str) -> Named:
    """Take `my_rewards.py:short` or `package.module:short` apart; a Windows drive's colon is none."""
    module, _, attribute = name.rpartition(":")
    return Named(module, attribute)


def file_of(module: str, folder: Path | None) -> Path | None:
    """Find the file beside a recipe or in the working folder that a name stands for; nothing is imported.

    Args:
        module: `file.py`, or a module's dotted name.
        folder: the recipe's; ``None`` where there is none.

    Returns:
        The file; ``None`` where there is none, and a module may be an installed one.
    """
    for start in starts(folder):
        if module.endswith(".py"):
            file = start / Path(module).expanduser()
            found = file if _is_file(file) else None
        else:
            found = beneath(start, module.split("."))
        if found is not None:
            return found.resolve()
    return None


def beneath(folder: Path, names: Sequence[str]) -> Path | None:
    """Find a module's file below a folder as Python does: a package goes before a file of its name."""
    place = folder.joinpath(*names)
    files = (place / "__init__.py", place.with_name(f"{place.name}.py"))
    return next((file for file in files if _is_file(file)), None)


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def malformed(name: str) -> bool:
    """Whether a name is none of code's: `file.py:name` or `package.module:name`, each part a Python name."""
    module, attribute = split_name(name)
    parts = [] if module.endswith(".py") else module.split(".")
    return not all(part.isidentifier() for part in (*parts, *attribute.split(".")))


def is_installed(file: Path) -> bool:
    """Say whether a file came with an installed package."""
    return any(part in _INSTALLED for part in file.parts)


def why_no_file(module: str, folder: Path | None) -> str | None:
    """Say that a file of code is not there, with the nearest name; ``None`` where it is, or a module is named."""
    if not module.endswith(".py") or file_of(module, folder) is not None:
        return None
    places = starts(folder)
    there = [file.name for start in places if start.is_dir() for file in start.glob("*.py")]
    where = "beside the recipe nor in the working folder" if len(places) > 1 else "in the working folder"
    return f"no such file: {module}, {'neither ' if len(places) > 1 else ''}{where}.{did_you_mean(module, there)}"


def import_named(module: str, folder: Path | None) -> ModuleType:
    """Import the module of a name; a file that was written to since is imported again.

    Args:
        module: `file.py`, or a module's dotted name.
        folder: the recipe's.

    Returns:
        The module.

    Raises:
        ImportError: if there is none.
    """
    if missing := why_no_file(module, folder):
        raise ImportError(missing)
    file = file_of(module, folder)
    if file is None:
        return importlib.import_module(module)
    root = root_of(module, file)
    for place in (root, *starts(folder)):
        if str(place) not in sys.path:
            sys.path.append(str(place))  # at its end: no file of a person's hides an installed package from others
    if not module.endswith(".py") and ("." in module or file.name == "__init__.py"):
        return _in_package(module, root)
    told = file.stat()
    return _from_file(file, (told.st_mtime_ns, told.st_size))


def import_attribute(name: str, folder: Path | None, *, installed: bool = False) -> Any:
    """Import what a name stands for.

    Args:
        name: `file.py:name` or `module:name`, the last part dotted where it is an attribute's attribute.
        folder: the recipe's.
        installed: it is an installed package's name, which no file beside the recipe takes.

    Returns:
        It.

    Raises:
        ImportError: if there is no such module.
        NoSuchNameError: with the nearest, if the module has none.
    """
    module, attribute = split_name(name)
    target: Any = importlib.import_module(module) if installed else import_named(module, folder)
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise NoSuchNameError(f"{module!r} has no {part!r}.{did_you_mean(part, _public(target))}")
        target = getattr(target, part)
    return target


def _public(target: Any) -> list[str]:
    return [name for name in dir(target) if not name.startswith("_")]


def starts(folder: Path | None) -> list[Path]:
    """The folders in which a person's own files are looked for: the recipe's, then the working folder."""
    return list(dict.fromkeys([*([] if folder is None else [folder.resolve()]), Path.cwd()]))


def root_of(module: str, file: Path) -> Path:
    """Return the folder from which a module's name leads to the file that `file_of` found."""
    if module.endswith(".py"):
        return file.parent
    depth = module.count(".") + (file.name == "__init__.py")
    return file.parents[depth]


def _in_package(module: str, root: Path) -> ModuleType:
    sys.path.insert(0, str(root))
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(str(root))
        if str(root) not in sys.path:
            sys.path.append(str(root))


@functools.lru_cache(maxsize=64)
def _from_file(file: Path, stamp: tuple[int, int]) -> ModuleType:
    """Import a file under its own name, or, where that is taken, under one that is not."""
    taken = sys.modules.get(file.stem)
    name = file.stem
    if name in sys.stdlib_module_names or (taken is not None and getattr(taken, "__file__", None) != str(file)):
        name = f"_beside_a_recipe.{abs(hash(file)):x}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} can't be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as an import does, for what looks its module up (dataclasses, pickle)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


# --------------------------------------------------------------------------------------------- its signature


def option_mistake(target: Any, options: Mapping[str, Any], filled: Sequence[str] = ()) -> str | None:
    """Hold options against the signature of what takes them; an option that only `**kwargs` would take is none.

    Args:
        target: a function, or a class, whose constructor counts.
        options: by name.
        filled: arguments that whoever calls it gives himself.

    Returns:
        The first mistake, to follow the name of what takes the options.
    """
    names = [name for name in _names(target) if name not in filled]
    for option in options:
        if option in filled:
            return f"is given {option!r} by the trainer; it is no option"
        if option not in names:
            takes = f" It takes: {', '.join(names)}" if names else " It takes none"
            return f"takes no option {option!r}.{did_you_mean(option, names, list_all_below=0)}{takes}"
    return None


def missing_arguments(function: Any, given: Sequence[str]) -> list[str]:
    """Name the arguments that a function has to be given, and that are not among `given`."""
    try:
        parameters = inspect.signature(function).parameters
    except (ValueError, TypeError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [
        name
        for name, parameter in parameters.items()
        if parameter.kind in kinds and parameter.default is parameter.empty and name not in given
    ]


def _names(target: Any) -> list[str]:
    """The names that a function, or a class's constructor, takes: its bases' too, where it passes others on to them."""
    found: dict[str, None] = {}
    for step in _signatures(target):
        kinds = {parameter.kind for parameter in step.values()}
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        found |= dict.fromkeys(name for name, each in step.items() if each.kind in named and name != "self")
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    return list(found)


def _signatures(target: Any) -> Iterator[Mapping[str, inspect.Parameter]]:
    if not isinstance(target, type):
        yield inspect.signature(target).parameters
        return
    own = [vars(kind)["__init__"] for kind in target.__mro__ if kind is not object and "__init__" in vars(kind)]
    if not own:
        yield inspect.signature(target).parameters
    for constructor in own:
        yield inspect.signature(constructor).parameters


# ------------------------------------------------------------------------------------------------- its failures


def told_failure(what: str, error: BaseException, row: str = "") -> str:
    """One line about what somebody's code has raised: its name, the error, the line of his file, and the row.

    Args:
        what: what a person calls it.
        error: what it raised.
        row: which row it was about, in words.
    """
    text = " ".join(str(error).split())
    told = f"{type(error).__name__}: {text}" if text else type(error).__name__
    at = own_line(error)
    return f"{what} raised {told}{f' ({at})' if at else ''}{f' on {row}' if row else ''}"


def own_line(error: BaseException) -> str:
    """Where in a person's own file an error was raised, `file.py:7`; empty where it was nowhere in one."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file.suffix == ".py" and _PACKAGE not in file.parents and not is_installed(file):
            return "" if "lib/python" in file.as_posix() else f"{file.name}:{frame.lineno}"
    return ""


def reward_failure(
    name: str, error: BaseException, function: Callable[..., Any] | None, count: int, arguments: Mapping[str, Any]
) -> str:
    """One line about what a reward has raised, with the first row about which it raises so by itself.

    Args:
        name: the reward's.
        error: what it raised for all rows.
        function: the reward; ``None`` where it can't be called again, as a coroutine.
        count: rows.
        arguments: what it was called with, one value a row in each list; their `id` names a row.
    """
    row = "" if function is None or count < 1 else _first_failing(function, count, arguments, error)
    return told_failure(f"reward '{name}'", error, row)


def _first_failing(function: Callable[..., Any], count: int, arguments: Mapping[str, Any], error: BaseException) -> str:
    columns = {key for key, value in arguments.items() if isinstance(value, list | tuple) and len(value) == count}
    deaf = {"log_extra": lambda *_: None, "log_metric": lambda *_: None}
    until = time.monotonic() + _SEARCHING
    for number in range(count):
        if time.monotonic() > until:
            return ""
        one = {key: value[number : number + 1] if key in columns else value for key, value in arguments.items()}
        try:
            with guarded("a reward, called for one row,"):
                function(**{**one, **deaf})
        except Exception as again:  # noqa: BLE001  # somebody's code: only the kind of its failure is looked at
            if type(again) is type(error):
                named = f" (id {arguments['id'][number]!r})" if "id" in columns else ""
                return f"row {number + 1} of {count}{named}"
    return ""
