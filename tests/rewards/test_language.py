"""Language rewards: labelled and hostile completions, the contract, and the tiny model's traces."""

import json
import pickle
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.data import tiny
from magistral_recipe.errors import RunError
from magistral_recipe.rewards import LanguageConsistency, ReasoningLanguage, Thinking, language_consistency
from magistral_recipe.rewards.base import Reason
from magistral_recipe.rewards.language import completion_language
from magistral_recipe.verifiers.language.detect import model_path

PATH = Path(__file__).parents[1] / "cases" / "language_completions.jsonl"
CASES = [json.loads(line) for line in PATH.read_text(encoding="utf-8").splitlines()]

FRENCH = "<think>On additionne d'abord les unités, puis les dizaines.</think>La somme est $75$."
ENGLISH = "<think>We add the ones first, and then the tens.</think>The sum is $75$."


LATER = [json.loads(line) for line in PATH.with_name("language_later.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("case", CASES + LATER, ids=lambda case: case["id"])
def test_labelled_completions(case):
    columns = {name: [case[name]] for name in ("language", "problem") if name in case}
    prompts = [case["prompt"]] if "prompt" in case else None
    assert LanguageConsistency()(prompts=prompts, completions=[case["completion"]], **columns) == [case["expected"]]


def test_the_cases_are_those_expected():
    kinds = Counter(case["id"].split("-")[0] for case in CASES)
    assert kinds == {"honest": 17, "wrong": 7, "hack": 20, "short": 5}
    assert Counter(case["id"].split("-")[0] for case in LATER) == {
        "honest": 22,
        "near": 22,
        "half": 5,
        "word": 7,
        "words": 13,
        "kanji": 10,
        "brand": 3,
        "hidden": 17,
        "quote": 10,
    }


def _traces(foreign, seed):
    share = tuple((language, foreign) for language in ("en", "fr", "es", "de", "it"))
    rows = tiny.traces(1000, seed=seed, flaws=tiny.Flaws(malformed=0, foreign=share))
    assert len(rows) == 1000
    return rows


def test_short_traces_of_arithmetic_are_told():
    rows = _traces(foreign=0.0, seed=3)
    scores = LanguageConsistency()(
        completions=[row["completion"] for row in rows], language=[row["language"] for row in rows]
    )
    assert sum(score == 1.0 for score in scores) >= 0.995 * len(rows)


def test_short_traces_in_another_language_earn_nothing():
    rows = _traces(foreign=1.0, seed=4)
    scores = LanguageConsistency()(
        completions=[row["completion"] for row in rows], language=[row["language"] for row in rows]
    )
    assert sum(score == 0.0 for score in scores) >= 0.995 * len(rows)


def test_short_problems_are_told_right_or_not_at_all():
    rows = _traces(foreign=0.0, seed=5)
    scores = LanguageConsistency()(
        completions=[row["completion"] for row in rows], problem=[row["problem"] for row in rows]
    )
    # "Calcule 3 + 4" is too little to tell; what is told must be right
    assert scores.count(None) < 0.25 * len(rows)
    assert scores.count(0.0) <= 0.005 * len(rows)


def test_sources_of_the_language_in_their_order():
    reward = LanguageConsistency()
    english = [{"role": "user", "content": "How many divisors does the number have?"}]
    french = [{"role": "user", "content": "Combien de diviseurs le nombre a-t-il ?"}]
    problem = "Combien de diviseurs le nombre a-t-il ?"
    assert reward(prompts=[english], completions=[FRENCH], problem=[problem], language=["fr"]) == [1.0]
    assert reward(prompts=[english], completions=[FRENCH], problem=[problem]) == [1.0]
    assert reward(prompts=[english], completions=[FRENCH], problem=[None]) == [0.0]
    assert reward(prompts=[english, french], completions=[FRENCH] * 2, language=["fr", None]) == [1.0, 1.0]
    assert reward(prompts=["Combien de diviseurs le nombre a-t-il ?"], completions=[FRENCH]) == [1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"row 0.*'language'.*'problem'"),
        ({"prompts": [[{"role": "system", "content": "Be kind."}]]}, r"row 0"),
        ({"language": ["fr", "fr"]}, r"'language' has 2 values for 1"),
        ({"language": ["french"]}, r"language\[0\]: 'french'"),
        ({"language": [3]}, r"language\[0\]: 3"),
        ({"language": ["xx"]}, r"language\[0\]: 'xx'"),
    ],
)
def test_the_callers_mistakes_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        LanguageConsistency(strict=True)(completions=[FRENCH], **arguments)


