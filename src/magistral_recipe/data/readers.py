"""Rows out of files, one at a time: JSONL, JSON, CSV, Parquet, folders of them, saved datasets, the hub.

A file that cannot be read at all is a `DataError`; a row that cannot is a `BadRow`, and the next one is
read. Nothing here knows what a problem is.

JSON lines are read by other rules than those that a run writes itself (`jsonlines.py`): people bring these, from any
program. They are told the line and the reason for each one that doesn't count, so that it can be mended; a line of any
length must not fill the memory; byte order marks, compression and other encodings occur; and `NaN` is a mistake.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

from magistral_recipe.data.fields import Code
from magistral_recipe.errors import DataError
from magistral_recipe.files import why_no_file

SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".json", ".csv", ".tsv", ".parquet")
MAX_LINE_BYTES = 32 * 2**20
"""A longer line is set aside without being held in memory: no row of text is 32 MiB."""
MAX_UNPACKED = 200
"""So many times its size a compressed file may unpack to; text comes to 3 to 20, and a bomb to 1,000."""
UNPACKED_ANYWAY = 4 * 2**20
MAX_BLANK_LINES = 100_000
"""One after the other; a file that goes on so is no data."""
MAX_JSON_BYTES = 2**30
"""A .json file is parsed as a whole; beyond 1 GiB it should be JSONL."""
PEEK_JSON_BYTES = 64 * 2**20
"""A .json file up to this size is parsed for a look at its first rows: half a second (DeepScaleR's has 21 MB)."""

_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


class Place(NamedTuple):
    """Where a row stands: ``line`` counts physical lines, ``row`` records, both from 1."""

    file: str
    unit: str
    number: int

    def __str__(self) -> str:
        return f"{self.file}:{self.number}" if self.unit == "line" else f"{self.file}, row {self.number}"


class RawRow(NamedTuple):
    """A row as the file gave it."""

    place: Place
    value: Any


class BadRow(NamedTuple):
    """A row that could not be read."""

    place: Place
    code: Code
    reason: str
    text: str


def suffix_of(path: Path) -> str | None:
    """Name the kind of a data file by its ending; None where it is none that is read."""
    name = path.name.lower()
    return next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(suffix)), None)


def can_peek(path: Path) -> bool:
    """Say whether the first rows are had without reading everything or loading a heavy library."""
    if path.is_dir():
        return not _is_saved_dataset(path)
    return suffix_of(path) != ".json" or path.stat().st_size < PEEK_JSON_BYTES


