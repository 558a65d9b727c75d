"""What sections work with: the device and its cap, measured peaks, a folder. torch is loaded where it is needed."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.util
import os
import platform
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_check.outcome import LOG, MissingPieceError, last_line
from magistral_recipe.machine import GIB, version_of, version_suits, versions

_CONTEXT = int(0.6 * GIB)
"""The most that a CUDA context of this process is taken to hold; more than that is somebody else's."""


@dataclass
class Peak:
    """The most memory that was held while something ran, in bytes.

    Attributes:
        device: of the whole device (without a GPU: of this process), sampled.
        allocated: of PyTorch's allocator; 0 without a GPU.
        left: what this process held of the device when it began, beyond a context: kernels that earlier sections have
            loaded, and whatever else they left. Part of `device`.
    """

    device: int = 0
    allocated: int = 0
    left: int = 0


class Bench:
    """The device at hand.

    Args:
        out: the folder of the run.
        cap_gib: memory of the card that is pretended, in GiB.
        self_test: use the CPU and tiny shapes, whatever card there is.
    """

    def __init__(self, out: Path, cap_gib: float, self_test: bool = False) -> None:
        self.out = out
        self.cap = int(cap_gib * GIB)
        self._self_test = self_test
        self._others = 0
        self._ready = False

    @property
    def gpu(self) -> bool:
        """Whether a GPU does the work; the first look sets its cap."""
        import torch

        if self._self_test or not torch.cuda.is_available():
            return False
        if not self._ready:
            self._ready = True
            free, total = torch.cuda.mem_get_info()
            used = total - free
            self._others = max(used - _CONTEXT, 0)
            own = self.cap - min(used, _CONTEXT)
            torch.cuda.set_per_process_memory_fraction(min(own / total, 1.0))
        return True

    @property
    def device(self) -> str:
        """torch's name for it."""
        return "cuda" if self.gpu else "cpu"

    @property
    def tiny(self) -> bool:
        """Whether shapes are tiny."""
        return not self.gpu

    @property
    def cap_share(self) -> float:
        """The cap as a share of the device's memory: what vLLM's own share is to be multiplied with."""
        import torch

        return min(self.cap / torch.cuda.mem_get_info()[1], 1.0) if self.gpu else 1.0

    def machine(self) -> dict[str, Any]:
        """The machine in words and numbers; only what can be told without torch where there is none."""
        found: dict[str, Any] = {
            "system": platform.platform(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "versions": versions(),
            "gpu": None,
        }
        if self._self_test:
            return {**found, "why": "--self-test"}
        if importlib.util.find_spec("torch") is None:
            return {**found, "why": "PyTorch is not installed"}
        import torch

        if not self.gpu:
            return {**found, "why": f"torch {torch.__version__} finds none"}
        card = torch.cuda.get_device_properties(0)
        found["gpu"] = f"{card.name}, {card.total_memory / GIB:.1f} GiB"
        found |= {"cuda": torch.version.cuda, "capability": f"{card.major}.{card.minor}"}
        return {**found, "held_by_others_gib": round(self._others / GIB, 2)}

    @contextlib.contextmanager
    def peak(self) -> Iterator[Peak]:
        """Measure the most memory that is held meanwhile; caches are emptied before."""
        self.tidy()
        found = Peak()
        if self.gpu:
            import torch

            torch.cuda.reset_peak_memory_stats()
            found.left = max(self._used() - self._others - _CONTEXT, 0)
        with _sampled(self._used) as sampled:
            yield found
        found.device = max(sampled) - (self._others if self.gpu else 0)
        if self.gpu:
            found.allocated = torch.cuda.max_memory_allocated()

    def _used(self) -> int:
        if self.gpu:
            import torch

            free, total = torch.cuda.mem_get_info()
            return total - free
        import psutil

        return psutil.Process().memory_info().rss

    def python(self, words: Sequence[str]) -> None:
        """Run Python with some words; its output goes to the log.

        Raises:
            RuntimeError: where it fails, with its last line.
        """
        done = subprocess.run([sys.executable, *words], stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise RuntimeError(
                f"{' '.join(words)[-60:]} ended with exit code {done.returncode}: {last_line(self.out / LOG)[-300:]}"
            )

    def tidy(self) -> None:
        """Give back what nobody refers to any more."""
        gc.collect()
        if "torch" in sys.modules and self.gpu:
            import torch

            torch.cuda.empty_cache()


@contextlib.contextmanager
def _sampled(measure: Callable[[], int], seconds: float = 0.005) -> Iterator[list[int]]:
    """Measure something again and again in a thread; the first and the last value are certain to be there."""
    values = [measure()]
    done = threading.Event()

    def sample() -> None:
        _beside_captures()
        while not done.wait(seconds):
            values[0] = max(values[0], measure())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield values
    finally:
        done.set()
        thread.join()
        values.append(measure())


def _beside_captures() -> None:
    """Let this thread ask the driver while another captures a CUDA graph.

    Under CUDA's "global" capture mode, which vLLM captures in, a call of any thread may break the capture; the driver
    has a thread say of itself that its calls have nothing to do with one.
    """
    relaxed = ctypes.c_int(2)  # CU_STREAM_CAPTURE_MODE_RELAXED
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libcuda.so.1").cuThreadExchangeStreamCaptureMode(ctypes.byref(relaxed))


def unsuited() -> str | None:
    """Name an installed package of another version than this project takes (`pyproject.toml`), and what it takes.

    What fails with it says nothing of this project. ``None`` where all suit, and where the file is not there.
    """
    file = Path(__file__).parents[2] / "pyproject.toml"
    if not file.is_file():
        return None
    from packaging.requirements import Requirement

    extras = tomllib.loads(file.read_text("utf-8"))["project"]["optional-dependencies"]
    for wanted in map(Requirement, [*extras["train"], *extras["vllm"]]):
        installed = version_of(wanted.name)
        if installed is not None and not version_suits(installed, str(wanted.specifier)):
            return f"{wanted.name} {installed} is installed, and {wanted.specifier} is asked for"
    return None


def need(*packages: str) -> None:
    """Skip a section by the name of a package that is not there.

    Raises:
        MissingPieceError: naming all of them.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingPieceError(f"not installed: {', '.join(missing)}")
