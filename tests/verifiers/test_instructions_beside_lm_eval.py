"""The instructions beside the published program, as lm-evaluation-harness carries it: the same verdict on any text.

Left out are the five that need what is not in a package: punkt's model of sentences, on which its words in capitals
stand too, and langdetect, whose verdicts on a sentence or two change from call to call.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("lm_eval", reason="needs lm-evaluation-harness: pip install 'magistral-recipe[compare]'")
pytest.importorskip("langdetect", reason="needs langdetect: pip install 'magistral-recipe[compare]'")

from magistral_recipe.verifiers.instructions import CHECKS, Instruction, follows

pytestmark = pytest.mark.slow

WORDS = [
    "river",
    "Boat",
    "the",
    "cat",
    "Cat.",
    "My answer is yes.",
    "Say it.",
    "Then,",
    "the end",
    "é",
    "x-y",
    "SECTION",
]
MARKS = [
    "\n",
    "\n\n",
    " ",
    "  ",
    "*",
    "**",
    "***",
    "******",
    "-",
    "[",
    "]",
    "<<",
    ">>",
    '"',
    "'",
    ",",
    ".",
    "<",
    ">",
    "\t",
]
PIECES = [
    *WORDS,
    *MARKS,
    "SECTION 1",
    "Section 2",
    "p.s.",
    "P.P.S",
    "P. S.",
    "ps",
    "```json\n",
    "```",
    '{"a": 1}',
    "7",
    "!",
]

OPTIONS = {
    "keywords:existence": [{"keywords": ["river", "boat"]}, {"keywords": ["cat"]}],
    "keywords:frequency": [{"keyword": "cat", "frequency": 2, "relation": r} for r in ("at least", "less than")],
    "keywords:forbidden_words": [{"forbidden_words": ["cat", "boat"]}],
    "keywords:letter_frequency": [
        {"letter": "e", "let_frequency": 3, "let_relation": r} for r in ("at least", "less than")
    ],
    "length_constraints:number_paragraphs": [{"num_paragraphs": n} for n in (1, 2, 3)],
    "length_constraints:number_words": [{"num_words": 4, "relation": r} for r in ("at least", "less than")],
    "length_constraints:nth_paragraph_first_word": [
        {"num_paragraphs": n, "nth_paragraph": nth, "first_word": word}
        for n, nth in ((1, 1), (2, 1), (2, 2), (3, 2))
        for word in ("then", "river", "cat")
    ],
    "detectable_content:number_placeholders": [{"num_placeholders": n} for n in (1, 2)],
    "detectable_content:postscript": [{"postscript_marker": m} for m in ("P.S.", "P.P.S")],
    "detectable_format:number_bullet_lists": [{"num_bullets": n} for n in (1, 2)],
    "detectable_format:constrained_response": [{}],
    "detectable_format:number_highlighted_sections": [{"num_highlights": n} for n in (1, 2)],
    "detectable_format:multiple_sections": [{"section_spliter": s, "num_sections": 1} for s in ("SECTION", "Section")],
    "detectable_format:json_format": [{}],
    "detectable_format:title": [{}],
    "combination:two_responses": [{}],
    "combination:repeat_prompt": [{"prompt_to_repeat": "Say it."}],
    "startend:end_checker": [{"end_phrase": "the end"}],
    "startend:quotation": [{}],
    "punctuation:no_comma": [{}],
}
NOT_COMPARED = {
    "length_constraints:number_sentences",
    "change_case:capital_word_frequency",
    "language:response_language",
    "change_case:english_capital",
    "change_case:english_lowercase",
}


@pytest.fixture(scope="module")
def published():
    """The published program: a name, options and a response to whether it follows, by its strict rule."""
    import nltk

    find, nltk.data.find = nltk.data.find, lambda *args, **kwargs: None  # it would download what is not used here
    try:
        from lm_eval.tasks.ifeval.instructions_registry import INSTRUCTION_DICT
    finally:
        nltk.data.find = find

    def follows(name: str, options: dict, response: str) -> bool:
        instruction = INSTRUCTION_DICT[name](name)
        instruction.build_description(**options)
        return bool(response.strip()) and bool(instruction.check_following(response))

    return follows


def test_every_instruction_is_compared_or_named():
    assert set(OPTIONS) | NOT_COMPARED == set(CHECKS)


@pytest.mark.parametrize("name", OPTIONS)
@settings(max_examples=1500, deadline=None)
@given(pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=14))
def test_verdicts_are_the_published_ones(published, name, pieces):
    response = "".join(pieces)
    for options in OPTIONS[name]:
        assert follows(response, Instruction(name, options)) == published(name, options, response), (options, response)
