"""Install bubblewrap, which isolates programs that models write, where this may be done; else say how.

Tests that need it are skipped and named where it is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGES = {"bwrap": "bubblewrap", "g++": "g++", "chromium": "chromium"}
"""Programs that tests use, and Debian's packages that bring them."""


def main() -> int:
    """Install what is missing as root on Debian and its kin; never fail."""
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if "chromium" in missing and any(shutil.which(name) for name in ("chromium-browser", "google-chrome")):
        missing.remove("chromium")
    if not missing:
        return 0
    apt = shutil.which("apt-get")
    if apt and hasattr(os, "geteuid") and os.geteuid() == 0:
        print(f"installing {' '.join(missing)} ...", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
            done = subprocess.run(
                [apt, "-qq", *words], check=False, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            if done.returncode:
                print(done.stderr.decode(errors="replace")[-500:], file=sys.stderr)
        missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if missing:
        names = " ".join(missing)
        print(f"tests that need {names} will be skipped; to run them: sudo apt-get install {names}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
