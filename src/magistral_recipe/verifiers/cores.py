"""How many cores this process may count on: affinity, the container's quota, and its siblings."""

from __future__ import annotations

import math
import os
from pathlib import Path

from magistral_recipe.machine import World


def usable_cores() -> int:
    """Return the cores that this process may use, at least 1: affinity and the cgroup's CPU quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, cores if quota is None else min(cores, math.ceil(quota)))


def worker_count() -> int:
    """Return how many verifying processes to run beside this one: its share of the cores, less one for itself."""
    return max(1, usable_cores() // World.from_environment().local_size - 1)


def _cgroup_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    for path in (root / "cpu.max", root / "cpu/cpu.cfs_quota_us"):
        try:
            words = path.read_text("ascii").split()
            if path.name != "cpu.max":
                words.append((path.parent / "cpu.cfs_period_us").read_text("ascii").strip())
            quota, period = float(words[0]), float(words[1])
        except (OSError, ValueError, IndexError):  # no such file, or "max"
            continue
        if quota > 0 and period > 0:
            return quota / period
    return None
