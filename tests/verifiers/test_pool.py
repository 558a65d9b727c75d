"""The pool of verifying processes: killable, fair under load, safe wherever it is started from."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest

from magistral_recipe.verifiers import pool as pool_module
from magistral_recipe.verifiers import worker as worker_module
from magistral_recipe.verifiers import workers as workers_module
from magistral_recipe.verifiers.pool import Outcome, Pool, shared_pool

EASY = (r"\int_0^1 x^2 dx", r"\frac{1}{3}")
WRONG = (r"\int_0^1 x^2 dx", r"\frac{1}{4}")
ENDLESS = (r"\sum_{k=1}^{10^7} \sin(k^2)", "5")


@pytest.fixture(scope="module")
def pool():
    pool = Pool(1, seconds=0.6)
    yield pool
    pool.close()


def test_pairs_come_back_in_order(pool):
    outcomes = pool.compare([EASY, WRONG, EASY, (r"\garble{{", "1")])
    assert outcomes[:3] == [Outcome.EQUAL, Outcome.DIFFERENT, Outcome.EQUAL]
    assert outcomes[3] in (Outcome.UNREADABLE, Outcome.DIFFERENT)


def test_an_endless_item_times_out_and_loses_no_other(pool):
    outcomes = pool.compare([EASY, ENDLESS, EASY, WRONG])
    assert outcomes == [Outcome.EQUAL, Outcome.TIMEOUT, Outcome.EQUAL, Outcome.DIFFERENT]


def bombs(count):
    """Pairs that SymPy never finishes, all different and none of them nested."""
    return [(ENDLESS[0], str(5 + number)) for number in range(count)]


@pytest.fixture
def started(monkeypatch):
    """The workers that were started."""
    workers = []

    class Counted(pool_module.Worker):
        def __init__(self):
            super().__init__()
            workers.append(self)

    monkeypatch.setattr(pool_module, "Worker", Counted)
    return workers


def test_all_pairs_of_a_completion_share_one_clock(pool, started):
    pool.compare([EASY])
    started.clear()
    assert pool.compare([*bombs(20), EASY], [range(21)]) == [Outcome.TIMEOUT] * 21
    assert started == []  # none takes the dead one's place; not twenty


def test_a_pair_that_another_completion_bombed_is_finished_with_its_own(pool):
    pairs = [*bombs(3), EASY, WRONG]
    outcomes = pool.compare(pairs, [[0, 1, 2, 3, 4], [0, 3, 4], [4]])
    assert outcomes == [Outcome.TIMEOUT] * 4 + [Outcome.DIFFERENT]
    outcomes = pool.compare(pairs, [[0, 1, 2, 3, 4], [3, 4]])
    assert outcomes == [Outcome.TIMEOUT] * 3 + [Outcome.EQUAL, Outcome.DIFFERENT]


@pytest.fixture
def sent(monkeypatch):
    """What was handed to workers: the pair, and the CPU time that its clock still had."""
    clocks = []

    def send(self, send=pool_module.Worker.send):
        clocks.append((self.unit.indices[0], self.unit.seconds - self.unit.spent))
        send(self)

    monkeypatch.setattr(pool_module.Worker, "send", send)
    return clocks


def test_what_has_had_its_time_is_not_tried_again_however_loaded_the_machine(pool, sent):
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3 * (os.cpu_count() or 1))]
    try:
        assert pool.compare(bombs(1)) == [Outcome.TIMEOUT]
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    assert sent == [(0, 0.6)]


def stopped_as_it_begins(monkeypatch, times):
    """Workers that the machine gives no time: they stand still once they have a pair, the first so many of them."""
    left = [times]

    def send(self, send=pool_module.Worker.send):
        stopped, left[0] = left[0] > 0, left[0] - 1
        if stopped:
            self.process.send_signal(signal.SIGSTOP)
        send(self)
        if stopped:
            assert self.deadline - time.monotonic() > 30
            self.deadline = time.monotonic() + 0.2

    monkeypatch.setattr(pool_module.Worker, "send", send)


def test_what_the_machine_gave_no_time_is_tried_again_with_what_is_left(monkeypatch):
    pool = Pool(1, seconds=1.0)
    pool.compare([EASY])
    stopped_as_it_begins(monkeypatch, times=1)
    assert pool.compare([EASY, WRONG], [[0, 1]]) == [Outcome.EQUAL, Outcome.DIFFERENT]
    pool.close()


def test_a_machine_that_gives_none_again_is_the_machines_fault_and_no_score(monkeypatch):
    pool = Pool(1, seconds=0.3)
    pool.compare([EASY])
    stopped_as_it_begins(monkeypatch, times=99)
    assert pool.compare([EASY, WRONG, EASY], [[0, 1], [2]]) == [Outcome.FAILED] * 3
    pool.close()


def killed_at(monkeypatch, indices):
    """Workers that die as soon as they have one of these pairs."""

    def send(self, send=pool_module.Worker.send):
        send(self)
        if self.unit.indices[0] in indices:
            self.process.kill()

    monkeypatch.setattr(pool_module.Worker, "send", send)


def test_one_completion_costs_three_workers_and_no_other_its_own(monkeypatch, sent):
    pool = Pool(1, seconds=8)
    killed_at(monkeypatch, range(10))
    pairs = [*((rf"\int_0^1 {n} x^2 dx", "7") for n in range(10)), EASY]
    outcomes = pool.compare(pairs, [range(10), [10]])
    assert outcomes[:2] == [Outcome.CRASHED] * 2
    assert outcomes[10] is Outcome.EQUAL
    assert not {Outcome.EQUAL, Outcome.DIFFERENT} & set(outcomes[:10])
    assert [index for index, _ in sent if index < 10] == [0, 1, 0]
    pool.close()


def test_what_a_completion_has_used_before_is_off_its_clock(pool, sent):
    pool.compare([EASY])
    sent.clear()
    pairs = [*bombs(2), EASY]
    assert pool.compare(pairs, [[0], [0], [1], [2]], [0.5, 0.5, 0.7, 0.0]) == [
        *[Outcome.TIMEOUT] * 2,
        Outcome.EQUAL,
    ]
    # Once for the two that share it, never for the one that has no time left.
    assert [clock for _, clock in sent] == [pytest.approx(0.1), pytest.approx(0.6)]


def test_a_crash_is_tried_again_alone_and_takes_from_the_clock(monkeypatch, sent):
    pool = Pool(1, seconds=8)
    bombed = (r"\int_0^1 x^2 dx", r"\int_0^{1}")
    killed_at(monkeypatch, [1])
    assert pool.compare([EASY, bombed, WRONG], [[0, 1, 2]]) == [Outcome.EQUAL, Outcome.CRASHED, Outcome.DIFFERENT]
    assert [index for index, _ in sent] == [0, 1, 2, 1]
    assert all(0 < clock <= 8 for _, clock in sent)
    assert sent[-1][1] < sent[-2][1] < 8
    pool.close()


def test_a_worker_killed_between_calls_is_replaced(pool):
    assert pool.compare([EASY]) == [Outcome.EQUAL]
    for worker in pool._workers:
        worker.process.kill()
        worker.process.wait()
    assert pool.compare([EASY, WRONG]) == [Outcome.EQUAL, Outcome.DIFFERENT]


def test_a_worn_out_worker_is_recycled(pool, monkeypatch):
    monkeypatch.setattr(pool_module, "ITEMS_PER_WORKER", 1)
    pool.compare([EASY])
    first = pool._workers[0].process.pid
    assert pool.compare([EASY]) == [Outcome.EQUAL]
    assert pool._workers[0].process.pid != first


def test_threads_share_it(pool):
    results = {}
    threads = [threading.Thread(target=lambda i=i: results.update({i: pool.compare([EASY, WRONG])})) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(results.values()) == [[Outcome.EQUAL, Outcome.DIFFERENT]] * 3


def at_once(calls):
    """Run calls in a thread each; return the threads and their results, in the order in which they came back."""
    results = {}

    def run(index, call):
        results[index] = call()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    return threads, results


def test_single_items_of_many_threads_occupy_all_workers(monkeypatch):
    pool, busy = Pool(3, seconds=4), []

    def start(self, unit, pairs, start=pool_module.Worker.start):
        start(self, unit, pairs)
        busy.append(sum(worker.unit is not None for worker in list(pool._workers)))

    monkeypatch.setattr(pool_module.Worker, "start", start)
    pool.compare([EASY] * 3)
    pairs = [(rf"\int_0^1 {n}x^{{{n - 1}}} dx", "1" if n % 2 else "2") for n in range(2, 34)]
    threads, results = at_once([lambda pair=pair: pool.compare([pair]) for pair in pairs])
    for thread in threads:
        thread.join()
    assert [results[n] for n in range(32)] == [[Outcome.DIFFERENT], [Outcome.EQUAL]] * 16
    assert max(busy) == 3
    assert len(pool._workers) == 3
    pool.close()


def test_a_single_item_does_not_wait_for_a_batch(monkeypatch):
    pool, begun = Pool(1, seconds=0.5), []
    pool.compare([EASY])

    def start(self, unit, pairs, start=pool_module.Worker.start):
        begun.append(pairs[unit.indices[0]][1])
        start(self, unit, pairs)
        if len(begun) == 1:
            single.start()  # the batch is at work

    monkeypatch.setattr(pool_module.Worker, "start", start)
    results = []
    single = threading.Thread(target=lambda: results.append(pool.compare([EASY])))
    assert pool.compare(bombs(6)) == [Outcome.TIMEOUT] * 6
    single.join()
    assert results == [[Outcome.EQUAL]]
    assert EASY[1] in begun[1:4]
    pool.close()


def test_a_crash_of_one_call_costs_its_neighbours_nothing():
    pool = Pool(2, seconds=4)
    pool.compare([EASY] * 2)
    killer = threading.Timer(0.05, lambda: pool._workers[0].process.kill())
    threads, results = at_once([lambda: pool.compare([EASY, WRONG] * 8) for _ in range(4)])
    killer.start()
    for thread in threads:
        thread.join()
    assert all(outcomes == [Outcome.EQUAL, Outcome.DIFFERENT] * 8 for outcomes in results.values())
    pool.close()


def test_where_pipes_cannot_be_waited_for_threads_read_them(monkeypatch):
    """Windows: the same calls, the same outcomes."""
    monkeypatch.setattr(workers_module, "SELECTS_PIPES", False)
    monkeypatch.setattr(workers_module, "_selected", None)
    monkeypatch.setattr(workers_module, "selectors", None)
    pool = Pool(2, seconds=0.6)
    before = threading.active_count()
    assert pool.compare([EASY, WRONG] * 3) == [Outcome.EQUAL, Outcome.DIFFERENT] * 3
    assert threading.active_count() > before
    assert pool.compare([EASY, ENDLESS, EASY]) == [Outcome.EQUAL, Outcome.TIMEOUT, Outcome.EQUAL]
    for worker in pool._workers:
        worker.process.kill()
        worker.process.wait()
    assert pool.compare([WRONG]) == [Outcome.DIFFERENT]
    threads, results = at_once([lambda: pool.compare([EASY]) for _ in range(8)])
    for thread in threads:
        thread.join()
    assert list(results.values()) == [[Outcome.EQUAL]] * 8
    pool.close()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_a_worker_goes_on_where_the_system_refuses_a_limit_of_memory(monkeypatch):
    def refuse(*_):
        raise ValueError("current limit exceeds maximum limit")  # as macOS says it

    monkeypatch.setattr(resource, "setrlimit", refuse)
    worker_module._limit_memory()


@pytest.mark.parametrize(
    ("parse", "why"),
    [
        ("lambda *_, **__: []", "are compared as None"),
        ("lambda text, **_: [text]", "are compared as None"),
        ("None", "TypeError: 'NoneType' object is not callable"),
    ],
)
def test_a_version_that_cannot_compare_is_one_named_error(tmp_path, monkeypatch, caplog, started, parse, why):
    package = tmp_path / "math_verify"
    package.mkdir()
    (package / "__init__.py").write_text(
        f"parse = {parse}\nverify = lambda *_, **__: True\nLatexExtractionConfig = lambda **_: None\n"
    )
    environment = workers_module._environment
    monkeypatch.setattr(
        workers_module, "_environment",
        lambda: {**environment(), "PYTHONPATH": f"{tmp_path}{os.pathsep}{environment()['PYTHONPATH']}"},
    )  # fmt: skip
    pool = Pool(2)
    for _ in range(50):
        assert pool.compare([EASY, WRONG]) == [Outcome.FAILED] * 2
    assert len(started) <= 2  # tried once, not fifty times
    (record,) = caplog.records
    assert "the installed math-verify 0." in record.getMessage()
    assert why in record.getMessage()
    assert "SymPy is off: answers are graded by rules alone" in record.getMessage()
    assert pool._workers == []


def test_an_interrupted_call_leaves_no_stale_answer(pool, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pool, "_serve", interrupt)
        with pytest.raises(KeyboardInterrupt):
            pool.compare([WRONG])
    assert pool.compare([EASY]) == [Outcome.EQUAL]


def test_workers_that_cannot_start_are_the_machines_fault(monkeypatch, caplog):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    pool = Pool(1)
    for _ in range(3):
        assert pool.compare([EASY]) == [Outcome.FAILED]
    (record,) = caplog.records
    assert "SymPy is off" in record.getMessage()


def test_workers_that_die_at_once_are_the_machines_fault(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert Pool(1).compare([EASY, WRONG]) == [Outcome.FAILED] * 2


SCRIPT = r"""
from magistral_recipe.rewards import math_correctness
print(math_correctness(completions=["<think>x</think>\\boxed{\\frac13}"], answer=[r"\int_0^1 x^2 dx"]))
"""


@pytest.mark.parametrize("way", ["file", "stdin", "namespace"])
def test_it_works_without_an_importable_main(tmp_path, way):
    (tmp_path / "sympy.py").write_text("raise SystemExit('shadowed')")  # what lies about must not reach the workers
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    commands = {
        "file": ([sys.executable, script], None),
        "stdin": ([sys.executable, "-"], SCRIPT),
        # a notebook's main module: a namespace without a file
        "namespace": ([sys.executable, "-c", f"exec({SCRIPT!r}, {{'__name__': '__main__'}})"], None),
    }
    command, given = commands[way]
    result = subprocess.run(command, input=given, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert result.stdout.strip() == "[1.0]", result.stderr


FORK = (
    SCRIPT
    + r"""