def _is_saved_dataset(path: Path) -> bool:
    return (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()


def read_rows(
    path: Path, label: str, split: str | None = None, headerless: Sequence[str] = ()
) -> Iterator[RawRow | BadRow]:
    """Read a data file or folder row by row, in a fixed order.

    Args:
        path: a file with one of `SUFFIXES`, a folder saved by ``datasets``, or a folder of such files.
        label: what to call it in messages and in the quarantine, e.g. the path as the user wrote it.
        split: which split of a folder, or which list of a JSON object that has several; other files have none.
        headerless: the columns, in order, of a CSV or TSV file whose first row doesn't name them.

    Yields:
        Rows, and what stood where a row should have been.

    Raises:
        DataError: if the file cannot be read at all.
    """
    if path.is_dir():
        yield from _folder(path, label, split)
        return
    if path.exists() and (reason := why_no_file(path)) is not None:
        raise DataError(f"{label}: {reason}")
    suffix = suffix_of(path)
    if suffix is None:
        raise DataError(f"{label}: not a kind of file that can be read; expected one of {', '.join(SUFFIXES)}")
    try:
        array = suffix in (".jsonl", ".ndjson") and _is_array(path)
    except OSError as error:
        raise DataError(f"{label}: cannot be read: {error}") from error
    if suffix in (".jsonl", ".ndjson", ".jsonl.gz") and not array:
        yield from read_json_lines(path, label)
        return
    try:
        if array:
            yield from _json(path, label, split)
        elif suffix in (".csv", ".tsv"):
            yield from _csv(path, label, _delimiter(path) if suffix == ".csv" else "\t", headerless)
        elif suffix == ".json":
            yield from _json(path, label, split)
        else:
            yield from _parquet(path, label)
    except OSError as error:
        raise DataError(f"{label}: cannot be read: {error}") from error


def read_json_lines(path: Path, label: str) -> Iterator[RawRow | BadRow]:
    """Read a file of JSON lines, compressed or not, whatever its name ends in; see `read_rows`."""
    if path.exists() and (reason := why_no_file(path)) is not None:
        raise DataError(f"{label}: {reason}")
    try:
        yield from _json_lines(path, label)
    except (OSError, EOFError) as error:  # EOFError: a compressed file that was cut
        raise DataError(f"{label}: cannot be read: {error}") from error


def _json_lines(path: Path, label: str) -> Iterator[RawRow | BadRow]:
    compressed = path.name.lower().endswith(".gz")
    most = MAX_UNPACKED * path.stat().st_size + UNPACKED_ANYWAY if compressed else None
    with (gzip.open if compressed else open)(path, "rb") as file:
        blank = 0
        for number, line, cut in _lines(file, label, most):
            if number == 1:
                _refuse_other_encodings(line, label)
            place = Place(label, "line", number)
            # Files that were joined from several keep a byte order mark at each seam.
            line = line.removeprefix(_BOM).strip(b" \t\r\n")
            if cut:
                reason = f"the line is longer than {MAX_LINE_BYTES:,} bytes"
                yield BadRow(place, Code.TOO_LONG, reason, _excerpt(line))
            elif line:
                yield _parsed(line, place)
            blank = 0 if line else blank + 1
            if blank > MAX_BLANK_LINES:
                raise DataError(f"{place}: {blank:,} blank lines one after the other, expected JSON objects")


def _lines(file: BinaryIO | gzip.GzipFile, label: str, most: int | None) -> Iterator[tuple[int, bytes, bool]]:
    """Split a stream of so many bytes at most into (number, line, cut short), holding `MAX_LINE_BYTES` of a line."""
    number = read = 0
    while line := file.readline(MAX_LINE_BYTES):
        number += 1
        cut = False
        rest = line
        read += len(line)
        while not rest.endswith(b"\n") and (rest := file.readline(MAX_LINE_BYTES)):
            cut = True
            read += len(rest)
            _require_unpacked(read, most, label)
        _require_unpacked(read, most, label)
        yield number, line, cut


def _require_unpacked(read: int, most: int | None, label: str) -> None:
    if most is not None and read > most:
        raise DataError(f"{label}: unpacks to more than {MAX_UNPACKED} times its size; unpack it and look what it is")


def _refuse_other_encodings(start: bytes, label: str) -> None:
    for mark, encoding in _OTHER_BOMS.items():
        if start.startswith(mark):
            raise DataError(f"{label}: the file is {encoding}; save it as UTF-8")
    if start.startswith(b"version https://git-lfs"):
        raise DataError(f"{label}: a Git LFS pointer, not the data; run 'git lfs pull'")


def _parsed(line: bytes, place: Place) -> RawRow | BadRow:
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_not_json, object_pairs_hook=_object)
        return _row(place, value, lambda: _excerpt(line))
    except UnicodeDecodeError as error:
        return BadRow(place, Code.INVALID_UTF8, f"byte {error.start + 1} of the line: {error.reason}", _excerpt(line))
    except RecursionError:
        return BadRow(place, Code.BAD_JSON, "nested too deeply", _excerpt(line))
    except ValueError as error:
        code = Code.NUL if b"\0" in line else Code.BAD_JSON
        return BadRow(place, code, str(error), _excerpt(line))


class _Ambiguous(dict[str, Any]):
    """An object in which a key stands twice: JSON's readers take the last, silently, and others the first."""

    twice = ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    seen: set[str] = set()
    ambiguous = _Ambiguous(plain)
    ambiguous.twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return ambiguous


def _row(place: Place, value: Any, text: Callable[[], str]) -> RawRow | BadRow:
    """A row, set aside where it, or an object right inside it, says two things under one name."""
    inside = value.values() if isinstance(value, dict) else ()
    lists = [item for each in inside if isinstance(each, list) for item in each]
    for each in (value, *inside, *lists):
        if isinstance(each, _Ambiguous):
            return BadRow(place, Code.BAD_JSON, f"the key '{each.twice:.60}' stands twice in one object", text())
    return RawRow(place, value)


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _excerpt(line: bytes, width: int = 500) -> str:
    text = line[:width].decode("utf-8", errors="backslashreplace")
    return text if len(line) <= width else text + "…"


