"""`magistral-recipe rewards`: try a reward on a file of completions before it is trained on.

A row is a JSON object with `completion` (or `completions`, one row each) and the columns that the reward
reads. Scores and reasons go to a file beside the input; a row that cannot be scored is set aside with its
line and the reason, and the rest is scored.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from magistral_recipe import own_code
from magistral_recipe.data.readers import BadRow, read_json_lines
from magistral_recipe.errors import DataError, MagistralRecipeError
from magistral_recipe.files import require_replaceable
from magistral_recipe.jsonlines import lines_text
from magistral_recipe.rewards.registry import TABLE, RewardFunction, build, names
from magistral_recipe.terminal.console import told_errors
from magistral_recipe.writing.thinking import Thinking

BATCH = 256
_NOT_COLUMNS = frozenset({"prompt", "completion", "completions", "completion_ids"})


@dataclass
class ScoredRow:
    """One completion: where it stands, its value, and the parts and the reason that the reward logged."""

    line: int
    row: dict[str, Any]
    value: float | None = None
    extras: dict[str, Any] = field(default_factory=dict)


@dataclass
class ScoredFile:
    """What a file earned.

    Attributes:
        rows: the scored completions, in order.
        set_aside: (line, reason) of each row that could not be scored.
        name: of the reward.
        maximum: what a perfect completion earns, where the reward states it.
    """

    rows: list[ScoredRow]
    set_aside: list[tuple[int, str]]
    name: str
    maximum: float | None = None

    @property
    def values(self) -> list[float]:
        """The values of the rows to which the reward applies."""
        return [row.value for row in self.rows if row.value is not None]

    @property
    def reasons(self) -> Counter[str]:
        """How often each reason was given."""
        return Counter(str(value) for row in self.rows for key, value in row.extras.items() if key.endswith("reason"))


def score_file(path: Path, reward: RewardFunction, batch_size: int = BATCH) -> ScoredFile:
    """Score a JSONL file of completions with a reward.

    Args:
        path: one JSON object a line.
        reward: any callable with TRL's signature.
        batch_size: how many rows to hand over at once.

    Returns:
        The scores, and the rows set aside.

    Raises:
        DataError: where the file cannot be read or no row of it can be scored.
    """
    set_aside: list[tuple[int, str]] = []
    rows = list(_rows(path, set_aside))
    scored: list[ScoredRow] = []
    for start in range(0, len(rows), batch_size):
        scored += _score(rows[start : start + batch_size], reward, set_aside)
    if not scored:
        line, reason = set_aside[0] if set_aside else (0, "the file is empty")
        where = f"{path}:{line}" if line else str(path)
        raise DataError(f"{where}: {reason}; no row could be scored")
    name = str(getattr(reward, "__name__", type(reward).__name__))
    return ScoredFile(scored, sorted(set_aside), name, getattr(reward, "maximum", None))


def _rows(path: Path, set_aside: list[tuple[int, str]]) -> Iterator[ScoredRow]:
    for read in read_json_lines(path, str(path)):
        number = read.place.number
        if isinstance(read, BadRow):
            set_aside.append((number, f"no JSON: {read.reason}"))
            continue
        row = read.value
        if not isinstance(row, dict):
            set_aside.append((number, f"expected an object, found {type(row).__name__}"))
        elif "completion" in row:
            yield ScoredRow(number, row)
        elif isinstance(row.get("completions"), list):
            for completion in row["completions"]:
                yield ScoredRow(number, {**row, "completion": completion})
        else:
            set_aside.append((number, f"no 'completion'; the row has: {', '.join(row) or 'nothing'}"))


def _score(rows: Sequence[ScoredRow], reward: RewardFunction, set_aside: list[tuple[int, str]]) -> list[ScoredRow]:
    """Score a batch; where one of its rows is at fault, each row alone."""
    try:
        _call(rows, reward)
    except ValueError as error:
        if len(rows) == 1:
            set_aside.append((rows[0].line, str(error).replace("[0]", "", 1)))
            return []
        return [scored for row in rows for scored in _score([row], reward, set_aside)]
    return list(rows)


def _call(rows: Sequence[ScoredRow], reward: RewardFunction) -> None:
    keys = dict.fromkeys(key for row in rows for key in row.row if key not in _NOT_COLUMNS)
    columns: dict[str, list[Any]] = {key: [row.row.get(key) for row in rows] for key in keys}
    prompts = [row.row.get("prompt", row.row.get("problem", "")) for row in rows]
    arguments: dict[str, Any] = {}
    if all("completion_ids" in row.row for row in rows):
        arguments["completion_ids"] = [row.row["completion_ids"] for row in rows]

    def log_extra(name: str, values: Sequence[Any]) -> None:
        for row, value in zip(rows, values, strict=True):
            row.extras[name] = value

    completions = [row.row["completion"] for row in rows]
    arguments |= {"prompts": prompts, "completions": completions, **columns}
    try:
        values = reward(**arguments, log_extra=log_extra)
    except (MagistralRecipeError, ValueError):
        raise
    except Exception as error:
        name = str(getattr(reward, "__name__", type(reward).__name__))
        if len(rows) == 1:
            raise DataError(own_code.told_failure(f"reward '{name}'", error, f"line {rows[0].line}")) from error
        raise DataError(own_code.reward_failure(name, error, reward, len(rows), arguments)) from error
    for row, value in zip(rows, values, strict=True):
        row.value = value


def write_scores(scored: ScoredFile, path: Path) -> None:
    """Write each row with its score, parts and reason, as JSONL; what was set aside with its reason.

    Args:
        scored: what `score_file` returned.
        path: the file to write.
    """
    records: list[dict[str, Any]] = []
    for row in scored.rows:
        extras = {key.rpartition("/")[2]: value for key, value in row.extras.items()}
        records.append({"line": row.line, "score": row.value, **extras, "completion": row.row["completion"]})
    records += [{"line": line, "set_aside": reason} for line, reason in scored.set_aside]
    path.write_bytes(lines_text(records).encode("utf-8", errors="backslashreplace"))


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="rewards")(rewards)


def rewards(
    file: Annotated[Path | None, typer.Argument(help="JSONL with a completion and the reward's columns a row.")] = None,
    reward: Annotated[
        str, typer.Option(help="A name from --list, my_rewards.py:name or package.module:name.")
    ] = "magistral",
    option: Annotated[list[str] | None, typer.Option(help="An option of the reward, KEY=JSON; repeatable.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Where the scores go; by default beside FILE, with its name: c.jsonl, c.scores.jsonl."),
    ] = None,
    thinking: Annotated[str, typer.Option(help="The tags, OPEN CLOSE, or 'none'.")] = "<think> </think>",
    list_: Annotated[bool, typer.Option("--list", help="List the rewards and stop.")] = False,
) -> None:
    """Score a file of completions with a reward, and say why each earned what it did."""
    with told_errors():
        if list_:
            _print_list()
        elif file is None:
            raise DataError("name a JSONL file of completions, or --list")
        else:
            target = output or file.with_name(f"{_without_ending(file.name)}.scores.jsonl")
            if target.exists() and file.exists() and target.samefile(file):
                raise DataError(f"--output {target}: is the file of completions itself")
            require_replaceable(target, lambda begin: begin.startswith('{"line":'))
            scored = score_file(file, _built(reward, option or [], thinking))
            write_scores(scored, target)
            _print_scores(scored, target)


def _without_ending(name: str) -> str:
    """A file's name without what says that it is JSONL, and nothing else of it."""
    return next((name.removesuffix(end) for end in (".jsonl", ".ndjson", ".json") if name.endswith(end)), name)


