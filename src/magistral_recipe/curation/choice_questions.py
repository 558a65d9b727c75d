"""What the question of a multiple choice means once its options are gone.

"What is 2 + 3?" asks the same without them; "which of these is prime?" asks nothing, and neither does a sentence that
an adjective ends ("The function is …"). Words that bid to choose go with the options.
"""

from __future__ import annotations

import re

from magistral_recipe.curation.demands import asks
from magistral_recipe.verifiers.answers import read
from magistral_recipe.verifiers.answers.shapes import Words

_BID = re.compile(
    r"(?:^|(?<=[.?!:;\n])\s*|(?<=[.?!:;\n] ))[(\[]?(?:please\s+)?(?:choose|select|pick|mark|circle|tick|identify)\s+"
    r"(?:(?:only|the|one|a|an|single|most)\s+)*(?:(?:correct|right|best|appropriate|suitable)\s+)?"
    r"(?:answer|option|choice|alternative|letter|response|one)\b[^.:!?\n=$\d]{0,60}(?:[.:!?)\]]+|\n|$)",
    re.IGNORECASE,
)
_SPEAKS_OF_LETTERS = re.compile(
    r"\b(?:answer|respond|reply|write|give|enter|indicate|state|return|put|provide)\b[^.?!\n=$\d]{0,60}"
    r"\b(?:letter|option|choice|alternative)s?\b|^\W*(?:answer|ответ|réponse|antwort|respuesta|答案?)\s*[:：]?\W*$|请选择|单选",
    re.IGNORECASE,
)
_LISTED = re.compile(r"\b(?:options|choices|alternatives)\s*:", re.IGNORECASE)

_NO_VALUE = re.compile(
    r"\b(?:(?:none|all|both|neither|either|any) (?:of|are|is)|no(?:ne)? correct|not enough|cannot be|can't (?:be|say)|"
    r"impossible to|insufficient|undetermined|not determined|more than one|only (?:i|ii|iii)\b|"
    r"(?:i|ii|iii) (?:and|or|only)\b|(?:none|neither|other|all)\W*$|(?:both )?\(?[A-E]\)? (?:and|or|&) \(?[A-E]\)?\W*$|"
    r"aucune?\b|keine?\b|ningun[oa]\b|nessun[oa]\b|ни один|ни одно|нельзя определить|невозможно)|"
    r"以上|都不|无法|不能确定|不确定|!\[|\[img|<img|\\includegraphics",
    re.IGNORECASE,
)
_ABOUT_OPTIONS = re.compile(
    r"\bwhich (?:one |ones )?of (?:the|these|those|them)\b|"
    r"\bwhich (?:statement|option|choice|answer|equation|expression|graph|function|inequality|ordered pair|pair|"
    r"shape|proposition|formula|sequence|of)\b|"
    r"\bwhich (?:\w+ )?(?:point|set|figure|number|fraction|integer|value|line|triangle|curve|polynomial|term)s? "
    r"(?:lies|is on|satisf\w+|represents|describes|shows|(?:is|are) (?:not |the )?(?:largest|smallest|greatest|least|"
    r"biggest|prime|even|odd|rational|irrational|composite|divisible|closest|nearest|between|positive|negative))\b|"
    r"\bwhich (?:is|are) (?:not |the |an? )*\w+\W*$|\bamong (?:the )?(?:following|these)\b(?! \w+ \w+ in)|"
    r"\bparmi (?:les|ces)\b|\b(?:lequel|laquelle|lesquel(?:le)?s) (?:de|des|est|sont)\b|\bcuál(?:es)? de\b|"
    r"\bqua(?:l|is) d[aeo]s\b|\bqual[ei] (?:delle|dei|tra|fra)\b|\bwelche[rs]? (?:der|dieser|von|aussage)\b|"
    r"(?:следующ|приведённ|приведенн|перечисленн|указанн|данн)\w* (?:утвержд|выраж|чис|уравнен|неравенст|функци|формул|"
    r"вариант|высказыв)\w*|\bкак(?:ое|ая|ой|ие) из\b|下列|下面|以下(?:各|四|说法|结论|命题|哪)|哪(?:一)?(?:个|项|些)",
    re.IGNORECASE,
)
_ABOUT_WHAT_FOLLOWS = re.compile(
    r"\b(?:following|these)\b(?: \w+)? (?:statements?|options?|choices?|expressions?|equations?|numbers?|is|are)\b",
    re.IGNORECASE,
)
_CONTENT = re.compile(r"[:：][^:：]*[\w$]|\$[^$]+\$")
_JUDGES = re.compile(
    r"\b(?:correct|incorrect|true|false|wrong) (?:statements?|conclusions?|options?|answers?|one|propositions?|"
    r"judge?ments?|descriptions?|inequality|inequalities|equations?|assertions?)\b|"
    r"\b(?:is|are|be|always|not) (?:necessarily )?(?:correct|true|false|incorrect|wrong|possible|impossible)\W*$|"
    r"\b(?:could|might|may|can|cannot|can't|must)(?: not)? (?:be|equal)\W*$|\ba possible \w+\b|"
    r"\b(?:is|are) (?:the )?(?:closest|nearest) to\b|\bbest (?:estimate|approximation|describe[sd]?)\b|"
    r"(?:正确|错误|成立|合理|恰当|符合)的?(?:是|有|为)?\W*$|(?:可能|可以|不可能|一定|最接近)(?:是|为|等于)?\W*$|"
    r"(?:可能|可以)(?:是|为)|最接近",
    re.IGNORECASE,
)
_COUNTED = (
    r"value|sum|product|difference|quotient|remainder|area|volume|perimeter|probability|length|distance|"
    r"slope|ratio"
)
_STANDS_ALONE = re.compile(
    rf"\bwhich (?:one )?of the following(?: \w+)? (?:is|gives|represents|shows|equals) (?=the (?:\w+ )?(?:{_COUNTED}|"
    r"number of|solution|domain|range|degree|derivative|inverse) )",
    re.IGNORECASE,
)
_KIND = re.compile(
    r"\b(?:shape|type|kind|name|day|month|colou?r|order|relationship|parity|sign|true or false|yes or no)\b|"
    r"形状|关系|类型|星期",
    re.IGNORECASE,
)
_UNFINISHED = re.compile(r"(?:\b(?:then|that|if|so|and|donc|alors|dann|то)|则|那么|所以)\W*$", re.IGNORECASE)
_QUESTION_AT_END = re.compile(r"(?:[?？]|=|\b(?:is|are|equals?)|为|是|等于|_+)\W*$", re.IGNORECASE)
_WHERE = re.compile(r"\b(?:where|if|when|that|with|following|conditions?|statements?|given|rules?)\W*$", re.IGNORECASE)

