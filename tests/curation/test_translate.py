"""The step that translates: which problems, what becomes of each text, and nothing drawn twice."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistral_recipe.curation import translate as step
from magistral_recipe.curation.ratings import Tally
from magistral_recipe.curation.rows import Dropped, Row
from magistral_recipe.curation.survival import CUT, EMPTY, NUMBERS
from magistral_recipe.curation.translate import (
    ORIGINAL,
    Drawn,
    chosen,
    draw_translations,
    drop_unsolved,
    texts_in,
    translate,
    translation_of,
)
from magistral_recipe.data.problems import Problem
from magistral_recipe.generation import Completion, Sampling
from magistral_recipe.writing.chat_format import ChatFormat
from magistral_recipe.writing.thinking import Thinking

ENGLISH = "What do you get when you add {} and 12 together?"
WORDED = {
    "fr": "Qu'obtient-on quand on ajoute {} et 12 ensemble ?",
    "de": "Was erhält man, wenn man {} und 12 zusammenzählt?",
}


def problem(n, **fields):
    return Problem(**{"id": f"p/{n}", "problem": ENGLISH.format(n), "answer": str(n + 12), "language": "en", **fields})


ROWS = [Row(problem(n), {"pass_rate": 0.5}) for n in range(20, 40)]


def drawn(n, language, text, sample=0, truncated=False):
    return Drawn(f"p/{n}", language, sample, f"<think>hm</think>{text}", truncated, 9)


class Translator:
    """Translates by heart; it writes another number for problem 33, and dies after some requests."""

    def __init__(self, after=None):
        self.after, self.asked = after, []

    def stream(self, requests, sampling):
        for request in requests:
            if self.after is not None and len(self.asked) == self.after:
                raise RuntimeError("gone")
            self.asked.append((request.id, request.sample))
            language, _, n = request.id.replace("p/", "").partition("/")
            assert ENGLISH.format(n) in request.prompt[-1]["content"]
            text = WORDED[language].format(n if n != "33" else "34")
            yield [Completion(request, "", f"<think>So.</think>\n{text}", (1, 2), False)]


def test_only_english_mathematics_with_an_answer_for_all_languages_is_chosen():
    rows = [
        *ROWS,
        Row(problem(1, language="fr")),
        Row(problem(2, problem="Calculate 3 + 4.")),
        Row(problem(3, answer="infinitely many")),
        Row(problem(4, kind="text", answer=None)),
        Row(problem(5), {ORIGINAL: "other"}),
        Row(problem(6, language=None)),
        Row(problem(7, language=None, problem=WORDED["de"].format(7))),
    ]
    assert [each.id for each in chosen(rows, 1.0)] == [*(row.problem.id for row in ROWS), "p/6"]
    some = chosen(ROWS, 0.25, seed=1)
    assert len(some) == 5
    assert some == chosen(ROWS, 0.25, seed=1) != chosen(ROWS, 0.25, seed=2)
    assert chosen(ROWS, 0.01) == []


def test_translations_stand_behind_their_originals_and_are_told_apart_by_language():
    texts = {
        ("p/20", "fr"): [drawn(20, "fr", WORDED["fr"].format(20))],
        ("p/20", "de"): [drawn(20, "de", WORDED["de"].format(25)), drawn(20, "de", WORDED["de"].format(20), 1)],
        ("p/21", "fr"): [drawn(21, "fr", WORDED["fr"].format(21), truncated=True)],
        ("p/22", "fr"): [Drawn("p/22", "fr", 0, "<think>I wonder", False, 3)],
        ("p/22", "de"): [drawn(22, "de", WORDED["de"].format(23))],
    }
    found = list(translate(ROWS[:3], ["p/20", "p/21", "p/22"], texts, ["fr", "de"], Thinking()))
    assert [(each.row.problem.id, each.reason) if isinstance(each, Dropped) else each.problem.id for each in found] == [
        "p/20",
        "fr/p/20",
        "de/p/20",
        "p/21",
        ("fr/p/21", CUT),
        ("de/p/21", step.MISSING),
        "p/22",
        ("fr/p/22", EMPTY),
        ("de/p/22", NUMBERS),
    ]
    french = found[1]
    assert (french.problem.language, french.problem.answer) == ("fr", "32")
    assert french.problem.problem == WORDED["fr"].format(20)
    assert french.notes == {"pass_rate": 0.5, ORIGINAL: "p/20"}
    told = found[-1].as_json()["dropped"]
    assert told == {"reason": NUMBERS, "found": "lost: 22; added: 23", "original": ENGLISH.format(22)}
    taken = list(translate([*ROWS[:1], french], ["p/20"], texts, ["fr"], Thinking()))
    assert taken[1].reason == step.TAKEN


def test_a_step_that_was_killed_draws_nothing_twice(tmp_path):
    problems, languages = [row.problem for row in ROWS], ["fr", "de"]

    def draw(generator, told=None):
        progress = None if told is None else (lambda done, total: told.append((done, total)))
        draw_translations(
            problems, languages, generator, ChatFormat(), Sampling(), tmp_path, samples=2, progress=progress
        )
        return generator.asked

    killed = Translator(after=31)
    with pytest.raises(RuntimeError):
        draw(killed)
    told = []
    rest = draw(Translator(), told)
    assert len(rest) == 80 - 31
    assert not set(rest) & set(killed.asked)
    assert told[-1] == (80, 80)
    assert draw(Translator()) == []
    texts = texts_in(tmp_path)
    assert all([each.sample for each in group] == [0, 1] for group in texts.values())
    kept = list(translate(ROWS, [each.id for each in problems], texts, languages, Thinking()))
    assert Counter(each.reason for each in kept if isinstance(each, Dropped)) == {NUMBERS: 2}
    assert sum(isinstance(each, Row) for each in kept) == 20 + 40 - 2


def test_a_translation_is_what_stands_behind_the_thoughts_without_its_wrapping():
    thinking = Thinking()
    for text in (
        "Combien ?",
        "<think>a\nb</think>\nCombien ?",
        "Voici la traduction :\n\nCombien ?",
        "<think></think>**Translation:**\n```text\nCombien ?\n```",
    ):
        assert translation_of(text, thinking) == "Combien ?"
    assert translation_of("<think>without end", thinking) == ""
    assert translation_of("without end", Thinking(opened_by_prompt=True)) == ""
    assert translation_of("Soit x :\nx = 3", thinking) == "x = 3"  # a heading by its looks: the checks will tell


def test_who_solves_the_original_solves_the_translation():
    rows = [Row(problem(n, id=f"fr/p/{n}", language="fr"), {ORIGINAL: f"p/{n}"}) for n in range(4)]
    tallies = {
        **{f"p/{n}": Tally(4, right) for n, right in enumerate((3, 3, 1, 2))},
        **{f"fr/p/{n}": Tally(4, right) for n, right in enumerate((0, 1, 0, 0))},
    }
    found = list(drop_unsolved([Row(problem(9)), *rows], tallies))
    assert [isinstance(each, Dropped) for each in found] == [False, True, False, False, True]
    assert found[1].as_json()["dropped"] == {"reason": step.UNSOLVED, "original_pass_rate": 0.75, "samples": 4}


TEXTS = st.lists(
    st.one_of(st.sampled_from(("right", "RIGHT", "")), st.text("ab 0129?$\n{}.é第", max_size=30)), max_size=2
)


@given(st.dictionaries(st.tuples(st.sampled_from(range(20, 26)), st.sampled_from(("fr", "de"))), TEXTS, max_size=8))
def test_rows_in_are_rows_out_and_dropped_by_reason(given_texts):
    """Whatever is drawn: originals all stay, each wanted language is accounted for, and what is right is kept."""
    wanted = {f"p/{n}" for n, _ in given_texts}
    texts, right = {}, set()
    for (n, language), some in given_texts.items():
        worded = {"right": WORDED[language].format(n), "RIGHT": WORDED[language].format(n).upper()}
        texts[f"p/{n}", language] = [
            Drawn(f"p/{n}", language, number, worded.get(text, text), False, 1) for number, text in enumerate(some)
        ]
        right |= {(f"p/{n}", language)} if "right" in some else set()
    found = list(translate(ROWS, wanted, texts, ["fr", "de"], Thinking()))
    kept = [each for each in found if isinstance(each, Row)]
    assert [row for row in kept if ORIGINAL not in row.notes] == ROWS
    assert len(found) == len(ROWS) + 2 * len(wanted)
    assert len({each.problem.id for each in kept}) == len(kept)
    assert all(each.reason for each in found if isinstance(each, Dropped))
    assert right <= {(row.notes[ORIGINAL], row.problem.language) for row in kept if ORIGINAL in row.notes}
