"""A recipe can name code: what is no reward is refused before it is called, and nothing need be imported to look."""

from __future__ import annotations

import sys

import pytest

from magistral_recipe.chain.code_files import code_files
from magistral_recipe.data.transform import transform_mistake
from magistral_recipe.foreign import naming_only
from magistral_recipe.rewards import registry

MODULE = '''\
import functools, os, subprocess, sys
from pathlib import Path

Path(__file__).with_name("imported").touch()


def good(completions, **_):
    return [0.0] * len(completions)


def by_keywords_alone(**kwargs):
    raise SystemExit("called")


def other(prompts, answer):
    raise SystemExit("called")


def positional(completions, /):
    raise SystemExit("called")


class Good:
    def __init__(self, weight=1.0):
        self.weight = weight

    def __call__(self, completions, **_):
        return [self.weight] * len(completions)


class Runner:
    """Its constructor does something, and its instances are no rewards."""

    def __init__(self, *arguments, **options):
        raise SystemExit("constructed")


class Meta(type):
    def __call__(cls, completions=None):
        raise SystemExit("called by its class")


class Hidden(metaclass=Meta):
    pass


class Exits:
    def __init__(self):
        sys.exit(0)

    def __call__(self, completions):
        return []


class Breaks:
    def __init__(self):
        raise ZeroDivisionError("on purpose")

    def __call__(self, completions):
        return []


ready = Good(2.0)
fixed = functools.partial(good, answer=["1"])
shell = functools.partial(subprocess.run, "touch made", shell=True)
system = os.system
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine_of_naming.py").write_text(MODULE)
    (tmp_path / "exits_of_naming.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "breaks_of_naming.py").write_text("1 / 0\n")
    (tmp_path / "half_of_naming.py").write_text("def half(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("mine_of_naming", "exits_of_naming", "breaks_of_naming", "half_of_naming"):
        sys.modules.pop(name, None)


LIBRARY = [
    ("subprocess:Popen", {"args": "touch made", "shell": True}),
    ("subprocess:run", {}),
    ("os:system", {"command": "touch made"}),
    ("posix:system", {}),
    ("os.path:join", {}),
    ("builtins:exec", {}),
    ("builtins:print", {}),
    ("importlib:import_module", {"name": "antigravity"}),
    ("runpy:run_path", {"path_name": "x.py"}),
    ("shutil:rmtree", {"path": "x"}),
    ("_posixsubprocess:fork_exec", {}),
    ("unittest.mock:Mock", {}),
    ("functools:partial", {}),
]


@pytest.mark.parametrize(("name", "options"), LIBRARY, ids=[name for name, _ in LIBRARY])
@pytest.mark.parametrize("looked_at", [False, True], ids=["imported", "named only"])
def test_the_standard_library_has_no_rewards(mine, name, options, looked_at):
    with naming_only(looked_at):
        told = registry.mistake(name, options)
    assert told is not None
    assert "is the standard library's, which has no rewards" in told
    assert not (mine / "made").exists()


@pytest.mark.parametrize("attribute", ["subprocess.Popen", "os.system", "system", "shell", "sys.exit", "Path.unlink"])
def test_nor_does_what_another_module_has_of_it(mine, attribute):
    told = registry.mistake(f"mine_of_naming:{attribute}", {})
    assert told is not None
    assert "standard library" in told
    assert not (mine / "made").exists()


@pytest.mark.parametrize("name", ["magistral_recipe.files:write_atomically", "torch:load", "torch.hub:load"])
def test_nor_what_is_none_in_an_installed_package(name):
    told = registry.mistake(name, {})
    assert told is not None
    assert "no `completions`, so that it is no reward; it was not called" in told


@pytest.mark.parametrize("attribute", ["by_keywords_alone", "other", "positional", "Runner", "Hidden"])
def test_what_takes_no_completions_is_refused_before_it_is_called(mine, attribute):
    told = registry.mistake(f"mine_of_naming:{attribute}", {"x": 1} if attribute == "Runner" else {})
    assert told is not None
    assert "no `completions`, so that it is no reward; it was not called" in told


@pytest.mark.parametrize(
    ("attribute", "options", "value"),
    [("good", {}, 0.0), ("Good", {"weight": 3.0}, 3.0), ("ready", {}, 2.0), ("fixed", {}, 0.0)],
)
def test_what_is_a_reward_is_made(mine, attribute, options, value):
    assert registry.mistake(f"mine_of_naming:{attribute}", options) is None
    assert registry.build(f"mine_of_naming:{attribute}", options)(completions=["a"]) == [value]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("exits_of_naming:reward", r"the import of 'exits_of_naming' called sys.exit(0)"),
        ("breaks_of_naming:reward", "the import of 'breaks_of_naming' raised ZeroDivisionError"),
        ("half_of_naming:reward", "the import of 'half_of_naming' raised SyntaxError"),
        ("mine_of_naming:Exits", "its constructor called sys.exit(0)"),
        ("mine_of_naming:Breaks", "its constructor raised ZeroDivisionError: on purpose"),
        ("nowhere_of_naming:reward", "cannot import 'nowhere_of_naming'"),
    ],
)
def test_code_that_exits_or_breaks_as_it_is_made_is_a_mistake_of_the_recipe(mine, name, said):
    told = registry.mistake(name)
    assert told is not None
    assert said in told
    assert "\n" not in told


def test_names_alone_import_nothing(mine):
    with naming_only():
        assert registry.mistake("mine_of_naming:good") is None
        assert registry.mistake("mine_of_naming:nothing_like_it") is None
        assert registry.mistake("magistral") is None
        assert "unknown reward 'magistra'" in str(registry.mistake("magistra"))
        assert "takes no option 'wieghts'" in str(registry.mistake("magistral", {"wieghts": {}}))
    assert not (mine / "imported").exists()
    assert "mine_of_naming" not in sys.modules
    assert registry.mistake("mine_of_naming:good") is None
    assert (mine / "imported").exists()


def test_every_reward_of_the_table_is_one():
    assert len(registry.TABLE) == 8
    for name in registry.TABLE:
        registry.locate(name)


@pytest.mark.parametrize("looked_at", [False, True], ids=["imported", "named only"])
@pytest.mark.parametrize(
    "name", [":good", ":", "mine_of_naming:", "mine_of_naming:a..b", "a:mine_of_naming:good", "..mine_of_naming:good",
             " mine_of_naming:good", "mine_of_naming.py/:good", "/proc/self/mem:good", "x/y:good"],
)  # fmt: skip
def test_what_is_no_name_is_a_mistake(mine, name, looked_at):
    with naming_only(looked_at):
        assert "expected my_rewards.py:name, or package.module:name" in str(registry.mistake(name))
        assert "expected my_data.py:function" in str(transform_mistake(name, mine))
    assert not (mine / "imported").exists()


@pytest.mark.parametrize("looked_at", [False, True], ids=["imported", "named only"])
@pytest.mark.parametrize("name", ["x" * 5000 + ".py:f", "a\0b.py:f", "x" * 5000 + ":f", "x." * 3000 + "y:f"])
def test_a_name_that_no_file_can_have_is_a_mistake_too(mine, name, looked_at):
    with naming_only(looked_at):
        told = registry.mistake(name)
    assert told is not None or (looked_at and ".py" not in name)
    assert "Traceback" not in str(told)


EVIL = "from pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\n"


def test_no_file_in_the_working_folder_takes_a_name_of_the_tables(mine):
    for name, listed in registry.TABLE.items():
        shadow = mine / f"{listed.path.partition(':')[0].replace('.', '/')}.py"
        shadow.parent.mkdir(parents=True, exist_ok=True)
        for file in (shadow, shadow.parent / "__init__.py", mine / f"{name}.py", mine / name / "__init__.py"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(EVIL)
    before = [*sys.path]
    for name in registry.TABLE:
        assert registry.locate(name, mine).__module__.startswith("magistral_recipe.rewards")
    assert sys.path == before  # where it is looked for first, what a reward imports would be found there too
    assert not [*mine.rglob("*.ran")]


def test_nor_one_of_an_installed_packages_entry_points(mine, tmp_path_factory, monkeypatch):
    installed = tmp_path_factory.mktemp("lib") / "site-packages"
    installed.mkdir()
    (installed / "theirs_of_naming.py").write_text("def pays(completions, **_):\n    return [1.0] * len(completions)\n")
    (mine / "theirs_of_naming.py").write_text(EVIL)
    monkeypatch.setattr(sys, "path", [str(installed), *(each for each in sys.path if each != str(mine))])
    monkeypatch.setattr(registry, "_entry_points", lambda: {"theirs": "theirs_of_naming:pays"})
    assert registry.build("theirs", folder=mine)(completions=["a"]) == [1.0]
    assert not [*mine.rglob("*.ran")]
    module, own = registry.module_of("theirs"), registry.is_own("theirs")
    found = code_files(str(module), mine, installed=not own)
    assert found == {"theirs_of_naming": installed / "theirs_of_naming.py"}
    sys.modules.pop("theirs_of_naming")