@pytest.mark.parametrize("languages", ["fr", [], ["fr", "xx"], [None]])
def test_candidates_are_checked(languages):
    with pytest.raises(ValueError, match="languages"):
        LanguageConsistency(languages=languages)


def test_the_answer_is_judged_too():
    thoughts = "<think>On additionne d'abord les unités, puis les dizaines.</think>"
    for answer, language in (("$75$", "fr"), ("Réponse : 75", "fr"), ("", "fr"), ("We get 75 as the final sum.", None)):
        assert completion_language(thoughts + answer).language == language


def test_why_is_said():
    assert completion_language(FRENCH).reason is Reason.SAME_LANGUAGE
    assert completion_language(FRENCH + ENGLISH).reason is Reason.MALFORMED
    assert completion_language("<think>75</think>La somme est 75.").reason is Reason.TOO_SHORT
    mixed = completion_language("<think>On additionne d'abord les unités.</think>Then we add the tens as well.")
    assert mixed.reason is Reason.MIXED_LANGUAGES
    assert (mixed.thoughts.language, mixed.answer.language) == ("fr", "en")
    reward = LanguageConsistency()
    reward(completions=[FRENCH, ENGLISH, "<think>7</think>8", "no tags"], language=["fr"] * 4)
    assert reward.counts == {
        Reason.SAME_LANGUAGE: 1, Reason.WRONG_LANGUAGE: 1, Reason.TOO_SHORT: 1, Reason.MALFORMED: 1,
    }  # fmt: skip


def test_other_tags_and_none():
    text = "[THINK]On additionne d'abord les unités.[/THINK]La somme est 75."
    tags = Thinking("[THINK]", "[/THINK]")
    assert LanguageConsistency(thinking=tags)(completions=[text], language=["fr"]) == [1.0]
    assert LanguageConsistency()(completions=[text], language=["fr"]) == [0.0]
    whole = LanguageConsistency(thinking=None)
    plain = "On additionne d'abord les unités, puis les dizaines. La somme est 75."
    assert whole(completions=[plain, "75"], language=["fr", "fr"]) == [1.0, None]
    opened = Thinking(opened_by_prompt=True)
    assert LanguageConsistency(thinking=opened)(completions=[FRENCH.removeprefix("<think>")], language=["fr"]) == [1.0]


def test_shapes_of_a_completion():
    parsed = [{"role": "assistant", "reasoning_content": "On additionne d'abord les unités.", "content": "C'est 75."}]
    chat = [{"role": "assistant", "content": FRENCH}]
    empty = [{"role": "assistant", "content": None}]
    assert language_consistency(completions=[FRENCH, chat, parsed, empty], language=["fr"] * 4) == [1.0, 1.0, 1.0, 0.0]


def test_logging_is_complete():
    extra, metrics = {}, {}
    values = language_consistency(
        completions=[FRENCH, "<think>7</think>8"],
        language=["fr", "fr"],
        log_extra=extra.__setitem__,
        log_metric=metrics.__setitem__,
    )
    assert values == [1.0, None]
    assert extra == {"language_consistency/reason": ["same_language", "too_short"]}
    assert metrics == {"language_consistency/mean": 1.0}


def test_reasoning_language():
    reward = ReasoningLanguage("fr")
    mixed = "<think>On additionne d'abord les unités.</think>The sum of both numbers is 75."
    switched = "<think>On additionne d'abord les unités. Then we add the tens as well.</think>75"
    assert reward(completions=[FRENCH, mixed, ENGLISH, switched, "75", "<think>7</think>8"]) == [
        *(1.0, 1.0, 0.0, 0.0, 0.0, None)
    ]
    assert reward.maximum == 1.0
    with pytest.raises(ValueError, match="'frensh'"):
        ReasoningLanguage("frensh")


