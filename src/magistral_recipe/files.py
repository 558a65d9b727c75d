"""Writing files so that a kill at any moment leaves the old one or the new one, never half of one.

JSON is written as its standard has it, for every parser: no `NaN`, no `Infinity`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO


@contextlib.contextmanager
def replaced_atomically(path: Path) -> Iterator[BinaryIO]:
    """Write a file's new content: temporary file beside it, fsync, rename.

    Args:
        path: the file; it stays as it was where the writing fails.

    Yields:
        What to write the bytes into.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file that is whole or as it was before.

    Args:
        path: the file.
        text: its whole content. Half a surrogate pair, which UTF-8 cannot hold and a model may write, becomes an
            escape, the one that JSON has for it.
    """
    with replaced_atomically(path) as stream:
        stream.write(text.encode("utf-8", errors="backslashreplace"))


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file atomically; see `json_text`."""
    write_atomically(path, json_text(data, indent=2) + "\n")


def json_text(data: Any, indent: int | None = None) -> str:
    """Return JSON that every parser takes.

    Args:
        data: plain data; NaN and infinities, which JSON has no words for, become null, arrays and tensors lists,
            anything else that JSON doesn't know its text.
        indent: spaces a level; everything on one line by default.

    Raises:
        ValueError: if the data hold themselves.
    """
    encode = functools.partial(json.dumps, ensure_ascii=False, indent=indent, default=_plain, allow_nan=False)
    try:
        return encode(data)
    except TypeError:  # a key that is no text
        data = _with_text_keys(data)
    except ValueError:  # a number that is none
        pass
    # json.dumps can write NaN as a word or refuse it; a reader can be told what to make of the word.
    return encode(json.loads(json.dumps(data, default=_plain), parse_constant=lambda _: None))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    return [_with_text_keys(item) for item in value] if isinstance(value, list | tuple) else value


def read_json(path: Path) -> Any:
    """Read a JSON file, or ``None`` where there is none or it is broken."""
    if not path.is_file():  # a pipe of that name would be waited for without end
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def why_no_folder(path: Path) -> str | None:
    """Say why a folder can't be made or written to, making nothing.

    Args:
        path: the folder, which need not exist.

    Returns:
        The reason; ``None`` where nothing speaks against it.
    """
    nearest = path.absolute()
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    if not nearest.is_dir():
        return f"{nearest} is not a folder"
    return None if os.access(nearest, os.W_OK | os.X_OK) else f"{nearest} can't be written to"


@contextlib.contextmanager
def folder_atomically(path: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name and give it its own name at the end.

    Args:
        path: the folder to make; one that exists is replaced once the new one is whole.

    Yields:
        The temporary folder to write into.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        sync_folder(temporary)
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def sync_folder(folder: Path) -> None:
    """Flush every file of a folder to the disk, and the names of all."""
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        elif file.is_dir():
            sync_directory(file)
    sync_directory(folder)


def sync_directory(folder: Path) -> None:
    """Flush a folder's names to the disk: without it a power cut may undo a rename that was seen to happen."""
    if os.name != "posix":  # other systems cannot open a directory
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system that can't do this: the files themselves are safe
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hash_of(path: Path) -> str:
    """SHA-256 of a file, or of a folder's file names and contents, as 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            if path.is_dir():
                digest.update(str(file.relative_to(path)).encode())
            with open(file, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]
