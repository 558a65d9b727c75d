"""A recipe run from Python: a mapping or a file, problems that are in memory, and what came out as an object.

In a notebook the object shows the run's report. Everything else is `run_recipe`'s: the same stages in processes of
their own, the same run folder, which the same call goes on with.
"""

from __future__ import annotations

import html
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from magistral_recipe import layout
from magistral_recipe.chain.run import RunOptions, run_recipe
from magistral_recipe.check.plan import load_telling_all
from magistral_recipe.check.recipe_file import recipe_of
from magistral_recipe.data.readers import rows_of
from magistral_recipe.errors import DataError, RecipeError
from magistral_recipe.files import read_json, write_atomically
from magistral_recipe.jsonlines import lines_text, read_lines
from magistral_recipe.recipe.document import read_document

_DATA = "data"
_TALL = 720  # pixels of the report in a notebook


@dataclass(frozen=True)
class FinishedRun:
    """A run that has come to its end.

    Attributes:
        folder: the run folder.
    """

    folder: Path

    @property
    def report(self) -> Path:
        """The page that a person looks at."""
        return self.folder / layout.REPORT

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """What each stage gave, by its name."""
        manifest = read_json(self.folder / layout.MANIFEST)
        stages = manifest.get("stages", []) if isinstance(manifest, dict) else []
        return {str(stage["name"]): dict(stage.get("results", {})) for stage in stages}

    def metrics(self, stage: str) -> list[dict[str, Any]]:
        """Return what a stage's trainer logged, a mapping a record."""
        return [dict(record) for _, record in read_lines(self._folder(stage) / layout.METRICS)]

    def model(self, stage: str) -> Path:
        """Return the folder of the model that a stage left: transformers and PEFT load it."""
        return self._folder(stage) / layout.MODEL

    def _folder(self, stage: str) -> Path:
        for folder in sorted(self.folder.glob(layout.STAGE_FOLDERS)):
            if layout.stage_name(folder.name) == stage:
                return folder
        raise DataError(f"{self.folder}: no stage '{stage}'; it has {', '.join(self.results)}")

    def _repr_html_(self) -> str:
        """The report, inside a notebook; it is one page that fetches nothing."""
        page = html.escape(self.report.read_text("utf-8"), quote=True)
        return f'<iframe srcdoc="{page}" width="100%" height="{_TALL}" style="border: 0"></iframe>'


def run(
    recipe: Mapping[str, Any] | str | Path,
    problems: Any = None,
    *,
    traces: Any = None,
    output: str | Path | None = None,
    changes: Sequence[str] = (),
    fresh: bool = False,
    restart: bool = False,
) -> FinishedRun:
    """Run a recipe to its end; the same call goes on where an earlier one stopped.

    Args:
        recipe: the recipe's file, or what would stand in it; then relative paths start at the working folder.
        problems: rows in memory (a pandas frame, a `datasets.Dataset`, a list of mappings), which become the set
            `train`; or a mapping of such by the sets' names. What the recipe says of a set (columns, kind, split)
            holds for its rows.
        traces: such rows, for the first `sft` stage.
        output: the run folder; by default ``runs/NAME``.
        changes: ``key.path=value`` strings, as `--set` takes them.
        fresh: forget what an earlier run left there.
        restart: start half-done stages anew where what they read has changed.

    Returns:
        The run; shown in a notebook, it is its report.

    Raises:
        RecipeError: with every mistake in the recipe, one line each.
        DataError: a mistake in the data.
        RunError: a stage failed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of TRL, of transformers, about names among themselves
        return _run(recipe, problems, traces, output, changes, RunOptions(fresh=fresh, restart=restart))


def _run(
    recipe: Mapping[str, Any] | str | Path,
    problems: Any,
    traces: Any,
    output: str | Path | None,
    changes: Sequence[str],
    options: RunOptions,
) -> FinishedRun:
    if problems is None and traces is None and not isinstance(recipe, Mapping):
        loaded = load_telling_all(Path(recipe), list(changes))
        folder = Path(output) if output is not None else Path("runs") / loaded.recipe.name
    else:
        data, base = _plain(recipe)
        folder = Path(output) if output is not None else Path("runs") / str(data.get("name", "mine"))
        _put_in(data, problems, traces, folder / _DATA)
        loaded = recipe_of(data, base, list(changes))
    return FinishedRun(run_recipe(loaded, replace(options, output=folder)))


def _plain(recipe: Mapping[str, Any] | str | Path) -> tuple[dict[str, Any], Path]:
    """A recipe as plain data of its own, and the folder that its paths start from."""
    if isinstance(recipe, Mapping):
        return _copied(recipe), Path.cwd()
    document = read_document(Path(recipe))
    return document.data, document.folder or Path.cwd()


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _copied(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _put_in(data: dict[str, Any], problems: Any, traces: Any, folder: Path) -> None:
    """Write rows that are in memory beside the run, and name their files in the recipe."""
    sets = {} if problems is None else problems if _by_name(problems) else {"train": problems}
    for name, rows in sets.items():
        given = (data.setdefault("problems", {}) or {}).get(name) or {}
        data["problems"][name] = {**_of_rows(given), "path": _written(rows, folder / f"{name}.jsonl")}
    if traces is None:
        return
    for stage in data.get("stages") or []:
        if isinstance(stage, dict) and "sft" in stage:
            keys = stage["sft"] = dict(stage["sft"] or {})
            given = keys.get("traces") if isinstance(keys.get("traces"), Mapping) else {}  # else a stage's, by its name
            keys["traces"] = {**_of_rows(given or {}), "path": _written(traces, folder / "traces.jsonl")}
            return
    raise RecipeError("traces: the recipe has no `sft` stage that would learn from them")


def _of_rows(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a recipe says of a set that holds for other rows, too: not where it came from, nor how much was made."""
    gone = {"path", "tiny", "sums", "terms", "gym", "gym_config", "benchmark", "stage", "subset", "revision"}
    gone |= {"split"} if isinstance(given.get("split"), str) else set()
    gone |= {"count", "skip", "seed"} if not given.get("path") else set()
    return {key: value for key, value in given.items() if key not in gone}


def _by_name(problems: Any) -> bool:
    """Whether a mapping of sets was given, and not one of columns."""
    return isinstance(problems, Mapping) and not any(isinstance(each, str) for each in problems.values())


def _written(rows: Any, file: Path) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    text = lines_text(_rows(rows, file.stem))
    if not text:
        raise DataError(f"{file.stem}: no rows were given")
    if not file.is_file() or file.read_text("utf-8") != text:  # one that is written anew looks changed
        write_atomically(file, text)
    return str(file.absolute())


def _rows(rows: Any, name: str) -> Iterator[Mapping[str, Any]]:
    for place, row in rows_of(rows, name):
        if not isinstance(row, Mapping):
            raise DataError(f"{place} is a {type(row).__name__}, not a mapping of columns")
        yield row
