"""Runs inside the sandbox: takes one program, then one input after another, and reports what came out.

The driver forks once per input, so that one sandbox and one interpreter serve all tests of a program. It
is not trusted: expected outputs never get here, and what it sends is only ever compared with them
outside. It is passed to the interpreter as text and needs nothing but the standard library; imports are
few because they are paid for every program.

Protocol, on the driver's standard input and output, numbers little-endian:

* in: frames of an 8-byte length and that many bytes; the program first, then inputs;
* out: frames of a kind (``H`` hello, ``C`` compiled, ``T`` tested), exit status (4 bytes, signed, minus the
  signal), CPU time (8 bytes, microseconds), two lengths (8 bytes each), output and error output.
"""

from __future__ import annotations

import gc
import os
import resource
import sys

# Bound here, so that a program that puts others in their place changes nothing about how its result is read.
from builtins import TypeError, bool, dict, float, int, list, str, tuple, type  # noqa: UP029

TYPE_CHECKING = False  # as in `typing`, whose import costs more than most tests
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType
    from typing import Any, NoReturn

# Imported before the forks where a program names them: once for all tests.
PRELOADED = {"array", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "fractions", "functools"}
PRELOADED |= {"heapq", "itertools", "json", "math", "numpy", "operator", "queue", "random", "re", "string", "typing"}
# LeetCode's own judge has these and their names ready for its `Solution` classes, and LiveCodeBench's judge too.
LEETCODE: tuple[str, ...] = ("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random")
LEETCODE += ("statistics", "itertools", "functools", "operator", "io", "sys", "json", "typing")
PUBLISHED_DEPTH = 50_000  # LiveCodeBench's recursion limit
# Programs that name none of these leave nothing behind for the interpreter to write when it takes them apart.
LATE_WRITERS = {"open", "fdopen", "FileIO", "BufferedWriter", "BufferedRandom", "TextIOWrapper", "__del__"}
LATE_WRITERS |= {"getattr", "eval", "exec", "compile", "__import__", "import_module"}
ERROR_BYTES = 400


def read_exact(count: int) -> bytes:
    parts = []
    while count:
        part = os.read(0, min(count, 1 << 20))
        if not part:
            os._exit(0)  # nobody is waiting any more
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def receive() -> bytes:
    return read_exact(int.from_bytes(read_exact(8), "little"))


def send(kind: bytes, status: int = 0, cpu: float = 0.0, output: bytes = b"", errors: bytes = b"") -> None:
    head = kind + status.to_bytes(4, "little", signed=True) + round(cpu * 1e6).to_bytes(8, "little")
    data = memoryview(head + len(output).to_bytes(8, "little") + len(errors).to_bytes(8, "little") + output + errors)
    while data:
        data = data[os.write(1, data) :]


def limit(kind: int, soft: int, hard: int | None = None) -> None:
    hard = soft if hard is None else hard
    if kind == resource.RLIMIT_STACK:
        hard = resource.RLIM_INFINITY  # a program may ask for more of its own memory
    elif resource.getrlimit(kind)[1] != resource.RLIM_INFINITY:
        hard = min(hard, resource.getrlimit(kind)[1])
    resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def own_size() -> int:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 32 << 20


def scratch_file(root: str) -> int:
    path = root + "/.scratch"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(path)  # no program finds it, and it goes with its last descriptor
    return file


def wipe(folder: str, keep: tuple[str, ...] = ()) -> None:
    for name in os.listdir(folder):
        path = folder + "/" + name
        if path in keep:
            continue
        try:
            os.unlink(path)
        except OSError:
            try:
                os.chmod(path, 0o700)
                wipe(path)
                os.rmdir(path)
            except OSError:
                continue  # in nobody's way but the program's


def kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except OSError:
        return  # nothing left to kill


def names_in(code: CodeType) -> set[str]:
    """Every name that a program uses, its functions' included."""
    names: set[str] = set()
    pending = [code]
    while pending:
        each = pending.pop()
        names.update(each.co_names)
        pending += [constant for constant in each.co_consts if type(constant) is type(code)]
    return names


def ready_names() -> dict[str, Any]:
    """What LeetCode's solutions find without importing it; none of it hides a built-in, as `math.pow` would."""
    import builtins

    names: dict[str, Any] = {}
    for each in LEETCODE:
        exec(f"from {each} import *", names)
    for each in vars(builtins):
        names.pop(each, None)
    del names["__builtins__"]
    names.update((each, sys.modules[each]) for each in LEETCODE)
    return names


