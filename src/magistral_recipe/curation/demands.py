r"""What a problem demands of whoever solves it: a proof, a drawing, one thing or several.

Told by words in a dozen languages, sentence by sentence. Only what asks for nothing else is a proof or a drawing: "show
that …, and find its limit" has an answer that can be checked.
"""

from __future__ import annotations

import re

from magistral_recipe.verifiers.answers import read
from magistral_recipe.verifiers.answers.shapes import Listing, Relation

_TO_PROVE = re.compile(
    r"(?:^|[.:;,!?\n]\s*|\b(?:and|then|to|please|must|should|we|you|use \w+ to)\s+)(?:\(?[a-e1-5ivx]+\)\s*)?"
    r"(?:(?:prove|disprove|demonstrate|justify|verify)\b|show\s+(?:that|how to|why)\b|show,[^,.\n]{1,80},\s+that\b|"
    r"(?:establish|deduce)\s+that\b|explain\s+(?:why|how)\b|give\s+a\s+proof\b)|"
    r"\bprove that\b|\b(?:démontre[rz]?|montre[rz]?|prouve[rz]?) que\b|\b(?:demuestr[ae]|demostrar|prueb[ae]|pruebe|"
    r"muestr[ae]|mostre|prove|demonstre) que\b|\b(?:dimostra(?:re|te)?|mostra(?:re|te)?|prova(?:re|te)?) che\b|"
    r"\b(?:beweise[n]?|zeige[n]?)(?: sie)?(?:,? dass\b|\s*:)|докажите|доказать,? что|(?:^|[.:;]\s*)доказать\b|"
    r"\b(?:udowodnij|wykaż),? że\b|\b(?:bewijs|toon aan) dat\b|\b(?:demonstrați|arătați) că\b|\bdokažte,? že\b|"
    r"\bchứng minh\b|증명하|証明(?:せよ|しなさい)|示せ|证明|證明|試證|试证|求证|求證",
    re.IGNORECASE,
)
_IMPERATIVE = (
    r"find|determine|compute|calculate|evaluate|solve|simplify|trouve[rz]?|calcule[rz]?|détermine[rz]?|"
    r"halla[r]?|calcula[r]?|encuentra|determina[r]?|encontre|trova(?:re)?|calcola(?:re)?|berechnen?|bestimmen?|finden?|"
    r"вычислите|найдите|определите"
)
_ASKS = re.compile(
    rf"\b(?:{_IMPERATIVE}|what|how many|how much|how far|how long|how old|which|who|when|where|count|"
    r"express|estimate|give the|(?:en )?dédui(?:re|s|sez)|résou(?:dre|s)|résolvez|combien|quel(?:le)?s?|"
    r"resuelve|resolva|cuánt[oa]s?|cuál(?:es)?|qué|quant[oiae]s?|qual|quais|risolvi|löse|wie viele?|welche[rsn]?|"
    r"сколько|решите|найти|вычислить|какой|какая|какое|каков[аоы]?|чему|упростите)\b|求|计算|多少|解方程",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?;。！？；])\s*|\n+")
_LEAD = r"\W*(?:\(?(?:[a-h]|[ivx]{1,4}|\d{1,2})[.)]\s*)?(?:[^,\n]{0,80},\s*)?(?:please\s+|then\s+|also\s+|and\s+)*"
_ASKS_FIRST = re.compile(rf"{_LEAD}(?:{_IMPERATIVE})\b(?! (?:a |the )?proofs?\b)", re.IGNORECASE)
_AND_THEN_ASKS = re.compile(
    r"(?:[,;]|\b(?:and|then|hence|et|puis|y|e|und|и|затем))\s+(?:(?:and|then|hence|also|et|y|e|und|и|en)\s+)*"
    rf"(?:{_IMPERATIVE}|give|dédui(?:re|s|sez)|donne[rz]?)\b|(?:并|再|且|进而|[，,；;])(?:由此)?(?:求(?!证|證)|计算)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[“\"«„][^“”\"«»„\n]{1,200}[”\"»“]")
_HINT = re.compile(r"[(（]?\b(?:hint|indication|hinweis|sugerencia|указание|提示)\s*[:：][^.?!？。\n]*[.?!？。]?", re.I)


def asks(text: str) -> bool:
    """Say whether a text asks for something."""
    return "?" in text or "？" in text or bool(_ASKS.search(text))


def is_proof(text: str) -> bool:
    """Say whether a problem asks for a proof and for nothing that could be checked."""
    return bool(_TO_PROVE.search(text)) and not _asks_beside(text, _TO_PROVE)


