"""What in a problem's text is an instruction to whoever answers, and not the problem.

Data sets wrap the same problem in other words: OpenThoughts puts "Return your final response within \boxed{}." before
every problem, others ask for steps behind it. To tell whether two texts pose one problem, these words must go. Told by
their phrases, not learnt; a sentence with arithmetic in it is never taken for an instruction.
"""

from __future__ import annotations

import re
from functools import lru_cache

from magistral_recipe.data.demands import is_demand
from magistral_recipe.data.titles import is_title
from magistral_recipe.data.wrappers import unwrapped

# Where a sentence ends, a label or a line does; and before a clause that says what to do with the answer.
_BREAK = re.compile(
    r"(?<=[.?!][\"”»])\s+|"
    r"(?<=[.?:;])\s+|(?<=!)\s+(?![-+*/=<>])|\n+|(?<=[。！？：；])|(?<=[:;?!])(?=[\u4e00-\u9fff])|"
    r"(?:,|;)?\s+(?:(?:and|then|und|et|y|e)\s+)?(?:please\s+)?"
    r"(?=(?:put|giv|writ|return|express|enclos|box|provid|present|round|show|explain|respond)(?:e|ing|ting)?\b)",
    re.IGNORECASE,
)

_PHRASES = (
    # English: where the answer goes, how to get there, what stands before the problem.
    r"\byour (?:final |numerical |entire |whole )?(?:answer|response|solution|result|reasoning|work|thinking)\b",
    r"\b(?:the )?final (?:answer|response|result)\b",
    r"\\boxed\b|\bin (?:a )?box\b|\bboxed\b",
    r"\bstep[ -]by[ -]step\b|\bshow (?:all |every )?steps?\b|\bexplain each step\b",
    r"\bthink (?:carefully|hard|about it|it through|before)\b|\btake your time\b|\breason carefully\b",
    r"\b(?:the|this) (?:following |next |given )?(?:\w+ )?(?:problem|question|exercise|task|puzzle)s?\b(?=[^\w]*$)",
    r"\b(?:solve|answer|consider|work out|tackle) (?:the|this|these) (?:following\b|below\b)",
    r"\b(?:problem|question|exercise|task|puzzle)s? (?:below|above|that follows?)\b",
    r"^\W*(?:problem|question|exercise|task|example|instructions?|(?:answer |output )?format|"
    r"input|query|prompt|user|human|q|answer|solution|"
    r"response|output|assistant|exercice|problème|énoncé|réponse|aufgabe|übung|frage|lösung|antwort|ejercicio|problema|"
    r"pregunta|respuesta|esercizio|domanda|risposta|задача|вопрос|упражнение|ответ)"
    r"(?:\s*(?:no\.?|nr\.?|n°|№|#)?\s*\d+(?:\.\d+)*[a-z]?)?\W*$",
    r"^\W*(?:题目|问题|例题?|问|答案?|解)\s*\d*\W*$",
    # "AIME 2024 problem:", "AMC 12A, Problem 5."
    r"^\W*(?:(?:\d{4}\s+)?[A-Z]{3,12}[\w-]{0,12}(?:\s(?:I{1,3}|\d{1,4}[AB]?)){0,3}[\s,]{1,3})(?:problem|question)(?:\s+\d+)?\W*$",
    r"^\W*\(?(?:source|quelle|fuente|fonte|источник)\s*:",
    r"^\W*(?:options?|choices?)\W*$",
    r"^\W*you are (?:a|an|the)\b",
    r"^\W*(?:thanks?(?: you)?|hello|hi|hey|good luck)\b[^.!?]*\W*$",
    r"\b(?:decimal places?|significant (?:figures|digits))\b",
    r"^\W*\d+ (?:points?|marks?)\W*$",
    # How to go about it, and as whom: neither has a number in it.
    r"^\W*as an? (?:[\w-]+ ){0,4}(?:expert|tutor|teacher|professor|mathematician|specialist|assistant)\b[^\d?]*\byou\b",
    r"^\W*(?:you (?:may|can) )?(?:use|apply|try)\b[^=\d?]{1,80}\b(?:where|if|when|whenever|as) (?:it |you )?"
    r"(?:helps?|helpful|useful|needed|necessary|appropriate|like)\W*$",
    r"^\W*(?:remember|make sure|be sure|(?:don't|do not) forget|take care) to\b[^=\d?]*$",
    r"^\W*(?:explain|justify|verify|double-check|describe|outline)\b[^=\d?]{1,80}\b"
    r"(?:steps?|reasoning|approach|method|argument|you (?:use|apply|make|take))\W*$",
    r"\b(?:answer|respond|reply) (?:in|with|using|only)\b|\bgive (?:only )?(?:the|a|an) answer\b",
    # A prompt to a model; what else to say about the answer.
    r"^\W*you (?:will |must |should |have to |are to |are going to )?(?:solve|answer|help|assist|explain|be given|"
    r"receive|reply|"
    r"respond)\b[^\d?]*\b(?:problems?|questions?|exercises?|math\w*|users?|students?|answers?|tasks?|puzzles?)\b[^\d?]*$",
    r"^\W*(?:always |then |finally |and )?(?:end|finish|conclude|begin|start|close|respond|reply|answer)(?: (?:your|"
    r"the) (?:answer|"
    r"response|reply|solution|message))? (?:with|by) (?:[\"“'«]|(?:the|your|a|an|only|just) (?:final |"
    r"single )?(?:answer|sentence|line|"
    r"word|phrase|number|integer|result)\b)[^\d?]*$",
    r"\b(?:say|state|tell|indicate|specify|mention|determine|find|describe) (?:also )?(?:when|where|for (?:which|"
    r"what)[\w\s]*) (?:the )?"
    r"equality (?:holds|occurs|is (?:attained|achieved|reached))\b",
    r"^\W*(?:also,? )?(?:show|include|write(?: down| out)?|present) (?:all |all of |each of |every )?(?:your |the |"
    r"each |any )?"
    r"(?:intermediate |full |complete |detailed )?(?:working|work|workings|calculations?|computations?|derivations?|"
    r"steps?|"
    r"solution|proof|method|reasoning|explanation)s?\b[^\d?]{0,60}$",
    r"^\W*(?:no|without) (?:calculators?|partial credit|aids?|explanations?|justification)\b[^\d?]{0,60}$",
    r"^\W*(?:calculators?|tables?|notes) (?:are|is|may be) (?:not )?(?:allowed|permitted|used)\W*$",
    r"^\W*(?:hint|note|reminder|tip)\s*:\s*$",
    r"^\W*(?:here is|here's|below is|i have|i need help with|help me with)\b[^\d?]{0,60}\b(?:problem|question|"
    r"exercise|task|homework)\b[^\d?]{0,30}$",
    r"^\W*(?:let'?s|let us) (?:think|solve|work|reason)\b[^\d?]{0,60}$",
    r"^\W*(?:then |just |only |simply )?(?:answer|reply|respond|give|output|return|provide|write|enter|submit|"
    r"print)\b[^\d?]{0,60}"
    r"\b(?:one|a) single (?:number|integer|numeral|value|word|line|expression|letter)\b[^\d?]{0,40}$",
)
# The same in other languages; what is demanded of an answer there is in `demands`.
_PHRASES_ELSEWHERE = (
    r"\b(?:votre|ta) réponse\b|\bréponse finale\b|\bétape par étape\b",
    r"\b(?:deine|ihre|die endgültige|die finale) antwort\b|\bschritt für schritt\b",
    r"\b(?:tu|su|la) respuesta(?: final)?\b|\brespuesta final\b|\bpaso a paso\b",
    r"\b(?:tua|sua|la) risposta(?: finale)?\b|\brisposta finale\b|\bpasso (?:dopo|per) passo\b",
    r"\b(?:sua|tua) resposta\b|\bresposta final\b|\bpasso a passo\b",
    r"\b(?:ваш|свой|окончательный) ответ\b|\bшаг за шагом\b|\bпошагово\b",
    r"最终答案|最後の答え|最終的な答え|答案放|逐步|一步一步|一步步|段階的に|ステップごとに",
)
# In what form to write the answer: an instruction where something else asks, and never with data in it.
_FREE = r"[^\d=<>$\\?]"
_WRITE, _HOW = "give|write|express|enter|state|report|list|box|simplify|leave|provide|output|type", "{0,140}"
_FORMS = (
    rf"^\W*(?:then |finally )?(?:{_WRITE})\b{_FREE}{_HOW}\b(?:fractions?|decimals?|lowest terms|"
    r"simplest (?:form|terms)|separated by|commas?|(?:separate|single|one) lines?|(?:set|interval) notation|"
    r"smallest to (?:the )?(?:largest|greatest)|(?:ascending|increasing|descending) order|"
    rf"(?:square|round|double) brackets|hh:mm)\b{_FREE}{{0,80}}$",
    r"^\W*box it\W*$|^\W*(?:do not|don't) explain\b[^\d?]{0,40}$|^\W*(?:do not|don't|explain)\W*$",
    r"^\W*no (?:explanations?|words|justification)\b[^\d?]{0,40}$",
    rf"^\W*(?:donne|écri[st]|exprime)\w*\b{_FREE}{_HOW}\b(?:fraction|irréductible|virgules?|décimale?)\b{_FREE}{{0,80}}$",
    rf"^\W*(?:da|escrib[ea]|expres[ae]|indica)\b{_FREE}{_HOW}\b(?:fracción|irreducible|comas?|decimal)\b{_FREE}{{0,80}}$",
    rf"^\W*(?:scrivi|esprimi|dai|indica)\b{_FREE}{_HOW}\b(?:frazione|ridotta|virgol[ae]|decimale)\b{_FREE}{{0,80}}$",
    rf"^\W*(?:gib|gebe|schreibe?|notiere)\b{_FREE}{_HOW}\b(?:bruch|gekürzt\w*|kommas?|dezimal\w*)\b{_FREE}{{0,80}}$",
    rf"^\W*(?:запишите|укажите|дайте)\b{_FREE}{_HOW}(?:дроб\w+|запят\w+){_FREE}{{0,80}}$",
)
_FORM = re.compile("|".join(_FORMS), re.IGNORECASE)
_ASKING = re.compile(
    r"[?？求]|\b(?:find|compute|determine|calculate|evaluate|solve|prove|convert|bestimmen?|berechnen?|halla|calcula|"
    r"trouve[rz]?|déterminer?|calculer?|trova|найдите|вычислите)\b",
    re.IGNORECASE,
)
_AT_START = re.compile("|".join(phrase for phrase in _PHRASES if phrase[0] == "^"), re.IGNORECASE)
_ANYWHERE = [re.compile(phrase, re.IGNORECASE) for phrase in _PHRASES if phrase[0] != "^"]  # faster than all in one
_ELSEWHERE = re.compile("|".join(_PHRASES_ELSEWHERE), re.IGNORECASE)
_NO_ENGLISH = re.compile(r"[^\x00-\x7f]|antwort|schritt|respuesta|paso|risp|passo|respost", re.IGNORECASE)
_ARITHMETIC = re.compile(r"[=<>≤≥+×÷√∑∫]|\\(?:frac|sqrt|sum|int|cdot|times|sin|cos|tan|log|ln)\b|\w\^|\d\s*[-*/]\s*\d")
# What lists and Markdown put around words: a bullet, a heading, a quotation; the number of an item at the very start;
# bold and italics. A star between two numbers is a product, a minus before one is its sign, unless another line begins
# with one as well: those stay.
_BULLET = re.compile(r"^[ \t]*(?:(?:[*•‣]|#{1,6}|>)[ \t]+|[-+–][ \t]+(?=[^\W\d_¿¡]))", re.MULTILINE)
_SPACES = re.compile(r"[^\S\n]+")
_DASHED = re.compile(r"^[ \t]*[-+–][ \t]+(?=\w)", re.MULTILINE)
_ITEM = re.compile(r"\A\s*\(?(?:\d{1,3}|[a-z])[.)][ \t]+(?=[^\W\d_a-z]|[¿¡$\\])")
_BOLD = re.compile(r"(?<![\w)\]}*])(\*\*\*?|__)(?=[^\s*_])([^*_\n]+)(?<=\S)\1(?![\w(*])")
_ITALICS = re.compile(r"(?<![\w)\]}*])\*(?=[^\W\d_])([^*\n]+)(?<=\S)\*(?![\w(*])")
_POLITE = re.compile(r"\b(?:please|kindly|can you|could you)\b", re.IGNORECASE)


