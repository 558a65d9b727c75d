r"""Where the final answer stands in the answer part: in ``\boxed{}``, between tags of one's own, or as bare text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from magistral_recipe.writing.boxes import find_boxes

ContainerSpec = Literal["boxed", "text"] | tuple[str, str] | Sequence[str]
"""``"boxed"``, ``"text"``, or a pair of tags such as ``("<answer>", "</answer>")``."""


class Container:
    r"""Finds final answers.

    Args:
        spec: ``"boxed"``: all closed ``\boxed{}``; a pair of tags: what stands between each such pair, out of its box
            if it stands in one there; ``"text"``: the whole answer part.

    Raises:
        ValueError: for anything else, or tags that are blank or contain one another.
    """

    def __init__(self, spec: ContainerSpec = "boxed") -> None:
        self.tags: tuple[str, str] | None = None
        if isinstance(spec, str):
            if spec not in ("boxed", "text"):
                raise ValueError(f"container: {spec!r} is neither 'boxed', 'text' nor a pair of tags")
        else:
            self.tags = _pair(spec)
            opening, closing = map(re.escape, self.tags)
            self._pattern = re.compile(rf"{opening}((?:(?!{opening}).)*?){closing}", re.DOTALL)
        self.spec: str | tuple[str, str] = self.tags or str(spec)

    @property
    def boxed(self) -> bool:
        """Whether the answer stands in a box, as the paper has it."""
        return self.spec == "boxed"

    def find(self, answer: str) -> list[str]:
        """Return the final answers of an answer part, in order, not stripped.

        Args:
            answer: the text behind the thoughts.

        Returns:
            What the containers hold; empty where there is none.
        """
        if self.tags is None:
            return find_boxes(answer) if self.boxed else [answer]
        contents = self._pattern.findall(answer)
        return [inner for content in contents for inner in find_boxes(content) or [content]]

    def __repr__(self) -> str:
        return f"Container({self.spec!r})"


def _pair(spec: Any) -> tuple[str, str]:
    tags = tuple(spec) if isinstance(spec, Sequence) else ()
    if len(tags) != 2 or not all(isinstance(tag, str) and tag.strip() for tag in tags):
        raise ValueError(f"container: {spec!r} is neither 'boxed', 'text' nor a pair of tags")
    if tags[0] in tags[1] or tags[1] in tags[0]:
        raise ValueError(f"container: the tags must not contain one another: {tags[0]!r}, {tags[1]!r}")
    return tags[0], tags[1]
