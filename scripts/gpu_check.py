"""The GPU acceptance command: what this package promises of a GPU, tried on the one at hand in one go.

    make gpu                                                    # or: python scripts/gpu_check.py --out DIR
    python scripts/gpu_check.py --out DIR --only vllm           # what takes longer, by name
    python scripts/gpu_check.py --out DIR --self-test           # this script itself, with tiny shapes on a CPU

It needs no network and no hub: it makes its own models with random weights, takes the packages that are there, and
stops by itself within `--budget-s`. Each section has marks that it meets or fails; one that could not be tried
(SKIPPED, OUT OF TIME) is never a pass. It prints one table and leaves `gpu_check.json`. Exit codes: 0 everything asked
for has passed on a GPU (with `--self-test`: on the CPU), 1 something failed, 3 nothing failed but not everything was
tried. The sections stand in the folder `gpu_check/` beside this file.
"""

from __future__ import annotations

import sys

from gpu_check.supervisor import main  # the folder: Python takes it before this file

if __name__ == "__main__":
    sys.exit(main())