# What a source writes in brackets in front of a problem, and what a list of exercises is called.
_LABEL = re.compile(
    r"\A\s*(?:[\[(【（［][^\[\]()【】（）［］=<>+?\n]{1,80}[\])】）］](?:\s*[.:：]?\s*)){1,3}(?=[A-Z¿¡\"“$\\]|[^\x00-\u024f]|\d{1,4}[\u3040-\u9fff])"
)
_IN_LABEL = re.compile(r"[^\W\d_]{2}|[^\x00-\u024f]")
_HEADING = re.compile(
    r"\b(?:warm-?up|practice|quiz|exam|contest|competition|olympiad|homework|worksheet|handout|sheet|graders?|calculators?|"
    r"round|mathcounts|gmat|gre|sat|act|amc|aime|imo|usamo|gsm8k|hmmt|level|points|marks|style|of the day|quick one|"
    r"easy one|challenge|exercise|problem|question|task|prompt|input|user)\b|#\s?\d",
    re.IGNORECASE,
)
_GRADED = re.compile(r"\b(?:quiz|exam|homework|midterm|worksheet)\b|\b\d+ ?(?:pts|points|marks|min)\b", re.IGNORECASE)
_SAYS = re.compile(r"\b(?:is|are|was|were|has|have|had|does|do|did)\b")
_MOST_IN_HEADING, _MOST_GRADED, _MOST_HEADINGS = 14, 8, 3


