"""Starting a stage, through Accelerate's launcher where that has something to decide, and watching over it.

One process without an Accelerate config is started as the launcher would start it, in the environment that it would
make, without the seconds that it takes to load torch first.

Each stage runs in processes of its own: its memory comes back when it ends, and when it dies somebody is
alive to say so. It speaks on a channel of its own (`events`); whatever it or a library prints goes to its log.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import magistral_recipe
from magistral_recipe.chain.events import EventChannel
from magistral_recipe.check.recipe_file import launched_with
from magistral_recipe.errors import RecipeError, RunError, UserError
from magistral_recipe.machine import LOCAL_RANK, RANK, WORLD_SIZE, World, has_gpu
from magistral_recipe.recipe.sections import LaunchConfig, LoadedRecipe

_PARENT = "MAGISTRAL_RECIPE_RUNNER"
_SAFE_PATH, _OURS = "PYTHONSAFEPATH", "magistral-recipe"


def as_launched(loaded: LoadedRecipe, world: World) -> tuple[LoadedRecipe, World, str | None]:
    """Take the processes that a launcher gives: the recipe's own number of them, where it says none.

    Accelerate starts one process on a machine without a GPU, however many it was asked for, and says nothing. Then each
    stage is started in as many as were asked for, by this package's own launch.

    Args:
        loaded: the recipe.
        world: this process's.

    Returns:
        The recipe with that number, the world that the chain runs in, and what a person is told of it, if anything.

    Raises:
        RecipeError: if the recipe says another number, naming the key.
    """
    if not world.launched:
        return loaded, world, None
    asked = _asked_of_accelerate() if world.size == 1 else world.size
    mistakes = [*_other_numbers(loaded, asked)]
    if mistakes:
        raise RecipeError(mistakes)
    loaded = launched_with(loaded, asked)
    if asked == world.size:
        return loaded, world, None
    told = f"Accelerate has started 1 of the {asked} processes that it was asked for, as it does without a GPU"
    return loaded, World(), f"{told}: each stage is started in {asked}"


def _other_numbers(loaded: LoadedRecipe, given: int) -> Iterator[str]:
    """Keys of a recipe that ask for another number of processes than there are."""
    remedy = "leave it out to take those that the launcher starts"
    own = "num_processes" in loaded.recipe.launch.model_fields_set
    if own and loaded.recipe.launch.num_processes != given:
        told = f"the launcher has started {given}: set launch: {{num_processes: {given}}}, or {remedy}"
        yield loaded.mistake(("launch", "num_processes"), f"asks for {loaded.recipe.launch.num_processes}, and {told}")
    for index, stage in enumerate(loaded.recipe.stages):
        if stage.launch is not None and stage.launch.num_processes != given:
            path = ("stages", index, stage.kind, "launch", "num_processes")
            told = f"asks for {stage.launch.num_processes}, and the launcher has started {given} for the whole chain"
            alone = f"magistral-recipe run {loaded.document.file}"
            yield loaded.mistake(path, f"{told}: {remedy}, or start each stage in its own with: {alone}")


def _asked_of_accelerate() -> int:
    """How many processes the launcher above this one was asked for, by its own command line; 1 where it says none."""
    import psutil

    try:
        words = psutil.Process(os.getppid()).cmdline()
    except psutil.Error:
        return 1
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name.replace("-", "_") == "__num_processes":
            value = value if equals else "".join(words[place + 1 : place + 2])
            return int(value) if value.isdigit() and int(value) else 1
        if word in {"-m", "--module"} and words[place + 1 : place + 2] == ["magistral_recipe"]:
            return 1  # what follows is this package's own
    return 1


def launch_command(launch: LaunchConfig, folder: Path, module_arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """The command that starts this package in the processes a launch asks for.

    Args:
        launch: the settings.
        folder: the recipe's folder, where a relative `config_file` starts.
        module_arguments: what follows ``-m magistral_recipe``.

    Returns:
        The command's words, and what it needs in its environment.
    """
    if launch.num_processes == 1 and launch.config_file is None and default_config() is None:
        return [sys.executable, "-m", "magistral_recipe", *module_arguments], _alone(not _has_gpu())
    return launcher_command(launch, folder, module_arguments), {}


def launcher_command(launch: LaunchConfig, folder: Path, module_arguments: list[str]) -> list[str]:
    """The command that starts Accelerate's launcher; see `launch_command`."""
    words = [sys.executable, "-m", __spec__.name]
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


