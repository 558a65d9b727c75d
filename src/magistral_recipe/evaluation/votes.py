"""Majority votes over answers that are compared by what they mean: ``1/2`` and ``0.5`` are one candidate.

Meaning is the maths reward's: its rules first, in this process, and SymPy in worker processes for what they leave
undecided. Whether a candidate is right is asked as the reward asks it, reference first; whether two candidates are one
is asked either way round, since neither of them is the reference.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import combinations, islice

from magistral_recipe.evaluation.estimators import clusters, maj_at_k
from magistral_recipe.verifiers.answers import compare, references_of
from magistral_recipe.verifiers.answers.effort import SECONDS, OutOfTimeError, limited_effort
from magistral_recipe.verifiers.pool import Outcome, shared_pool

MAX_PAIRS = 32
"""Of a problem's pairs of answers that the rules can't compare, how many SymPy looks at: each may take seconds, and a
model may write a different one each time. The most frequent answers come first; the others stay apart."""

Pair = tuple[str, str]


@lru_cache(maxsize=65_536)
def _either_way(first: str, second: str) -> bool | None:
    """Whether two answers mean the same by the rules of the maths reward, read either way round."""
    there = compare(first, second).right
    back = True if there else compare(second, first).right
    return True if back else None if there is None or back is None else False


class _Rules:
    """The rules' word on the answers of one problem, each of which they work on no longer than the reward allows."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], bool | None] = {}
        self._used: Counter[str] = Counter()

    def same(self, first: str, second: str) -> bool | None:
        """Whether two answers mean the same; ``None`` where that is left open, not where it takes too long."""
        return self._asked(lambda: _either_way(first, second), first, second)

    def right(self, text: str, answer: str) -> bool | None:
        """Whether an answer is what a reference says; ``None`` likewise."""
        return self._asked(lambda: compare(text, answer).right, answer, of=text)

    def _asked(self, judged: Callable[[], bool | None], *answers: str, of: str = "") -> bool | None:
        key = (of, *answers)
        if key not in self._known:
            started = time.thread_time()
            try:
                with limited_effort(SECONDS - max(self._used[answer] for answer in answers)):
                    self._known[key] = judged()
            except OutOfTimeError:
                self._known[key] = False
            self._used.update(dict.fromkeys(answers, time.thread_time() - started))
        return self._known[key]


def group_answers(answers: Sequence[Sequence[str | None]]) -> list[list[int | None]]:
    """Group the answers of each problem's samples by what they mean.

    Args:
        answers: per problem the final answers of its samples, None without one.

    Returns:
        In the same shape the number of each answer's group, in order of first appearance; None for none.
    """
    given = [[None if answer is None else answer.strip() for answer in problem] for problem in answers]
    rules = [_Rules() for _ in given]
    by_rules = [
        clusters(problem, lambda *pair, rules=each: bool(rules.same(*pair)))
        for problem, each in zip(given, rules, strict=True)
    ]
    open_pairs = [_open_pairs(*each) for each in zip(given, by_rules, rules, strict=True)]
    known = _ask_sympy(pair for pairs in open_pairs for pair in pairs)

    def joined(problem: list[str | None], rules: _Rules) -> list[int | None]:
        def equivalent(first: str, second: str) -> bool:
            return rules.same(first, second) or known.get((first, second), known.get((second, first), False))

        return clusters(problem, equivalent)

    return [
        joined(problem, each) if any(known[pair] for pair in pairs) else groups
        for problem, groups, pairs, each in zip(given, by_rules, open_pairs, rules, strict=True)
    ]


def right_answers(answers: Sequence[Sequence[str | None]], references: Sequence[Sequence[str]]) -> list[list[bool]]:
    """Tell which answers are right.

    Args:
        answers: per problem the final answers of its samples, None without one.
        references: per problem the right answers, any one of which will do.

    Returns:
        In the shape of the answers whether each is right.

    Raises:
        ValueError: for a problem of whose references none is readable, naming it.
    """
    texts = [_readable(reference, number) for number, reference in enumerate(references)]
    given = [[None if answer is None else answer.strip() for answer in problem] for problem in answers]
    rules = [_Rules() for _ in given]
    known = _ask_sympy(
        (text, answer)
        for problem, listed, each in zip(given, texts, rules, strict=True)
        for answer in _distinct(problem)
        for text in listed
        if each.right(text, answer) is None
    )

    def is_right(text: str, answer: str, rules: _Rules) -> bool:
        verdict = rules.right(text, answer)
        return known.get((text, answer), False) if verdict is None else verdict

    return [
        [answer is not None and any(is_right(text, answer, each) for text in listed) for answer in problem]
        for problem, listed, each in zip(given, texts, rules, strict=True)
    ]


def maj_at_k_of_problems(
    answers: Sequence[Sequence[str | None]], references: Sequence[Sequence[str]], k: int | Sequence[int], seed: int = 0
) -> dict[str, float]:
    """Mean of maj@k over problems, each of equal weight.

    Args:
        answers: per problem the final answers of its samples, None without one.
        references: per problem the right answers, any one of which will do.
        k: number of voters, or several of them.
        seed: of the choices drawn, where there are too many samples to count all choices.

    Returns:
        ``maj@k`` for each k, shares in [0, 1].

    Raises:
        ValueError: where a problem has fewer than k samples or no readable reference, naming it; without problems.
    """
    if not answers:
        raise ValueError("no problems to vote on")
    sizes = [k] if isinstance(k, int) else list(k)
    for number, given in enumerate(answers):
        if sizes and max(sizes) > len(given):
            raise ValueError(f"maj@{max(sizes)}: problem {number} has {len(given)} samples")
    problems = list(zip(group_answers(answers), right_answers(answers, references), strict=True))
    return {
        f"maj@{size}": math.fsum(maj_at_k(groups, right, size, seed) for groups, right in problems) / len(problems)
        for size in sizes
    }


def _readable(reference: Sequence[str], number: int) -> list[str]:
    texts = references_of(list(reference))
    if not texts:
        raise ValueError(f"problem {number}: its reference {', '.join(map(repr, reference))} can't be read")
    return texts


def _open_pairs(answers: Sequence[str | None], groups: Sequence[int | None], rules: _Rules) -> list[Pair]:
    """Pairs of one problem's groups that the rules leave undecided, by their first answers, the largest first."""
    first: dict[int, str] = {}
    for answer, group in zip(answers, groups, strict=True):
        if answer is not None and group is not None:
            first.setdefault(group, answer)
    sizes = Counter(group for group in groups if group is not None)
    pairs = combinations([first[group] for group, _ in sizes.most_common()], 2)
    return list(islice((pair for pair in pairs if rules.same(*pair) is None), MAX_PAIRS))


def _distinct(answers: Iterable[str | None]) -> list[str]:
    return [answer for answer, _ in Counter(answer for answer in answers if answer is not None).most_common()]


def _ask_sympy(pairs: Iterable[Pair]) -> dict[Pair, bool]:
    """SymPy's word on each pair; a pair that it cannot read or finish counts as different."""
    distinct = list(dict.fromkeys(pairs))
    outcomes = shared_pool().compare(distinct) if distinct else []
    if Outcome.FAILED in outcomes:
        raise RuntimeError("the votes need SymPy, and no process that runs it could be started")
    return {pair: outcome is Outcome.EQUAL for pair, outcome in zip(distinct, outcomes, strict=True)}
