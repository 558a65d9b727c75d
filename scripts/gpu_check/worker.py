"""Runs sections one after another in this process, and tells the supervisor in a file how each went."""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from pathlib import Path
from typing import Any

from gpu_check.bench import Bench, unsuited
from gpu_check.outcome import Findings, MissingPieceError, Outcome, State


def main(order: dict[str, Any]) -> None:
    """Do what is asked.

    Args:
        order: the supervisor's (`supervisor.Worker`).
    """
    bench = Bench(Path(order["out"]), order["cap_gib"], order["self_test"])

    def tell(event: dict[str, Any]) -> None:
        with open(order["told"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(event, default=str) + "\n")

    for number, (name, target) in enumerate(order["sections"]):
        print(f"==== {name}", flush=True)
        if number == 0:
            tell({"event": "machine", "machine": bench.machine()})
        tell({"event": "begun", "name": name})
        outcome = attempt(bench, target)
        bench.tidy()
        figures = dict(outcome.figures)
        tell({"event": "ended", "name": name, "state": outcome.state, "line": outcome.line, "figures": figures})


def attempt(bench: Bench, target: str) -> Outcome:
    """Run one section; where it fails beside a package of a version that is not asked for, it is skipped for that.

    Args:
        bench: what sections work with.
        target: `module:function`.

    Returns:
        How it went.
    """
    outcome = _attempted(bench, target)
    if outcome.state is not State.FAILED or (other := unsuited()) is None:
        return outcome
    return Outcome(State.SKIPPED, f"{other}; with it: {outcome.line}", outcome.figures)


def _attempted(bench: Bench, target: str) -> Outcome:
    """Run one section; whatever it raises is its outcome."""
    module, _, function = target.partition(":")
    found = Findings()
    try:
        getattr(importlib.import_module(module), function)(bench, found)
        return found.outcome()
    except MissingPieceError as error:
        return Outcome(State.SKIPPED, str(error), found.figures)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - any failure of a section is what is asked about
        traceback.print_exc()
        package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if package and importlib.util.find_spec(package) is None:
            return Outcome(State.SKIPPED, f"not installed: {package}", found.figures)
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
        return Outcome(State.FAILED, f"{type(error).__name__}: {lines[0]}"[:400], found.figures)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
