"""Programming problems asked in Python and in C++: the statement once for each language (Magistral §4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from magistral_recipe.curation.rows import Row
from magistral_recipe.data.problems import Problem
from magistral_recipe.data.solutions import Program
from magistral_recipe.verifiers.programs.testcases import Tests
from magistral_recipe.writing.fences import canonical_language

NAMES = {"python": "Python", "cpp": "C++"}
_WORDS = {
    "en": "Write the program in {}; it reads standard input and writes to standard output.",
    "fr": "Écris le programme en {} ; il lit l'entrée standard et écrit sur la sortie standard.",
    "es": "Escribe el programa en {}; lee la entrada estándar y escribe en la salida estándar.",
    "it": "Scrivi il programma in {}; legge lo standard input e scrive sullo standard output.",
    "de": "Schreibe das Programm in {}; es liest die Standardeingabe und schreibt auf die Standardausgabe.",
    "zh": "请用 {} 编写程序：从标准输入读取，向标准输出写入。",
    "ru": "Напишите программу на {}; она читает стандартный ввод и пишет в стандартный вывод.",
}
_NAMED = re.compile(r"\b(?:i?python|java|javascript|golang|rust|kotlin|haskell)\b|\bC\+\+|\bC#|```", re.IGNORECASE)


def asked_for(row: Row, tests: Tests, languages: Sequence[str], right: Sequence[Program] = ()) -> Iterator[Row]:
    """Ask for a problem's program in each language.

    A problem stays as it is, in the language that it has, where it calls a function (those are Python's), where its
    statement names a language, or where it shows code to start from.

    Args:
        row: the problem.
        tests: its tests.
        languages: of `NAMES`; none asks for nothing.
        right: programs that pass the tests: the first in a language becomes the copy's `solution`.

    Yields:
        One row a language; the first keeps the id, the others have the language behind it, all name it in `pair`.
    """
    problem = row.problem
    own = canonical_language(problem.programming_language or "python")
    if not languages or tests.type == "call" or _NAMED.search(problem.problem):
        yield row.changed(solution=_solution(problem, right, own))
        return
    ordered = sorted(languages, key=lambda language: language != own)
    words = _WORDS.get(problem.language or "en", _WORDS["en"])
    for number, language in enumerate(ordered):
        yield row.changed(
            id=problem.id if not number else f"{problem.id}-{language}",
            problem=f"{problem.problem.rstrip()}\n\n{words.format(NAMES[language])}",
            programming_language=language,
            solution=_solution(problem, right, language),
        ).noted(pair=problem.id)


def _solution(problem: Problem, right: Sequence[Program], language: str) -> str | None:
    """A program in the language that passes; what the problem had, where none was run and it is in that language."""
    if right:
        return next((program.source for program in right if program.language == language), None)
    return problem.solution if canonical_language(problem.programming_language or "python") == language else None