def _built(reward: str, options: Sequence[str], tags: str) -> RewardFunction:
    try:
        return build(reward, _options(options), _thinking(tags), Path.cwd())
    except (TypeError, ValueError) as error:
        raise DataError(str(error)) from error


def _options(pairs: Sequence[str]) -> Mapping[str, Any]:
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise DataError(f"--option {pair}: expected KEY=JSON")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value  # a plain word needs no quotes
    return options


def _thinking(tags: str) -> Thinking | None:
    if tags == "none":
        return None
    parts = tags.split()
    if len(parts) != 2:
        raise DataError(f"--thinking {tags!r}: expected two tags with a space between them, or 'none'")
    return Thinking(parts[0], parts[1])


def _print_list() -> None:
    from rich.text import Text

    from magistral_recipe.terminal.screen import Screen

    console = Screen(soft_wrap=True)
    for name in names():
        entry = TABLE.get(name)
        if entry is None:
            console.print(Text.assemble((name, "bold"), "  an entry point of an installed package"))
        else:
            console.print(Text.assemble((f"{name:<19}", "bold"), entry.summary))
            console.print(f"{'':<19}columns: {entry.columns or 'none'}; {entry.path}", style="dim")


def _print_scores(scored: ScoredFile, target: Path) -> None:
    from rich.table import Table

    from magistral_recipe.terminal.screen import Screen

    console = Screen()
    values = scored.values
    title = f"{scored.name}: {len(scored.rows)} completions"
    if values:
        best = "" if scored.maximum is None else f" of at most {scored.maximum:g}"
        title += f", mean {statistics.fmean(values):.3f}{best}"
    console.print(title)
    table = Table("reason", "completions", "mean score")
    for reason, count in scored.reasons.most_common():
        of_reason = [
            row.value for row in scored.rows if reason in map(str, row.extras.values()) and row.value is not None
        ]
        table.add_row(reason, str(count), f"{statistics.fmean(of_reason):.3f}" if of_reason else "not scored")
    console.print(table)
    for line, reason in scored.set_aside[:10]:
        console.print(f"line {line} set aside: {reason}")
    if len(scored.set_aside) > 10:
        console.print(f"... and {len(scored.set_aside) - 10} more set aside")
    console.print(f"scores: {target}", soft_wrap=True)