def _json(path: Path, label: str, split: str | None) -> Iterator[RawRow | BadRow]:
    """Read a JSON array of objects, an object that holds one, or JSON lines under the wrong ending."""
    with path.open("rb") as file:
        start = file.read(256)
        _refuse_other_encodings(start, label)
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise DataError(f"{label}: {size:,} bytes; a JSON file this large must be JSONL (one object a line)")
        content = start + file.read()
    try:
        text = content.removeprefix(_BOM).decode("utf-8")
        document = json.loads(text, parse_constant=_not_json, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        if content.removeprefix(_BOM).lstrip().startswith(b"{"):
            yield from _json_lines(path, label)
            return
        raise DataError(f"{label}: not JSON: {error}") from error
    yield from _records(document, label, split)


def _is_array(path: Path) -> bool:
    """Whether a file that ends in .jsonl is one array of objects: lines of JSON don't begin with a list."""
    with path.open("rb") as file:
        start = file.read(256).removeprefix(_BOM).lstrip()
    line = start.partition(b"\n")[0].strip()
    return line == b"[" or (line.startswith(b"[{") and path.stat().st_size <= MAX_JSON_BYTES)


def _records(document: Any, label: str, split: str | None) -> Iterator[RawRow | BadRow]:
    if isinstance(document, _Ambiguous) and any(isinstance(value, list) for value in document.values()):
        raise DataError(f"{label}: the key '{document.twice:.60}' stands twice in one object")
    if isinstance(document, dict):
        lists = [key for key, value in document.items() if isinstance(value, list)]
        if split in lists and len(lists) > 1:
            document = document[split]
        elif len(lists) != 1:
            if lists:
                named = f"none of them is '{split}'" if split else "give one list of rows, or name one with `split`"
                raise DataError(f"{label}: an object with several lists ({', '.join(lists[:6])}); {named}")
            document = [document]
        else:
            document = document[lists[0]]
    if not isinstance(document, list):
        raise DataError(f"{label}: expected a list of objects, got {type(document).__name__}")
    for number, value in enumerate(document, start=1):
        yield _row(Place(label, "row", number), value, lambda: str(value)[:500])  # noqa: B023 - called at once


def _delimiter(path: Path) -> str:
    """What parts the cells of a .csv file: a comma, or what its header has more of; many spreadsheets write ``;``."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        head = file.readline(MAX_LINE_BYTES)
    counts = {sign: len(next(csv.reader([head], delimiter=sign), [])) for sign in ",;\t|"}
    return max(counts, key=lambda sign: counts[sign])


def _csv(path: Path, label: str, delimiter: str, headerless: Sequence[str] = ()) -> Iterator[RawRow | BadRow]:
    with path.open("rb") as raw:
        _refuse_other_encodings(raw.read(64), label)
    # surrogateescape keeps a bad byte visible in its own cell, where the field's check finds it.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        header: list[str] | None = None
        while True:
            place = Place(label, "line", reader.line_num + 1)
            try:
                cells = _next_cells(reader)
            except csv.Error as error:
                if header is None:
                    raise DataError(f"{label}: the header cannot be read: {error}") from error
                yield BadRow(place, Code.BAD_CSV, str(error), "")
                continue
            if cells is None:
                return
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                if not headerless or set(headerless) <= set(header):
                    continue
                header = list(headerless)
            if len(cells) > len(header):
                reason = f"{len(cells)} cells, but the header has {len(header)}"
                yield BadRow(place, Code.BAD_CSV, reason, _excerpt(repr(cells).encode(errors="backslashreplace")))
            else:
                # An empty cell is how CSV writes "nothing".
                yield RawRow(place, {key: cell or None for key, cell in zip(header, cells, strict=False)})


def _next_cells(reader: Iterator[list[str]]) -> list[str] | None:
    """Read one row; the module's limit of 128 KiB a cell, which is global, is lifted meanwhile (traces are longer)."""
    before = csv.field_size_limit(MAX_LINE_BYTES)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(before)


def _parquet(path: Path, label: str) -> Iterator[RawRow | BadRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(batch_size=256):
            for index in range(batch.num_rows):
                number += 1
                place = Place(label, "row", number)
                try:
                    yield RawRow(place, batch.slice(index, 1).to_pylist()[0])
                except UnicodeDecodeError as error:
                    yield BadRow(place, Code.INVALID_UTF8, str(error), "")
    except pyarrow.ArrowException as error:
        raise DataError(f"{label}: not a Parquet file that can be read: {error}") from error


def _folder(path: Path, label: str, split: str | None) -> Iterator[RawRow | BadRow]:
    if _is_saved_dataset(path):
        yield from _saved_dataset(path, label, split)
        return
    files = data_files(path, split)
    if split is None and len(several := splits_of(path)) > 1:
        raise DataError(f"{label}: a folder with several splits ({', '.join(several)}); name one with `split`")
    if not files:
        of = f" whose name or folder starts with '{split}'" if split else ""
        raise DataError(f"{label}: no data file{of} in this folder; expected {', '.join(SUFFIXES)}")
    for file in files:
        yield from read_rows(file, f"{label.rstrip('/')}/{file.relative_to(path).as_posix()}")


def data_files(folder: Path, split: str | None) -> list[Path]:
    """List a folder's data files in order; of one split, those whose name or folder starts with it."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and suffix_of(file))
    if split is None:
        return files
    return [file for file in files if any(part.startswith(split) for part in file.relative_to(folder).parts)]


_SPLITS = ("train", "test", "val", "dev", "eval", "heldout")


def splits_of(folder: Path) -> list[str]:
    """Name the usual splits that a folder's files or folders are called after; none of a saved dataset's."""
    return [] if _is_saved_dataset(folder) else [name for name in _SPLITS if data_files(folder, name)]


def _saved_dataset(path: Path, label: str, split: str | None) -> Iterator[RawRow]:
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{label}: not a saved dataset that can be read: {error}") from error
    if isinstance(loaded, datasets.DatasetDict):
        wanted = split or (next(iter(loaded)) if len(loaded) == 1 else "train")
        if wanted not in loaded:
            raise DataError(f"{label}: no split '{wanted}'; there are: {', '.join(loaded)}")
        loaded = loaded[wanted]
    for number, value in enumerate(loaded, start=1):
        yield RawRow(Place(label, "row", number), value)


def rows_of(data: object, label: str) -> Iterator[RawRow]:
    """Read rows that are in memory: a frame of pandas or polars, a `datasets.Dataset`, or mappings.

    Args:
        data: the rows.
        label: what to call them in messages.

    Raises:
        DataError: for what is none of these.
    """
    if (tuples := getattr(data, "itertuples", None)) is not None:  # a frame, known without importing pandas
        names = list(getattr(data, "columns", ()))
        data = (dict(zip(names, values, strict=True)) for values in tuples(index=False, name=None))
    elif callable(polars := getattr(data, "to_dicts", None)):
        data = polars()
    if isinstance(data, str | bytes | Mapping) or not isinstance(data, Iterable):
        several = f": {', '.join(map(str, data))}; give one of them" if isinstance(data, Mapping) else ""
        raise DataError(f"{label}: expected a pandas frame, a data set or mappings, got {type(data).__name__}{several}")
    for number, value in enumerate(data, start=1):
        row = {str(name): _plain(cell) for name, cell in value.items()} if isinstance(value, Mapping) else value
        yield RawRow(Place(label, "row", number), row)


def _plain(cell: object) -> object:
    """A cell as JSON would have it: NumPy's values as Python's, a frame's NaN as nothing."""
    if hasattr(cell, "tolist"):
        cell = cell.tolist()
    return None if isinstance(cell, float) and math.isnan(cell) else cell


_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_hub_id(path: str) -> bool:
    """Say whether a path that is no local one can be a dataset of the hub: ``owner/name``, no data file."""
    return bool(_HUB_ID.fullmatch(path)) and suffix_of(Path(path)) is None


def read_hub(
    name: str,
    *,
    subset: str | None,
    split: str | None,
    revision: str | None,
    first_rows_only: bool = False,
    files: Sequence[str] = (),
) -> Iterator[RawRow]:
    """Read a dataset of the hub, from its cache when it is there.

    Args:
        name: ``owner/name``.
        subset: the configuration, for datasets that have several.
        split: the split; ``train`` unless told.
        revision: a commit, tag or branch.
        first_rows_only: only the first rows will be read: stream them instead of downloading everything.
        files: read these JSONL files of the repository in place of a split: for sets that have a loading script.

    Raises:
        DataError: if the hub, the dataset, the subset or the split is not there.
    """
    import datasets

    number = 0
    try:
        # A stream never looks into the cache, which is all that there is offline.
        streaming = first_rows_only and not datasets.config.HF_HUB_OFFLINE
        if files:
            urls = [f"hf://datasets/{name}@{revision or 'main'}/{file}" for file in files]
            rows = datasets.load_dataset("json", data_files=urls, split="train", streaming=streaming)
        else:
            rows = datasets.load_dataset(name, subset, split=split or "train", revision=revision, streaming=streaming)
        for number, value in enumerate(rows, start=1):
            yield RawRow(Place(name, "row", number), value)
    except (OSError, ValueError, ConnectionError) as error:
        where = f" after row {number}" if number else ""
        raise DataError(f"{name}: cannot be loaded from the Hugging Face hub{where}: {error}") from error
