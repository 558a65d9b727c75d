"""Cleaning: problems whose answer can be checked, in one spelling (Magistral §4, "format filtering").

What goes: proofs, questions of several parts, multiple choice that can't be asked otherwise, and problems whose answer
our own verifier can't hold an honest answer against.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import partial

from magistral_recipe.curation.choices import asks_about_options, find_choices, is_value, letter_of, lists_options
from magistral_recipe.curation.defaults import MultipleChoice
from magistral_recipe.curation.rows import Dropped, Outcome, Row
from magistral_recipe.curation.workers import each_in
from magistral_recipe.data.problems import Problem
from magistral_recipe.verifiers.answers import read, references_of
from magistral_recipe.verifiers.answers.shapes import Words
from magistral_recipe.verifiers.programs.testcases import parse_tests

PROOF, PARTS = "asks for a proof", "asks for several things"
CHOICE, NO_STATEMENT = "multiple choice", "multiple choice that means nothing without its options"
UNREADABLE, PROSE, NOTHING_DECIDES = (
    "an answer that can't be read",
    "an answer in prose",
    "nothing decides about an answer",
)
EMPTY = "no text is left"

MOST_WORDS, MOST_WITH_SIGNS = 4, 8
"""Words of an answer in words that a model can be expected to hit: a name, "infinitely many"; and of one with signs and
numbers among them."""


def clean(rows: Iterable[Row], *, multiple_choice: MultipleChoice = "rewrite", workers: int = 1) -> Iterator[Outcome]:
    """Bring problems into one spelling, and drop those whose answer can't be checked.

    Args:
        rows: read one after the other.
        multiple_choice: ask for the value at the right letter where the question allows it and drop the others;
            drop all; or keep all as they are.
        workers: processes that share the rows.

    Yields:
        Every row, in order, kept (perhaps in another spelling) or dropped.
    """
    yield from each_in(workers, partial(_cleaned, multiple_choice=multiple_choice), rows)


def _cleaned(row: Row, multiple_choice: MultipleChoice) -> Outcome:
    row = _spelled(row)
    problem = row.problem
    if not any(character.isalnum() for character in problem.problem):
        return Dropped(row, EMPTY)
    if problem.kind == "text":
        return Dropped(row, NOTHING_DECIDES)
    if problem.kind == "code":
        return _with_tests(row)
    if is_proof(problem.problem):
        return Dropped(row, PROOF)
    if (
        multiple_choice != "keep"
        and isinstance(problem.answer, str)
        and (found := find_choices(problem.problem, problem.answer))
    ):
        if multiple_choice == "drop":
            return Dropped(row, CHOICE)
        letter = letter_of(problem.answer)
        right = found.options.get(letter) if letter else problem.answer
        if right is None or not found.question or asks_about_options(found.question) or not is_value(right):
            return Dropped(row, NO_STATEMENT, {"options": found.options})
        row = row.changed(problem=found.question, answer=right).noted(options=found.options)
    elif (
        multiple_choice != "keep"
        and _only_a_letter(problem)
        and (asks_about_options(problem.problem) or lists_options(problem.problem))
    ):
        return Dropped(row, NO_STATEMENT)
    if asks_for_parts(row.problem.problem, str(row.problem.answer)):
        return Dropped(row, PARTS)
    if reason := why_uncheckable(row.problem):
        return Dropped(row, reason)
    return row


def _only_a_letter(problem: Problem) -> bool:
    """Whether the answer is the letter of an option, of which none is there."""
    return isinstance(problem.answer, str) and letter_of(problem.answer) is not None


def _with_tests(row: Row) -> Outcome:
    try:
        tests = parse_tests(row.problem.tests, "tests")
    except ValueError as error:
        return Dropped(row, "tests that can't be read", {"error": str(error)})
    return row if tests.cases else Dropped(row, NOTHING_DECIDES)


_UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_COMMANDS = (
    "frac dfrac tfrac sqrt times cdot div left right text mathrm mathbb boxed sum prod int lim pi theta alpha beta "
    "gamma lambda omega leq geq neq le ge ne infty circ angle triangle log ln sin cos tan begin end overline pm "
    "equiv pmod"
)
_ESCAPED_TWICE = re.compile(rf"\\\\(?=(?:{'|'.join(_COMMANDS.split())})(?![A-Za-z]))")
_ENTITY = re.compile(r"&(?:lt|gt|le|ge|amp|quot|nbsp|times|minus|#\d{2,5});")


def spelled(text: str) -> str:
    """Bring a text into one spelling: Unicode composed, invisible characters gone, LaTeX's doubled backslashes single.

    What it says stays: full-width digits become digits, ``\\dfrac`` becomes ``\\frac``, HTML's entities characters.

    Args:
        text: as a data set gives it.

    Returns:
        The text.
    """
    text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _UNSEEN.sub("", text)
    text = re.sub("[\uff10-\uff19\uff0b\uff1d\uff0d]", lambda match: unicodedata.normalize("NFKC", match[0]), text)
    text = re.sub("[\u00a0\u2000-\u200a\u202f\u205f\u3000]", " ", text)
    text = _ESCAPED_TWICE.sub(lambda _: "\\", text)
    text = re.sub(r"\\[dt]frac(?![A-Za-z])", lambda _: r"\frac", text)
    text = re.sub(r"[ \t]+(?=\n|$)", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _spelled(row: Row) -> Row:
    problem = row.problem
    question = spelled(problem.problem)
    answer = spelled(problem.answer) if isinstance(problem.answer, str) else problem.answer
    if question == problem.problem and answer == problem.answer:
        return row
    if not question or answer == "":
        return row
    return row.changed(problem=question, answer=answer)


_TO_PROVE = re.compile(
    r"(?:^|[.:;,!?\n]\s*|\b(?:and|then|to|please|must|should|we|you|use \w+ to)\s+)(?:\(?[a-e1-5ivx]+\)\s*)?"
    r"(?:(?:prove|disprove|demonstrate|justify|verify)\b|show\s+(?:that|how to|why)\b|explain\s+why\b|"
    r"give\s+a\s+proof\b)|"
    r"\bprove that\b|\b(?:démontre[rz]?|montre[rz]?|prouve[rz]?) que\b|\b(?:demuestr[ae]|demostrar|prueb[ae]|pruebe|"
    r"muestr[ae]) que\b|\b(?:dimostra(?:re|te)?|mostra(?:re|te)?|prova(?:re|te)?) che\b|"
    r"\b(?:beweise[n]?|zeige[n]?)(?: sie)?(?:,? dass\b|\s*:)|докажите|доказать,? что|证明|證明|試證|求证|求證",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\b(?:find|determine|compute|calculate|evaluate|solve|what|how many|how much|how far|how long|how old|which|who|"
    r"when|where|simplify|express|estimate|give the|trouve[rz]?|calcule[rz]?|détermine[rz]?|combien|quel(?:le)?s?|"
    r"halla|calcula|encuentra|determina|cuánt[oa]s?|cuál(?:es)?|trova|quant[oiae]|berechne|finde|bestimme|wie viele?|"
    r"сколько|найдите|вычислите)\b|求|计算|多少",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?;。！？；])\s*|\n+")
_AND_THEN_ASKS = re.compile(
    r"(?:[,;]|\band|\bthen|\bhence)\s+(?:(?:and|then|hence|also)\s+)*"
    r"(?:find|determine|compute|calculate|evaluate|give|trouve[rz]?|calcule[rz]?|détermine[rz]?|halla|calcula|berechne)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[“\"«„][^“”\"«»„\n]{1,200}[”\"»“]")


def is_proof(text: str) -> bool:
    """Say whether a problem asks for a proof and for nothing that could be checked."""
    if not _TO_PROVE.search(text):
        return False
    return not _AND_THEN_ASKS.search(text) and not any(
        _ASKS.search(part) and not _TO_PROVE.search(part) for part in _SENTENCE.split(text)
    )


_PART = re.compile(
    r"(?:(?<=^)|(?<=[\s.:;,?：；。，]))(?:\(([a-h]|i{1,3}|iv|v|I{1,3}|IV|V|[1-9])\)|([a-h]|i{1,3}|iv|v|[1-9])\))"
    r"(?=\s|\$|\\|[\u4e00-\u9fff])"
)
_ORDERS = (tuple("abcdefgh"), ("i", "ii", "iii", "iv", "v"), ("I", "II", "III", "IV", "V"), tuple("123456789"))
_NAMED_PART = re.compile(
    r"(?:^|[\n.?!;])\W{0,4}(?:part|question|partie|parte|teil)\s*(?:\(([a-d1-4])\)|([a-d1-4])\s*[:.)])", re.IGNORECASE
)
_CIRCLED = dict(zip("①②③④⑤⑥⑦⑧⑨", (f" ({number}) " for number in range(1, 10)), strict=True))
_SIGNS = str.maketrans({**_CIRCLED, "（": "(", "）": ")", "Ⅰ": "I", "Ⅱ": "II", "Ⅲ": "III", "Ⅳ": "IV", "Ⅴ": "V"})
_ASKS_FOR_EACH = re.compile(r"(?:[:：]|\bfollowing\b[^.?!]{0,40}[:：]?)\s*$")
_SEVERAL = re.compile(r"[,;，；\s]")


def asks_for_parts(text: str, answer: str = "") -> bool:
    """Say whether a problem asks for several things: lettered parts of which two ask, or two questions.

    Args:
        text: the problem.
        answer: the reference; parts behind "calculate:" are asked for where it holds several values.
    """
    text = _QUOTED.sub(" ", text).translate(_SIGNS)
    for order in _ORDERS:
        marks = [match for match in _PART.finditer(text) if (match[1] or match[2]) in order]
        names = [match[1] or match[2] for match in marks]
        if names[:2] == list(order[:2]):
            ends = [mark.start() for mark in marks[1:]] + [len(text)]
            bodies = [text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]
            if sum(bool(_ASKS.search(body) or "?" in body or _TO_PROVE.search(body)) for body in bodies) >= 2:
                return True
            lead = _SENTENCE.split(text[: marks[0].start()].rstrip())[-1]
            if _ASKS_FOR_EACH.search(lead) and _ASKS.search(lead) and _SEVERAL.search(answer.strip()):
                return True
    if len({(match[1] or match[2]).casefold() for match in _NAMED_PART.finditer(text)}) >= 2:
        return True
    questions = [part for part in _SENTENCE.split(text) if part.rstrip().endswith(("?", "？")) and _ASKS.search(part)]
    return len(questions) >= 2


_PLACEHOLDER = re.compile(
    r"\W*(?:n/?a|none given|unknown|null|nan|todo|tbd|omitted|proof(?:s)?(?: (?:omitted|above|below|complete))?|"
    r"q\.?\s?e\.?\s?d\.?|see .*|refer to .*|(?:answers?|results?) (?:may|will|can) vary.*|(?:no|not) (?:answer|given|"
    r"available|provided|applicable|unique).*|as (?:above|below|shown)|trivial|proved|proven|shown|"
    r"(?:a |the )?(?:diagram|graph|sketch|drawing|construction|figure|plot)(?: (?:above|below|as shown|omitted))?|"
    r"略|见解析|証明略|доказано|demostrado|dimostrato|cqfd|\?+|-+|\.+|_+)\W*",
    re.IGNORECASE | re.DOTALL,
)


def why_uncheckable(problem: Problem) -> str | None:
    """Say why a problem's answer can't be held against a model's; ``None`` where it can.

    Args:
        problem: of kind `math`.

    Returns:
        A reason to drop it.
    """
    answers = [problem.answer] if isinstance(problem.answer, str) else problem.answer or []
    references = references_of(answers)
    if not references:
        return UNREADABLE
    if all(_PLACEHOLDER.fullmatch(_bare(reference)) for reference in references):
        return UNREADABLE
    return PROSE if all(_is_prose(reference) for reference in references) else None


def _bare(answer: str) -> str:
    return re.sub(r"\\(?:text(?:bf|it|rm)?|mathrm|mbox)\s*\{([^{}]*)\}", r"\1", answer).strip(" $")


def _is_prose(answer: str) -> bool:
    words = re.findall(r"[^\W\d_]{2,}", re.sub(r"\\[A-Za-z]+", " ", _bare(answer)))
    return len(words) > MOST_WITH_SIGNS or (len(words) > MOST_WORDS and isinstance(read(answer), Words))
