r"""References as data sets ship them: the final answer of a gold text, or that there is none to be found.

GSM8K's answers are solutions that end in ``#### 72``, MetaMathQA's end in ``The answer is: 72``, MATH's solutions hold
a box, others have tags, and verl wraps each in ``{"ground_truth": …}``. A text that holds none of these and is no
answer by itself is no reference: a right answer held against it would earn 0 for ever, and nobody would know.
"""

from __future__ import annotations

import re

from magistral_recipe.verifiers.answers.reading import balanced, read
from magistral_recipe.verifiers.answers.shapes import Opaque, Words
from magistral_recipe.writing.boxes import find_boxes

GROUND_TRUTH = "ground_truth"
"""The key under which verl's rows hold their answer."""

_BARE = re.compile(r"[^a-zA-Z#<答选]*")  # what most references are
_NONE_THERE = re.compile(
    r"(?:\\text ?\{)?\W*(?:proof|not ?found|see (?:the )?(?:solution|proof)|null|nan)\W*", re.IGNORECASE
)
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_HASHES = re.compile(r"####[ \t]*([^\n]*\S)")
_HEADING = re.compile(
    r"(?:\d+[.)] *)?(?:step|part|case|solution|answer|final|explanation|method|approach|problem|question|conclusion|"
    r"summary|verification|check|proof|note|given|result)\b",
    re.IGNORECASE,
)
_ANSWER_IS = re.compile(
    r"(?:(?<!\\text\{)\b(?:the\s+)?(?:final\s+|correct\s+)?answer(?:\s+is\s*[:=]?|\s*[:=])|\bans\s*[.:=]"
    r"|^(?:#+ *|\*\*)(?:final +)?answer *:? *(?:\*\*)? *$|答案\s*(?:是|为|[】:：])+|故选\s*[:：]?)(?=[\s*]*([^\n]*\S))",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z]|\s*$)|。|,?\s+(?:because|since)\b")
_EMPTY_BOX = re.compile(r"\\(?:boxed|fbox|framebox) ?\{\s*\}")
_MARKUP = re.compile(r"\\(?:begin|end) ?\{[^{}]*\}|\\[a-zA-Z]+")
_WORD = re.compile(r"[^\W\d_]{2,}")
_NEXT_SENTENCE = re.compile(r"(?:[^\W\d_]{3}|[\d$)}\]])[.!?]\s+(?:[A-Z][A-Za-z]+\b|[$\\])")
_ARGUES = re.compile(
    r"\b(?:because|since|therefore|so|thus|hence|then|let|we|she|he|they|gives?|gets?|got)\b", re.IGNORECASE
)
_STATES = re.compile(
    r"\b(?:is|are|was|were|has|have|had|takes?|took|costs?|makes?|made|sold|bought|needs?|left)\b", re.IGNORECASE
)
_FEWEST_WORDS = 3  # of what may be a sentence: "no solution" and "x or y" are none


def final_answer(text: str) -> str | None:
    """Find the answer in a gold text.

    Looked for in this order, the last of each: ``<answer>…</answer>``, a box, ``#### …``, "the (final) answer is …".

    Args:
        text: a reference, as a data set has it.

    Returns:
        The answer; the text itself where it holds none of these and may be an answer; ``None`` where it is prose, or
        says that there is none (NuminaMath's ``proof``).
    """
    if _BARE.fullmatch(text):
        return text
    if _NONE_THERE.fullmatch(text):
        return None
    if tagged := [each for each in _TAGGED.findall(text) if each.strip()]:
        return final_answer(tagged[-1].strip())
    if boxes := [box for box in find_boxes(text) if box.strip()]:
        return boxes[-1]
    marked = [
        each[1]
        for each in _HASHES.finditer(text)
        if not (_HEADING.match(each[1]) and text[each.end() :].strip())  # one of Markdown's
    ]
    for found in (marked, [_first_sentence(each) for each in _ANSWER_IS.findall(text)]):
        if found and balanced(found[-1]):
            return None if is_prose(found[-1]) else found[-1]
    return None if _EMPTY_BOX.search(text) or "####" in text or is_prose(text) else text


def _first_sentence(text: str) -> str:
    end = _SENTENCE_END.search(text)
    found = text[: end.start()] if end else text
    return found.strip().strip("*").strip()


def is_prose(text: str) -> bool:
    """Whether a reference tells of its answer instead of being one: several sentences, or one with a number in it.

    Args:
        text: a reference that holds no recognised mark of its answer.

    Returns:
        Whether no completion could ever be held against it.
    """
    words = _WORD.findall(_MARKUP.sub(" ", text))
    if len(words) > 1 and _NEXT_SENTENCE.search(text):
        return True
    if len(words) < _FEWEST_WORDS:
        return False
    if sum(1 for line in text.splitlines() if len(_WORD.findall(line)) > 1) > 1:
        return True
    if text.lstrip().startswith("\\text") or not re.search(r"\d", text):
        return False
    if _ARGUES.search(text):
        return True
    shape = read(text)
    return bool(_STATES.search(text)) and (
        isinstance(shape, Words) or (isinstance(shape, Opaque) and shape.why != "exact")
    )
