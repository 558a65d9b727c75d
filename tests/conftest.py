"""What all tests share: nothing reaches the network, and what a machine lacks is skipped by name (never under CI)."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads starve one another on few cores

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background job, where Ctrl-C is tried in vain
    signal.signal(signal.SIGINT, signal.default_int_handler)

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    # A temporary folder of its own: tests that look for what was left behind must not see another worker's.
    os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix=f"tests-{worker}-")
    os.chmod(tempfile.tempdir, 0o755)  # programs under test may run as nobody
    atexit.register(shutil.rmtree, tempfile.tempdir, ignore_errors=True)
    # As many workers as cores: threads would only wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

NEEDS = {
    "sandbox": (("bwrap",), "bubblewrap"),
    "browser": (("chromium", "chromium-browser", "google-chrome"), "chromium"),
}
"""Marker to the programs of which one must be there, and the Debian package that brings it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests whose program is missing; under CI they run, and fail."""
    if os.environ.get("CI"):
        return
    for marker, (programs, package) in NEEDS.items():
        if not any(shutil.which(program) for program in programs):
            for item in items:
                if item.get_closest_marker(marker):
                    item.add_marker(pytest.mark.skip(reason=f"needs {package}: apt-get install {package}"))
