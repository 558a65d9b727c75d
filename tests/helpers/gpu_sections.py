"""Sections of the GPU command that end in every way there is."""

import importlib
import os
import signal
import threading

from gpu_check.outcome import Findings, MissingPieceError


def passes(bench, found: Findings):
    found.figures |= {"estimate_gib": 2.0, "peak_gib": 1.5, "process": os.getpid()}
    found.mark(True, "7 of 7")
    found.told.append("a figure | by the way")


def breaks_a_mark(bench, found: Findings):
    found.mark(True, "this holds")
    found.mark(False, "9 GiB of 8")


def marks_nothing(bench, found: Findings):
    found.told.append("all is well")


def raises(bench, found: Findings):
    raise ValueError("no such thing\nand more of it")


def lacks(bench, found: Findings):
    raise MissingPieceError("not installed: vllm")


def imports(bench, found: Findings):
    importlib.import_module("a_package_that_is_not_there.inside")


def moved(bench, found: Findings):
    importlib.import_module("json.moved")


def dies(bench, found: Findings):
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(bench, found: Findings):
    threading.Event().wait()
