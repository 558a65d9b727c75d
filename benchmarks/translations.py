"""How well the checks of translations find planted faults, and how many right translations they drop.

    python benchmarks/translations.py                         faults in the parallel wordings of the embedded data
    python benchmarks/translations.py --solved-by MODEL       what `solve_samples` finds, by a model that solves

The embedded model's problems exist in five languages, wording by wording: the same wording, the same alternatives, the
same numbers in English and in another language are an original and a right translation. A fault is made of the right
translation, and told by its name alone. The checks read both texts and ask no model; with `--solved-by` a model of the
embedded task draws 4 samples of originals, of right translations and of those that the sense alone tells.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from curate import wilson

from magistral_recipe.curation.ratings import Tally
from magistral_recipe.curation.rows import Dropped, Row
from magistral_recipe.curation.survival import find_loss, says_enough
from magistral_recipe.curation.translate import MOSTLY_SOLVED, ORIGINAL, drop_unsolved
from magistral_recipe.data.problems import Problem
from magistral_recipe.data.tiny.arithmetic import OPERATIONS, Exercise, Operation, draw
from magistral_recipe.data.tiny.language import word_answer, word_problem, wordings
from magistral_recipe.jsonlines import read_lines

LANGUAGES = ("fr", "es", "de", "it")
PROBLEM = ("id", "problem", "answer", "language")
_ALTERNATIVES = re.compile(r"\[([^\]]*)\]")


class Pair(NamedTuple):
    """A problem in two languages.

    Attributes:
        exercise: what is asked.
        english: the original.
        other: its translation.
        language: of the translation.
        pattern: which of the wordings it is.
    """

    exercise: Exercise
    english: str
    other: str
    language: str
    pattern: int


Fault = Callable[[Pair, random.Random], str | None]
"""Makes a wrong translation of a right one; ``None`` where it can't be made of this one."""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=1000, help="pairs a seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--solved-by", type=Path, metavar="MODEL", help="folder of a model of the embedded task")
    parser.add_argument("--runs", type=Path, default=Path(__file__).parent.parent / "runs")
    arguments = parser.parse_args()
    if arguments.solved_by is not None:
        solved(arguments.solved_by.resolve(), arguments.problems, arguments.seeds[0], arguments.runs.resolve())
        return
    found, of, reasons = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    for seed in arguments.seeds:
        for kind, reason in measured(arguments.problems, seed):
            of[kind] += 1
            found[kind] += reason is not None
            reasons[kind, reason or ""] += reason is not None
    print(f"{arguments.problems:,} problems, seeds {arguments.seeds}: share that was dropped (95% interval)\n")
    for kind in of:
        low, high = wilson(found[kind], of[kind])
        most = ", ".join(reason for (name, reason), _ in reasons.most_common() if name == kind)
        share = found[kind] / of[kind]
        print(f"{kind:44} {found[kind]:6,} of {of[kind]:6,}  {share:6.1%} [{low:.1%}, {high:.1%}]  {most}")


def measured(count: int, seed: int) -> list[tuple[str, str | None]]:
    """Hold right and wrong translations against their originals; (kind, why it was dropped)."""
    random_ = random.Random(seed)
    results = []
    for number in range(count):
        pair = parallel(random_, LANGUAGES[number % len(LANGUAGES)], with_signs=random_.random() < 0.3)
        for kind, make in {"right": lambda pair, _: pair.other, **FAULTS}.items():
            text = make(pair, random_)
            if text is not None and (kind == "right" or text != pair.other):
                loss = find_loss(pair.english, text, pair.language)
                results.append((kind, loss.reason if loss else None))
    return results


SOLVE = """\
name: solved
model: {{path: {model}, dtype: float32}}
thinking: {{system_prompt: none}}
problems:
  both: {{path: both.jsonl}}
stages:
  - curate:
      problems: both
      clean: null
      duplicates: null
      leaks: null
      labels: null
      difficulty: {{samples: {samples}, temperature: 0.7, max_new_tokens: 80, above: null, at_most: 1.0}}
"""
SAMPLES = 4


