"""Worded problems, and the faults that `curate.py` plants into them; what was planted is told by the id alone."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

from magistral_recipe.data.problems import Problem


def _several(words: str) -> tuple[str, ...]:
    return tuple(words.split())


NAMES = _several(
    "Tom Anna Bob Maria Ahmed Chen Olga Pedro Yuki Fatima Liam Noah Emma Priya Kofi Ingrid Mateo Zoe Hassan Lucia Ravi "
    "Sven Amina Diego Hana Igor Nadia Paulo Greta Omar"
)
THINGS = _several(
    "apples pencils marbles stamps books coins shells stickers oranges buttons cards candles balloons tickets cookies "
    "bottles flowers stones ribbons cups"
)
PLACES = ("market", "library", "school", "harbour", "station", "garden", "museum", "bakery", "workshop", "farm")

# Sentences in an order that may change: facts first, the question last.
# fmt: off
TEMPLATES: tuple[tuple[str, ...], ...] = (
    ("{name} has {a} {things}.", "{name} buys {b} more at the {place}.", "How many {things} does {name} have now?"),
    (
        "There are {a} {things} in a box at the {place}.",
        "{name} takes out {b} of them.",
        "How many are left in the box?",
    ),
    (
        "A ticket for the {place} costs {a} dollars.",
        "{name} buys {b} tickets for a group of friends.",
        "How many dollars does {name} pay in total?",
    ),
    ("{name} and {other} share {a} {things} equally with {b} other children.", "How many {things} are left over?"),
    (
        "The {place} opens at {a} minutes past nine and {name} arrives {b} minutes later.",
        "How many minutes past nine does {name} arrive?",
    ),
    ("A rectangle is {a} cm long.", "It is {b} cm wide.", "What is the area of the rectangle in square centimetres?"),
    ("Find the sum of the first {a} positive integers, and subtract {b} from it.",),
    ("Let $f(x) = {a}x + {b}$.", "Compute $f({c})$."),
    ("Solve the equation ${a}x - {b} = {c}$ for $x$.",),
    ("What is the remainder when ${a}^{{{b}}}$ is divided by ${c}$?",),
    (
        "{name} reads {a} pages of a book every day for {b} days.",
        "The book from the {place} has {c} pages more than that.",
        "How many pages does the book have?",
    ),
    (
        "A train leaves the {place} at a speed of {a} kilometres an hour.",
        "It travels for {b} hours without a stop.",
        "How far does it go?",
    ),
    (
        "In a class of {a} pupils at the {place}, {b} play chess and the others play the piano.",
        "How many pupils play the piano?",
    ),
    ("{name} is {a} years old and {other} is {b} years older.", "How old will {other} be in {c} years?"),
    ("The average of {a} and another number is {b}.", "What is the other number?"),
    (
        "A shop at the {place} sells {things} at {a} cents each.",
        "{name} pays with {b} dollars.",
        "How many {things} can {name} buy at most?",
    ),
    ("How many different ways are there to choose {b} {things} from {a} different {things} in the {place}?",),
    (
        "A farmer plants {a} rows of trees near the {place}.",
        "Each row has {b} trees, and {c} of all the trees die.",
        "How many trees survive?",
    ),
)
# fmt: on
INSTRUCTIONS = (
    "Please reason step by step, and put your final answer within \\boxed{}.",
    "Solve the following problem.",
    "Give only the final answer.",
    "Think carefully and show your work.",
    "Let's think step by step.",
    "Answer the question below.",
)
PROOFS = (
    "Prove that the sum of {a} consecutive odd integers is divisible by {a}.",
    "Show that there are infinitely many integers $n$ for which $n^2 + {a}$ is not prime.",
    "Let $n$ be a positive integer. Demonstrate that $n^{{{a}}} - n$ is even.",
    "Prove the inequality $x^2 + y^2 \\ge {a}xy$ for all real numbers $x = y$.",
    "If $p > {a}$ is prime, justify that $p^2 - 1$ is divisible by 24.",
)
PARTS = (
    "{name} has {a} {things}. (a) How many are left after {b} are sold? (b) How many are there with {c} more?",
    "A triangle has sides {a}, {b} and {c}.\na) Find its perimeter.\nb) Determine whether it is a right triangle.",
    "A car drives {a} km in {b} hours. What is its speed? How long does it take for {c} km?",
    "Part 1: Compute {a} + {b}. Part 2: Compute {a} - {b}.",
)
PROSE = (
    "The sequence grows without bound because each of its terms is larger than the one before it",
    "see the solution of the previous exercise",
    "Proof omitted.",
    "It depends on whether the shop at the corner is open on that day",
    "N/A",
)
OPTIONS = ("Which of the following is a prime number? A. {a}0 B. {b}4 C. 7 D. {c}6 E. {c}8", "C")


@dataclass
class Planted:
    """Rows with faults among them.

    Attributes:
        rows: in a random order.
        kinds: id → what the row is: `clean`, a fault, or a near miss that must stay.
    """

    rows: list[Problem] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, problem: str, answer: str) -> None:
        """Add a row under an id that tells nothing."""
        id_ = f"{len(self.kinds):06d}"
        self.rows.append(Problem(id=id_, problem=problem, answer=answer, language="en"))
        self.kinds[id_] = kind


def worded(random_: random.Random, id_: str) -> Problem:
    """Make a problem; its answer is any number, since nobody here solves it."""
    template = random_.choice(TEMPLATES)
    return Problem(id=id_, problem=" ".join(template).format(**_slots(random_)), answer=_answer(random_), language="en")


def heldout_and_train(count: int, seed: int) -> tuple[list[Problem], list[Problem]]:
    """Make evaluation and training problems, no two of the same words with other names and things aside."""
    random_, seen, made = random.Random(seed), set[str](), []
    while len(made) < count + count // 4:
        problem = worded(random_, "")
        key = re.sub("|".join(NAMES), "", problem.problem)
        if key not in seen:
            seen.add(key)
            made.append(problem.model_copy(update={"id": f"{seed}-{len(made)}"}))
    return made[count:], made[:count]


def plant(train: list[Problem], heldout: list[Problem], seed: int) -> Planted:
    """Add a tenth of each fault and of each near miss."""
    random_, planted = random.Random(seed + 1000), Planted()
    for problem in train:
        planted.add("clean", problem.problem, str(problem.answer))
    tenth = len(train) // 10
    for change in (punctuated, instructed, renamed, reordered, spelled):
        for problem in random_.sample(train, tenth // 4):
            planted.add(f"duplicate, {change.__name__}", change(problem.problem, random_), str(problem.answer))
        for problem in random_.sample(heldout, tenth // 4):
            planted.add(f"leak, {change.__name__}", change(problem.problem, random_), str(problem.answer))
    for kind, among in (("duplicate", train), ("leak", heldout)):
        for problem in random_.sample([each for each in among if swapped(each.problem) != each.problem], tenth // 2):
            planted.add(f"stays: {kind} but turned round", swapped(problem.problem), str(problem.answer))
    for problem in random_.sample(train, tenth // 2):
        planted.add("stays: duplicate but a number", another_number(problem.problem, random_), str(problem.answer))
    for problem in random_.sample(heldout, tenth // 2):
        planted.add("stays: leak but a number", another_number(problem.problem, random_), str(problem.answer))
    for problem in random_.sample([each for each in train if _SIGNS.search(each.problem)], tenth // 2):
        planted.add("stays: duplicate but a sign", another_sign(problem.problem), str(problem.answer))
    for problem in random_.sample([each for each in heldout if _SIGNS.search(each.problem)], tenth // 4):
        planted.add("stays: leak but a sign", another_sign(problem.problem), str(problem.answer))
    for kind, texts in (("proof", PROOFS), ("several parts", PARTS)):
        for number in range(tenth):
            text = texts[number % len(texts)].format(**{**_slots(random_), "a": number + 3})
            planted.add(kind, text, _answer(random_))
    for number in range(tenth):
        planted.add("prose for an answer", worded(random_, "").problem, PROSE[number % len(PROSE)])
        slots = _slots(random_)
        planted.add("choice that needs its options", OPTIONS[0].format(**{**slots, "a": number}), OPTIONS[1])
        asked = (
            f"What is {slots['a']} + {slots['b']} * {number}? (A) 1{number} (B) 2{number} (C) 3{number} (D) 4{number}"
        )
        planted.add("stays: choice that can be asked", asked, "B")
    random_.shuffle(planted.rows)
    # What repeats comes behind what it repeats, so that the clean one is the one that stays.
    planted.rows.sort(key=lambda row: planted.kinds[row.id].startswith("duplicate"))
    return planted


def punctuated(text: str, random_: random.Random) -> str:
    """Other punctuation, case and spaces."""
    text = text.replace(". ", random_.choice([" . ", "; ", ".\n", ".  "]))
    return random_.choice([text.rstrip("?.") + " ?", text.upper() if "$" not in text else text + " ", text.lower()])


def instructed(text: str, random_: random.Random) -> str:
    """Words to whoever answers, in front or behind."""
    words = random_.choice(INSTRUCTIONS)
    return random_.choice([f"{words} {text}", f"{text}\n\n{words}", f"Question: {text} {words}"])


def renamed(text: str, random_: random.Random) -> str:
    """Other names of people; where there are none, other punctuation."""
    there = [name for name in NAMES if re.search(rf"\b{name}\b", text)]
    if not there:
        return punctuated(text, random_)
    new = random_.sample([name for name in NAMES if name not in there], len(there))
    return re.sub("|".join(there), lambda match: new[there.index(match[0])], text)


def reordered(text: str, random_: random.Random) -> str:
    """The question in front of the facts, or the facts the other way round."""
    parts = re.split(r"(?<=[.?]) ", text)
    if len(parts) < 2:
        return instructed(text, random_)
    return " ".join([parts[-1], *parts[:-1]] if random_.random() < 0.5 else [*parts[-2::-1], parts[-1]])


def spelled(text: str, random_: random.Random) -> str:
    """HTML around it, other delimiters, a number in words, an item's number in front, letters in place of letters."""
    changes = [
        lambda: f"<p>{text.replace('. ', '.</p><p>')}</p>",
        lambda: f"{random_.randint(1, 40)}. {text.replace('$', '')}",
        lambda: f"**{text}**",
        lambda: re.sub(r"\b[2-9]\b", lambda digit: WORDS[int(digit[0])], text),
        lambda: re.sub(r"\$([^$]+)\$", r"\\(\1\\)", text) + " ",
        lambda: re.sub(r"(?<![a-z])x(?![a-z])", "t", text).replace("f(", "g("),
    ]
    return random_.choice([made for change in changes if (made := change()) != text])


