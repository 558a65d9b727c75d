"""What is demanded of an answer in other languages than English: "Gib nur eine Zahl an", "Justifica tu respuesta".

A table of words for each language; a demand is a verb of telling and a noun for the answer, or a form of it behind
"only" or "with". "Write down the least number" is none: what names a largest or smallest thing asks for it.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class _Words(NamedTuple):
    """Expressions of a language."""

    tell: str
    """Verbs of telling, and of solving in front of "the problem"."""
    answer: str
    """What is told, besides the result itself."""
    only: str
    form: str
    """What an answer is, behind `only`."""
    justify: str
    """A demand by itself."""
    without: str
    task: str
    """What stands behind "solve"."""


_LANGUAGES = {
    "fr": _Words(
        "r[ée]pond(?:s|re|ez)|donne[rz]?|justifie[rz]?|explique[rz]?|d[ée]taille[rz]?|r[ée]dige[rz]?|pr[ée]cise[rz]?|indique[rz]?|"
        "montre[rz]?|[ée]cri(?:s|re|vez)|r[ée]sou(?:s|dre)|r[ée]solvez|lis(?:ez)?|arrondi[srez]*",
        "(?:la|ta|votre|vos|tes|les) r[ée]ponses?|r[ée]sultat final|raisonnement|(?:les|vos|tes|chaque|toutes les) "
        "[ée]tapes?|"
        "(?:les|vos|tes|tous les) calculs|d[ée]marche|m[ée]thode utilis[ée]e|justification|explications?",
        "uniquement|seulement|juste|par|sous (?:la )?forme d|d'",
        "nombre|entier|mot|phrase|lettre|fraction|nombre entier",
        "justifie[rz]?|explique[rz]?",
        "sans (?:calculatrice|justification|justifier|explications?)",
        "(?:le|les|ce|cet) (?:probl[èe]me|exercice|probl[èe]mes)|l'(?:exercice|[ée]nonc[ée])|(?:la|les) questions?",
    ),
    "de": _Words(
        "gib|gebt|geben sie|nenne|nennen sie|antworte[nt]?|schreibe?|schreiben sie|notiere|begr[üu]nde|erkl[äa]re|"
        "erl[äa]utere|"
        "zeige|runde|l[öo]se|l[öo]sen sie|bearbeite|beantworte|lies",
        "(?:die|deine|ihre) antwort|antwortsatz|endergebnis|(?:das|dein|ihr) (?:end)?ergebnis|rechenweg|l[öo]sungsweg|"
        "(?:alle|die|deine) (?:rechen|zwischen)?schritte|begr[üu]ndung",
        "nur|lediglich|ausschlie(?:ß|ss)lich|mit|als",
        "zahl|ganze zahl|wort|satz|buchstaben?|bruch|ganzer zahl",
        "begr[üu]nde|erkl[äa]re",
        "ohne (?:taschenrechner|begr[üu]ndung|erkl[äa]rung(?:en)?)",
        "(?:die|diese|das|dieses|folgende) (?:folgende )?(?:text)?(?:aufgaben?|problem|fragen?)|"
        "(?:die )?folgende[ns]? (?:text)?(?:aufgaben?|problem)",
    ),
    "es": _Words(
        "resuelv[ae]|resolver|lee|lea|respond[ea]|contest[ae]|justifi(?:ca|que)|expli(?:ca|que)|muestr[ae]|escrib[ea]|indi(?:ca|que)|"
        "d[ae]|d[ée]|razon[ae]|redonde[ae]",
        "(?:tu|su|la) respuesta|resultado final|(?:los|tus|sus|todos los|cada) pasos?|procedimiento|razonamiento|"
        "(?:los|tus|sus|todos los) c[áa]lculos",
        "solo|s[óo]lo|solamente|[úu]nicamente|con|como",
        "n[úu]mero|entero|n[úu]mero entero|palabra|frase|letra|fracci[óo]n",
        "justifi(?:ca|que)|expli(?:ca|que)|razon[ae]",
        "sin (?:calculadora|explicaci[óo]n(?:es)?|justificar)",
        "(?:el|los|este) (?:siguientes? )?(?:problemas?|ejercicios?)|la (?:siguiente )?pregunta",
    ),
    "it": _Words(
        "risolvi|risolvere|leggi|rispondi|rispondere|scrivi|scrivere|indica|mostra|motiva|giustifica|spiega|riporta|fornisci|dai|arrotonda",
        "(?:la|tua) risposta|la tua risposta|risultato finale|(?:i|tutti i) passaggi|procedimento|ragionamento|i "
        "calcoli",
        "solo|soltanto|solamente|unicamente|con|come|sotto forma di",
        "numero|intero|numero intero|parola|frase|lettera|frazione",
        "motiva|giustifica|spiega",
        "senza (?:calcolatrice|spiegazioni|giustificare)",
        "(?:il|i|questo) (?:seguent[ei] )?(?:problem[ai])|l'esercizio|la (?:seguente )?domanda",
    ),
    "pt": _Words(
        "resolv[ae]|leia|respond[ae]|escrev[ae]|indi(?:que|ca)|mostr[ae]|justifi(?:que|ca)|expli(?:que|ca)|apresent[ae]|d[êe]|arredond[ae]",
        "(?:a|sua|tua) resposta|resultado final|(?:os|todos os|seus) passos|racioc[íi]nio|(?:os|seus|todos os) "
        "c[áa]lculos",
        "apenas|somente|s[óo]|com|como|na forma de",
        "n[úu]mero|inteiro|n[úu]mero inteiro|palavra|frase|letra|fra[çc][ãa]o",
        "justifi(?:que|ca)|expli(?:que|ca)",
        "sem (?:calculadora|explica[çc][õo]es|explica[çc][ãa]o|justificar)",
        "(?:o|os|este) (?:seguintes? )?(?:problemas?|exerc[íi]cios?)|a (?:seguinte )?(?:quest[ãa]o|pergunta)",
    ),
    "ru": _Words(
        "реши(?:те)?|прочитай(?:те)?|укажи(?:те)?|запиши(?:те)?|напиши(?:те)?|приведи(?:те)?|дай(?:те)?|обоснуй(?:те)?|"
        "объясни(?:те)?|покажи(?:те)?|поясни(?:те)?|распиши(?:те)?|округли(?:те)?|в ответе?|в качестве ответа|ответ",
        "ответ|ход решения|подробное решение|полное решение|решение подробно|(?:все )?шаги|каждый шаг|(?:все "
        ")?вычисления|рассуждения|"
        "выкладки|решение",
        "только|лишь|одно|одним|в виде|единственное",
        "число|числом|целое число|целым числом|слово|словом|дробь|дроби|букву|целого числа|числа",
        "обоснуй(?:те)?|объясни(?:те)?|поясни(?:те)?",
        "без (?:пояснени[йя]|объяснени[йя]|калькулятора|обосновани[йя])",
        "(?:следующую |эту )?задачу|(?:следующие )?задачи|пример|упражнение",
    ),
}
_SUPERLATIVE = re.compile(
    r"\b(?:наи\w+|сам\w{2,3} (?:больш|мал)\w+|größte\w*|kleinste\w*|mayor|menor|m[áa]xim[oa]|m[íi]nim[oa]|maggiore|"
    r"minore|"
    r"plus (?:grand|petit)\w*|pi[ùu] (?:grande|piccol[oa])|gr[öo]sste\w*)\b",
    re.IGNORECASE,
)
_REST = r"[^\d?=]"


def _patterns(words: _Words) -> list[str]:
    return [
        rf"(?:{words.tell})\b{_REST}{{0,60}}?\b(?:{words.answer})\b{_REST}{{0,80}}$",
        rf"(?:{words.tell})\b{_REST}{{0,60}}?(?:\b(?:{words.only})\b|d'){_REST}{{0,24}}?\b(?:{words.form})\b{_REST}{{0,60}}$",
        rf"(?:{words.tell}) (?:{words.task})\b{_REST}{{0,60}}$",
        rf"(?:{words.justify})\W*$",
        rf"(?:{words.without})\W*$",
    ]


_DEMAND = re.compile(
    r"\W*(?:bitte |por favor,? |per favore,? |s'il (?:te|vous) pla[îi]t,? |пожалуйста,? )?(?:"
    + "|".join(pattern for words in _LANGUAGES.values() for pattern in _patterns(words))
    + ")",
    re.IGNORECASE,
)
_HAN = re.compile(
    r"(?:请|請)?(?:写出|寫出|给出|給出|列出|说明|說明|展示)[^\d？?，,求]{0,10}(?:过程|過程|步骤|步驟|理由|算式|答案)[^\d？?求]{0,12}$|"
    r"^\W*(?:请|請)?(?:解答|解决|解決|回答|完成|阅读|閱讀|认真)[^\d？?]{0,10}(?:题|題|问题|問題)[^\d？?求]{0,8}$|"
    r"^\W*(?:只需|只要|仅需|直接)[^\d？?]{0,8}(?:答案|结果|結果|数字|整数)[^\d？?]{0,12}$|^\W*(?:答案|结果)(?:请|用|以|为|須|需|写)[^\d？?]{0,24}$|"
    r"次の[^\d？?]{0,8}(?:問題|文章題|問|設問|計算)[^\d？?]{0,4}(?:解|答え|考え)[^\d？?]{0,12}$|"
    r"(?:式|途中|答え|解答|過程|理由|説明|考え方)[^\d？?]{0,16}(?:書|述べ|示|記入|記述|かく|示せ)[^\d？?]{0,12}$|"
    r"^\W*(?:答え|解答|回答)(?:のみ|だけ|は)[^\d？?]{0,24}$|(?:整数|数字|数値|分数|小数)(?:のみ)?で(?:答え|解答|回答)[^\d？?]{0,12}$"
)


def is_demand(part: str) -> bool:
    """Say whether a sentence demands something of the answer.

    Args:
        part: a sentence in any language.

    Returns:
        Whether it does; of one in English always no.
    """
    if not part.isascii() and _HAN.search(part):
        return True
    return bool(_DEMAND.match(part)) and not _SUPERLATIVE.search(part)