def solved(model: Path, count: int, seed: int, runs: Path) -> None:
    """Let a model solve originals and translations, and print what of these goes.

    Args:
        model: its folder.
        count: pairs.
        seed: of the pairs.
        runs: where the run's folder is made.
    """
    random_, folder = random.Random(seed), runs / "solved"
    rows: list[dict[str, str]] = []
    for number in range(count):
        pair = parallel(random_, LANGUAGES[number % len(LANGUAGES)], with_signs=False)
        texts = {"original": pair.english, "right": pair.other}
        texts |= {kind: text for kind, make in SENSE.items() if (text := make(pair, random_)) not in (None, pair.other)}
        for kind, text in texts.items():
            language = "en" if kind == "original" else pair.language
            row = {"id": f"{number}/{kind}", "problem": text, "answer": str(pair.exercise.answer), "language": language}
            rows.append(row if kind == "original" else {**row, ORIGINAL: f"{number}/original"})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "both.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "recipe.yaml").write_text(SOLVE.format(model=model, samples=SAMPLES), "utf-8")
    command = [sys.executable, "-m", "magistral_recipe", "run", str(folder / "recipe.yaml")]
    subprocess.run([*command, "--output", str(folder / "run")], check=True)
    rates = {row["id"]: row["pass_rate"] for _, row in read_lines(folder / "run" / "01-curate" / "problems.jsonl")}
    tallies = {id_: Tally(SAMPLES, round(rate * SAMPLES)) for id_, rate in rates.items()}
    gone, of = Counter[str](), Counter[str]()
    problems = {row["id"]: Row(Problem(**{name: row[name] for name in PROBLEM}), _note(row)) for row in rows}
    for outcome in drop_unsolved(problems.values(), tallies):
        row = outcome.row if isinstance(outcome, Dropped) else outcome
        original = str(row.notes.get(ORIGINAL))
        if original in rates and rates[original] >= MOSTLY_SOLVED:
            kind = row.problem.id.partition("/")[2]
            of[kind] += 1
            gone[kind] += isinstance(outcome, Dropped)
    easy = sum(rate >= MOSTLY_SOLVED for id_, rate in rates.items() if id_.endswith("/original"))
    print(
        f"\n{count:,} pairs, seed {seed}: {easy:,} originals are solved in at least half of {SAMPLES} samples; of these"
    )
    for kind in of:
        low, high = wilson(gone[kind], of[kind])
        print(f"{kind:44} {gone[kind]:6,} of {of[kind]:6,} go  {gone[kind] / of[kind]:6.1%} [{low:.1%}, {high:.1%}]")


def _note(row: dict[str, str]) -> dict[str, str]:
    return {ORIGINAL: row[ORIGINAL]} if ORIGINAL in row else {}


def parallel(random_: random.Random, language: str, *, with_signs: bool) -> Pair:
    """Draw a problem in English and in another language; those with too few words are never translated.

    Args:
        random_: chooses.
        language: the other one.
        with_signs: let a second task follow that stands in signs, half of them in dollars.
    """
    while True:
        pair = _pair(random_, language)
        if not with_signs:
            if says_enough(pair.english):
                return pair
            continue
        more = _pair(random_, language)
        if re.search(r"\d ?[-+×] ?\d", more.english):
            put = _in_dollars if random_.random() < 0.5 else str
            both = (f"{one} {put(other)}" for one, other in ((pair.english, more.english), (pair.other, more.other)))
            return Pair(pair.exercise, *both, language, pair.pattern)


def _pair(random_: random.Random, language: str) -> Pair:
    exercise = draw(random_.choice(OPERATIONS), "train", random_)
    known = [wordings(each, exercise.operation, new=new) for new in (False, True) for each in ("en", language)]
    patterns = list(zip(known[0] + known[2], known[1] + known[3], strict=True))
    pattern = random_.randrange(len(patterns))
    choices: list[float] = [random_.random() for _ in range(8)]
    english, other = (word_problem(exercise, _chosen(text, choices)) for text in patterns[pattern])
    return Pair(exercise, english, other, language, pattern)


def _chosen(pattern: str, choices: list[float]) -> str:
    """Take the same alternative of each group as in the other language."""
    draws = iter(choices)

    def one(group: re.Match[str]) -> str:
        words = group[1].split("|")
        return words[int(next(draws) * len(words))]

    return _ALTERNATIVES.sub(one, pattern)


def _in_dollars(text: str) -> str:
    return re.sub(r"\d+(?: ?[-+×] ?\d+)+", lambda match: f"${match[0]}$", text)


# --------------------------------------------------------------------------------------------------- faults


def _numbers(text: str) -> list[re.Match[str]]:
    return list(re.finditer(r"\d+", text))


def _replaced(text: str, match: re.Match[str], new: str) -> str:
    return text[: match.start()] + new + text[match.end() :]


