"""Writing files so that a kill at any moment leaves the old one or the new one, never half of one.

JSON is written as its standard has it, for every parser: no `NaN`, no `Infinity`.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from magistral_recipe.errors import DataError


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


def why_no_file(path: Path) -> str | None:
    """Say why a path is not a file that can be read to its end: a pipe is waited for, a device never ends.

    Args:
        path: what was named; links are followed.

    Returns:
        The reason; ``None`` for a plain file.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return error.strerror or type(error).__name__
    except ValueError:  # a null byte
        return "no such file"
    for is_one, name in _KINDS:
        if is_one(mode):
            return f"is {name}, expected a file"
    if path.resolve().is_relative_to("/proc"):
        return "lies in /proc, expected a file"
    return None


_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def require_replaceable(path: Path, ours: Callable[[str], bool]) -> None:
    """See that no file of the user's stands where one of ours is to be written.

    Args:
        path: the file to write; links are followed.
        ours: whether a file that begins so is one that an earlier call has written.

    Raises:
        DataError: in a line.
    """
    if not os.path.lexists(path):
        return
    begin = ""
    if (why := why_no_file(path)) is None:
        with contextlib.suppress(OSError), open(path, "rb") as stream:
            begin = stream.read(4096).decode("utf-8", errors="replace")
    if why is not None or not ours(begin):
        raise DataError(f"{path}: {why or 'is a file that this command has not written'}; give another --output")


def read_text_within(path: Path, most: int) -> str:
    """Read a text file of somebody else's.

    Args:
        path: a plain file.
        most: bytes that are read at most.

    Returns:
        Its text.

    Raises:
        OSError: where it is no plain file, is too large or cannot be read; in one line.
        UnicodeDecodeError: where it is not UTF-8.
    """
    path.stat()
    if (reason := why_no_file(path)) is not None:
        raise OSError(errno.EINVAL, reason, str(path))
    with open(path, "rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"is larger than the {most:,} bytes that are read", str(path))
    return data.decode("utf-8")


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


# A folder that is not empty can't be replaced by one rename. Linux can exchange two folders at once, but Python doesn't
# offer it, network file systems refuse it, and other systems lack it: a second way would be needed all the same, and
# the one below does for all. The old folder moves aside under a hidden name, the new one takes its place, and the old
# one is deleted. Each step is one rename, so that at any kill
#   - the folder is whole at its own name, the old one or the new one; or, between the two renames, the old one lies
#     whole beside it: readers look there too (`whole_folder`), and whoever replaces the folder next puts it back first;
#   - what lies at the hidden name of the old one is whole, since it gets the temporary name before it is deleted;
#   - what lies at the temporary name is never read.
# Readers change nothing: one that put the old folder back would get in the way of a replacement that goes on.


@contextlib.contextmanager
def folder_atomically(path: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name and give it its own name at the end.

    Args:
        path: the folder to make; one that exists is replaced once the new one is whole.

    Yields:
        The temporary folder to write into.
    """
    temporary, aside = path.with_name(f".{path.name}.tmp"), _aside(path)
    _delete(temporary)
    _settle(path, temporary)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        sync_folder(temporary)
        if os.path.lexists(path):
            os.replace(path, aside)
        os.replace(temporary, path)
        sync_directory(path.parent)  # a power cut must not find the old one deleted and the new one without its name
    finally:
        _settle(path, temporary)
        _delete(temporary)


def whole_folder(path: Path) -> Path:
    """Return where a folder that `folder_atomically` made is to be read.

    Args:
        path: the folder.

    Returns:
        The path itself; where a kill in the middle of a replacement left nothing there, that of the old folder.
    """
    if os.path.lexists(path):
        return path
    aside = _aside(path)
    return aside if aside.is_dir() else path


def _aside(path: Path) -> Path:
    """The hidden name of a folder that is being replaced; a folder of that name is whole."""
    return path.with_name(f".{path.name}.old")


def _settle(path: Path, temporary: Path) -> None:
    """Bring a replacement that stopped halfway to one of its ends: without a new folder, the old one comes back."""
    aside = _aside(path)
    if not os.path.lexists(aside):
        return
    if not os.path.lexists(path):
        os.replace(aside, path)
        return
    os.replace(aside, temporary)  # half of it must never bear the name of a whole one
    _delete(temporary)


def _delete(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Flush every file of a folder to the disk, and the names of all."""
    for file in folder.rglob("*"):
        if file.is_file():
            sync_file(file)
        elif file.is_dir():
            sync_directory(file)
    sync_directory(folder)


def sync_file(file: Path) -> None:
    """Flush what a file holds to the disk."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
