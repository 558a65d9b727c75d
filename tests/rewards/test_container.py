r"""Where the final answer stands: a box, tags of one's own, or the text itself, for format and correctness alike."""

import pickle

import pytest

from magistral_recipe.rewards import FormatReward, MagistralReward, MathCorrectness, Thinking

ANSWER, SOLUTION = ("<answer>", "</answer>"), ("<SOLUTION>", "</SOLUTION>")


@pytest.mark.parametrize(
    ("container", "answer", "form", "right"),
    [
        (ANSWER, "<answer>4</answer>", 1.0, 1.0),
        (ANSWER, "So it is\n<answer>\n $4$ \n</answer>.", 1.0, 1.0),
        (ANSWER, r"<answer>The answer is \boxed{4}.</answer>", 1.0, 1.0),
        (ANSWER, "<answer>5</answer>", 1.0, 0.0),
        (ANSWER, r"\boxed{4}", 0.0, 0.0),
        (ANSWER, "<answer></answer>", 0.0, 0.0),
        (ANSWER, "<answer>4", 0.0, 0.0),
        (ANSWER, "</answer>4<answer>", 0.0, 0.0),
        (ANSWER, "<answer>5</answer><answer>4</answer>", 1.0, 0.0),
        (ANSWER, "<answer>4</answer><answer>4.0</answer>", 1.0, 1.0),
        (ANSWER, "<answer><answer>4</answer>", 1.0, 1.0),
        (["<answer>", "</answer>"], "<answer>4</answer>", 1.0, 1.0),
        (SOLUTION, "<SOLUTION>4</SOLUTION>", 1.0, 1.0),
        (SOLUTION, "<answer>4</answer>", 0.0, 0.0),
        ("text", "4", 1.0, 1.0),
        ("text", "  The answer is $4$.\n", 1.0, 1.0),
        ("text", "4 or 5", 1.0, 0.0),
        ("text", " ", 0.0, 0.0),
        ("boxed", r"\boxed{4}", 1.0, 1.0),
        ("boxed", "<answer>4</answer>", 0.0, 0.0),
    ],
)  # fmt: skip
def test_format_and_correctness_look_in_the_same_place(container, answer, form, right):
    completions = [f"<think>2+2</think>{answer}"]
    assert FormatReward(container=container)(completions=completions) == [form]
    assert MathCorrectness(container=container)(completions=completions, answer=["4"]) == [right]
    whole = pickle.loads(pickle.dumps(MagistralReward(container=container, weights={"language": 0})))
    assert whole(completions=completions, answer=["4"]) == [pytest.approx(form * (0.1 + 0.9 * right))]


def test_the_tags_of_unsloths_notebooks():
    tags = Thinking("<start_working_out>", "<end_working_out>")
    text = "<start_working_out>2+2<end_working_out><SOLUTION>4</SOLUTION>"
    assert MagistralReward(tags, container=SOLUTION).score(text, "4").value == pytest.approx(1.0)


@pytest.mark.parametrize("container", ["box", ("<a>",), ("<a>", ""), ("<a>", "<a>b"), 3, None, ("<a>", 3)])
def test_what_is_no_container(container):
    for reward in (FormatReward, MathCorrectness, MagistralReward):
        with pytest.raises(ValueError, match="container"):
            reward(container=container)


def test_only_a_box_must_be_paid_by_the_wiring_proof():
    assert MagistralReward().must_pay_perfect("math")
    for reward in (
        MagistralReward(container=ANSWER),
        FormatReward(container=ANSWER),
        MathCorrectness(container="text"),
    ):
        assert not reward.must_pay_perfect("math")


def test_a_megabyte_of_tags_costs_no_more_than_reading_it():
    import time

    reward = MathCorrectness(container=ANSWER)
    start = time.perf_counter()
    for text in ("<answer>" * 120_000, "<answer>4</answer>" * 50_000, "<answer>" + "4" * 1_000_000):
        assert reward.score(f"<think>x</think>{text}", "5").value == 0.0
    assert time.perf_counter() - start < 5