def _without_label(text: str) -> str:
    """Take off what a source writes in front of a problem."""
    found = _LABEL.match(text)
    return text[found.end() :] if found and _IN_LABEL.search(found[0]) else text


def _is_heading(part: str) -> bool:
    """Say whether a first part names an exercise: "Warm-up #3:", "Olympiad, grade 6, problem 2."."""
    size = len(part.split())
    short = (
        size <= _MOST_IN_HEADING
        if part.rstrip().endswith((":", "："))
        else size <= _MOST_GRADED and _GRADED.search(part) and not _SAYS.search(part)
    )
    if short and _HEADING.search(part) and not _ARITHMETIC.search(part):
        return True
    return not _ARITHMETIC.search(part) and is_title(part)


def parts(text: str) -> list[str]:
    """Split a text into sentences, labels and clauses about the answer, in order; joined they are the text again."""
    return [part for part in _BREAK.split(text) if part and part.strip()]


@lru_cache(maxsize=64)  # of most sentences the one spelling is the text as it was
def is_instruction(part: str) -> bool:
    """Say whether a sentence tells how to answer, rather than what is asked."""
    found = bool(_AT_START.match(part)) or any(phrase.search(part) for phrase in _ANYWHERE) or is_demand(part)
    found = found or bool(_NO_ENGLISH.search(part) and _ELSEWHERE.search(part))
    return found and not _ARITHMETIC.search(part)