def default_config() -> Path | None:
    """The file that `accelerate config` writes, where the launcher looks at it: not where it is told to use the CPU."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    folder = Path(os.environ.get("HF_HOME", cache)).expanduser() / "accelerate"
    for name in ("default_config.json", "default_config.yaml"):
        if (folder / name).is_file() and _has_gpu():
            return folder / name
    return None


def _has_gpu() -> bool:
    return has_gpu()


def _alone(cpu: bool) -> dict[str, str]:
    """What Accelerate's launcher puts into the environment of a single process (accelerate 1.12 to 1.15)."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if not threads.isdigit() or (cpu and threads == "0"):
        import psutil

        threads = str((psutil.cpu_count(logical=False) if cpu else None) or 1)
    found = {
        "ACCELERATE_USE_CPU": str(cpu),
        "ACCELERATE_MIXED_PRECISION": "no",
        "ACCELERATE_DYNAMO_BACKEND": "NO",
        "ACCELERATE_DYNAMO_MODE": "default",
        "ACCELERATE_DYNAMO_USE_FULLGRAPH": "False",
        "ACCELERATE_DYNAMO_USE_DYNAMIC": "False",
        "ACCELERATE_DYNAMO_USE_REGIONAL_COMPILATION": "False",
        "OMP_NUM_THREADS": threads,
    }
    return found | ({"KMP_AFFINITY": "granularity=fine,compact,1,0", "KMP_BLOCKTIME": "1"} if cpu else {})


def run_launched(
    command: list[str],
    log: Path,
    handle: Callable[[Mapping[str, Any]], None],
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a stage's command to its end, passing its events on.

    Args:
        command: from `launch_command`.
        log: the file that takes all that is printed.
        handle: called with each event.
        environment: what the command needs beside this process's.

    Returns:
        The stage's results.

    Raises:
        UserError: the stage found a mistake in what the user gave.
        RunError: it failed or was killed; the message says why and where its log is.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] | None = None
    failure: Mapping[str, Any] | None = None
    with EventChannel() as channel, open(log, "ab") as stream:
        begin = stream.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**_environment(), **(environment or {}), **channel.environment},
        )
        try:
            for event in _until_it_ends(process, channel):
                if event["type"] == "results":
                    results = event["results"]
                elif event["type"] == "failure":
                    failure = failure or event
                else:
                    handle(event)
        except BaseException:
            _stop(process)
            raise
    if failure is not None:
        error = UserError if failure["exit_code"] == 2 else RunError
        raise error(failure["message"])
    if process.returncode != 0 or results is None:
        raise RunError(f"{_death(process.returncode, log, begin)}; its log: {log}")
    return results


def _environment() -> dict[str, str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false", _PARENT: str(os.getpid())}
    # Threads that spin while they wait make small models many times slower as soon as anything else wants a core.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for name in (RANK, WORLD_SIZE, LOCAL_RANK):
        environment.pop(name, None)
    return environment | _safe_path()


def _safe_path() -> dict[str, str]:
    """Keep the working folder out of where the stage's processes look for modules, the launcher's children too.

    A `math.py` or `random.py` that lies there is a person's own and nobody's library; code that a recipe names is found
    by `own_code`. The processes take it out of their environment: what somebody's reward starts is as he left it.
    """
    if os.environ.get(_SAFE_PATH):
        return {}
    root = str(Path(magistral_recipe.__file__).resolve().parents[1])
    beside = {} if root != os.getcwd() else {"PYTHONPATH": os.pathsep.join([root, *_python_path()])}
    return {_SAFE_PATH: _OURS, **beside}


def _python_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def forget_safe_path() -> None:
    """In a stage's process: what it starts looks for modules as the person's own shell has it."""
    if os.environ.get(_SAFE_PATH) == _OURS:
        del os.environ[_SAFE_PATH]


def _until_it_ends(process: subprocess.Popen, channel: EventChannel) -> Iterator[dict[str, Any]]:
    """Yield events until the process has ended, then what it had sent before; what it left behind is not waited for."""
    while process.poll() is None:
        yield from channel.receive(seconds=0.1)
    yield from channel.receive_rest(seconds=2.0)


def _stop(process: subprocess.Popen) -> None:
    """Ask the launcher to end, then insist."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _death(code: int, log: Path, begin: int) -> str:
    """Say what a stage died of that could no longer say it itself; the last lines of its log may help a person."""
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return "the stage's process was killed (signal 9: often the system, out of memory)"
    if code < 0:
        return f"the stage's process died of {signal.Signals(-code).name}"
    if code == 0:
        return "the stage's process ended with exit code 0 before its work was done: did its code call os._exit?"
    with open(log, "rb") as stream:
        stream.seek(max(begin, log.stat().st_size - 10_000))
        lines = [line for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
    last = next((line for line in reversed(lines[-12:]) if "Error" in line), lines[-1] if lines else "no output")
    return f"the stage's process ended with exit code {code}: {last.strip()[:300]}"


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies: an orphan would go on writing into the run folder."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG
        if os.getppid() == 1 and os.environ.get(_PARENT, "1") != "1":
            os._exit(1)  # the parent died before the call


def _launch() -> None:
    """Be Accelerate's own launcher, that ends when the command which wants it does, and as its processes end.

    The launchers turn a process's death into an exception and an exit code of 1, and its signal into words; the code
    itself is in the exception. (`record` of torch's elastic launcher, made for a child's error, needs no place here: a
    stage tells every exception on its own channel, in one process as in several.)
    """
    from accelerate.commands.launch import main
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    die_with_parent()
    try:
        main()
    except subprocess.CalledProcessError as error:
        code = error.returncode
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
    else:
        return
    if code < 0:  # died of a signal: so does this one
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    _launch()
