"""Instructions: each of the twenty-five kept and broken, by hand from the paper's table, and hostile responses."""

from __future__ import annotations

import time

import pytest

from magistral_recipe.verifiers.instructions import CHECKS, Instruction, follows, unknown_instructions

ENGLISH = "the weather today is fine and we are going to walk along the river until the evening comes"
GERMAN = "Das Wetter ist heute schön, und wir gehen am Fluss entlang, bis es Abend wird und die Sonne sinkt."

CASES = [  # name, options, kept, broken
    ("keywords:existence", {"keywords": ["river", "boat"]}, "A Boat on the river", "a river"),
    ("keywords:frequency", {"keyword": "ha", "frequency": 2, "relation": "at least"}, "Ha ha", "ha"),
    ("keywords:frequency", {"keyword": "ha", "frequency": 2, "relation": "less than"}, "ha", "ha ha"),
    ("keywords:forbidden_words", {"forbidden_words": ["cat"]}, "concatenate", "the Cat"),
    ("keywords:letter_frequency", {"letter": "e", "let_frequency": 2, "let_relation": "at least"}, "eE", "e"),
    ("language:response_language", {"language": "de"}, GERMAN, ENGLISH),
    ("language:response_language", {"language": "hi"}, "यह एक बहुत अच्छा दिन है और हम नदी के किनारे चल रहे हैं।", ENGLISH),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"}, "One. Two!", "One 2.5."),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "One.", "One. Two."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", "a\n\nb"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 3}, "a *** b *** c", "a *** *** c"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "one two three", "one two"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "then"},
        'First.\n\n"Then, second.',
        "Then.\n\nSecond.",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name], [street 1]", "[name"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Text.\nP. S. More.", "No pets."),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Text.\nP.P.S more", "Text.\nP.S. more"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* one\n- two", "* one\n** two **"),
    ("detectable_format:constrained_response", {}, "Well. My answer is maybe.", "My answer is perhaps."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*one* and **two**", "*one* and ** **"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "SECTION 1\na\nSECTION 2\nb",
        "SECTION 1\na\nSECTION b",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": [1]}\n```', "{'a': 1}"),
    ("detectable_format:title", {}, "<<A song>>\nla", "<< >>\nla"),
    ("combination:two_responses", {}, "one\n******\ntwo", "one\n******\none"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, "say it. It.", "It. Say it."),
    ("startend:end_checker", {"end_phrase": "The end."}, 'So "the END."', "The end. Or not"),
    ("startend:quotation", {}, ' "all of it" ', '"'),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"}, "GO ON", "Go ON"),
    ("change_case:english_capital", {}, ENGLISH.upper(), ENGLISH),
    ("change_case:english_lowercase", {}, ENGLISH, GERMAN.lower()),
    ("punctuation:no_comma", {}, "One; two", "One, two"),
]


@pytest.mark.parametrize(("name", "options", "kept", "broken"), CASES)
def test_each_is_kept_and_broken(name, options, kept, broken):
    assert follows(kept, Instruction(name, options))
    assert not follows(broken, Instruction(name, options))
    assert not follows("  \n", Instruction(name, options))


def test_all_twenty_five_are_there_and_tried():
    assert len(CHECKS) == 25
    assert {case[0] for case in CASES} == set(CHECKS)
    assert unknown_instructions(["punctuation:no_comma", "new:one"]) == ["new:one"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("new:one", {}),
        ("length_constraints:number_words", {"num_words": 3}),
        ("length_constraints:number_words", {"num_words": 3, "relation": "about"}),
        ("keywords:existence", {"keywords": None}),
    ],
)
def test_unusable_options_are_the_datas_fault(name, options):
    with pytest.raises(
        ValueError, match=name.replace(".", r"\.") if options != {"num_words": 3, "relation": "about"} else "about"
    ):
        follows("a response", Instruction(name, options))


@pytest.mark.parametrize(
    "piece", ["*", "[", "<<", "a.", "\n", "-", "SECTION ", "P.", '"', "***", "{", "[[", "**a", "a\n\n"]
)
def test_hostile_responses_take_no_time(piece):
    text = piece * (200_000 // len(piece))
    for name, options, _, _ in CASES:
        if name.startswith(("language", "change_case:english")):  # these sample long texts, tested with the detector
            continue
        started = time.process_time()
        follows(text, Instruction(name, options))
        assert time.process_time() - started < 2, (name, piece)