import os
from magistral_recipe.verifiers.pool import shared_pool
parent = {worker.process.pid for worker in shared_pool()._workers}
child = os.fork()
if child == 0:
    exec(SOURCE)
    ours = {worker.process.pid for worker in shared_pool()._workers}
    os._exit(0 if ours and ours.isdisjoint(parent) else 7)
assert os.waitpid(child, 0)[1] == 0
exec(SOURCE)
assert {worker.process.pid for worker in shared_pool()._workers} == parent
"""
)


def test_a_forked_child_starts_a_pool_of_its_own():
    code = f"SOURCE = {SCRIPT!r}\n{FORK}"
    result = subprocess.run([sys.executable, "-u", "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["[1.0]"] * 3


@pytest.mark.parametrize("end", ["exit", "kill"])
def test_no_process_outlives_its_parent(end):
    code = f"""{SCRIPT}
import os, signal
from magistral_recipe.verifiers.pool import shared_pool
print(*[worker.process.pid for worker in shared_pool()._workers], flush=True)
{"os.kill(os.getpid(), signal.SIGKILL)" if end == "kill" else ""}
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    pids = [int(word) for word in result.stdout.split()[1:]]
    assert pids
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_worker_keeps_its_protocol_when_a_library_prints():
    items = [{"id": i, "reference": a, "answer": b, "seconds": 5.0} for i, (a, b) in enumerate([EASY, WRONG])]
    result = subprocess.run(
        [sys.executable, "-m", "magistral_recipe.verifiers.worker"],
        input="".join(json.dumps(item) + "\n" for item in items), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    replies = [json.loads(line) for line in result.stdout.splitlines()]
    assert replies == [{"ready": True}, {"id": 0, "equal": True}, {"id": 1, "equal": False}]
    assert result.returncode == 0


def test_one_pool_a_process():
    assert shared_pool() is shared_pool()


def test_right_answers_survive_a_busy_machine():
    """CPU time, not wall time: twice as many burners as cores, and nothing is lost."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    busy = Pool(2, seconds=4.0)
    try:
        assert busy.compare([EASY, WRONG] * 4) == [Outcome.EQUAL, Outcome.DIFFERENT] * 4
    finally:
        busy.close()
        for burner in burners:
            burner.kill()
            burner.wait()
