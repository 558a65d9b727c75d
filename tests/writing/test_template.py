from __future__ import annotations

import families
import pytest

from magistral_recipe.errors import DataError
from magistral_recipe.writing.chat_format import ChatFormat, stop_token_ids
from magistral_recipe.writing.template import TemplateTraits, inspect_template, template_text
from magistral_recipe.writing.thinking import Thinking

# What each family is known to do, from its published template.
EXPECTED = {
    "qwen3": TemplateTraits(False, True, False, True, True, "<|im_end|>\n"),
    "deepseek_distill": TemplateTraits(True, False, False, False, True, "<｜end▁of▁sentence｜>"),
    "qwq": TemplateTraits(True, True, True, True, True, "<|im_end|>\n"),
    "llama": TemplateTraits(False, True, True, True, True, "<|eot_id|>"),
}


@pytest.mark.parametrize("family", EXPECTED)
def test_a_familys_habits_are_found_by_rendering(family):
    assert inspect_template(getattr(families, family)(), Thinking()) == EXPECTED[family]


def test_special_tags_are_seen():
    traits = inspect_template(families.mistral(), families.MISTRAL_TAGS)
    assert traits == TemplateTraits(False, True, True, True, True, "</s>")


@pytest.mark.parametrize("family", [*EXPECTED, "mistral"])
def test_the_package_template_has_no_defect_on_any_tokenizer(family):
    tokenizer = getattr(families, family)()
    ChatFormat().install(tokenizer)
    traits = inspect_template(tokenizer, Thinking())
    assert traits == TemplateTraits(False, True, True, True, True, tokenizer.eos_token)
    assert traits.defects() == []


def test_stripping_is_named_with_a_remedy():
    defects = inspect_template(families.deepseek_distill(), Thinking()).defects()
    assert len(defects) == 2
    assert "strips or doubles the thoughts" in defects[0]
    assert all("package's own template" in defect for defect in defects)


def test_a_template_that_writes_the_tag_a_second_time_is_found():
    tokenizer = families.qwq()
    tokenizer.chat_template = tokenizer.chat_template.replace("message.role + '\\n'", "message.role + '\\n<think>\\n'")
    assert not inspect_template(tokenizer, Thinking()).keeps_thoughts


def test_a_template_that_refuses_a_system_turn():
    tokenizer = families.llama()
    tokenizer.chat_template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
    ) + tokenizer.chat_template
    assert inspect_template(tokenizer, Thinking()).shows_system is None


REFUSES = "{% if messages[0].role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
CHOICES = [
    ("qwen3", lambda own: own, "tokenizer", "the tokenizer's own"),
    ("llama", lambda own: own, "tokenizer", "the tokenizer's own"),
    ("qwq", lambda own: own, "tokenizer", "the tokenizer's own"),
    ("deepseek_distill", lambda own: own, "magistral", "which strips or doubles the thoughts"),
    ("llama", lambda own: REFUSES + own, "magistral", "which refuses a system turn"),
    ("llama", lambda own: own.replace("<|eot_id|>", " "), "magistral", "on no token that generation could stop on"),
    ("llama", lambda own: "{{ raise_exception('tools only') }}", "magistral", "tools only"),
    ("llama", lambda own: None, "magistral", "the tokenizer has none of its own"),
    ("llama", lambda own: template_text(None), "magistral", "which was saved with the model"),
]


@pytest.mark.parametrize(("family", "change", "chosen", "words"), CHOICES)
def test_a_tokenizers_own_template_is_taken_where_nothing_is_lost_by_it_and_the_choice_is_said(
    family, change, chosen, words
):
    tokenizer = getattr(families, family)()
    tokenizer.chat_template = own = change(tokenizer.chat_template)
    chat = ChatFormat(system_prompt="magistral", template="auto").install(tokenizer)
    assert (chat.template, words in chat.told) == (chosen, True)
    assert tokenizer.chat_template == (own if chosen == "tokenizer" else template_text(None))
    last = chat.training_row(tokenizer, "2+2?", chat.thinking.join("Two and two.", "4")).completion_ids
    assert set(last) & set(stop_token_ids(tokenizer)), "a completion that SFT teaches would never end"


def test_a_template_that_refuses_system_turns_is_its_own_where_there_is_none():
    tokenizer = families.llama()
    tokenizer.chat_template = REFUSES + tokenizer.chat_template
    assert ChatFormat(template="auto").install(tokenizer).template == "tokenizer"


def test_a_template_that_cannot_render_is_the_users_error():
    tokenizer = families.llama()
    tokenizer.chat_template = "{{ raise_exception('tools only') }}"
    with pytest.raises(DataError, match="tools only"):
        inspect_template(tokenizer, Thinking())


def test_the_package_template_ships_with_the_package():
    assert "generation" in (template_text(None) or "")
    assert template_text("magistral") == template_text(None)
    assert template_text("tokenizer") is None
