"""Steps captured as CUDA graphs: a shape's first step runs as it is written, its second is captured, all others replay.

A step launches a thousand kernels; from Python that takes longer than to compute them. A graph launches them at once.
It reads and writes the addresses that it saw, so that whatever a step touches must stay where it is: `forget` drops
the graphs of what has moved. Steps leave nothing in the graphs' own memory that a later one reads, so that all graphs
share it.

That memory can't be captured into again once its last graph is gone: cuBLAS' workspace, made in the first capture,
keeps it from being given back, and torch refuses what is left (`use_count > 0`). So graphs after a `forget` have a pool
of their own.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Hashable
from typing import Any

import torch

logger = logging.getLogger(__name__)


class StepGraphs:
    """Runs a step, by a captured graph where the device has them.

    Args:
        device: of everything that a step touches.

    Attributes:
        captured: graphs captured so far.
        seconds: time that capturing took.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._on = device.type == "cuda"
        self._graphs: dict[Hashable, torch.cuda.CUDAGraph | None] = {}
        self._pool: Any = None
        self.captured = 0
        self.seconds = 0.0

    def run(self, shape: Hashable, step: Callable[[], None]) -> None:
        """Take one step.

        Args:
            shape: of everything in the step; equal shapes have equal addresses until `forget`.
            step: waits for nothing on the device; changes tensors in place.

        Raises:
            torch.OutOfMemoryError: if memory runs out, while capturing too.
        """
        if not self._on:
            step()
            return
        if shape not in self._graphs:  # libraries set themselves up in a first call, which can't be captured
            step()
            self._graphs[shape] = None
            return
        graph = self._graphs[shape] or self._capture(shape, step)
        if graph is None:
            step()
        else:
            graph.replay()

    def _capture(self, shape: Hashable, step: Callable[[], None]) -> torch.cuda.CUDAGraph | None:
        started = time.perf_counter()
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream(self._device)
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        try:
            # thread_local: other threads, as a reward's, may use the device meanwhile.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                step()
        except RuntimeError as error:
            self._unwind(stream)
            if isinstance(error, torch.OutOfMemoryError):
                raise
            if isinstance(error.__context__, torch.OutOfMemoryError):  # ending a broken capture raises on top of it
                raise error.__context__ from None
            self._on = False
            self.forget()
            logger.warning(
                "the model's step can't be captured as a CUDA graph, so each kernel is launched from Python: %s",
                (str(error).strip().splitlines() or [type(error).__name__])[0],
            )
            return None
        self._graphs[shape] = graph
        self.captured += 1
        self.seconds += time.perf_counter() - started
        return graph

    def _unwind(self, stream: torch.cuda.Stream) -> None:
        """Put back what a capture that can't be ended leaves behind: its stream, and an allocator that captures."""
        torch.cuda.set_stream(stream)
        # Until torch #180395 the allocator then gives nothing back and `empty_cache` raises. Where it has stopped by
        # itself, stopping it is an error. Remove when our minimum is torch 2.13.
        with contextlib.suppress(RuntimeError):
            torch._C._cuda_endAllocateToPool(stream.device_index, self._pool)

    def forget(self) -> None:
        """Drop all graphs."""
        self._graphs.clear()
        self._pool = None
