"""The rewards are importable anywhere: quickly, and without the libraries of training."""

import subprocess
import sys
import time
import venv
from importlib.metadata import Distribution, distribution, requires
from pathlib import Path

from packaging.requirements import Requirement

REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "rewards.txt"
HEAVY = {"torch", "transformers", "trl", "datasets", "numpy", "sympy"}


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_importing_the_rewards_loads_nothing_heavy():
    code = (
        "import sys; from magistral_recipe.rewards import *\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    assert HEAVY.isdisjoint(run(code).split())


def test_scoring_an_integer_starts_no_process_and_loads_no_sympy():
    code = (
        "import sys, subprocess; from magistral_recipe.rewards import math_correctness\n"
        "subprocess.Popen = None\n"
        r"scores = math_correctness(completions=['<think>x</think>\\boxed{4}'] * 2, answer=[4, '5'])"
        "\nprint(scores, 'sympy' in sys.modules)"
    )
    assert run(code).strip() == "[1.0, 0.0] False"


def test_import_takes_less_than_half_a_second():
    # The fastest of three: the machine may be busy, the import is not.
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run("pass")
        bare = time.perf_counter() - start
        start = time.perf_counter()
        run("import magistral_recipe.rewards")
        times.append(time.perf_counter() - start - bare)
    assert min(times) < 0.5


def short_requirements() -> list[Requirement]:
    lines = REQUIREMENTS.read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_the_short_requirements_are_those_of_the_package():
    declared = {each.name: each for each in map(Requirement, requires("magistral-recipe") or [])}
    short = short_requirements()
    assert short
    for requirement in short:
        assert requirement.specifier == declared[requirement.name].specifier


def with_dependencies(names: list[str]) -> list[Distribution]:
    """The distributions of these names and of all that they need, extras left out."""
    found: dict[str, Distribution] = {}
    while names:
        name = names.pop()
        if name.lower() in found:
            continue
        found[name.lower()] = distribution(name)
        needed = [Requirement(each) for each in found[name.lower()].requires or []]
        names += [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return list(found.values())


def test_the_short_requirements_are_enough_to_score_with(tmp_path):
    """An environment of nothing but those packages: linked from here, so that nothing is downloaded."""
    venv.create(tmp_path, symlinks=True)
    python = tmp_path / "bin" / "python"
    site = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True, capture_output=True, text=True,
        ).stdout.strip()
    )  # fmt: skip
    for package in with_dependencies([each.name for each in short_requirements()]):
        for top in {Path(str(file)).parts[0] for file in package.files or []} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(package.locate_file(top))
    (site / "magistral_recipe").symlink_to(Path(__file__).parents[2] / "src" / "magistral_recipe")
    code = r"""
import importlib.util
assert importlib.util.find_spec("torch") is None and importlib.util.find_spec("pydantic") is None
from magistral_recipe.rewards import magistral_reward, math_correctness
text = "<think>We add the two numbers and find the sum of both.</think>The answer that we find is \\boxed{%s}."
print(magistral_reward(completions=[text % "0.5"], answer=[r"\frac12"], problem=["What is half of the number one?"]))
print(math_correctness(completions=[text % "\\frac13"], answer=[r"\int_0^1 x^2 dx"]))
"""
    result = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["[1.1]", "[1.0]"]