def swapped(text: str) -> str:
    """The first two numbers in each other's place, where they do not stand for one thing."""
    first, *others = re.finditer(r"\d+", text)
    second = next((each for each in others if each[0] != first[0]), None)
    if second is None or not all(_COUNTS.match(text, each.end()) for each in (first, second)):
        return text
    between = text[first.end() : second.start()]
    return f"{text[: first.start()]}{second[0]}{between}{first[0]}{text[second.end() :]}"


def another_number(text: str, random_: random.Random) -> str:
    """One number is another: the nearest miss there is."""
    places = list(re.finditer(r"\d+", text))
    place = random_.choice(places)
    return f"{text[: place.start()]}{int(place[0]) + random_.choice([1, 2, 7, 100])}{text[place.end() :]}"


WORDS = _several("zero one two three four five six seven eight nine")
_COUNTS = re.compile(r" [a-z]|x")
_SIGNS = re.compile(r" [+-] |\bmore\b|\bolder\b|\bsum\b|\bleft\b|\btakes out\b")
_OPPOSITE = {
    " + ": " - ", " - ": " + ", "more": "fewer", "older": "younger", "sum": "product", "left": "missing",
    "takes out": "puts in",
}  # fmt: skip


def another_sign(text: str) -> str:
    """One sign, or one word that stands for one, is its opposite."""
    return _SIGNS.sub(lambda match: _OPPOSITE[match[0]], text, count=1)


def _slots(random_: random.Random) -> dict[str, object]:
    name, other = random_.sample(NAMES, 2)
    numbers = {letter: random_.randint(2, 400) for letter in "abc"}
    return {"name": name, "other": other, "things": random_.choice(THINGS), "place": random_.choice(PLACES), **numbers}


def _answer(random_: random.Random) -> str:
    return str(random_.randint(2, 2000))