def _asks_beside(text: str, demand: re.Pattern[str]) -> bool:
    """Whether something is asked for besides the demand: in a sentence of its own, or in front of it or behind it."""
    if _AND_THEN_ASKS.search(text):
        return True
    for part in _SENTENCE.split(text):
        found = demand.search(part)
        if not found and _ASKS.search(part):
            return True
        if found and (first := _ASKS_FIRST.match(part)) and first.end() <= found.start():
            return True
    return False


_DRAWN = (
    r"graphs?|diagrams?|figures?|pictures?|curves?|histograms?|charts?|plots?|lines?|triangles?|regions?|planes?|nets?|"
    r"angles?|circles?|squares?|functions?|parabolas?|loci|locus"
)
_TO_DRAW = re.compile(
    r"(?:^|[.:;!?\n]\s*|\band\s+|\bplease\s+)(?:"
    rf"(?:draw|sketch|shade)\b[^.?!\n]{{0,60}}\b(?:{_DRAWN})\b|(?:graph|plot) (?:the|each|both|y\b|f\b|\$\s*[yf]\b)|"
    r"(?:using|with) (?:only )?(?:a )?(?:ruler|straightedge|compass)\w*\b[^.?!\n]{0,40}\bconstruct\b|"
    r"construct\b[^.?!\n]{0,120}\b(?:ruler|straightedge|compass(?:es)?)\b|"
    r"(?:tracer|tracez|trace|dessine[rz]?|représente[rz]? graphiquement|zeichnen?|skizzieren?|dibuja|grafica|"
    r"representa gráficamente|disegna|desenhe|esboce|постройте|нарисуйте|начертите)\b)|画出|作出",
    re.IGNORECASE,
)
_BLANK = re.compile(r"(?:\bis|\bare|=|为|是|_)[\s:$\\_.()（）。]*$", re.IGNORECASE)


def is_drawing(text: str) -> bool:
    """Say whether a problem asks for a drawing and for nothing that could be checked."""
    return bool(_TO_DRAW.search(text)) and not _BLANK.search(text) and not _asks_beside(text, _TO_DRAW)


_PICTURE = re.compile(
    r"!\[[^\]\n]{0,300}\]\([^)\n]{0,300}\)|\[img\b|<img\b|\\includegraphics\b|https?://[^\s<>()]{1,300}\.(?:png|jpe?g|gif|svg)\b",
    re.IGNORECASE,
)
_COUNTED_IN_PICTURE = re.compile(
    r"(?:\bhow many\b[^.?!\n]{1,80}\b(?:in|on) the (?:figure|picture|diagram|drawing|image|photo)|"
    r"\bсколько\b[^.?!\n]{1,80}\bна (?:рисунке|картинке)|\bcombien\b[^.?!\n]{1,80}\b(?:sur|dans) (?:la figure|l'image)|"
    r"\bwie viele\b[^.?!\n]{1,80}\bauf dem bild|\bcuánt[oa]s\b[^.?!\n]{1,80}\ben la (?:figura|imagen)|"
    r"图中[^。？\n]{0,20}(?:多少|几))",
    re.IGNORECASE,
)
_DRAWN_IN_WORDS = re.compile(r"\d|\$|\[asy\]|tikz|\\begin|\|", re.IGNORECASE)


def needs_a_picture(text: str) -> bool:
    """Say whether a problem shows a picture, or asks to count in one of which nothing is told."""
    return bool(_PICTURE.search(text)) or (bool(_COUNTED_IN_PICTURE.search(text)) and not _DRAWN_IN_WORDS.search(text))


_PART = re.compile(
    r"(?:(?<=^)|(?<=[\s.:;,?：；。，]))(?:\(([a-hа-е]|i{1,3}|iv|v|I{1,3}|IV|V|[1-9])\)|([a-hа-е]|i{1,3}|iv|v|[1-9])\))"
    r"(?=\s|\$|\\|[\u4e00-\u9fff])"
)
_LINE = re.compile(
    r"(?:^[ \t*]*([a-h]|i{1,3}|iv|v|[1-9])[.．、]|(?<=[；;。])[ \t]*([1-9])、)[ \t*]*(?=[^\s\d])", re.MULTILINE
)
_ORDERS = (
    tuple("abcdefgh"),
    tuple("абвгде"),
    ("i", "ii", "iii", "iv", "v"),
    ("I", "II", "III", "IV", "V"),
    tuple("123456789"),
)
_NAMED_PART = re.compile(
    r"(?:^|[\n.?!;])\W{0,4}(?:part|question|partie|parte|teil)\s*(?:\(([a-d1-4])\)|([a-d1-4])\s*[:.)])", re.IGNORECASE
)
_CIRCLED = dict(zip("①②③④⑤⑥⑦⑧⑨", (f" ({number}) " for number in range(1, 10)), strict=True))
_SIGNS = str.maketrans({**_CIRCLED, "（": "(", "）": ")", "Ⅰ": "I", "Ⅱ": "II", "Ⅲ": "III", "Ⅳ": "IV", "Ⅴ": "V"})
_ITEM = re.compile(r"\\item\b(?:\s*\[[^\]\n]{0,20}\])?")
_ASKS_FOR_EACH = re.compile(r"(?:[:：]|\bfollowing\b[^.?!]{0,40}[:：]?)\s*$")
_SEVERAL = re.compile(r"[,;,；\s]")


