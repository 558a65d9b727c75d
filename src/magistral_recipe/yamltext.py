"""YAML that a stranger may have written, read within bounds.

A half kilobyte of aliases stands for a billion values, brackets nest deeper than a parser's stack, a number has more
digits than Python turns into one. The text is therefore read twice: first as a stream of events, which takes no more
room than the text and shows all of that, then into values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 256 * 1024
MAX_NESTING = 64
MAX_VALUES = 10_000
"""Values and keys, with each alias counted as all that it stands for."""
MAX_DIGITS = 300
_LONG_NUMBER = re.compile(rf"[-+]?[0-9a-fA-FxXoO_:.]{{{MAX_DIGITS + 1},}}")


class YamlTextError(Exception):
    """A text that is no YAML, or YAML beyond the bounds.

    Args:
        problem: what is wrong, in a line.
        line: where, from 1.
        duplicate: whether it is a key that stands twice.
    """

    def __init__(self, problem: str, line: int = 1, duplicate: bool = False) -> None:
        self.problem, self.line, self.duplicate = " ".join(problem.split()), line, duplicate
        super().__init__(self.problem)


def parse_yaml(text: str, kind: str = "safe") -> Any:
    """Read one YAML document.

    Args:
        text: the document.
        kind: `ruamel.yaml`'s: ``safe`` for plain values, ``rt`` for nodes that know their lines.

    Returns:
        What it holds.

    Raises:
        YamlTextError: saying what is wrong and in which line.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > MAX_BYTES:
        raise YamlTextError(f"{len(text):,} characters, more than the {MAX_BYTES:,} that are read")
    try:
        _require_bounds(text)
        return YAML(typ=kind).load(text)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlTextError(str(error.problem).splitlines()[0], line, duplicate=True) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlTextError(str(error.problem or error.context), mark.line + 1 if mark else 1) from None
    except (YAMLError, ValueError, OverflowError) as error:  # a date with a 13th month is a ValueError
        raise YamlTextError(str(error)) from None
    except RecursionError:
        raise YamlTextError("nested too deeply") from None
    except (TypeError, AttributeError, LookupError, AssertionError) as error:  # a list as a key, a tag that isn't so
        raise YamlTextError(f"a key or a tag that can't be read ({str(error) or type(error).__name__})") from None


@dataclass
class _Open:
    """A mapping or list that has not ended, or a name that stands for one."""

    values: int = 1
    depth: int = 0
    anchor: str | None = None


def _require_bounds(text: str) -> None:
    from ruamel.yaml import YAML
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, NodeEvent, ScalarEvent

    stack = [_Open()]
    known: dict[str, _Open] = {}
    for event in YAML(typ="rt").parse(text):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, CollectionEndEvent):
            ended = stack.pop()
            _add(stack, ended, line)
            if ended.anchor is not None:
                known[ended.anchor] = ended
        elif isinstance(event, AliasEvent):
            named = known.get(event.anchor)
            if named is None:
                raise YamlTextError(f"the alias *{event.anchor} stands before the end of what it names", line)
            _add(stack, named, line)
        elif isinstance(event, ScalarEvent):
            if len(event.value) > MAX_DIGITS and not event.style and _LONG_NUMBER.fullmatch(event.value):
                raise YamlTextError(f"a number of {len(event.value):,} digits; {MAX_DIGITS} are read", line)
            _add(stack, _Open(), line)
            if event.anchor is not None:
                known[event.anchor] = _Open()
        elif isinstance(event, NodeEvent):
            stack.append(_Open(anchor=event.anchor))
            known.pop(event.anchor, None)  # until it has ended, its name stands for nothing
            if len(stack) > MAX_NESTING:
                raise YamlTextError(f"nested more than {MAX_NESTING} levels deep", line)


def _add(stack: list[_Open], part: _Open, line: int) -> None:
    """Count a part that has ended to what it stands in."""
    whole = stack[-1]
    whole.values += part.values
    whole.depth = max(whole.depth, part.depth + 1)
    if whole.values > MAX_VALUES:
        raise YamlTextError(f"more than {MAX_VALUES:,} values, with those that aliases repeat", line)
    if len(stack) + whole.depth > MAX_NESTING:
        raise YamlTextError(f"nested more than {MAX_NESTING} levels deep, with what aliases repeat", line)
