"""What the solutions of a programming problem agree on: whose vote counts, what becomes of each test (Magistral §4).

Solutions may be wrong or slow, and so may be the outputs that the tests expect; neither is believed by itself. What is
expected counts as one voice among the solutions'. Two rounds find who may vote: whoever is with the most on at least
half of the tests; then, on the tests that those settle, whoever is hardly ever against them. The voters decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Fate = Literal["kept", "corrected", "dropped"]

WITH_THE_MOST = 0.5
"""First round: share of the tests on which a solution must be with the most."""
AGAINST_SETTLED = 0.1
"""Second round: share of the settled tests on which a solution may be against the most, beyond the best solution's."""
CONFIRMED = 2
"""Corrections are believed where there are at most so many times as many as tests whose output is confirmed."""

Answer = Any
"""What a solution gave on a test, ``None`` for nothing."""


@dataclass(frozen=True)
class Agreement:
    """What the solutions of one problem say about its tests.

    Attributes:
        voters: the solutions that were listened to, by their places.
        fates: what becomes of each test.
        outputs: what each test should expect; of a test that is kept what it does expect.
        believed: whether solutions and tests belong together at all.
    """

    voters: tuple[int, ...]
    fates: tuple[Fate, ...]
    outputs: tuple[Answer, ...]
    believed: bool = True

    def count(self, fate: Fate) -> int:
        """How many tests have a fate."""
        return self.fates.count(fate)


def agreement_of(
    answers: Sequence[Sequence[Answer]],
    expected: Sequence[Answer],
    same: Callable[[Answer, Answer], bool],
    *,
    share: float,
    least: int,
) -> Agreement:
    """Let solutions vote on the outputs of tests.

    A test is kept where at least `share` of the voters give what it expects; corrected where as many, and at least
    `least` of them, give one thing else, and nobody who passed the first round what it expects; dropped otherwise.

    Args:
        answers: what each solution gave on each test, `[S][T]`; ``None`` where it failed.
        expected: what the tests expect, `[T]`.
        same: whether an answer (first) is what is expected (second).
        share: of the voters that must agree, above 0.5 to 1.
        least: solutions that must agree to correct an output.

    Returns:
        The voters and the fates.
    """
    ballots = [_Ballot([row[test] for row in answers], expected[test], same) for test in range(len(expected))]
    first, voters = _voters(ballots, len(answers))
    fates, outputs = list[Fate](), list[Answer]()
    for ballot, gold in zip(ballots, expected, strict=True):
        fate, output = ballot.decide(voters, first, share, least)
        fates.append(fate)
        outputs.append(gold if fate != "corrected" else output)
    corrected, kept = fates.count("corrected"), fates.count("kept")
    return Agreement(tuple(voters), tuple(fates), tuple(outputs), believed=corrected <= CONFIRMED * kept)


class _Ballot:
    """One test: the solutions' answers in groups that mean the same. Group 0 is what the test expects."""

    def __init__(self, answers: Sequence[Answer], gold: Answer, same: Callable[[Answer, Answer], bool]) -> None:
        self.answers = answers
        heads: list[Answer] = [gold]
        self.groups: list[int | None] = []
        for answer in answers:
            if answer is None:
                self.groups.append(None)
                continue
            group = next((number for number, head in enumerate(heads) if same(answer, head)), len(heads))
            if group == len(heads):
                heads.append(answer)
            self.groups.append(group)

    def votes(self, voters: Sequence[int], gold: int) -> Counter[int]:
        """Voices of each group; what is expected has as many as asked."""
        count = Counter(group for voter in voters if (group := self.groups[voter]) is not None)
        count[0] += gold
        return count

    def most(self, voters: Sequence[int], above: float = 0.0) -> int | None:
        """The group with the most voices, the expected one's among them; ``None`` if others have as many, or too few.

        Args:
            voters: who votes.
            above: share of all voices that it must exceed.
        """
        count = self.votes(voters, gold=1)
        best = max(count.values())
        first = [group for group, voices in count.items() if voices == best]
        if best <= above * (len(voters) + 1):
            return None
        return 0 if 0 in first else first[0] if len(first) == 1 else None

    def decide(self, voters: Sequence[int], first: Sequence[int], share: float, least: int) -> tuple[Fate, Answer]:
        count = self.votes(voters, gold=0)
        if not voters:
            return "dropped", None
        if count[0]:
            return ("kept" if count[0] >= share * len(voters) else "dropped"), None
        if any(self.groups[each] == 0 for each in first):
            return "dropped", None
        group, voices = max(count.items(), key=lambda item: item[1])
        if voices < share * len(voters) or voices < least:
            return "dropped", None
        spellings = [self.answers[voter] for voter in voters if self.groups[voter] == group]
        return "corrected", max(spellings, key=spellings.count)


def _voters(ballots: Sequence[_Ballot], solutions: int) -> tuple[list[int], list[int]]:
    """Who passes the first round, and who the second."""
    everybody = range(solutions)
    most = [ballot.most(everybody) for ballot in ballots]
    first = [each for each in everybody if _share_with(ballots, most, each) >= WITH_THE_MOST]
    settled = [ballot.most(first, above=0.5) for ballot in ballots]
    rates = {each: _share_with(ballots, settled, each) for each in first}
    best = max(rates.values(), default=0.0)
    return first, [each for each in first if rates[each] >= best - AGAINST_SETTLED]


def _share_with(ballots: Sequence[_Ballot], groups: Sequence[int | None], solution: int) -> float:
    """Share of the tests with a group on which a solution is in it; 0 without such a test."""
    there = [(ballot, group) for ballot, group in zip(ballots, groups, strict=True) if group is not None]
    return sum(ballot.groups[solution] == group for ballot, group in there) / len(there) if there else 0.0
