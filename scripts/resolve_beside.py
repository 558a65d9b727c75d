"""Ask pip whether the rewards can be installed beside other projects as the registry has them; nothing is installed.

usage: resolve_beside.py [--quick] [CLIENT ...]

Each client is resolved anew together with this package's own dependencies, without extras, and must come out in no
older release than the one it was last tried with. Needs the registry that pip is configured for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

from packaging.version import Version

ROOT = Path(__file__).parents[1]


class Client(NamedTuple):
    """What somebody who uses the rewards has installed.

    Attributes:
        requirements: for pip.
        main: the package whose version tells whether pip fell back to an old release.
        least: that version.
        quick: whether resolving takes seconds.
    """

    requirements: tuple[str, ...]
    main: str
    least: str
    quick: bool = False


CLIENTS = {
    "TRL, oldest": Client(("trl==1.0.0",), "trl", "1.0.0", quick=True),
    "TRL 1.15": Client(("trl==1.15.0",), "trl", "1.15.0", quick=True),
    # Its pins at 1416fa0, but for commits of repositories, and deepspeed, which pip can't look at without torch.
    "open-r1": Client(
        (
            "accelerate==1.4.0", "bitsandbytes>=0.43.0", "datasets>=3.2.0", "einops>=0.8.0",
            "huggingface-hub[cli,hf_xet]>=0.30.2,<1.0", "langdetect", "latex2sympy2_extended>=1.0.6",
            "liger-kernel>=0.5.10", "math-verify==0.5.2", "peft>=0.14.0", "torch==2.6.0", "transformers==4.52.3",
            "trl==0.18.0", "async-lru>=2.0.5", "aiofiles>=24.1.0", "pandas>=2.2.3",
        ),
        "math-verify", "0.5.2",
    ),
    "verifiers": Client(("verifiers",), "verifiers", "0.4.0"),
    "inspect_ai": Client(("inspect-ai",), "inspect-ai", "0.3.285", quick=True),
    "lm-eval": Client(("lm-eval",), "lm-eval", "0.4.13"),
    "reasoning-gym": Client(("reasoning-gym",), "reasoning-gym", "0.1.25"),
    "Unsloth": Client(("unsloth",), "unsloth", "2026.10.9"),
    "ms-swift": Client(("ms-swift",), "ms-swift", "4.6.0"),
    "verl": Client(("verl",), "verl", "0.9.1"),
    "AReaL": Client(("areal",), "areal", "1.0.4"),
    "SkyRL": Client(("skyrl",), "skyrl", "0.3.0"),
    # Asked for by its version: on its own pip would rather take an old lighteval than an old math-verify.
    "lighteval": Client(("lighteval==0.13.0",), "lighteval", "0.13.0"),
    # Its own requirements but for flash-attn and deepspeed, which pip can't look at without torch.
    "OpenRLHF": Client(
        (
            "accelerate", "aiohttp", "bitsandbytes", "datasets", "einops", "grpcio>=1.74.0", "huggingface-hub>=1.0.0",
            "jsonlines", "loralib", "optimum", "optree>=0.15.0", "packaging", "peft", "pylatexenc", "pynvml>=12.0.0",
            "ray[default]==2.55.0", "sympy", "tensorboard", "torch", "torchdata", "torchmetrics",
            "transformers==5.15.0", "transformers-stream-generator", "wandb",
        ),
        "transformers", "5.15.0",
    ),
}  # fmt: skip


def own_requirements() -> list[str]:
    """This package's dependencies without extras."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]


def recent_pip(folder: str) -> dict[str, str]:
    """Put a pip of today into a folder, since those of 2023 take four times as long; return an environment with it."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--target",
        folder,
        "pip",
    ]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return {**os.environ, "PYTHONPATH": folder}


def resolve(requirements: list[str], environment: dict[str, str]) -> dict[str, str]:
    """Ask pip for a solution.

    Args:
        requirements: of the package and of a client.
        environment: that pip runs in.

    Returns:
        Version by name.

    Raises:
        RuntimeError: with pip's last lines, where there is none.
    """
    options = ("--dry-run", "--ignore-installed", "--quiet", "--report", "-")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *options, *requirements]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError("\n".join(done.stderr.strip().splitlines()[-8:]))
    items = json.loads(done.stdout)["install"]
    return {item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"] for item in items}


def main(words: list[str]) -> int:
    """Resolve beside the clients asked for; say each, and fail if one can't be had."""
    parser = argparse.ArgumentParser(description="Resolve the rewards beside other projects.")
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=f"of {', '.join(CLIENTS)}")
    parser.add_argument("--quick", action="store_true", help="only those that take seconds")
    arguments = parser.parse_args(words)
    unknown = set(arguments.clients) - set(CLIENTS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(CLIENTS)}")
    chosen = {name: CLIENTS[name] for name in arguments.clients or CLIENTS}
    with tempfile.TemporaryDirectory() as folder:
        environment = recent_pip(folder)
        problems = [
            _told(name, client, environment) for name, client in chosen.items() if client.quick or not arguments.quick
        ]
    return int(any(problems))


def _told(name: str, client: Client, environment: dict[str, str]) -> str:
    """Resolve beside one client and print a line of it; return what is wrong, if anything."""
    start, found = time.perf_counter(), {}
    try:
        found = resolve([*own_requirements(), *client.requirements], environment)
        problem = "" if Version(found[client.main]) >= Version(client.least) else "an older release than before"
    except RuntimeError as error:
        problem = str(error)
    versions = ", ".join(f"{each} {found[each]}" for each in dict.fromkeys((client.main, "math-verify")) if found)
    print(f"{name:14} {versions:45} {time.perf_counter() - start:4.0f} s  {problem or 'resolves'}", flush=True)
    return problem


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
