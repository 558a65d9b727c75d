"""Completions read from token ids: what is kept, what is dropped, what is left as it was, and who may decode."""

import logging
import pickle

import families
import pytest

from magistral_recipe.rewards import FormatReward, MathCorrectness, OverlongPenalty, registry
from magistral_recipe.rewards.decoding import decoded, tokenizer_of
from magistral_recipe.rewards.magistral import call_reward

TAGS = families.MISTRAL_TAGS
RIGHT = "[THINK]two and two[/THINK]It is \\boxed{4}."
OPTIONS = {"length": {"max_length": 40, "cache": 10}, "reasoning_language": {"language": "en"}}


def ids_of(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def test_special_tokens_are_kept_stops_and_padding_dropped():
    tokenizer = families.mistral()
    end = tokenizer.eos_token_id
    ids = [ids_of(tokenizer, RIGHT), [*ids_of(tokenizer, RIGHT), end], [*ids_of(tokenizer, RIGHT), end, end]]
    assert decoded(["", "x", "y"], ids, tokenizer, TAGS) == [RIGHT] * 3


def test_a_completion_cut_at_a_tag_keeps_it():
    tokenizer = families.mistral()
    assert decoded([""], [ids_of(tokenizer, "[THINK]ab[/THINK]")], tokenizer, TAGS) == ["[THINK]ab[/THINK]"]


def test_a_stop_token_that_the_tokenizer_does_not_name_is_dropped_at_the_end_alone():
    marks = ("</s>", "[THINK]", "[/THINK]", "<|user|>")
    tokenizer = families.byte_tokenizer(special=marks, pad_token="</s>")
    ids = ids_of(tokenizer, "[THINK]a<|user|>b[/THINK]c<|user|>")
    assert decoded([""], [ids], tokenizer, TAGS) == ["[THINK]a<|user|>b[/THINK]c"]


def test_ids_win_over_text_in_the_shape_that_was_given():
    tokenizer = families.mistral()
    ids = [ids_of(tokenizer, RIGHT)] * 2
    turn = {"role": "assistant", "content": "another text"}
    assert decoded([[turn], "another text"], ids, tokenizer, TAGS) == [[{"role": "assistant", "content": RIGHT}], RIGHT]


def test_a_conversation_with_tools_stays_as_it_is():
    turns = [
        {"role": "assistant", "content": "", "tool_calls": []},
        {"role": "tool", "content": "4"},
        {"role": "assistant", "content": RIGHT},
    ]
    tokenizer = families.mistral()
    assert decoded([turns], [ids_of(tokenizer, "all of it")], tokenizer, TAGS) == [turns]


class Bare:
    """The least that a tokenizer can be: pieces by number, as other projects may have it."""

    eos_token_id = 0
    all_special_ids = (0, 1, 2)
    pieces = ("<eos>", "<think>", "</think>", "two", "\\boxed{4}")

    def decode(self, ids, skip_special_tokens=False, **_):
        return "".join(self.pieces[i] for i in ids if not (skip_special_tokens and i in self.all_special_ids))


class RaisesOnAdded(Bare):
    """As Mistral's own class in transformers, which has a method where others have a mapping."""

    tokenizer = object()

    def added_tokens_decoder(self):
        raise NotImplementedError


class Processor:
    """As of models that see images: a tokenizer inside, no end token of its own."""

    tokenizer = Bare()


@pytest.mark.parametrize("tokenizer", [Bare(), RaisesOnAdded(), Processor()], ids=["bare", "mistral", "processor"])
def test_anything_that_decodes_will_do(tokenizer):
    reward = pickle.loads(pickle.dumps(MathCorrectness(tokenizer=tokenizer)))
    ids = [[1, 3, 2, 4, 0], [1, 3, 4, 0]]
    assert reward(completions=["two\\boxed{4}"] * 2, completion_ids=ids, answer=["4"] * 2) == [1.0, 0.0]


@pytest.mark.parametrize("wrong", ["mistralai/Magistral-Small-2506", 3, {}])
def test_what_can_not_decode_is_refused(wrong):
    with pytest.raises(ValueError, match="expected the model's tokenizer"):
        FormatReward(tokenizer=wrong)


def test_no_tokenizer_is_none():
    assert tokenizer_of(None) is None


def test_every_reward_takes_a_tokenizer_and_reads_ids_with_it():
    names = list(registry.TABLE)
    assert len(names) == 8
    for name in names:
        reward = registry.build(name, {**OPTIONS.get(name, {}), "tokenizer": Bare()})
        batch = reward.batch(None, ["lost"], [[1, 3, 2, 4, 0]], None, {})
        assert batch.completions == ["<think>two</think>\\boxed{4}"], name


def test_without_ids_the_text_counts():
    reward = MathCorrectness(tokenizer=Bare())
    assert reward(completions=["<think>2+2</think>\\boxed{4}", "\\boxed{4}"], answer=["4"] * 2) == [1.0, 0.0]


def test_a_part_with_a_tokenizer_reads_ids_inside_a_sum():
    inner, batch = (
        MathCorrectness(tokenizer=Bare()),
        OverlongPenalty(9, 1).batch(None, ["lost"], [[1, 3, 2, 4, 0]], None, {"answer": ["4"]}),
    )
    assert [grade.value for grade in call_reward(inner, batch)] == [1.0]


def told(caplog, reward, *batches, **columns):
    with caplog.at_level(logging.WARNING):
        for completions in batches:
            reward(completions=completions, **{name: [value] * len(completions) for name, value in columns.items()})
    return [record.getMessage() for record in caplog.records if "malformed" in record.getMessage()]


def test_with_a_tokenizer_special_tokens_are_not_named_as_the_cause(caplog):
    (message,) = told(caplog, FormatReward(tokenizer=Bare()), ["4"] * 64)
    assert "give the reward `tokenizer=`" not in message
    assert "`thinking=`" in message


def test_rewards_that_need_no_thoughts_say_nothing(caplog):
    silent = [FormatReward(thinking=None), MathCorrectness(thinking=None), registry.build("repetition")]
    for reward in silent:
        assert told(caplog, reward, ["It is \\boxed{4}."] * 64, answer="4") == []
