"""Keeps the time: starts the worker, takes its outcomes, ends it where it hangs, and prints the table.

It loads neither torch nor this package, so that nothing a section does can take it along. The sections run one after
another in one process, which loads the libraries once; where that dies or has to be ended, a new one goes on behind.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_check.outcome import LOG, Outcome, Row, State, counts, exit_code, last_line, table
from gpu_check.sections import SECTIONS, Section, chosen

SCRIPTS = Path(__file__).parents[1]
_REPORTED = "outcomes.jsonl"
_LEAST = 5.0
"""Seconds below which no section is begun."""


_PATIENCE = 5
"""How many times longer a section may take on a CPU, which others may be using."""


@dataclass(frozen=True)
class Settings:
    """What a run is given.

    Attributes:
        out: the folder that takes everything.
        budget: seconds in all.
        cap_gib: memory of the card that is pretended, in GiB.
        self_test: tiny shapes on a CPU, whatever card there is.
    """

    out: Path
    budget: float = 420.0
    cap_gib: float = 24.0
    self_test: bool = False


class Worker:
    """The process that runs sections, and what it has told so far.

    Args:
        settings: the run's.
        sections: what it is to do, in order.
        log: takes all that is printed.
    """

    def __init__(self, settings: Settings, sections: Sequence[Section], log: Path) -> None:
        self._told = settings.out / _REPORTED
        self._told.write_text("")
        self._read = 0
        order = {
            "out": str(settings.out),
            "cap_gib": settings.cap_gib,
            "self_test": settings.self_test,
            "sections": [[section.name, section.target] for section in sections],
            "told": str(self._told),
        }
        places = [str(SCRIPTS), str(SCRIPTS.parent / "src"), os.environ.get("PYTHONPATH", "")]
        with open(log, "ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gpu_check.worker", json.dumps(order)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_quiet(), "PYTHONPATH": os.pathsep.join(filter(None, places))},
                start_new_session=True,  # so that all it has started can be ended with it
            )

    def events(self) -> list[dict[str, Any]]:
        """Whole lines that have come since the last call."""
        with open(self._told, "rb") as stream:
            stream.seek(self._read)
            new = stream.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def end(self) -> None:
        """End it and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _quiet() -> dict[str, str]:
    return {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
        "PYTHONUNBUFFERED": "1",
    }


def check(settings: Settings, sections: Sequence[Section]) -> tuple[list[Row], dict[str, Any]]:
    """Run sections within a budget.

    Args:
        settings: the run's.
        sections: in order.

    Returns:
        A row for each of them, and what the worker told of the machine.
    """
    settings.out.mkdir(parents=True, exist_ok=True)
    log = settings.out / LOG
    deadline = time.monotonic() + settings.budget
    rows: list[Row] = []
    machine: dict[str, Any] = {}
    while len(rows) < len(sections):
        left = sections[len(rows) :]
        if deadline - time.monotonic() < _LEAST:
            rows += [Row(section.name, 0.0, Outcome(State.OUT_OF_TIME, "not begun")) for section in left]
            break
        alone = next((i for i, section in enumerate(left) if section.alone), len(left))
        batch = left[: alone or 1]
        for row in _worked(settings, batch, log, deadline, machine):
            rows.append(row)
            print(f"{row.outcome.state:>11}  {row.name} ({row.seconds:.0f} s): {row.outcome.line}", flush=True)
    return rows, machine


def _worked(settings: Settings, sections: Sequence[Section], log: Path, deadline: float, machine: dict) -> list[Row]:
    """Run sections in one worker, as far as it comes; at least the first of them has a row then."""
    rows: list[Row] = []
    began, loaded = time.monotonic(), False
    worker = Worker(settings, sections, log)
    try:
        while len(rows) < len(sections):
            running = worker.process.poll() is None
            for event in worker.events():
                if event["event"] == "machine":
                    machine.update(event["machine"])
                elif event["event"] == "begun":
                    began, loaded = time.monotonic(), True
                else:
                    outcome = Outcome(State(event["state"]), event["line"], event["figures"])
                    rows.append(Row(event["name"], time.monotonic() - began, outcome))
                    began = time.monotonic()
            if len(rows) == len(sections):
                break
            took, section = time.monotonic() - began, sections[len(rows)]
            if not running:
                rows.append(Row(section.name, took, Outcome(State.FAILED, _death(worker.process.returncode, log))))
                break
            if time.monotonic() > deadline:
                line = f"ended after {took:.0f} s, when the budget was used up"
                rows.append(Row(section.name, took, Outcome(State.OUT_OF_TIME, line)))
                break
            limit = section.limit * (1 if machine.get("gpu") else _PATIENCE)
            if loaded and took > limit:  # the libraries' own start counts for the budget alone
                line = f"ended after its limit of {limit:.0f} s"
                rows.append(Row(section.name, took, Outcome(State.FAILED, line)))
                break
            time.sleep(0.05)
    finally:
        worker.end()
    return rows


def _death(code: int, log: Path) -> str:
    how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    line = last_line(log)
    return f"its process {how}" + (f": {line[:200]}" if line else "")


def heading(machine: dict[str, Any], settings: Settings) -> str:
    """What was tried and on what, in a line or two."""
    libraries = ", ".join(f"{name} {version}" for name, version in machine.get("versions", {}).items())
    if machine.get("gpu"):
        return (
            f"{machine['gpu']}, of which {settings.cap_gib:g} GiB are used; {libraries}. "
            "Peaks are the whole device's, sampled."
        )
    return (
        f"NO GPU WAS USED ({machine.get('why', 'unknown')}): tiny shapes on a CPU prove that this script works, and "
        f"nothing about a GPU; {libraries}."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    names = ", ".join(f"{section.name}{'' if section.default else ' (only by name)'}" for section in SECTIONS)
    parser = argparse.ArgumentParser(
        prog="gpu_check.py",
        description="Try on a GPU what this package promises of one. See the top of the file.",
        epilog=f"Sections, and beginnings of their names, for --only: {names}",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the table, the JSON, the log and all work")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these sections, in this script's order")
    parser.add_argument("--budget-s", type=float, help="seconds in all (420; with --only, the sections' limits)")
    parser.add_argument("--cap-gib", type=float, default=24.0, help="the card that is pretended, in GiB (24)")
    parser.add_argument("--self-test", action="store_true", help="tiny shapes on a CPU: tries this script alone")
    given = parser.parse_args(arguments)
    try:
        sections = chosen(given.only)
    except ValueError as error:
        parser.error(str(error))
    budget = given.budget_s or (sum(section.limit for section in sections) if given.only else Settings.budget)
    settings = Settings(given.out.resolve(), budget, given.cap_gib, given.self_test)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that the worker ends with it
    started = time.monotonic()
    rows, machine = check(settings, sections)
    proves = bool(machine.get("gpu")) and not settings.self_test
    code = exit_code(rows, proves, settings.self_test)
    text = table(rows, heading(machine, settings))
    result = {
        "proves": "this GPU" if proves else "this script alone",
        "machine": machine,
        "cap_gib": settings.cap_gib,
        "budget_s": settings.budget,
        "seconds": round(time.monotonic() - started, 1),
        "counts": counts(rows),
        "exit_code": code,
        "sections": [row.as_dict() for row in rows],
    }
    (settings.out / "gpu_check.json").write_text(json.dumps(result, indent=1, default=str) + "\n", "utf-8")
    (settings.out / "gpu_check.md").write_text(text + "\n", "utf-8")
    print(text)
    return code