_NUMBER_ASKED = re.compile(
    rf"\b(?:how (?:many|much|far|long|old)|calculate|compute|evaluate|(?:what is|find) the (?:{_COUNTED}|number)|"
    r"combien|wie viele?|cuánt[oa]s?|сколько|вычислите)\b|多少|计算|等于",
    re.IGNORECASE,
)
_LETTER_ASKED = re.compile(
    r"\b(?:letters?|grades?|alphabet|hexa\w*|base|type|note|class|section|column|roman|who|whom|name)\b", re.IGNORECASE
)


def bids_to_choose(piece: str) -> bool:
    """Say whether a sentence only tells to choose an option, or to answer with its letter."""
    return bool(_SPEAKS_OF_LETTERS.search(piece)) or not _BID.sub("", piece).strip()


def without_bids(question: str) -> str:
    """Take out of a question what bids to choose an option."""
    return _BID.sub("", question).strip()


def lists_options(question: str) -> bool:
    """Say whether a text announces options, in whatever layout."""
    return bool(_LISTED.search(question))


def standing_alone(question: str) -> str:
    """Ask for the one value that "which of the following is the value of …" asks for; other questions stay."""

    def what(match: re.Match[str]) -> str:
        return "What is " if match[0][0].isupper() else "what is "

    return _STANDS_ALONE.sub(what, question)


def asks_about_options(question: str) -> bool:
    """Say whether a question makes no sense without its options: "which of the following …"."""
    if _ABOUT_OPTIONS.search(question) or _JUDGES.search(question):
        return True
    found = _ABOUT_WHAT_FOLLOWS.search(question)
    return bool(found) and not _CONTENT.search(question, found.end() if found else 0)


def is_question(question: str) -> bool:
    """Say whether a text in front of options asks by itself, as a list of cases doesn't."""
    return bool(_QUESTION_AT_END.search(question)) and not _WHERE.search(question)


def is_value(option: str) -> bool:
    """Say whether an option is an answer by itself, as "none of these" isn't."""
    return not _NO_VALUE.search(option)


def is_left_open(question: str, option: str) -> bool:
    """Say whether a sentence that an option ends could end otherwise: "The function is" / "odd", "If $a>1$, then"."""
    if _UNFINISHED.search(question):
        return True
    if asks(question) or _KIND.search(question):
        return False
    shape = read(option)
    return isinstance(shape, Words) and not shape.rest


def asks_for_a_number(question: str) -> bool:
    """Say whether a question asks for a number, and not for a letter."""
    return bool(_NUMBER_ASKED.search(question)) and not _LETTER_ASKED.search(question)


def names(question: str, letter: str) -> bool:
    """Say whether a question calls something by a letter, so that the letter may be its answer."""
    article = "(?! [a-z])" if letter == "A" else ""
    return bool(re.search(rf"(?<![A-Za-z\\]){letter}(?![A-Za-z]){article}", question))
