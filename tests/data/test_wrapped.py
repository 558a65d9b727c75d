"""What stands around a problem: chat templates, labels, titles and demands, in every language that is treated."""

from __future__ import annotations

import pytest

from magistral_recipe.data.instructions import is_instruction, problem_parts
from magistral_recipe.data.titles import is_title
from magistral_recipe.data.wrappers import unwrapped

TOLD = "Tom has 3 cats and 5 dogs. How many pets has he?"

WRAPPED = {
    "Llama 2": "[INST] <<SYS>>\nYou are an honest assistant. Answer with 1 number.\n<</SYS>>\n\n{} [/INST]",
    "Mistral with an answer": "<s>[INST] {} [/INST] He has 8.</s>",
    "ChatML": "<|im_start|>system\nYou solve.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n",
    "Llama 3": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "Gemma": "<start_of_turn>user\n{}<end_of_turn>\n<start_of_turn>model\n",
    "DeepSeek": "<｜begin▁of▁sentence｜><｜User｜>{}<｜Assistant｜>",
    "Alpaca": "Below is an instruction that describes a task.\n\n### Instruction:\n{}\n\n### Response:\n",
    "Vicuna": "A chat between a curious user and an artificial intelligence assistant. USER: {} ASSISTANT:",
    "an example before it": "Q: What is the sum of 2 and 9?\nA: 11\n\nQ: {}\nA:",
    "roles": "System: You are a tutor.\nUser: {}\nAssistant:",
    "bold labels": "**Problem 4:** {}\n**Answer:** ____",
    "Japanese labels": "【問題】{}\n【答え】",
    "a demand behind it": "{}\nAnswer: give a whole number.",
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_what_the_user_says_last_is_the_problem(kind):
    assert unwrapped(WRAPPED[kind].replace("{}", TOLD)) == TOLD


@pytest.mark.parametrize(
    "text",
    [
        TOLD,
        "Tom has 3 cats.\nA: 5 dogs each. Is that right?",
        "Which of these is largest?\nA: 5 cats\nB: 6 cats",
        "Find the length of [a] and of [b, c].",
        "Solution: 40 percent acid\nWater: 5 liters\nHow strong is the mixture?",
    ],
)
def test_a_problem_with_colons_and_brackets_stays(text):
    assert unwrapped(text) == text


def test_a_story_before_its_question_stays():
    assert unwrapped("Tom has 3 cats.\nQuestion: How many legs have they?").startswith("Tom has 3 cats.")


TITLES = [
    "Олимпиада, 6 класс, задача 2.",
    "AMC 10B 2019, Problem 3.",
    "Mathematik-Olympiade, Klasse 6, Aufgabe 2.",
    "Olympiade de mathématiques, classe de 6e, exercice 2.",
    "Olimpíada de matemática, 6º ano, questão 4.",
    "第3题（5分）",
    "小学三年级数学题",
]
NO_TITLES = ["The mean of Kai's 5 quiz scores is 18.", "A test has 3 parts.", "Find the problem.", "Solve 5."]


@pytest.mark.parametrize("text", TITLES)
def test_a_title_poses_nothing(text):
    assert is_title(text)
    assert problem_parts(f"{text}\n{TOLD}")[0] == "Tom has 3 cats and 5 dogs."


@pytest.mark.parametrize("text", NO_TITLES)
def test_a_sentence_is_no_title(text):
    assert not is_title(text)


DEMANDS = [
    "You solve math word problems.",
    'End with "The answer is X."',
    "You must also say where equality holds.",
    "Show all your work.",
    "Donne ta réponse sous forme d'un entier.",
    "Résous le problème suivant.",
    "Justifiez.",
    "Gib nur eine Zahl als Antwort an.",
    "Zeige deinen Rechenweg.",
    "Löse die folgende Aufgabe.",
    "Responde con un solo número.",
    "Muestra todos los pasos.",
    "Resuelve el siguiente problema.",
    "Rispondi con un numero intero.",
    "Mostra tutti i passaggi.",
    "Responda apenas com um número.",
    "Justifique sua resposta.",
    "В ответе укажите одно целое число без пояснений.",
    "Обоснуйте ответ.",
    "请写出解题过程。",
    "次の文章題を解いてください。",
    "式と答えの両方を書くこと。",
]
ASKS = [
    "Begin with the smallest number.",
    "You work alone.",
    "You will receive change from a bill.",
    "Write the number as a product of primes.",
    "Donne le plus petit entier.",
    "Indique le nombre de diviseurs.",
    "Gib die kleinste Zahl an.",
    "Gib die Lösungen der Gleichung an.",
    "Indica el número mayor.",
    "Escribe el número como suma de dos cuadrados.",
    "Scrivi il numero più piccolo.",
    "Escreva o menor número inteiro.",
    "Запишите наименьшее число.",
    "Укажите число решений.",
    "请写出最大的整数。",
]


@pytest.mark.parametrize("text", DEMANDS)
def test_a_demand_is_an_instruction(text):
    assert is_instruction(text)


@pytest.mark.parametrize("text", ASKS)
def test_what_asks_for_something_is_none(text):
    assert not is_instruction(text)
