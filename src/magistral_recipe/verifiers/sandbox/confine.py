"""Where programs run that nobody has read: the choice of a sandbox, and what it refuses to do without.

Three modes, from strong to none: ``bwrap`` (namespaces, an empty network, nothing of the caller's files),
``landlock`` (weaker: no namespaces, files and sockets refused by the kernel), ``unsafe`` (resource limits
alone). A mode that does not work here is an error with its remedy, never a silent step down.
"""

from __future__ import annotations

import logging
import os
import tempfile
from functools import cache
from pathlib import Path

from magistral_recipe.verifiers.sandbox.terms import (
    NOBODY,
    Confinement,
    Limits,
    Mount,
    drop_root,
    require_linux,
)

logger = logging.getLogger(__name__)


def confine(mode: str, limits: Limits, mounts: tuple[Mount, ...] = ()) -> Confinement:
    """Prepare a sandbox for one program.

    Args:
        mode: one of `MODES`.
        limits: what the program may use.
        mounts: what it may read beside the system's own programs and libraries.

    Returns:
        How to start it; to be cleaned afterwards.

    Raises:
        SandboxError: where the mode cannot work on this machine.
    """
    require_linux()
    if mode == "bwrap":
        from magistral_recipe.verifiers.sandbox.bwrap import confine_with_bwrap

        return confine_with_bwrap(limits, mounts)
    folder = Path(tempfile.mkdtemp(prefix="magistral-program-"))
    shown = _link(mounts, folder)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    command = drop_root()
    if mode == "landlock":
        from magistral_recipe.verifiers.sandbox.landlock import landlock_command

        command = (*command, *landlock_command(folder, mounts))
    else:
        _warn_unsafe()
    processes = user_process_limit(limits)
    return Confinement(command, str(folder), False, processes, folder=folder, shown=str(shown))


def _link(mounts: tuple[Mount, ...], folder: Path) -> Path:
    """Show mounts below a folder as links, where there is no namespace to mount them in."""
    shown = folder / ".shown"
    shown.mkdir()
    for mount in mounts:
        if mount.source != mount.target:
            link = shown / mount.target.lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(mount.source)
    return shown


def user_process_limit(limits: Limits) -> int:
    """Return an RLIMIT_NPROC that leaves `limits.processes` where a user's processes all count."""
    from magistral_recipe.verifiers.sandbox.usage import threads_of_user

    return threads_of_user(os.geteuid() or NOBODY) + limits.processes


@cache
def _warn_unsafe() -> None:
    logger.warning(
        "sandbox='unsafe': programs written by the model run with your files and your network, "
        "held by resource limits alone"
    )
