from __future__ import annotations

import families
import pytest
from rich.console import Console

from magistral_recipe.check.perfect import boxed, perfect_completions
from magistral_recipe.check.wiring import prove_wiring
from magistral_recipe.check.wiring_report import Fault, ProofVerdict
from magistral_recipe.data.problems import Problem, Trace
from magistral_recipe.errors import RecipeError
from magistral_recipe.rewards import (
    FormatReward,
    Grade,
    LanguageConsistency,
    MagistralReward,
    MathCorrectness,
    Reason,
    RepetitionPenalty,
    Reward,
    Thinking,
)
from magistral_recipe.verifiers.language.detect import DEFAULT_LANGUAGES
from magistral_recipe.writing.chat_format import ChatFormat, stop_token_ids

PROBLEMS = [
    Problem(problem="What is 17 plus 25?", answer="42", language="en"),
    Problem(problem="Combien font 17 et 25 ?", answer="42", language="fr"),
]
PROBLEMS_OF_TEXT = [Problem(problem="Name a colour.", kind="text", answer="red", language="en")]
TAGS = Thinking()


def traces(thinking: Thinking = TAGS) -> list[Trace]:
    text = thinking.join("Seventeen and twenty-five make forty-two.", "It is $\\boxed{42}$.")
    return [Trace(problem=PROBLEMS[0].problem, answer="42", completion=text)]


def rewards(thinking: Thinking = TAGS) -> list:
    kinds = (FormatReward, MathCorrectness, LanguageConsistency, MagistralReward)
    return [kind(thinking=thinking) for kind in kinds]


def prove(tokenizer, chat: ChatFormat, stops=None, **changes):
    chat = chat.install(tokenizer)
    given = {"rewards": rewards(chat.thinking), "problems": PROBLEMS, "traces": traces()} | changes
    return prove_wiring(tokenizer, chat, generation_eos_ids=stops or stop_token_ids(tokenizer), **given)


def faults(report) -> list[Fault]:
    return [finding.fault for finding in report.findings]


@pytest.mark.parametrize("family", ["qwen3", "deepseek_distill", "qwq", "mistral", "llama"])
@pytest.mark.parametrize("tags", [TAGS, families.MISTRAL_TAGS])
def test_the_packages_template_is_proven_on_every_tokenizer(family, tags):
    report = prove(getattr(families, family)(), ChatFormat(tags, "magistral"), traces=traces(tags))
    assert report.findings == ()
    report.require()
    assert {proof.verdict for proof in report.proofs} == {ProofVerdict.PROVEN}
    assert {(proof.reward, proof.group) for proof in report.proofs} == {
        (name, group)
        for name in ("format_reward", "math_correctness", "language_consistency", "magistral_reward")
        for group in ("math en", "math fr")
    }
    assert all(proof.perfect == pytest.approx(proof.maximum) and not proof.empty for proof in report.proofs)


def test_the_row_is_shown_with_its_mask():
    tokenizer = families.qwen3()
    report = prove(tokenizer, ChatFormat())
    (prompt, prompt_trained), (completion, completion_trained) = report.row
    assert (prompt_trained, completion_trained) == (False, True)
    assert prompt == report.prompt == "<|im_start|>user\nWhat is 17 plus 25?<|im_end|>\n<|im_start|>assistant\n"
    assert completion == traces()[0].completion + "<|im_end|>"


@pytest.mark.parametrize("family", ["qwen3", "qwq"])
def test_a_family_template_that_keeps_the_thoughts_is_proven(family):
    report = prove(getattr(families, family)(), ChatFormat(template="tokenizer"))
    assert report.findings == ()
    assert {proof.verdict for proof in report.proofs} == {ProofVerdict.PROVEN}


def test_special_tags_of_mistral_are_proven_with_its_own_template():
    chat = ChatFormat(families.MISTRAL_TAGS, template="tokenizer")
    assert prove(families.mistral(), chat, traces=traces(families.MISTRAL_TAGS)).findings == ()


def test_skipping_special_tokens_is_found_where_tags_are_special():
    def skipping(tokenizer, ids, stop_ids):
        return tokenizer.decode(ids, skip_special_tokens=True)

    chat = ChatFormat(families.MISTRAL_TAGS)
    report = prove(families.mistral(), chat, traces=traces(families.MISTRAL_TAGS), decode=skipping)
    assert faults(report)[0] == Fault.TAG_LOST_IN_DECODING
    assert "[THINK]" in report.findings[0].message
    assert Fault.PERFECT_NOT_PAID in faults(report)
    with pytest.raises(RecipeError, match="decoding drops the tag"):
        report.require()


def test_a_template_that_strips_the_thoughts_is_found():
    report = prove(families.deepseek_distill(), ChatFormat(template="tokenizer"))
    assert faults(report)[:2] == [Fault.TEMPLATE_STRIPS_THOUGHTS, Fault.TEMPLATE_CHANGES_PROMPT]
    assert "leave `thinking.template` out" in report.findings[0].message
    assert Fault.PERFECT_NOT_PAID in faults(report)


