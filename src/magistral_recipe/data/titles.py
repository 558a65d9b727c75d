"""Titles of exercises in many languages: "Olympiad, grade 6, problem 2.", "第3题（5分）", "Klassenarbeit Nr. 2"."""

from __future__ import annotations

import re

_TITLE_CORE = (
    "olympiads?|olympiade|olimpiada?|olimpíada|olimpiadi|олимпиада|олимпиады|конкурс|contest|competition|wettbewerb|concours|concurso|"
    "gara|problem|exercise|question|task|problème|exercice|aufgabe|übung|problema|ejercicio|esercizio|exercício|questão|задача|"
    "задание|упражнение|номер|вариант|grade|class|klasse|classe|grado|curso|класс|класса|worksheet|arbeitsblatt|"
    "homework|hausaufgabe|quiz|exam|test|klausur|klassenarbeit|examen|esame|prova|экзамен|егэ|огэ|контрольная|chapter|kapitel|"
    "chapitre|capítulo|capitolo|глава|lesson|lektion|leçon|lección|lezione|урок|round|tour|runde|тур|этап|level|niveau|nivel|"
    "livello|уровень|mathematics|mathematik|mathématiques|matemáticas|matematica|matemática|математика|математике|algebra|"
    "geometry|geometrie|arithmetic|алгебра|геометрия"
)
_TITLE_FILL = (
    "of|the|for|in|no|nr|num|number|n|de|des|du|la|le|les|d|der|die|das|für|zum|zur|von|vom|del|el|los|las|di|della|per|do|da|no|"
    "по|для|из|th|st|nd|rd|e|ème|й|го|final|finale|year|jahr|année|año|anno|ano|год|года|part|teil|partie|parte|часть|math|maths|"
    "school|schule|école|escuela|scuola|escola|школьная|школьный|городская|районная|областная|state|national|regional|local|and|und|et|y|"
    r"и|points?|punkte|балл\w*|points|puntos|punti|pontos|easy|medium|hard|day|page|seite|section"
)
_TITLE_WORD = re.compile(
    rf"(?:(?P<core>(?i:{_TITLE_CORE}))|(?i:{_TITLE_FILL})|\d+\w{{0,3}}|[IVX]+|[a-zA-Zа-яА-Я]|[A-Z]{{2,}}\w*)\Z"
)
_HAN_TITLE = re.compile(r"^\W*(?:(?:第\s?[\d一二三四五六七八九十]+\s?[题題问問回届屆章课課节節]|"
                        r"[小初高]学?[一二三四五六\d]年级|\d+年[^\d]{2,12}(?:竞赛|競賽|考试|試験|入試)|"
                        r"(?:数学|算数|算術|應用|应用)(?:题|題|問題|练习|"
                        r"練習)?)\s?)+[\d\W]*(?:[（(]?\d+分[)）]?)?\W*$")  # fmt: skip
_MOST_WORDS = 14
_WORDS = re.compile(r"[^\W_]+")


def is_title(part: str) -> bool:
    """Say whether a sentence names an exercise.

    Args:
        part: without arithmetic.

    Returns:
        Whether it says nothing but the name, class and number of one.
    """
    words = _WORDS.findall(part)
    if not words or len(words) > _MOST_WORDS or "?" in part:
        return bool(_HAN_TITLE.match(part))
    named = False
    for word in words:
        if not (found := _TITLE_WORD.match(word)):
            return bool(_HAN_TITLE.match(part))
        named = named or bool(found["core"])
    return named
