"""Overlap of training and held-out problems, against the definition and on texts made to hide it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.data.decontaminate import Overlap, decontaminate, find_overlaps, problem_words, words
from magistral_recipe.data.problems import Problem
from magistral_recipe.data.sources import ProblemsSource, load_problems


def posed(*texts: str) -> list[Problem]:
    return [Problem(problem=text, answer="1") for text in texts]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("What is 5+3?", ["what", "is", "5", "+", "3"]),
        ("WHAT  is\n5 + 3 !", ["what", "is", "5", "+", "3"]),
        ("５＋３", ["5", "+", "3"]),
        ("1.5 and 1,000. Then 2", ["1.5", "and", "1,000", "then", "2"]),
        (r"Find $x^{2} - 1$", ["find", "x", "^", "2", "-", "1"]),
        ("7 − 2", ["7", "-", "2"]),
        ("求x的值", ["求", "x", "的", "值"]),
        ("L'élève, où est-il ?", ["l", "élève", "où", "est", "-", "il"]),
        ("Straße", ["strasse"]),
        ("...", []),
    ],
)
def test_words_keep_what_a_problem_means(text, kept):
    assert words(text) == kept


@pytest.mark.parametrize(
    ("train", "heldout"),
    [
        ("What is 5 + 3?", "what is  5+3"),
        ("What is 5 + 3?", "What is 5 + 3?"),
        (r"Solve $x^{2}=4$.", "Solve x^2 = 4"),
        ("求 x 的值。", "求x的值"),
    ],
)
def test_short_problems_with_the_same_words_are_found(train, heldout):
    (overlap,) = find_overlaps(posed(train), posed("Something else entirely", heldout))
    assert (overlap.kind, overlap.heldout, overlap.share) == ("exact", 1, 1.0)


@pytest.mark.parametrize(
    ("train", "heldout"),
    [
        ("What is 5 + 3?", "What is 5 - 3?"),
        ("What is 1.5 plus 2?", "What is 15 plus 2?"),
        ("What is 12 plus 3?", "What is 1 plus 23?"),
        ("?!", "..."),
        ("one two three four five six seven", "zero one two three four five six seven"),
    ],
)
def test_other_problems_are_not(train, heldout):
    assert find_overlaps([Problem(problem=train, answer="1")], posed(heldout)) == []


def test_a_copy_inside_a_longer_text_is_found_by_its_eight_words():
    heldout = posed("unrelated words in a row that nobody would ever copy", "a b c d e f g h i j")
    (overlap,) = find_overlaps(posed("nothing", "Please solve: A, b, c; d e f g h I! Thanks."), heldout)
    # Held out are three 8-grams, from a, b and c on; the training text has the first two.
    assert overlap == Overlap(1, 1, "ngram", 2, 2 / 3, "a b c d e f g h")


def test_chinese_copies_are_found_though_nothing_separates_the_words():
    (overlap,) = find_overlaps(posed("请问:小明有五个苹果又买三个,共几个?"), posed("小明有五个苹果又买三个"))
    assert (overlap.kind, overlap.share) == ("ngram", 1.0)


def test_a_share_lets_exercises_from_one_template_pass_but_not_copies():
    template = "A farmer has {} apples and buys {} more. How many apples are there now in all?"
    heldout = posed(template.format(12, 30))
    train = posed(template.format(47, 38), "Think! " + template.format(12, 30))
    assert [overlap.train for overlap in find_overlaps(train, heldout)] == [0, 1]
    assert [overlap.train for overlap in find_overlaps(train, heldout, min_share=0.8)] == [1]


def test_what_is_removed_is_counted():
    train = posed("What is 1 plus 1?", "What is 2 plus 2?", "what is 1 plus 1", "a b c d e f g h and more")
    cleaned = decontaminate(train, posed("What is 1 plus 1?", "a b c d e f g h"))
    assert cleaned.kept == [train[1]]
    assert [(overlap.train, overlap.heldout, overlap.kind) for overlap in cleaned.overlaps] == [
        (0, 0, "exact"),
        (2, 0, "exact"),
        (3, 1, "ngram"),
    ]
    assert cleaned.summary() == ("3 of 4 training problems repeat 2 held-out ones (2 word for word) and are removed")


@pytest.mark.parametrize("options", [{"ngram": 0}, {"min_share": 1.1}, {"min_share": -0.1}])
def test_impossible_settings_are_refused(options):
    with pytest.raises(ValueError, match="must be"):
        find_overlaps([], [], **options)


sentences = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=9).map(" ".join)


@settings(max_examples=100, deadline=None)
@given(st.lists(sentences, max_size=5), st.lists(sentences, max_size=5), st.integers(1, 4))
def test_overlaps_match_their_definition(train, heldout, ngram):
    def grams(text: str) -> list[str]:  # plain strings, no code shared with the index
        return [" ".join(text.split()[i : i + ngram]) for i in range(len(text.split()) - ngram + 1)]

    expected = []
    for number, text in enumerate(train):
        shares = [
            1.0 if text == other else len(set(grams(text)) & set(grams(other))) / max(len(set(grams(other))), 1)
            for other in heldout
        ]
        if any(shares):
            expected.append((number, "exact" if text in heldout else "ngram", max(shares)))
    found = find_overlaps(posed(*train), posed(*heldout), ngram=ngram)
    assert [(overlap.train, overlap.kind, overlap.share) for overlap in found] == expected


SHORT = r"Evaluate $\log_2 32$."
HIDDEN = [
    r"Evaluate $\log_2 32$. Write your final answer in \boxed{}.",
    r"Write your final answer in \boxed{}. Evaluate $\log_2 32$.",
    r"Please evaluate $\log_2 32$ and put your answer in \boxed{}.",
    r"Evaluate $\log_2 32$, giving your answer in \boxed{}.",
    "Question: Evaluate $\\log_2 32$.\nAnswer:",
    "Problem 12: Evaluate $\\log_2 32$.",
    "### Instruction:\nEvaluate $\\log_2 32$.\n\n### Response:",
    r"Solve the following math problem step by step. Evaluate $\log_2 32$. Thank you!",
    "You are a careful mathematician.\n\nEvaluate $\\log_2 32$.\n\nThink carefully, then respond in LaTeX.",
    r"Evaluate $\log_2 32$. (3 points)",
    r"Hello there! Can you evaluate $\log_2 32$? Round your answer to 2 decimal places.",
    r"Réfléchis étape par étape. Evaluate $\log_2 32$. Mets ta réponse finale dans \boxed{}.",
    r"Evaluate $\log_2 32$. Gib deine Antwort in \boxed{} an.",
    "Evaluate $\\log_2 32$. 请逐步推理，并把最终答案放在 \\boxed{} 中。",
]


@pytest.mark.parametrize("train", HIDDEN)
def test_instructions_do_not_hide_a_short_problem(train):
    (overlap,) = find_overlaps(posed(train), posed("How many apples?", SHORT))
    assert (overlap.kind, overlap.heldout, overlap.share) in {("exact", 1, 1.0), ("contained", 1, 1.0)}


@pytest.mark.parametrize("heldout", HIDDEN)
def test_nor_one_that_has_them_itself(heldout):
    assert len(find_overlaps(posed(SHORT), posed(heldout))) == 1


@pytest.mark.parametrize(
    ("train", "heldout"),
    [
        ("求 2+3。请把最终答案放在 \\boxed{} 中。", "求2+3。"),
        ("What is the capital of Peru? Answer in one word.", "What is the capital of Peru?"),
        ("What is 7*8? What is it called?", "What is 7*8?"),
        ("Find all primes below 20.", "Find all primes below 20. Express your answer as a list."),
    ],
)
def test_short_problems_of_other_kinds_are_found_behind_instructions(train, heldout):
    assert len(find_overlaps(posed(train), posed(heldout))) == 1


@pytest.mark.parametrize(
    ("train", "heldout"),
    [
        (r"Evaluate $\log_2 32 + 1$. Put your answer in \boxed{}.", SHORT),
        (r"Put your answer in \boxed{}. Evaluate $\log_2 64$.", SHORT),
        (r"Let $a = 3$. Evaluate $\log_2 32$. Subtract it from $a$.", SHORT),
        ("What is 5 + 3, minus 2?", "What is 5 + 3?"),
        ("What is 5 + 3 of 40?", "What is 5 + 3?"),
        ("Tom has 3 pens and buys 4. How many does he have now?", "How many does he have now?"),
        ("Let $x+3=10$. Find $x$.", "Find $x$."),
        (r"Put your answer in \boxed{}.", r"Write your answer in \boxed{}."),
        ("What is 2+2? Explain each step.", "What is 2+3? Explain each step."),
        (
            "How many ducks are there? Please reason step by step, and put your final answer within \\boxed{}.",
            "How many geese are there? Please reason step by step, and put your final answer within \\boxed{}.",
        ),
        (
            "Return your final response within \\boxed{}, after all of your thinking. Compute $1+1$.",
            "Return your final response within \\boxed{}, after all of your thinking. Compute $2+1$.",
        ),
    ],
)
def test_another_problem_with_the_same_instructions_is_not_the_same(train, heldout):
    assert find_overlaps(posed(train), posed(heldout)) == []


def test_a_problem_that_is_all_instruction_is_compared_as_it_is():
    assert len(find_overlaps(posed("Explain each step."), posed("Explain each step!"))) == 1


def test_no_embedded_problem_is_found_that_shares_no_eight_words(tmp_path):
    train, heldout = (
        load_problems(ProblemsSource(tiny=split, count=2000), tmp_path, tmp_path / "aside.jsonl").rows
        for split in ("train", "heldout")
    )

    def grams(problem: Problem) -> set[str]:
        found = words(problem.problem)
        return {" ".join(found[i : i + 8]) for i in range(len(found) - 7)}

    there = set().union(*map(grams, heldout))
    # Exercises of one template share their eight words; what is found beyond them would be a false alarm.
    expected = [number for number, problem in enumerate(train) if grams(problem) & there]
    assert len(expected) > 100
    assert [overlap.train for overlap in find_overlaps(train, heldout)] == expected
    assert find_overlaps(train, heldout, min_share=0.8) == []


def test_no_embedded_training_problem_is_a_held_out_one(tmp_path):
    train, heldout = (
        load_problems(ProblemsSource(tiny=split, count=2000), tmp_path, tmp_path / "aside.jsonl").rows
        for split in ("train", "heldout")
    )
    exact = [overlap for overlap in find_overlaps(train, heldout) if overlap.kind == "exact"]
    assert exact == []


@pytest.mark.parametrize(
    "marked",
    [
        "* What is 12 + 7 of these?",
        "- What is 12 + 7 of these?",
        "7. What is 12 + 7 of these?",
        "(b) What is 12 + 7 of these?",
        "### Problem 4\n> What is 12 + 7 of these?",
        "**What is 12 + 7** of these?",
        "What is 12 + 7 *of* these?",
    ],
)
def test_marks_of_lists_and_markdown_are_no_part_of_a_problem(marked):
    assert problem_words(marked) == problem_words("What is 12 + 7 of these?")


@pytest.mark.parametrize(
    ("text", "stays"),
    [("- 5 + x = 3", "- 5 + x = 3"), ("3 * 4 * 5", "3 * 4 * 5"), ("2**3**2", "2 * * 3 * * 2"), ("a*b*c", "a * b * c")],
)
def test_signs_that_look_like_marks_stay(text, stays):
    assert problem_words(text) == stays.split()
