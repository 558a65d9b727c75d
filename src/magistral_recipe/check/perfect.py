"""A perfect completion for a problem, made from the problem's own reference.

It stands in for a policy that makes no mistakes: thoughts and answer in the problem's language, the reference in a
box (or the problem's solution). If *that* does not earn full marks, no policy ever will.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources

from magistral_recipe.data.problems import Problem
from magistral_recipe.verifiers.answers import references_of
from magistral_recipe.writing.thinking import Thinking


def perfect_completions(problem: Problem, thinking: Thinking) -> list[str]:
    """Write completions that deserve full marks, the likeliest first.

    Args:
        problem: with its reference.
        thinking: the tags.

    Returns:
        Completions with their tags (the opening one left out where the prompt opens it). One that uses the
        problem's `solution`, if it has one, and one that states the bare reference; none for code without a
        `solution`, since a perfect program can't be made up.
    """
    words = _words(problem)
    answers = []
    if problem.kind == "code":
        answers = [_program(problem)] if problem.solution else []
    elif problem.kind == "text":
        answers = [problem.solution or words["answer"].replace("{box}", reference(problem) or "…")]
    else:
        sentence = _sentence(words, reference(problem) or "")
        if problem.solution:
            answers.append(problem.solution if "\\boxed" in problem.solution else f"{problem.solution}\n\n{sentence}")
        answers.append(sentence)
    return [thinking.join(words["thoughts"], answer) for answer in answers]


def completion_with(problem: Problem, answer: str, thinking: Thinking) -> str:
    """Write a completion whose box holds an answer, in the words of a perfect one.

    Args:
        problem: what is answered.
        answer: what goes into the box.
        thinking: the tags.
    """
    words = _words(problem)
    return thinking.join(words["thoughts"], _sentence(words, answer))


def _sentence(words: dict[str, str], answer: str) -> str:
    return words["answer"].replace("{box}", f"${boxed(answer)}$")


def reference(problem: Problem) -> str | None:
    """Return the reference answer, the first where there are several; of a gold text of maths, the answer it holds."""
    answer = problem.answer
    first = (answer[0] if answer else None) if isinstance(answer, list) else answer
    held = references_of(first) if problem.kind == "math" else []
    return held[0] if held else first


def boxed(answer: str) -> str:
    """Put a reference into a box, taking off the dollars and the box that it may come in."""
    text = answer.strip()
    if len(text) > 1 and text.startswith("$") and text.endswith("$"):
        text = text.strip("$").strip()
    return text if "\\boxed" in text else f"\\boxed{{{text}}}"


def _program(problem: Problem) -> str:
    solution = problem.solution or ""
    if "```" in solution:
        return solution
    return f"```{problem.programming_language or 'python'}\n{solution.strip()}\n```"


def _words(problem: Problem) -> dict[str, str]:
    """Thoughts and an answer sentence in the problem's language; the problem's own text where we don't speak it."""
    spoken = _sentences()
    language = problem.language or _language_of(problem.problem)
    if language in spoken:
        return spoken[language]
    return {"thoughts": problem.problem, "answer": "{box}"}


def _language_of(text: str) -> str | None:
    from magistral_recipe.verifiers.language.detect import detect

    return detect(text).favourite


@lru_cache(maxsize=1)
def _sentences() -> dict[str, dict[str, str]]:
    file = resources.files("magistral_recipe.check") / "perfect_answers.json"
    return json.loads(file.read_text("utf-8"))
