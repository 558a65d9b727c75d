"""The launcher's command, and a launched stage from its first event to its end or its death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from magistral_recipe.chain import events, launch
from magistral_recipe.chain.launch import as_launched, launch_command, launcher_command, run_launched
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.errors import RecipeError, RunError, UserError
from magistral_recipe.machine import World
from magistral_recipe.recipe.sections import LaunchConfig


def flags(words: list[str]) -> list[str]:
    assert words[:3] == [sys.executable, "-m", "magistral_recipe.chain.launch"]
    return words[3:]


@pytest.mark.parametrize("threads", [None, "3", "0"])
@pytest.mark.parametrize("gpu", [True, False])
def test_a_single_process_is_started_in_the_environment_that_the_launcher_would_make(
    gpu, threads, monkeypatch, tmp_path
):
    """Held against the installed launcher's own functions."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_simple_launcher_cmd_env

    monkeypatch.setattr(launch, "_has_gpu", lambda: gpu)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    words, environment = launch_command(LaunchConfig(), tmp_path, ["stage", "x", "0"])
    theirs = launch_command_parser().parse_args(flags(launcher_command(LaunchConfig(), tmp_path, ["stage", "x", "0"])))
    command, made = prepare_simple_launcher_cmd_env(_validate_launch_command(theirs)[0])
    assert words == command
    assert {**os.environ, **environment} == made


def test_a_config_that_a_person_has_given_accelerate_is_left_to_its_launcher(monkeypatch, tmp_path):
    monkeypatch.setattr(launch, "default_config", lambda: tmp_path / "default_config.yaml")
    assert flags(launch_command(LaunchConfig(), tmp_path, [])[0])


def test_one_process_on_a_machine_without_a_gpu_asks_for_the_cpu(monkeypatch, tmp_path):
    monkeypatch.setattr(launch, "_has_gpu", lambda: False)
    words = flags(launcher_command(LaunchConfig(), tmp_path, ["stage", "x", "0"]))
    assert words[words.index("--num_processes") + 1] == "1"
    assert "--cpu" in words
    assert "--multi_gpu" not in words
    assert words[-5:] == ["-m", "magistral_recipe", "stage", "x", "0"]


def test_one_process_on_a_gpu_does_not(monkeypatch, tmp_path):
    monkeypatch.setattr(launch, "_has_gpu", lambda: True)
    assert "--cpu" not in launcher_command(LaunchConfig(), tmp_path, [])


def test_several_processes_are_asked_for_so_that_accelerate_really_starts_them(tmp_path):
    words = flags(launch_command(LaunchConfig(num_processes=3), tmp_path, [])[0])
    assert words[words.index("--num_processes") + 1] == "3"
    assert "--multi_gpu" in words
    assert words[words.index("--main_process_port") + 1] == "0"


def test_a_config_file_decides_what_it_can_and_starts_at_the_recipe(tmp_path):
    launched = LaunchConfig(num_processes=2, config_file=Path("fsdp.yaml"))
    words = flags(launch_command(launched, tmp_path, [])[0])
    assert words[words.index("--config_file") + 1] == str(tmp_path / "fsdp.yaml")
    assert not {"--mixed_precision", "--multi_gpu", "--dynamo_backend"} & set(words)


@pytest.fixture
def stage(tmp_path):
    """Run a few lines of Python as a launched stage; returns results, events and the log."""

    def run(code: str) -> tuple[dict, list[dict], str]:
        script = tmp_path / "stage.py"
        head = "import os, signal, subprocess, sys\nfrom magistral_recipe.chain.events import EventSender\n"
        script.write_text(head + "send = EventSender()\n" + textwrap.dedent(code))
        events: list[dict] = []
        log = tmp_path / "log.txt"
        try:
            results = run_launched([sys.executable, str(script)], log, events.append)
        finally:
            run.events, run.log = events, log.read_text()
        return results, events, run.log

    return run


DONE = "send({'type': 'results', 'results': {'steps': 3}})\n"


