"""Language identification: accuracy, confusion, hacks, short traces, speed.

    python benchmarks/language.py            # Markdown tables, about half a minute on one core

Sentences are ``tests/cases/language_sentences.jsonl`` (own, LaTeX-heavy, parallel in meaning). The constants of
``verifiers/language/detect.py`` were set without those marked ``held-out``; what is fed to the model (lower-cased
words, no digits) was chosen with all of them in sight. Error rates by language are those of
``language_messages.jsonl``: messages of Django's translations, in every language offered and in some that a
column may name. Beside ours stand a label for the raw text
and a label for the stripped text as a whole, both from the same model: what most projects do.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from magistral_recipe.data import tiny
from magistral_recipe.rewards.language import LanguageConsistency, completion_language
from magistral_recipe.verifiers.language import detect as detect_module
from magistral_recipe.verifiers.language.detect import DEFAULT_LANGUAGES, detect
from magistral_recipe.verifiers.language.prose import extract_prose

CASES = Path(__file__).parents[1] / "tests" / "cases"
MEASURED = ("en", "fr", "es", "it", "de", "zh", "ru", "ar")
CODE = (
    "\n```python\n# count the divisors of the given number\ndef count(n):\n    total = 0\n"
    "    for d in range(1, n + 1):\n"
    "        # does d divide n without a remainder?\n        if n % d == 0:\n            total += 1  # one more\n"
    "    return total\n```\n"
)
Labelled = Sequence[tuple[str, str]]


def label_whole(text: str) -> str | None:
    """The model's label for a text as it is."""
    found = detect_module._model().predict(text.replace("\n", " ") + "\n", 1, 0.0, "strict")
    return found[0][1].removeprefix("__label__") if found else None


METHODS: dict[str, Callable[[str], str | None]] = {
    "raw text, one label": label_whole,
    "stripped, one label": lambda text: label_whole(extract_prose(text).text),
    "**segments that vote (ours)**": lambda text: detect(text).language,
}


