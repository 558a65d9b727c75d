r"""What a person would box for a reference, and which references no such answer can equal.

A reference that is given to itself earns its reward: "see figure 3" and "The capital is Paris." too. A policy writes 3
and Paris, and earns nothing, for ever. So the short answer that a reference ends in (its last number, letter,
expression or name) is held against it; what the reference says as a whole counts only where it is something that one
would put into a box.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from magistral_recipe.check.perfect import completion_with
from magistral_recipe.check.trials import Path, name_of, proves, score
from magistral_recipe.check.wiring_report import Fault, Finding
from magistral_recipe.data.problems import Problem
from magistral_recipe.excerpt import excerpt
from magistral_recipe.rewards.base import Reason, Reward
from magistral_recipe.rewards.registry import RewardFunction
from magistral_recipe.verifiers.answers import references_of

_MOST_WORDS = 8  # of an answer in words; what is longer is an explanation
_SHOWN = 3
_MARKS = (("####", "hashes"), ("\\boxed", "boxed"))  # with what `answer_in` calls the place
ABOUT_ANSWERS = (Reason.WRONG, Reason.RESTATED, Reason.UNREADABLE, Reason.HEDGE, Reason.TIMEOUT)
"""Why an answer earns nothing that was found and read: not for the completion's form."""

_WORD = re.compile(r"[^\W\d_]{2,}")
_MARKUP = re.compile(r"\\[a-zA-Z]+|[{}$]")
_NO_ANSWER = re.compile(
    r"(?:see|refer|cf\.?)\b|(?:about|approximately|approx\.?|around|roughly|nearly)\b|"
    r"(?:so|thus|hence|therefore|then|because|since)\b|"
    r"(?:n/?a|tbd|todo|unknown|not (?:given|provided|available)|omitted|proof|-+|\?+|\.\.\.|…)\W*$",
    re.IGNORECASE,
)
"""How texts begin that point to an answer, round it, argue for it or hold its place."""
_WORKED = re.compile(r"[^a-zA-Z=\\]*\d\s*(?:[-+*/×÷·]|\\(?:times|div|cdot)\b)[^a-zA-Z=]*=.*", re.DOTALL)
"""Arithmetic and what it comes to."""
_STATES = re.compile(
    r"\b(?:is|are|was|were|has|have|had|takes?|took|costs?|makes?|made|sold|bought|needs?|gets?|got|equals?|pays?|paid)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?%?")