def test_events_arrive_in_order_and_the_results_at_the_end(stage):
    results, events, _ = stage(
        "for n in range(500): send({'type': 'progress', 'step': n, 'text': 'x' * 2000})\n" + DONE
    )
    assert results == {"steps": 3}
    assert [event["step"] for event in events] == list(range(500))


def test_what_is_printed_goes_to_the_log_line_by_line(stage):
    _, _, log = stage("print('one'); print('two', file=sys.stderr)\nos.system('echo three')\n" + DONE)
    assert log.splitlines() == ["one", "two", "three"]


def test_a_print_without_a_newline_hides_no_event(stage):
    results, events, log = stage("print('half a line', end='')\nsend({'type': 'note', 'text': 'heard'})\n" + DONE)
    assert events == [{"type": "note", "text": "heard"}]
    assert results == {"steps": 3}
    assert log == "half a line"


def test_a_print_that_looks_like_an_event_is_none(stage):
    fake = {"type": "results", "results": {"steps": 10**6}}
    results, events, log = stage(f"print('\\x1e' + {json.dumps(json.dumps(fake))})\n" + DONE)
    assert results == {"steps": 3}
    assert events == []
    assert "1000000" in log


def test_a_child_of_the_stage_does_not_find_the_channel(stage):
    code = "import os; print(sorted(name for name in os.environ if 'MAGISTRAL_RECIPE_EVENTS' in name))"
    _, _, log = stage(f"subprocess.run([sys.executable, '-c', {code!r}])\n" + DONE)
    assert log.strip() == "[]"


def test_a_child_left_behind_keeps_no_finished_stage_from_ending(stage):
    """A fork that holds the channel, standard output and the log open."""
    results, _, log = stage("child = os.fork()\nif not child:\n    signal.pause()\nprint(child, flush=True)\n" + DONE)
    os.kill(int(log), signal.SIGKILL)
    assert results == {"steps": 3}


def test_a_long_path_of_temporary_files_is_no_obstacle(stage, tmp_path, monkeypatch):
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    results, _, _ = stage(DONE)
    assert results == {"steps": 3}
    assert list(long.iterdir()) == []


def test_one_without_the_key_is_not_heard(stage):
    script = """
    send({'type': 'note', 'text': 'mine'})
    address = send._socket.getpeername()
    import socket
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(address)
        try:
            other.sendall(b'0' * 32 + b'\\n' + b'{"type": "results", "results": {"steps": 9}}\\n')
        except BrokenPipeError:
            pass
    """
    results, events, _ = stage(textwrap.dedent(script) + DONE)
    assert results == {"steps": 3}
    assert [event["text"] for event in events] == ["mine"]


@pytest.mark.parametrize(
    "line",
    [
        "\x1e{}", "not JSON", "[1]", "5", "null", '{"type": ["note"]}', '{"type": "novel"}', '{"type": "note"}',
        '{"type": "note", "text": 5}', '{"type": "results"}', '{"type": "results", "results": [1]}',
        '{"type": "failure", "exit_code": "2", "message": "x"}', '{"type": "failure", "message": "x"}',
        '{"type": "progress"}', '{"type": "progress", "step": "3", "total": 4}',
        '{"type": "progress", "step": NaN, "total": 4}', '{"type": "progress", "step": 1, "total": null}',
        '{"type": "progress", "step": 1, "total": 4, "metrics": [1]}', "[" * 100_000,
    ],
    ids=range(19),
)  # fmt: skip
def test_what_is_no_event_on_the_stages_own_channel_is_passed_over(stage, line):
    """A reward can find the channel among its process's open files."""
    results, events, _ = stage(f"send._socket.sendall({line!r}.encode() + b'\\n\\xff\\n')\n" + DONE)
    assert results == {"steps": 3}
    assert events == []