def asks_for_parts(text: str, answer: str = "") -> bool:
    """Say whether a problem asks for several things: lettered parts of which two ask, or two questions.

    Args:
        text: the problem.
        answer: the reference; parts behind "calculate:", and two requests without a question mark, are several
            where it holds several values.
    """
    text = _HINT.sub(" ", _QUOTED.sub(" ", text)).translate(_SIGNS)
    text = _numbered_items(text)
    if any(_are_parts(text, order, answer) or _are_lines(text, order) for order in _ORDERS):
        return True
    if len({(match[1] or match[2]).casefold() for match in _NAMED_PART.finditer(text)}) >= 2:
        return True
    questions = [part for part in _SENTENCE.split(text) if part.rstrip().endswith(("?", "？")) and _ASKS.search(part)]
    return len(questions) >= 2 or _requests_two(text, answer)


def _numbered_items(text: str) -> str:
    """The text with LaTeX's ``\\item`` as (1), (2), …"""
    pieces = _ITEM.split(text)
    return pieces[0] + "".join(f" ({number}) {piece}" for number, piece in enumerate(pieces[1:], 1))


def _are_parts(text: str, order: tuple[str, ...], answer: str) -> bool:
    """Whether labels in brackets stand before parts that ask."""
    marks = [match for match in _PART.finditer(text) if (match[1] or match[2]) in order]
    if [match[1] or match[2] for match in marks][:2] != list(order[:2]):
        return False
    if _asking(text, marks) >= 2:
        return True
    lead = _SENTENCE.split(text[: marks[0].start()].rstrip())[-1]
    return bool(_ASKS_FOR_EACH.search(lead) and _ASKS.search(lead) and _SEVERAL.search(answer.strip()))


def _are_lines(text: str, order: tuple[str, ...]) -> bool:
    """Whether lines with "1.", "2." or "a.", "b." before them ask, and none behind them does: then they would tell."""
    marks = [match for match in _LINE.finditer(text) if (match[1] or match[2]) in order]
    if [match[1] or match[2] for match in marks][:2] != list(order[:2]):
        return False
    last = text[marks[-1].end() :].partition("\n")
    return _asking(text, marks) >= 2 and not _ASKS.search(last[2])


def _asking(text: str, marks: list[re.Match[str]]) -> int:
    """How many of the parts behind the marks ask for something."""
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    bodies = [text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)]
    return sum(bool(_ASKS.search(body) or "?" in body or _TO_PROVE.search(body)) for body in bodies)


_REQUEST = re.compile(rf"{_LEAD}(?:{_IMPERATIVE})\b", re.IGNORECASE)
_AND_REQUEST = re.compile(rf"\band\s+(?:(?:then|also)\s+)*(?:{_IMPERATIVE})\b", re.IGNORECASE)
_ONE_OF_MANY = re.compile(
    r"\b(?:all|every|each|both|any|possible|solutions?|roots?|values|numbers|integers|pairs|triples|zeros|points|sides|"
    r"lengths|angles|coordinates|factors|primes|digits|terms|dimensions|intercepts|vertices)\b|\band \$?[a-z]\b",
    re.IGNORECASE,
)


def _requests_two(text: str, answer: str) -> bool:
    """Whether two things are requested, one after the other, and the answer holds as many values.

    A request for what there may be several of ("find all roots") explains a list by itself.
    """
    found = [part for part in _SENTENCE.split(text) if _REQUEST.match(part)]
    count = sum(1 + len(_AND_REQUEST.findall(part)) for part in found)
    if count < 2 or any(_ONE_OF_MANY.search(re.sub(r"how many \w+ numbers", "", part)) for part in found):
        return False
    return len(answer) < _LONGEST_LIST and _is_list(answer)


_LONGEST_LIST = 200


def _is_list(answer: str) -> bool:
    shape = read(answer)
    return (
        isinstance(shape, Listing)
        and shape.brackets == ""
        and len(shape.items) > 1
        and not all(isinstance(item, Relation | Listing) for item in shape.items)
    )