def _number_changed(pair: Pair, random_: random.Random) -> str:
    match = random_.choice(_numbers(pair.other))
    return _replaced(pair.other, match, str(int(match[0]) + random_.choice((-10, -1, 1, 10, 100))))


def _number_lost(pair: Pair, random_: random.Random) -> str:
    return _replaced(pair.other, random_.choice(_numbers(pair.other)), "")


def _number_added(pair: Pair, random_: random.Random) -> str:
    match = random_.choice(_numbers(pair.other))
    return _replaced(pair.other, match, f"{match[0]} + {random_.randint(2, 99)}")


def _answer_added(pair: Pair, random_: random.Random) -> str:
    return f"{pair.other} {word_answer(pair.exercise.answer, pair.language, random_)}"


def _formula_changed(pair: Pair, random_: random.Random) -> str | None:
    match = re.search(r"(?<=\$)\d+ ?[-+×] ?\d+[^$]*(?=\$)", pair.other)
    if match is None:
        return None
    sign = random_.choice([sign for sign in "+-×" if sign not in match[0]] or ["/"])
    return _replaced(pair.other, match, re.sub(r"[-+×]", sign, match[0], count=1))


def _sign_changed(pair: Pair, random_: random.Random) -> str | None:
    match = re.search(r"[-+×](?= ?\d)", pair.other)
    return None if match is None or "$" in pair.other else _replaced(pair.other, match, random_.choice("+-×"))


def _untranslated(pair: Pair, random_: random.Random) -> str:
    return pair.english


def _other_language(pair: Pair, random_: random.Random) -> str:
    language = random_.choice([each for each in LANGUAGES if each != pair.language])
    known = [
        *wordings(language, pair.exercise.operation, new=False),
        *wordings(language, pair.exercise.operation, new=True),
    ]
    return word_problem(pair.exercise, _chosen(known[pair.pattern], [random_.random() for _ in range(8)]))


def _half(pair: Pair, random_: random.Random) -> str | None:
    """The first sentence stays English."""
    ours, theirs = (re.split(r"(?<=[.?])\s+", text) for text in (pair.english, pair.other))
    return None if len(ours) != len(theirs) or len(ours) < 2 else " ".join([ours[0], *theirs[1:]])


def _preamble(pair: Pair, random_: random.Random) -> str:
    """What a talkative model puts in front, in its own language."""
    return f"Sure! I have translated the whole problem for you, and here you can read what it says now. {pair.other}"


def _twice(pair: Pair, random_: random.Random) -> str:
    return f"{pair.other} {pair.other} {pair.other}"


def _sentence_lost(pair: Pair, random_: random.Random) -> str | None:
    """The question, which holds no number."""
    sentences = re.split(r"(?<=[.?])\s+", pair.other)
    return " ".join(sentences[:-1]) if len(sentences) > 1 and not re.search(r"\d", sentences[-1]) else None


def _numbers_swapped(pair: Pair, random_: random.Random) -> str | None:
    """Two numbers change places, where that makes another problem."""
    found = _numbers(pair.other)
    if pair.exercise.operation != "subtraction" or len(found) != 2 or found[0][0] == found[1][0]:
        return None
    first, second = found
    return _replaced(_replaced(pair.other, second, first[0]), first, second[0])


def _another_operation(pair: Pair, random_: random.Random) -> str | None:
    """The same numbers, in words that ask for something else."""
    others: dict[Operation, Operation] = {"addition": "subtraction", "subtraction": "addition"}
    if (other := others.get(pair.exercise.operation)) is None:
        return None
    if len(_numbers(pair.other)) > 2:
        return None
    pattern = random_.choice(wordings(pair.language, other, new=False))
    return word_problem(pair.exercise, _chosen(pattern.replace("+", "plus").replace("|-", ""), [0.0] * 8))


FAULTS: dict[str, Fault] = {
    "another number": _number_changed,
    "a number lost": _number_lost,
    "a number added": _number_added,
    "the answer told": _answer_added,
    "another sign in a formula": _formula_changed,
    "another sign in the text": _sign_changed,
    "not translated": _untranslated,
    "another language": _other_language,
    "half translated": _half,
    "talk in front": _preamble,
    "the same three times": _twice,
    "the question lost": _sentence_lost,
    "two numbers swapped (sense alone tells)": _numbers_swapped,
    "another operation (sense alone tells)": _another_operation,
}
SENSE = {kind: make for kind, make in FAULTS.items() if "sense" in kind}
"""What no reading tells."""


if __name__ == "__main__":
    main()