def test_a_flood_without_an_end_is_no_longer_listened_to(stage, monkeypatch):
    monkeypatch.setattr(events, "_LONGEST_EVENT", 100_000)
    with pytest.raises(RunError, match="exit code 0"):
        stage("try:\n    send._socket.sendall(b'x' * 10_000_000)\nexcept BrokenPipeError:\n    pass\n" + DONE)


def test_a_fork_of_the_stage_is_not_heard(stage):
    code = """
    child = os.fork()
    if not child:
        send({'type': 'results', 'results': {'steps': 9}})
        os._exit(0)
    os.waitpid(child, 0)
    """
    results, _, _ = stage(textwrap.dedent(code) + DONE)
    assert results == {"steps": 3}


@pytest.mark.parametrize("then", ["", "kept = [socket.socketpair() for _ in range(20)]", "kept = open(__file__)"])
def test_a_stage_whose_files_were_all_closed_can_still_say_how_it_went(stage, then):
    code = f"""
    import socket
    os.closerange(3, 4096)
    {then}
    send({{'type': 'note', 'text': 'heard'}})
    """
    results, events, _ = stage(textwrap.dedent(code) + DONE)
    assert results == {"steps": 3}
    assert {"type": "note", "text": "heard"} in events


@pytest.mark.parametrize(
    "left", ["threading.Thread(target=signal.pause)", "multiprocessing.Process(target=signal.pause)"]
)
def test_what_a_reward_leaves_running_keeps_no_finished_stage(stage, left):
    leave = "import threading, multiprocessing\nfrom magistral_recipe.foreign import leave\n"
    results, _, log = stage(
        f"{leave}it = {left}\nit.start()\nprint(getattr(it, 'pid', 0), flush=True)\n" + DONE + "leave(0, seconds=0.5)"
    )
    if int(log):
        os.kill(int(log), signal.SIGKILL)
    assert results == {"steps": 3}


@pytest.mark.parametrize(("code", "error"), [(2, UserError), (1, RunError)])
def test_a_failure_that_is_told_is_raised_as_the_kind_it_is(stage, code, error):
    with pytest.raises(error, match=r"^no such column$"):
        stage(f"send({{'type': 'failure', 'exit_code': {code}, 'message': 'no such column'}})\nsys.exit({code})")


def test_the_first_failure_counts(stage):
    with pytest.raises(RunError, match=r"^first$"):
        stage("for text in ('first', 'second'): send({'type': 'failure', 'exit_code': 1, 'message': text})")


def test_a_kill_is_said_as_one(stage, tmp_path):
    with pytest.raises(RunError, match=r"was killed \(signal 9.*log\.txt"):
        stage("send({'type': 'note', 'text': 'alive'})\nos.kill(os.getpid(), signal.SIGKILL)")
    assert stage.events == [{"type": "note", "text": "alive"}]


def test_another_signal_is_named(stage):
    with pytest.raises(RunError, match="died of SIGSEGV"):
        stage("os.kill(os.getpid(), signal.SIGSEGV)")


def test_a_silent_death_shows_the_logs_last_error(stage):
    with pytest.raises(RunError, match="exit code 7: ImportError: no flash attention"):
        stage("print('ImportError: no flash attention'); print('bye'); sys.exit(7)")


def test_the_log_of_an_earlier_attempt_is_kept_and_not_blamed(stage, tmp_path):
    (tmp_path / "log.txt").write_text("OldError: of another day\n")
    with pytest.raises(RunError, match="exit code 3: no output"):
        stage("sys.exit(3)")
    assert stage.log == "OldError: of another day\n"


def test_results_are_asked_for_even_where_the_exit_code_is_good(stage):
    with pytest.raises(RunError, match="exit code 0"):
        stage("pass")