def test_the_same_template_serves_rl_alone_where_no_turn_of_the_assistants_is_rendered():
    tokenizer = families.deepseek_distill()
    report = prove(tokenizer, ChatFormat(template="tokenizer"), traces=[])
    assert report.findings == ()
    assert report.row == ()
    assert report.prompt.endswith("<think>\n")
    assert report.completion.startswith("Let me think")


def test_a_tag_opened_by_the_template_behind_the_rewards_back_is_found():
    tokenizer = families.qwq()
    ChatFormat(template="tokenizer").install(tokenizer)
    unaware = ChatFormat(template="tokenizer")  # its `install` result, which knows, was thrown away
    report = prove_wiring(tokenizer, unaware, rewards(), PROBLEMS, traces(), stop_token_ids(tokenizer))
    assert faults(report)[0] == Fault.TEMPLATE_OPENS_TAG
    assert Fault.PERFECT_NOT_PAID in faults(report)


def test_rewards_made_for_other_tags_are_found():
    report = prove(families.qwen3(), ChatFormat(), rewards=[FormatReward(families.MISTRAL_TAGS)])
    assert faults(report) == [Fault.REWARD_TAGS_DIFFER, Fault.PERFECT_NOT_PAID]


def test_an_unknown_stop_token_is_found_and_named():
    tokenizer = families.llama()
    chat = ChatFormat(template="tokenizer")
    report = prove(tokenizer, chat, stops=[tokenizer.eos_token_id])
    assert faults(report) == [Fault.STOP_TOKEN_UNKNOWN]
    assert "ends on '<|eot_id|>', generation stops on '<|end_of_text|>'" in report.findings[0].message
    assert prove(tokenizer, chat).findings == ()  # stopping on what the template ends a turn with


def test_tags_that_the_tokenizer_cannot_write_are_found():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: index for index, word in enumerate(["<unk>", "</s>", "the", "answer"])}
    core = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="<unk>")
    assert faults(prove(tokenizer, ChatFormat(), rewards=[FormatReward()]))[0] == Fault.TAG_UNSPEAKABLE


def test_traces_with_other_tags_are_found():
    report = prove(families.qwen3(), ChatFormat(), traces=traces(families.MISTRAL_TAGS))
    assert faults(report) == [Fault.TRACES_LACK_TAGS]
    some = [*traces(), *traces(families.MISTRAL_TAGS)]
    report = prove(families.qwen3(), ChatFormat(), traces=some)
    assert report.findings == ()
    assert report.notes == ("chat template: the package's", "1 of the first 2 traces are not well-formed")


def test_a_reward_that_pays_for_nothing_is_found():
    class Generous(FormatReward):
        def grade(self, batch):
            return [grade._replace(value=1.0) for grade in super().grade(batch)]

    assert faults(prove(families.qwen3(), ChatFormat(), rewards=[Generous()])) == [Fault.EMPTY_PAID]


def test_a_missing_column_is_told_before_training():
    blank = [Problem(problem="Name a colour.", kind="text", language="en")]
    report = prove(families.qwen3(), ChatFormat(), rewards=[MathCorrectness(answer_column="gold")], problems=PROBLEMS)
    assert faults(report) == [Fault.REWARD_REFUSES]
    assert "gold" in report.findings[0].message
    report = prove(families.qwen3(), ChatFormat(), rewards=[FormatReward(), MathCorrectness()], problems=blank)
    assert [(proof.reward, proof.verdict) for proof in report.proofs] == [("format_reward", ProofVerdict.PROVEN)]


def test_other_rewards_are_shown_whatever_they_give():
    def likes_even_lengths(completions, **columns):
        return [float(len(completion[0]["content"]) % 2 == 0) for completion in completions]

    def refuses(completions, **columns):
        raise ValueError("needs a column 'mood'")

    def likes_few_letters(completions, **columns):
        return [-float(len(completion[0]["content"])) for completion in completions]

    rewards = [likes_even_lengths, refuses, RepetitionPenalty(), likes_few_letters]
    report = prove(families.qwen3(), ChatFormat(), rewards=rewards)
    assert report.findings == ()
    (note,) = [note for note in report.notes if note.startswith("likes_few_letters gives 0.00 for an empty completion")]
    assert note.endswith("alone it teaches to write nothing")
    assert {proof.verdict for proof in report.proofs if proof.reward == "likes_even_lengths"} == {ProofVerdict.SHOWN}
    (refused,) = [proof for proof in report.proofs if proof.reward == "refuses"]
    assert (refused.verdict, refused.note) == (ProofVerdict.UNPROVEN, "needs a column 'mood'")


class Polite(Reward):
    """Somebody else's reward, which says that perfect answers must earn its maximum."""

    default_name = "polite"
    maximum = 2.0
    pays_perfect = True
    paid = 2.0

    def grade(self, batch):
        return [Grade(self.paid if text else 0.0, Reason.RIGHT) for text in batch.texts(None)]


