"""Starting a stage through Accelerate's launcher, and watching over it.

Each stage runs in processes of its own: its memory comes back when it ends, and when it dies somebody is
alive to say so. It talks back over its standard output, one JSON event a line behind a marker; whatever else
it or a library prints goes to the stage's log.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from magistral_recipe.errors import RunError, UserError
from magistral_recipe.recipe.sections import LaunchConfig

MARKER = "\x1e"
"""Starts a line that is an event and not a library's print (ASCII record separator)."""

_PARENT = "MAGISTRAL_RECIPE_RUNNER"


def launch_command(launch: LaunchConfig, folder: Path, module_arguments: list[str]) -> list[str]:
    """The command that starts this package in the processes a launch asks for.

    Args:
        launch: the settings.
        folder: the recipe's folder, where a relative `config_file` starts.
        module_arguments: what follows ``-m magistral_recipe``.

    Returns:
        The command's words.
    """
    words = [sys.executable, "-m", "magistral_recipe.chain.launch"]
    if launch.config_file:
        words += ["--config_file", str(folder / launch.config_file)]
    else:
        words += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    words += ["--num_processes", str(launch.num_processes)]
    if launch.num_processes > 1:
        # Without this flag Accelerate starts a single process on a machine without a GPU, and says nothing.
        words += [] if launch.config_file else ["--multi_gpu", "--main_process_port", "0"]
    elif not _has_gpu():
        words.append("--cpu")
    return [*words, "-m", "magistral_recipe", *module_arguments]


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()


def run_launched(command: list[str], log: Path, handle: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Run a stage's command to its end, passing its events on.

    Args:
        command: from `launch_command`.
        log: the file that takes everything which is not an event.
        handle: called with each event.

    Returns:
        The stage's results.

    Raises:
        UserError: the stage found a mistake in what the user gave.
        RunError: it failed or was killed; the message says why and where its log is.
    """
    outcome: dict[str, Any] | None = None
    failure: Mapping[str, Any] | None = None
    tail: deque[str] = deque(maxlen=12)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false", _PARENT: str(os.getpid())}
    # Threads that spin while they wait make small models many times slower as soon as anything else wants a core.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        environment.pop(name, None)
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8") as log_stream:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if not line.startswith(MARKER):
                    with contextlib.suppress(OSError):  # a full disk must not end the run here
                        log_stream.write(line)
                        log_stream.flush()
                    tail.append(line.rstrip())
                    continue
                event = json.loads(line[1:])
                if event["type"] == "results":
                    outcome = event["results"]
                elif event["type"] == "failure":
                    failure = failure or event
                else:
                    handle(event)
            code = process.wait()
        except BaseException:
            _stop(process)
            raise
    if failure is not None:
        error = UserError if failure["exit_code"] == 2 else RunError
        raise error(failure["message"])
    if code != 0 or outcome is None:
        raise RunError(f"{_death(code, tail)}; its log: {log}")
    return outcome


def _stop(process: subprocess.Popen) -> None:
    """Ask the launcher to end, then insist."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _death(code: int, tail: deque[str]) -> str:
    text = "\n".join(tail)
    if code in (-9, 137) or "Signals.SIGKILL" in text or "exitcode: -9" in text.replace(" ", "").replace(":", ": "):
        return "the stage's process was killed (signal 9: often the system, out of memory)"
    if code < 0:
        return f"the stage's process died of {signal.Signals(-code).name}"
    last = next((line for line in reversed(tail) if "Error" in line), tail[-1] if tail else "no output")
    return f"the stage's process ended with exit code {code}: {last.strip()[:300]}"


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies: an orphan would go on writing into the run folder."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG
        if os.getppid() == 1 and os.environ.get(_PARENT, "1") != "1":
            os._exit(1)  # the parent died before the call


def send_event(event: Mapping[str, Any]) -> None:
    """Write an event to the command that started this stage."""
    sys.stdout.write(MARKER + json.dumps(event, ensure_ascii=True, default=str) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":  # Accelerate's own launcher, that ends when the command which wants it does
    from accelerate.commands.launch import main

    die_with_parent()
    main()