_FORMULA = re.compile(r"\$+([^$]+)\$+|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_LETTER = re.compile(r"\(([A-J])\)|\b(?:option|choice|answer)\s+([A-J])\b|(?<![\w'])([B-HJ])(?=[.!]?\s*$)")
_NAME = re.compile(r"\b(?:is|are|was|were)\s+(?:the\s+)?([^.!?;,]+?)\s*[.!?]?\s*$", re.IGNORECASE)


def honest_answers(reference: str) -> list[str]:
    """Write what a person would box for a reference.

    Args:
        reference: one reference, as the data have it.

    Returns:
        Short answers, the likeliest first: the reference itself where it is one, else what it ends in.
    """
    read = references_of(reference)
    text = (read[0] if read else reference).strip()
    found = [text] if _is_short(text) else []
    formulas = ["".join(groups).strip() for groups in _FORMULA.findall(text)]
    sides = text.rsplit("=", 1)[1:]
    letters = ["".join(groups) for groups in _LETTER.findall(text)]
    names = [match[1]] if (match := _NAME.search(text)) else []
    found += [*formulas[-1:], *sides, *_NUMBER.findall(text)[-1:], *letters[-1:], *names]
    return list(dict.fromkeys(answer for each in found if (answer := each.strip(" $\n").rstrip("."))))


def _is_short(text: str) -> bool:
    """Whether a text as a whole is what one would put into a box."""
    words = _WORD.findall(_MARKUP.sub(" ", text))
    if "\n" in text or len(words) > _MOST_WORDS or _NO_ANSWER.match(text) or _WORKED.fullmatch(text):
        return False
    return len(words) < 3 or not _STATES.search(text)


class Unearned(NamedTuple):
    """A reference that no short answer equals.

    Attributes:
        reference: as the data have it.
        wrote: what a person would have boxed, the likeliest; empty where nothing could be told.
        reason: why that earned nothing, as the reward says it; empty where it says nothing.
    """

    reference: str
    wrote: str
    reason: str

    def __str__(self) -> str:
        text = f"{excerpt(self.reference)!r}"
        if not self.wrote:
            return f"{text} (nothing in it could be boxed)"
        return f"{text} (a person would box {excerpt(self.wrote)!r}{f': {self.reason}' if self.reason else ''})"


def prove_references(
    reward: RewardFunction, path: Path, problems: Sequence[Problem]
) -> tuple[list[Finding], list[str]]:
    """Hold the short answers of problems of maths against their references, as a reward reads them.

    Args:
        reward: one that says right or wrong of boxed answers; of any other nothing is asked.
        path: what completions pass through.
        problems: the stage's; those of other kinds are passed over.

    Returns:
        What is wrong, where no answer equals most of the references; what is worth knowing, where it is some of them.
    """
    if not isinstance(reward, Reward) or not proves(reward) or not reward.must_pay_perfect("math"):
        return [], _marked(reward, problems)
    facts = reward.facts()
    column = facts.column("correctness")
    graded = [problem for problem in problems if problem.kind == "math"]
    if not facts.decides or not graded:
        return [], []
    answers = [list(dict.fromkeys(a for text in _references(each) for a in honest_answers(text))) for each in graded]
    pairs = [(number, answer) for number, found in enumerate(answers) for answer in found]
    trials = [
        path.trial(graded[number], completion_with(graded[number], answer, path.chat.thinking))
        for number, answer in pairs
    ]
    given = score(reward, path.chat, trials)
    earned: set[int] = set()
    reasons: dict[int, str] = {}
    for index, (number, _) in enumerate(pairs):
        right = given.part(index, column) if column else given.values[index] or 0.0
        reason = given.reason(index, facts.name)
        if right > 0 or reason not in ABOUT_ANSWERS:  # tags and boxes that are lost are the wiring's business
            earned.add(number)
        reasons.setdefault(number, reason or "")
    unearned = [
        Unearned(_references(problem)[0], next(iter(answers[number]), ""), reasons.get(number, ""))
        for number, problem in enumerate(graded)
        if number not in earned
    ]
    if not unearned:
        return [], []
    line = f"{name_of(reward)}: {_told(unearned, len(graded))}"
    if 2 * len(unearned) > len(graded):
        return [Finding(Fault.HONEST_NOT_PAID, line)], []
    return [], [line]


def _references(problem: Problem) -> list[str]:
    answer = problem.answer
    return answer if isinstance(answer, list) else [] if answer is None else [answer]


def _marked(reward: RewardFunction, problems: Sequence[Problem]) -> list[str]:
    """Tell whose reward compares with worked solutions: this package's own take the answer out, others may not."""
    if isinstance(reward, Reward):
        return []
    texts = [text for problem in problems if problem.kind == "math" for text in _references(problem)]
    if (found := _mostly_marked(texts)) is None:
        return []
    mark, where, holding = found
    return [
        f"{name_of(reward)} is given the whole answer, and {holding:,} of {len(texts):,} contain {mark}: "
        f"`answer_in: {where}` hands it what stands there alone"
    ]


def _mostly_marked(texts: Sequence[str]) -> tuple[str, str, int] | None:
    """The mark that most texts contain, what `answer_in` calls the place, and how many contain it."""
    for mark, where in _MARKS:
        holding = sum(mark in text for text in texts)
        if 2 * holding > len(texts):
            return mark, where, holding
    return None


def _told(unearned: Sequence[Unearned], of: int) -> str:
    shown = "; ".join(list(dict.fromkeys(map(str, unearned)))[:_SHOWN])
    return f"no short answer equals {len(unearned):,} of {of:,} references: {shown}. {_way_out(unearned, of)}"


def _way_out(unearned: Sequence[Unearned], of: int) -> str:
    if (found := _mostly_marked([each.reference for each in unearned])) is not None:
        mark, where, holding = found
        return f"{holding:,} of {of:,} answers contain {mark}: `answer_in: {where}`?"
    return (
        "The answer column holds the answer alone (`columns: {answer: …}` names it, `answer_in:` says where in it the "
        "answer stands); a problem without a short answer can't be graded"
    )
