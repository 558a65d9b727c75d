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

from magistral_recipe.curation.choice_questions import (
    asks_about_options,
    asks_for_a_number,
    is_left_open,
    is_value,
    lists_options,
    names,
    standing_alone,
)
from magistral_recipe.curation.choices import (
    find_choices,
    is_choice,
    letter_of,
    names_several,
    right_option,
    shows_letters,
)
from magistral_recipe.curation.defaults import MultipleChoice
from magistral_recipe.curation.demands import asks_for_parts, is_drawing, is_proof, needs_a_picture
from magistral_recipe.curation.rows import Dropped, Outcome, Row
from magistral_recipe.curation.workers import each_in
from magistral_recipe.data.problems import Problem
from magistral_recipe.verifiers.answers import read, references_of
from magistral_recipe.verifiers.answers.shapes import Words
from magistral_recipe.verifiers.programs.testcases import parse_tests

PROOF, PARTS = "asks for a proof", "asks for several things"
DRAWING, PICTURE = "asks for a drawing", "needs a picture"
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
    if reason := _demanded(problem.problem):
        return Dropped(row, reason)
    if multiple_choice != "keep":
        outcome = _without_choice(row, multiple_choice)
        if isinstance(outcome, Dropped):
            return outcome
        row = outcome
    if asks_for_parts(row.problem.problem, str(row.problem.answer)):
        return Dropped(row, PARTS)
    if reason := why_uncheckable(row.problem):
        return Dropped(row, reason)
    return row


def _demanded(text: str) -> str | None:
    if is_proof(text):
        return PROOF
    if is_drawing(text):
        return DRAWING
    return PICTURE if needs_a_picture(text) else None


def _without_choice(row: Row, multiple_choice: MultipleChoice) -> Outcome:
    """Ask for the value at the right letter; a problem without options stays as it is."""
    question, said = row.problem.problem, _said(row.problem)
    if said is None:
        return row
    found = find_choices(question, said)
    if not found or not is_choice(found, said):
        return Dropped(row, NO_STATEMENT) if _lost_its_options(question, said) else row
    if multiple_choice == "drop":
        return Dropped(row, CHOICE)
    asked, right = standing_alone(found.question), right_option(found, said)
    if not right or not asked or asks_about_options(asked) or not is_value(right) or is_left_open(asked, right):
        return Dropped(row, NO_STATEMENT, {"options": found.options})
    return row.changed(problem=asked, answer=right).noted(options=found.options)


def _said(problem: Problem) -> str | None:
    """The answer; of several that are right, the letter of an option."""
    if isinstance(problem.answer, str):
        return problem.answer
    return next((each for each in problem.answer or [] if letter_of(each)), None)


def _lost_its_options(question: str, said: str) -> bool:
    """Whether the answer is the letter of an option, and the options are missing or can't be read."""
    if names_several(said):
        return shows_letters(question)
    letter = letter_of(said)
    if letter is None:
        return False
    if lists_options(question) or shows_letters(question):
        return True
    if names(question, letter):
        return False
    return asks_about_options(question) or (letter in said and asks_for_a_number(question))


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

_WIDEST = 16
_LONG_GAP = re.compile(rf"[ \t]{{{_WIDEST + 1},}}")  # in a page of spaces every later expression would try each place


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
    text = _LONG_GAP.sub(" " * _WIDEST, text)
    text = re.sub(r"[ \t]+(?=\n|$)", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _spelled(row: Row) -> Row:
    problem = row.problem
    question = spelled(problem.problem)
    answers = [problem.answer] if isinstance(problem.answer, str) else problem.answer or []
    respelled = [spelled(each) for each in answers]
    answer = respelled[0] if isinstance(problem.answer, str) else respelled or problem.answer
    if question == problem.problem and answer == problem.answer:
        return row
    if not question or "" in respelled:
        return row
    return row.changed(problem=question, answer=answer)


_PLACEHOLDER = re.compile(
    r"\W*(?:n/?a|none given|unknown|null|nan|todo|tbd|omitted|proof(?:s)?(?: (?:omitted|above|below|complete))?|"
    r"q\.?\s?e\.?\s?d\.?|see .*|refer to .*|(?:answers?|results?) (?:may|will|can) vary.*|(?:no|not) (?:answer|given|"
    r"available|provided|applicable|unique|found).*|(?:answer|solution|result)s? (?:is |are |was )?(?:not|un)\s?"
    r"(?:given|available|known|found|provided).*|voir .*|siehe .*|ver (?:la )?(?:soluci|figur|gráfic|demostr).*|"
    r"vedi .*|см\.? .*|смотри.*|答?案?(?:见|参见).*|证明见.*|如图(?:所示)?|未找到|暂无.*|"
    r"to be (?:determined|added|filled)\b.*|(?:ответ|решение) не (?:найден|дан|указан).*|"
    r"as (?:above|below|shown)|trivial|proved|proven|shown|"
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