def read(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").splitlines()]


def share(method: Callable[[str], str | None], rows: Labelled) -> str:
    right = sum(method(text) == language for language, text in rows)
    return f"{right}/{len(rows)} ({right / len(rows):.3f})"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    print("| " + " | ".join(head) + " |")
    print("| " + " | ".join("---" for _ in head) + " |")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print()


def compare(sets: Mapping[str, Labelled]) -> None:
    body = [[name, *(share(method, rows) for method in METHODS.values())] for name, rows in sets.items()]
    table(["text", *METHODS], body)


def accuracy(sentences: list[dict[str, str]], rng: random.Random) -> None:
    latex = [row for row in sentences if row["kind"] == "latex" and row["language"] in MEASURED]
    by_language: dict[str, list[str]] = defaultdict(list)
    for row in latex:
        by_language[row["language"]].append(row["text"])
    every = [(row["language"], row["text"]) for row in latex]
    sets: dict[str, Labelled] = {
        "one sentence, held out": [(row["language"], row["text"]) for row in latex if row["split"] == "held-out"],
        "one sentence, all": every,
        "one sentence + English-commented code": [(language, text + CODE) for language, text in every],
        "three sentences": [(each, " ".join(rng.sample(by_language[each], 3))) for each in MEASURED for _ in range(50)],
        "one sentence, nine more languages": [
            (row["language"], row["text"]) for row in sentences if row["language"] not in MEASURED
        ],
        "worked sums, digits and few words": [
            (row["language"], row["text"]) for row in sentences if row["kind"] == "arithmetic"
        ],
    }
    print("### Accuracy (right / all)\n")
    compare(sets)
    print("### Confusion, one LaTeX-heavy sentence, 17 candidates (rows: true; columns: told)\n")
    told = Counter((language, detect(text).language or "none") for language, text in every)
    columns = [*MEASURED, *sorted({found for _, found in told} - set(MEASURED))]
    table(["", *columns], [[true, *(told[true, found] or "·" for found in columns)] for true in MEASURED])


def by_language() -> None:
    rows = read("language_messages.jsonl")
    print("### Errors by language, forty messages each; a language outside the candidates is named by the row\n")
    wrong: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        language = row["language"]
        named = DEFAULT_LANGUAGES if language in DEFAULT_LANGUAGES else (*DEFAULT_LANGUAGES, language)
        wrong[language][detect(row["text"], named).language or "none"] += 1
    body = []
    for language, told in wrong.items():
        right, total = told.pop(language, 0), 40
        body.append([language, f"{total - right}/{total}", ", ".join(f"{each} {n}" for each, n in told.items()) or "·"])
    table(["language", "wrong", "told instead"], body)


def mixtures(sentences: list[dict[str, str]], rng: random.Random) -> None:
    by_language: dict[str, list[str]] = defaultdict(list)
    for row in sentences:
        if row["kind"] == "latex" and row["language"] in MEASURED:
            by_language[row["language"]].append(row["text"])
    sets: dict[str, list[tuple[str, str]]] = {"alternating": [], "1 own, 4 foreign": [], "own fenced, 4 foreign": []}
    for _ in range(500):
        own, foreign = rng.sample(MEASURED, 2)
        ours, theirs = rng.sample(by_language[own], 2), rng.sample(by_language[foreign], 4)
        sets["alternating"].append((own, " ".join((ours[0], theirs[0], ours[1], theirs[1]))))
        sets["1 own, 4 foreign"].append((own, " ".join((ours[0], *theirs))))
        fenced = "\n".join(re.sub(r"\$[^$]*\$", "x", sentence) for sentence in theirs)
        sets["own fenced, 4 foreign"].append((own, f"{ours[0]}\n```\n{fenced}\n```"))
    print("### Mixed texts that pass for the language of their problem (lower is better)\n")
    compare(sets)


def hacks() -> None:
    rows = read("language_completions.jsonl")
    reward = LanguageConsistency()
    wrong = []
    for row in rows:
        columns = {name: [row[name]] for name in ("language", "problem") if name in row}
        prompts = [row["prompt"]] if "prompt" in row else None
        if reward(prompts=prompts, completions=[row["completion"]], **columns) != [row["expected"]]:
            wrong.append(row["id"])
    print(f"Labelled completions, hacks among them: {len(rows) - len(wrong)}/{len(rows)} right {wrong or ''}\n")


def traces(count: int) -> None:
    tiny_languages = ("en", "fr", "es", "de", "it")
    print("### Traces of the embedded model's quickstart, about 50 tokens\n")
    body = []
    for name, foreign in (("own language", 0.0), ("another language", 1.0)):
        shares = tuple((language, foreign) for language in tiny_languages)
        rows = tiny.traces(count, seed=7, flaws=tiny.Flaws(malformed=0, foreign=shares))
        total = Counter(row["language"] for row in rows)
        passed = Counter(
            row["language"] for row in rows if completion_language(row["completion"]).language == row["language"]
        )
        body.append([name, *(f"{passed[language]}/{total[language]}" for language in tiny_languages)])
    table(["thoughts in", *(f"passes as {language}" for language in tiny_languages)], body)


def timed(action: Callable[[], object]) -> float:
    """Seconds of CPU, the best of three."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        action()
        best = min(best, time.process_time() - start)
    return best


def speed(sentences: list[dict[str, str]]) -> None:
    texts = [row["text"] for row in sentences] * 20
    rows = tiny.traces(4000, seed=8)
    reward = LanguageConsistency()
    completions, languages = [row["completion"] for row in rows], [row["language"] for row in rows]
    per_text = len(texts) / timed(lambda: [detect(text) for text in texts])
    per_trace = len(rows) / timed(lambda: reward(completions=completions, language=languages))
    body = [
        [f"`detect`, texts of {sum(map(len, texts)) // len(texts)} characters", f"{per_text:,.0f} texts/s"],
        ["`LanguageConsistency`, short traces (two parts each)", f"{per_trace:,.0f} completions/s"],
    ]
    long = {"prose of 60,000 characters": " ".join(texts)[:60_000]}
    for piece in ("\\[", "\\boxed{", "```", "$ "):
        long[f"1 MB of `` {piece} ``"] = piece * (1_000_000 // len(piece))
    for name, text in long.items():
        body.append([f"`detect`, {name}", f"{timed(functools.partial(detect, text)) * 1000:.0f} ms"])
    print("### Speed, one process (CPU time)\n")
    table(["what", "result"], body)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=int, default=5_000, help="how many traces of each kind")
    arguments = parser.parse_args()
    sentences = read("language_sentences.jsonl")
    print(f"Python {platform.python_version()}, {platform.machine()}\n")
    accuracy(sentences, random.Random(0))
    by_language()
    mixtures(sentences, random.Random(1))
    hacks()
    traces(arguments.traces)
    speed(sentences)


if __name__ == "__main__":
    main()