def problem_parts(text: str) -> list[str]:
    """Return the sentences of a text that pose the problem; all of them where nothing else would be left.

    Args:
        text: a problem as a data set gives it.

    Returns:
        Its sentences; instructions, words of politeness and the marks of lists taken out.
    """
    return list(_problem_parts(text))


def without_forms(parts: list[str]) -> list[str]:
    """Return sentences without those that only say in what form to write the answer, where another one asks.

    Args:
        parts: sentences of a problem, as `problem_parts` returns them.

    Returns:
        Those that are left; all of them where nothing else would ask.
    """
    others = [part for part in parts if not _FORM.search(part)]
    return others if any(map(_ASKING.search, others)) else parts


def without_marks(text: str) -> str:
    """Take off what lists and Markdown put around words; two texts that differ in it alone pose one problem."""
    text = _SPACES.sub(" ", text)  # in a long run of spaces every place would be tried for a break
    if len(_DASHED.findall(text)) > 1:
        text = _DASHED.sub("", text)
    text = _BOLD.sub(r"\2", _BULLET.sub("", _ITEM.sub("", text)))
    return _ITALICS.sub(r"\1", text)


@lru_cache(maxsize=16)  # whoever looks for equal and for similar problems asks twice for each
def _problem_parts(text: str) -> tuple[str, ...]:
    found = parts(_without_label(without_marks(unwrapped(text))))
    headings = 0
    while headings < min(_MOST_HEADINGS, len(found) - 1) and _is_heading(found[headings]):
        headings += 1
    asked = [part for part in found[headings:] if not is_instruction(part)]
    if asked:
        asked[0] = _without_label(asked[0])
    kept = [polished for part in asked if (polished := _POLITE.sub(" ", part)).strip()]
    return tuple(kept or found)
