from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import families
import pytest

from magistral_recipe.errors import DataError
from magistral_recipe.writing.chat_format import SYSTEM_PROMPTS, ChatFormat, decode_completion, stop_token_ids
from magistral_recipe.writing.template import ChatTemplateError, prompt_opens_thinking
from magistral_recipe.writing.thinking import Thinking

COMPLETION = "<think>\nTwo and two.\n</think>\nIt is \\boxed{4}."


def test_importing_the_format_loads_no_model_library():
    code = (
        "import magistral_recipe.writing.chat_format, sys; print({'torch', 'transformers', 'trl'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_messages_with_and_without_a_system_prompt():
    assert ChatFormat().messages("2+2?") == [{"role": "user", "content": "2+2?"}]
    own = ChatFormat(Thinking("[T]", "[/T]"), "Think inside {open} and {close}; \\boxed{} it.")
    assert own.messages("2+2?")[0] == {"role": "system", "content": "Think inside [T] and [/T]; \\boxed{} it."}


def test_the_magistral_prompt_names_the_tags_and_the_box():
    text = ChatFormat(Thinking("[THINK]", "[/THINK]"), "magistral").system_text
    assert text is not None
    assert "between [THINK] and [/THINK]" in text
    assert "\\boxed{}" in text
    assert "{open}" in SYSTEM_PROMPTS["magistral"]


def test_a_misspelt_prompt_name_is_not_taken_for_a_prompt():
    with pytest.raises(ValueError, match="Did you mean 'magistral'"):
        ChatFormat(system_prompt="magistal")


@pytest.mark.parametrize("family", ["qwen3", "deepseek_distill", "qwq", "mistral", "llama"])
def test_the_package_template_fits_every_tokenizer(family):
    tokenizer = getattr(families, family)()
    chat = ChatFormat(system_prompt="Think in the language of the task.").install(tokenizer)
    row = chat.training_row(tokenizer, "2+2?", COMPLETION)

    assert not chat.thinking.opened_by_prompt
    assert row.lost_prompt == ""
    assert row.ids[-1] == tokenizer.eos_token_id
    assert decode_completion(tokenizer, row.completion_ids) == COMPLETION
    prompt = chat.prompt_ids(tokenizer, "2+2?")
    assert row.ids[: len(prompt)] == prompt
    assert "Think in the language of the task." in tokenizer.decode(prompt)


def test_the_template_marks_the_assistants_words_and_their_stop_token():
    tokenizer = families.qwen3()
    chat = ChatFormat().install(tokenizer)
    example = chat.example("2+2?", COMPLETION)
    turns = [*example["prompt"], *example["completion"], {"role": "user", "content": "3+3?"}, *example["completion"]]
    out = tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    marked = [i for i, on in zip(out["input_ids"], out["assistant_masks"], strict=True) if on]
    assert tokenizer.decode(marked) == f"{COMPLETION}<|im_end|>" * 2


def test_a_beginning_of_text_is_written_once_and_only_where_it_is_one():
    mistral, smollm = (
        families.mistral(),
        families.byte_tokenizer(eos="<|im_end|>", bos="<|im_start|>", special=("<|im_start|>", "<|im_end|>")),
    )
    for tokenizer in (mistral, smollm):
        chat = ChatFormat().install(tokenizer)
        assert chat.prompt_ids(tokenizer, "2+2?").count(tokenizer.bos_token_id) == (1 if tokenizer is mistral else 2)


def test_an_opened_tag_is_found_by_rendering_and_left_out_of_the_completion():
    tokenizer = families.qwq()
    chat = ChatFormat(template="tokenizer").install(tokenizer)
    assert chat.thinking.opened_by_prompt
    row = chat.training_row(tokenizer, "2+2?", chat.thinking.join("Two and two.", "\\boxed{4}"))
    text = decode_completion(tokenizer, row.completion_ids)
    assert text.startswith("Two and two.")
    assert chat.thinking.split(text).well_formed
    assert not prompt_opens_thinking(families.qwen3(), Thinking())


@pytest.mark.parametrize("kind", ["plain", "added", "special"])
def test_tags_survive_decoding_whatever_kind_of_token_they_are(kind):
    tags = ("<think>", "</think>")
    added, special = (tags if kind == "added" else (), tags if kind == "special" else ())
    tokenizer = families.byte_tokenizer(eos="</s>", special=("</s>", "<pad>", *special), added=added, pad_token="<pad>")
    ids = tokenizer.encode(COMPLETION + "</s><pad><pad>", add_special_tokens=False)
    assert decode_completion(tokenizer, ids) == COMPLETION
    dropped_by_default = tokenizer.decode(ids, skip_special_tokens=True)
    assert ("<think>" in dropped_by_default) == (kind != "special")


def test_a_turn_end_that_only_the_generation_config_knows_is_dropped():
    tokenizer = families.llama()
    ids = tokenizer.encode("\\boxed{4}<|eot_id|>", add_special_tokens=False)
    assert decode_completion(tokenizer, ids) == "\\boxed{4}"
    odd = families.byte_tokenizer(special=("</s>", "[STOP]"))
    ids = odd.encode("4[STOP]", add_special_tokens=False)
    assert decode_completion(odd, ids) == "4[STOP]"
    assert decode_completion(odd, ids, stop_ids=[ids[-1]]) == "4"


def test_decoding_keeps_spaces_before_punctuation():
    tokenizer = families.qwen3()
    text = "Combien ? 3 , 4 ."
    assert decode_completion(tokenizer, tokenizer.encode(text)) == text


def test_stop_tokens_are_the_tokenizers_and_the_generation_configs():
    tokenizer = families.llama()
    eot = tokenizer.convert_tokens_to_ids("<|eot_id|>")
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=[eot, tokenizer.eos_token_id]))
    assert stop_token_ids(tokenizer) == [tokenizer.eos_token_id, eot]  # its template ends a turn on another
    tokenizer.chat_template = None
    assert stop_token_ids(tokenizer) == [tokenizer.eos_token_id]
    assert stop_token_ids(tokenizer, model) == [tokenizer.eos_token_id, eot]
    assert stop_token_ids(tokenizer, SimpleNamespace(eos_token_id=eot)) == [tokenizer.eos_token_id, eot]
    assert stop_token_ids(tokenizer, SimpleNamespace(eos_token_id=None)) == [tokenizer.eos_token_id]


