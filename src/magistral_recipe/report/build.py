"""The page that a run ends in: one self-contained HTML file, `report.md`, and `metrics.json`.

Nothing is fetched, and nothing that came from a model acts: everything is escaped, and a Content-Security-Policy in
the page runs only the package's own scripts, by their hashes, and lets none of them write HTML (trusted types).
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from magistral_recipe import layout
from magistral_recipe.errors import FULL, RunError
from magistral_recipe.files import json_text, write_atomically
from magistral_recipe.report.advice import findings
from magistral_recipe.report.collect import collect
from magistral_recipe.report.documents import metrics_json, report_markdown
from magistral_recipe.report.page import Page, run_page
from magistral_recipe.writing.figures import duration

SCRIPTS = ("uPlot.iife.min.js", "katex.min.js", "math.js", "charts.js", "samples.js", "report.js")
"""In the order in which they run; the first two are libraries (uPlot and KaTeX, both MIT; licences beside them)."""

STYLES = ("uPlot.min.css", "report.css")

_OVERRIDES = re.compile(r"[\u202a-\u202e\u2066-\u2069]")


def build_report(run: Path) -> Path:
    """Write a run's report.

    Args:
        run: the run folder, in whatever state it is: what is missing is said on the page.

    Returns:
        The page, ``report.html`` in the run folder; ``report.md`` and ``metrics.json`` lie beside it.

    Raises:
        DataError: if there is no such folder, or it is not a run's.
        RunError: if the files cannot be written.
    """
    read = collect(run)
    told = findings(read)
    page = render(run_page(read, told))
    try:
        write_page(run / layout.REPORT, page)
        write_page(run / layout.REPORT_TEXT, report_markdown(read, told))
        write_page(run / layout.REPORT_METRICS, json_text(metrics_json(read, told), indent=2) + "\n")
    except OSError as error:
        if error.errno in FULL:
            raise
        raise RunError(f"{run}: the report cannot be written there: {error.strerror}") from error
    return run / layout.REPORT


def live_page(run: Path) -> str:
    """Return a run's page as it is served while the run goes on."""
    read = collect(run)
    page = run_page(read, findings(read))
    page.data.live = True
    return _encodable(render(page))


def write_page(target: Path, text: str) -> None:
    """Write a text that may hold lone surrogates, which are no UTF-8."""
    write_atomically(target, _encodable(text))


def _encodable(text: str) -> str:
    return text.encode("utf-8", errors="replace").decode("utf-8")


def render(page: Page) -> str:
    """Render a page.

    Args:
        page: what stands on it.

    Returns:
        A whole HTML document.
    """
    style = "\n".join(_asset(name) for name in STYLES)
    scripts = [_asset(name) for name in SCRIPTS]
    return str(
        _template().render(
            page=page,
            # The package's own files, and JSON that escapes every sign that could end its element
            style=Markup(style),
            scripts=[Markup(script) for script in scripts],
            data=Markup(page.data.to_json()),
            policy=_policy(style, scripts, live=page.data.live),
            written=time.strftime("%Y-%m-%d %H:%M %Z"),
        )
    )


def _policy(style: str, scripts: list[str], live: bool) -> str:
    rules = [
        "default-src 'none'",
        f"script-src {' '.join(_hash(script) for script in scripts)}",
        f"style-src {_hash(style)}",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
    return "; ".join([*rules, "connect-src 'self'"] if live else rules)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _without_overrides(value: Any) -> Any:
    """Show signs that turn the direction of what follows as their code points: a name must not rewrite a sentence."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _OVERRIDES.sub(lambda sign: f"⟨U+{ord(sign[0]):04X}⟩", value)


@lru_cache(maxsize=1)
def _template() -> Any:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_without_overrides
    )
    environment.filters["duration"] = duration
    return environment.from_string(_asset("report.html.jinja"))


@lru_cache
def _asset(name: str) -> str:
    return files("magistral_recipe.report").joinpath("assets", name).read_text(encoding="utf-8")
