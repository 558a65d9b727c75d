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

TYPE_CHECKING = False  # as in `typing`, whose import costs more than most tests
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any, NoReturn

# Imported before the forks where a program names them: once for all tests.
PRELOADED = {"array", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "fractions", "functools"}
PRELOADED |= {"heapq", "itertools", "json", "math", "numpy", "operator", "queue", "random", "re", "string", "typing"}
# LeetCode's own judge has these names ready for its `Solution` classes.
LEETCODE = ("typing", "collections", "itertools", "functools", "heapq", "bisect", "math", "string")
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
        for name in sorted(PRELOADED.intersection(code.co_names)):
            try:
                __import__(name)
            except ImportError:
                continue
        if self.call:
            import json

            self.json = json
        if self.call == "method":
            for name in LEETCODE:
                __import__(name)
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
        module = type(sys)("solution")
        sys.modules["solution"] = module
        if request["method_of"]:
            for name in LEETCODE:
                imported = __import__(name)
                exported = [each for each in dir(imported) if not each.startswith("_")]
                vars(module).update({each: getattr(imported, each) for each in exported} | {name: imported})
        exec(code, module.__dict__)
        owner = getattr(module, request["method_of"])() if request["method_of"] else module
        result = getattr(owner, request["function"])(*request["args"], **request["kwargs"])
        data = memoryview(self.json.dumps(plain(result)).encode("utf-8", "surrogatepass"))
        while data:
            data = data[os.write(3, data) :]
        os._exit(0)


def run_to_its_end(code: CodeType, names: dict[str, Any]) -> int:
    """Run a program as the interpreter runs a script; return its exit status."""
    try:
        exec(code, names)
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        sys.stderr.write(f"{stop.code}\n")
        return 1
    except BaseException:  # noqa: BLE001 - what a script dies of is reported, whatever it is
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        return 1
    return 0


def leave(status: int) -> NoReturn:
    """End as the interpreter does, without taking apart every module: that costs more than most tests."""
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        if "atexit" in sys.modules:
            sys.modules["atexit"]._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - exit handlers are the program's too
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        status = status or 120
    os._exit(status & 0xFF)


def plain(value: Any) -> Any:
    """Return a value made of JSON's own types; a subclass could lie about being equal."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple):
        return [plain(item) for item in value]
    if type(value) is dict:
        if not all(key is None or type(key) in (bool, int, float, str) for key in value):
            raise TypeError("a key that JSON does not have")
        return {key: plain(item) for key, item in value.items()}
    raise TypeError(f"a value that JSON does not have: {type(value).__name__}")


if __name__ == "__main__":
    driver = Driver(dict(argument.split("=", 1) for argument in sys.argv[1:]))
    todo, given = driver.serve()
    # Only the child of one test gets here.
    sys.argv = ["solution.py"]
    if isinstance(todo, str):
        driver.execute([todo])
    import builtins

    vars(builtins).update(exit=sys.exit, quit=sys.exit)  # what the module `site` would have added
    if driver.call:
        driver.write_call(todo, given)
    main = sys.modules["__main__"]  # kept, or this very frame would lose its names
    module = sys.modules["__main__"] = type(sys)("__main__")
    leave(run_to_its_end(todo, module.__dict__))
