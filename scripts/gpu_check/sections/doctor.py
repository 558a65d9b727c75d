"""What `magistral-recipe doctor` says of this machine."""

from __future__ import annotations

from gpu_check.bench import Bench
from gpu_check.outcome import Findings

OPTIONAL = {"landlock", "sandbox", "C++ compiler", "vllm", "bitsandbytes", "language model"}
"""What training on a GPU does without; sections that don't are skipped."""

WITHOUT_GPU = {"GPU", "driver"}
"""What the self-test does without."""


def doctor(bench: Bench, found: Findings) -> None:
    """Nothing that training needs is missing; without a GPU, nothing but that."""
    from magistral_recipe.commands.doctor import examine

    lines = [(str(line.subject), str(line.state), str(line.found)) for line in examine()]
    found.figures["lines"] = lines
    missing = {subject for subject, state, _ in lines if state == "missing"}
    needed = missing - OPTIONAL - (set() if bench.gpu else WITHOUT_GPU)
    found.mark(bool(lines) and not needed, f"missing: {', '.join(sorted(needed)) or 'nothing that training needs'}")
    if optional := sorted(missing & OPTIONAL):
        found.told.append(f"without {', '.join(optional)}")
