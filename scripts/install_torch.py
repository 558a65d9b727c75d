"""Install torch into this environment unless it is there; on a machine without a GPU, never a CUDA build.

usage: install_torch.py REQUIREMENT [PIP OPTION ...]
"""

from __future__ import annotations

import importlib.util
import json
import platform
import shutil
import subprocess
import sys

REFUSED = """\
{requirement} would bring {count} CUDA packages, gigabytes that this machine without a GPU cannot use.
Choose a CPU build instead, with the index that PyTorch's "get started" page shows for your system:
  make TORCH="torch --index-url INDEX" {goal}
or install torch into the environment yourself: one that is there is kept."""


def pip(*words: str) -> subprocess.CompletedProcess[str]:
    """Run pip install with words of its own; its output is captured."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *words]
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)


def main(words: list[str]) -> int:
    """Keep what is there, refuse what is useless, else install."""
    if importlib.util.find_spec("torch") is not None:
        return 0
    requirement = " ".join(words)
    if platform.system() == "Linux" and not shutil.which("nvidia-smi"):
        trial = pip("--dry-run", "--report", "-", *words)
        if trial.returncode:
            return trial.returncode
        names = [item["metadata"]["name"] for item in json.loads(trial.stdout)["install"]]
        cuda = [name for name in names if name.startswith(("nvidia", "cuda"))]
        if cuda:
            print(REFUSED.format(requirement=requirement, count=len(cuda), goal="quickstart"), file=sys.stderr)
            return 1
    print(f"installing {requirement} ...", flush=True)
    return pip(*words).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