def test_what_handles_an_event_may_fail_and_the_stage_is_stopped(tmp_path):
    script = tmp_path / "stage.py"
    script.write_text(
        "import os, signal\nfrom magistral_recipe.chain.events import EventSender\n"
        "EventSender()({'type': 'note', 'text': str(os.getpid())})\nsignal.pause()\n"
    )
    seen = []

    def refuse(event):
        seen.append(int(event["text"]))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_launched([sys.executable, str(script)], tmp_path / "log.txt", refuse)
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("end", "code"), [("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL), ("sys.exit(5)", 5)]
)
def test_accelerates_launcher_ends_as_its_processes_do(tmp_path, processes, end, code):
    script = tmp_path / "ends.py"
    script.write_text(f"import os, signal, sys\nif os.environ.get('RANK', '0') == '0':\n    {end}\n")
    words = launcher_command(LaunchConfig(num_processes=processes), tmp_path, [])
    command = [*words[: words.index("-m", 2)], str(script)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == code, done.stderr[-2000:]


RECIPE = """\
name: launched
model: {path: tiny}
problems: {set: {tiny: heldout, count: 4}}
stages:
  - sft: {traces: {tiny: true, count: 8}}
  - evaluate: {problems: set}
"""


@pytest.mark.parametrize(
    ("above", "size", "processes", "launched"),
    [
        ("accelerate launch --num_processes 2 -m magistral_recipe run r.yaml", 1, 2, False),
        ("accelerate launch --num-processes=3 --cpu -m magistral_recipe run r.yaml", 1, 3, False),
        ("accelerate launch -m magistral_recipe run r.yaml --num_processes 9", 1, 1, True),
        ("accelerate launch --multi_gpu --num_processes 2 -m magistral_recipe run r.yaml", 2, 2, True),
    ],
)
def test_the_processes_that_a_launcher_was_asked_for_are_those_that_run(
    tmp_path, monkeypatch, above, size, processes, launched
):
    (tmp_path / "r.yaml").write_text(RECIPE)
    monkeypatch.setattr("psutil.Process", lambda pid: SimpleNamespace(cmdline=above.split))
    world = World(size=size, launched=True)
    loaded, found, told = as_launched(load_recipe(tmp_path / "r.yaml"), world)
    assert [loaded.recipe.launch_of(stage).num_processes for stage in loaded.recipe.stages] == [processes] * 2
    assert loaded.document.data["launch"] == {"num_processes": processes}  # a stage's own process reads it there
    assert (found.launched, told is None) == (launched, launched)


def test_a_recipe_that_asks_otherwise_is_told_the_key(tmp_path):
    text = RECIPE.replace("evaluate: {", "evaluate: {launch: {num_processes: 3}, ")
    (tmp_path / "r.yaml").write_text(text + "launch: {num_processes: 1}\n")
    with pytest.raises(RecipeError) as caught:
        as_launched(load_recipe(tmp_path / "r.yaml"), World(size=2, launched=True))
    first, second = caught.value.problems
    assert first.startswith(
        f"{tmp_path}/r.yaml:7: launch.num_processes: asks for 1, and the launcher has started 2: set"
    )
    assert "stages[1].evaluate.launch.num_processes: asks for 3" in second
    outside = load_recipe(tmp_path / "r.yaml")
    assert as_launched(outside, World()) == (outside, World(), None)


@pytest.mark.parametrize("way", ["as its runner starts it", "python -m"])
def test_no_file_in_the_working_folder_takes_the_place_of_a_library(tmp_path, way):
    for name in ("random", "typer", "torch", "yaml", "rich"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    environment = launch._environment() if way == "as its runner starts it" else dict(os.environ)
    words = [sys.executable, "-m", "magistral_recipe", "--version"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("magistral-recipe 0"), done.stderr


def test_what_a_stage_starts_looks_for_modules_as_the_persons_own_shell_has_it(monkeypatch):
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    monkeypatch.setenv("PYTHONSAFEPATH", launch._environment()["PYTHONSAFEPATH"])
    launch.forget_safe_path()
    assert "PYTHONSAFEPATH" not in os.environ
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # the person's own
    assert launch._environment()["PYTHONSAFEPATH"] == "1"
    launch.forget_safe_path()
    assert os.environ["PYTHONSAFEPATH"] == "1"
