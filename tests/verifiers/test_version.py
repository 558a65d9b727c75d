"""The version of the rules: the same everywhere, another one when a file that decides or a library changes."""

from pathlib import Path

import pytest

import magistral_recipe
from magistral_recipe.rewards import registry
from magistral_recipe.verifiers.version import ASIDE, DECIDING, deciding_files, grader_version, version_of

PACKAGE = Path(magistral_recipe.__file__).parent
LIBRARIES = {"sympy": "1.14", "math-verify": "0.9"}


@pytest.fixture
def package(tmp_path):
    """A package with a few files in each place."""
    for name in (*DECIDING, "rewards/math.py", "verifiers/answers/text.py", "evaluation/other.py", *ASIDE, "data/x.py"):
        file = tmp_path / name
        if "." in file.name:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"# {name}\nRULE = 1\n")
    return tmp_path


def test_it_is_short_and_known_to_every_reward():
    assert len(grader_version()) == 12
    assert int(grader_version(), 16) >= 0
    assert registry.build("math").version == grader_version()


def test_what_decides_is_there_and_what_is_left_out_too():
    assert all((PACKAGE / name).exists() for name in (*DECIDING, *ASIDE))
    found = {file.relative_to(PACKAGE).as_posix() for file in deciding_files(PACKAGE)}
    deciding = {
        *("rewards/math.py", "rewards/base.py", "rewards/magistral.py", "verifiers/answers/compare.py"),
        *("verifiers/language/detect.py", "verifiers/programs/runner.py", "verifiers/sandbox/driver.py"),
        *("writing/thinking.py", "writing/boxes.py", "writing/fences.py", "evaluation/scoring.py"),
    }
    assert deciding <= found
    assert not any(name in ASIDE or "__pycache__" in name for name in found)
    # The language model's file is named in one of them, so that another one is another version.
    assert any("lid.176.ftz" in (PACKAGE / name).read_text("utf-8") for name in found)


@pytest.mark.parametrize("name", ["rewards/math.py", "verifiers/answers/text.py", "evaluation/scoring.py"])
def test_a_change_of_a_rule_changes_it(package, name):
    before = version_of(package, LIBRARIES)
    (package / name).write_text("RULE = 2\n")
    assert version_of(package, LIBRARIES) != before


def test_so_do_a_new_file_a_new_name_and_another_library(package):
    versions = [version_of(package, LIBRARIES), version_of(package, {**LIBRARIES, "sympy": "1.15"})]
    (package / "verifiers" / "new.py").write_text("")
    versions.append(version_of(package, LIBRARIES))
    (package / "verifiers" / "new.py").rename(package / "verifiers" / "newer.py")
    versions.append(version_of(package, LIBRARIES))
    assert len(set(versions)) == 4


@pytest.mark.parametrize(
    "name", ["rewards/registry.py", "writing/templates/x.jinja", "data/x.py", "evaluation/other.py"]
)
def test_what_decides_nothing_does_not(package, name):
    before = version_of(package, LIBRARIES)
    (package / name).parent.mkdir(parents=True, exist_ok=True)
    (package / name).write_text("RULE = 2\n")
    (package / "rewards" / "__pycache__").mkdir()
    (package / "rewards" / "__pycache__" / "math.pyc").write_bytes(b"2")
    assert version_of(package, LIBRARIES) == before


def test_line_endings_of_a_checkout_are_no_rule(package):
    before = version_of(package, LIBRARIES)
    file = package / "rewards" / "math.py"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert version_of(package, LIBRARIES) == before
