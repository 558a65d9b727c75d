"""Steps captured as CUDA graphs: a shape's first step runs as it is written, its second is captured, all others replay.

A step launches a thousand kernels; from Python that takes longer than to compute them. A graph launches them at once.
It reads and writes the addresses that it saw, so that whatever a step touches must stay where it is: `forget` drops
the graphs of what has moved. Steps leave nothing in the graphs' own memory that a later one reads, so that all graphs
share it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable

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
        self._on = device.type == "cuda"
        self._graphs: dict[Hashable, torch.cuda.CUDAGraph | None] = {}
        self._pool = torch.cuda.graph_pool_handle() if self._on else None
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
        try:
            # thread_local: other threads, as a reward's, may use the device meanwhile.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                step()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if isinstance(error.__context__, torch.OutOfMemoryError):  # ending a broken capture raises on top of it
                raise error.__context__ from None
            self._on = False
            self._graphs.clear()
            logger.warning(
                "the model's step can't be captured as a CUDA graph, so each kernel is launched from Python: %s",
                (str(error).strip().splitlines() or [type(error).__name__])[0],
            )
            return None
        self._graphs[shape] = graph
        self.captured += 1
        self.seconds += time.perf_counter() - started
        return graph

    def forget(self) -> None:
        """Drop all graphs."""
        self._graphs.clear()
