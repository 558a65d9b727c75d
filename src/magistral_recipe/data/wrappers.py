"""What a chat template, a prompt format or a list of examples puts around a problem: role marks, prompts, labels.

What the user says last is the problem; what systems and assistants say goes. Marks of ChatML, Llama, Mistral, Gemma,
Phi, DeepSeek and Qwen are known, and labels at the start of a line, as Alpaca, Vicuna and few-shot prompts have them.
"""

from __future__ import annotations

import re

_ROLES = {
    **dict.fromkeys(("system", "developer", "sys"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "model", "gpt", "bot", "ai"), "assistant"),
}
_NAMES = "system|developer|user|human|assistant|model"
_MARKS = re.compile(
    rf"<\|im_start\|>\s*(?P<chatml>{_NAMES})?|<\|start_header_id\|>\s*(?P<llama>\w+)\s*<\|end_header_id\|>|"
    rf"<start_of_turn>\s*(?P<gemma>{_NAMES})?|<[|｜](?P<bars>{_NAMES})[|｜]>|"
    r"(?P<sys>\[SYSTEM_PROMPT\]|<<SYS>>)|(?P<inst>\[INST\]|<</SYS>>|\[/SYSTEM_PROMPT\])|(?P<reply>\[/INST\])|"
    r"(?P<end><\|(?:im_end|eot_id|end|endoftext|begin_of_text|im_sep|end_of_text)\|>|<end_of_turn>|</?s>|<bos>|<eos>|"
    r"<[|｜](?:begin|end)[▁_]of[▁_]sentence[|｜]>)",
    re.IGNORECASE,
)
_ASKED = (
    "question|problem|q|query|prompt|user|human|exercise|task|input|aufgabe|frage|problème|énoncé|exercice|pregunta|problema|"
    "ejercicio|domanda|esercizio|pergunta|questão|exercício|задача|вопрос|условие|题目|问题|题|问|問題|質問|例题|例題"
)
_SAID = (
    "assistant|answer|a|solution|response|output|reply|réponse|solution|antwort|lösung|respuesta|solución|risposta|soluzione|"
    "resposta|solução|ответ|решение|答案|解答|答|解|回答|答え"
)
_TOLD = (
    "system|system prompt|instructions?|anweisung(?:en)?|instrucciones|istruzioni|instruções|consignes?|инструкция|"
    "说明|指示"
)
_LINE = re.compile(
    rf"^[ \t]*(?:#{{1,4}}[ \t]*)?(?:\*\*|__)?(?:(?P<asked>{_ASKED})|(?P<said>{_SAID})|"
    rf"(?P<told>{_TOLD}))[ \t]*(?:\d{{1,3}})?"
    r"(?:\*\*|__)?[ \t]*[:：](?:\*\*|__)?",
    re.IGNORECASE | re.MULTILINE,
)
_HEADED = re.compile(
    r"^[ \t]*#{1,4}[ \t]*(?:instruction|response|input|output|question|answer)\b[ \t]*(?=\n)",
    re.IGNORECASE | re.MULTILINE,
)
_LONG_ASKED, _LONG_SAID = (
    "|".join(word for word in words.split("|") if len(word) > 1 or word > "\u3000") for words in (_ASKED, _SAID)
)
_BRACKETED = re.compile(
    rf"[【\[［](?:(?P<asked>(?:{_LONG_ASKED})\s?\d{{0,2}})|(?P<said>{_LONG_SAID}))[】\]］][ \t]*[:：]?", re.IGNORECASE
)
_DEMAND = re.compile(r"\n[ \t]*\W{0,4}(?:answer|response|antwort|réponse|respuesta|risposta|resposta|ответ|答案|"
                     r"答え)\W{0,4}[:：][^\d\n]{0,120}$",
                     re.IGNORECASE)  # fmt: skip
_INLINE = re.compile(r"(?<!\w)(?P<asked>USER|HUMAN|Human|User)\s?:|(?<!\w)(?P<said>ASSISTANT|Assistant|GPT)\s?:")
_SUSPECT = re.compile(r"<\||<｜|\[/?INST\]|<<SYS|\[SYSTEM|<start_of_turn|[:：】\]]|###")


def unwrapped(text: str) -> str:
    """Take off what surrounds a problem.

    Args:
        text: a problem as a data set gives it.

    Returns:
        What the user says last; the text itself where it has no marks of roles, or nothing but them.
    """
    if not _SUSPECT.search(text):
        return text
    if _MARKS.search(text):
        text = _last(text, _marked(text))
    if _INLINE.search(text) and re.search(r"(?<!\w)(?:USER|HUMAN|Human|User)\s?:", text):
        text = _last(text, _labelled(text, _INLINE))
    text = _HEADED.sub(lambda found: f"{found[0].rstrip()}:", text) if "#" in text else text
    text = _last(text, _labelled(text, _LINE))
    text = _last(text, _labelled(text, _BRACKETED)) if "】" in text or "]" in text else text
    return _DEMAND.sub("", text.rstrip())


def _marked(text: str) -> list[tuple[str, str]]:
    """Who says what, by a template's marks."""
    turns: list[tuple[str, str]] = []
    role, start = "user", 0
    for found in _MARKS.finditer(text):
        turns.append((role, text[start : found.start()]))
        start = found.end()
        named = found["chatml"] or found["llama"] or found["gemma"] or found["bars"]
        if named:
            role = _ROLES.get(named.lower(), "user")
        elif found["sys"]:
            role = "system"
        elif found["inst"]:
            role = "user"
        elif found["reply"]:
            role = "assistant"
        elif found["end"] and found["end"].lower() not in ("<s>", "<bos>", "<|begin_of_text|>"):
            role = "user" if role == "system" else role
    return [*turns, (role, text[start:])]


def _labelled(text: str, pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    """Who says what, by labels; what stands before the first one is an instruction where a problem is labelled."""
    found = list(pattern.finditer(text))
    if not any(mark["asked"] for mark in found) and not _labels_instruction(text, found):
        found = [mark for mark in found if mark["said"] and not text[mark.end() :].strip(_BLANK)]
    if not found:
        return []
    turns = [("system" if _PREAMBLE.search(text, 0, found[0].start()) else "user", text[: found[0].start()])]
    for mark, after in zip(found, [*[each.start() for each in found[1:]], len(text)], strict=True):
        role = "user" if mark["asked"] else "assistant" if mark["said"] else "told"
        turns.append((role, text[mark.end() : after]))
    return turns


def _labels_instruction(text: str, found: list[re.Match[str]]) -> bool:
    """Whether an instruction is followed by a place for the answer, as Alpaca has it: then it is the problem."""
    return len(found) > 1 and "told" in found[0].groupdict() and bool(found[0]["told"]) and bool(found[-1]["said"])


def _last(text: str, turns: list[tuple[str, str]]) -> str:
    """What the user says last, before an answer or without one."""
    for wanted in ("user", "told"):
        said: list[str] = []
        for role, part in reversed(turns):
            if role == wanted and part.strip():
                said.insert(0, part.strip())
            elif role == "assistant" and part.strip(_BLANK) and said:
                break
        if len(whole := "\n".join(said)) >= _LEAST:
            return whole
    return text


_BLANK = " \n\t*_:.…"
_PREAMBLE = re.compile(
    r"^\W*system(?: prompt)?\s*:|below is an instruction|a chat between|\byou are an? |intelligence assistant",
    re.IGNORECASE,
)
_LEAST = 8
"""Characters of the shortest problem."""