def test_a_reward_that_promises_its_maximum_is_held_to_it_whatever_its_class():
    report = prove(families.qwen3(), ChatFormat(), rewards=[Polite()])
    assert [(proof.verdict, proof.maximum) for proof in report.proofs] == [(ProofVerdict.PROVEN, 2.0)] * 2

    class Mean(Polite):
        paid = 1.5

    assert faults(prove(families.qwen3(), ChatFormat(), rewards=[Mean()])) == [Fault.PERFECT_NOT_PAID]

    class Refuses(Polite):
        def grade(self, batch):
            raise ValueError("needs a column 'mood'")

    assert faults(prove(families.qwen3(), ChatFormat(), rewards=[Refuses()])) == [Fault.REWARD_REFUSES]

    class NoPromise(Mean):
        pays_perfect = False

    report = prove(families.qwen3(), ChatFormat(), rewards=[NoPromise()])
    assert [proof.verdict for proof in report.proofs] == [ProofVerdict.SHOWN] * 2


def test_a_problem_of_another_kind_is_known_by_the_reason_not_by_words_that_look_like_it():
    def talks(completions, log_extra, **columns):
        log_extra("talks/remark", ["an other_kind of answer"] * len(completions))
        return [None] * len(completions)

    report = prove(families.qwen3(), ChatFormat(), rewards=[talks, MathCorrectness()], problems=PROBLEMS_OF_TEXT)
    assert [(proof.reward, proof.verdict) for proof in report.proofs] == [("talks", ProofVerdict.SHOWN)]
    assert report.proofs[0].note == "remark an other_kind of answer"


def test_a_sum_whose_correctness_is_someone_elses_is_shown():
    foreign = MagistralReward(correctness=lambda completions, **columns: [0.5] * len(completions))
    report = prove(families.qwen3(), ChatFormat(), rewards=[foreign])
    assert [proof.verdict for proof in report.proofs] == [ProofVerdict.SHOWN] * 2
    report = prove(families.qwen3(), ChatFormat(), rewards=[MagistralReward()], problems=PROBLEMS_OF_TEXT)
    assert [proof.verdict for proof in report.proofs] == [ProofVerdict.SHOWN]


def test_a_length_penalty_on_the_perfect_answer_is_no_fault():
    reward = MagistralReward(max_length=40, cache=10)
    report = prove(families.qwen3(), ChatFormat(), rewards=[reward])
    assert {proof.verdict for proof in report.proofs} == {ProofVerdict.PROVEN}
    assert all(proof.perfect == pytest.approx(1.0) for proof in report.proofs)


def test_code_without_a_solution_is_unproven():
    tests = '{"type": "stdio", "cases": [{"input": "1", "output": "1"}]}'
    problem = Problem(problem="Echo a number.", tests=tests, kind="code", language="en")
    report = prove(families.qwen3(), ChatFormat(), rewards=[FormatReward()], problems=[problem])
    assert [(proof.group, proof.verdict) for proof in report.proofs] == [("code en", ProofVerdict.UNPROVEN)]
    assert "can't be made up" in report.proofs[0].note
    solved = problem.model_copy(update={"solution": "print(input())"})
    report = prove(families.qwen3(), ChatFormat(), rewards=[FormatReward()], problems=[solved])
    assert [proof.verdict for proof in report.proofs] == [ProofVerdict.PROVEN]


def test_the_report_fits_a_terminal():
    console = Console(width=110)
    with console.capture() as capture:
        llama = families.llama()
        console.print(prove(llama, ChatFormat(template="tokenizer"), stops=[llama.eos_token_id]).render())
    text = capture.get()
    assert "What is 17 plus 25?" in text
    assert "chat template: the tokenizer's own" in text
    assert "generation doesn't know the stop token" in text
    assert "Wiring proven." not in text
    assert "math en fr" in text


# ---------------------------------------------------------------------------------------- perfect completions


def test_there_are_seventeen_languages_to_try():
    assert len(set(DEFAULT_LANGUAGES)) == 17


@pytest.mark.parametrize("language", DEFAULT_LANGUAGES)
def test_perfect_completions_are_in_the_problems_language(language):
    problem = Problem(problem="17 + 25", answer="42", language=language)
    (completion,) = perfect_completions(problem, TAGS)
    assert LanguageConsistency()(completions=[completion], language=[language]) == [1.0]
    assert MathCorrectness()(completions=[completion], answer=["42"]) == [1.0]


def test_a_language_nobody_wrote_sentences_for_borrows_the_problems_words():
    text = "Kuinka monta omenaa Liisalla on, kun hän saa kaksi omenaa lisää?"
    (completion,) = perfect_completions(Problem(problem=text, answer="4", language="fi"), TAGS)
    assert TAGS.split(completion).thoughts.strip() == text


def test_the_problems_solution_is_used_and_the_bare_reference_is_the_second_try():
    problem = Problem(problem="17 + 25?", answer="42", solution="Add them up.", language="en")
    first, second = perfect_completions(problem, TAGS)
    assert "Add them up." in first
    assert "\\boxed{42}" in first
    assert "Add them up." not in second


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("42", "\\boxed{42}"), ("$\\frac12$", "\\boxed{\\frac12}"), ("\\boxed{7}", "\\boxed{7}"), ("$$x$$", "\\boxed{x}")],
)
def test_references_are_boxed_once(reference, expected):
    assert boxed(reference) == expected
