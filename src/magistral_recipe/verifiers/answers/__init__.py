r"""Answers of mathematics: reading them, and telling whether two are the same.

`judge` grades the boxes of a completion against a reference without ever starting a process: notation,
numbers, units, lists, intervals, matrices and elementary expressions are compared here, exactly or to 90
digits. What it leaves undecided goes to SymPy in a worker (`magistral_recipe.verifiers.answers.symbolic`).
"""

from magistral_recipe.verifiers.answers.compare import compare
from magistral_recipe.verifiers.answers.judge import judge, references_of
from magistral_recipe.verifiers.answers.reading import read
from magistral_recipe.verifiers.answers.verdicts import Rules, Verdict

__all__ = ["Rules", "Verdict", "compare", "judge", "read", "references_of"]
