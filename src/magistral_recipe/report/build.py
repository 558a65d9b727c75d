"""The page that a run ends in: one self-contained HTML file.

Nothing is fetched and nothing is executed: there is no script, everything from the run is escaped, and a
Content-Security-Policy in the page forbids all but its own style sheet, whatever a completion may contain.
"""

from __future__ import annotations

import base64
import hashlib
import time
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from magistral_recipe.errors import DataError
from magistral_recipe.files import write_atomically
from magistral_recipe.report.collect import Run, collect, mapping
from magistral_recipe.report.page import evaluation_section, headline, training_section
from magistral_recipe.rewards.thinking import Thinking

REPORT = "report.html"


def build_report(run: Path) -> Path:
    """Write a run's report.

    Args:
        run: the run folder, in whatever state it is: what is missing is said on the page.

    Returns:
        The file, ``report.html`` in the run folder.

    Raises:
        DataError: if there is no such folder.
    """
    if not run.is_dir():
        raise DataError(f"{run}: no such run folder")
    page = render(collect(run))
    target = run / REPORT
    # Completions may hold lone surrogates, which are no UTF-8.
    write_atomically(target, page.encode("utf-8", errors="replace").decode("utf-8"))
    return target


def render(run: Run) -> str:
    """Render the page.

    Args:
        run: what was gathered.

    Returns:
        A whole HTML document.
    """
    thinking = _thinking(run)
    style = _resource("style.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _template().render(
        run=run,
        headline=headline(run),
        style=Markup(style),  # the package's own file
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        evaluations=[evaluation_section(stage, thinking) for stage in run.stages if stage.evaluations],
        trainings=[
            training_section(stage, thinking) for stage in run.stages if stage.metrics and stage.kind != "evaluate"
        ],
        facts=_facts(run),
        total=sum(stage.seconds for stage in run.stages),
        written=time.strftime("%Y-%m-%d %H:%M %Z"),
    )


def _thinking(run: Run) -> Thinking:
    """The run's tags, as its evaluations noted them; the usual ones where none did."""
    for stage in run.stages:
        for evaluation in stage.evaluations:
            noted = mapping(evaluation.scores.get("settings")).get("thinking")
            if isinstance(noted, dict):
                try:
                    return Thinking(**noted)
                except (TypeError, ValueError, AttributeError):
                    continue
    return Thinking()


def _facts(run: Run) -> list[tuple[str, str]]:
    """What ran, on what, as names and values."""
    manifest = run.manifest
    hardware, versions = mapping(manifest.get("hardware")), mapping(manifest.get("versions"))
    gpus = hardware.get("gpus")
    found: dict[str, Any] = {
        "recipe": manifest.get("recipe_file"),
        "seed": manifest.get("seed"),
        "begun": manifest.get("created"),
        "processor": hardware.get("processor"),
        "cores": hardware.get("cores"),
        "memory": f"{hardware['memory_gib']} GiB" if hardware.get("memory_gib") else None,
        "GPUs": ", ".join(map(str, gpus)) if isinstance(gpus, list) else None,
        "system": hardware.get("system"),
        **{str(name): value for name, value in versions.items()},
        "code": manifest.get("code"),
    }
    return [(name, str(value)) for name, value in found.items() if value is not None]


def duration(seconds: float) -> str:
    """Write a duration as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


@lru_cache(maxsize=1)
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["duration"] = duration
    return environment.from_string(_resource("report.html.jinja"))


def _resource(name: str) -> str:
    return files("magistral_recipe.report").joinpath(name).read_text(encoding="utf-8")
