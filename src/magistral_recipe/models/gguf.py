"""Loading a GGUF file without reading its header anew for each part. Light to import.

transformers reads the whole header, vocabulary included, for the config, the tokenizer and the weights each, and gguf's
table of tensor names once a module: most of the seconds that a small model takes to load. Both are functions of what
does not change meanwhile. The header's hundred thousand words are slices of the mapped file, and a slice of numpy's
`memmap` takes three times as long as one of a plain array over the same memory.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def header_read_once(wanted: bool = True) -> Iterator[None]:
    """Remember GGUF headers and name tables as long as this lasts; what is loaded is the same.

    Within another such context, or without the package `gguf`, nothing is changed.

    Args:
        wanted: whether a GGUF file will be read; else nothing is changed, and the package is not loaded.
    """
    if not wanted or importlib.util.find_spec("gguf") is None:
        yield
        return
    import gguf
    import numpy as np

    reader, name_map = gguf.GGUFReader, gguf.get_tensor_name_map
    if hasattr(name_map, "cache_info"):
        yield
        return

    class Reader(reader):  # type: ignore[misc, valid-type]
        data: Any

        def _get(self, *arguments: Any, **keywords: Any) -> Any:
            self.data = self.data.view(np.ndarray)
            return super()._get(*arguments, **keywords)

    @functools.lru_cache(maxsize=2)
    def remembered(path: Any, mode: str = "r") -> Any:
        return Reader(path, mode)

    # transformers looks both up in the package whenever it loads, so that they can stand in for the real ones.
    gguf.GGUFReader = remembered
    gguf.get_tensor_name_map = functools.lru_cache(maxsize=8)(name_map)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = reader, name_map