def test_pickling_keeps_the_verdict():
    for reward in (LanguageConsistency(languages=["fr", "en"], name="consistent"), ReasoningLanguage("fr")):
        copy = pickle.loads(pickle.dumps(reward))
        assert copy.__name__ == reward.__name__
        assert copy(completions=[FRENCH, ENGLISH], language=["fr", "fr"]) == [1.0, 0.0]


PIECES = st.sampled_from(
    ("<think>", "</think>", "On compte tout. ", "We count all. ", "数えます。", "$x$ ", "```\n", "\\[", "\\text{", "7 ")
)
TEXTS = st.lists(PIECES | st.text(max_size=12), max_size=10).map("".join)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.sampled_from(("fr", "en", "ja"))), max_size=6), st.randoms())
def test_order_and_split_of_the_batch_change_nothing(rows, random):
    reward = LanguageConsistency()

    def score(part):
        return reward(completions=[text for text, _ in part], language=[language for _, language in part])

    values = score(rows)
    assert all(value in (0.0, 1.0, None) for value in values)
    assert [score([row])[0] for row in rows] == values
    shuffled = list(range(len(rows)))
    random.shuffle(shuffled)
    assert score([rows[index] for index in shuffled]) == [values[index] for index in shuffled]


@pytest.mark.parametrize(
    ("answer", "language", "expected"),
    [
        ("Also ist $167$.", "it", 0.0),  # what a policy learnt to say in all its languages, when it was paid for it
        ("Also ist $167$.", "es", 0.0),
        ("Also ist $167$.", "de", 1.0),
        ("So the $167$.", "it", 0.0),
        ("$167$", "it", 1.0),  # no words: the thoughts decide
        ("Quindi $167$.", "it", 1.0),
    ],
)
def test_a_few_words_of_another_language_are_no_way_around(answer, language, expected):
    thoughts = {
        "it": "Calcolo le unità e poi le decine, quindi il risultato è centosessantasette.",
        "es": "Sumo las unidades y luego las decenas, entonces el resultado es ciento sesenta y siete.",
        "de": "Ich addiere die Einer und dann die Zehner, also ist das Ergebnis hundertsiebenundsechzig.",
    }[language]
    completion = f"<think>{thoughts}</think>{answer}"
    assert LanguageConsistency()(completions=[completion], language=[language]) == [expected]


def test_another_model_can_be_named(tmp_path):
    copy = tmp_path / "own.ftz"
    copy.write_bytes(model_path().read_bytes())
    for reward in (
        LanguageConsistency(model=str(copy)),
        pickle.loads(pickle.dumps(LanguageConsistency(model=str(copy)))),
    ):
        assert reward(completions=[FRENCH, ENGLISH], language=["fr", "fr"]) == [1.0, 0.0]
        assert reward(completions=[FRENCH], problem=["Combien de diviseurs le nombre a-t-il ?"]) == [1.0]
    assert ReasoningLanguage("fr", model=str(copy))(completions=[FRENCH, ENGLISH]) == [1.0, 0.0]


@pytest.mark.parametrize("kind", [LanguageConsistency, lambda model: ReasoningLanguage("fr", model=model)])
def test_what_is_no_model_is_told_before_anything_is_judged(tmp_path, kind):
    with pytest.raises(RunError, match="cannot be read"):
        kind(model=str(tmp_path / "missing.bin"))
    (tmp_path / "text.bin").write_text("no model")
    with pytest.raises(RunError, match=r"not a fastText model; expected a file such as lid\.176\.bin"):
        kind(model=str(tmp_path / "text.bin"))
    (tmp_path / "cut.bin").write_bytes(model_path().read_bytes()[:20])
    with pytest.raises(RunError, match="cannot be loaded"):  # fastText would end the process
        kind(model=str(tmp_path / "cut.bin"))