def test_install_names_what_is_missing(tmp_path):
    with pytest.raises(DataError, match="no chat template"):
        ChatFormat(template="tokenizer").install(families.byte_tokenizer())
    with pytest.raises(DataError, match=r"nowhere\.jinja"):
        ChatFormat(template=str(tmp_path / "nowhere.jinja")).install(families.qwen3())
    headless = families.byte_tokenizer()
    headless.eos_token = None
    with pytest.raises(DataError, match="eos_token"):
        ChatFormat().install(headless)


def test_a_template_file_is_used(tmp_path):
    file = tmp_path / "mine.jinja"
    file.write_text("{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}")
    tokenizer = families.qwen3()
    chat = ChatFormat(template=str(file)).install(tokenizer)
    assert tokenizer.decode(chat.prompt_ids(tokenizer, "2+2?")) == "2+2?<|im_end|>"


def test_a_recipes_section_is_read_in_one_way():
    text = "Think between {open} and {close}."
    assert ChatFormat.of_section("<a>", "</a>", text, "tokenizer") == ChatFormat(
        Thinking("<a>", "</a>"), system_prompt=text, template="tokenizer"
    )
    assert ChatFormat.of_section("<a>", "</a>", "none", "magistral").system_prompt is None
    with pytest.raises(ValueError, match="system prompt 'novel' is unknown"):
        ChatFormat.of_section("<a>", "</a>", "novel", "magistral")


def test_a_template_that_refuses_or_breaks_on_a_system_turn_is_the_users_error():
    for trap in ("raise_exception('no system turn')", "messages[0].content + messages[0].nothing.at.all", "1 + 'a'"):
        tokenizer = families.llama()
        tokenizer.chat_template = (
            "{% if messages[0].role == 'system' %}{{ " + trap + " }}{% endif %}" + tokenizer.chat_template
        )
        with pytest.raises(ChatTemplateError, match="refuses a system turn") as caught:
            ChatFormat(system_prompt="magistral", template="tokenizer").install(tokenizer)
        assert caught.value.key == "system_prompt"
        assert len(str(caught.value).splitlines()) == 1
        assert ChatFormat(template="tokenizer").install(tokenizer).system_text is None


@pytest.mark.parametrize("family", ["qwen3", "mistral", "llama"])
@pytest.mark.parametrize("template", [None, "tokenizer"])
def test_an_end_token_that_a_trace_brings_along_is_not_doubled(family, template):
    tokenizer = getattr(families, family)()
    chat = ChatFormat(template=template).install(tokenizer)
    end = tokenizer.eos_token
    plain = chat.training_row(tokenizer, "2+2?", COMPLETION)
    for tail in (end, f"\n{end}\n", end + end):
        assert chat.training_row(tokenizer, "2+2?", COMPLETION + tail) == plain
    middle = chat.training_row(tokenizer, "2+2?", COMPLETION.replace("4", f"4{end}4", 1))
    assert middle.ids.count(tokenizer.eos_token_id) == plain.ids.count(tokenizer.eos_token_id) + 1