class PipeEnd:
    """An end of the pair through which an event loop wakes itself: a pipe does where no sockets can be made."""

    def __init__(self, number: int) -> None:
        self.number = number

    def fileno(self) -> int:
        return self.number

    def setblocking(self, flag: bool) -> None:
        os.set_blocking(self.number, flag)

    def recv(self, count: int) -> bytes:
        return os.read(self.number, count)

    def send(self, data: bytes) -> int:
        return os.write(self.number, data)

    def close(self) -> None:
        if self.number >= 0:
            os.close(self.number)
        self.number = -1


def provide_pairs() -> None:
    """Let `asyncio` work without sockets; nothing where they can be made."""
    import socket

    try:
        for end in socket.socketpair():
            end.close()
    except OSError:
        socket.socketpair = lambda *_: tuple(PipeEnd(number) for number in os.pipe())  # type: ignore[assignment, misc]


class Driver:
    """Serves one program.

    Args:
        options: what `Session` passes as ``key=value`` arguments.
    """

    def __init__(self, options: dict[str, str]) -> None:
        self.root = options["root"]
        self.home = self.root + "/home"
        self.build = self.root + "/.build"
        self.language = options["language"]
        self.call = options["call"]  # "", "function" or "method"
        self.published = options["published"] == "1"
        self.ready: dict[str, Any] = {}
        self.late = False  # whether the program may leave output to the interpreter's end
        self.memory = int(options["memory"])
        self.file_size = int(options["file_size"])
        self.stack = int(options["stack"])
        self.shown = options["shown"]
        places = {"{build}": self.build, "{shown}": self.shown}
        self.compiler = options["compiler"].split("\x1f")
        for name, place in places.items():
            self.compiler = [word.replace(name, place) for word in self.compiler]
        self.compile_seconds = int(options["compile_seconds"])
        self.compile_memory = int(options["compile_memory"])
        self.all_ours = options["all_ours"] == "1"
        if hasattr(sys, "set_int_max_str_digits"):
            sys.set_int_max_str_digits(0)  # no contest's judge has this limit of CPython's
        if options["packages"]:
            sys.path.append(self.shown + options["packages"])
        limit(resource.RLIMIT_CORE, 0)
        limit(resource.RLIMIT_NOFILE, 256)
        limit(resource.RLIMIT_NPROC, int(options["processes"]))
        if self.language == "python":
            limit(resource.RLIMIT_AS, self.memory + (512 << 20))  # while compiling and importing

    def prepare(self, source: bytes) -> CodeType | str | None:
        """Compile the program; return what a test's child executes, or None."""
        self.kept = (*(self.root + "/" + name for name in os.listdir(self.root)), self.build)
        os.mkdir(self.home)
        if self.language == "cpp":
            return self.prepare_cpp(source)
        try:
            code = compile(source, "solution.py", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
            send(b"C", 1, errors=repr(error).encode("utf-8", "replace")[-ERROR_BYTES:])
            return None
        names = names_in(code)
        self.late = not LATE_WRITERS.isdisjoint(names)
        for name in sorted(PRELOADED.intersection(code.co_names) | (names & {"numpy"})):
            try:
                __import__(name)
            except ImportError:
                continue
        if "asyncio" in names:
            provide_pairs()
        if self.call == "method" or self.published:
            self.ready = ready_names()
        if self.call:
            import json

            self.json = json
            self.write_value = Writer().write
        # A fork inherits what the interpreter and its modules occupy: the program's memory comes on top.
        limit(resource.RLIMIT_AS, self.memory + own_size())
        gc.freeze()  # the collector need not touch, and so copy, the driver's pages in every child
        send(b"C")
        return code

    def prepare_cpp(self, source: bytes) -> str | None:
        os.mkdir(self.build)
        with open(self.build + "/solution.cpp", "wb") as file:
            file.write(source)
        errors = scratch_file(self.root)
        pid = os.fork()
        if pid == 0:
            os.chdir(self.build)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(errors, 1)
            os.dup2(errors, 2)
            os.closerange(3, 256)
            limit(resource.RLIMIT_AS, self.compile_memory)
            limit(resource.RLIMIT_CPU, self.compile_seconds, self.compile_seconds + 1)
            limit(resource.RLIMIT_FSIZE, 256 << 20)
            self.execute(self.compiler)
        status, cpu = self.finish(pid)
        send(b"C", status, cpu, errors=os.pread(errors, ERROR_BYTES, 0))
        os.close(errors)
        return None if status else self.build + "/solution"

    def finish(self, pid: int) -> tuple[int, float]:
        """Wait for a child, end whatever it left running, return its status and its CPU time."""
        _, status, usage = os.wait4(pid, 0)
        if self.all_ours and os.getppid() == 1:  # a namespace of our own: everything but its init is the program's
            kill(-1)
        kill(-pid)
        return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime

    def serve(self) -> tuple[CodeType | str, bytes]:
        """Answer until the input ends; return only in a test's child, with what it has to execute."""
        send(b"H")
        todo = self.prepare(receive())
        if todo is None:
            os._exit(0)
        while True:
            frame = receive()
            seconds = int.from_bytes(frame[:4], "little")
            given = frame[4:]
            if len(os.listdir(self.root)) > 1 or os.listdir(self.home):
                wipe(self.root, self.kept)
                os.mkdir(self.home)
            if self.all_ours and os.listdir("/dev/shm"):
                wipe("/dev/shm")
            files = [scratch_file(self.root) for _ in range(3)]
            if not self.call:
                view = memoryview(given)
                while view:
                    view = view[os.write(files[0], view) :]
                os.lseek(files[0], 0, 0)
            pid = os.fork()
            if pid == 0:
                self.become_test(files, seconds)
                return todo, given
            status, cpu = self.finish(pid)
            output = os.pread(files[1], self.file_size, 0)
            size = os.fstat(files[2]).st_size
            errors = os.pread(files[2], ERROR_BYTES, max(0, size - ERROR_BYTES)) if status else b""
            send(b"T", status, cpu, output, errors)
            for file in files:
                os.close(file)

    def become_test(self, files: list[int], seconds: int) -> None:
        os.setpgid(0, 0)
        os.chdir(self.home)
        standard_output = os.open(os.devnull, os.O_WRONLY) if self.call else files[1]
        result = os.dup(files[1]) if self.call else None
        os.dup2(files[0], 0)
        os.dup2(standard_output, 1)
        os.dup2(files[2], 2)
        if result is not None:
            os.dup2(result, 3)
        os.closerange(4 if self.call else 3, 256)
        limit(resource.RLIMIT_CPU, seconds, seconds + 1)
        limit(resource.RLIMIT_FSIZE, self.file_size)
        limit(resource.RLIMIT_STACK, self.stack)
        if self.language == "cpp":
            limit(resource.RLIMIT_AS, self.memory + (16 << 20))

    def execute(self, command: list[str]) -> NoReturn:
        import signal

        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and exec would pass that on
            signal.signal(number, signal.SIG_DFL)
        try:
            os.execv(command[0], command)
        finally:
            os._exit(127)

    def write_call(self, code: CodeType, given: bytes) -> NoReturn:
        """Call the function and write what it returned, as JSON of exact built-in types."""
        request = self.json.loads(given)
        write, leave = os.write, os._exit
        module = type(sys)("solution")
        sys.modules["solution"] = module
        module.__dict__.update(self.ready)
        exec(code, module.__dict__)
        owner: Any = module
        if request["method_of"] and (not self.published or hasattr(module, request["method_of"])):
            owner = getattr(module, request["method_of"])()
        result = getattr(owner, request["function"])(*request["args"], **request["kwargs"])
        data = memoryview(self.write_value(result).encode("ascii"))
        while data:
            data = data[write(3, data) :]
        leave(0)
        raise SystemExit  # never reached, whatever has been put in its place


class Writer:
    """Writes a value as JSON, through the own methods of the built-in types alone.

    A subclass could lie about what it holds, in any method that it defines, so none of these is asked, nor
    one of its metaclass: the types are told apart by identity in the real order of bases. What numpy and
    `collections` make is written as the plain value it stands for. Made before the program runs.
    """

    def __init__(self) -> None:
        from json.encoder import encode_basestring_ascii as quote

        self.quote: Callable[[str], str] = quote
        self.bases_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
        deque = __import__("_collections").deque
        self.writers: list[tuple[type, Callable[[Any], str]]] = [
            (bool, {True: "true", False: "false"}.__getitem__),
            (int, int.__repr__),
            (float, self.write_float),
            (str, quote),
            (list, lambda value: self.write_items(list.__iter__(value))),
            (tuple, lambda value: self.write_items(tuple.__iter__(value))),
            (deque, lambda value: self.write_items(deque.__iter__(value))),
            (dict, self.write_dict),
        ]
        if "numpy" in sys.modules:
            numpy = sys.modules["numpy"]
            self.writers.append((numpy.ndarray, lambda value: self.write(numpy.ndarray.tolist(value))))
            self.writers.append((numpy.generic, self.write_scalar(numpy.generic)))

    def write(self, value: Any) -> str:
        """Return a value as JSON.

        Raises:
            TypeError: where it is, or holds, one that JSON does not have.
        """
        if value is None:
            return "null"
        kind = type(value)
        for base in self.bases_of(kind):
            for known, write in self.writers:
                if base is known:
                    return write(value)
        raise TypeError(f"a value that JSON does not have: {type.__repr__(kind)}")

    def write_float(self, value: float) -> str:
        text = float.__repr__(value)
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(text, text)

    def write_items(self, items: Iterable[Any]) -> str:
        return "[" + ",".join([self.write(item) for item in items]) + "]"

    def write_dict(self, value: dict[Any, Any]) -> str:
        pairs = []
        for key, item in dict.items(value):
            name = self.write(key)
            if name[0] in "[{":
                raise TypeError("a key that JSON does not have")
            name = name if name[0] == '"' else self.quote(name)
            pairs.append(name + ":" + self.write(item))
        return "{" + ",".join(pairs) + "}"

    def write_scalar(self, generic: Any) -> Callable[[Any], str]:
        def write(value: Any) -> str:
            item = generic.item(value)
            if type(item) is type(value):  # a long double
                raise TypeError("a number that JSON does not have")
            return self.write(item)

        return write


def run_to_its_end(code: CodeType, names: dict[str, Any], published: bool) -> int:
    """Run a program as the interpreter runs a script; return its exit status."""
    try:
        exec(code, names)
    except SystemExit as stop:
        if published:  # LiveCodeBench's judge looks at the output alone
            return 0
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        sys.stderr.write(f"{stop.code}\n")
        return 1
    except BaseException:  # noqa: BLE001 - what a script dies of is reported, whatever it is
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        return 1
    return 0


def settle(status: int) -> int:
    """Do what the interpreter does between a script's last line and taking it apart; return the exit status."""
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        if "atexit" in sys.modules:
            sys.modules["atexit"]._run_exitfuncs()
        flush(sys.stdout)
    except BaseException:  # noqa: BLE001 - exit handlers are the program's too
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        status = status or 120
    return status


def flush_files() -> None:
    """Write out what the program's files have buffered: collected together, one may close before it is asked."""
    import io

    alive = gc.get_objects()
    for kind in (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom):
        for each in alive:
            if issubclass(type(each), kind):
                flush(each)


def flush(file: Any) -> None:
    """Write out what a file has buffered; nothing where it is closed, detached or no such thing."""
    try:
        if file is None or getattr(file, "closed", False) or not hasattr(file, "flush"):
            return
    except ValueError:
        return
    file.flush()


if __name__ == "__main__":
    driver = Driver(dict(argument.split("=", 1) for argument in sys.argv[1:]))
    todo, given = driver.serve()
    # Only the child of one test gets here.
    sys.argv = ["solution.py"]
    if isinstance(todo, str):
        driver.execute([todo])
    import builtins

    vars(builtins).update(exit=sys.exit, quit=sys.exit)  # what the module `site` would have added
    if driver.published:
        sys.setrecursionlimit(PUBLISHED_DEPTH)
    if driver.call:
        driver.write_call(todo, given)
    main = sys.modules["__main__"]  # kept, or this very frame would lose its names
    standard = sys.stdout
    module = sys.modules["__main__"] = type(sys)("__main__")
    module.__dict__.update(driver.ready)
    status = settle(run_to_its_end(todo, module.__dict__, driver.published))
    try:
        if driver.late:
            # What the interpreter's end would still bring out. Every program taken apart would cost more than most
            # tests take.
            flush_files()
            sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
            sys.modules["__main__"] = main
            del module
            gc.collect()
        flush(standard)
    except BaseException:  # noqa: BLE001 - what a program left of these files is its own affair
        status = status or 120
    os._exit(status & 0xFF)
